//! Which cells ask through the gateway, as whom, and how often.

use std::sync::Arc;
use std::time::Duration;

use super::Place;

/// Each cell asks once in this time (FACES.md 5.3), unless a rate allows less.
const PERIOD: Duration = Duration::from_millis(2000);
/// An expectation's requests begin at most this often, each second: what is measured shall not be the
/// load of measuring.
pub const MOST_RATE: u16 = 400;

/// The rows and columns of a grid. There is an edge around a centre, so there are three of each at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of cells.
    pub rows: usize,
    /// Columns of cells.
    pub columns: usize,
}

impl Default for Shape {
    fn default() -> Self {
        let (rows, columns) = (4, 4);
        Shape { rows, columns }
    }
}

impl Shape {
    /// All cells, by row and column.
    pub fn cells(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.rows).flat_map(move |row| (0..self.columns).map(move |column| (row, column)))
    }

    /// Where a cell lies, with an edge of one.
    pub fn place(self, row: usize, column: usize) -> Place {
        let is_inner = (1..self.rows - 1).contains(&row) && (1..self.columns - 1).contains(&column);
        match is_inner {
            true => Place::Center,
            false => Place::Edge,
        }
    }
}

/// What the grids ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polling {
    /// The users whose answers are shown, a grid each; none is nobody.
    pub users: Vec<Option<Arc<str>>>,
    /// The cells of each grid.
    pub shape: Shape,
    /// The most requests a second, those of expectations too.
    pub rate: Option<u16>,
}

impl Default for Polling {
    fn default() -> Self {
        Polling {
            users: vec![None],
            shape: Shape::default(),
            rate: None,
        }
    }
}

impl Polling {
    /// The time from one request of a cell to its next one. Half of a rate is left to expectations.
    pub fn period(&self) -> Duration {
        let cells = self.shape.rows * self.shape.columns * self.users.len();
        match self.rate {
            Some(rate) => PERIOD.max(Duration::from_secs_f64(
                cells as f64 / (f64::from(rate) / 2.0),
            )),
            None => PERIOD,
        }
    }

    /// How many requests of expectations may begin in a second.
    pub fn probes_per_second(&self) -> f64 {
        let cells = (self.shape.rows * self.shape.columns * self.users.len()) as f64;
        match self.rate {
            Some(rate) => f64::from(rate) - cells / self.period().as_secs_f64(),
            None => f64::from(MOST_RATE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_of_cells_is_the_edge() {
        for (rows, columns, edge, center) in [(4, 4, 12, 4), (3, 3, 8, 1), (5, 8, 22, 18)] {
            let shape = Shape { rows, columns };
            let inner =
                |(row, column): &(usize, usize)| shape.place(*row, *column) == Place::Center;
            let count = shape.cells().filter(inner).count();
            assert_eq!((shape.cells().count() - count, count), (edge, center));
        }
    }

    #[test]
    fn grids_and_expectations_share_a_rate() {
        let polling = |users: usize, rate: Option<u16>| Polling {
            users: vec![None; users],
            rate,
            ..Polling::default()
        };
        for (users, rate, period, probes) in [
            (1, None, 2.0, 400.0),
            (2, None, 2.0, 400.0),
            (1, Some(100), 2.0, 92.0),
            (1, Some(16), 2.0, 8.0),
            (2, Some(16), 4.0, 8.0),
            (1, Some(4), 8.0, 2.0),
        ] {
            let polling = polling(users, rate);
            let seen = (polling.period().as_secs_f64(), polling.probes_per_second());
            assert_eq!(seen, (period, probes), "{users} users, {rate:?}");
        }
    }
}
