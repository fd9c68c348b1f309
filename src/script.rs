//! Scripts: annotated Markdown or shell, read line by line into elements.
//!
//! Pure. Reading follows DEMOSH.md: lines decide, not CommonMark, so that directives which a
//! CommonMark parser would swallow keep working.
//!
//! ```text
//! text ──read (markdown, shell, complete)──> parts of a file
//!      ──load (imports, macros, hooks)─────> Script, names resolved, all diagnostics
//!      ──walk──────────────────────────────> what is shown and run, in order: engine and plan
//! ```

pub mod complete;
pub mod diagnostic;
pub mod directive;
pub mod expect;
pub mod front;
pub mod interpolate;
pub mod load;
mod manifest_fence;
mod markdown;
pub mod names;
mod pages;
pub mod read;
mod resolve;
mod shell;
pub mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use diagnostic::{Diagnostic, Severity};
pub use directive::Directive;
pub use expect::Expectation;
pub use front::Front;

/// A place in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as given by the user.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A piece of a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// Markdown between fences and directives, with its newlines.
    Prose(String),
    /// A comment of a shell script or a `bash` fence, with its `#`.
    Comment(String),
    /// Something that is executed.
    Command(Command),
    /// A directive that is not executed.
    Directive(Directive),
    /// What runs if a hook is set.
    IfHook {
        /// The hook.
        name: String,
        /// What runs.
        body: Arc<Vec<Placed>>,
    },
}

/// Something that is executed, from a fence or from a directive.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// As written; a directive's without its `@`.
    pub text: String,
    /// Who executes it.
    pub role: Role,
    /// From a directive: never shown, never waited for.
    pub meta: bool,
}

/// Who executes a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// bash.
    Bash,
    /// The body of the macro of that name.
    Macro(String),
    /// Footlights plays another script: what stands behind `$SHELL`.
    Nested(String),
    /// Footlights applies a manifest by itself.
    Apply(Manifest),
    /// The words are printed.
    Print(String),
    /// The stage is cleared.
    Clear,
    /// A pause: `@wait`.
    Wait,
    /// Nobody: a bare `wait`.
    Nobody,
    /// It is typed and not run: `#$ …`.
    Typed,
}

/// What `@apply` applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// A file, from the working directory; `${NAME}` in it is what the shell has.
    File(String),
    /// What stands in the script.
    Fence {
        /// Its YAML.
        yaml: String,
        /// The line of the script that it begins on.
        line: usize,
        /// What is in it, for people.
        title: String,
    },
}

/// An element and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Its first line.
    pub location: Location,
    /// What it is.
    pub element: Element,
}

/// Markdown (`.md`, any case) or shell (anything else).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Prose with fences.
    Markdown,
    /// Commands with comments.
    Shell,
}

impl Syntax {
    /// By the file's name.
    pub fn of(path: &str) -> Self {
        let markdown = path
            .rsplit_once('.')
            .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("md"));
        if markdown {
            Syntax::Markdown
        } else {
            Syntax::Shell
        }
    }
}

/// A script that has been read.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file, as given by the user.
    pub file: Arc<str>,
    /// What the front matter says.
    pub front: Front,
    /// The elements, in order, imports in their place.
    pub elements: Arc<Vec<Placed>>,
    /// The bodies of macros; the last definition of a name counts for all calls.
    pub macros: BTreeMap<String, Arc<Vec<Placed>>>,
    /// Hooks: the body of each, none if its variable is not set.
    pub hooks: BTreeMap<String, Option<String>>,
    /// An article without demosh directives starts shown, a page a heading.
    pub article: bool,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

impl Script {
    /// True if it must not be run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// What a shell is told before the first element: the functions of the hooks.
    pub fn prologue(&self) -> Vec<String> {
        self.hooks
            .iter()
            .map(|(name, body)| format!("{name}() {{ {}\n}}", body.as_deref().unwrap_or(":;")))
            .collect()
    }
}

/// Reads one script: no imports, no init file, no hooks set.
pub fn parse(file: &str, text: &str) -> Script {
    load::load(&load::Loading::alone(file, text))
}

/// The heading that a chunk of prose begins with: its level and text. Both of Markdown's forms.
pub fn heading(text: &str) -> Option<(usize, String)> {
    let mut lines = text.lines().skip_while(|l| l.trim().is_empty());
    let line = lines.next()?;
    let level = line.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&level) {
        let title = line[level..].strip_prefix(' ')?.trim();
        // Closing signs are no part of it.
        let bare = title.trim_end_matches('#');
        let title = match bare.ends_with(' ') {
            true => bare.trim_end(),
            false => title,
        };
        return Some((level, title.to_owned()));
    }
    let level = lines.next().and_then(underline)?;
    let is_text = line.starts_with(char::is_alphanumeric);
    is_text.then(|| (level, line.trim().to_owned()))
}

/// The level of the heading that a line underlines.
fn underline(line: &str) -> Option<usize> {
    let line = line.trim_end();
    let is = |mark: u8| line.len() >= 3 && line.bytes().all(|b| b == mark);
    if is(b'=') {
        Some(1)
    } else if is(b'-') {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
