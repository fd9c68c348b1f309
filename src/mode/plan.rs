//! `footlights plan`: what a script would show and run.

use anyhow::Result;

use super::{Outcome, show};
use crate::cli::{self, Format};
use crate::plan::{to_json, to_text};

/// Prints the plan, and all diagnostics on standard error; a script with errors exits 1.
pub fn run(args: &cli::Plan) -> Result<Outcome> {
    let script = &args.script;
    let read = show::read(script.script.as_deref(), &script.args, &script.demosh)?;
    let events = read.plan();
    match args.format {
        Format::Text => print!("{}", to_text(&events)),
        Format::Json => println!("{}", to_json(&events)),
    }
    if read.script.has_errors() {
        return Ok(Outcome::ShowFailed);
    }
    Ok(Outcome::Good)
}
