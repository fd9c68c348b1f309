//! What the engine wants done, by what it touches.

use std::time::Duration;

use super::event::Id;
use crate::audience::Polling;
use crate::script::Manifest;
use crate::script::expect::{Asked, Condition};

/// Something to do. The engine never does it itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send `Timer(id)` after a pause for the audience; a skipping clock does not wait.
    Pause {
        /// The timer.
        id: Id,
        /// How long.
        length: Duration,
    },
    /// Send `Timer(id)` after real time, whatever the clock.
    Deadline {
        /// The timer.
        id: Id,
        /// How long.
        length: Duration,
    },
    /// Run a command.
    Run {
        /// The command's number.
        id: Id,
        /// What bash gets.
        command: String,
    },
    /// Let bash expand the words behind `$SHELL`: the script to play and its arguments.
    Expand {
        /// The command's number.
        id: Id,
        /// What bash gets.
        words: String,
    },
    /// Read the script whose words were expanded, and start a shell for it; send `Nested(id)`.
    Nest {
        /// The command's number.
        id: Id,
    },
    /// The nested script is over: its shell gets no more steps.
    LeaveNested,
    /// A line for the log.
    Log(String),
    /// Run a command if its first word is one; else it ends with 127 and says nothing.
    RunIfKnown {
        /// The command's number.
        id: Id,
        /// What bash gets.
        command: String,
    },
    /// Ctrl-C for the running command.
    Interrupt(Id),
    /// End the running command, whatever it does.
    Kill(Id),
    /// Bytes for the running command's terminal.
    Type(Vec<u8>),
    /// Apply a manifest to the cluster; it ends as a command does.
    Apply {
        /// The step's number.
        id: Id,
        /// What is applied.
        manifest: Manifest,
    },
    /// Find out what a command will change.
    Predict {
        /// The command's number.
        id: Id,
        /// What bash will get.
        command: String,
    },
    /// Find out what applying a manifest will change.
    PredictApply {
        /// The step's number.
        id: Id,
        /// What will be applied.
        manifest: Manifest,
    },
    /// From now on the grids ask this.
    Grid(Polling),
    /// Sample the traffic for an expectation.
    Probe {
        /// The probe.
        id: Id,
        /// Whose requests for which cells, in turn: what stands there twice is asked twice as often.
        asked: Vec<Asked>,
        /// So many requests are in flight.
        at_once: usize,
    },
    /// Watch the object that has a condition; send `Object(id)`.
    WatchObject {
        /// The watch.
        id: Id,
        /// Whose object.
        condition: Condition,
    },
    /// Sample, or watch, no more.
    StopProbe(Id),
    /// A named place, for casts.
    Mark(String),
    /// The show is over.
    Finish,
}
