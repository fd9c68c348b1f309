//! The grid of faces, and the shares beneath it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::art;
use super::wrap::shorten;
use crate::audience::cells::Look;
use crate::audience::color::PURPLE;
use crate::audience::tally::Shares;
use crate::audience::{Glyph, Rgb, Shape, Smiley, UserTraffic};
use crate::engine::State;
use crate::theme::{Theme, color};

/// Cells under this size show an emoji or a letter instead of pixel art.
const ART: (u16, u16) = (8, 4);
/// Rows beneath the grid: a line of numbers and two bars each for faces and colours.
pub const SHARES: u16 = 5;

/// Columns between two grids.
const BETWEEN: u16 = 3;

/// Columns that the shares need to be of use.
const NARROWEST_SHARES: u16 = 36;

/// The size of a cell in columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellSize {
    /// Columns; twice the rows, so that pixels are square.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// The greatest cells with which a grid, what stands above it and its shares fit into a space.
pub fn cell_size(shape: Shape, columns: u16, rows: u16, above: u16) -> CellSize {
    let side = shape.columns as u16;
    let by_rows = rows.saturating_sub(SHARES + above) / shape.rows as u16;
    let by_columns = (columns.saturating_sub(side - 1) / side) / 2;
    let rows = by_rows.min(by_columns).max(1);
    CellSize {
        columns: rows * 2,
        rows,
    }
}

/// The columns that a grid of such cells takes, with a gap between cells.
pub fn width(shape: Shape, cell: CellSize) -> u16 {
    let side = shape.columns as u16;
    cell.columns * side + side - 1
}

/// The columns that the users' grids take in a space, side by side.
pub fn width_of(users: &[UserTraffic], columns: u16, rows: u16) -> u16 {
    let count = users.len().max(1) as u16;
    let gaps = BETWEEN * (count - 1);
    let each = columns.saturating_sub(gaps) / count;
    let shape = users
        .first()
        .map_or_else(Shape::default, |u| u.grid.shape());
    let used = width(shape, cell_size(shape, each, rows, title_rows(users)));
    match count {
        1 => used,
        // A title and bars need more than the smallest cells do.
        _ => each.max(used) * count + gaps,
    }
}

/// The rows above the grid: whose it is, where that is not plain.
pub fn title_rows(users: &[UserTraffic]) -> u16 {
    u16::from(!matches!(users, [UserTraffic { user: None, .. }]))
}

/// Draws each user's grid and its shares, side by side.
pub fn draw(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let count = state.users.len().max(1) as u16;
    let each = area.width.saturating_sub(BETWEEN * (count - 1)) / count;
    for (index, traffic) in (0..).zip(&state.users) {
        let part = Rect {
            x: area.x + index * (each + BETWEEN),
            width: each,
            ..area
        };
        draw_user(traffic, state, theme, part.intersection(area), buffer);
    }
}

fn draw_user(traffic: &UserTraffic, state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let above = title_rows(&state.users);
    let shape = traffic.grid.shape();
    let cell = cell_size(shape, area.width, area.height, above);
    let (wide, high) = (width(shape, cell), cell.rows * shape.rows as u16);
    let spare = area.height.saturating_sub(high + SHARES + above);
    let top = if state.zoomed {
        spare / 2
    } else {
        spare.min(1)
    };
    let used = Rect {
        x: area.x + area.width.saturating_sub(wide) / 2,
        y: area.y + top + above,
        width: wide,
        height: high,
    };
    if above > 0 {
        draw_title(traffic, used, theme, area, buffer);
    }
    let period = state.polling.period();
    for (row, column) in shape.cells() {
        let look = traffic.grid.cell(row, column).look(state.now, period);
        let place = Rect {
            x: used.x + column as u16 * (cell.columns + 1),
            y: used.y + row as u16 * cell.rows,
            width: cell.columns,
            height: cell.rows,
        }
        .intersection(area);
        draw_cell(&look, theme, place, buffer);
    }
    let width = used.width.max(area.width.min(NARROWEST_SHARES));
    let below = Rect {
        x: area.x + area.width.saturating_sub(width) / 2,
        y: used.y + used.height,
        width,
        height: SHARES,
    };
    draw_shares(traffic, state, theme, below.intersection(area), buffer);
}

/// The header with which this user's requests are sent.
fn draw_title(traffic: &UserTraffic, used: Rect, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let title = match &traffic.user {
        Some(user) => format!("x-faces-user: {user}"),
        None => "no user".to_owned(),
    };
    let title = shorten(&title, usize::from(area.width));
    let x = area.x + area.width.saturating_sub(title.width() as u16) / 2;
    let style = theme.ink(theme.heading).add_modifier(Modifier::BOLD);
    buffer.set_string(x, used.y - 1, title, style);
}

fn draw_cell(look: &Look, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let paper = look.background.over(theme.background, look.opacity);
    buffer.set_style(area, Style::new().bg(color(paper)));
    // The last row's lower half is a gap to the cell beneath.
    let gap = Style::new().fg(color(paper)).bg(color(theme.background));
    if area.height > 1 {
        let row = "▀".repeat(usize::from(area.width));
        buffer.set_string(area.x, area.bottom() - 1, row, gap);
    }
    let side = usize::from(area.width.min(area.height * 2));
    match &look.glyph {
        Some(Glyph::Face(smiley)) if area.width >= ART.0 && area.height >= ART.1 => {
            if let Some((drawing, scale)) = art::fitting(*smiley, side) {
                draw_art(drawing, scale, look, theme, area, buffer);
            }
        }
        // An emoji has colours of its own and cannot fade: it goes when the cell has.
        Some(_) if look.opacity < 0.1 => {}
        Some(glyph) => draw_small(glyph, paper, area, buffer),
        None => {
            let dim = Style::new().fg(color(theme.background));
            buffer.set_string(area.x + area.width / 2, area.y + area.height / 2, "·", dim);
        }
    }
    if look.border == PURPLE && look.glyph.is_some() {
        draw_border(look, theme, area, buffer);
    }
    if let Some(count) = look.counter {
        let text = count.min(999).to_string();
        let x = area.right().saturating_sub(text.len() as u16);
        let style = Style::new()
            .fg(color(Rgb(0, 0, 0)))
            .bg(color(Rgb(255, 255, 255)));
        buffer.set_string(x, area.bottom() - 1, text, style);
    }
}

/// Soft errors have a purple frame: in the gaps at both sides of the cell.
fn draw_border(look: &Look, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let ink = Style::new()
        .fg(color(look.border.over(theme.background, look.opacity)))
        .bg(color(theme.background));
    let ends = [(area.x.checked_sub(1), "▐"), (Some(area.right()), "▌")];
    for y in area.top()..area.bottom() {
        for (x, half) in ends {
            if let Some(x) = x
                && buffer.area.contains((x, y).into())
            {
                buffer.set_string(x, y, half, ink);
            }
        }
    }
}

/// Two pixels a cell: the upper one is the half block, the lower one its background.
fn draw_art(
    drawing: &art::Drawing,
    scale: usize,
    look: &Look,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let (wide, high) = (usize::from(area.width), usize::from(area.height) * 2);
    let size = drawing.side * scale;
    let (left, top) = ((wide - size) / 2, (high - size) / 2);
    let pixel = |x: usize, y: usize| {
        if y + 1 == high {
            return color(theme.background);
        }
        let inside = (left..left + size).contains(&x) && (top..top + size).contains(&y);
        let ink = inside
            .then(|| drawing.pixel((x - left) / scale, (y - top) / scale))
            .flatten();
        color(
            ink.unwrap_or(look.background)
                .over(theme.background, look.opacity),
        )
    };
    for y in 0..area.height {
        for x in 0..area.width {
            let (column, row) = (usize::from(x), usize::from(y) * 2);
            let style = Style::new()
                .fg(pixel(column, row))
                .bg(pixel(column, row + 1));
            // Cell by cell: measuring the same character thousands of times a frame is what costs.
            if let Some(cell) = buffer.cell_mut((area.x + x, area.y + y)) {
                cell.set_symbol("▀").set_style(style);
            }
        }
    }
}

fn draw_small(glyph: &Glyph, paper: Rgb, area: Rect, buffer: &mut Buffer) {
    let Rgb(r, g, b) = paper;
    let bright = u32::from(r) * 3 + u32::from(g) * 6 + u32::from(b) > 1280;
    let ink = if bright {
        Rgb(0, 0, 0)
    } else {
        Rgb(255, 255, 255)
    };
    let style = Style::new()
        .fg(color(ink))
        .bg(color(paper))
        .add_modifier(Modifier::BOLD);
    let text = match glyph {
        Glyph::Face(smiley) if area.width >= 2 => smiley.emoji().to_string(),
        Glyph::Face(smiley) => smiley.letter().to_string(),
        Glyph::Text(text) => shorten(text, usize::from(area.width)),
    };
    let x = area.x + area.width.saturating_sub(text.width() as u16) / 2;
    buffer.set_string(x, area.y + (area.height - 1) / 2, text, style);
}

fn draw_shares(
    traffic: &UserTraffic,
    state: &State,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let shares = traffic.tally.shares(state.now);
    let mut rows = vec![numbers(&shares, state, theme, area.width)];
    // In an order that does not change when one overtakes the other.
    let mut glyphs: Vec<_> = shares.glyphs.iter().take(2).collect();
    glyphs.sort_by(|a, b| a.0.cmp(&b.0));
    for (glyph, share) in glyphs {
        let ink = ink_of(glyph, theme);
        rows.push(bar(&glyph.name(), *share, ink, theme, area.width));
    }
    rows.resize(3, Line::default());
    for (rgb, share) in shares.colors.iter().take(2) {
        rows.push(bar(&rgb.name(), *share, *rgb, theme, area.width));
    }
    for (y, row) in (area.top()..area.bottom()).zip(rows) {
        buffer.set_line(area.x, y, &row, area.width);
    }
}

/// Two faces side by side have bars of two colours.
fn ink_of(glyph: &Glyph, theme: &Theme) -> Rgb {
    match glyph {
        Glyph::Face(Smiley::Grinning) => theme.heading,
        Glyph::Face(Smiley::HeartEyes) => theme.bad,
        Glyph::Face(Smiley::RollingEyes) => theme.accent,
        _ => theme.dim,
    }
}

fn numbers(shares: &Shares, state: &State, theme: &Theme, width: u16) -> Line<'static> {
    if shares.n == 0 {
        let text = if state.gateway.is_some() {
            "waiting for the first answers"
        } else {
            "no traffic yet"
        };
        return Line::styled(text, theme.ink(theme.dim));
    }
    let errors = format!("{:.0} % errors", shares.errors * 100.0);
    let ink = if shares.errors > 0.0 {
        theme.bad
    } else {
        theme.dim
    };
    let room = usize::from(width).saturating_sub(errors.width());
    let rates = [" answers/s · ", "/s · "].map(|unit| format!("{:.1}{unit}", shares.rate));
    let rate = rates.into_iter().find(|rate| rate.width() <= room);
    Line::from(vec![
        Span::styled(rate.unwrap_or_default(), theme.ink(theme.dim)),
        Span::styled(errors, theme.ink(ink)),
    ])
}

fn bar(name: &str, share: f64, ink: Rgb, theme: &Theme, width: u16) -> Line<'static> {
    const NAME: usize = 12;
    const NUMBER: usize = 6;
    let room = usize::from(width).saturating_sub(NAME + NUMBER).min(60);
    let eighths = (share * room as f64 * 8.0).round() as usize;
    let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let filled = format!("{}{}", "█".repeat(eighths / 8), parts[eighths % 8]);
    let rest = room.saturating_sub(filled.width());
    let name = shorten(name, NAME - 1);
    let padding = " ".repeat(NAME - name.width());
    Line::from(vec![
        Span::styled(format!("{name}{padding}"), theme.base()),
        Span::styled(filled, theme.ink(ink)),
        Span::styled(" ".repeat(rest), theme.base()),
        Span::styled(format!("{:>4.0} %", share * 100.0), theme.base()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_grow_with_their_space_and_stay_square() {
        for (space, rows) in [
            ((35, 21), 4),
            ((44, 27), 5),
            ((90, 57), 10),
            ((20, 10), 1),
            ((0, 0), 1),
        ] {
            let cell = cell_size(Shape::default(), space.0, space.1, 0);
            assert_eq!((cell.rows, cell.columns), (rows, rows * 2), "{space:?}");
        }
    }
}
