//! A stand-in for `bat` where it is missing: files as they are, behind their names.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};

use crate::mode::Outcome;

/// Prints the files of a command line, or standard input. Options are bat's own and change nothing.
pub fn run(args: Vec<OsString>) -> Result<Outcome> {
    let takes_value = [
        "-l",
        "--language",
        "-r",
        "--line-range",
        "--style",
        "--theme",
        "-H",
        "--highlight-line",
        "--paging",
        "--pager",
        "--color",
        "--decorations",
        "--wrap",
        "--tabs",
        "--terminal-width",
        "--italic-text",
        "--file-name",
        "-m",
        "--map-syntax",
    ];
    let mut files: Vec<OsString> = Vec::new();
    let mut words = args.into_iter().skip(1);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if takes_value.contains(&&*text) {
            words.next();
        } else if !text.starts_with('-') || text == "-" {
            files.push(word);
        }
    }
    let mut out = std::io::stdout().lock();
    if files.is_empty() {
        files.push("-".into());
    }
    let titled = files.len() > 1 && out.is_terminal();
    for file in files {
        let bytes = if file == "-" {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)?;
            bytes
        } else {
            let shown = file.to_string_lossy().into_owned();
            std::fs::read(&file).with_context(|| format!("reading {shown}"))?
        };
        if titled {
            writeln!(out, "File: {}", file.to_string_lossy())?;
        }
        out.write_all(&bytes)?;
    }
    Ok(Outcome::Good)
}
