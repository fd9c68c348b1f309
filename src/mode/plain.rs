//! A script that a command of another show plays: `if …; then $SHELL x.md; fi`.
//!
//! It has no screen of its own, so it prints what it shows, waits for nobody, and runs on the cluster
//! of the show around it. Its status is 0 even if `set -e` ended it, as demosh's is.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::{Outcome as ExitOutcome, show};
use crate::cli;
use crate::clock::{Clock, Pace};
use crate::drive::{Afterwards, Output, Pilot, drive};
use crate::engine::{Block, OnFailure, Outcome, Settings, State, Typing, Visible};
use crate::shell::Input;

/// Scripts may play scripts in compounds this deep: each has a shell of its own.
const DEEPEST: usize = 8;

/// Plays it.
pub async fn run(args: cli::Present) -> Result<ExitOutcome> {
    if show::depth() > DEEPEST {
        bail!("scripts play scripts too deeply: does one play itself?");
    }
    let script = args.script;
    let loaded = show::load(
        script.script.as_deref(),
        &script.args,
        &script.demosh,
        &args.on,
    )?;
    let settings = Settings {
        on_failure: OnFailure::StopUnderErrexit,
        typing: Typing::Instant,
        step_timeout: None,
        grace: Duration::ZERO,
    };
    let outcome = drive(
        loaded.engine(settings),
        Pilot::reading(|_| Duration::ZERO),
        Clock::new(Pace::Skipping),
        loaded
            .cast(Input::Nobody, &args.on, Afterwards::Leave)
            .await?,
        vec![Box::new(Printer::default())],
    )
    .await?;
    match outcome {
        Outcome::Finished => Ok(ExitOutcome::Good),
        // The shell around it has to see a program that Ctrl-C ended, or its list goes on.
        Outcome::Quit => Err(Command::new("sh")
            .args(["-c", "kill -INT $$"])
            .exec()
            .into()),
        Outcome::Failed { location, reason } => {
            eprintln!("footlights: {location}: {reason}");
            Ok(ExitOutcome::ShowFailed)
        }
    }
}

/// Prints each block of the stage once it is whole.
#[derive(Default)]
struct Printer {
    /// Pages that are printed, and blocks of the page after them.
    pages: usize,
    blocks: usize,
}

impl Output for Printer {
    fn update(&mut self, _: Duration, state: &State) -> Result<()> {
        let mut out = std::io::stdout().lock();
        while let Some(page) = state.history.get(self.pages) {
            for block in &page[self.blocks.min(page.len())..] {
                print(&mut out, block)?;
            }
            (self.pages, self.blocks) = (self.pages + 1, 0);
        }
        // A command is whole once it has ended, or once something follows it: not all of them run.
        let last = state.page.len().saturating_sub(1);
        for (index, block) in state.page.iter().enumerate().skip(self.blocks) {
            let runs = matches!(block, Block::Command(command) if command.ended.is_none());
            if runs && index == last && state.outcome.is_none() {
                break;
            }
            // A page of nothing to see is dropped when it is turned, so it does not count.
            if !block.is_empty() {
                print(&mut out, block)?;
                self.blocks = index + 1;
            }
        }
        out.flush()?;
        Ok(())
    }
}

fn print(out: &mut impl Write, block: &Block) -> Result<()> {
    match block {
        Block::Prose(text) => writeln!(out, "{}", text.trim_matches('\n'))?,
        Block::Comment(text) | Block::Print(text) | Block::Notice(text) => writeln!(out, "{text}")?,
        Block::Command(command) => {
            if command.seen == Visible::Whole {
                writeln!(out, "$ {}", command.text)?;
            }
            write!(out, "{}", command.output.text())?;
        }
    }
    Ok(())
}
