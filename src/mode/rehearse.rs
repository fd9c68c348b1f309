//! `footlights rehearse`: scripts unattended, a line a step, an exit code.

use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Outcome as ExitOutcome;
use super::show::{self, Loaded};
use crate::cli::{self, Format};
use crate::clock::{Clock, Pace};
use crate::drive::{Afterwards, Output, Pilot, drive};
use crate::engine::{OnFailure, Outcome, Settings, State, StepResult, Typing};
use crate::report::junit::Suite;
use crate::report::{self, junit};
use crate::shell::Input;

/// A script that was rehearsed.
struct Rehearsed {
    script: Arc<str>,
    outcome: Outcome,
    results: Vec<StepResult>,
    seconds: f64,
}

impl Rehearsed {
    fn is_good(&self) -> bool {
        self.outcome == Outcome::Finished
            && self.results.iter().all(|r| report::failure(r).is_none())
    }

    fn to_json(&self) -> Value {
        let steps: Vec<Value> = self.results.iter().map(report::step_json).collect();
        let mut json = json!({"script": &*self.script, "ok": self.is_good(),
                              "seconds": self.seconds, "steps": steps});
        if let Outcome::Failed { location, reason } = &self.outcome {
            json["reason"] = json!(format!("{location}: {reason}"));
        }
        json
    }
}

/// Rehearses each script in turn; every one is read before the first is run.
pub async fn run(args: cli::Rehearse) -> Result<ExitOutcome> {
    let loaded = args
        .scripts
        .iter()
        .map(|path| show::load(Some(path), &args.args, &args.demosh, &args.on))
        .collect::<Result<Vec<Loaded>>>()?;
    // A report that cannot be written is told before an hour of rehearsal.
    if let Some(path) = &args.junit {
        write_junit(path, &[])?;
    }
    let mut rehearsed = Vec::new();
    for script in loaded {
        rehearsed.push(rehearse(&script, &args).await?);
        if let Some(path) = &args.junit {
            write_junit(path, &rehearsed)?;
        }
    }
    let is_good = rehearsed.iter().all(Rehearsed::is_good);
    if args.format == Format::Json {
        let scripts: Vec<Value> = rehearsed.iter().map(Rehearsed::to_json).collect();
        say(&json!({"ok": is_good, "scripts": scripts}))?;
    }
    if !is_good {
        return Ok(ExitOutcome::ShowFailed);
    }
    if rehearsed.iter().all(|script| script.results.is_empty()) {
        eprintln!("footlights: no step was run: is there a ```bash fence in the script?");
        return Ok(ExitOutcome::NotStarted);
    }
    Ok(ExitOutcome::Good)
}

fn write_junit(path: &Path, rehearsed: &[Rehearsed]) -> Result<()> {
    let suites: Vec<Suite<'_>> = rehearsed
        .iter()
        .map(|script| Suite {
            script: &script.script,
            outcome: &script.outcome,
            results: &script.results,
            seconds: script.seconds,
        })
        .collect();
    std::fs::write(path, junit::write(&suites))
        .with_context(|| format!("writing the report {}", path.display()))
}

/// The arguments of a rehearsal of the bundled tour.
pub fn of_the_tour() -> cli::Rehearse {
    cli::Rehearse {
        scripts: vec!["tour".into()],
        args: Vec::new(),
        format: Format::Text,
        step_timeout: 120,
        junit: None,
        keep_going: false,
        keep: false,
        on: cli::On::default(),
        demosh: cli::Demosh::default(),
    }
}

async fn rehearse(loaded: &Loaded, args: &cli::Rehearse) -> Result<Rehearsed> {
    let settings = Settings {
        on_failure: match args.keep_going {
            true => OnFailure::GoOn,
            false => OnFailure::Stop,
        },
        typing: Typing::Instant,
        step_timeout: Some(Duration::from_secs(args.step_timeout)),
        grace: Duration::ZERO,
    };
    let engine = loaded.engine(settings);
    let afterwards = match args.keep {
        true => Afterwards::Stay,
        false => Afterwards::CleanUp,
    };
    let cast = loaded.cast(Input::Nobody, &args.on, afterwards).await?;
    let clock = Clock::new(Pace::Skipping);
    let results = Rc::<RefCell<Vec<StepResult>>>::default();
    let report = Report {
        told: 0,
        told_checks: 0,
        format: args.format,
        results: results.clone(),
    };
    if args.format == Format::Text {
        say(&loaded.script.file)?;
    }
    let outcome = drive(
        engine,
        Pilot::reading(|_| Duration::ZERO),
        clock.clone(),
        cast,
        vec![Box::new(report)],
    )
    .await?;
    let rehearsed = Rehearsed {
        script: loaded.script.file.clone(),
        outcome,
        results: results.take(),
        seconds: clock.elapsed().as_secs_f64(),
    };
    if args.format == Format::Text {
        let Rehearsed {
            outcome,
            results,
            seconds,
            ..
        } = &rehearsed;
        say(&report::summary(outcome, results, *seconds))?;
    }
    Ok(rehearsed)
}

fn say(line: &impl std::fmt::Display) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("writing the report")
}

/// Prints each step as it ends.
struct Report {
    told: usize,
    told_checks: usize,
    format: Format,
    results: Rc<RefCell<Vec<StepResult>>>,
}

impl Output for Report {
    fn update(&mut self, _: Duration, state: &State) -> Result<()> {
        if self.format == Format::Text {
            let mut out = std::io::stdout().lock();
            while let Some(result) = state.results.get(self.told) {
                if self.told_checks == 0 {
                    writeln!(out, "{}", report::step_line(result))?;
                    if let (Some(reason), None) = (&result.failed, &state.outcome) {
                        let tail = report::tail(result);
                        writeln!(out, "    {}: {reason}{tail}", result.location)?;
                    }
                    self.told_checks = 1;
                }
                while let Some(check) = result.checks.get(self.told_checks - 1) {
                    if check.holds.is_none() && state.outcome.is_none() {
                        return Ok(());
                    }
                    writeln!(out, "{}", report::check_line(check))?;
                    self.told_checks += 1;
                }
                let has_next = self.told + 1 < state.results.len();
                if !has_next {
                    break;
                }
                self.told += 1;
                self.told_checks = 0;
            }
            out.flush()?;
        }
        if state.outcome.is_some() {
            self.results.replace(state.results.clone());
        }
        Ok(())
    }
}
