//! Scripts: annotated Markdown or shell, read line by line into elements.
//!
//! Pure. Reading follows DEMOSH.md: lines decide, not CommonMark, so that directives which a
//! CommonMark parser would swallow keep working. A script is never half read: all diagnostics are
//! found at once.

pub mod complete;
pub mod diagnostic;
pub mod directive;
pub mod expect;
pub mod front;
mod markdown;
mod shell;

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
    /// An empty line of shell.
    Blank,
    /// What bash gets.
    Command(String),
    /// `<!-- @word … -->` or `#@word …`.
    Directive(Directive),
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
    /// The elements, in order.
    pub elements: Vec<Placed>,
    /// An article without demosh directives starts shown, a page a heading.
    pub article: bool,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

impl Script {
    /// True if it must not be run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error)
    }

    /// The title: of the front matter, else the first heading, else the file's name.
    pub fn title(&self) -> String {
        if let Some(title) = &self.front.title {
            return title.clone();
        }
        let heading = self
            .elements
            .iter()
            .find_map(|placed| match &placed.element {
                Element::Prose(text) => heading(text).map(|(_, title)| title),
                _ => None,
            });
        heading.unwrap_or_else(|| {
            let name = self.file.rsplit('/').next().unwrap_or(&self.file);
            name.to_owned()
        })
    }
}

/// Reads a script.
pub fn parse(file: &str, text: &str) -> Script {
    let file: Arc<str> = file.into();
    let mut diagnostics = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .collect();
    // A final newline ends the last line; it does not begin another.
    let lines = match lines.split_last() {
        Some((&"", rest)) => rest,
        _ => &lines[..],
    };
    let (front, skipped) = front::read(&file, lines, &mut diagnostics);
    let syntax = Syntax::of(&file);
    let mut reader = Reader {
        file: file.clone(),
        lines,
        next: skipped,
        elements: Vec::new(),
        diagnostics,
    };
    match syntax {
        Syntax::Markdown => markdown::read(&mut reader),
        Syntax::Shell => shell::read(&mut reader, shell::Until::End),
    }
    let demosh = reader
        .elements
        .iter()
        .any(|p| matches!(&p.element, Element::Directive(d) if d.is_demosh()));
    let article = syntax == Syntax::Markdown && !demosh;
    let elements = if article {
        into_pages(reader.elements)
    } else {
        reader.elements
    };
    Script {
        file,
        front,
        elements,
        article,
        diagnostics: reader.diagnostics,
    }
}

/// The heading that a chunk of prose begins with: its level and text.
pub fn heading(text: &str) -> Option<(usize, String)> {
    let line = text.lines().find(|l| !l.trim().is_empty())?;
    let level = line.bytes().take_while(|b| *b == b'#').count();
    let title = line[level..].strip_prefix(' ')?.trim();
    (1..=6).contains(&level).then(|| (level, title.to_owned()))
}

/// Cuts an article's prose at its headings, and turns the page at each but the first.
fn into_pages(elements: Vec<Placed>) -> Vec<Placed> {
    let mut pages: Vec<Placed> = Vec::new();
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
            let has_page = pages.iter().any(|p| matches!(p.element, Element::Prose(_)));
            if has_page && heading(&part).is_some_and(|(level, _)| level <= 2) {
                pages.push(Placed {
                    location: location.clone(),
                    element: Element::Directive(Directive::Page),
                });
            }
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
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        let starts = !in_fence && heading(line).is_some();
        match parts.last_mut() {
            Some((_, part)) if !starts || part.trim().is_empty() => part.push_str(line),
            _ => parts.push((index, line.to_owned())),
        }
    }
    parts
}

/// Lines being turned into elements.
struct Reader<'a> {
    file: Arc<str>,
    lines: &'a [&'a str],
    next: usize,
    elements: Vec<Placed>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    /// The next line and its index, without taking it.
    fn peek(&self) -> Option<(usize, &'a str)> {
        self.lines.get(self.next).map(|line| (self.next, *line))
    }

    fn push(&mut self, index: usize, element: Element) {
        let location = self.location(index);
        self.elements.push(Placed { location, element });
    }

    fn location(&self, index: usize) -> Location {
        Location {
            file: self.file.clone(),
            line: index + 1,
        }
    }

    /// Adds a directive from its text after `@`.
    fn directive(&mut self, index: usize, text: &str) {
        let line = self.lines[index];
        let column = line
            .find(text)
            .map_or(1, |at| line[..at].chars().count() + 1);
        match directive::parse(text) {
            Ok(directive) => self.push(index, Element::Directive(directive)),
            Err(problem) => self.diagnostics.push(Diagnostic {
                severity: Severity::Error,
                location: self.location(index),
                column,
                source: line.to_owned(),
                message: problem.message,
                help: problem.help,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
