//! `@expect`: assertions on the last step.

use std::sync::Arc;
use std::time::Duration;

use super::directive::Problem;
use crate::audience::color::Rgb;
use crate::audience::{Place, Smiley};

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

impl Cells {
    /// True if a cell of this place is one of them.
    pub fn contain(self, place: Place) -> bool {
        match self {
            Cells::All => true,
            Cells::Center => place == Place::Center,
            Cells::Edge => place == Place::Edge,
        }
    }
}

/// What an answer shows, by key and value: `smiley=HeartEyes,color=green`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The smiley's name.
    pub smiley: Option<String>,
    /// The colour's name or `#RRGGBB`.
    pub color: Option<String>,
    /// The pod that answered, or what its name begins with: `face` for `face-7d9f-abcde`.
    pub pod: Option<String>,
}

/// Where a traffic expectation looks and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// Whose answers count.
    pub asked: Asked,
    /// It must hold within this time.
    pub within: Duration,
}

/// Whose requests for which cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Which cells.
    pub cells: Cells,
    /// As which user.
    pub user: Option<Arc<str>>,
}

/// What is claimed.
#[derive(Clone, Debug)]
pub enum Claim {
    /// The last command's exit status.
    Exit(i32),
    /// What the last command wrote matches.
    Output(regex::Regex),
    /// An object's condition.
    Condition(Condition),
    /// Answers through the gateway.
    Traffic(Traffic, Scope),
}

/// A claim about answers through the gateway.
#[derive(Clone, Debug, PartialEq)]
pub enum Traffic {
    /// A share of the answers, in percent, and its tolerance in percentage points.
    Share {
        /// Of which answers.
        look: Look,
        /// The expected share, 0 to 100.
        percent: f64,
        /// How far off it may be.
        tolerance: f64,
    },
    /// Every answer looks like this.
    All(Look),
    /// No face looks like this.
    None(Look),
    /// Less than this share, in percent, is no face or a face with errors.
    Errors {
        /// 0 to 100.
        below: f64,
    },
    /// A share of the answers has this status.
    Status {
        /// The HTTP status.
        status: u16,
        /// The expected share, 0 to 100.
        percent: f64,
        /// How far off it may be.
        tolerance: f64,
    },
    /// A quantile of the time to an answer.
    Latency {
        /// Above 0, below 1: 0.95 for `p95`.
        quantile: f64,
        /// It is less than this.
        below: Duration,
    },
}

/// A condition of an object's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// As kubectl takes it: `HTTPRoute`, `httproutes.gateway.networking.k8s.io`, `gtw`.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// Its namespace: `-n`; none is the context's.
    pub namespace: Option<String>,
    /// The condition's type.
    pub condition: String,
    /// Its status: `True` unless another is claimed.
    pub status: String,
    /// It must hold within this time.
    pub within: Duration,
}

/// An assertion and its text.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// As written.
    pub text: String,
    /// What is claimed.
    pub claim: Claim,
}

impl PartialEq for Expectation {
    /// The claim is made of the text.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// How long a traffic expectation may take unless it says otherwise.
const WITHIN: Duration = Duration::from_secs(30);
/// How long a condition may take unless it says otherwise.
const SOON: Duration = Duration::from_secs(10);
/// All words that may follow `@expect`.
const CLAIMS: &str = "share, all, none, errors, status, latency, condition, exit, output";

/// Parses the text after `@expect`.
pub fn parse(text: &str) -> Result<Expectation, Problem> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some((word, rest)) = words.split_first() else {
        return problem(
            "`@expect` needs a claim",
            "write for example `@expect share smiley=HeartEyes 10% ±5`",
        );
    };
    let claim = match *word {
        "exit" => exit(rest)?,
        "output" => output(text)?,
        "condition" => Claim::Condition(condition(rest)?),
        "share" => share(rest)?,
        "all" => all_or_none(word, rest, Traffic::All)?,
        "none" => all_or_none(word, rest, Traffic::None)?,
        "errors" => errors(rest)?,
        "status" => status(rest)?,
        "latency" => latency(rest)?,
        word => {
            return problem(
                format!("`@expect` does not know `{word}`"),
                format!("one of {CLAIMS}"),
            );
        }
    };
    Ok(Expectation {
        text: text.to_owned(),
        claim,
    })
}

fn problem<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Problem> {
    Err(Problem {
        message: message.into(),
        help: help.into(),
    })
}

fn exit(words: &[&str]) -> Result<Claim, Problem> {
    let status = match words {
        [status] => status.parse::<u8>().ok(),
        _ => None,
    };
    match status {
        Some(status) => Ok(Claim::Exit(status.into())),
        None => problem(
            "`@expect exit` needs one exit status, 0 to 255",
            "write for example `@expect exit 1`",
        ),
    }
}

fn output(text: &str) -> Result<Claim, Problem> {
    const HELP: &str = "write for example `@expect output /hel+o/`, or `/hello/i` for any case";
    let pattern = text.trim_start().trim_start_matches("output").trim();
    let (pattern, any_case) = match pattern.strip_suffix("/i") {
        Some(pattern) if pattern.len() > 1 => (pattern, true),
        _ => (pattern.strip_suffix('/').unwrap_or(""), false),
    };
    let Some(pattern) = pattern.strip_prefix('/').filter(|p| !p.is_empty()) else {
        return problem(
            "`@expect output` needs a regular expression between slashes",
            HELP,
        );
    };
    // Lines are matched as an author sees them: `^` and `$` are a line's.
    let built = regex::RegexBuilder::new(pattern)
        .multi_line(true)
        .case_insensitive(any_case)
        .build();
    match built {
        Ok(regex) => Ok(Claim::Output(regex)),
        Err(error) => {
            let message = error.to_string();
            let why = message.lines().last().unwrap_or("").trim();
            let why = why.trim_start_matches("error: ");
            problem(
                format!("`/{pattern}/` is no regular expression: {why}"),
                HELP,
            )
        }
    }
}

fn condition(words: &[&str]) -> Result<Condition, Problem> {
    const HELP: &str = "write for example `@expect condition httproute/smiley-canary Accepted -n faces within 10s`";
    let [object, condition, rest @ ..] = words else {
        return problem("`@expect condition` needs KIND/NAME and a type", HELP);
    };
    let Some((kind, name)) = object
        .split_once('/')
        .filter(|(kind, name)| !kind.is_empty() && !name.is_empty() && !name.contains('/'))
    else {
        return problem(format!("`{object}` is no KIND/NAME"), HELP);
    };
    let (condition, status) = condition.split_once('=').unwrap_or((condition, "True"));
    if !["True", "False", "Unknown"].contains(&status) {
        return problem(
            format!("a condition's status is True, False or Unknown, not `{status}`"),
            HELP,
        );
    }
    let mut namespace = None;
    let mut within = SOON;
    once(rest)?;
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let value = rest.next();
        match (*word, value) {
            ("-n" | "--namespace", Some(value)) => namespace = Some((*value).to_owned()),
            ("within", value) => within = time(value)?,
            _ => {
                return problem(
                    format!("`{word}` is not understood here"),
                    "what may follow is -n NAMESPACE and within 10s",
                );
            }
        }
    }
    Ok(Condition {
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace,
        condition: condition.to_owned(),
        status: status.to_owned(),
        within,
    })
}

fn share(words: &[&str]) -> Result<Claim, Problem> {
    const HELP: &str = "write for example `@expect share smiley=HeartEyes 10% ±5 within 30s`";
    let [look_text, percent, tolerance, rest @ ..] = words else {
        return problem("`@expect share` needs a key, a share and a tolerance", HELP);
    };
    let (percent, tolerance) = around(percent, tolerance, HELP)?;
    let look = look(look_text)?;
    let share = Traffic::Share {
        look,
        percent,
        tolerance,
    };
    Ok(Claim::Traffic(share, scope(rest)?))
}

fn status(words: &[&str]) -> Result<Claim, Problem> {
    const HELP: &str = "write for example `@expect status 504 56% ±5 within 30s`";
    let [status_text, percent, tolerance, rest @ ..] = words else {
        return problem(
            "`@expect status` needs a status, a share and a tolerance",
            HELP,
        );
    };
    let Some(status) = status_text.parse().ok().filter(|s| (100..600).contains(s)) else {
        return problem(
            format!("`{status_text}` is no HTTP status from 100 to 599"),
            HELP,
        );
    };
    let (percent, tolerance) = around(percent, tolerance, HELP)?;
    let status = Traffic::Status {
        status,
        percent,
        tolerance,
    };
    Ok(Claim::Traffic(status, scope(rest)?))
}

/// `10% ±5`: a share and its tolerance.
fn around(percent: &str, tolerance: &str, help: &str) -> Result<(f64, f64), Problem> {
    let share = percentage(percent, help)?;
    let Some(points) = tolerance
        .strip_prefix('±')
        .or_else(|| tolerance.strip_prefix("+-"))
    else {
        return problem(format!("`{tolerance}` is no tolerance such as `±5`"), help);
    };
    let tolerance = number(points.trim_end_matches('%'), help)?;
    if tolerance < 1.0 {
        return problem(
            "a tolerance under one percentage point would need a hundred thousand samples",
            "use ±1 or more; `all` claims every answer",
        );
    }
    Ok((share, tolerance))
}

/// `10%`.
fn percentage(text: &str, help: &str) -> Result<f64, Problem> {
    match text.strip_suffix('%') {
        Some(text) => number(text, help),
        None => problem(format!("`{text}` is no share: the `%` is missing"), help),
    }
}

fn number(text: &str, help: &str) -> Result<f64, Problem> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        _ => problem(format!("`{text}` is no percentage from 0 to 100"), help),
    }
}

fn all_or_none(
    word: &str,
    words: &[&str],
    claim: impl FnOnce(Look) -> Traffic,
) -> Result<Claim, Problem> {
    let [look_text, rest @ ..] = words else {
        return problem(
            format!("`@expect {word}` needs a key"),
            format!("write for example `@expect {word} smiley=HeartEyes within 10s`"),
        );
    };
    Ok(Claim::Traffic(claim(look(look_text)?), scope(rest)?))
}

fn errors(words: &[&str]) -> Result<Claim, Problem> {
    const HELP: &str = "write for example `@expect errors < 1% within 30s`";
    let ["<", percent, rest @ ..] = words else {
        return problem("`@expect errors` needs `<` and a share", HELP);
    };
    let below = percentage(percent, HELP)?;
    if below < 0.1 {
        return problem(
            "a share under 0.1 % would need ten thousand samples",
            "use 0.1% or more; `all` claims every answer",
        );
    }
    Ok(Claim::Traffic(Traffic::Errors { below }, scope(rest)?))
}

fn latency(words: &[&str]) -> Result<Claim, Problem> {
    const HELP: &str = "write for example `@expect latency p95 < 300ms within 30s`";
    let [quantile_text, "<", below_text, rest @ ..] = words else {
        return problem("`@expect latency` needs a quantile, `<` and a time", HELP);
    };
    let quantile = quantile_text
        .strip_prefix('p')
        .and_then(|percent| percent.parse::<f64>().ok())
        .filter(|percent| (1.0..=99.9).contains(percent));
    let Some(quantile) = quantile else {
        return problem(
            format!("`{quantile_text}` is no quantile from p1 to p99.9"),
            HELP,
        );
    };
    let Some(below) = seconds(below_text).filter(|time| !time.is_zero()) else {
        return problem(
            format!("`{below_text}` is no time such as `300ms` or `2s`"),
            HELP,
        );
    };
    let latency = Traffic::Latency {
        quantile: quantile / 100.0,
        below,
    };
    Ok(Claim::Traffic(latency, scope(rest)?))
}

fn look(text: &str) -> Result<Look, Problem> {
    const HELP: &str = "write for example `smiley=HeartEyes`, or `smiley=HeartEyes,color=green`";
    let mut look = Look::default();
    for pair in text.split(',') {
        let Some((key, value)) = pair.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            return problem(format!("`{pair}` is no KEY=VALUE"), HELP);
        };
        let place = match key {
            "smiley" => {
                let mut names = Smiley::ALL.iter().map(|(_, name, ..)| *name);
                if !names.clone().any(|name| name == value) {
                    let names: Vec<&str> = names.by_ref().collect();
                    let message = format!("there is no smiley `{value}`");
                    return problem(message, format!("one of {}", names.join(", ")));
                }
                &mut look.smiley
            }
            "color" => {
                if Rgb::parse(value).is_none() {
                    return problem(
                        format!("there is no colour `{value}`"),
                        "use blue, green, darkblue, red, yellow, purple, grey, white, black or #RRGGBB",
                    );
                }
                &mut look.color
            }
            "pod" => &mut look.pod,
            key => {
                return problem(
                    format!("an answer has no `{key}`: it has smiley, color and pod"),
                    HELP,
                );
            }
        };
        if place.replace(value.to_owned()).is_some() {
            return problem(
                format!("`{key}` stands there twice, and no answer has two"),
                HELP,
            );
        }
    }
    Ok(look)
}

/// Of two that contradict each other, one would count without a word.
fn once(words: &[&str]) -> Result<(), Problem> {
    let key = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
    for (index, word) in words.iter().enumerate() {
        let key = key(word);
        let is_option = ["within", "cells", "user", "-n", "--namespace"].contains(&key.as_str());
        let again = words[index + 1..]
            .iter()
            .any(|later| later.split('=').next() == Some(&key));
        if is_option && again {
            return problem(
                format!("`{key}` stands there twice"),
                "leave one of them out",
            );
        }
    }
    Ok(())
}

fn scope(words: &[&str]) -> Result<Scope, Problem> {
    let mut scope = Scope {
        asked: Asked {
            cells: Cells::All,
            user: None,
        },
        within: WITHIN,
    };
    once(words)?;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, word.split_once('=')) {
            ("cells=edge", _) => scope.asked.cells = Cells::Edge,
            ("cells=center" | "cells=centre", _) => scope.asked.cells = Cells::Center,
            (_, Some(("user", user))) if !user.is_empty() => {
                scope.asked.user = (user != "-").then(|| user.into());
            }
            ("within", _) => scope.within = time(words.next())?,
            _ => {
                return problem(
                    format!("`{word}` is not understood here"),
                    "what may follow is cells=edge, cells=center, user=NAME and within 30s",
                );
            }
        }
    }
    Ok(scope)
}

/// The time behind `within`.
fn time(word: Option<&&str>) -> Result<Duration, Problem> {
    let text = word.copied().unwrap_or("");
    match seconds(text) {
        Some(time) => Ok(time),
        None => problem(
            format!("`{text}` is no time such as `30s`"),
            "write `within 30s`",
        ),
    }
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

    fn traffic(text: &str) -> (Traffic, Scope) {
        match parse(text).unwrap().claim {
            Claim::Traffic(traffic, scope) => (traffic, scope),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn claims_about_traffic_are_understood() {
        let (claim, scope) =
            traffic("share smiley=HeartEyes,color=green 10% ±5 cells=edge user=heart within 20s");
        let look = Look {
            smiley: Some("HeartEyes".into()),
            color: Some("green".into()),
            pod: None,
        };
        let (percent, tolerance) = (10.0, 5.0);
        assert_eq!(
            claim,
            Traffic::Share {
                look,
                percent,
                tolerance
            }
        );
        assert_eq!(scope.asked.cells, Cells::Edge);
        assert_eq!(scope.asked.user.as_deref(), Some("heart"));
        assert_eq!(scope.within, Duration::from_secs(20));

        let pod = Look {
            pod: Some("face".into()),
            ..Look::default()
        };
        let status = Traffic::Status {
            status: 504,
            percent: 56.0,
            tolerance: 5.0,
        };
        let latency = Traffic::Latency {
            quantile: 0.95,
            below: Duration::from_millis(300),
        };
        for (text, expected) in [
            ("all pod=face", Traffic::All(pod.clone())),
            ("none pod=face user=-", Traffic::None(pod)),
            ("errors < 0.5%", Traffic::Errors { below: 0.5 }),
            ("status 504 56% +-5", status),
            ("latency p95 < 300ms", latency),
        ] {
            let (claim, scope) = traffic(text);
            assert_eq!(claim, expected, "{text}");
            assert_eq!((scope.asked.user, scope.within), (None, WITHIN), "{text}");
        }
    }

    #[test]
    fn other_claims_are_understood() {
        assert!(matches!(parse("exit 3").unwrap().claim, Claim::Exit(3)));
        for (text, matches) in [
            ("output /hel+o wor/", true),
            ("output /^two$/", true),
            ("output /TWO/i", true),
            ("output /TWO/", false),
            ("output /a\\/b/", false),
        ] {
            let Claim::Output(regex) = parse(text).unwrap().claim else {
                panic!("{text}");
            };
            assert_eq!(regex.is_match("hello world\ntwo\n"), matches, "{text}");
        }
        let Claim::Condition(condition) =
            parse("condition gtw/ingress Programmed=False -n x within 3s")
                .unwrap()
                .claim
        else {
            panic!();
        };
        let expected = Condition {
            kind: "gtw".into(),
            name: "ingress".into(),
            namespace: Some("x".into()),
            condition: "Programmed".into(),
            status: "False".into(),
            within: Duration::from_secs(3),
        };
        assert_eq!(condition, expected);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("", "needs a claim"),
            ("shares x", "does not know `shares`"),
            ("share smiley=Hearteyes 10% ±5", "no smiley `Hearteyes`"),
            ("share color=gren 10% ±5", "no colour `gren`"),
            ("share size=1 10% ±5", "no `size`"),
            ("share pod=a,pod=b 10% ±5", "twice"),
            ("share smiley 10% ±5", "no KEY=VALUE"),
            ("share smiley=HeartEyes 10 ±5", "`%` is missing"),
            ("share smiley=HeartEyes 110% ±5", "no percentage"),
            ("share smiley=HeartEyes 10% 5", "no tolerance"),
            ("share smiley=HeartEyes 10% ±0.5", "hundred thousand"),
            ("share smiley=HeartEyes 10% ±5 within soon", "no time"),
            ("share smiley=HeartEyes 10% ±5 user=", "not understood"),
            ("all", "needs a key"),
            ("none", "`@expect none` needs a key"),
            ("errors 1%", "needs `<`"),
            ("errors < 0%", "ten thousand"),
            ("status 504", "needs a status"),
            ("status 99 1% ±1", "no HTTP status"),
            ("latency p95 300ms", "needs a quantile"),
            ("latency p100 < 300ms", "no quantile"),
            ("latency p95 < 0s", "no time"),
            ("condition gateway Programmed", "no KIND/NAME"),
            (
                "condition gateway/x Programmed=Yes",
                "True, False or Unknown",
            ),
            ("condition gateway/x Programmed soon", "not understood"),
            ("output hello", "between slashes"),
            ("output //", "between slashes"),
            ("output /(/", "no regular expression: unclosed group"),
            ("exit 256", "0 to 255"),
            ("exit -1", "0 to 255"),
            (
                "all smiley=Grinning within 1s within 2s",
                "`within` stands there twice",
            ),
            (
                "all smiley=Grinning user=a user=b",
                "`user` stands there twice",
            ),
            ("condition a/b C -n x -n y", "`-n` stands there twice"),
            ("exit", "one exit status"),
            ("exit one", "one exit status"),
        ] {
            let message = parse(text).unwrap_err().message;
            assert!(message.contains(named), "{text}: {message}");
        }
    }
}
