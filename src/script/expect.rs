//! `@expect`: assertions on the last step.

use std::time::Duration;

use super::directive::Problem;

/// Which cells a traffic expectation counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cells {
    /// All of them.
    #[default]
    All,
    /// The inner ones.
    Center,
    /// The outer ring.
    Edge,
}

/// What an answer shows, by key and value: `smiley=HeartEyes,color=green`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The smiley's name.
    pub smiley: Option<String>,
    /// The colour's name or `#RRGGBB`.
    pub color: Option<String>,
}

/// Where a traffic expectation looks and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// Which cells.
    pub cells: Cells,
    /// As which user.
    pub user: Option<String>,
    /// It must hold within this time.
    pub within: Duration,
}

/// What is claimed.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// The last command's exit status.
    Exit(i32),
    /// A share of the answers, in percent, and its tolerance in percentage points.
    Share {
        /// Of which answers.
        look: Look,
        /// The expected share, 0 to 100.
        percent: f64,
        /// How far off it may be.
        tolerance: f64,
        /// Where to look.
        scope: Scope,
    },
    /// Every answer.
    All {
        /// Looks like this.
        look: Look,
        /// Where to look.
        scope: Scope,
    },
}

/// An assertion and its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// As written.
    pub text: String,
    /// What is claimed.
    pub claim: Claim,
}

/// How long a traffic expectation may take unless it says otherwise.
const WITHIN: Duration = Duration::from_secs(30);

const SMILEYS: [&str; 9] = [
    "Grinning",
    "HeartEyes",
    "RollingEyes",
    "Cursing",
    "Sleeping",
    "Kaboom",
    "Neutral",
    "Screaming",
    "Vomiting",
];

/// Parses the text after `@expect`; none for a claim that is known and whose judge is still to come.
pub fn parse(text: &str) -> Result<Option<Expectation>, Problem> {
    let mut words = text.split_whitespace();
    let claim = match words.next() {
        Some("exit") => exit(words)?,
        Some("share") => share(words)?,
        Some("all") => all(words)?,
        Some("none" | "errors" | "status" | "latency" | "condition" | "output") => return Ok(None),
        Some(word) => {
            return Err(problem(
                format!("`@expect` does not know `{word}`"),
                "use `share KEY=VALUE N% ±M`, `all KEY=VALUE` or `exit N`",
            ));
        }
        None => {
            return Err(problem(
                "`@expect` needs a claim".to_owned(),
                "write for example `@expect share smiley=HeartEyes 10% ±5`",
            ));
        }
    };
    Ok(Some(Expectation {
        text: text.to_owned(),
        claim,
    }))
}

fn problem(message: String, help: &str) -> Problem {
    Problem {
        message,
        help: help.to_owned(),
    }
}

fn exit<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Claim, Problem> {
    match (words.next().map(str::parse), words.next()) {
        (Some(Ok(status)), None) => Ok(Claim::Exit(status)),
        _ => Err(problem(
            "`@expect exit` needs one exit status".to_owned(),
            "write for example `@expect exit 1`",
        )),
    }
}

fn share<'a>(words: impl Iterator<Item = &'a str>) -> Result<Claim, Problem> {
    const HELP: &str = "write for example `@expect share smiley=HeartEyes 10% ±5 within 30s`";
    let words: Vec<&str> = words.collect();
    let [look_text, percent, tolerance, rest @ ..] = &words[..] else {
        return Err(problem(
            "`@expect share` needs a key, a share and a tolerance".to_owned(),
            HELP,
        ));
    };
    let number = |text: &str, trim: &[char]| -> Result<f64, Problem> {
        let value = text.trim_matches(trim).parse::<f64>().ok();
        value
            .filter(|v| (0.0..=100.0).contains(v))
            .ok_or_else(|| problem(format!("`{text}` is no percentage from 0 to 100"), HELP))
    };
    if !percent.ends_with('%') {
        return Err(problem(
            format!("`{percent}` is no share: the `%` is missing"),
            HELP,
        ));
    }
    let Some(points) = tolerance
        .strip_prefix('±')
        .or_else(|| tolerance.strip_prefix("+-"))
    else {
        return Err(problem(
            format!("`{tolerance}` is no tolerance such as `±5`"),
            HELP,
        ));
    };
    let tolerance = number(points, &['%'])?;
    if tolerance < 1.0 {
        return Err(problem(
            "a tolerance under one percentage point would need a hundred thousand samples"
                .to_owned(),
            "use ±1 or more; `all` claims every answer",
        ));
    }
    Ok(Claim::Share {
        look: look(look_text)?,
        percent: number(percent, &['%'])?,
        tolerance,
        scope: scope(rest)?,
    })
}

fn all<'a>(words: impl Iterator<Item = &'a str>) -> Result<Claim, Problem> {
    let words: Vec<&str> = words.collect();
    let [look_text, rest @ ..] = &words[..] else {
        return Err(problem(
            "`@expect all` needs a key".to_owned(),
            "write for example `@expect all smiley=HeartEyes within 10s`",
        ));
    };
    Ok(Claim::All {
        look: look(look_text)?,
        scope: scope(rest)?,
    })
}

fn look(text: &str) -> Result<Look, Problem> {
    let mut look = Look::default();
    for pair in text.split(',') {
        match pair.split_once('=') {
            Some(("smiley", name)) if SMILEYS.contains(&name) => {
                look.smiley = Some(name.to_owned());
            }
            Some(("smiley", name)) => {
                return Err(problem(
                    format!("there is no smiley `{name}`"),
                    &format!("one of {}", SMILEYS.join(", ")),
                ));
            }
            Some(("color", name)) => look.color = Some(name.to_owned()),
            _ => {
                return Err(problem(
                    format!("`{pair}` is no `smiley=NAME` or `color=NAME`"),
                    "write for example `smiley=HeartEyes`, or `smiley=HeartEyes,color=green`",
                ));
            }
        }
    }
    Ok(look)
}

fn scope(words: &[&str]) -> Result<Scope, Problem> {
    let mut scope = Scope {
        cells: Cells::All,
        user: None,
        within: WITHIN,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, word.split_once('=')) {
            ("cells=edge", _) => scope.cells = Cells::Edge,
            ("cells=center" | "cells=centre", _) => scope.cells = Cells::Center,
            (_, Some(("user", user))) => scope.user = Some(user.to_owned()),
            ("within", _) => {
                let text = words.next().unwrap_or(&"");
                scope.within = seconds(text).ok_or_else(|| {
                    problem(
                        format!("`{text}` is no time such as `30s`"),
                        "write `within 30s`",
                    )
                })?;
            }
            _ => {
                return Err(problem(
                    format!("`{word}` is not understood here"),
                    "what may follow is cells=edge, cells=center, user=NAME and within 30s",
                ));
            }
        }
    }
    Ok(scope)
}

/// A time such as `30s` or `500ms`.
pub fn seconds(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s')?, 1000),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_understood() {
        let Claim::Share {
            look,
            percent,
            tolerance,
            scope,
        } = parse("share smiley=HeartEyes,color=green 10% ±5 cells=edge user=heart within 20s")
            .unwrap()
            .unwrap()
            .claim
        else {
            panic!()
        };
        assert_eq!(look.smiley.as_deref(), Some("HeartEyes"));
        assert_eq!(look.color.as_deref(), Some("green"));
        assert_eq!((percent, tolerance), (10.0, 5.0));
        assert_eq!(scope.cells, Cells::Edge);
        assert_eq!(scope.user.as_deref(), Some("heart"));
        assert_eq!(scope.within, Duration::from_secs(20));
        assert_eq!(parse("exit 3").unwrap().unwrap().claim, Claim::Exit(3));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("", "needs a claim"),
            ("shares x", "does not know `shares`"),
            ("share smiley=Hearteyes 10% ±5", "no smiley `Hearteyes`"),
            ("share smiley=HeartEyes 10 ±5", "`%` is missing"),
            ("share smiley=HeartEyes 110% ±5", "no percentage"),
            ("share smiley=HeartEyes 10% 5", "no tolerance"),
            ("share smiley=HeartEyes 10% ±5 within soon", "no time"),
            ("all", "needs a key"),
            ("exit", "one exit status"),
        ] {
            let message = parse(text).unwrap_err().message;
            assert!(message.contains(named), "{text}: {message}");
        }
    }
}
