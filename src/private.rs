//! Where private files go.

use std::path::PathBuf;

/// The directory for private directories: the system's, or that of the show which runs this program,
/// so that they go with it however this program ends.
pub fn directory() -> PathBuf {
    let session = std::env::var_os("FOOTLIGHTS_SESSION").map(PathBuf::from);
    let outer = session.and_then(|session| Some(session.parent()?.to_owned()));
    outer
        .filter(|outer| outer.is_dir())
        .unwrap_or_else(std::env::temp_dir)
}
