//! What an audience sees of the traffic: answers to cells, shares, and verdicts on claims.
//!
//! Pure. Everything here is made of [`Sample`]s, and samples are made of sockets only (`sample`):
//! nothing in this module knows of weights, routes or manifests.

pub mod cells;
pub mod claim;
pub mod color;
pub mod face;
pub mod interval;
pub mod tally;

use std::time::Duration;

pub use cells::{Cell, Grid};
pub use color::Rgb;
pub use face::{Glyph, Smiley};
pub use tally::Tally;

/// Where a cell lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Inner: `/face/center/`.
    Center,
    /// Outer ring: `/face/edge/`.
    Edge,
}

/// One answer to one cell's request, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The request's number among its sampler's, in order of starting.
    pub number: u64,
    /// When the request went out, since the show began.
    pub started: Duration,
    /// When its answer was there.
    pub ended: Duration,
    /// The cell's row.
    pub row: usize,
    /// The cell's column.
    pub column: usize,
    /// What came back.
    pub reply: Reply,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// An HTTP answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its body, looked at only if the status is 200.
        body: face::Body,
    },
    /// No HTTP answer: refused, reset, timed out.
    Unreachable,
}

/// The rows and columns of the grid.
pub const SIDE: usize = 4;

/// Whether a cell is inner or outer, with an edge of one.
pub fn place(row: usize, column: usize) -> Place {
    let inner = 1..SIDE - 1;
    if inner.contains(&row) && inner.contains(&column) {
        Place::Center
    } else {
        Place::Edge
    }
}
