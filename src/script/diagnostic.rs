//! What is wrong with a script: place, source line, caret, and the way out.

use std::fmt;

use super::Location;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The script is not run.
    Error,
    /// It is, but hardly as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub location: Location,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The source line.
    pub source: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Diagnostic {
    /// True if the script must not be run.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let number = self.location.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{kind}: {}", self.message)?;
        writeln!(f, "{margin}--> {}:{}", self.location, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.source)?;
        writeln!(
            f,
            "{margin} | {}^",
            " ".repeat(self.column.saturating_sub(1))
        )?;
        write!(f, "{margin} = help: {}", self.help)
    }
}
