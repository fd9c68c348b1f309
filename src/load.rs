//! Scripts from disk: the script itself, its imports, and demosh's init files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::script::interpolate::Variables;
use crate::script::load::{Builtins, Loading, Place, Source};
use crate::script::{self, Script};

/// Nobody writes a longer script; what is longer was not meant.
const LONGEST: u64 = 64 << 20;

/// What is read besides the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extras {
    /// Footlights' own macros.
    pub builtins: Builtins,
    /// demosh's init files.
    pub init: Init,
}

/// Whether init files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// The first that there is.
    First,
    /// `--no-init`.
    None,
}

/// A script to be read.
pub struct Request<'a> {
    /// Its path.
    pub path: &'a Path,
    /// What users call it.
    pub shown: &'a str,
    /// The working directory.
    pub directory: &'a Path,
    /// Where the show began: names are shown from there.
    pub start: &'a Path,
    /// The environment that it begins with.
    pub variables: &'a Variables,
    /// What is read besides it.
    pub extras: Extras,
    /// Who plays it.
    pub place: Place,
}

/// Reads a script with all that belongs to it.
pub fn load(request: &Request<'_>) -> Result<Script> {
    let Request {
        directory,
        variables,
        ..
    } = *request;
    let path = directory.join(request.path);
    if request.place == Place::Nested && path.exists() && !path.is_file() {
        bail!("{} is no file", request.shown);
    }
    let main = read(&directory.join(request.path), request.shown.to_owned())?;
    let init = match request.extras.init {
        Init::First => init_file(directory, variables)?,
        Init::None => None,
    };
    let find = |path: &str, importer: &str| import(request, path, importer);
    let variable = |name: &str| variables.get(name).cloned();
    Ok(script::load::load(&Loading {
        main,
        init,
        builtins: request.extras.builtins,
        place: request.place,
        find: &find,
        variable: &variable,
    }))
}

/// The environment of this process as a script sees it; what is not UTF-8 is left out.
pub fn process_variables() -> Variables {
    let text = |text: std::ffi::OsString| text.into_string().ok();
    std::env::vars_os()
        .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
        .collect()
}

fn read(path: &Path, shown: String) -> Result<Source> {
    let about = std::fs::metadata(path).with_context(|| format!("reading the script {shown}"))?;
    if about.is_dir() {
        bail!("{shown} is a directory: name the script in it");
    }
    // A pipe says nothing of its length before it is read.
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .with_context(|| format!("reading the script {shown}"))?;
    if bytes.len() as u64 > LONGEST {
        bail!("{shown} is longer than {} MB", LONGEST >> 20);
    }
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        let line = 1 + bytes[..at].iter().filter(|b| **b == b'\n').count();
        bail!("{shown}:{line}: there is a NUL byte, which no shell can run: take it out");
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        anyhow!("{shown}:{line}: the script is not UTF-8: save it as UTF-8")
    })?;
    Ok(Source {
        path: path.to_string_lossy().into_owned(),
        file: shown,
        text,
    })
}

/// From the working directory first, as with demosh, then from beside the file that imports.
fn import(request: &Request<'_>, path: &str, importer: &str) -> Result<Source, String> {
    let from_directory = request.directory.join(path);
    let beside = Path::new(importer).with_file_name(path);
    let found = [from_directory, beside].into_iter().find(|c| c.is_file());
    let found = found.ok_or_else(|| format!("there is no file {path}"))?;
    let shown = shown_from(request.start, &found);
    read(&found, shown).map_err(|error| format!("{error:#}"))
}

/// A file's name as users know it: from where the show began.
pub fn shown_from(start: &Path, path: &Path) -> String {
    path.strip_prefix(start)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The first of demosh's init files.
fn init_file(directory: &Path, variables: &Variables) -> Result<Option<Source>> {
    let home = variables.get("HOME").map(PathBuf::from);
    let places = [Some(directory.to_owned()), home];
    let names = [".demoshrc", ".demoshrc.md"].map(OsStr::new);
    let mut files = places
        .iter()
        .flatten()
        .flat_map(|place| names.map(|name| place.join(name)));
    let Some(path) = files.find(|path| path.is_file()) else {
        return Ok(None);
    };
    let shown = shown_from(directory, &path);
    read(&path, shown).map(Some)
}
