//! Arguments, a mode, an exit code.

use std::process::ExitCode;

use clap::Parser;
use footlights::{cli, mode, stand_in};

fn main() -> ExitCode {
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(tool) = stand_in::called_as(args.first()) {
        return mode::blocking(tool.run(args));
    }
    if args.get(1).is_some_and(|word| word == "-c") {
        return mode::exec_bash(&args[1..]);
    }
    let command = cli::Cli::parse_from(cli::with_default_subcommand(args)).command;
    mode::blocking(mode::run(command))
}
