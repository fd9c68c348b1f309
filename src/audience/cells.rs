//! The grid's cells and the rules by which answers change them (FACES.md 5.3 to 5.5).

use std::time::Duration;

use super::color::{CSS_GREY, GREY, PURPLE, RED, Rgb, YELLOW};
use super::face::Body;
use super::{Glyph, Reply, Sample, Shape, Smiley};

/// An answer that is older than its cell's period begins to fade, and is gone after this time.
const FADING: Duration = Duration::from_millis(500);
/// More timeouts in a row than this put a cell to sleep.
const TIMEOUTS: u32 = 4;

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The face; none before the first answer.
    pub glyph: Option<Glyph>,
    /// The background.
    pub background: Rgb,
    /// The border: purple for soft errors.
    pub border: Rgb,
    /// Timeouts in a row.
    pub counter: u32,
    /// When it was last answered, since the show began.
    pub updated: Duration,
}

/// How a cell is to be drawn now.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The face.
    pub glyph: Option<Glyph>,
    /// The background.
    pub background: Rgb,
    /// The border.
    pub border: Rgb,
    /// The counter, if there is something to count.
    pub counter: Option<u32>,
    /// 1 is solid, 0 invisible.
    pub opacity: f32,
}

impl Cell {
    /// A cell before its first answer.
    pub fn new() -> Self {
        Cell {
            glyph: None,
            background: GREY,
            border: CSS_GREY,
            counter: 0,
            updated: Duration::ZERO,
        }
    }

    /// Takes an answer.
    pub fn take(&mut self, reply: &Reply, at: Duration) {
        self.updated = at;
        let face = |smiley| Some(Glyph::Face(smiley));
        match reply {
            Reply::Answer {
                status: 504 | 429, ..
            } => self.counter += 1,
            Reply::Answer { status: 200, body } => self.take_body(body),
            Reply::Answer { status: 599, .. } => self.paint(face(Smiley::Neutral), YELLOW, GREY),
            Reply::Answer {
                status: 500..=599, ..
            } => self.paint(face(Smiley::Confused), PURPLE, GREY),
            Reply::Answer { .. } => self.paint(face(Smiley::Grimacing), PURPLE, GREY),
            Reply::Unreachable => {
                // The counter stays: the page does not touch it on a network error.
                self.glyph = face(Smiley::Confused);
                self.background = PURPLE;
                self.border = CSS_GREY;
            }
        }
    }

    fn take_body(&mut self, body: &Body) {
        match body {
            Body::Unreadable => {
                self.paint(Some(Glyph::Face(Smiley::Confused)), PURPLE, PURPLE);
            }
            Body::Face {
                smiley,
                color,
                soft_errors,
            } => {
                let glyph = smiley.clone().unwrap_or(Glyph::Face(Smiley::Grimacing));
                let background = match color {
                    Some(color) => Rgb::parse(color).unwrap_or(GREY),
                    None => PURPLE,
                };
                let border = if *soft_errors { PURPLE } else { GREY };
                self.paint(Some(glyph), background, border);
            }
        }
    }

    fn paint(&mut self, glyph: Option<Glyph>, background: Rgb, border: Rgb) {
        self.glyph = glyph;
        self.background = background;
        self.border = border;
        self.counter = 0;
    }

    /// How a cell that asks once in a period looks at a time: fading when no answer comes, asleep after
    /// five timeouts in a row.
    pub fn look(&self, now: Duration, period: Duration) -> Look {
        let mut look = Look {
            glyph: self.glyph.clone(),
            background: self.background,
            border: self.border,
            counter: (self.counter > 0).then_some(self.counter),
            opacity: 1.0,
        };
        if self.counter > TIMEOUTS {
            look.glyph = Some(Glyph::Face(Smiley::Sleeping));
            look.background = RED;
            look.opacity = 0.2;
            return look;
        }
        let age = now.saturating_sub(self.updated);
        if self.glyph.is_some() && age > period {
            let faded = (age - period).as_secs_f32() / FADING.as_secs_f32();
            look.opacity = (1.0 - faded).max(0.0);
        }
        look
    }
}

impl Default for Cell {
    fn default() -> Self {
        Cell::new()
    }
}

/// All cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    shape: Shape,
    cells: Vec<Cell>,
}

impl Grid {
    /// A grid without answers.
    pub fn new(shape: Shape) -> Self {
        Grid {
            shape,
            cells: vec![Cell::new(); shape.rows * shape.columns],
        }
    }

    /// Its rows and columns.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes a sample into its cell; one for a cell that is not there is dropped.
    pub fn take(&mut self, sample: &Sample) {
        let columns = self.shape.columns;
        if sample.column < columns
            && let Some(cell) = self.cells.get_mut(sample.row * columns + sample.column)
        {
            cell.take(&sample.reply, sample.ended);
        }
    }

    /// The cell at a row and column.
    pub fn cell(&self, row: usize, column: usize) -> &Cell {
        &self.cells[(row * self.shape.columns + column) % self.cells.len()]
    }
}

impl Default for Grid {
    fn default() -> Self {
        Grid::new(Shape::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(2);

    fn answer(status: u16, body: &str) -> Reply {
        Reply::Answer {
            status,
            body: Body::parse(body.as_bytes()),
        }
    }

    fn after(replies: &[Reply]) -> Look {
        let mut cell = Cell::new();
        for reply in replies {
            cell.take(reply, Duration::ZERO);
        }
        cell.look(Duration::ZERO, PERIOD)
    }

    fn shown(look: &Look) -> (String, Rgb, Rgb, Option<u32>) {
        let name = look.glyph.as_ref().map_or(String::new(), Glyph::name);
        (name, look.background, look.border, look.counter)
    }

    const BLUE: Rgb = Rgb(0x66, 0xCC, 0xEE);

    /// The vectors K1 to K13 of FACES.md 8.6, but for K4, which no 2.0.0 server sends.
    #[test]
    fn answers_are_classified_as_the_faces_page_does() {
        let k1 = answer(200, r##"{"smiley":"&#x1F603;","color":"#66CCEE"}"##);
        let k2 = answer(
            200,
            r##"{"smiley":"&#x1F92C;","color":"#66CCEE","errors":["x"]}"##,
        );
        let k3 = answer(
            200,
            r##"{"smiley":"&#x1F603;","color":"#66CCEE","errors":[]}"##,
        );
        let late = answer(504, "");
        let five = [
            k1.clone(),
            late.clone(),
            late.clone(),
            late.clone(),
            late.clone(),
            late.clone(),
        ];
        let k10: Vec<Reply> = five.iter().cloned().chain([answer(500, "")]).collect();
        let k11: Vec<Reply> = five[..4]
            .iter()
            .cloned()
            .chain([Reply::Unreachable])
            .collect();
        for (replies, name, background, border, counter) in [
            (vec![k1.clone()], "Grinning", BLUE, GREY, None),
            (vec![k2], "Cursing", BLUE, PURPLE, None),
            (vec![k3], "Grinning", BLUE, GREY, None),
            (vec![answer(500, "")], "Confused", PURPLE, GREY, None),
            (vec![answer(503, "")], "Confused", PURPLE, GREY, None),
            (vec![answer(404, "")], "Grimacing", PURPLE, GREY, None),
            (vec![answer(599, "")], "Neutral", YELLOW, GREY, None),
            (
                vec![k1.clone(), late.clone(), late.clone()],
                "Grinning",
                BLUE,
                GREY,
                Some(2),
            ),
            (five.to_vec(), "Sleeping", RED, GREY, Some(5)),
            (k10, "Confused", PURPLE, GREY, None),
            (k11, "Confused", PURPLE, CSS_GREY, Some(3)),
            (
                vec![answer(200, "<html>")],
                "Confused",
                PURPLE,
                PURPLE,
                None,
            ),
            (vec![answer(200, "{}")], "Grimacing", PURPLE, GREY, None),
        ] {
            let expected = (name.to_owned(), background, border, counter);
            assert_eq!(shown(&after(&replies)), expected, "{replies:?}");
        }
    }

    #[test]
    fn a_cell_without_a_new_answer_fades() {
        let mut cell = Cell::new();
        cell.take(
            &answer(200, r##"{"smiley":"&#x1F603;","color":"#66CCEE"}"##),
            Duration::ZERO,
        );
        for (ms, opacity) in [(0, 1.0), (2000, 1.0), (2250, 0.5), (2500, 0.0), (9000, 0.0)] {
            let seen = cell.look(Duration::from_millis(ms), PERIOD).opacity;
            assert!((seen - opacity).abs() < 0.01, "{ms} ms: {seen}");
        }
    }
}
