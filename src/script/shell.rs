//! Reading shell: a shell script, a macro's body, or the inside of a `bash` fence (DEMOSH.md 2).

use super::Severity;
use super::complete::Scan;
use super::markdown::is_shell_fence;
use super::read::{Kind, Place, Reader};

/// Where shell ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// At the end of the lines.
    End,
    /// At a closing fence, which is taken.
    Fence,
}

/// Lines that are not yet an element.
struct Pending {
    start: usize,
    text: String,
    scan: Scan,
    /// A heredoc's text has opened a fence of its own.
    inner_fence: bool,
}

/// Reads elements until the end; an element still open there is delivered as it is.
pub(super) fn read(reader: &mut Reader<'_, '_>, until: Until) {
    let mut pending: Option<Pending> = None;
    let first = reader.next.saturating_sub(1);
    while let Some((index, line)) = reader.peek() {
        let is_fence = match until {
            Until::Fence => is_closing_fence(line),
            // A shell script has no fences; what begins like one was not meant for bash.
            Until::End => line.trim_start().starts_with("```"),
        };
        let is_kept = pending.as_mut().is_some_and(|p| p.keeps_fence(line));
        if is_fence && until == Until::Fence && !is_kept {
            // What is open ends here; prose is never taken for code.
            deliver(reader, pending.take(), until);
            reader.next += 1;
            return reader.push(index, Kind::Nothing);
        }
        if until == Until::Fence && pending.is_none() && is_shell_fence(line) {
            // Another one begins: prose between them would have been run.
            return unclosed(reader, first);
        }
        reader.next += 1;
        pending = match pending.take() {
            Some(mut open) => {
                open.text.push('\n');
                open.text.push_str(line);
                settle(reader, open, line)
            }
            None if is_fence => {
                reader.report(
                    index,
                    0,
                    Severity::Warning,
                    (
                        "a fence in a shell script means nothing".to_owned(),
                        "take it out, or give the file a name that ends in `.md`",
                    ),
                );
                reader.push(index, Kind::Nothing);
                None
            }
            None => begin(reader, index, line),
        };
    }
    deliver(reader, pending, until);
    if until == Until::Fence {
        unclosed(reader, first);
    }
}

/// Begins an element with a line; what is left open, if it is not whole.
fn begin(reader: &mut Reader<'_, '_>, index: usize, line: &str) -> Option<Pending> {
    if line.trim().is_empty() {
        reader.push(index, Kind::Blank);
        return None;
    }
    if let Some(directive) = line.trim_start().strip_prefix("#@") {
        let indented = line.starts_with(char::is_whitespace) && reader.place == Place::File;
        if indented && acts_when_read(directive) {
            let message = "an indented directive of this kind is only a comment".to_owned();
            let help = "`@import`, `@hook`, `@macro` and `@ifhook` begin in the first column";
            reader.report(index, 0, Severity::Warning, (message, help));
            reader.push(index, Kind::Nothing);
        } else {
            reader.directive(index, directive);
        }
        return None;
    }
    let text = match reader.place {
        Place::File => line,
        Place::Body => line.trim_start(),
    };
    let open = Pending {
        start: index,
        text: text.to_owned(),
        scan: Scan::default(),
        inner_fence: false,
    };
    settle(reader, open, line)
}

/// Pushes an element to which a line has been added, if it is whole; gives it back if it is not.
fn settle(reader: &mut Reader<'_, '_>, mut open: Pending, line: &str) -> Option<Pending> {
    if open.goes_on(line) {
        return Some(open);
    }
    reader.push(open.start, kind(open.text));
    None
}

/// Three backquotes or more, and nothing else.
fn is_closing_fence(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 3 && line.bytes().all(|b| b == b'`')
}

fn unclosed(reader: &mut Reader<'_, '_>, index: usize) {
    reader.report(
        index,
        0,
        Severity::Error,
        (
            "this fence is never closed".to_owned(),
            "add a line of three backquotes after its last command",
        ),
    );
}

impl Pending {
    /// Takes the line that was added; true if more has to come.
    fn goes_on(&mut self, line: &str) -> bool {
        if is_comment(&self.text) {
            return line.trim_end().ends_with('\\');
        }
        self.scan.feed(line);
        self.scan.is_open()
    }

    /// True if a line belongs to a heredoc that writes Markdown: what opens a fence there closes it.
    fn keeps_fence(&mut self, line: &str) -> bool {
        if !self.scan.in_heredoc() {
            return false;
        }
        if is_closing_fence(line) && self.inner_fence {
            self.inner_fence = false;
            return true;
        }
        self.inner_fence |= line.trim_start().starts_with("```") && !is_closing_fence(line);
        false
    }
}

/// Directives that act when the script is read.
fn acts_when_read(directive: &str) -> bool {
    let word = directive.split_whitespace().next();
    word.is_some_and(|word| ["import", "hook", "macro", "ifhook"].contains(&word))
}

fn is_comment(text: &str) -> bool {
    text.trim_start().starts_with('#')
}

fn kind(text: String) -> Kind {
    if is_comment(&text) {
        Kind::Comment(text)
    } else {
        Kind::Command(text)
    }
}

/// Delivers what is still open; what bash would wait for is an error, a last backslash is not.
fn deliver(reader: &mut Reader<'_, '_>, pending: Option<Pending>, until: Until) {
    let Some(Pending {
        start, text, scan, ..
    }) = pending
    else {
        return;
    };
    let missing = scan.missing();
    if !is_comment(&text) && (missing.is_some() || until == Until::Fence && scan.is_open()) {
        let place = match until {
            Until::Fence => "its fence ends",
            Until::End => "the file ends",
        };
        let missing = missing.map_or(String::new(), |what| format!(": `{what}` is missing"));
        reader.report(
            start,
            0,
            Severity::Error,
            (
                format!("this command is not complete where {place}{missing}"),
                "close its quote, heredoc, bracket, loop or condition",
            ),
        );
    }
    reader.push(start, kind(text));
}
