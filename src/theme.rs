//! Themes: TOML as written, then resolved to colours. Pure.

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use two_face::theme::EmbeddedThemeName;

use crate::audience::Rgb;

const BUILT_IN: [(&str, &str); 2] = [
    ("dark", include_str!("../themes/dark.toml")),
    ("light", include_str!("../themes/light.toml")),
];

/// A theme as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    background: String,
    text: String,
    dim: String,
    heading: String,
    accent: String,
    code: String,
    prompt: String,
    good: String,
    bad: String,
    warning: String,
    bar: String,
    badge_text: String,
    badge: String,
    syntax: String,
}

/// A theme that is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// No theme has this name.
    #[error("there is no theme `{0}`: the built-in ones are dark and light")]
    Unknown(String),
    /// It is not TOML, or a key is missing or unknown.
    #[error("the theme is not understood: {0}")]
    Toml(#[from] toml::de::Error),
    /// A value is no colour.
    #[error("the theme's `{key}` is `{value}`, which is no colour such as #66ccee")]
    Color {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// The syntax theme does not exist.
    #[error("the theme's `syntax` is `{0}`: use nord or inspired-github")]
    Syntax(String),
}

/// A theme's colours.
#[derive(Clone, Debug)]
pub struct Theme {
    /// Behind everything.
    pub background: Rgb,
    /// Prose.
    pub text: Rgb,
    /// What matters less.
    pub dim: Rgb,
    /// Headings.
    pub heading: Rgb,
    /// Links, the running step.
    pub accent: Rgb,
    /// Inline code.
    pub code: Rgb,
    /// The prompt before commands.
    pub prompt: Rgb,
    /// What holds.
    pub good: Rgb,
    /// What does not.
    pub bad: Rgb,
    /// What needs care.
    pub warning: Rgb,
    /// Behind header and footer.
    pub bar: Rgb,
    /// The badge's text.
    pub badge_text: Rgb,
    /// Behind the badge.
    pub badge: Rgb,
    /// The highlighter's theme.
    pub syntax: EmbeddedThemeName,
}

impl Theme {
    /// A built-in theme.
    pub fn named(name: &str) -> Result<Self, ThemeError> {
        let found = BUILT_IN.iter().find(|(n, _)| *n == name);
        let (_, text) = found.ok_or_else(|| ThemeError::Unknown(name.to_owned()))?;
        Theme::parse(text)
    }

    /// Reads a theme.
    pub fn parse(text: &str) -> Result<Self, ThemeError> {
        let raw: Raw = toml::from_str(text)?;
        let color = |key: &'static str, value: String| {
            Rgb::parse(&value).ok_or(ThemeError::Color { key, value })
        };
        Ok(Theme {
            background: color("background", raw.background)?,
            text: color("text", raw.text)?,
            dim: color("dim", raw.dim)?,
            heading: color("heading", raw.heading)?,
            accent: color("accent", raw.accent)?,
            code: color("code", raw.code)?,
            prompt: color("prompt", raw.prompt)?,
            good: color("good", raw.good)?,
            bad: color("bad", raw.bad)?,
            warning: color("warning", raw.warning)?,
            bar: color("bar", raw.bar)?,
            badge_text: color("badge_text", raw.badge_text)?,
            badge: color("badge", raw.badge)?,
            syntax: match raw.syntax.as_str() {
                "nord" => EmbeddedThemeName::Nord,
                "inspired-github" => EmbeddedThemeName::InspiredGithub,
                other => return Err(ThemeError::Syntax(other.to_owned())),
            },
        })
    }

    /// Text on the background.
    pub fn base(&self) -> Style {
        Style::new().fg(color(self.text)).bg(color(self.background))
    }

    /// A colour on the background.
    pub fn ink(&self, ink: Rgb) -> Style {
        Style::new().fg(color(ink)).bg(color(self.background))
    }

    /// Headings.
    pub fn heading(&self) -> Style {
        self.ink(self.heading).add_modifier(Modifier::BOLD)
    }

    /// Text of header and footer.
    pub fn bar(&self, ink: Rgb) -> Style {
        Style::new().fg(color(ink)).bg(color(self.bar))
    }
}

/// A colour for the terminal.
pub fn color(Rgb(r, g, b): Rgb) -> Color {
    Color::Rgb(r, g, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2, 1.4.3: relative luminance and contrast.
    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let luminance = |Rgb(r, g, b): Rgb| {
            let part = |v: u8| {
                let v = f64::from(v) / 255.0;
                if v <= 0.04045 {
                    v / 12.92
                } else {
                    ((v + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_ink_can_be_read_on_a_projector() {
        for (name, _) in BUILT_IN {
            let t = Theme::named(name).unwrap();
            for ink in [
                t.text, t.dim, t.heading, t.accent, t.code, t.prompt, t.good, t.bad, t.warning,
            ] {
                assert!(contrast(ink, t.background) >= 4.5, "{name}: {ink:?}");
                assert!(
                    contrast(ink, t.bar) >= 4.5,
                    "{name}, bar: {ink:?} {}",
                    contrast(ink, t.bar)
                );
            }
            assert!(contrast(t.badge_text, t.badge) >= 4.5, "{name}: badge");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert!(
            Theme::named("nope")
                .unwrap_err()
                .to_string()
                .contains("dark and light")
        );
        let bad = BUILT_IN[0].1.replace("#e6e9ef", "reddish");
        assert!(
            Theme::parse(&bad)
                .unwrap_err()
                .to_string()
                .contains("`text` is `reddish`")
        );
    }
}
