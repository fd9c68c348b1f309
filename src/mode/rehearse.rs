//! `footlights rehearse`: scripts unattended, a line a step, an exit code.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::Outcome as ExitOutcome;
use super::show::{self, Loaded};
use crate::cli::{self, Format};
use crate::clock::{Clock, Pace};
use crate::drive::{Output, Pilot, drive};
use crate::engine::{Check, OnFailure, Outcome, Settings, State, StepResult, Typing};
use crate::shell::Input;

/// Rehearses each script in turn; every one is read before the first is run.
pub async fn run(args: cli::Rehearse) -> Result<ExitOutcome> {
    let loaded = args
        .scripts
        .iter()
        .map(|path| show::load(Some(path), &args.args, &args.demosh, &args.on))
        .collect::<Result<Vec<Loaded>>>()?;
    let mut reports = Vec::new();
    let mut steps = 0;
    let mut good = true;
    for script in loaded {
        let (report, ran) = rehearse(&script, &args).await?;
        good &= report["ok"] == true;
        steps += ran;
        reports.push(report);
    }
    if args.format == Format::Json {
        println!("{}", json!({"ok": good, "scripts": reports}));
    }
    if !good {
        return Ok(ExitOutcome::ShowFailed);
    }
    if steps == 0 {
        eprintln!("footlights: no step was run: is there a ```bash fence in the script?");
        return Ok(ExitOutcome::NotStarted);
    }
    Ok(ExitOutcome::Good)
}

/// The arguments of a rehearsal of the bundled tour.
pub fn of_the_tour() -> cli::Rehearse {
    cli::Rehearse {
        scripts: vec!["tour".into()],
        args: Vec::new(),
        format: Format::Text,
        step_timeout: 120,
        on: cli::On::default(),
        demosh: cli::Demosh::default(),
    }
}

async fn rehearse(loaded: &Loaded, args: &cli::Rehearse) -> Result<(Value, usize)> {
    let settings = Settings {
        on_failure: OnFailure::Stop,
        typing: Typing::Instant,
        step_timeout: Some(Duration::from_secs(args.step_timeout)),
        grace: Duration::ZERO,
    };
    let engine = loaded.engine(settings);
    let cast = loaded.cast(Input::Nobody, &args.on).await?;
    let clock = Clock::new(Pace::Skipping);
    let results = std::rc::Rc::<std::cell::RefCell<Vec<StepResult>>>::default();
    let report = Report {
        told: 0,
        told_checks: 0,
        format: args.format,
        results: results.clone(),
    };
    if args.format == Format::Text {
        println!("{}", loaded.script.file);
    }
    let outcome = drive(
        engine,
        Pilot::Auto(|_| Duration::ZERO),
        clock.clone(),
        cast,
        vec![Box::new(report)],
    )
    .await?;
    let seconds = clock.elapsed().as_secs_f64();
    let results = results.take();
    if args.format == Format::Text {
        println!("{}", summary(&outcome, &results, seconds));
    }
    let good = outcome == Outcome::Finished;
    let steps: Vec<Value> = results.iter().map(|r| step_json(r, &outcome)).collect();
    let mut report =
        json!({"script": &*loaded.script.file, "ok": good, "seconds": seconds, "steps": steps});
    if let Outcome::Failed { location, reason } = &outcome {
        report["reason"] = json!(format!("{location}: {reason}"));
    }
    Ok((report, results.len()))
}

/// Prints each step as it ends.
struct Report {
    told: usize,
    told_checks: usize,
    format: Format,
    results: std::rc::Rc<std::cell::RefCell<Vec<StepResult>>>,
}

impl Output for Report {
    fn update(&mut self, _: Duration, state: &State) -> Result<()> {
        if self.format == Format::Text {
            let mut out = std::io::stdout().lock();
            while let Some(result) = state.results.get(self.told) {
                if self.told_checks == 0 {
                    writeln!(out, "{}", step_line(result))?;
                    self.told_checks = 1;
                }
                while let Some(check) = result.checks.get(self.told_checks - 1) {
                    if check.holds.is_none() && state.outcome.is_none() {
                        return Ok(());
                    }
                    writeln!(out, "{}", check_line(check))?;
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

fn step_line(result: &StepResult) -> String {
    let mark = if result.failed.is_some() {
        "✗"
    } else {
        "✓"
    };
    let text = result.text.lines().next().unwrap_or("");
    let more = if result.text.lines().count() > 1 {
        " …"
    } else {
        ""
    };
    format!(
        "  {mark} {:>6.2}s  exit {:<3}  {text}{more}",
        result.took.as_secs_f64(),
        result.status
    )
}

fn check_line(check: &Check) -> String {
    let mark = match check.holds {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "·",
    };
    format!(
        "    {mark} {:>6.2}s  expect {}: {}",
        check.took.as_secs_f64(),
        check.text,
        check.observed
    )
}

fn summary(outcome: &Outcome, results: &[StepResult], seconds: f64) -> String {
    match outcome {
        Outcome::Finished => {
            let checks: usize = results.iter().map(|r| r.checks.len()).sum();
            let steps = match results.len() {
                1 => "1 step".to_owned(),
                steps => format!("{steps} steps"),
            };
            format!("good: {steps}, {checks} expectations, {seconds:.1} s")
        }
        Outcome::Quit => "stopped before its end".to_owned(),
        Outcome::Failed { location, reason } => {
            let mut text = format!("FAILED at {location}: {reason}");
            if let Some(result) = results.last().filter(|r| r.failed.is_some()) {
                for line in &result.tail {
                    text += &format!("\n  | {line}");
                }
            }
            text
        }
    }
}

fn step_json(result: &StepResult, outcome: &Outcome) -> Value {
    let checks: Vec<Value> = result
        .checks
        .iter()
        .map(|check| {
            let (text, ok, seconds) = (&check.text, check.holds, check.took.as_secs_f64());
            match check.seen {
                Some(seen) => json!({"text": text, "ok": ok, "observed": seen.value,
                    "low": seen.low, "high": seen.high, "n": seen.n, "seconds": seconds}),
                None => json!({"text": text, "ok": ok, "observed": check.observed,
                    "low": null, "high": null, "n": null, "seconds": seconds}),
            }
        })
        .collect();
    let changes: Vec<String> = result
        .changes
        .iter()
        .map(|c| format!("{} {}", c.object(), c.verb.word()))
        .collect();
    let broken = result.checks.iter().find(|c| c.holds == Some(false));
    let reason = match (&result.failed, broken, outcome) {
        (Some(reason), ..) => Some(reason.clone()),
        (None, Some(_), Outcome::Failed { reason, .. }) => Some(reason.clone()),
        _ => None,
    };
    json!({"file": &*result.location.file, "line": result.location.line, "section": result.section,
           "text": result.text, "status": result.status, "seconds": result.took.as_secs_f64(),
           "ok": reason.is_none(), "reason": reason, "changes": changes, "expects": checks})
}
