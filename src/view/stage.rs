//! The stage: prose, commands, what they will change, what they wrote, and what was seen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::code::Highlighter;
use super::prose;
use super::wrap::{shorten, wrap};
use crate::audience::change::FirstAnswer;
use crate::audience::claim::{Seen, Unit};
use crate::diff::{Change, DiffLine, Verb};
use crate::engine::{Above, Block, By, Check, CommandBlock, Phase, State, Visible};
use crate::terminal::Frame;
use crate::theme::{Theme, color};

/// Prose in longer lines is hard to read from afar.
const READABLE: usize = 100;

/// Draws the page that the presenter looks at: its end, if it is longer than the stage and nobody has
/// scrolled. Says what stands above that.
pub fn draw(
    state: &State,
    theme: &Theme,
    code: &Highlighter,
    area: Rect,
    buffer: &mut Buffer,
) -> Above {
    let stage = Stage {
        state,
        theme,
        code,
        width: usize::from(area.width),
        height: usize::from(area.height),
    };
    if let Some(Block::Command(command)) = state.visible_page().last()
        && command.output.alternate_screen
    {
        let lines: Vec<Line<'static>> = command.output.lines.clone();
        put(&lines, area, buffer);
        return Above::default();
    }
    let (lines, fresh) = stage.page(state.visible_page());
    let above = Above {
        rows: lines.len().saturating_sub(stage.height),
        height: stage.height,
        fresh: lines.len() - fresh,
    };
    let first = above.rows.saturating_sub(state.scrolled);
    put(&lines[first..], area, buffer);
    let last = lines.len().min(first + stage.height);
    let marks = [
        (first, "↑", area.top()),
        (lines.len() - last, "↓", area.bottom() - 1),
    ];
    for (rows, arrow, y) in marks {
        if rows > 0 && !area.is_empty() {
            // In the margin, where no text stands.
            buffer.set_string(area.right(), y, arrow, theme.ink(theme.accent));
        }
    }
    above
}

fn put(lines: &[Line<'static>], area: Rect, buffer: &mut Buffer) {
    for (y, line) in (area.top()..area.bottom()).zip(lines) {
        buffer.set_line(area.x, y, line, area.width);
    }
}

struct Stage<'a> {
    state: &'a State,
    theme: &'a Theme,
    code: &'a Highlighter,
    width: usize,
    height: usize,
}

impl Stage<'_> {
    /// The rows of a page, and the first of them that is new.
    fn page(&self, blocks: &[Block]) -> (Vec<Line<'static>>, usize) {
        let mut fresh = None;
        let mut lines: Vec<Line<'static>> = Vec::new();
        let mut before: Option<&Block> = None;
        let seen = blocks
            .iter()
            .enumerate()
            .filter(|(_, block)| !block.is_empty());
        for (index, block) in seen {
            let commands = |b: &Block| matches!(b, Block::Command(_) | Block::Comment(_));
            let gap = match before {
                None => false,
                // Commands that wrote nothing stand together, as in a terminal.
                Some(b) => !(commands(b) && commands(block)),
            };
            if gap && lines.last().is_some_and(|l| l.width() > 0) {
                lines.push(Line::default());
            }
            if index >= self.state.fresh {
                fresh.get_or_insert(lines.len());
            }
            lines.extend(self.block(block));
            before = Some(block);
        }
        let fresh = fresh.unwrap_or(lines.len());
        (lines, fresh)
    }

    fn block(&self, block: &Block) -> Vec<Line<'static>> {
        let theme = self.theme;
        match block {
            Block::Prose(text) => prose::render(text, self.width.min(READABLE), theme, self.code),
            Block::Comment(text) => self.wrapped(text, theme.ink(theme.dim)),
            Block::Print(text) => self.wrapped(text, theme.base()),
            Block::Notice(text) => self.wrapped(text, theme.ink(theme.warning)),
            Block::Command(command) => self.command(command),
        }
    }

    fn wrapped(&self, text: &str, style: Style) -> Vec<Line<'static>> {
        wrap(&[(text.to_owned(), style)], self.width, 0)
    }

    fn command(&self, command: &CommandBlock) -> Vec<Line<'static>> {
        if command.seen == Visible::Output {
            return output(&command.output, self.width);
        }
        let mut lines = self.typed(command);
        if command.typed.is_none() && command.ended.is_none() {
            for change in &command.predicted {
                lines.extend(self.prediction(change));
            }
        }
        lines.extend(output(&command.output, self.width));
        // An expectation of an exit status speaks for itself.
        let is_expected = command.checks.iter().any(|c| c.text.starts_with("exit"));
        if let Some((status, _)) = command.ended
            && status != 0
            && !is_expected
        {
            let (text, ink) = match command.may_fail {
                true => (format!("exit status {status}"), self.theme.dim),
                false => (format!("✗ exit status {status}"), self.theme.bad),
            };
            lines.push(Line::styled(text, self.theme.ink(ink)));
        }
        for change in &command.changes {
            lines.extend(self.change(change));
        }
        if let Some(FirstAnswer { after, shows }) = &command.first_answer {
            let text = format!("→ first {shows} after {:.2} s", after.as_secs_f64());
            lines.extend(self.wrapped(&text, self.theme.ink(self.theme.accent)));
        }
        for check in &command.checks {
            lines.extend(self.check(check));
        }
        lines
    }

    fn typed(&self, command: &CommandBlock) -> Vec<Line<'static>> {
        let theme = self.theme;
        let text = command.text.trim_end();
        let mut rest = command.typed.unwrap_or(usize::MAX);
        let prompt = match command.by {
            By::Shell => "$ ",
            By::Footlights => "▸ ",
        };
        let mut spans = vec![(
            prompt.to_owned(),
            theme.ink(theme.prompt).add_modifier(Modifier::BOLD),
        )];
        // The whole command is highlighted and then cut, so that its colours do not jump while it
        // is typed.
        let language = match command.by {
            By::Shell => "bash",
            By::Footlights => "text",
        };
        let highlighted = self.code.lines(language, text);
        for (index, line) in highlighted.iter().enumerate() {
            if index > 0 && rest > 0 {
                spans.push(("\n".to_owned(), theme.base()));
                rest -= 1;
            }
            for span in &line.spans {
                let part: String = span.content.chars().take(rest).collect();
                rest -= part.chars().count();
                spans.push((part, span.style));
            }
        }
        if command.skipped {
            spans.push(("  (left out)".to_owned(), theme.ink(theme.dim)));
        }
        let stands =
            matches!(self.state.page.last(), Some(Block::Command(last)) if last.id == command.id);
        let waits =
            self.state.is_waiting() && stands && command.ended.is_none() && !command.skipped;
        if command.typed.is_some() || waits {
            spans.push(("▏".to_owned(), theme.ink(theme.accent)));
        }
        wrap(&spans, self.width, 2)
    }

    fn prediction(&self, change: &Change) -> Vec<Line<'static>> {
        let theme = self.theme;
        let what = match change.verb {
            Verb::Created => "creates",
            Verb::Changed => "changes",
            Verb::Unchanged => "leaves as it is",
            Verb::Deleted => "deletes",
        };
        let bold = theme.ink(theme.accent).add_modifier(Modifier::BOLD);
        let title = [
            ("▍ ".to_owned(), theme.ink(theme.accent)),
            (format!("{what} {}", change.object()), bold),
        ];
        let mut lines = wrap(&title, self.width, 2);
        // Whole objects are told by their lines alone.
        let is_whole = |value: &Value| value.is_object() || value.is_array();
        let fields = change.fields.iter();
        for field in fields.filter(|f| !is_whole(&f.before) && !is_whole(&f.after)) {
            lines.extend(self.field("▍ ", &field.path, &field.before, &field.after));
        }
        let most = (self.height / 2).saturating_sub(lines.len()).max(4);
        let shown = worth_showing(&change.lines, most);
        lines.extend(shown.iter().map(|line| self.diff_line(line)));
        lines
    }

    /// `rules[0].backendRefs[1].weight 10 → 50`.
    fn field(&self, margin: &str, path: &str, before: &Value, after: &Value) -> Vec<Line<'static>> {
        let theme = self.theme;
        let spans = [
            (margin.to_owned(), theme.ink(theme.accent)),
            (format!("{path} "), theme.base()),
            (short(before), theme.ink(theme.bad)),
            (" → ".to_owned(), theme.ink(theme.dim)),
            (short(after), theme.ink(theme.good)),
        ];
        wrap(&spans, self.width, margin.chars().count())
    }

    fn diff_line(&self, line: &DiffLine) -> Line<'static> {
        let theme = self.theme;
        let margin = Span::styled("▍ ", theme.ink(theme.accent));
        let marked = |mark: &'static str, ink, text: &str| {
            // Highlighted as YAML; the sign and the paper say whether it comes or goes.
            let paper = color(crate::audience::Rgb::over(ink, theme.background, 0.18));
            let mut spans = vec![margin.clone(), Span::styled(mark, theme.ink(ink).bg(paper))];
            for line in self.code.lines("yaml", text).iter() {
                spans.extend(
                    line.spans
                        .iter()
                        .cloned()
                        .map(|s| s.patch_style(Style::new().bg(paper))),
                );
            }
            Line::from(spans)
        };
        match line {
            DiffLine::New(text) => marked("+ ", theme.good, text),
            DiffLine::Old(text) => marked("- ", theme.bad, text),
            DiffLine::Same(text) => {
                let mut spans = vec![margin, Span::raw("  ")];
                for line in self.code.lines("yaml", text).iter() {
                    spans.extend(line.spans.iter().cloned());
                }
                Line::from(spans)
            }
            DiffLine::Skipped(count) => {
                let text = format!(
                    "  ⋯ {count} more line{}",
                    if *count == 1 { "" } else { "s" }
                );
                Line::from(vec![margin, Span::styled(text, theme.ink(theme.dim))])
            }
        }
    }

    fn change(&self, change: &Change) -> Vec<Line<'static>> {
        let theme = self.theme;
        match &change.fields[..] {
            [] => vec![Line::styled(
                shorten(
                    &format!("→ {} {}", change.object(), change.verb.word()),
                    self.width,
                ),
                theme.ink(theme.accent),
            )],
            fields => fields
                .iter()
                .take(3)
                .flat_map(|f| {
                    self.field(
                        "→ ",
                        &format!("{} {}", change.name, f.path),
                        &f.before,
                        &f.after,
                    )
                })
                .collect(),
        }
    }

    fn check(&self, check: &Check) -> Vec<Line<'static>> {
        let theme = self.theme;
        let judging = matches!(self.state.phase, Phase::Judging { .. });
        let (mark, ink) = match check.holds {
            Some(true) => ("✓", theme.good),
            Some(false) => ("✗", theme.bad),
            None if judging => ("…", theme.dim),
            None => ("·", theme.dim),
        };
        let text = match (&check.seen, check.observed.as_str()) {
            (Some(seen), _) => {
                let unit = match seen.unit {
                    Unit::Percent => "%",
                    Unit::Milliseconds => "ms",
                };
                let Seen {
                    value,
                    low,
                    high,
                    n,
                    ..
                } = seen;
                let seen = format!("{value:.0} {unit} ({low:.0}–{high:.0} {unit}, n={n})");
                match check.holds {
                    // What is seen is in the claim's words, but for how long it may take.
                    Some(true) => {
                        let claim = check.text.split(" within ").next().unwrap_or_default();
                        format!("{mark} {claim}: {seen}")
                    }
                    _ => format!("{mark} {seen}"),
                }
            }
            (None, "") => format!("{mark} {}", check.text),
            // What holds says what it is; what does not, what was there instead.
            (None, _) if check.holds == Some(true) && check.text.starts_with("condition") => {
                let claim = check.text.split(" within ").next().unwrap_or_default();
                format!("{mark} {claim}")
            }
            (None, _) if check.holds == Some(true) => format!("{mark} {}", check.text),
            (None, observed) => format!("{mark} {observed}"),
        };
        let mut lines = wrap(&[(text, theme.ink(ink))], self.width, 2);
        if check.holds == Some(false) {
            let expected = format!("  expected {}", check.text);
            lines.extend(wrap(&[(expected, theme.ink(theme.bad))], self.width, 2));
        }
        lines
    }
}

/// The part of a diff that fits: of a new object its rules, since the rest is hardly ever the point.
fn worth_showing(lines: &[DiffLine], most: usize) -> Vec<DiffLine> {
    if lines.len() <= most {
        return lines.to_vec();
    }
    let all_new = |line: &DiffLine| matches!(line, DiffLine::New(_));
    if !lines.iter().all(all_new) {
        // What changes comes first; what stays the same is in the file.
        let changed = lines
            .iter()
            .filter(|l| matches!(l, DiffLine::New(_) | DiffLine::Old(_)));
        let mut shown: Vec<DiffLine> = changed.cloned().collect();
        if shown.len() > most {
            let left = shown.len() + 1 - most;
            shown.truncate(most.saturating_sub(1));
            shown.push(DiffLine::Skipped(left));
        }
        return shown;
    }
    let is_rules = |line: &DiffLine| matches!(line, DiffLine::New(text) if text.trim() == "rules:");
    let start = lines.iter().position(is_rules).unwrap_or(0);
    let rest = &lines[start..];
    if rest.len() <= most {
        return rest.to_vec();
    }
    let mut shown = rest[..most.saturating_sub(1)].to_vec();
    shown.push(DiffLine::Skipped(rest.len() - shown.len()));
    shown
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => shorten(text, 40),
        // A backend, say; but a header is more than its name.
        Value::Object(fields) if fields.contains_key("name") && !fields.contains_key("value") => {
            short(&fields["name"])
        }
        other => shorten(&other.to_string(), 40),
    }
}

/// What a command wrote. Its terminal breaks a long line anywhere; an audience reads whole words.
fn output(frame: &Frame, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut broken: Vec<(String, Style)> = Vec::new();
    for (row, goes_on) in frame.lines.iter().zip(frame.goes_on()) {
        if !goes_on && broken.is_empty() {
            lines.push(row.clone());
            continue;
        }
        let spans = row.spans.iter();
        broken.extend(spans.map(|span| (span.content.to_string(), span.style)));
        if !goes_on {
            lines.extend(wrap(&std::mem::take(&mut broken), width, 0));
        }
    }
    if !broken.is_empty() {
        lines.extend(wrap(&broken, width, 0));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_terminal_breaks_are_whole_on_the_stage() {
        let mut terminal = crate::terminal::Terminal::new(12, 8);
        terminal.take(b"short\r\nroute configured now\r\nA   B\r\n");
        let rows: Vec<String> = output(&terminal.frame(), 12)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(rows, ["short", "route", "configured", "now", "A   B"]);
    }
}
