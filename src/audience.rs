//! What an audience sees of the traffic: answers to cells, shares, and verdicts on claims.
//!
//! Pure. Everything here is made of [`Sample`]s, and samples are made of sockets only (`sample`):
//! nothing in this module knows of weights, routes or manifests.

pub mod cells;
pub mod change;
pub mod claim;
pub mod color;
pub mod face;
pub mod interval;
pub mod polling;
pub mod sequential;
pub mod tally;

use std::sync::Arc;
use std::time::Duration;

pub use cells::{Cell, Grid};
pub use color::Rgb;
pub use face::{Glyph, Smiley};
pub use polling::{Polling, Shape};
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
    /// As whom it was sent: `x-faces-user`.
    pub user: Option<Arc<str>>,
    /// When the request went out, since the show began.
    pub started: Duration,
    /// When its answer was there.
    pub ended: Duration,
    /// The cell's row.
    pub row: usize,
    /// The cell's column.
    pub column: usize,
    /// Where the cell lies: the path that was asked.
    pub place: Place,
    /// The pod that says it answered: `X-Faces-Pod`.
    pub pod: Option<String>,
    /// What came back.
    pub reply: Reply,
}

impl Sample {
    /// The time from the request to its whole answer.
    pub fn took(&self) -> Duration {
        self.ended.saturating_sub(self.started)
    }
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

impl Reply {
    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Reply::Answer { status, .. } => Some(*status),
            Reply::Unreachable => None,
        }
    }

    /// The body of a good answer that has a face.
    pub fn face(&self) -> Option<&face::Body> {
        match self {
            Reply::Answer {
                status: 200,
                body: body @ face::Body::Face { .. },
            } => Some(body),
            _ => None,
        }
    }

    /// True if it is no face, or one with errors.
    pub fn is_error(&self) -> bool {
        !matches!(
            self.face(),
            Some(face::Body::Face {
                soft_errors: false,
                ..
            })
        )
    }
}

/// The traffic of one user, as the grid shows it.
#[derive(Clone, Debug, Default)]
pub struct UserTraffic {
    /// As whom is asked: `x-faces-user`; none is nobody.
    pub user: Option<Arc<str>>,
    /// The last answers, cell by cell.
    pub grid: Grid,
    /// Their shares.
    pub tally: Tally,
}

impl UserTraffic {
    /// Without answers.
    pub fn of(user: Option<Arc<str>>, shape: Shape) -> Self {
        UserTraffic {
            user,
            grid: Grid::new(shape),
            tally: Tally::default(),
        }
    }
}
