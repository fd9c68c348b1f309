//! What the modes that play a script have in common: finding it, and the cast it needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::cli;
use crate::cluster::Target;
use crate::cluster::context::{self, Trust};
use crate::drive::{Afterwards, Cast, Stand};
use crate::embedded::profile::Profile;
use crate::engine::{Engine, Ground, Settings};
use crate::load::{self, Extras, Init, Request};
use crate::plan::{self, Plan, Surroundings};
use crate::private;
use crate::script::interpolate::Variables;
use crate::script::load::{Builtins, Place};
use crate::script::{Script, front};
use crate::shell::Input;
use crate::stand_in;
use crate::theme::Theme;

/// The variable that counts shows within shows.
const DEPTH: &str = "FOOTLIGHTS_DEPTH";

/// The variable that names the context of the show around.
const CONTEXT: &str = "FOOTLIGHTS_CONTEXT";

/// A script that is compiled in, with the files beside it.
struct Bundled {
    name: &'static str,
    main: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// A demo of `demos/`, its main script first.
macro_rules! bundled {
    ($name:literal, $main:literal $(, $file:literal)* $(,)?) => {
        Bundled {
            name: $name,
            main: $main,
            files: &[
                ($main, include_str!(concat!("../../demos/", $name, "/", $main))),
                $(($file, include_str!(concat!("../../demos/", $name, "/", $file))),)*
            ],
        }
    };
}

const BUNDLED: [Bundled; 2] = [
    bundled!(
        "tour",
        "tour.md",
        "smiley-canary-10.yaml",
        "smiley-canary-100.yaml",
        "smiley-canary-50.yaml",
        "smiley-canary-90.yaml"
    ),
    bundled!(
        "gateway-api",
        "gateway-api.md",
        "color-ab.yaml",
        "color-canary.yaml",
        "color-edge.yaml",
        "color-route.yaml",
        "face-route-timeout.yaml",
        "face-route.yaml",
        "faces.yaml",
        "gui-route.yaml",
        "istio/gateway.yaml",
        "istio/mesh.md",
        "istio/smiley-timeout.yaml",
        "linkerd/gateway.yaml",
        "linkerd/mesh.md",
        "linkerd/smiley-timeout.yaml",
        "smiley-ab.yaml",
        "smiley-canary-10.yaml",
        "smiley-canary-100.yaml",
        "smiley-canary-50.yaml",
        "smiley-canary-90.yaml",
        "smiley-edge-canary-50.yaml",
        "smiley-edge.yaml",
        "smiley-route.yaml"
    ),
];

/// A script that is ready to be played.
pub struct Loaded {
    /// The script.
    pub script: Script,
    /// Its path, absolute.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Where it is played.
    pub directory: PathBuf,
    /// What `${NAME}` shows at first.
    pub variables: Variables,
    /// What was read besides it.
    pub extras: Extras,
    /// The cluster that it is played on.
    pub ground: Ground,
    /// Holds the files of a bundled script.
    _files: Option<tempfile::TempDir>,
}

/// Reads a script to be played; `None` is the tour. One with errors is refused with all of
/// them.
pub fn load(
    path: Option<&Path>,
    args: &[String],
    demosh: &cli::Demosh,
    on: &cli::On,
) -> Result<Loaded> {
    let mut loaded = read(path, args, demosh)?;
    if let Some(context) = &on.context {
        loaded.ground = Ground::Context(context.clone());
    }
    if loaded.script.has_errors() {
        bail!("{} has errors: nothing was run", loaded.script.file);
    }
    let plan = loaded.plan();
    let faults = loaded.faults(&plan);
    for fault in &faults {
        eprintln!("error: {fault}");
    }
    for diagnostic in &plan.diagnostics {
        eprintln!("{diagnostic}\n");
    }
    if !faults.is_empty() || plan.has_errors() {
        bail!("{} cannot be played: nothing was run", loaded.script.file);
    }
    Ok(loaded)
}

/// Reads a script and prints its diagnostics.
pub fn read(path: Option<&Path>, args: &[String], demosh: &cli::Demosh) -> Result<Loaded> {
    // Without a name it is the tour, whatever stands in the current directory.
    let (path, is_given) = (path.unwrap_or_else(|| Path::new("tour")), path.is_some());
    let bundled = BUNDLED.iter().find(|b| path == Path::new(b.name));
    let (path, shown, files) = match bundled {
        Some(bundled) if !is_given || !path.exists() => {
            let files = tempfile::Builder::new()
                .prefix("footlights-demo-")
                .tempdir_in(private::directory())?;
            for (file, text) in bundled.files {
                let path = files.path().join(file);
                // Every file lies in the directory at least.
                std::fs::create_dir_all(path.parent().unwrap_or(&path))
                    .and_then(|()| std::fs::write(&path, text))
                    .context("unpacking the bundled script")?;
            }
            let main = files.path().join(bundled.main);
            (
                main,
                format!("{}/{}", bundled.name, bundled.main),
                Some(files),
            )
        }
        _ => {
            let path = main_of(path);
            let shown = path.display().to_string();
            (path, shown, None)
        }
    };
    let directory = std::env::current_dir().context("finding the current directory")?;
    let absolute = std::path::absolute(&path)?;
    let mut variables = load::process_variables();
    let own = std::env::current_exe().context("finding this program's own path")?;
    variables.insert("SHELL".to_owned(), own.to_string_lossy().into_owned());
    variables.insert("0".to_owned(), absolute.to_string_lossy().into_owned());
    for (number, arg) in args.iter().enumerate() {
        variables.insert((number + 1).to_string(), arg.clone());
    }
    let extras = Extras {
        builtins: if demosh.no_builtins {
            Builtins::Absent
        } else {
            Builtins::Present
        },
        init: if demosh.no_init {
            Init::None
        } else {
            Init::First
        },
    };
    let script = load::load(&Request {
        path: &path,
        shown: &shown,
        directory: &directory,
        start: &directory,
        variables: &variables,
        extras,
        place: match outer_show() {
            Some(_) => Place::Nested,
            None => Place::Outermost,
        },
    })?;
    for diagnostic in &script.diagnostics {
        eprintln!("{diagnostic}\n");
    }
    Ok(Loaded {
        script,
        path: absolute,
        args: args.to_vec(),
        directory,
        variables,
        extras,
        ground: Ground::Embedded,
        _files: files,
    })
}

/// The script that a directory is named after, or its README.
fn main_of(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_owned();
    }
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let candidates = [path.join(format!("{name}.md")), path.join("README.md")];
    let main = candidates.into_iter().find(|candidate| candidate.is_file());
    main.unwrap_or_else(|| path.to_owned())
}

impl Loaded {
    /// What it would show and run.
    pub fn plan(&self) -> Plan {
        let read = |words: &[String], directory: &Path, variables: &Variables| {
            let path = Path::new(words.first()?);
            let whole = directory.join(path);
            if !whole.is_file() {
                return None;
            }
            let script = load::load(&Request {
                path,
                shown: &load::shown_from(&self.directory, &whole),
                directory,
                start: &self.directory,
                variables,
                extras: self.extras,
                place: Place::Nested,
            });
            script.ok()
        };
        let surroundings = Surroundings {
            variables: self.variables.clone(),
            directory: Some(self.directory.clone()),
            read: &read,
            target: self.ground.target(),
        };
        plan::plan(Arc::new(self.script.clone()), surroundings)
    }

    /// Why it cannot be played although it can be read.
    pub fn faults(&self, plan: &Plan) -> Vec<String> {
        let mut faults = plan.faults();
        let (file, front) = (&self.script.file, &self.script.front);
        if let Ground::Context(context) = &self.ground
            && !front.contexts.is_empty()
            && !front.contexts.contains(context)
        {
            faults.push(format!(
                "{file}: it may not run on the context `{context}`, only on {}",
                front.contexts.join(", ")
            ));
        }
        if let Some(Err(error)) = front.theme.as_deref().map(Theme::named) {
            faults.push(format!("{file}: {error:#}"));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |tool: &&String| {
            *tool == stand_in::KUBECTL
                || std::env::split_paths(&path).any(|place| place.join(tool).is_file())
        };
        for tool in front.requires.iter().filter(|tool| !is_there(tool)) {
            faults.push(format!(
                "{file}: it requires `{tool}`, which is not on PATH"
            ));
        }
        faults
    }

    /// The show that has not begun.
    pub fn engine(&self, settings: Settings) -> Engine {
        let variables = self.variables.clone();
        Engine::new(
            self.script.clone(),
            self.ground.clone(),
            variables,
            settings,
        )
    }

    /// The cast that it needs. A context is looked at first, and asked about if it is new.
    pub async fn cast(&self, input: Input, on: &cli::On, afterwards: Afterwards) -> Result<Cast> {
        let mut environment = vec![(DEPTH.to_owned(), (depth() + 1).to_string())];
        if input == Input::Nobody {
            let pagers = ["PAGER", "GIT_PAGER", "BAT_PAGER"];
            environment.extend(pagers.map(|name| (name.to_owned(), "cat".to_owned())));
        }
        let profile = match self.script.front.cluster.profile {
            front::ProfileName::Bare => Profile::Bare,
            front::ProfileName::Gateway => Profile::Gateway,
            front::ProfileName::Workshop => Profile::Workshop,
        };
        let stand = match (outer_show(), &on.context) {
            (Some(outer), _) => outer,
            (None, None) => Stand::Embedded(profile),
            (None, Some(name)) => {
                let trust = match on.trust_context {
                    true => Trust::Given,
                    false => Trust::Ask,
                };
                environment.push((CONTEXT.to_owned(), name.clone()));
                Stand::Context(context::open(name, trust).await?, on.gateway_url.clone())
            }
        };
        Ok(Cast {
            stand,
            input,
            script: self.path.clone(),
            args: self.args.clone(),
            directory: self.directory.clone(),
            environment,
            prologue: self.script.prologue(),
            extras: self.extras,
            afterwards,
        })
    }
}

/// How many shows there are around this one, each of which runs the next as a command.
pub fn depth() -> usize {
    let depth = std::env::var(DEPTH).ok();
    depth.and_then(|depth| depth.parse().ok()).unwrap_or(0)
}

/// The cluster of the show that runs this program as one of its commands, if one does.
pub fn outer_show() -> Option<Stand> {
    std::env::var_os("FOOTLIGHTS_SESSION")?;
    let kubeconfig = PathBuf::from(std::env::var_os("KUBECONFIG")?);
    let gateway = std::env::var("FOOTLIGHTS_GATEWAY_URL").ok();
    let target = Target {
        is_foreign: std::env::var_os(CONTEXT).is_some(),
        ..Target::of(&kubeconfig)
    };
    Some(Stand::Outer(target, gateway))
}

/// Tells a user who has a cluster that it is not the one that is used.
pub fn say_which_cluster() {
    let config = kube::config::Kubeconfig::read();
    if let Some(context) = config.ok().and_then(|c| c.current_context) {
        eprintln!("Running on the embedded cluster. For {context}: --context {context}");
    }
}
