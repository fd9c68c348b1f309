//! What each name in a script means, once all of it has been read: macros, hooks, functions and
//! directives.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity};
use super::directive::{self, Directive};
use super::load::{Draft, DraftKind};
use super::read::Kind;
use super::{Command, Element, Location, Manifest, Placed, Role, manifest_fence, names};

/// A slip is at most so many letters away.
const FARTHEST: usize = 2;
/// A script with more unknown words than this is not written by hand.
const MOST_LOOKED_AT: usize = 1_000;
/// Unassigned in Unicode, for private use.
const HASH: &str = "\u{f0023}";

/// What has been read, with nothing resolved.
pub(super) struct Drafts {
    /// Of the init file.
    pub(super) init: Vec<Draft>,
    /// Of the script.
    pub(super) main: Vec<Draft>,
    /// Of macros, by name, and where each is defined.
    pub(super) macros: BTreeMap<String, (Location, Vec<Draft>)>,
    /// The names of hooks.
    pub(super) hooks: BTreeSet<String>,
    /// What is wrong so far.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// What it means.
pub(super) struct Resolved {
    /// The init file's elements.
    pub(super) init: Vec<Placed>,
    /// The script's.
    pub(super) main: Vec<Placed>,
    /// Those of macros.
    pub(super) macros: BTreeMap<String, Arc<Vec<Placed>>>,
    /// Where the script has its first directive of demosh's.
    pub(super) demosh: Option<Location>,
    /// All that is wrong.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Finds out what each name means.
pub(super) fn resolve(drafts: Drafts) -> Resolved {
    let mut functions = BTreeSet::new();
    gather_functions(&drafts.init, &mut functions);
    gather_functions(&drafts.main, &mut functions);
    for (_, body) in drafts.macros.values() {
        gather_functions(body, &mut functions);
    }
    let mut names = Names {
        macros: drafts.macros.keys().cloned().collect(),
        functions,
        hooks: drafts.hooks,
        looked_at: BTreeMap::new(),
        diagnostics: drafts.diagnostics,
        demosh: None,
    };
    let init = names.resolve(drafts.init);
    names.demosh = None;
    let main = names.resolve(drafts.main);
    let demosh = names.demosh.take();
    let mut macros = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (name, (location, body)) in drafts.macros {
        macros.insert(name.clone(), names.resolve(body).into());
        places.insert(name, location);
    }
    names.check_recursion(&macros, &places);
    Resolved {
        init,
        main,
        macros,
        demosh,
        diagnostics: names.diagnostics,
    }
}

fn gather_functions(drafts: &[Draft], functions: &mut BTreeSet<String>) {
    for draft in drafts {
        match &draft.kind {
            DraftKind::Plain(Kind::Command(text)) => {
                functions.extend(names::function_name(text).map(str::to_owned));
            }
            DraftKind::Plain(_) => {}
            DraftKind::IfHook { body, .. } => gather_functions(body, functions),
        }
    }
}

/// The names of a script: its own win over Footlights' directives.
struct Names {
    macros: BTreeSet<String>,
    functions: BTreeSet<String>,
    hooks: BTreeSet<String>,
    /// Unknown words that have been looked at, and whether each is a slip: one warning each.
    looked_at: BTreeMap<String, bool>,
    diagnostics: Vec<Diagnostic>,
    /// Where the first directive of demosh's is.
    demosh: Option<Location>,
}

impl Names {
    fn resolve(&mut self, drafts: Vec<Draft>) -> Vec<Placed> {
        let mut placed = Vec::with_capacity(drafts.len());
        let mut only: Vec<Location> = Vec::new();
        let mut drafts = VecDeque::from(drafts);
        while let Some(Draft { location, kind }) = drafts.pop_front() {
            let element = match kind {
                DraftKind::IfHook { name, body } => Element::IfHook {
                    name,
                    body: self.resolve(body).into(),
                },
                DraftKind::Plain(Kind::Prose(text)) => Element::Prose(text),
                DraftKind::Plain(Kind::Comment(text)) if text.starts_with("#$") => {
                    Element::Command(Command {
                        text,
                        role: Role::Typed,
                        meta: false,
                    })
                }
                DraftKind::Plain(Kind::Comment(text)) => Element::Comment(text),
                DraftKind::Plain(Kind::Command(text)) => Element::Command(self.command(text)),
                DraftKind::Plain(Kind::Directive(text))
                    if text == "apply"
                        && !self.macros.contains("apply")
                        && !self.is_own("apply") =>
                {
                    let Some((fence, command)) = self.apply_fence(&location, &mut drafts) else {
                        continue;
                    };
                    placed.push(fence);
                    Element::Command(command)
                }
                DraftKind::Plain(Kind::Directive(text)) => {
                    let Some(element) = self.directive(text, &location, &only) else {
                        continue;
                    };
                    element
                }
                DraftKind::Plain(_) => continue,
            };
            match &element {
                Element::Directive(Directive::Only(_)) => only.push(location.clone()),
                Element::Directive(Directive::End) => drop(only.pop()),
                _ => {}
            }
            placed.push(Placed { location, element });
        }
        for location in only {
            let problem = directive::Problem {
                message: "`@only` is never closed".to_owned(),
                help: "end it with `<!-- @end -->`, or `#@end` in a fence".to_owned(),
            };
            self.report(&location, Severity::Error, problem);
        }
        placed
    }

    /// `@apply` alone: takes the YAML fence off the prose that comes next.
    fn apply_fence(
        &mut self,
        location: &Location,
        drafts: &mut VecDeque<Draft>,
    ) -> Option<(Placed, Command)> {
        let next = drafts.front_mut();
        let (text, place) = match next {
            Some(Draft {
                location,
                kind: DraftKind::Plain(Kind::Prose(text)),
            }) => (text, location),
            _ => (&mut String::new(), &mut location.clone()),
        };
        match manifest_fence::split(text, place.line) {
            Ok(split) => {
                let fence = Placed {
                    location: place.clone(),
                    element: Element::Prose(split.fence),
                };
                let (rest, lines) = split.rest;
                *text = rest;
                place.line += lines;
                let command = Command {
                    text: "apply".to_owned(),
                    role: Role::Apply(split.manifest),
                    meta: false,
                };
                Some((fence, command))
            }
            Err(problem) => {
                self.report(location, Severity::Error, problem);
                None
            }
        }
    }

    fn report(&mut self, location: &Location, severity: Severity, problem: directive::Problem) {
        self.diagnostics.push(Diagnostic {
            severity,
            location: location.clone(),
            column: 1,
            source: String::new(),
            message: problem.message,
            help: problem.help,
        });
    }

    /// A command of a fence or of a shell script.
    fn command(&self, text: String) -> Command {
        let word = names::first_word(&text).unwrap_or_default();
        let role = if self.macros.contains(&word) {
            Role::Macro(word)
        } else if self.is_own(&word) {
            Role::Bash
        } else if let Some(rest) = names::nested_script(&text) {
            Role::Nested(rest.to_owned())
        } else {
            match (word.as_str(), text.trim()) {
                (_, "wait") => Role::Nobody,
                (_, "clear") => Role::Clear,
                ("print", text) if text.starts_with("print") => {
                    Role::Print(printed(text[5..].trim()))
                }
                _ => Role::Bash,
            }
        };
        Command {
            text,
            role,
            meta: false,
        }
    }

    fn is_own(&self, word: &str) -> bool {
        self.functions.contains(word) || self.hooks.contains(word)
    }

    /// A directive; none if there is something wrong with it.
    fn directive(
        &mut self,
        text: String,
        location: &Location,
        only: &[Location],
    ) -> Option<Element> {
        let found = self.find_directive(&text, only);
        match found {
            Ok(element) => {
                // A slip in one of our own directives does not make an article demosh's.
                let demoshs = match &element {
                    Element::Command(Command {
                        role: Role::Bash, ..
                    }) => !self.is_a_slip(&text, location),
                    Element::Command(Command {
                        role: Role::Apply(_),
                        ..
                    }) => false,
                    Element::Command(_) => true,
                    Element::Directive(directive) => directive.is_demosh(),
                    _ => false,
                };
                if demoshs {
                    self.demosh.get_or_insert_with(|| location.clone());
                }
                Some(element)
            }
            Err(problem) => {
                self.report(location, Severity::Error, problem);
                None
            }
        }
    }

    fn find_directive(&self, text: &str, only: &[Location]) -> Result<Element, directive::Problem> {
        if let Some(flag) = directive::flag(text) {
            return Ok(Element::Directive(flag));
        }
        let word = names::first_word(text).unwrap_or_else(|| {
            text.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        });
        let rest = text.strip_prefix(&word).unwrap_or("").trim();
        let own = self.macros.contains(&word) || self.is_own(&word);
        if word == "apply" && !own {
            if rest.starts_with('-') {
                return Err(directive::Problem {
                    message: format!("`@apply` takes a file, and no option such as `{rest}`"),
                    help: "write `<!-- @apply FILE -->`, or run `kubectl apply` with it".to_owned(),
                });
            }
            return Ok(Element::Command(Command {
                text: text.to_owned(),
                role: Role::Apply(Manifest::File(rest.to_owned())),
                meta: false,
            }));
        }
        let role = match word.as_str() {
            _ if self.macros.contains(&word) => Role::Macro(word.clone()),
            _ if own => Role::Bash,
            // demosh does not wait when words follow; its authors meant to.
            "wait" => Role::Wait,
            "print" => Role::Print(printed(rest)),
            _ if text == "clear" => Role::Clear,
            "end" if only.is_empty() => Role::Bash,
            word => match directive::parse(word, rest)? {
                Some(directive) => return Ok(Element::Directive(directive)),
                None => match names::nested_script(text) {
                    Some(rest) => Role::Nested(rest.to_owned()),
                    None => Role::Bash,
                },
            },
        };
        Ok(Element::Command(Command {
            text: text.to_owned(),
            role,
            meta: true,
        }))
    }

    /// An unknown word is a command, as with demosh; one that is nearly a directive may be a slip, and
    /// then there is a warning.
    fn is_a_slip(&mut self, text: &str, location: &Location) -> bool {
        let word = text.split_whitespace().next().unwrap_or("");
        if self.is_own(word) || names::is_assignment(text) {
            return false;
        }
        if let Some(known) = self.looked_at.get(word) {
            return *known;
        }
        if self.looked_at.len() > MOST_LOOKED_AT {
            return false;
        }
        self.looked_at.insert(word.to_owned(), true);
        let problem = match word {
            "end" | "endif" => directive::Problem {
                message: format!("there is nothing that this `@{word}` ends"),
                help: "`@end` ends `@macro` and `@only`, `@endif` ends `@ifhook`".to_owned(),
            },
            word if directive::flag(word).is_some() => directive::Problem {
                message: format!("`@{word}` takes no words, so this runs the command `{word}`"),
                help: format!("write `@{word}` alone"),
            },
            word => match self.nearest(word) {
                Some(near) => directive::Problem {
                    message: format!("`@{word}` is no directive, so it is run as a command"),
                    help: format!("did you mean `@{near}`?"),
                },
                None => {
                    self.looked_at.insert(word.to_owned(), false);
                    return false;
                }
            },
        };
        self.report(location, Severity::Warning, problem);
        true
    }

    /// The directive or macro that a word is nearly. Short words are near to everything: `rm`, `cd`,
    /// `ls` are commands.
    fn nearest(&self, word: &str) -> Option<String> {
        let known = directive::WORDS.iter().copied();
        let macros = self.macros.iter().map(String::as_str);
        let (distance, near) = known
            .chain(macros)
            .filter(|candidate| candidate.len().abs_diff(word.len()) <= FARTHEST)
            .filter(|candidate| !is_longer_name(word, candidate))
            .map(|candidate| (distance(word, candidate), candidate))
            .min_by_key(|(distance, _)| *distance)?;
        let is_near = (1..=FARTHEST).contains(&distance) && word.len() > 2 * distance;
        is_near.then(|| near.to_owned())
    }

    /// A macro that calls itself, directly or through others, would never end.
    fn check_recursion(
        &mut self,
        bodies: &BTreeMap<String, Arc<Vec<Placed>>>,
        places: &BTreeMap<String, Location>,
    ) {
        let calls: BTreeMap<&str, Vec<&str>> = bodies
            .iter()
            .map(|(name, body)| (name.as_str(), calls_in(body)))
            .collect();
        for name in closing_calls(&calls) {
            let problem = directive::Problem {
                message: format!("the macro `{name}` calls itself"),
                help: "take the call out of it, or out of a macro that it calls".to_owned(),
            };
            self.report(&places[name], Severity::Error, problem);
        }
    }
}

/// Names whose calls lead back to themselves: at least one of each circle.
fn closing_calls<'a>(calls: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut closing = BTreeSet::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in calls.keys() {
        // The way from `start`, with how many calls of each name have been followed.
        let mut way: Vec<(&str, usize)> = vec![(start, 0)];
        let mut on_way: BTreeSet<&str> = BTreeSet::from([*start]);
        while let Some((name, followed)) = way.last_mut() {
            let name = *name;
            let next = calls.get(name).and_then(|called| called.get(*followed));
            *followed += 1;
            match next {
                _ if done.contains(name) => {
                    on_way.remove(name);
                    way.pop();
                }
                Some(next) if on_way.contains(next) => drop(closing.insert(*next)),
                Some(next) if calls.contains_key(next) => {
                    on_way.insert(next);
                    way.push((next, 0));
                }
                Some(_) => {}
                None => {
                    done.insert(name);
                    on_way.remove(name);
                    way.pop();
                }
            }
        }
    }
    closing
}

/// The macros that a body calls.
fn calls_in(body: &[Placed]) -> Vec<&str> {
    body.iter()
        .flat_map(|placed| match &placed.element {
            Element::Command(Command {
                role: Role::Macro(name),
                ..
            }) => vec![name.as_str()],
            Element::IfHook { body, .. } => calls_in(body),
            _ => Vec::new(),
        })
        .collect()
}

/// `show_5` is a name of its own, and no slip of `SHOW`.
fn is_longer_name(word: &str, candidate: &str) -> bool {
    let rest = word.to_lowercase();
    let rest = rest.strip_prefix(&candidate.to_lowercase());
    rest.is_some_and(|rest| rest.starts_with('_'))
}

/// How far a word is from another; all letters in the wrong case are one slip.
fn distance(word: &str, candidate: &str) -> usize {
    let as_written = strsim::damerau_levenshtein(word, candidate);
    let in_any_case = strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase());
    in_any_case.max(usize::from(as_written > 0))
}

/// Words split as the shell does, joined by blanks; as they stand if they cannot be split.
fn printed(text: &str) -> String {
    // `#` begins no comment here; a character that nobody prints stands in for it meanwhile.
    let text = text.replace('#', HASH);
    let words = shlex::split(&text).map(|words| words.join(" "));
    words.unwrap_or(text).replace(HASH, "#")
}
