//! Stand-ins for tools that a machine lacks: the same binary under the tool's name.
//!
//! They are on the PATH of embedded runs only, say on their first line what they are, do what the
//! bundled demos need, and refuse the rest.

pub mod kubectl;

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use crate::mode::Outcome;
use crate::private;

/// The name of the tool that is always there, real or not.
pub const KUBECTL: &str = "kubectl";

/// A tool that this binary can stand in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `kubectl`.
    Kubectl,
}

/// The tool that the binary was called as, if it was.
pub fn called_as(program: Option<&OsString>) -> Option<Tool> {
    let name = Path::new(program?).file_name()?;
    (name == KUBECTL).then_some(Tool::Kubectl)
}

impl Tool {
    /// Does what the tool would.
    pub async fn run(self, args: Vec<OsString>) -> Result<Outcome> {
        match self {
            Tool::Kubectl => kubectl::run(args).await,
        }
    }
}

/// A directory that is put first on PATH: it has a stand-in for each tool that is missing.
pub fn install() -> Result<tempfile::TempDir> {
    let bin = tempfile::Builder::new()
        .prefix("footlights-bin-")
        .tempdir_in(private::directory())?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(KUBECTL).is_file());
    if !found {
        std::os::unix::fs::symlink(std::env::current_exe()?, bin.path().join(KUBECTL))?;
    }
    Ok(bin)
}
