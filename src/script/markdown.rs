//! Reading Markdown by lines: fences of shell, directives in comments, and prose (DEMOSH.md 3).

use super::Severity;
use super::read::{Kind, Reader};
use super::shell::{self, Until};

/// Reads a Markdown file.
pub(super) fn read(reader: &mut Reader<'_, '_>) {
    let mut prose: Option<(usize, String)> = None;
    let mut other_fence = OtherFence::default();
    while let Some((index, line)) = reader.peek() {
        let runs = is_shell_fence(line);
        if runs || line.starts_with("<!-- @") {
            flush(reader, prose.take());
        }
        reader.next += 1;
        if runs {
            reader.push(index, Kind::Nothing);
            check_example(reader, index, &other_fence);
            shell::read(reader, Until::Fence);
        } else if line.starts_with("<!-- @") {
            check_example(reader, index, &other_fence);
            // On one line demosh makes one directive of several comments, and of what follows them.
            let text = line.replace("<!-- @", "#@").replace("-->", "");
            reader.directive(index, text.trim().trim_start_matches("#@"));
        } else {
            if !other_fence.is_open() {
                check_unseen(reader, index, line);
                check_only_shown(reader, index, line);
            }
            other_fence.take(line);
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

/// As with demosh, what stands in another fence acts too: an author may not know.
fn check_example(reader: &mut Reader<'_, '_>, index: usize, other: &OtherFence) {
    if other.is_open() {
        reader.report(
            index,
            0,
            Severity::Warning,
            (
                "this stands in another fence and acts all the same".to_owned(),
                "indent it, if it is only an example",
            ),
        );
    }
}

/// Three backquotes in column 0, followed at once by `bash`, `sh` or `shell`.
pub(super) fn is_shell_fence(line: &str) -> bool {
    line.strip_prefix("```").is_some_and(|info| {
        let word = info.split_whitespace().next().unwrap_or("");
        !info.starts_with(char::is_whitespace) && ["bash", "sh", "shell"].contains(&word)
    })
}

/// Follows fences that are prose: what looks like a directive or a heading in them is an example.
#[derive(Default)]
pub(super) struct OtherFence {
    mark: Option<String>,
}

impl OtherFence {
    /// Takes the next line of prose.
    pub(super) fn take(&mut self, line: &str) {
        let line = line.trim();
        match &self.mark {
            Some(mark) if line.starts_with(mark) && line.trim_matches(['`', '~']).is_empty() => {
                self.mark = None;
            }
            Some(_) => {}
            None => {
                let first = line.chars().next().filter(|c| ['`', '~'].contains(c));
                let length =
                    first.map_or(0, |first| line.chars().take_while(|c| *c == first).count());
                self.mark = (length >= 3).then(|| line[..length].to_owned());
            }
        }
    }

    /// True within a fence.
    pub(super) fn is_open(&self) -> bool {
        self.mark.is_some()
    }
}

/// A fence that a reader takes for one that runs, and that demosh only shows.
fn check_only_shown(reader: &mut Reader<'_, '_>, index: usize, line: &str) {
    let fence = line.trim_start();
    let info = fence.trim_start_matches(['`', '~']).trim();
    let language = info
        .split_whitespace()
        .next()
        .unwrap_or("")
        .to_ascii_lowercase();
    let is_fence = fence.starts_with("```") || fence.starts_with("~~~");
    if is_fence && ["bash", "sh", "shell"].contains(&language.as_str()) {
        reader.report(index, 0, Severity::Warning, (
            "this fence is shown and not run".to_owned(),
            "one that runs begins in the first column with three backquotes and, at once, `bash`",
        ));
    }
}

/// A comment that looks like a directive and is none: demosh would not see it, nor do we.
fn check_unseen(reader: &mut Reader<'_, '_>, index: usize, line: &str) {
    let Some(start) = line.find("<!--") else {
        return;
    };
    let after = line[start + 4..].trim_start().trim_start_matches('#');
    let looks = after
        .strip_prefix('@')
        .is_some_and(|word| word.starts_with(char::is_alphabetic));
    let code = line[..start].contains('`');
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
