//! The terminal that commands write to: bytes in, drawable frames out. Pure.

use std::num::NonZeroU16;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Rows above the screen that are kept.
const SCROLLBACK: usize = 500;
/// The control sequence that ends a command's output: `OSC 7717 ; NUMBER BEL`.
const END_MARK: &[u8] = b"7717";

/// What the terminal shows at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Rows, without empty ones at the end.
    pub lines: Vec<Line<'static>>,
    /// The rows that go on in the next: a line was longer than the terminal is wide.
    pub wrapped: Vec<bool>,
    /// The cursor's row and column, if it is visible.
    pub cursor: Option<(u16, u16)>,
    /// A full-screen program is running.
    pub alternate_screen: bool,
}

impl Frame {
    /// What was written, rows of one line joined.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (line, goes_on) in self.lines.iter().zip(self.goes_on()) {
            for span in &line.spans {
                text.push_str(&span.content);
            }
            if !goes_on {
                text.push('\n');
            }
        }
        text
    }

    /// For each row, whether its line goes on in the next.
    pub fn goes_on(&self) -> impl Iterator<Item = bool> {
        let rest = std::iter::repeat(false);
        self.wrapped.iter().copied().chain(rest)
    }

    fn drop_empty_rows(&mut self, keep: usize) {
        while self.lines.len() > keep && self.lines.last().is_some_and(|l| l.width() == 0) {
            self.lines.pop();
        }
        self.wrapped.truncate(self.lines.len());
    }
}

/// A terminal of a fixed size.
pub struct Terminal {
    parser: vt100::Parser<Replies>,
    columns: u16,
    rows: u16,
}

/// What the terminal has to say itself.
#[derive(Default)]
struct Replies {
    /// Bytes for the program: answers to status queries, without which some programs wait for ever.
    bytes: Vec<u8>,
    /// The numbers of end marks that went by.
    ended: Vec<u64>,
}

impl vt100::Callbacks for Replies {
    fn unhandled_osc(&mut self, _: &mut vt100::Screen, parameters: &[&[u8]]) {
        if let [code, number] = parameters
            && *code == END_MARK
            && let Some(number) = std::str::from_utf8(number)
                .ok()
                .and_then(|n| n.parse().ok())
        {
            self.ended.push(number);
        }
    }

    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        first: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        action: char,
    ) {
        match (first, action, parameters.first().and_then(|p| p.first())) {
            (None, 'n', Some(6)) => {
                let (row, column) = screen.cursor_position();
                let report = format!("\x1b[{};{}R", row + 1, column + 1);
                self.bytes.extend(report.into_bytes());
            }
            (None, 'n', Some(5)) => self.bytes.extend(b"\x1b[0n"),
            (None, 'c', None | Some(0)) => self.bytes.extend(b"\x1b[?1;2c"),
            _ => {}
        }
    }
}

impl Terminal {
    /// An empty one.
    pub fn new(columns: u16, rows: u16) -> Self {
        let (columns, rows) = (at_least_one(columns), at_least_one(rows));
        Terminal {
            parser: vt100::Parser::new_with_callbacks(
                rows,
                columns,
                SCROLLBACK,
                Replies::default(),
            ),
            columns: columns.get(),
            rows: rows.get(),
        }
    }

    /// Takes output; returns what the terminal answers to the program.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let kept = SCROLLBACK + usize::from(self.rows);
        match out_of_reach(bytes, kept).filter(|_| !self.parser.screen().alternate_screen()) {
            Some((from, to)) => {
                self.parser.process(&bytes[..from]);
                // What was left out ended with a line.
                self.parser.process(b"\r\n");
                self.parser.process(&bytes[to..]);
            }
            None => self.parser.process(bytes),
        }
        std::mem::take(&mut self.parser.callbacks_mut().bytes)
    }

    /// True once the end mark with this number has gone by.
    pub fn has_ended(&self, number: u64) -> bool {
        self.parser.callbacks().ended.contains(&number)
    }

    /// Another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let (columns, rows) = (at_least_one(columns), at_least_one(rows));
        (self.columns, self.rows) = (columns.get(), rows.get());
        self.parser.screen_mut().set_size(rows, columns);
    }

    /// The visible rows.
    pub fn frame(&self) -> Frame {
        let screen = self.parser.screen();
        let keep = if screen.hide_cursor() {
            0
        } else {
            usize::from(screen.cursor_position().0)
        };
        let mut frame = Frame {
            lines: (0..self.rows)
                .map(|row| line(screen, row, self.columns))
                .collect(),
            wrapped: (0..self.rows).map(|row| screen.row_wrapped(row)).collect(),
            cursor: (!screen.hide_cursor()).then(|| screen.cursor_position()),
            alternate_screen: screen.alternate_screen(),
        };
        frame.drop_empty_rows(keep);
        frame
    }

    /// All rows, those that scrolled away too, as a command leaves them behind.
    pub fn transcript(&mut self) -> Frame {
        let mut frame = self.frame();
        frame.cursor = None;
        frame.drop_empty_rows(0);
        let screen = self.parser.screen_mut();
        screen.set_scrollback(SCROLLBACK);
        let above = screen.scrollback();
        let (mut lines, mut wrapped) = (Vec::new(), Vec::new());
        let mut offset = above;
        while offset > 0 {
            self.parser.screen_mut().set_scrollback(offset);
            let take = offset.min(usize::from(self.rows));
            let screen = self.parser.screen();
            lines.extend((0..take as u16).map(|row| line(screen, row, self.columns)));
            wrapped.extend((0..take as u16).map(|row| screen.row_wrapped(row)));
            offset -= take;
        }
        self.parser.screen_mut().set_scrollback(0);
        lines.append(&mut frame.lines);
        wrapped.append(&mut frame.wrapped);
        (frame.lines, frame.wrapped) = (lines, wrapped);
        frame
    }
}

/// Lines in the midst of a flood of plain text that nobody can scroll back to once all of it has been
/// taken: from the end of the last control sequence to the lines that are kept.
fn out_of_reach(bytes: &[u8], kept: usize) -> Option<(usize, usize)> {
    let is_plain = |b: &u8| *b >= b' ' && *b != 0x7f || b"\r\n\t".contains(b);
    let sequence = bytes
        .iter()
        .rposition(|b| !is_plain(b))
        .map_or(0, |at| at + 1);
    // The sequence that begins there ends with its line.
    let from = sequence + bytes[sequence..].iter().position(|b| *b == b'\n')? + 1;
    let mut ends = bytes.iter().enumerate().rev().filter(|(_, b)| **b == b'\n');
    let to = ends.nth(kept).map(|(at, _)| at + 1)?;
    (to > from).then_some((from, to))
}

fn at_least_one(size: u16) -> NonZeroU16 {
    NonZeroU16::new(size).unwrap_or(NonZeroU16::MIN)
}

fn line(screen: &vt100::Screen, row: u16, columns: u16) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut text = String::new();
    let mut style = Style::default();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column) else {
            break;
        };
        if cell.is_wide_continuation() {
            continue;
        }
        let cell_style = style_of(cell);
        if cell_style != style && !text.is_empty() {
            spans.push(Span::styled(std::mem::take(&mut text), style));
        }
        style = cell_style;
        if cell.has_contents() {
            text.push_str(cell.contents());
        } else {
            text.push(' ');
        }
    }
    if style == Style::default() && !screen.row_wrapped(row) {
        text.truncate(text.trim_end().len());
    }
    if !text.is_empty() {
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}

fn style_of(cell: &vt100::Cell) -> Style {
    let mut style = Style::default();
    if let Some(color) = color(cell.fgcolor()) {
        style = style.fg(color);
    }
    if let Some(color) = color(cell.bgcolor()) {
        style = style.bg(color);
    }
    for (on, modifier) in [
        (cell.bold(), Modifier::BOLD),
        (cell.dim(), Modifier::DIM),
        (cell.italic(), Modifier::ITALIC),
        (cell.underline(), Modifier::UNDERLINED),
        (cell.inverse(), Modifier::REVERSED),
    ] {
        if on {
            style = style.add_modifier(modifier);
        }
    }
    style
}

fn color(color: vt100::Color) -> Option<Color> {
    match color {
        vt100::Color::Default => None,
        vt100::Color::Idx(index) => Some(Color::Indexed(index)),
        vt100::Color::Rgb(r, g, b) => Some(Color::Rgb(r, g, b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_broken_is_whole_again() {
        for line in [
            "one two three",
            "one two  three",
            "1234567 x",
            "12345678x",
            "全文使用了演",
        ] {
            let mut terminal = Terminal::new(8, 4);
            terminal.take(line.as_bytes());
            assert_eq!(terminal.frame().text(), format!("{line}\n"));
        }
    }

    #[test]
    fn a_flood_leaves_the_same_whether_it_is_drawn_or_not() {
        let lines: String = (0..5_000).map(|n| format!("line {n}\r\n")).collect();
        let flood = format!("\x1b[31mred\x1b[0m\r\n{lines}tail");
        let (mut at_once, mut bit_by_bit) = (Terminal::new(20, 5), Terminal::new(20, 5));
        assert!(out_of_reach(flood.as_bytes(), 505).is_some());
        at_once.take(flood.as_bytes());
        for byte in flood.bytes() {
            bit_by_bit.take(&[byte]);
        }
        assert_eq!(at_once.transcript(), bit_by_bit.transcript());
        assert_eq!(out_of_reach(b"a\nb\nc\n", 2), None);
    }

    fn text(frame: &Frame) -> Vec<String> {
        frame.lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn output_is_drawn_with_its_colours() {
        let mut terminal = Terminal::new(20, 4);
        terminal.take(b"a\r\n\x1b[31mred\x1b[0m \xf0\x9f\x98");
        terminal.take(b"\x83 x");
        let frame = terminal.frame();
        assert_eq!(text(&frame), ["a", "red 😃 x"]);
        assert_eq!(frame.lines[1].spans[0].style.fg, Some(Color::Indexed(1)));
    }

    #[test]
    fn a_transcript_has_what_scrolled_away() {
        let mut terminal = Terminal::new(20, 3);
        for i in 0..10 {
            terminal.take(format!("line {i}\r\n").as_bytes());
        }
        let lines = text(&terminal.transcript());
        assert_eq!(lines.len(), 10, "{lines:?}");
        assert_eq!((lines[0].as_str(), lines[9].as_str()), ("line 0", "line 9"));
        assert_eq!(text(&terminal.frame())[..2], ["line 8", "line 9"]);
    }

    #[test]
    fn queries_are_answered_and_end_marks_are_seen() {
        let mut terminal = Terminal::new(20, 3);
        assert_eq!(terminal.take(b"ab\x1b[6n"), b"\x1b[1;3R");
        assert_eq!(terminal.take(b"\x1b[c"), b"\x1b[?1;2c");
        assert!(!terminal.has_ended(7));
        terminal.take(b"\x1b]7717;7\x07");
        assert!(terminal.has_ended(7));
        assert_eq!(text(&terminal.frame()), ["ab"]);
    }
}
