//! The modes: each builds its ends and hands them to `drive`. Exit codes are made here.

pub mod cluster;
mod plain;
pub mod plan;
pub mod present;
pub mod record;
pub mod rehearse;
mod screenshot;
mod show;

use std::ffi::OsString;
use std::future::Future;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Command;

/// How a mode ended; an error before it could begin is an `Err` and exits 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit 0.
    Good,
    /// Exit 1: a step or an expectation failed.
    ShowFailed,
    /// Exit 2: nothing was run.
    NotStarted,
}

/// Runs a mode.
pub async fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::Cluster(args) => cluster::run(args).await,
        Command::Plan(args) => plan::run(&args),
        Command::Present(args) => present::run(args).await,
        Command::Record(args) => record::run(args).await,
        Command::Rehearse(args) => rehearse::run(args).await,
        Command::Screenshot(args) => screenshot::run(args).await,
    }
}

/// Runs a future to its end on a runtime of its own, and makes an exit code of it.
pub fn blocking(mode: impl Future<Output = Result<Outcome>>) -> ExitCode {
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
        .and_then(|runtime| {
            crate::log::begin()?;
            let result = runtime.block_on(mode);
            // Blocking reads (a PTY's, standard input's) may never return; they end with us.
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::ShowFailed) => ExitCode::from(1),
        Ok(Outcome::NotStarted) => ExitCode::from(2),
        Err(error) => {
            eprintln!("footlights: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// `footlights -c TEXT`: what programs that start `$SHELL` expect of a shell.
pub fn exec_bash(args: &[OsString]) -> ExitCode {
    let error = std::process::Command::new("bash").args(args).exec();
    eprintln!("footlights: starting bash: {error}");
    ExitCode::from(2)
}

/// Returns at SIGINT, SIGTERM, SIGHUP or SIGQUIT.
pub async fn terminated() {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
        () = wait(SignalKind::quit()) => {}
    }
}
