//! Highlighted code.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::LazyLock;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use syntect::easy::HighlightLines;
use syntect::highlighting::{FontStyle, Theme as SyntaxTheme};
use syntect::parsing::SyntaxSet;
use syntect::util::LinesWithEndings;
use two_face::theme::EmbeddedThemeName;

/// All syntaxes; loading takes milliseconds and happens on first use.
static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);

/// Texts kept highlighted; a stage shows a handful at a time.
const CACHE: usize = 64;

type Highlighted = Rc<Vec<Line<'static>>>;

/// Highlights code, and remembers what it has highlighted.
pub struct Highlighter {
    theme: SyntaxTheme,
    cache: RefCell<HashMap<(String, String), Highlighted>>,
}

impl Highlighter {
    /// With a syntax theme.
    pub fn new(theme: EmbeddedThemeName) -> Self {
        Highlighter {
            theme: two_face::theme::extra().get(theme).clone(),
            cache: RefCell::default(),
        }
    }

    /// The lines of a text in a language, by its name or file extension; plain if it is unknown.
    pub fn lines(&self, language: &str, text: &str) -> Highlighted {
        let key = (language.to_owned(), text.to_owned());
        if let Some(lines) = self.cache.borrow().get(&key) {
            return lines.clone();
        }
        let lines = Rc::new(self.highlight(language, text));
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHE {
            cache.clear();
        }
        cache.insert(key, lines.clone());
        lines
    }

    fn highlight(&self, language: &str, text: &str) -> Vec<Line<'static>> {
        let syntax = SYNTAXES
            .find_syntax_by_token(language)
            .unwrap_or_else(|| SYNTAXES.find_syntax_plain_text());
        let mut state = HighlightLines::new(syntax, &self.theme);
        LinesWithEndings::from(text)
            .map(|line| {
                let plain = || vec![Span::raw(line.trim_end().to_owned())];
                let spans = match state.highlight_line(line, &SYNTAXES) {
                    Ok(pieces) => pieces
                        .into_iter()
                        .map(|(style, piece)| {
                            Span::styled(
                                piece.trim_end_matches(['\n', '\r']).to_owned(),
                                convert(style),
                            )
                        })
                        .filter(|span| !span.content.is_empty())
                        .collect(),
                    Err(_) => plain(),
                };
                Line::from(spans)
            })
            .collect()
    }
}

fn convert(style: syntect::highlighting::Style) -> Style {
    let color = style.foreground;
    let mut converted = Style::new().fg(Color::Rgb(color.r, color.g, color.b));
    if style.font_style.contains(FontStyle::BOLD) {
        converted = converted.add_modifier(Modifier::BOLD);
    }
    if style.font_style.contains(FontStyle::ITALIC) {
        converted = converted.add_modifier(Modifier::ITALIC);
    }
    converted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_bash_are_coloured_and_nothing_is_lost() {
        let highlighter = Highlighter::new(EmbeddedThemeName::Nord);
        for (language, text) in [
            ("yaml", "kind: HTTPRoute\nspec:\n  weight: 10\n"),
            ("bash", "kubectl apply -f x.yaml # now\n"),
            ("no such language", "plain\n"),
        ] {
            let lines = highlighter.lines(language, text);
            let back: Vec<String> = lines.iter().map(ToString::to_string).collect();
            assert_eq!(back.join("\n") + "\n", text, "{language}");
        }
        let colours = |language: &str| {
            let lines = highlighter.lines(language, "kind: x # y\n");
            lines[0]
                .spans
                .iter()
                .map(|s| s.style.fg)
                .collect::<std::collections::HashSet<_>>()
                .len()
        };
        assert!(colours("yaml") > 1);
    }
}
