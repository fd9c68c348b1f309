//! Reading Markdown by lines: fences of shell, directives in comments, and prose (DEMOSH.md 3).

use super::shell::{self, Until};
use super::{Diagnostic, Element, Reader, Severity};

/// Reads a Markdown file.
pub fn read(reader: &mut Reader<'_>) {
    let mut prose: Option<(usize, String)> = None;
    while let Some((index, line)) = reader.peek() {
        if is_shell_fence(line) {
            flush(reader, prose.take());
            reader.next += 1;
            check_closed(reader, index);
            shell::read(reader, Until::Fence);
        } else if let Some(rest) = line.strip_prefix("<!-- @") {
            flush(reader, prose.take());
            reader.next += 1;
            let text = rest.replace("-->", "");
            reader.directive(index, text.trim());
        } else {
            reader.next += 1;
            let (_, text) = prose.get_or_insert_with(|| (index, String::new()));
            text.push_str(line);
            text.push('\n');
        }
    }
    flush(reader, prose);
}

fn flush(reader: &mut Reader<'_>, prose: Option<(usize, String)>) {
    if let Some((start, text)) = prose {
        let element = if text.trim().is_empty() {
            Element::Blank
        } else {
            Element::Prose(text)
        };
        reader.push(start, element);
    }
}

/// Three backquotes in column 0, followed at once by `bash`, `sh` or `shell`.
fn is_shell_fence(line: &str) -> bool {
    line.strip_prefix("```").is_some_and(|info| {
        let word = info.split_whitespace().next().unwrap_or("");
        !info.starts_with(char::is_whitespace) && ["bash", "sh", "shell"].contains(&word)
    })
}

fn check_closed(reader: &mut Reader<'_>, index: usize) {
    let closed = reader.lines[reader.next..]
        .iter()
        .any(|l| l.trim() == "```");
    if !closed {
        let diagnostic = Diagnostic {
            severity: Severity::Error,
            location: reader.location(index),
            column: 1,
            source: reader.lines[index].to_owned(),
            message: "this fence is never closed".to_owned(),
            help: "add a line of three backquotes after its last command".to_owned(),
        };
        reader.diagnostics.push(diagnostic);
    }
}
