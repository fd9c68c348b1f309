//! Reports of a rehearsal: lines for people, JSON, JUnit. Pure.

pub mod junit;

use serde_json::{Value, json};

use crate::engine::{Check, Outcome, StepResult};

/// A step's line.
pub fn step_line(result: &StepResult) -> String {
    let mark = if result.failed.is_some() {
        "✗"
    } else {
        "✓"
    };
    let text = result.title.as_ref().unwrap_or(&result.text);
    let text = text.lines().next().unwrap_or("");
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

/// An expectation's line; with its place if it does not hold.
pub fn check_line(check: &Check) -> String {
    let mark = match check.holds {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "·",
    };
    let place = match check.holds {
        Some(false) => format!(" ({})", check.location),
        _ => String::new(),
    };
    format!(
        "    {mark} {:>6.2}s  expect {}: {}{place}",
        check.took.as_secs_f64(),
        check.text,
        check.observed
    )
}

/// What became of a script, in one line, and the end of what a failed step wrote.
pub fn summary(outcome: &Outcome, results: &[StepResult], seconds: f64) -> String {
    let checks = results.iter().flat_map(|r| &r.checks);
    let failed_steps = results.iter().filter(|r| r.failed.is_some()).count();
    let failed_checks = checks.clone().filter(|c| c.holds == Some(false)).count();
    let steps = match results.len() {
        1 => "1 step".to_owned(),
        steps => format!("{steps} steps"),
    };
    match outcome {
        Outcome::Finished if failed_steps + failed_checks > 0 => format!(
            "FAILED: {failed_steps} of {steps}, {failed_checks} of {} expectations, {seconds:.1} s",
            checks.count()
        ),
        Outcome::Finished => {
            format!(
                "good: {steps}, {} expectations, {seconds:.1} s",
                checks.count()
            )
        }
        Outcome::Quit => "stopped before its end".to_owned(),
        Outcome::Failed { location, reason } => {
            let mut text = format!("FAILED at {location}: {reason}");
            if let Some(result) = results.last().filter(|r| r.failed.is_some()) {
                text += &tail(result);
            }
            text
        }
    }
}

/// The last lines that a step wrote.
pub fn tail(result: &StepResult) -> String {
    result
        .tail
        .iter()
        .map(|line| format!("\n  | {line}"))
        .collect()
}

/// Why a step counts as failed: itself, or an expectation of it.
pub fn failure(result: &StepResult) -> Option<String> {
    let broken = result.checks.iter().find(|c| c.holds == Some(false));
    let expected = |check: &Check| format!("expected {}: {}", check.text, check.observed);
    result.failed.clone().or(broken.map(expected))
}

/// A step, by DECISIONS.md.
pub fn step_json(result: &StepResult) -> Value {
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
    let reason = failure(result);
    json!({"file": &*result.location.file, "line": result.location.line, "section": result.section,
           "text": result.text, "status": result.status, "seconds": result.took.as_secs_f64(),
           "ok": reason.is_none(), "reason": reason, "changes": changes, "expects": checks,
           "firstAnswer": result.first_answer.as_ref().map(|first| first.after.as_secs_f64())})
}
