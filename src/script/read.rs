//! A file's lines to its parts: each line is in exactly one part, none is lost.

use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity};
use super::{Location, Syntax, markdown, shell};

/// Macros and ifhooks may stand in one another this deep.
const DEEPEST: usize = 8;

/// A part of a file and the lines it takes, counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its lines.
    pub lines: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a part is, before names are known.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Front matter, a fence, or a directive that makes no sense: nothing to do.
    Nothing,
    /// Markdown between fences and directives, with its newlines.
    Prose(String),
    /// A comment of shell, with its `#`.
    Comment(String),
    /// An empty line of shell.
    Blank,
    /// What bash gets.
    Command(String),
    /// The words after `@`.
    Directive(String),
    /// `@import PATH`.
    Import(String),
    /// `@hook NAME VARIABLE`.
    Hook {
        /// The function that it makes.
        name: String,
        /// `DEMO_HOOK_` and this is where its body comes from.
        variable: String,
    },
    /// `@macro NAME` … `@end`.
    Macro {
        /// What calls it.
        name: String,
        /// Its body.
        body: Vec<Part>,
    },
    /// `@ifhook NAME` … `@endif`.
    IfHook {
        /// The hook that decides.
        name: String,
        /// What runs if it is set.
        body: Vec<Part>,
    },
}

/// Reads a file from line `skipped` on; what comes before is front matter.
pub fn read(
    file: &Arc<str>,
    lines: &[&str],
    skipped: usize,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Part> {
    let mut reader = Reader {
        file,
        lines,
        base: 0,
        place: Place::File,
        next: skipped,
        parts: Vec::new(),
        diagnostics,
    };
    if skipped > 0 {
        reader.push(0, Kind::Nothing);
    }
    match Syntax::of(file) {
        Syntax::Markdown => markdown::read(&mut reader),
        Syntax::Shell => shell::read(&mut reader, shell::Until::End),
    }
    reader.parts
}

/// Lines being turned into parts.
pub(super) struct Reader<'a, 'd> {
    pub(super) file: &'a Arc<str>,
    pub(super) lines: &'a [&'a str],
    /// The number of the first of `lines` in its file.
    base: usize,
    pub(super) place: Place,
    pub(super) next: usize,
    parts: Vec<Part>,
    diagnostics: &'d mut Vec<Diagnostic>,
}

/// Where lines stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file: directives that act when it is read begin in the first column.
    File,
    /// In a macro or an ifhook, where they may be indented.
    Body,
}

impl<'a> Reader<'a, '_> {
    /// The next line and its index, without taking it.
    pub(super) fn peek(&self) -> Option<(usize, &'a str)> {
        self.lines.get(self.next).map(|line| (self.next, *line))
    }

    /// Adds a part of the lines from `start` to those that were taken last.
    pub(super) fn push(&mut self, start: usize, kind: Kind) {
        let lines = self.base + start..self.base + self.next;
        self.parts.push(Part { lines, kind });
    }

    /// Says what is wrong with a line, and what to do, from byte `at` on.
    pub(super) fn report(
        &mut self,
        index: usize,
        at: usize,
        severity: Severity,
        texts: (String, &str),
    ) {
        let source = self.lines[index];
        self.diagnostics.push(Diagnostic {
            severity,
            location: Location {
                file: self.file.clone(),
                line: self.base + index + 1,
            },
            column: source[..at].chars().count() + 1,
            source: source.to_owned(),
            message: texts.0,
            help: texts.1.to_owned(),
        });
    }

    /// Takes a directive that stands on the line before `next`, from its text after `@`.
    pub(super) fn directive(&mut self, index: usize, text: &str) {
        let word = text.split_whitespace().next().unwrap_or("");
        let rest = text.trim_start()[word.len()..].trim();
        let at = self.lines[index].find(word).unwrap_or(0);
        // demosh wants the word in the first place: `#@ import x` is a command there.
        let kind = match word {
            "import" if rest.is_empty() => {
                self.report(
                    index,
                    at,
                    Severity::Error,
                    (
                        "`@import` needs a path".to_owned(),
                        "write `@import demosh/demo-tools.sh`",
                    ),
                );
                Kind::Nothing
            }
            "import" => Kind::Import(rest.to_owned()),
            "hook" => self.hook(index, at, rest),
            "macro" | "ifhook" => return self.block(index, at, word, rest),
            _ => Kind::Directive(text.trim().to_owned()),
        };
        self.push(index, kind);
    }

    fn hook(&mut self, index: usize, at: usize, rest: &str) -> Kind {
        let mut words = rest.split_whitespace();
        let (name, variable) = (words.next().unwrap_or(""), words.next());
        let is_name = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        };
        match (variable, words.next()) {
            (Some(variable), None) if is_name(name) && is_name(variable) => Kind::Hook {
                name: name.to_owned(),
                variable: variable.to_owned(),
            },
            _ => {
                self.report(
                    index,
                    at,
                    Severity::Error,
                    (
                        "`@hook` needs the name of a function and of a variable".to_owned(),
                        "write `@hook show_slides SLIDES`: its body is then $DEMO_HOOK_SLIDES",
                    ),
                );
                Kind::Nothing
            }
        }
    }

    /// A macro or ifhook with its body: raw lines up to its end, read as shell.
    fn block(&mut self, index: usize, at: usize, word: &str, name: &str) {
        let end = if word == "macro" { "end" } else { "endif" };
        if name.is_empty() {
            self.report(
                index,
                at,
                Severity::Error,
                (
                    format!("`@{word}` needs a name"),
                    "write its name behind it",
                ),
            );
            return self.push(index, Kind::Nothing);
        }
        let Some(length) = self.body_length(word, end) else {
            self.report(
                index,
                at,
                Severity::Error,
                (
                    format!("`@{word} {name}` is never closed"),
                    if word == "macro" {
                        "end it with a line `#@end`, without indentation"
                    } else {
                        "end it with a line `#@endif`, without indentation"
                    },
                ),
            );
            return self.push(index, Kind::Nothing);
        };
        let (start, stop) = (self.next, self.next + length);
        let body = without_indent(&self.lines[start..stop]);
        let mut inner = Reader {
            file: self.file,
            lines: &body,
            base: self.base + start,
            place: Place::Body,
            next: 0,
            parts: Vec::new(),
            diagnostics: self.diagnostics,
        };
        // A body in a comment of Markdown that has fences is Markdown; raw lines are shell.
        let in_comment = self.lines[index].starts_with("<!--");
        if in_comment
            && inner
                .lines
                .iter()
                .any(|line| markdown::is_shell_fence(line))
        {
            markdown::read(&mut inner);
        } else {
            shell::read(&mut inner, shell::Until::End);
        }
        let body = inner.parts;
        self.next = stop + 1;
        let name = name.to_owned();
        self.push(
            index,
            match word {
                "macro" => Kind::Macro { name, body },
                _ => Kind::IfHook { name, body },
            },
        );
    }

    /// The number of lines before the end that belongs to a block; blocks of its kind nest.
    fn body_length(&self, word: &str, end: &str) -> Option<usize> {
        let mut depth: usize = 1;
        for (index, line) in self.lines[self.next..].iter().enumerate() {
            let line = match self.place {
                Place::File => line,
                Place::Body => line.trim_start(),
            };
            let Some(text) = directive_text(line) else {
                continue;
            };
            let text = text.trim();
            if text == end {
                depth -= 1;
            } else if text.split_whitespace().next() == Some(word) {
                depth += 1;
            }
            match depth {
                0 => return Some(index),
                1..=DEEPEST => {}
                _ => return None,
            }
        }
        None
    }
}

/// The lines without the indentation that the first of them has: what stands deeper, such as a
/// heredoc's YAML, keeps its own.
fn without_indent<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let first = lines.iter().find(|line| !line.trim().is_empty());
    let width = first.map_or(0, |line| indent(line));
    lines
        .iter()
        .map(|line| &line[width.min(indent(line))..])
        .collect()
}

/// The text after `@` of a directive that begins in the first column, in shell or Markdown.
pub(super) fn directive_text(line: &str) -> Option<&str> {
    let text = line
        .strip_prefix("#@")
        .or_else(|| line.strip_prefix("<!-- @"))?;
    Some(text.trim_end().trim_end_matches("-->"))
}
