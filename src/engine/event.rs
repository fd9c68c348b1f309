//! What happens to the engine, by who sends it.

use std::sync::Arc;

use serde_json::Value;

use super::state::Above;
use crate::audience::Sample;
use crate::diff::Change;
use crate::script::Script;
use crate::script::interpolate::Variables;
use crate::terminal::Frame;

/// A timer, a command, a probe: answers carry the number, so that late ones are dropped.
pub type Id = u64;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The presenter, or an autopilot, wants something.
    Intent(Intent),
    /// A pause or deadline is over.
    Timer(Id),
    /// The running command's terminal shows this now.
    Output(Id, Arc<Frame>),
    /// The command has ended.
    Exited(Id, Exit),
    /// The script that a command plays, or why it cannot be played.
    Nested(Id, Result<Nested, String>),
    /// What a command is about to change.
    Predicted(Id, Vec<Change>),
    /// Something changed in the cluster.
    Changed(Change),
    /// The grid's sampler has an answer.
    Sampled(Sample),
    /// A probe of an expectation has an answer.
    Probed(Id, Sample),
    /// The object that an expectation is about, if it is there, or why it cannot be seen.
    Object(Id, Result<Option<Value>, String>),
    /// The cluster is there.
    ClusterReady,
    /// The gateway can be reached here.
    Gateway(String),
    /// There is no cluster, and why.
    ClusterFailed(String),
    /// The screen has shown the page, and this much of it stands above.
    Shown(Above),
    /// Time has passed: something on the screen may fade.
    Tick,
}

/// What a presenter wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Enter: finish typing and run; advance.
    Enter,
    /// Space, PgDn, →: finish typing; advance.
    Next,
    /// Look at the page before.
    LookBack,
    /// Leave out the command that is waiting.
    Skip,
    /// Go back to the command before, to run it again.
    Repeat,
    /// Stop the running command.
    Interrupt,
    /// Switch the keys between the show and the running program.
    Focus,
    /// Bytes for the running program.
    Type(Vec<u8>),
    /// Fill the screen with the grid, or stop that.
    Zoom,
    /// Black screen, or stop that.
    Blank,
    /// The keys' help, or stop that.
    Help,
    /// How to see the speaker notes.
    Notes,
    /// Leave: asks.
    Quit,
    /// Leave at once.
    Leave,
    /// Yes.
    Yes,
    /// Close whatever is open.
    Close,
}

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its exit status; 128 + N for signal N.
    pub status: i32,
    /// `set -e` is on.
    pub errexit: bool,
    /// What the guard put back, if the command had changed the cluster that commands see.
    pub guarded: Option<String>,
    /// It has asked for input when nobody was there.
    pub asked: bool,
    /// The shell's variables now, if there was still a shell to tell them.
    pub variables: Option<Arc<Variables>>,
}

/// A script that another plays, and the variables that it begins with.
#[derive(Clone, Debug)]
pub struct Nested {
    /// The script.
    pub script: Arc<Script>,
    /// What `${NAME}` shows in it at first.
    pub variables: Arc<Variables>,
}
