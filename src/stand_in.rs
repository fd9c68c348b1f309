//! Stand-ins for tools that a machine lacks, or that make no sense on the embedded cluster: the same
//! binary under the tool's name.
//!
//! They are on the PATH of embedded runs only, say on their first line (of standard error, since what
//! they print is often piped) what they are, do what the workshop needs, and refuse the rest.

mod bat;
mod helm;
mod here;
mod istioctl;
mod k3d;
pub mod kubectl;
mod linkerd;

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
    /// `bat`.
    Bat,
    /// `helm`.
    Helm,
    /// `istioctl`.
    Istioctl,
    /// `k3d`.
    K3d,
    /// `kubectl`.
    Kubectl,
    /// `linkerd`.
    Linkerd,
}

impl Tool {
    const ALL: [Tool; 6] = [
        Tool::Bat,
        Tool::Helm,
        Tool::Istioctl,
        Tool::K3d,
        Tool::Kubectl,
        Tool::Linkerd,
    ];

    fn name(self) -> &'static str {
        match self {
            Tool::Bat => "bat",
            Tool::Helm => "helm",
            Tool::Istioctl => "istioctl",
            Tool::K3d => "k3d",
            Tool::Kubectl => KUBECTL,
            Tool::Linkerd => "linkerd",
        }
    }

    /// The real one does as well or better, where there is one. The others would download, or make
    /// clusters.
    fn gives_way(self) -> bool {
        matches!(self, Tool::Bat | Tool::Kubectl)
    }

    /// Does what the tool would.
    pub async fn run(self, args: Vec<OsString>) -> Result<Outcome> {
        eprintln!("(this is Footlights' stand-in for {})", self.name());
        match self {
            Tool::Bat => bat::run(args),
            Tool::Helm => told(self, helm::run(args).await),
            Tool::Istioctl => told(self, istioctl::run(args).await),
            Tool::K3d => Ok(k3d::run(args)),
            Tool::Kubectl => kubectl::run(args).await,
            Tool::Linkerd => told(self, linkerd::run(args).await),
        }
    }
}

/// A tool's error is its own, not Footlights'.
fn told(tool: Tool, outcome: Result<Outcome>) -> Result<Outcome> {
    outcome.or_else(|error| {
        eprintln!("{}: {error:#}", tool.name());
        Ok(Outcome::ShowFailed)
    })
}

/// A command line that a stand-in does not know.
fn refused(error: &clap::Error, known: &str) -> Outcome {
    let _ = error.print();
    if error.use_stderr() {
        eprintln!("the stand-in knows {known}");
        return Outcome::ShowFailed;
    }
    Outcome::Good
}

/// The tool that the binary was called as, if it was.
pub fn called_as(program: Option<&OsString>) -> Option<Tool> {
    let name = Path::new(program?).file_name()?;
    Tool::ALL.into_iter().find(|tool| name == tool.name())
}

/// A directory for PATH without any stand-in: on a real cluster there is nothing to stand in for.
pub fn none() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new()
        .prefix("footlights-bin-")
        .tempdir_in(private::directory())?)
}

/// A directory that is put first on PATH: it has a stand-in for each tool that needs one.
pub fn install() -> Result<tempfile::TempDir> {
    let bin = none()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |name: &str| std::env::split_paths(&path).any(|at| at.join(name).is_file());
    for tool in Tool::ALL {
        if !tool.gives_way() || !found(tool.name()) {
            std::os::unix::fs::symlink(std::env::current_exe()?, bin.path().join(tool.name()))?;
        }
    }
    Ok(bin)
}
