//! The log: a file in the state directory, never the screen. Written only when asked for.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

/// The variable that asks for a log: a level or filter, such as `info` or `footlights=debug`.
const VARIABLE: &str = "FOOTLIGHTS_LOG";

/// Begins to log if the environment asks for it, into `$XDG_STATE_HOME/footlights/footlights.log`.
pub fn begin() -> Result<()> {
    let Ok(filter) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    let filter = EnvFilter::try_new(&filter)
        .with_context(|| format!("{VARIABLE}={filter} is no log level such as info"))?;
    let directory = state_directory().context("finding the state directory: HOME is not set")?;
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("making {}", directory.display()))?;
    let path = directory.join("footlights.log");
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .with_context(|| format!("opening the log {}", path.display()))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Arc::new(file))
        .init();
    Ok(())
}

fn state_directory() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("footlights"))
}
