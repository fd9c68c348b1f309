//! What the modes that play a script have in common: finding it, and the cast it needs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::drive::Cast;
use crate::embedded::profile::Profile;
use crate::script::{self, Script, front};
use crate::shell::Input;

/// A script that is compiled in, with the files beside it.
struct Bundled {
    name: &'static str,
    main: &'static str,
    files: &'static [(&'static str, &'static str)],
}

const BUNDLED: [Bundled; 1] = [Bundled {
    name: "tour",
    main: "tour.md",
    files: &[
        ("tour.md", include_str!("../../demos/tour/tour.md")),
        (
            "smiley-canary-10.yaml",
            include_str!("../../demos/tour/smiley-canary-10.yaml"),
        ),
        (
            "smiley-canary-50.yaml",
            include_str!("../../demos/tour/smiley-canary-50.yaml"),
        ),
        (
            "smiley-canary-90.yaml",
            include_str!("../../demos/tour/smiley-canary-90.yaml"),
        ),
        (
            "smiley-canary-100.yaml",
            include_str!("../../demos/tour/smiley-canary-100.yaml"),
        ),
    ],
}];

/// A script that is ready to be played.
pub struct Loaded {
    /// The script.
    pub script: Script,
    /// Its path, absolute.
    pub path: PathBuf,
    /// Holds the files of a bundled script.
    _files: Option<tempfile::TempDir>,
}

/// Reads a script; `None` is the tour. A script with errors is refused with all of them.
pub fn load(path: Option<&Path>) -> Result<Loaded> {
    let loaded = read(path)?;
    if loaded.script.has_errors() {
        bail!("{} has errors: nothing was run", loaded.script.file);
    }
    Ok(loaded)
}

/// Reads a script and prints its diagnostics.
pub fn read(path: Option<&Path>) -> Result<Loaded> {
    // Without a name it is the tour, whatever stands in the current directory.
    let (path, is_given) = (path.unwrap_or_else(|| Path::new("tour")), path.is_some());
    let bundled = BUNDLED.iter().find(|b| path == Path::new(b.name));
    let (path, shown, files) = match bundled {
        Some(bundled) if !is_given || !path.is_file() => {
            let files = tempfile::Builder::new()
                .prefix("footlights-demo-")
                .tempdir()?;
            for (file, text) in bundled.files {
                std::fs::write(files.path().join(file), text)
                    .context("unpacking the bundled script")?;
            }
            let main = files.path().join(bundled.main);
            (
                main,
                format!("{}/{}", bundled.name, bundled.main),
                Some(files),
            )
        }
        _ => (path.to_owned(), path.display().to_string(), None),
    };
    if path.is_dir() {
        bail!("{shown} is a directory: name the script in it");
    }
    let bytes = std::fs::read(&path).with_context(|| format!("reading the script {shown}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        anyhow::anyhow!("{shown}:{line}: the script is not UTF-8: save it as UTF-8")
    })?;
    let script = script::parse(&shown, &text);
    for diagnostic in &script.diagnostics {
        eprintln!("{diagnostic}\n");
    }
    Ok(Loaded {
        script,
        path: std::path::absolute(path)?,
        _files: files,
    })
}

/// The cast of a script.
pub fn cast(loaded: &Loaded, args: Vec<String>, input: Input) -> Result<Cast> {
    let mut environment = Vec::new();
    if input == Input::Nobody {
        let pagers = ["PAGER", "GIT_PAGER", "BAT_PAGER"];
        environment.extend(pagers.map(|name| (name.to_owned(), "cat".to_owned())));
    }
    Ok(Cast {
        profile: match loaded.script.front.cluster.profile {
            front::ProfileName::Bare => Profile::Bare,
            front::ProfileName::Gateway => Profile::Gateway,
            front::ProfileName::Workshop => Profile::Workshop,
        },
        input,
        script: loaded.path.clone(),
        args,
        directory: std::env::current_dir().context("finding the current directory")?,
        environment,
    })
}

/// Tells a user who has a cluster that it is not the one that is used.
pub fn say_which_cluster() {
    let config = kube::config::Kubeconfig::read();
    if let Some(context) = config.ok().and_then(|c| c.current_context) {
        eprintln!("Running on the embedded cluster; `{context}` is not used.");
    }
}
