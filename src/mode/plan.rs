//! `footlights plan`: what a script would show and run.

use std::io::{ErrorKind, Write};

use anyhow::Result;

use super::{Outcome, show};
use crate::cli::{self, Format};
use crate::plan::{to_json, to_text};

/// Prints the plan, and all diagnostics on standard error; a script with errors exits 1.
pub fn run(args: &cli::Plan) -> Result<Outcome> {
    let script = &args.script;
    let read = show::read(script.script.as_deref(), &script.args, &script.demosh)?;
    let plan = read.plan();
    for diagnostic in &plan.diagnostics {
        eprintln!("{diagnostic}\n");
    }
    for fault in read.faults(&plan) {
        eprintln!("note: {fault}, so present, rehearse and record refuse it");
    }
    let text = match args.format {
        Format::Text => to_text(&plan.events),
        Format::Json => format!("{}\n", to_json(&plan.events)),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // `plan x.md | head` has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    if read.script.has_errors() || plan.has_errors() {
        return Ok(Outcome::ShowFailed);
    }
    Ok(Outcome::Good)
}
