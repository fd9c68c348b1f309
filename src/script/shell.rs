//! Reading shell: a shell script, or the inside of a `bash` fence.

use super::complete::is_complete;
use super::{Diagnostic, Element, Reader, Severity};

/// Where shell ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At the end of the file.
    End,
    /// At a closing fence, which is taken.
    Fence,
}

/// Reads elements until the end; an element still open there is delivered as it is.
pub fn read(reader: &mut Reader<'_>, until: Until) {
    let mut open: Option<(usize, String)> = None;
    while let Some((index, line)) = reader.peek() {
        reader.next += 1;
        let ends = until == Until::Fence && line.trim() == "```";
        if ends
            && !open
                .as_ref()
                .is_some_and(|(_, text)| goes_on_after_fence(reader, text))
        {
            break;
        }
        let (start, text) = match open.take() {
            Some((start, text)) => (start, format!("{text}\n{line}")),
            None if line.trim().is_empty() => {
                reader.push(index, Element::Blank);
                continue;
            }
            None => (index, line.to_owned()),
        };
        if start == index
            && let Some(directive) = line.trim_start().strip_prefix("#@")
        {
            let column_zero = line.starts_with("#@");
            // demosh takes an indented directive for a command that is a comment.
            if column_zero {
                reader.directive(index, directive);
            } else {
                reader.push(index, Element::Comment(line.to_owned()));
            }
            continue;
        }
        if text.trim_start().starts_with('#') && !line.trim_end().ends_with('\\') {
            reader.push(start, Element::Comment(text));
        } else if text.trim_start().starts_with('#') || !is_complete(&text) {
            open = Some((start, text));
        } else {
            reader.push(start, Element::Command(text));
        }
    }
    match open {
        Some((start, _)) if until == Until::Fence => {
            let diagnostic = Diagnostic {
                severity: Severity::Error,
                location: reader.location(start),
                column: 1,
                source: reader.lines[start].to_owned(),
                message: "this command is not complete where its fence ends".to_owned(),
                help: "close its quote, heredoc, bracket, loop or condition inside the fence"
                    .to_owned(),
            };
            reader.diagnostics.push(diagnostic);
        }
        Some((start, text)) => reader.push(start, Element::Command(text)),
        None => {}
    }
}

/// True if a line of three backquotes belongs to a heredoc: it ends before the next such line.
fn goes_on_after_fence(reader: &Reader<'_>, text: &str) -> bool {
    if !text.contains("<<") {
        return false;
    }
    let mut text = format!("{text}\n```");
    for line in reader.lines[reader.next..]
        .iter()
        .take_while(|l| l.trim() != "```")
    {
        text.push('\n');
        text.push_str(line);
        if is_complete(&text) {
            return true;
        }
    }
    false
}
