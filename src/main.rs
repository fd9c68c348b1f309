//! Arguments, a mode, an exit code.

use std::process::ExitCode;

use clap::Parser;
use footlights::{cli, mode, stand_in};

fn main() -> ExitCode {
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(tool) = stand_in::called_as(args.first()) {
        end_when_nobody_reads();
        return mode::blocking(tool.run(args));
    }
    if args.get(1).is_some_and(|word| word == "-c") {
        return mode::exec_bash(&args[1..]);
    }
    let command = cli::Cli::parse_from(cli::with_default_subcommand(args)).command;
    mode::blocking(mode::run(command))
}

/// Whoever reads a tool's output may stop early, as `head -1` does. Other programs are ended by SIGPIPE
/// then; Rust's runtime ignores that signal, and `println!` panics.
#[expect(
    clippy::disallowed_methods,
    reason = "a tool has no terminal to give back"
)]
fn end_when_nobody_reads() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let why = info.payload().downcast_ref::<String>();
        match why.and_then(|why| why.strip_prefix("failed printing to stdout: ")) {
            Some(why) if why.starts_with("Broken pipe") => std::process::exit(141),
            Some(why) => {
                eprintln!("error: writing to standard output: {why}");
                std::process::exit(1)
            }
            None => hook(info),
        }
    }));
}
