//! Reading Markdown by lines: fences of shell, directives in comments, and prose (DEMOSH.md 3).

use super::Severity;
use super::read::{Kind, Reader};
use super::shell::{self, Until};

/// Reads a Markdown file.
pub(super) fn read(reader: &mut Reader<'_, '_>) {
    let mut prose: Option<(usize, String)> = None;
    let mut other_fence: Option<&str> = None;
    while let Some((index, line)) = reader.peek() {
        let runs = is_shell_fence(line);
        if runs || line.starts_with("<!-- @") {
            flush(reader, prose.take());
        }
        reader.next += 1;
        if runs {
            reader.push(index, Kind::Nothing);
            check_closed(reader, index);
            shell::read(reader, Until::Fence);
        } else if line.starts_with("<!-- @") {
            // On one line demosh makes one directive of several comments, and of what follows them.
            let text = line.replace("<!-- @", "#@").replace("-->", "");
            reader.directive(index, text.trim().trim_start_matches("#@"));
        } else {
            check_unseen(reader, index, line, other_fence.is_some());
            toggle(&mut other_fence, line);
            let (_, text) = prose.get_or_insert_with(|| (index, String::new()));
            text.push_str(line);
            text.push('\n');
        }
    }
    flush(reader, prose);
}

fn flush(reader: &mut Reader<'_, '_>, prose: Option<(usize, String)>) {
    if let Some((start, text)) = prose {
        let kind = if text.trim().is_empty() {
            Kind::Blank
        } else {
            Kind::Prose(text)
        };
        reader.push(start, kind);
    }
}

/// Three backquotes in column 0, followed at once by `bash`, `sh` or `shell`.
fn is_shell_fence(line: &str) -> bool {
    line.strip_prefix("```").is_some_and(|info| {
        let word = info.split_whitespace().next().unwrap_or("");
        !info.starts_with(char::is_whitespace) && ["bash", "sh", "shell"].contains(&word)
    })
}

/// Follows fences that are prose: directives in them are examples, and nothing to warn of.
fn toggle<'a>(fence: &mut Option<&'a str>, line: &'a str) {
    let line = line.trim_start();
    let marks = ["```", "~~~"];
    match fence {
        Some(open) if line.starts_with(*open) => *fence = None,
        Some(_) => {}
        None => *fence = marks.into_iter().find(|mark| line.starts_with(mark)),
    }
}

/// A fence that is not closed, or not before the next one is opened, would run prose.
fn check_closed(reader: &mut Reader<'_, '_>, index: usize) {
    let rest = &reader.lines[reader.next..];
    let end = rest.iter().find(|l| l.trim() == "```" || is_shell_fence(l));
    if end.is_none_or(|line| is_shell_fence(line)) {
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
}

/// A comment that looks like a directive and is none: demosh would not see it, nor do we.
fn check_unseen(reader: &mut Reader<'_, '_>, index: usize, line: &str, in_fence: bool) {
    let Some(start) = line.find("<!--") else {
        return;
    };
    let after = line[start + 4..].trim_start().trim_start_matches('#');
    let looks = after
        .strip_prefix('@')
        .is_some_and(|word| word.starts_with(char::is_alphabetic));
    let code = in_fence || line[..start].contains('`');
    if looks && !code {
        reader.report(
            index,
            start,
            Severity::Warning,
            (
                "this is a comment and no directive".to_owned(),
                "a directive begins its line with `<!-- @`, with one blank and nothing before",
            ),
        );
    }
}
