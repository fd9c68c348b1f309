//! JUnit's XML, as CI systems read it: a suite a script, a case for each step and each expectation.

use crate::engine::{Check, Outcome, StepResult};
use crate::xml::escape;

/// A script's part of a report.
pub struct Suite<'a> {
    /// The script, as given by the user.
    pub script: &'a str,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// What was run.
    pub results: &'a [StepResult],
    /// How long that took.
    pub seconds: f64,
}

/// One `testcase`.
struct Case {
    class: String,
    name: String,
    seconds: f64,
    /// Why it failed: the message and more.
    failure: Option<(String, String)>,
    skipped: bool,
}

/// The report of all scripts.
pub fn write(suites: &[Suite<'_>]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for suite in suites {
        let mut cases: Vec<Case> = suite.results.iter().flat_map(cases).collect();
        let is_told = cases.iter().any(|case| case.failure.is_some());
        if let (Outcome::Failed { location, reason }, false) = (suite.outcome, is_told) {
            cases.push(Case {
                class: suite.script.to_owned(),
                name: location.to_string(),
                seconds: 0.0,
                failure: Some((reason.clone(), String::new())),
                skipped: false,
            });
        }
        if *suite.outcome == Outcome::Quit {
            cases.push(Case {
                class: suite.script.to_owned(),
                name: "its end".to_owned(),
                seconds: 0.0,
                failure: Some(("stopped before its end".to_owned(), String::new())),
                skipped: false,
            });
        }
        let failures = cases.iter().filter(|case| case.failure.is_some()).count();
        let skipped = cases.iter().filter(|case| case.skipped).count();
        text += &format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" \
             skipped=\"{skipped}\" time=\"{:.3}\">\n",
            escape(suite.script),
            cases.len(),
            suite.seconds
        );
        for case in &cases {
            text += &element(case);
        }
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

fn cases(result: &StepResult) -> Vec<Case> {
    let class = match &result.section {
        Some(section) => format!("{}.{section}", result.location.file),
        None => result.location.file.to_string(),
    };
    let named = |line: usize, text: &str| format!("{line}: {}", text.lines().next().unwrap_or(""));
    let step = Case {
        class: class.clone(),
        name: named(
            result.location.line,
            result.title.as_ref().unwrap_or(&result.text),
        ),
        seconds: result.took.as_secs_f64(),
        failure: result.failed.clone().map(|reason| {
            (
                format!("{}: {reason}", result.location),
                result.tail.join("\n"),
            )
        }),
        skipped: false,
    };
    let expects = result.checks.iter().map(|check: &Check| Case {
        class: class.clone(),
        name: named(check.location.line, &format!("expect {}", check.text)),
        seconds: check.took.as_secs_f64(),
        failure: (check.holds == Some(false)).then(|| {
            let message = format!("{}: {}", check.location, check.observed);
            (message, format!("expected {}", check.text))
        }),
        skipped: check.holds.is_none(),
    });
    std::iter::once(step).chain(expects).collect()
}

fn element(case: &Case) -> String {
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        escape(&case.class),
        escape(&case.name),
        case.seconds
    );
    match &case.failure {
        Some((message, more)) => format!(
            "{head}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
            escape(message),
            escape(more)
        ),
        None if case.skipped => format!("{head}>\n      <skipped/>\n    </testcase>\n"),
        None => format!("{head}/>\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Location;
    use std::time::Duration;

    #[test]
    fn steps_and_expectations_are_cases() {
        let location = |line| Location {
            file: "a.md".into(),
            line,
        };
        let check = |line, holds| Check {
            text: "errors < 1%".into(),
            location: location(line),
            holds,
            seen: None,
            took: Duration::from_millis(1500),
            observed: "5 \"seen\"".into(),
        };
        let results = [StepResult {
            location: location(3),
            section: Some("Canary".into()),
            text: "kubectl apply -f - <<END\nmore".into(),
            title: None,
            status: 0,
            took: Duration::from_millis(250),
            failed: None,
            changes: Vec::new(),
            first_answer: None,
            checks: vec![check(4, Some(true)), check(5, Some(false)), check(6, None)],
            tail: Vec::new(),
        }];
        let outcome = Outcome::Failed {
            location: location(5),
            reason: "x".into(),
        };
        let suite = Suite {
            script: "a.md",
            outcome: &outcome,
            results: &results,
            seconds: 2.0,
        };
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
            <testsuite name=\"a.md\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"2.000\">\n    \
            <testcase classname=\"a.md.Canary\" name=\"3: kubectl apply -f - &lt;&lt;END\" time=\"0.250\"/>\n    \
            <testcase classname=\"a.md.Canary\" name=\"4: expect errors &lt; 1%\" time=\"1.500\"/>\n    \
            <testcase classname=\"a.md.Canary\" name=\"5: expect errors &lt; 1%\" time=\"1.500\">\n      \
            <failure message=\"a.md:5: 5 &quot;seen&quot;\">expected errors &lt; 1%</failure>\n    </testcase>\n    \
            <testcase classname=\"a.md.Canary\" name=\"6: expect errors &lt; 1%\" time=\"1.500\">\n      <skipped/>\n    </testcase>\n  \
            </testsuite>\n</testsuites>\n";
        assert_eq!(write(&[suite]), expected);
    }

    #[test]
    fn what_never_began_is_a_failure_too() {
        let outcome = Outcome::Failed {
            location: Location {
                file: "a.md".into(),
                line: 1,
            },
            reason: "no cluster".into(),
        };
        let suite = Suite {
            script: "a.md",
            outcome: &outcome,
            results: &[],
            seconds: 0.0,
        };
        assert!(write(&[suite]).contains("<failure message=\"no cluster\">"));
    }
}
