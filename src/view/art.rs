//! The faces as pixel art: parsed from `assets/faces/`, fitted to a cell.

use std::sync::LazyLock;

use crate::audience::{Rgb, Smiley};

/// One drawing: square, row by row; `None` lets the answer's colour through.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Pixels a side.
    pub side: usize,
    pixels: Vec<Option<Rgb>>,
}

impl Drawing {
    /// The pixel at a column and row.
    pub fn pixel(&self, x: usize, y: usize) -> Option<Rgb> {
        self.pixels.get(y * self.side + x).copied().flatten()
    }
}

macro_rules! art {
    ($($smiley:ident $file:literal),* $(,)?) => {
        [$((Smiley::$smiley, include_str!(concat!("../../assets/faces/", $file, ".txt")))),*]
    };
}

const FILES: [(Smiley, &str); 11] = art![
    Grinning "grinning",
    HeartEyes "heart-eyes",
    RollingEyes "rolling-eyes",
    Sleeping "sleeping",
    Cursing "cursing",
    Kaboom "kaboom",
    Neutral "neutral",
    Screaming "screaming",
    Vomiting "vomiting",
    Confused "confused",
    Grimacing "grimacing",
];

/// Every face in its sizes, smallest first.
static DRAWINGS: LazyLock<Vec<(Smiley, Vec<Drawing>)>> = LazyLock::new(|| {
    let parse = |(smiley, text): &(Smiley, &str)| (*smiley, parse(text));
    FILES.iter().map(parse).collect()
});

/// The drawing that fits best into a square of so many pixels, and the whole number by which it is
/// enlarged. None where even the smallest is too large.
pub fn fitting(smiley: Smiley, side: usize) -> Option<(&'static Drawing, usize)> {
    let (_, sizes) = DRAWINGS.iter().find(|(s, _)| *s == smiley)?;
    sizes
        .iter()
        .filter(|drawing| drawing.side <= side)
        .map(|drawing| (drawing, side / drawing.side))
        .max_by_key(|(drawing, scale)| (drawing.side * scale, drawing.side))
}

fn parse(text: &str) -> Vec<Drawing> {
    text.split("\n\n")
        .map(|block| {
            let rows: Vec<&str> = block.lines().filter(|l| !l.is_empty()).collect();
            Drawing {
                side: rows.len(),
                pixels: rows.iter().flat_map(|row| row.chars().map(ink)).collect(),
            }
        })
        .collect()
}

/// The letters of the files.
fn ink(letter: char) -> Option<Rgb> {
    Some(match letter {
        'Y' => Rgb(0xFF, 0xD2, 0x3F),
        'K' => Rgb(0x3A, 0x26, 0x10),
        'W' => Rgb(0xFF, 0xFF, 0xFF),
        'R' => Rgb(0xE2, 0x20, 0x46),
        'B' => Rgb(0x46, 0x5A, 0xC8),
        'O' => Rgb(0xEE, 0x5C, 0x32),
        'G' => Rgb(0x6E, 0xBE, 0x3C),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_face_has_square_drawings_in_four_sizes() {
        for (smiley, ..) in Smiley::ALL {
            let (_, sizes) = DRAWINGS
                .iter()
                .find(|(s, _)| *s == smiley)
                .expect("has a file");
            let sides: Vec<usize> = sizes.iter().map(|d| d.side).collect();
            assert_eq!(sides, [8, 12, 16, 24], "{smiley:?}");
            for drawing in sizes {
                assert_eq!(
                    drawing.pixels.len(),
                    drawing.side * drawing.side,
                    "{smiley:?}"
                );
                let through = drawing.pixels.iter().filter(|p| p.is_none()).count();
                // The answer's colour carries half of the message.
                assert!(through * 4 >= drawing.pixels.len(), "{smiley:?} {through}");
            }
        }
    }

    #[test]
    fn the_largest_drawing_that_fits_is_taken() {
        for (side, drawing, scale) in [
            (8, 8, 1),
            (10, 8, 1),
            (12, 12, 1),
            (17, 16, 1),
            (32, 16, 2),
            (50, 24, 2),
        ] {
            let (found, times) = fitting(Smiley::Grinning, side).unwrap();
            assert_eq!((found.side, times), (drawing, scale), "{side}");
        }
        assert!(fitting(Smiley::Grinning, 7).is_none());
    }
}
