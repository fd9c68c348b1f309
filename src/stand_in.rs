//! Stand-ins for tools that a machine lacks: the same binary under the tool's name.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use crate::mode::Outcome;

/// A tool that this binary can stand in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `kubectl`.
    Kubectl,
}

/// The tool that the binary was called as, if it was.
pub fn called_as(program: Option<&OsString>) -> Option<Tool> {
    let name = Path::new(program?).file_name()?;
    (name == "kubectl").then_some(Tool::Kubectl)
}

impl Tool {
    /// Does what the tool would.
    pub async fn run(self, args: Vec<OsString>) -> Result<Outcome> {
        let _ = args;
        todo!()
    }
}
