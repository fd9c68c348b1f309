//! `footlights plan`: what a script would show and run.

use anyhow::Result;

use super::{Outcome, show};
use crate::cli::{self, Format};
use crate::plan::{plan, to_json, to_text};

/// Prints the plan; a script with errors exits 1 with all of them on standard error.
pub fn run(args: &cli::Plan) -> Result<Outcome> {
    let read = show::read(args.script.script.as_deref())?;
    if read.script.has_errors() {
        return Ok(Outcome::ShowFailed);
    }
    let events = plan(&read.script);
    match args.format {
        Format::Text => print!("{}", to_text(&events, &read.script.file)),
        Format::Json => println!("{}", to_json(&events, &read.script.file)),
    }
    Ok(Outcome::Good)
}
