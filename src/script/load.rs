//! A script out of its files: imports in their place, macros, hooks, and what each name means.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity};
use super::pages::into_pages;
use super::read::{self, Kind, Part};
use super::resolve::{Drafts, resolve};
use super::{Directive, Element, Front, Location, Placed, Script, Syntax, front};

/// Footlights' own macros, which a script may define anew.
const BUILTINS: &str = include_str!("../../assets/script/builtins.sh");

/// So many imports at most: two that each import two, and so on, would be endless.
const MOST: usize = 1_000;

/// Imports go no deeper than this.
const DEEPEST: usize = 32;

/// A file's name, as shown to users, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// As shown.
    pub file: String,
    /// Where it is.
    pub path: String,
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
    /// Who plays it.
    pub place: Place,
    /// Finds an import: its path as written, and that of the file that imports it. An error says why
    /// not.
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
    /// A user: an article starts shown.
    Outermost,
    /// Another script: it starts hidden, whatever it is.
    Nested,
}

impl Loading<'static> {
    /// One file and nothing else.
    pub fn alone(file: &str, text: &str) -> Self {
        Loading {
            main: Source {
                file: file.to_owned(),
                path: file.to_owned(),
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
        demosh: None,
    };
    if loading.builtins == Builtins::Present {
        let source = Source {
            file: "(builtin)".to_owned(),
            path: String::new(),
            text: BUILTINS.to_owned(),
        };
        loader.file(&source);
    }
    let init = loading
        .init
        .as_ref()
        .map_or_else(Vec::new, |init| loader.file(init).1);
    loader.demosh = None;
    let (front, main) = loader.file(&loading.main);
    loader.finish(front, init, main)
}

/// A part in its file, with nothing left to load.
pub(super) struct Draft {
    pub(super) location: Location,
    pub(super) kind: DraftKind,
}

pub(super) enum DraftKind {
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
    /// Where the first directive of demosh's that acts now is.
    demosh: Option<Location>,
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
        self.open.push(source.path.clone());
        let drafts = self.drafts(&file, parts);
        self.open.pop();
        (front, drafts)
    }

    fn drafts(&mut self, file: &Arc<str>, parts: Vec<Part>) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for Part { lines: range, kind } in parts {
            let location = Location {
                file: file.clone(),
                line: range.start + 1,
            };
            let acts_now = matches!(
                kind,
                Kind::Import(_) | Kind::Hook { .. } | Kind::Macro { .. } | Kind::IfHook { .. }
            );
            if acts_now {
                self.demosh.get_or_insert_with(|| location.clone());
            }
            let kind = match kind {
                Kind::Nothing | Kind::Blank => continue,
                Kind::Import(path) => {
                    drafts.extend(self.import(&path, &location));
                    continue;
                }
                Kind::Hook { name, variable } => {
                    let body = (self.loading.variable)(&format!("DEMO_HOOK_{variable}"));
                    self.hooks.insert(name, body.filter(|b| !b.is_empty()));
                    continue;
                }
                Kind::Macro { name, body } => {
                    let body = self.drafts(file, body);
                    self.macros.insert(name, (location, body));
                    continue;
                }
                Kind::IfHook { name, body } => DraftKind::IfHook {
                    name,
                    body: self.drafts(file, body),
                },
                kind => DraftKind::Plain(kind),
            };
            drafts.push(Draft { location, kind });
        }
        drafts
    }

    fn import(&mut self, path: &str, location: &Location) -> Vec<Draft> {
        let importer = self.open.last().map_or("", String::as_str);
        let fault = match (self.loading.find)(path, importer) {
            Err(why) => format!("the import cannot be read: {why}"),
            Ok(found) if self.open.contains(&found.path) => {
                format!("{} imports itself", found.file)
            }
            Ok(_) if self.open.len() > DEEPEST || self.imported.len() >= MOST => {
                format!("imports are more than {DEEPEST} deep or {MOST} in all")
            }
            Ok(found) => {
                let drafts = self.file(&found).1;
                self.imported.push(found);
                return drafts;
            }
        };
        self.diagnostics.push(Diagnostic {
            severity: Severity::Error,
            location: location.clone(),
            column: 1,
            source: String::new(),
            message: fault,
            help: "a path is looked for from the working directory, then from the importing file"
                .to_owned(),
        });
        Vec::new()
    }

    fn finish(self, front: Front, init: Vec<Draft>, main: Vec<Draft>) -> Script {
        let file: Arc<str> = self.loading.main.file.as_str().into();
        let is_markdown = Syntax::of(&file) == Syntax::Markdown;
        let may_be_article = is_markdown && self.loading.place == Place::Outermost;
        let resolved = resolve(Drafts {
            init,
            main,
            macros: self.macros,
            hooks: self.hooks.keys().cloned().collect(),
            diagnostics: self.diagnostics,
        });
        let demosh = self.demosh.or(resolved.demosh);
        let article = may_be_article && demosh.is_none();
        let main = match article {
            true => into_pages(&file, resolved.main),
            false => resolved.main,
        };
        let elements = match resolved.init {
            init if init.is_empty() => main,
            init => init.into_iter().chain(main).collect(),
        };
        let mut diagnostics = resolved.diagnostics;
        if let Some(location) = demosh.filter(|_| may_be_article && !has_show(&elements)) {
            diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                location,
                column: 1,
                source: String::new(),
                message: "with this directive the script starts hidden, and nothing shows it"
                    .to_owned(),
                help: "write `<!-- @SHOW -->` where the audience begins to see".to_owned(),
            });
        }
        let given = self.loading.init.iter().chain([&self.loading.main]);
        quote_sources(&mut diagnostics, given.chain(&self.imported));
        diagnostics.sort_by(|a, b| {
            let place = |d: &Diagnostic| (d.location.file.clone(), d.location.line);
            place(a).cmp(&place(b))
        });
        Script {
            file,
            front,
            elements: Arc::new(elements),
            macros: resolved.macros,
            hooks: self.hooks,
            article,
            diagnostics,
        }
    }
}

/// True if `@SHOW` stands in a list or in an ifhook of it.
fn has_show(elements: &[Placed]) -> bool {
    elements.iter().any(|placed| match &placed.element {
        Element::Directive(directive) => *directive == Directive::Show,
        Element::IfHook { body, .. } => has_show(body),
        _ => false,
    })
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
