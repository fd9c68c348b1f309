//! What the engine knows: all that screens, casts and reports are made of.

use std::sync::Arc;
use std::time::Duration;

use super::event::Id;
use crate::audience::change::FirstAnswer;
use crate::audience::claim::Seen;
use crate::audience::{Polling, UserTraffic};
use crate::diff::Change;
use crate::script::Location;
use crate::script::directive::Target;
use crate::terminal::Frame;

/// The state of a show.
#[derive(Clone, Debug)]
pub struct State {
    /// The script's title.
    pub title: String,
    /// The cluster that it is played on.
    pub ground: Ground,
    /// The section, if one has begun.
    pub section: Option<String>,
    /// The number of the step on the screen, from 1; 0 before the first.
    pub step: usize,
    /// How many steps the audience will see.
    pub steps: usize,
    /// What is on the stage.
    pub page: Vec<Block>,
    /// Pages before this one.
    pub history: Vec<Vec<Block>>,
    /// How many pages the presenter looks back; 0 is the present.
    pub looking_back: usize,
    /// What of the page stands above the screen when its end is seen, as the screen told.
    pub above: Above,
    /// The first block of the page that came after the last wait.
    pub fresh: usize,
    /// So many rows above its end is the page looked at.
    pub scrolled: usize,
    /// Whether there is traffic to draw.
    pub traffic: Traffic,
    /// What is going on.
    pub phase: Phase,
    /// What lies over the screen.
    pub overlay: Overlay,
    /// The grid fills the screen.
    pub zoomed: bool,
    /// The screen is black.
    pub blank: bool,
    /// The cluster.
    pub cluster: Cluster,
    /// The gateway's URL, once it can be reached.
    pub gateway: Option<String>,
    /// The grids, one for each user whose answers are shown; there is always one.
    pub users: Vec<UserTraffic>,
    /// What they ask for.
    pub polling: Polling,
    /// What has been run.
    pub results: Vec<StepResult>,
    /// How the show ended, once it has.
    pub outcome: Option<Outcome>,
    /// When the show began to be shown, for the footer's clock.
    pub now: Duration,
    /// The speaker note of this step.
    pub note: Option<String>,
}

/// The cluster that a show is played on, by name only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// One of its own.
    Embedded,
    /// The user's, by its context.
    Context(String),
}

impl Ground {
    /// The kind of cluster, for `@only`.
    pub fn target(&self) -> Target {
        match self {
            Ground::Embedded => Target::Embedded,
            Ground::Context(_) => Target::Context,
        }
    }
}

/// A page that is longer than the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Above {
    /// Rows of the page that stand above the screen when its end is seen.
    pub rows: usize,
    /// Rows that the screen has for it.
    pub height: usize,
    /// Rows from the first block on that is new.
    pub fresh: usize,
}

/// Whether there is traffic to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// There is a Gateway, or the cluster comes with one.
    Expected,
    /// The script has hidden it.
    Hidden,
    /// There is no Gateway.
    None,
}

/// What is going on.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Nothing yet.
    Beginning,
    /// A command is being typed.
    Typing {
        /// The timer of the next character.
        timer: Id,
    },
    /// The presenter has the word.
    Waiting(Wait),
    /// A command runs.
    Running {
        /// Its number.
        id: Id,
        /// Since when.
        since: Duration,
        /// The keys go to the program.
        focus: bool,
    },
    /// An expectation is being judged.
    Judging {
        /// Its probe.
        id: Id,
    },
    /// It is over.
    Ended,
}

/// What the presenter's next key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Runs the command that stands there.
    BeforeCommand,
    /// Runs the command that stands there, if it is Enter.
    BeforeDanger,
    /// Goes on.
    Stop,
    /// Goes on after something failed.
    Failure,
    /// Ends the show.
    End,
}

/// What lies over the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// The keys.
    Help,
    /// How to see the notes.
    Notes,
    /// Really quit?
    Quit,
}

/// Where the cluster stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// Being started.
    Starting,
    /// Ready for commands.
    Ready,
    /// Not to be had, and why.
    Failed(String),
}

/// How a show ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// At its end.
    Finished,
    /// The presenter left.
    Quit,
    /// Something failed: where and why.
    Failed {
        /// The element.
        location: Location,
        /// Why.
        reason: String,
    },
}

/// A piece of the stage.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Markdown.
    Prose(String),
    /// A comment in a fence or shell script.
    Comment(String),
    /// Printed words.
    Print(String),
    /// A command with all that belongs to it.
    Command(Box<CommandBlock>),
    /// Something that Footlights has to say.
    Notice(String),
}

/// A command on the stage.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandBlock {
    /// Its number.
    pub id: Id,
    /// Its text.
    pub text: String,
    /// Who runs it.
    pub by: By,
    /// What an audience sees of it.
    pub seen: Visible,
    /// How many characters are typed; all if `None`.
    pub typed: Option<usize>,
    /// What it will change.
    pub predicted: Vec<Change>,
    /// What it has shown; live while it runs.
    pub output: Arc<Frame>,
    /// Its end: status and time taken.
    pub ended: Option<(i32, Duration)>,
    /// What changed in the cluster.
    pub changes: Vec<Change>,
    /// The first answer that showed it.
    pub first_answer: Option<FirstAnswer>,
    /// Expectations on it.
    pub checks: Vec<Check>,
    /// It was left out.
    pub skipped: bool,
    /// It may fail.
    pub may_fail: bool,
}

/// Who runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// bash.
    Shell,
    /// Footlights: `@apply`.
    Footlights,
}

/// What an audience sees of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// Its text, what it writes, and what it changes.
    Whole,
    /// Only what it writes, as of commands that demosh runs unseen.
    Output,
}

impl Block {
    /// True if there is nothing of it to see.
    pub fn is_empty(&self) -> bool {
        matches!(self, Block::Command(command)
            if command.seen == Visible::Output && command.output.lines.is_empty())
    }
}

/// An expectation on the stage and in reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// As written.
    pub text: String,
    /// Where.
    pub location: Location,
    /// Whether it holds; none while it is being judged or when it was left.
    pub holds: Option<bool>,
    /// What was seen, for traffic.
    pub seen: Option<Seen>,
    /// How long it took.
    pub took: Duration,
    /// What was seen, in words.
    pub observed: String,
}

/// A command that has run, for reports.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// Where it stands.
    pub location: Location,
    /// The section it is in.
    pub section: Option<String>,
    /// Its text.
    pub text: String,
    /// What stands for the text in reports for people: a fence has none that says what it does.
    pub title: Option<String>,
    /// Its exit status.
    pub status: i32,
    /// Time taken.
    pub took: Duration,
    /// Why it failed, if it did.
    pub failed: Option<String>,
    /// What changed in the cluster.
    pub changes: Vec<Change>,
    /// The first answer that showed it.
    pub first_answer: Option<FirstAnswer>,
    /// Its expectations.
    pub checks: Vec<Check>,
    /// The last lines that it wrote, for a report of its failure.
    pub tail: Vec<String>,
}

impl State {
    /// The page that the presenter looks at.
    pub fn visible_page(&self) -> &[Block] {
        match self.looking_back {
            0 => &self.page,
            back => {
                let index = self.history.len().saturating_sub(back);
                self.history
                    .get(index)
                    .map_or(&self.page[..], Vec::as_slice)
            }
        }
    }

    /// The command block with a number.
    pub fn command(&mut self, id: Id) -> Option<&mut CommandBlock> {
        self.page.iter_mut().rev().find_map(|block| match block {
            Block::Command(command) if command.id == id => Some(&mut **command),
            _ => None,
        })
    }

    /// True if the step on the screen has not run.
    pub fn is_before_a_command(&self) -> bool {
        matches!(
            self.phase,
            Phase::Waiting(Wait::BeforeCommand | Wait::BeforeDanger)
        )
    }

    /// True if the presenter has the word.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }
}
