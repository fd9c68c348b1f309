//! A screen as a picture: cells to SVG. Pure.
//!
//! Colours become paths, one for each colour, since faces are made of thousands of half blocks; text
//! becomes text, so that it can be read aloud, searched and copied.

use std::collections::BTreeMap;
use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use crate::xml::escape;

/// A cell's size in the picture's units.
const WIDE: usize = 10;
const HIGH: usize = 20;

type Rgb = (u8, u8, u8);

/// Draws a screen.
pub fn draw(buffer: &Buffer, title: &str) -> String {
    let (columns, rows) = (
        usize::from(buffer.area.width),
        usize::from(buffer.area.height),
    );
    let (width, height) = (columns * WIDE, rows * HIGH);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"'DejaVu Sans Mono',Menlo,Consolas,monospace\" font-size=\"16\">\n\
         <title>{}</title>\n",
        escape(title)
    );
    for ((r, g, b), path) in paths(buffer) {
        let _ = writeln!(svg, "<path fill=\"#{r:02x}{g:02x}{b:02x}\" d=\"{path}\"/>");
    }
    for y in 0..rows {
        texts(buffer, y, &mut svg);
    }
    svg + "</svg>\n"
}

/// The pixels: two a cell, one above the other, joined to runs of one colour.
fn paths(buffer: &Buffer) -> BTreeMap<Rgb, String> {
    let mut paths: BTreeMap<Rgb, String> = BTreeMap::new();
    let width = usize::from(buffer.area.width);
    for half in 0..usize::from(buffer.area.height) * 2 {
        let cells = cells(buffer, half / 2);
        let owners = owners(cells);
        let mut run: Option<(Rgb, usize)> = None;
        for x in 0..=width {
            let pixel = (x < width).then(|| pixel(&cells[owners[x]], half % 2 == 0));
            match run {
                Some((color, _)) if Some(color) == pixel => {}
                Some((color, start)) => {
                    let path = paths.entry(color).or_default();
                    let (left, top) = (start * WIDE, half * HIGH / 2);
                    let (wide, high) = ((x - start) * WIDE, HIGH / 2);
                    let _ = write!(path, "M{left} {top}h{wide}v{high}h-{wide}z");
                    run = pixel.map(|color| (color, x));
                }
                None => run = pixel.map(|color| (color, x)),
            }
        }
    }
    paths
}

/// For each cell that whose paper it has: the second half of a wide character is the first's.
fn owners(cells: &[Cell]) -> Vec<usize> {
    let mut owners = Vec::with_capacity(cells.len());
    while let Some(cell) = cells.get(owners.len()) {
        let wide = cell.symbol().width().max(1).min(cells.len() - owners.len());
        owners.extend(std::iter::repeat_n(owners.len(), wide));
    }
    owners
}

fn cells(buffer: &Buffer, row: usize) -> &[Cell] {
    let width = usize::from(buffer.area.width);
    &buffer.content()[row * width..(row + 1) * width]
}

/// The colour of a cell's upper or lower half; what a half block does not cover is its paper.
fn pixel(cell: &Cell, is_upper: bool) -> Rgb {
    let (ink, paper) = colors(cell);
    match (cell.symbol(), is_upper) {
        ("█", _) | ("▀", true) | ("▄", false) => ink,
        _ => paper,
    }
}

fn colors(cell: &Cell) -> (Rgb, Rgb) {
    let (ink, paper) = (rgb(cell.fg, (230, 230, 230)), rgb(cell.bg, (0, 0, 0)));
    match cell.modifier.contains(Modifier::REVERSED) {
        true => (paper, ink),
        false => (ink, paper),
    }
}

/// Themes are in true colour; programs also use the terminal's own sixteen and the cube of 256.
fn rgb(color: Color, fallback: Rgb) -> Rgb {
    const NAMED: [Rgb; 16] = [
        (0, 0, 0),
        (205, 60, 60),
        (60, 180, 90),
        (205, 180, 70),
        (80, 130, 220),
        (180, 90, 190),
        (70, 180, 190),
        (220, 220, 220),
        (120, 120, 120),
        (240, 110, 110),
        (110, 220, 130),
        (240, 220, 120),
        (130, 170, 250),
        (220, 140, 230),
        (120, 220, 230),
        (255, 255, 255),
    ];
    let index = match color {
        Color::Rgb(r, g, b) => return (r, g, b),
        Color::Reset => return fallback,
        Color::Indexed(index) => usize::from(index),
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
    };
    let level = |step: usize| if step == 0 { 0 } else { 55 + 40 * step as u8 };
    match index {
        0..16 => NAMED[index],
        16..232 => {
            let cube = index - 16;
            (level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        gray => {
            let gray = 8 + 10 * (gray.min(255) - 232) as u8;
            (gray, gray, gray)
        }
    }
}

/// A row's text: runs of one style, each character at its cell.
fn texts(buffer: &Buffer, row: usize, svg: &mut String) {
    let cells = cells(buffer, row);
    let mut x = 0;
    while x < cells.len() {
        let style = |cell: &Cell| (colors(cell).0, cell.modifier);
        let (first, begin) = (style(&cells[x]), x);
        let (mut text, mut places) = (String::new(), String::new());
        while x < cells.len() && style(&cells[x]) == first {
            let symbol = cells[x].symbol();
            if !is_drawn(symbol) {
                text += symbol;
                // One place for each character of a cell: the first, since the others join it.
                for _ in symbol.chars() {
                    let _ = write!(places, "{} ", x * WIDE);
                }
            }
            x += symbol.width().max(1);
        }
        debug_assert!(x > begin);
        if text.trim().is_empty() {
            continue;
        }
        let ((r, g, b), modifier) = first;
        let bold = match modifier.contains(Modifier::BOLD) {
            true => " font-weight=\"bold\"",
            false => "",
        };
        let italic = match modifier.contains(Modifier::ITALIC) {
            true => " font-style=\"italic\"",
            false => "",
        };
        let _ = writeln!(
            svg,
            "<text y=\"{}\" x=\"{}\" fill=\"#{r:02x}{g:02x}{b:02x}\"{bold}{italic} xml:space=\"preserve\">{}</text>",
            row * HIGH + 15,
            places.trim_end(),
            escape(&text)
        );
    }
}

/// True for what the paths have drawn, and for nothing.
fn is_drawn(symbol: &str) -> bool {
    ["", " ", "█", "▀", "▄"].contains(&symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn cells_become_paths_and_text() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 1));
        let style = Style::new()
            .fg(Color::Rgb(255, 0, 0))
            .bg(Color::Rgb(0, 0, 255));
        buffer.set_string(0, 0, "▀<😍", style);
        let svg = draw(&buffer, "a & b");
        // The half block's upper half is ink; the paper of the rest goes on below it.
        assert!(
            svg.contains("<path fill=\"#ff0000\" d=\"M0 0h10v10h-10z\"/>"),
            "{svg}"
        );
        assert!(
            svg.contains("<path fill=\"#0000ff\" d=\"M10 0h30v10h-30zM0 10h40v10h-40z\"/>"),
            "{svg}"
        );
        assert!(
            svg.contains("x=\"10 20\" fill=\"#ff0000\" xml:space=\"preserve\">&lt;😍</text>"),
            "{svg}"
        );
        assert!(svg.contains("<title>a &amp; b</title>"));
    }

    #[test]
    fn every_colour_of_a_terminal_has_its_own() {
        let colors: Vec<Rgb> = (0..=255)
            .map(|i| rgb(Color::Indexed(i), (1, 2, 3)))
            .collect();
        assert_eq!(
            (colors[16], colors[231], colors[255]),
            ((0, 0, 0), (255, 255, 255), (238, 238, 238))
        );
        assert_eq!(rgb(Color::Reset, (1, 2, 3)), (1, 2, 3));
    }
}
