//! Markdown to styled, wrapped lines.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::code::Highlighter;
use super::wrap::wrap;
use crate::theme::Theme;

/// Renders Markdown for a width.
pub fn render(text: &str, width: usize, theme: &Theme, code: &Highlighter) -> Vec<Line<'static>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut writer = Writer {
        theme,
        code,
        width,
        lines: Vec::new(),
        spans: Vec::new(),
        styles: vec![theme.base()],
        prefix: Vec::new(),
        lists: Vec::new(),
        fence: None,
        link: None,
        cell: 0,
    };
    for event in Parser::new_ext(text, options) {
        writer.event(event);
    }
    writer.flush();
    while writer.lines.last().is_some_and(|l| l.width() == 0) {
        writer.lines.pop();
    }
    writer.lines
}

struct Writer<'a> {
    theme: &'a Theme,
    code: &'a Highlighter,
    width: usize,
    lines: Vec<Line<'static>>,
    spans: Vec<(String, Style)>,
    styles: Vec<Style>,
    /// What begins each row: list and quote marks. The first row of an item has its mark.
    prefix: Vec<String>,
    lists: Vec<Option<u64>>,
    fence: Option<(String, String)>,
    link: Option<String>,
    cell: usize,
}

impl Writer<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.fence {
                Some((_, code)) => code.push_str(&text),
                None => self.push(&text, self.style()),
            },
            Event::Code(text) => self.push(&text, self.theme.ink(self.theme.code)),
            Event::SoftBreak => self.push(" ", self.style()),
            Event::HardBreak => self.push("\n", self.style()),
            Event::Rule => {
                self.flush();
                let rule = "─".repeat(self.width.min(40));
                self.lines
                    .push(Line::styled(rule, self.theme.ink(self.theme.dim)));
                self.gap();
            }
            Event::Html(text) | Event::InlineHtml(text) => {
                // Comments are not for an audience; other HTML stands as it is.
                if !text.trim_start().starts_with("<!--") {
                    self.push(text.trim_end(), self.theme.ink(self.theme.dim));
                }
            }
            Event::FootnoteReference(_)
            | Event::TaskListMarker(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.flush();
                let style = match level {
                    HeadingLevel::H1 => self.theme.heading().add_modifier(Modifier::UNDERLINED),
                    _ => self.theme.heading(),
                };
                self.styles.push(style);
            }
            Tag::Emphasis => self.add(Modifier::ITALIC),
            Tag::Strong => self.add(Modifier::BOLD),
            Tag::Strikethrough => self.add(Modifier::CROSSED_OUT),
            Tag::Link { dest_url, .. } => {
                self.styles.push(
                    self.theme
                        .ink(self.theme.accent)
                        .add_modifier(Modifier::UNDERLINED),
                );
                self.link = Some(dest_url.to_string());
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                let language = match kind {
                    CodeBlockKind::Fenced(info) => {
                        info.split_whitespace().next().unwrap_or("").to_owned()
                    }
                    CodeBlockKind::Indented => String::new(),
                };
                self.fence = Some((language, String::new()));
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush();
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "• ".to_owned(),
                };
                self.prefix.push(mark);
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.prefix.push("▌ ".to_owned());
            }
            Tag::TableCell => {
                if self.cell > 0 {
                    self.push(" │ ", self.theme.ink(self.theme.dim));
                }
                self.cell += 1;
            }
            Tag::TableHead | Tag::TableRow => {
                self.flush();
                self.cell = 0;
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
                self.gap();
            }
            TagEnd::Paragraph => {
                self.flush();
                if self.lists.is_empty() {
                    self.gap();
                }
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => drop(self.styles.pop()),
            TagEnd::Link => {
                self.styles.pop();
                let text: String = self.spans.iter().map(|(t, _)| t.as_str()).collect();
                if let Some(url) = self.link.take().filter(|url| !text.contains(url.as_str())) {
                    self.push(&format!(" ({url})"), self.theme.ink(self.theme.dim));
                }
            }
            TagEnd::CodeBlock => {
                if let Some((language, text)) = self.fence.take() {
                    self.code_block(&language, &text);
                }
            }
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.gap();
                }
            }
            TagEnd::Item | TagEnd::BlockQuote(_) => {
                self.flush();
                self.prefix.pop();
            }
            TagEnd::TableHead | TagEnd::TableRow => self.flush(),
            TagEnd::Table => self.gap(),
            _ => {}
        }
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn add(&mut self, modifier: Modifier) {
        self.styles.push(self.style().add_modifier(modifier));
    }

    fn push(&mut self, text: &str, style: Style) {
        self.spans.push((text.to_owned(), style));
    }

    /// An empty line between blocks, never two.
    fn gap(&mut self) {
        if self.lines.last().is_some_and(|l| l.width() > 0) {
            self.lines.push(Line::default());
        }
    }

    fn flush(&mut self) {
        if self.spans.is_empty() {
            return;
        }
        let mut spans = std::mem::take(&mut self.spans);
        let marks: String = self.prefix.concat();
        let indent = marks.chars().count();
        if indent > 0 {
            spans.insert(0, (marks, self.theme.ink(self.theme.dim)));
            // The item's later rows and blocks stand under its text.
            for mark in &mut self.prefix {
                if !mark.starts_with('▌') {
                    *mark = " ".repeat(mark.chars().count());
                }
            }
        }
        self.lines.extend(wrap(&spans, self.width, indent));
    }

    fn code_block(&mut self, language: &str, text: &str) {
        let margin = Span::styled("│ ", self.theme.ink(self.theme.dim));
        for line in self.code.lines(language, text).iter() {
            let texts = line.spans.iter().map(|s| (s.content.to_string(), s.style));
            let texts: Vec<(String, Style)> = texts.collect();
            // A line that is too long goes on under itself: nothing of it is lost.
            for row in wrap(&texts, self.width.saturating_sub(2), 2) {
                let mut spans = vec![margin.clone()];
                spans.extend(row.spans);
                self.lines.push(Line::from(spans));
            }
        }
        self.gap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, width: usize) -> Vec<String> {
        let theme = Theme::named("dark").unwrap();
        let code = Highlighter::new(theme.syntax);
        render(text, width, &theme, &code)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn markdown_is_rendered_and_no_character_is_lost() {
        assert_eq!(
            rows("# A_B\n\n_x_ and snake_case\n", 40),
            ["A_B", "", "x and snake_case"]
        );
        assert_eq!(rows("- one\n- two\n  more\n", 40), ["• one", "• two more"]);
        assert_eq!(rows("1. a\n2. b\n", 40), ["1. a", "2. b"]);
        assert_eq!(rows("> quoted\n", 40), ["▌ quoted"]);
        assert_eq!(rows("```yaml\na: 1\n```\n", 40), ["│ a: 1"]);
        assert_eq!(rows("[text](http://x)\n", 40), ["text (http://x)"]);
        assert_eq!(
            rows("| a | b |\n|---|---|\n| 1 | 2 |\n", 40),
            ["a │ b", "1 │ 2"]
        );
        assert_eq!(rows("a <!-- hidden --> b\n", 40), ["a  b"]);
    }
}
