//! CSS colours as Faces sends them, and their names on the screen.

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// Failed or unknown: `#BBBBBB`.
pub const GREY: Rgb = Rgb(0xBB, 0xBB, 0xBB);
/// A client-side failure: `#AA3377`.
pub const PURPLE: Rgb = Rgb(0xAA, 0x33, 0x77);
/// Latched: `#CCBB44`.
pub const YELLOW: Rgb = Rgb(0xCC, 0xBB, 0x44);
/// Timed out: `#EE6677`.
pub const RED: Rgb = Rgb(0xEE, 0x66, 0x77);
/// CSS `grey`: no answer yet, or no network.
pub const CSS_GREY: Rgb = Rgb(0x80, 0x80, 0x80);

const NAMES: [(&str, Rgb); 9] = [
    ("blue", Rgb(0x66, 0xCC, 0xEE)),
    ("darkblue", Rgb(0x44, 0x77, 0xAA)),
    ("green", Rgb(0x22, 0x88, 0x33)),
    ("yellow", YELLOW),
    ("red", RED),
    ("purple", PURPLE),
    ("grey", GREY),
    ("black", Rgb(0, 0, 0)),
    ("white", Rgb(255, 255, 255)),
];

impl Rgb {
    /// `#RRGGBB`, `#RGB` or one of Faces' names; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((_, color)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Some(*color);
        }
        let hex = text.strip_prefix('#')?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(hex, 16).ok()?;
        match hex.len() {
            6 => Some(Rgb((number >> 16) as u8, (number >> 8) as u8, number as u8)),
            3 => {
                let digit = |shift: u32| ((number >> shift & 0xf) * 17) as u8;
                Some(Rgb(digit(8), digit(4), digit(0)))
            }
            _ => None,
        }
    }

    /// Faces' name for it, else `#RRGGBB`.
    pub fn name(self) -> String {
        match NAMES.iter().find(|(_, color)| *color == self) {
            Some((name, _)) => (*name).to_owned(),
            None => format!("#{:02X}{:02X}{:02X}", self.0, self.1, self.2),
        }
    }

    /// A mixture: all of `self` at 1, all of `other` at 0.
    pub fn over(self, other: Rgb, opacity: f32) -> Rgb {
        let mix = |a: u8, b: u8| (f32::from(a) * opacity + f32::from(b) * (1.0 - opacity)) as u8;
        Rgb(
            mix(self.0, other.0),
            mix(self.1, other.1),
            mix(self.2, other.2),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_parsed_and_named() {
        for (text, color) in [
            ("#66CCEE", Some(Rgb(0x66, 0xCC, 0xEE))),
            ("green", Some(Rgb(0x22, 0x88, 0x33))),
            ("#f80", Some(Rgb(0xff, 0x88, 0x00))),
            ("#xyz", None),
            ("", None),
            ("#1234567", None),
        ] {
            assert_eq!(Rgb::parse(text), color, "{text}");
        }
        assert_eq!(Rgb(0x66, 0xCC, 0xEE).name(), "blue");
        assert_eq!(Rgb(1, 2, 3).name(), "#010203");
    }
}
