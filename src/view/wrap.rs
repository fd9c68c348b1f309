//! Wrapping styled text to a width: at blanks, between wide characters, and in words that are too
//! long for a row.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Wraps spans to rows; `indent` blanks begin every row but the first.
pub fn wrap(spans: &[(String, Style)], width: usize, indent: usize) -> Vec<Line<'static>> {
    let mut rows = Rows {
        width: width.max(4),
        indent: indent.min(width / 2),
        rows: Vec::new(),
        row: Vec::new(),
        used: 0,
    };
    for word in words(spans) {
        rows.add(word);
    }
    rows.end_row();
    rows.rows
}

/// Pieces that stay together on a row, with their styles; blanks are pieces of their own.
fn words(spans: &[(String, Style)]) -> Vec<Vec<(char, Style)>> {
    let mut words: Vec<Vec<(char, Style)>> = Vec::new();
    let mut open = false;
    for (text, style) in spans {
        for c in text.chars() {
            let alone = c.is_whitespace() || c.width() == Some(2);
            match words.last_mut() {
                Some(word) if open && !alone => word.push((c, *style)),
                _ => words.push(vec![(c, *style)]),
            }
            open = !alone;
        }
    }
    words
}

struct Rows {
    width: usize,
    indent: usize,
    rows: Vec<Line<'static>>,
    row: Vec<(char, Style)>,
    used: usize,
}

impl Rows {
    fn add(&mut self, word: Vec<(char, Style)>) {
        if matches!(word[..], [('\n', _)]) {
            return self.end_row();
        }
        let length: usize = word.iter().map(|(c, _)| c.width().unwrap_or(0)).sum();
        let blank = word[0].0.is_whitespace();
        if self.used + length > self.width && self.used > self.indent {
            self.end_row();
            self.begin_row();
            if blank {
                return;
            }
        }
        for (c, style) in word {
            let wide = c.width().unwrap_or(0);
            if self.used + wide > self.width {
                self.end_row();
                self.begin_row();
            }
            self.row.push((c, style));
            self.used += wide;
        }
    }

    fn begin_row(&mut self) {
        self.row = vec![(' ', Style::default()); self.indent];
        self.used = self.indent;
    }

    fn end_row(&mut self) {
        while self.row.last().is_some_and(|(c, _)| *c == ' ') {
            self.row.pop();
        }
        let mut spans: Vec<Span<'static>> = Vec::new();
        for (c, style) in self.row.drain(..) {
            match spans.last_mut() {
                Some(span) if span.style == style => span.content.to_mut().push(c),
                _ => spans.push(Span::styled(c.to_string(), style)),
            }
        }
        self.rows.push(Line::from(spans));
        self.used = 0;
    }
}

/// Shortens a text to a width, with `…` where something is left out.
pub fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        short.push(c);
        used += wide;
    }
    if width > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, width: usize, indent: usize) -> Vec<String> {
        wrap(&[(text.to_owned(), Style::default())], width, indent)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn text_is_wrapped_at_blanks_and_wide_characters() {
        assert_eq!(rows("one two three", 8, 0), ["one two", "three"]);
        assert_eq!(rows("one two three", 9, 2), ["one two", "  three"]);
        assert_eq!(rows("abcdefghij", 4, 0), ["abcd", "efgh", "ij"]);
        assert_eq!(rows("全文使用了演示", 6, 0), ["全文使", "用了演", "示"]);
        assert_eq!(rows("a\nb", 9, 0), ["a", "b"]);
        assert_eq!(rows("", 9, 0), [""]);
    }

    #[test]
    fn shortened_text_says_so() {
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("abc", 4), "abc");
        assert_eq!(shorten("全文使", 4), "全…");
        assert_eq!(shorten("abc", 0), "");
    }
}
