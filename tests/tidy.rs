//! Rules of the house that the compiler does not know.

use std::path::{Path, PathBuf};

/// Modules that do no IO, by their path under `src`, with all that is below them.
const PURE: &[&str] = &[
    "script",
    "engine",
    "audience",
    "view",
    "theme",
    "cast",
    "condition",
    "plan",
    "report",
    "svg",
    "xml",
    "diff",
    "terminal",
    "manifest",
    "input",
    "embedded/admission",
    "embedded/apply",
    "embedded/crd",
    "embedded/discovery",
    "embedded/fingerprint",
    "embedded/openapi",
    "embedded/patch",
    "embedded/percent",
    "embedded/protobuf",
    "embedded/reconcile",
    "embedded/resource",
    "embedded/rest",
    "embedded/routing",
    "embedded/schema",
    "embedded/selector",
    "embedded/status",
    "embedded/store",
    "embedded/table",
    "embedded/watch",
];

/// What no pure module may name.
const IMPURE: &[&str] = &[
    "tokio::",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "std::env",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    ".await",
    "reqwest::",
    "hyper::",
    "axum::",
    "kube::",
];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let short = path
                    .strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
                    .unwrap();
                found.push((short.to_owned(), text));
            }
        }
    }
    found
}

/// The part of a file before its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

fn is_under(path: &Path, module: &str) -> bool {
    path == Path::new(module).with_extension("rs") || path.starts_with(module)
}

#[test]
fn pure_modules_do_no_io() {
    let mut seen = vec![false; PURE.len()];
    for (path, text) in sources() {
        let Some(index) = PURE.iter().position(|module| is_under(&path, module)) else {
            continue;
        };
        seen[index] = true;
        if path.ends_with("tests.rs") {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for word in IMPURE {
                assert!(
                    !code.contains(word),
                    "{}:{}: `{word}` in a pure module",
                    path.display(),
                    number + 1
                );
            }
        }
    }
    for (module, seen) in PURE.iter().zip(seen) {
        assert!(seen, "there is no module {module}");
    }
}

/// There is no code path from weights, routes or manifests to the grid but sockets.
#[test]
fn what_judges_traffic_knows_nothing_of_routes() {
    for (path, text) in sources() {
        let judges = is_under(&path, "audience")
            || path == Path::new("sample.rs")
            || path == Path::new("view/grid.rs");
        if !judges {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for word in [
                "crate::embedded",
                "crate::manifest",
                "crate::diff",
                "crate::cluster",
                "weight",
                "backendRef",
            ] {
                assert!(
                    !code.contains(word),
                    "{}:{}: `{word}`",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn files_fit_a_head_and_say_what_they_are() {
    for (path, text) in sources() {
        let lines = without_tests(&text).lines().count();
        assert!(
            lines <= 700,
            "{} has {lines} lines without its tests",
            path.display()
        );
        assert!(
            text.starts_with("//!"),
            "{} does not say what it is",
            path.display()
        );
        for name in ["utils", "common", "helpers", "misc"] {
            assert!(
                path.file_stem().is_none_or(|stem| stem != name),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn main_is_thin() {
    let (_, main) = sources()
        .into_iter()
        .find(|(p, _)| p == Path::new("main.rs"))
        .unwrap();
    assert!(main.lines().count() <= 60);
}

#[test]
fn the_readme_has_its_two_commands() {
    let readme = include_str!("../README.md");
    for command in ["cargo run --release", "cargo test"] {
        assert!(readme.contains(command), "{command}");
    }
}
