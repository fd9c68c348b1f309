//! A face's answer: the body's JSON, and glyphs (FACES.md 2.4, 4.1).

use serde::Deserialize;

/// The faces that there is art for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Smiley {
    /// U+1F603.
    Grinning,
    /// U+1F60D.
    HeartEyes,
    /// U+1F644.
    RollingEyes,
    /// U+1F634.
    Sleeping,
    /// U+1F92C.
    Cursing,
    /// U+1F92F.
    Kaboom,
    /// U+1F610.
    Neutral,
    /// U+1F631.
    Screaming,
    /// U+1F92E.
    Vomiting,
    /// U+1F615.
    Confused,
    /// U+1F62C.
    Grimacing,
}

impl Smiley {
    /// All of them, with name, code point and a letter for the smallest cells.
    pub const ALL: [(Smiley, &'static str, char, char); 11] = [
        (Smiley::Grinning, "Grinning", '\u{1F603}', 'G'),
        (Smiley::HeartEyes, "HeartEyes", '\u{1F60D}', 'H'),
        (Smiley::RollingEyes, "RollingEyes", '\u{1F644}', 'R'),
        (Smiley::Sleeping, "Sleeping", '\u{1F634}', 'Z'),
        (Smiley::Cursing, "Cursing", '\u{1F92C}', 'C'),
        (Smiley::Kaboom, "Kaboom", '\u{1F92F}', 'K'),
        (Smiley::Neutral, "Neutral", '\u{1F610}', 'N'),
        (Smiley::Screaming, "Screaming", '\u{1F631}', 'S'),
        (Smiley::Vomiting, "Vomiting", '\u{1F92E}', 'V'),
        (Smiley::Confused, "Confused", '\u{1F615}', '?'),
        (Smiley::Grimacing, "Grimacing", '\u{1F62C}', '!'),
    ];

    fn row(self) -> (Smiley, &'static str, char, char) {
        // Every variant stands in the table; the first row is never reached as a fallback.
        *Self::ALL
            .iter()
            .find(|(s, ..)| *s == self)
            .unwrap_or(&Self::ALL[0])
    }

    /// Its name in Faces.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Its emoji.
    pub fn emoji(self) -> char {
        self.row().2
    }

    /// A letter that stands for it.
    pub fn letter(self) -> char {
        self.row().3
    }
}

/// What a cell shows: a face that is known, or whatever text came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Glyph {
    /// A face.
    Face(Smiley),
    /// Text, printable characters only: an answer may carry anything.
    Text(String),
}

impl Glyph {
    /// From an HTML entity, a literal emoji, or any text.
    pub fn parse(text: &str) -> Self {
        let decoded = decode_entities(text);
        let mut chars = decoded.chars();
        if let (Some(c), None) = (chars.next(), chars.next())
            && let Some((smiley, ..)) = Smiley::ALL.iter().find(|(_, _, emoji, _)| *emoji == c)
        {
            return Glyph::Face(*smiley);
        }
        Glyph::Text(
            decoded
                .chars()
                .filter(|c| !c.is_control())
                .take(80)
                .collect(),
        )
    }

    /// A short name for shares and reports.
    pub fn name(&self) -> String {
        match self {
            Glyph::Face(smiley) => smiley.name().to_owned(),
            Glyph::Text(text) => text.chars().take(12).collect(),
        }
    }
}

/// A body, as far as it matters.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Not JSON, or JSON `null`.
    Unreadable,
    /// An object.
    Face {
        /// `smiley`, if present.
        smiley: Option<Glyph>,
        /// `color`, if present; as sent.
        color: Option<String>,
        /// Something in `errors`.
        soft_errors: bool,
    },
}

impl Body {
    /// Parses a body.
    pub fn parse(bytes: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Wire {
            smiley: Option<String>,
            color: Option<String>,
            #[serde(default)]
            errors: Option<Vec<serde_json::Value>>,
        }
        match serde_json::from_slice::<Option<Wire>>(bytes) {
            Ok(Some(wire)) => Body::Face {
                smiley: wire.smiley.as_deref().map(Glyph::parse),
                color: wire.color,
                soft_errors: wire.errors.is_some_and(|e| !e.is_empty()),
            },
            _ => Body::Unreadable,
        }
    }
}

/// Decodes `&#x…;` entities; anything else stays.
fn decode_entities(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("&#x") {
        let after = &rest[start + 3..];
        let end = after.find(';');
        let code = end.and_then(|end| u32::from_str_radix(&after[..end], 16).ok());
        match (code.and_then(char::from_u32), end) {
            (Some(c), Some(end)) => {
                decoded.push_str(&rest[..start]);
                decoded.push(c);
                rest = &after[end + 1..];
            }
            _ => {
                decoded.push_str(&rest[..start + 3]);
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_are_decoded_from_entities_and_literals() {
        for (text, glyph) in [
            ("&#x1F603;", Glyph::Face(Smiley::Grinning)),
            ("😍", Glyph::Face(Smiley::HeartEyes)),
            ("not JSON: \u{1b}[31m", Glyph::Text("not JSON: [31m".into())),
            ("&#xZZ;", Glyph::Text("&#xZZ;".into())),
            ("", Glyph::Text(String::new())),
        ] {
            assert_eq!(Glyph::parse(text), glyph, "{text}");
        }
    }

    #[test]
    fn bodies_are_judged() {
        let face = |smiley, color: Option<&str>, soft_errors| Body::Face {
            smiley,
            color: color.map(str::to_owned),
            soft_errors,
        };
        for (bytes, body) in [
            (
                "{\"smiley\":\"\\u0026#x1F603;\",\"color\":\"#66CCEE\"}",
                face(Some(Glyph::Face(Smiley::Grinning)), Some("#66CCEE"), false),
            ),
            ("{\"errors\":[\"x\"]}", face(None, None, true)),
            ("{\"errors\":[]}", face(None, None, false)),
            ("null", Body::Unreadable),
            ("<html>", Body::Unreadable),
        ] {
            assert_eq!(Body::parse(bytes.as_bytes()), body, "{bytes}");
        }
    }
}
