//! The words after `@`: demosh's and ours. Anything unknown is a command that runs at once.

use super::expect::{self, Expectation};

/// A directive.
#[derive(Clone, Debug, PartialEq)]
pub enum Directive {
    /// Show what follows.
    Show,
    /// Hide what follows.
    Hide,
    /// Ignore everything up to the next `@SHOW`.
    Skip,
    /// Wait once.
    Wait,
    /// Wait once, then clear the stage.
    WaitClear,
    /// Clear the stage.
    Clear,
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
    /// Print words, even while hidden.
    Print(String),
    /// Name a stop for index, markers and report.
    Section(String),
    /// A speaker note.
    Note(String),
    /// An assertion on the last step.
    Expect(Expectation),
    /// Turn the page: wait if there is something to read, then clear. Made by headings of articles.
    Page,
    /// Run a command, not shown and not waited for.
    Run(String),
}

/// Why a directive cannot be.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Directives of the design whose engine is still to come: refused by name, never ignored.
const PLANNED: [(&str, &str); 9] = [
    ("apply", "run `kubectl apply -f FILE` in a bash fence"),
    ("grid", "the grid is always 4×4 for now"),
    (
        "only",
        "keep steps for real clusters in a script of their own",
    ),
    ("timeout", "use `timeout 30s COMMAND`"),
    ("mayfail", "write `COMMAND || true`"),
    ("danger", "leave it out"),
    ("import", "put the text into this script"),
    ("macro", "put the macro's body where it is called"),
    ("hook", "leave it out"),
];

impl Directive {
    /// True if demosh has it too, or would run it: such a script is not a plain article.
    pub fn is_demosh(&self) -> bool {
        !matches!(
            self,
            Directive::Section(_) | Directive::Note(_) | Directive::Expect(_) | Directive::Page
        )
    }
}

/// Parses the text after `@`: a word, and for some words more.
pub fn parse(text: &str) -> Result<Directive, Problem> {
    let text = text.trim();
    let (word, rest) = match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    };
    let alone = match text {
        "SHOW" => Some(Directive::Show),
        "HIDE" => Some(Directive::Hide),
        "SKIP" => Some(Directive::Skip),
        "wait_clear" => Some(Directive::WaitClear),
        "clear" => Some(Directive::Clear),
        "immed" | "immediate" => Some(Directive::Immed),
        "nowaitbefore" => Some(Directive::NoWaitBefore),
        "waitafter" => Some(Directive::WaitAfter),
        "noshow" => Some(Directive::NoShow),
        "notypeout" => Some(Directive::NoTypeOut),
        _ => None,
    };
    if let Some(directive) = alone {
        return Ok(directive);
    }
    match word {
        // demosh does not wait when words follow; its authors meant to.
        "wait" => Ok(Directive::Wait),
        "print" => Ok(Directive::Print(words(rest))),
        "section" if rest.is_empty() => Err(Problem {
            message: "`@section` needs a name".to_owned(),
            help: "write `@section Rollback`".to_owned(),
        }),
        "section" => Ok(Directive::Section(rest.to_owned())),
        "note" => Ok(Directive::Note(rest.to_owned())),
        "expect" => expect::parse(rest).map(Directive::Expect),
        "" => Err(Problem {
            message: "a directive without a word".to_owned(),
            help: "write a word after `@`, such as `@wait`".to_owned(),
        }),
        _ => match PLANNED.iter().find(|(name, _)| *name == word) {
            Some((name, instead)) => Err(Problem {
                message: format!("`@{name}` is not built yet"),
                help: (*instead).to_owned(),
            }),
            None => Ok(Directive::Run(text.to_owned())),
        },
    }
}

/// Words split as the shell does, joined by blanks; as they stand if they cannot be split.
fn words(text: &str) -> String {
    shlex::split(text).map_or_else(|| text.to_owned(), |words| words.join(" "))
}
