//! The view: a pure function of state, theme and size to a screen.
//!
//! The same code draws what an audience sees, what a cast records and what tests compare.

pub mod art;
mod chrome;
mod code;
mod grid;
mod prose;
mod stage;
mod wrap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::audience::UserTraffic;
use crate::engine::{Above, State, Traffic};
use crate::theme::{Theme, color};
use code::Highlighter;

/// The smallest screen that a show fits on.
pub const SMALLEST: (u16, u16) = (40, 12);
/// From this width on the grid stands beside the stage.
const BESIDE: u16 = 72;

/// Draws shows.
pub struct View {
    theme: Theme,
    code: Highlighter,
}

/// Where the parts of a screen are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Title, step, badge.
    pub header: Rect,
    /// Prose and commands.
    pub stage: Rect,
    /// Faces; empty where there is no room for them.
    pub grid: Rect,
    /// Keys, time, gateway.
    pub footer: Rect,
}

/// Divides a screen for a state: where there is no Gateway and none is promised there is no grid.
pub fn layout(state: &State, area: Rect) -> Layout {
    let parts = with_grids(area, &state.users);
    match state.traffic {
        Traffic::Expected => parts,
        Traffic::None | Traffic::Hidden => Layout {
            stage: Rect {
                x: area.x + 1,
                y: parts.stage.y,
                width: area.width.saturating_sub(2),
                height: parts.footer.y.saturating_sub(parts.stage.y),
            },
            grid: Rect::ZERO,
            ..parts
        },
    }
}

/// Divides a screen with room for the users' grids.
pub fn with_grids(area: Rect, users: &[UserTraffic]) -> Layout {
    let header = Rect { height: 1, ..area };
    let footer_rows = if area.height >= 16 { 2 } else { 1 };
    let footer = Rect {
        y: area.bottom().saturating_sub(footer_rows),
        height: footer_rows,
        ..area
    };
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1 + footer_rows),
        ..area
    };
    if body.width >= BESIDE {
        // Several grids are what is to be looked at.
        let share = body.width * if users.len() > 1 { 60 } else { 45 } / 100;
        let width = grid::width_of(users, share, body.height);
        let stage = Rect {
            x: body.x + 1,
            width: body.width.saturating_sub(width + 3),
            ..body
        };
        let grid = Rect {
            x: body.right().saturating_sub(width + 1),
            width,
            ..body
        };
        return Layout {
            header,
            stage,
            grid,
            footer,
        };
    }
    let grid_rows = if body.height >= 20 {
        body.height / 2
    } else {
        0
    };
    let stage = Rect {
        x: body.x + 1,
        width: body.width.saturating_sub(2),
        height: body.height - grid_rows,
        ..body
    };
    let grid = Rect {
        y: body.bottom() - grid_rows,
        height: grid_rows,
        ..body
    };
    Layout {
        header,
        stage,
        grid,
        footer,
    }
}

impl View {
    /// With a theme.
    pub fn new(theme: Theme) -> Self {
        let code = Highlighter::new(theme.syntax);
        View { theme, code }
    }

    /// Draws a state; says what of the page stands above the screen.
    pub fn draw(&self, state: &State, area: Rect, buffer: &mut Buffer) -> Above {
        let theme = &self.theme;
        buffer.set_style(area, theme.base());
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let text = format!("too small: {}x{} needed", SMALLEST.0, SMALLEST.1);
            buffer.set_stringn(area.x, area.y, text, usize::from(area.width), theme.base());
            return Above::default();
        }
        if state.blank {
            buffer.set_style(area, Style::new().bg(color(crate::audience::Rgb(0, 0, 0))));
            return Above::default();
        }
        let parts = layout(state, area);
        chrome::header(state, theme, parts.header, buffer);
        chrome::footer(state, theme, parts.footer, buffer);
        let mut above = Above::default();
        if state.zoomed {
            let body = Rect {
                y: parts.header.bottom(),
                height: parts.footer.y.saturating_sub(parts.header.bottom()),
                ..area
            };
            grid::draw(state, theme, body, buffer);
        } else {
            above = stage::draw(state, theme, &self.code, parts.stage, buffer);
            if !parts.grid.is_empty() {
                grid::draw(state, theme, parts.grid, buffer);
            }
        }
        chrome::overlay(state, theme, area, buffer);
        above
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::Shape;

    #[test]
    fn the_parts_of_every_screen_fit_and_do_not_overlap() {
        for width in (40..220).step_by(7) {
            for height in 12..70 {
                let area = Rect::new(0, 0, width, height);
                let users = vec![UserTraffic::default(); usize::from(height % 3 + 1)];
                let parts = with_grids(area, &users);
                for part in [parts.header, parts.stage, parts.grid, parts.footer] {
                    assert_eq!(part.intersection(area), part, "{width}x{height} {part:?}");
                }
                assert!(!parts.stage.intersects(parts.grid), "{width}x{height}");
                assert!(!parts.stage.intersects(parts.footer), "{width}x{height}");
            }
        }
    }

    #[test]
    fn at_80_by_24_faces_are_pixel_art() {
        let parts = with_grids(Rect::new(0, 0, 80, 24), &[UserTraffic::default()]);
        let cell = grid::cell_size(Shape::default(), parts.grid.width, parts.grid.height, 0);
        assert_eq!(cell.rows, 4);
        assert!(parts.stage.width >= 40, "{parts:?}");
    }
}
