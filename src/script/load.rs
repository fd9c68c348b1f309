//! A script out of its files: imports in their place, macros, hooks, and what each name means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity};
use super::directive::{self, Directive};
use super::read::{self, Kind, Part};
use super::{
    Command, Element, Front, Location, Placed, Role, Script, Syntax, front, heading, names,
};

/// Footlights' own macros, which a script may define anew.
const BUILTINS: &str = include_str!("../../assets/script/builtins.sh");

/// Unassigned in Unicode, for private use.
const HASH: &str = "\u{f0023}";

/// Imports go no deeper than this.
const DEEPEST: usize = 32;

/// A file's name, as shown to users, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// As shown.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// What a script is made of.
pub struct Loading<'a> {
    /// The script itself.
    pub main: Source,
    /// The init file, whose elements come first.
    pub init: Option<Source>,
    /// Whether Footlights' own macros are there.
    pub builtins: Builtins,
    /// A nested script never starts shown.
    pub place: Place,
    /// Finds an import: its path as written, and the file that imports it. An error says why not.
    pub find: &'a dyn Fn(&str, &str) -> Result<Source, String>,
    /// The variables of the environment that the show begins with.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// Whether Footlights' own macros are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtins {
    /// They are.
    Present,
    /// `--no-builtins`.
    Absent,
}

/// Who plays a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A user.
    Outermost,
    /// Another script.
    Nested,
}

impl Loading<'static> {
    /// One file and nothing else.
    pub fn alone(file: &str, text: &str) -> Self {
        Loading {
            main: Source {
                file: file.to_owned(),
                text: text.to_owned(),
            },
            init: None,
            builtins: Builtins::Present,
            place: Place::Outermost,
            find: &|path, _| Err(format!("{path} cannot be read here")),
            variable: &|_| None,
        }
    }
}

/// Reads a script.
pub fn load(loading: &Loading<'_>) -> Script {
    let mut loader = Loader {
        loading,
        open: Vec::new(),
        imported: Vec::new(),
        macros: BTreeMap::new(),
        hooks: BTreeMap::new(),
        diagnostics: Vec::new(),
        has_demosh: false,
    };
    if loading.builtins == Builtins::Present {
        let source = Source {
            file: "(builtin)".to_owned(),
            text: BUILTINS.to_owned(),
        };
        loader.file(&source);
    }
    let init = loading
        .init
        .as_ref()
        .map_or_else(Vec::new, |init| loader.file(init).1);
    loader.has_demosh = false;
    let (front, main) = loader.file(&loading.main);
    loader.finish(front, init, main)
}

/// A part in its file, with nothing left to load.
struct Draft {
    location: Location,
    kind: DraftKind,
}

enum DraftKind {
    Plain(Kind),
    IfHook { name: String, body: Vec<Draft> },
}

struct Loader<'a> {
    loading: &'a Loading<'a>,
    /// The files that are being read, from the outermost in.
    open: Vec<String>,
    imported: Vec<Source>,
    macros: BTreeMap<String, (Location, Vec<Draft>)>,
    hooks: BTreeMap<String, Option<String>>,
    diagnostics: Vec<Diagnostic>,
    has_demosh: bool,
}

impl Loader<'_> {
    fn file(&mut self, source: &Source) -> (Front, Vec<Draft>) {
        let file: Arc<str> = source.file.as_str().into();
        let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
        let mut lines: Vec<&str> = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .collect();
        // A final newline ends the last line; it does not begin another.
        if lines.last() == Some(&"") {
            lines.pop();
        }
        let (front, skipped) = match Syntax::of(&source.file) {
            Syntax::Markdown => front::read(&file, &lines, &mut self.diagnostics),
            Syntax::Shell => (Front::default(), 0),
        };
        let parts = read::read(&file, &lines, skipped, &mut self.diagnostics);
        self.open.push(source.file.clone());
        let drafts = self.drafts(&file, &lines, parts);
        self.open.pop();
        (front, drafts)
    }

    fn drafts(&mut self, file: &Arc<str>, lines: &[&str], parts: Vec<Part>) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for Part { lines: range, kind } in parts {
            let location = Location {
                file: file.clone(),
                line: range.start + 1,
            };
            self.has_demosh |= matches!(
                kind,
                Kind::Import(_) | Kind::Hook { .. } | Kind::Macro { .. } | Kind::IfHook { .. }
            );
            let kind = match kind {
                Kind::Nothing | Kind::Blank => continue,
                Kind::Import(path) => {
                    drafts.extend(self.import(&path, &location, lines[range.start]));
                    continue;
                }
                Kind::Hook { name, variable } => {
                    let body = (self.loading.variable)(&format!("DEMO_HOOK_{variable}"));
                    self.hooks.insert(name, body.filter(|b| !b.is_empty()));
                    continue;
                }
                Kind::Macro { name, body } => {
                    let body = self.drafts(file, lines, body);
                    self.macros.insert(name, (location, body));
                    continue;
                }
                Kind::IfHook { name, body } => DraftKind::IfHook {
                    name,
                    body: self.drafts(file, lines, body),
                },
                kind => DraftKind::Plain(kind),
            };
            drafts.push(Draft { location, kind });
        }
        drafts
    }

    fn import(&mut self, path: &str, location: &Location, source: &str) -> Vec<Draft> {
        let fault = match (self.loading.find)(path, &location.file) {
            Err(why) => format!("the import cannot be read: {why}"),
            Ok(found) if self.open.contains(&found.file) => {
                format!("{} imports itself", found.file)
            }
            Ok(_) if self.open.len() > DEEPEST => "imports are nested too deeply".to_owned(),
            Ok(found) => {
                let drafts = self.file(&found).1;
                self.imported.push(found);
                return drafts;
            }
        };
        let at = source.find(path).unwrap_or(0);
        self.diagnostics.push(Diagnostic {
            severity: Severity::Error,
            location: location.clone(),
            column: source[..at].chars().count() + 1,
            source: source.to_owned(),
            message: fault,
            help: "a path is looked for from the working directory, then from the importing file"
                .to_owned(),
        });
        Vec::new()
    }

    fn finish(mut self, front: Front, init: Vec<Draft>, main: Vec<Draft>) -> Script {
        let macros = std::mem::take(&mut self.macros);
        let mut functions = BTreeSet::new();
        gather_functions(&init, &mut functions);
        gather_functions(&main, &mut functions);
        for (_, body) in macros.values() {
            gather_functions(body, &mut functions);
        }
        let mut names = Names {
            macros: macros.keys().cloned().collect(),
            functions,
            hooks: self.hooks.keys().cloned().collect(),
            looked_at: BTreeSet::new(),
            diagnostics: self.diagnostics,
            has_demosh: false,
        };
        let init = names.resolve(init);
        names.has_demosh = self.has_demosh;
        let main_elements = names.resolve(main);
        let is_markdown = Syntax::of(&self.loading.main.file) == Syntax::Markdown;
        let outermost = self.loading.place == Place::Outermost;
        let article = is_markdown && outermost && !names.has_demosh;
        let mut bodies = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (name, (location, body)) in macros {
            bodies.insert(name.clone(), names.resolve(body).into());
            places.insert(name, location);
        }
        names.check_recursion(&bodies, &places);
        let file: Arc<str> = self.loading.main.file.as_str().into();
        let elements = if article {
            init.into_iter()
                .chain(into_pages(&file, main_elements))
                .collect()
        } else {
            init.into_iter().chain(main_elements).collect::<Vec<_>>()
        };
        let mut diagnostics = names.diagnostics;
        let given = self.loading.init.iter().chain([&self.loading.main]);
        quote_sources(&mut diagnostics, given.chain(&self.imported));
        diagnostics.sort_by(|a, b| {
            let place = |d: &Diagnostic| (d.location.file.clone(), d.location.line);
            place(a).cmp(&place(b))
        });
        diagnostics.retain(|d| &*d.location.file != "(builtin)");
        Script {
            file,
            front,
            elements: elements.into(),
            macros: bodies,
            hooks: self.hooks,
            article,
            diagnostics,
        }
    }
}

/// Adds the source lines to diagnostics that were made without; their column is the directive's word.
fn quote_sources<'a>(diagnostics: &mut [Diagnostic], sources: impl Iterator<Item = &'a Source>) {
    for source in sources {
        let bare = |d: &&mut Diagnostic| d.source.is_empty() && *d.location.file == source.file;
        let mut bare = diagnostics.iter_mut().filter(bare).peekable();
        if bare.peek().is_none() {
            continue;
        }
        let lines: Vec<&str> = source.text.lines().collect();
        for diagnostic in bare {
            let line = lines.get(diagnostic.location.line - 1).unwrap_or(&"");
            let word = line.find('@').map_or(0, |at| at + 1);
            diagnostic.column = line[..word].chars().count() + 1;
            diagnostic.source = (*line).to_owned();
        }
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

/// What names mean in a script: its own win over Footlights' directives.
struct Names {
    macros: BTreeSet<String>,
    functions: BTreeSet<String>,
    hooks: BTreeSet<String>,
    /// Unknown words that have been looked at: one warning each.
    looked_at: BTreeSet<String>,
    diagnostics: Vec<Diagnostic>,
    has_demosh: bool,
}

impl Names {
    fn resolve(&mut self, drafts: Vec<Draft>) -> Vec<Placed> {
        let mut placed = Vec::with_capacity(drafts.len());
        let mut only: Vec<Location> = Vec::new();
        for Draft { location, kind } in drafts {
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
                help: "end it with `@end`".to_owned(),
            };
            self.report(&location, Severity::Error, problem);
        }
        placed
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
                ("print", _) => Role::Print(printed(text.trim_start()[5..].trim())),
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
                let meta = matches!(&element, Element::Command(_));
                let demoshs = matches!(&element, Element::Directive(d) if d.is_demosh());
                self.has_demosh |= meta || demoshs;
                if let Element::Command(Command {
                    role: Role::Bash, ..
                }) = &element
                {
                    self.warn_if_near(&text, location);
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

    /// An unknown word is a command, as with demosh; one that is nearly a directive may be a slip.
    fn warn_if_near(&mut self, text: &str, location: &Location) {
        let word = text.split_whitespace().next().unwrap_or("");
        if self.is_own(word)
            || names::is_assignment(text)
            || !self.looked_at.insert(word.to_owned())
        {
            return;
        }
        let known = directive::WORDS.iter().copied();
        let macros: Vec<&str> = self.macros.iter().map(String::as_str).collect();
        let near = known
            .chain(macros)
            .map(|candidate| (distance(word, candidate), candidate))
            .min_by_key(|(distance, _)| *distance);
        let Some((distance, near)) = near else {
            return;
        };
        let exact_but_more = distance == 0 && word != text;
        if exact_but_more && directive::flag(word).is_some() {
            let problem = directive::Problem {
                message: format!("`@{word}` takes no words, so this runs the command `{word}`"),
                help: format!("write `@{word}` alone"),
            };
            return self.report(location, Severity::Warning, problem);
        }
        // Short words are near to everything: `rm`, `cd`, `ls` are commands.
        if (1..=2).contains(&distance) && word.len() > 2 * distance {
            let problem = directive::Problem {
                message: format!("`@{word}` is no directive, so it is run as a command"),
                help: format!("did you mean `@{near}`?"),
            };
            self.report(location, Severity::Warning, problem);
        }
    }

    /// A macro that calls itself, directly or through others, would never end.
    fn check_recursion(
        &mut self,
        bodies: &BTreeMap<String, Arc<[Placed]>>,
        places: &BTreeMap<String, Location>,
    ) {
        let calls: BTreeMap<&str, BTreeSet<String>> = bodies
            .iter()
            .map(|(name, body)| {
                let mut called = BTreeSet::new();
                gather_calls(body, &mut called);
                (name.as_str(), called)
            })
            .collect();
        for name in calls.keys() {
            let mut reached: BTreeSet<&str> = BTreeSet::new();
            let mut open: Vec<&str> = vec![name];
            while let Some(next) = open.pop() {
                for called in calls.get(next).into_iter().flatten() {
                    if reached.insert(called) {
                        open.push(called);
                    }
                }
            }
            if reached.contains(name) {
                let problem = directive::Problem {
                    message: format!("the macro `{name}` calls itself"),
                    help: "take the call out of it, or out of a macro that it calls".to_owned(),
                };
                self.report(&places[*name], Severity::Error, problem);
            }
        }
    }
}

fn gather_calls(body: &[Placed], called: &mut BTreeSet<String>) {
    for placed in body {
        match &placed.element {
            Element::Command(Command {
                role: Role::Macro(name),
                ..
            }) => {
                called.insert(name.clone());
            }
            Element::IfHook { body, .. } => gather_calls(body, called),
            _ => {}
        }
    }
}

/// How far a word is from another; all letters in the wrong case are one slip.
fn distance(word: &str, candidate: &str) -> usize {
    let as_written = strsim::damerau_levenshtein(word, candidate);
    let in_any_case = strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase());
    in_any_case + usize::from(as_written > in_any_case)
}

/// Words split as the shell does, joined by blanks; as they stand if they cannot be split.
fn printed(text: &str) -> String {
    // `#` begins no comment here; a character that nobody prints stands in for it meanwhile.
    let text = text.replace('#', HASH);
    let words = shlex::split(&text).map(|words| words.join(" "));
    words.unwrap_or(text).replace(HASH, "#")
}

/// Shows an article, cuts its prose at its headings, and turns the page at each but the first.
fn into_pages(file: &Arc<str>, elements: Vec<Placed>) -> Vec<Placed> {
    let begin = Location {
        file: file.clone(),
        line: 1,
    };
    let mut pages = vec![Placed {
        location: begin,
        element: Element::Directive(Directive::Show),
    }];
    let mut has_page = false;
    for placed in elements {
        let Element::Prose(text) = &placed.element else {
            pages.push(placed);
            continue;
        };
        for (offset, part) in split_at_headings(text) {
            let location = Location {
                file: placed.location.file.clone(),
                line: placed.location.line + offset,
            };
            if has_page && heading(&part).is_some_and(|(level, _)| level <= 2) {
                pages.push(Placed {
                    location: location.clone(),
                    element: Element::Directive(Directive::Page),
                });
            }
            has_page = true;
            pages.push(Placed {
                location,
                element: Element::Prose(part),
            });
        }
    }
    pages
}

/// The parts of a chunk, each with the number of lines before it. Fences hide their `#`.
fn split_at_headings(text: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    let mut in_fence = false;
    let mut only_blanks = true;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        let starts = !in_fence && heading(line).is_some();
        match parts.last_mut() {
            Some((_, part)) if !starts || only_blanks => part.push_str(line),
            _ => {
                parts.push((index, line.to_owned()));
                only_blanks = true;
            }
        }
        only_blanks &= line.trim().is_empty();
    }
    parts
}
