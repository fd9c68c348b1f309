//! Two clocks: one that takes real time for pauses, and one that only counts them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time of a show.
#[derive(Clone, Debug)]
pub struct Clock {
    began: Instant,
    pace: Pace,
    skipped: Arc<Mutex<Duration>>,
}

/// What a pause takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Its time.
    Live,
    /// No time: it is only counted, for the viewer of a cast.
    Skipping,
}

impl Clock {
    /// A clock that starts now.
    pub fn new(pace: Pace) -> Self {
        Clock {
            began: Instant::now(),
            pace,
            skipped: Arc::default(),
        }
    }

    /// When the show began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Real time since then.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Time since then as a viewer has it: with the pauses that were skipped.
    pub fn viewer_time(&self) -> Duration {
        self.elapsed() + *self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pause for the audience.
    pub async fn pause(&self, length: Duration) {
        match self.pace {
            Pace::Live => tokio::time::sleep(length).await,
            Pace::Skipping => {
                *self.skipped.lock().unwrap_or_else(PoisonError::into_inner) += length;
            }
        }
    }
}
