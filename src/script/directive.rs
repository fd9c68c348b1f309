//! The words after `@`: demosh's and ours. Anything unknown is a command that runs at once.

use std::sync::Arc;
use std::time::Duration;

use super::expect::{self, Expectation};
use crate::audience::polling::{MOST_RATE, Polling, Shape};

/// A directive that runs nothing by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Directive {
    /// Show what follows.
    Show,
    /// Hide what follows.
    Hide,
    /// Ignore everything up to the next `@SHOW`.
    Skip,
    /// Run the next command unseen and without waiting.
    Immed,
    /// Do not wait before the next command.
    NoWaitBefore,
    /// Wait after the next command.
    WaitAfter,
    /// Do not show the next command.
    NoShow,
    /// Show the next command at once.
    NoTypeOut,
    /// Name a stop for index, markers and report.
    Section(String),
    /// A speaker note.
    Note(String),
    /// An assertion on the last step.
    Expect(Box<Expectation>),
    /// The next command ends after this time at the latest.
    Timeout(Duration),
    /// The next command may fail.
    MayFail,
    /// Only Enter runs the next command.
    Danger,
    /// What follows, up to its `@end`, is for one kind of cluster.
    Only(Target),
    /// The end of `@only`.
    End,
    /// What the grid shows.
    Grid(GridChange),
    /// Turn the page: wait if there is something to read, then clear. Made by headings of articles.
    Page,
}

/// What `@grid` changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GridChange {
    /// As written, behind `@grid`.
    pub text: String,
    /// `show` or `hide`.
    pub visible: Option<bool>,
    /// The users whose answers are shown, a grid each; none is nobody.
    pub users: Option<Vec<Option<Arc<str>>>>,
    /// Rows of cells.
    pub rows: Option<usize>,
    /// Columns of cells.
    pub columns: Option<usize>,
    /// The most requests a second, those of expectations too.
    pub rate: Option<u16>,
}

impl GridChange {
    /// What is asked for after the change.
    pub fn applied_to(&self, polling: &Polling) -> Polling {
        let Shape { rows, columns } = polling.shape;
        Polling {
            users: self.users.clone().unwrap_or_else(|| polling.users.clone()),
            shape: Shape {
                rows: self.rows.unwrap_or(rows),
                columns: self.columns.unwrap_or(columns),
            },
            rate: self.rate.or(polling.rate),
        }
    }
}

/// A kind of cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The embedded one.
    Embedded,
    /// A real one, by `--context`.
    Context,
}

/// Why a directive cannot be.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// All words that mean something here, for telling slips from commands.
pub const WORDS: [&str; 28] = [
    "SHOW",
    "HIDE",
    "SKIP",
    "wait",
    "waitafter",
    "nowaitbefore",
    "noshow",
    "notypeout",
    "immed",
    "immediate",
    "print",
    "clear",
    "import",
    "hook",
    "macro",
    "ifhook",
    "end",
    "endif",
    "section",
    "note",
    "expect",
    "timeout",
    "mayfail",
    "danger",
    "only",
    "apply",
    "grid",
    "wait_clear",
];

impl Directive {
    /// True if demosh has it too: such a script is not a plain article.
    pub fn is_demosh(&self) -> bool {
        matches!(
            self,
            Directive::Show
                | Directive::Hide
                | Directive::Skip
                | Directive::Immed
                | Directive::NoWaitBefore
                | Directive::WaitAfter
                | Directive::NoShow
                | Directive::NoTypeOut
        )
    }
}

/// demosh's words that stand alone; they mean the same whatever macros there are.
pub fn flag(text: &str) -> Option<Directive> {
    Some(match text {
        "SHOW" => Directive::Show,
        "HIDE" => Directive::Hide,
        "SKIP" => Directive::Skip,
        "immed" | "immediate" => Directive::Immed,
        "nowaitbefore" => Directive::NoWaitBefore,
        "waitafter" => Directive::WaitAfter,
        "noshow" => Directive::NoShow,
        "notypeout" => Directive::NoTypeOut,
        _ => return None,
    })
}

/// One of Footlights' own directives from its word and the words behind it; none if it is not one.
pub fn parse(word: &str, rest: &str) -> Result<Option<Directive>, Problem> {
    let directive = match word {
        "section" if rest.is_empty() => {
            return problem("`@section` needs a name", "write `@section Rollback`");
        }
        "section" => Directive::Section(rest.to_owned()),
        "note" => Directive::Note(rest.to_owned()),
        "expect" => Directive::Expect(Box::new(expect::parse(rest)?)),
        "timeout" => match expect::seconds(rest) {
            Some(limit) if !limit.is_zero() => Directive::Timeout(limit),
            _ => {
                let message = format!("`@timeout` needs a time, not `{rest}`");
                return problem(&message, "write for example `@timeout 30s`");
            }
        },
        "mayfail" if rest.is_empty() => Directive::MayFail,
        "danger" if rest.is_empty() => Directive::Danger,
        "mayfail" | "danger" => {
            let message = format!("`@{word}` takes no words");
            return problem(&message, "it stands alone, before its command");
        }
        "only" => Directive::Only(match rest {
            "embedded" => Target::Embedded,
            "context" => Target::Context,
            _ => {
                let message = format!("`@only` does not know `{rest}`");
                return problem(&message, "write `@only embedded` or `@only context`");
            }
        }),
        "end" if rest.is_empty() => Directive::End,
        "grid" => Directive::Grid(grid(rest)?),
        _ => return Ok(None),
    };
    Ok(Some(directive))
}

/// The most grids that stand side by side and can still be read.
pub const MOST_USERS: usize = 3;
/// The rows, and the columns, that a grid can have.
const SIDES: std::ops::RangeInclusive<usize> = 3..=8;

/// `show`, `hide`, or settings such as `users=-,heart`.
pub fn grid(rest: &str) -> Result<GridChange, Problem> {
    const HELP: &str =
        "write `@grid show`, `@grid hide`, `@grid users=-,heart` or `@grid rows=4 cols=4 rate=50`";
    let mut change = GridChange {
        text: rest.to_owned(),
        ..GridChange::default()
    };
    for word in rest.split_whitespace() {
        match (word, word.split_once('=')) {
            ("show", _) => change.visible = Some(true),
            ("hide", _) => change.visible = Some(false),
            (_, Some(("users", names))) => change.users = Some(users(names.split(','))?),
            (_, Some(("rows", number))) => change.rows = Some(side("rows", number)?),
            (_, Some(("cols", number))) => change.columns = Some(side("cols", number)?),
            (_, Some(("rate", number))) => change.rate = Some(rate(number)?),
            _ => return problem(&format!("`@grid` does not know `{word}`"), HELP),
        }
    }
    if rest.is_empty() {
        return problem("`@grid` needs a word", HELP);
    }
    Ok(change)
}

/// The rows or columns of a grid.
fn side(what: &str, number: &str) -> Result<usize, Problem> {
    match number.parse() {
        Ok(side) if SIDES.contains(&side) => Ok(side),
        _ => problem(
            &format!("a grid cannot have `{what}={number}`"),
            &format!(
                "{} to {}: there is an edge around a centre, and faces are to be seen",
                SIDES.start(),
                SIDES.end()
            ),
        ),
    }
}

/// The most requests a second.
fn rate(number: &str) -> Result<u16, Problem> {
    match number.parse() {
        Ok(rate) if (1..=MOST_RATE).contains(&rate) => Ok(rate),
        _ => problem(
            &format!("`rate={number}` is no rate"),
            &format!("write the most requests a second, 1 to {MOST_RATE}"),
        ),
    }
}

/// The users of a grid: `-` is nobody.
pub fn users<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<Option<Arc<str>>>, Problem> {
    const HELP: &str = "write for example `users=-,heart`: `-` is nobody";
    let mut users: Vec<Option<Arc<str>>> = Vec::new();
    for name in names.map(str::trim) {
        // It becomes a header's value.
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return problem(&format!("`{name}` is no user's name"), HELP);
        }
        let user = (name != "-").then(|| name.into());
        if users.contains(&user) {
            return problem(&format!("the user `{name}` stands there twice"), HELP);
        }
        users.push(user);
    }
    if users.len() > MOST_USERS {
        let message = format!("{} grids cannot be read side by side", users.len());
        return problem(&message, &format!("name {MOST_USERS} users at the most"));
    }
    Ok(users)
}

fn problem<T>(message: &str, help: &str) -> Result<T, Problem> {
    Err(Problem {
        message: message.to_owned(),
        help: help.to_owned(),
    })
}
