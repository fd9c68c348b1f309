//! `--context`: a cluster of the user's, and the question whether it is the one that is meant.
//!
//! Commands get a kubeconfig of that context alone, in a private directory. What a context led to when it
//! was first used is remembered; another server, CA or cluster under the same name stops the show.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kubeconfig::{Minified, minify};
use super::{Target, client};
use crate::manifest;
use crate::private;

/// How long a cluster may take to answer; its user may have to log in meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who says that a context which is used for the first time is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The user, asked on the terminal.
    Ask,
    /// `--trust-context`.
    Given,
}

/// What a context leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fingerprint {
    /// The API server's URL.
    server: String,
    /// The CA's text, `insecure`, or empty for the system's.
    authority: String,
    /// The UID of the namespace `kube-system`: a cluster made anew has another.
    uid: String,
}

/// A context that may be played on.
pub async fn open(name: &str, trust: Trust) -> Result<Target> {
    let minified = minified(name)?;
    let target = write(&minified)?;
    let looking = format!(
        "looking at the cluster of the context `{name}`, {}",
        minified.server
    );
    let fingerprint = tokio::time::timeout(PATIENCE, fingerprint(&target, minified))
        .await
        .unwrap_or_else(|_| bail!("no answer in {} s", PATIENCE.as_secs()))
        .context(looking)?;
    check(name, fingerprint, trust)?;
    Ok(target)
}

/// The context out of the user's kubeconfigs: those of `KUBECONFIG`, or `~/.kube/config`.
fn minified(name: &str) -> Result<Minified> {
    let paths: Vec<PathBuf> = match std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty())
    {
        Some(paths) => std::env::split_paths(&paths)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        None => vec![home()?.join(".kube/config")],
    };
    let mut configs = Vec::new();
    for path in paths {
        // kubectl passes over those that are not there.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let documents = manifest::parse(&text)
            .with_context(|| format!("reading the kubeconfig {}", path.display()))?;
        let path = std::path::absolute(&path)?;
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        configs.extend(documents.into_iter().map(|d| (directory.clone(), d.object)));
    }
    let configs: Vec<(&Path, Value)> = configs
        .iter()
        .map(|(directory, config)| (directory.as_path(), config.clone()))
        .collect();
    minify(&configs, name)
}

fn home() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    Ok(home.into())
}

fn write(minified: &Minified) -> Result<Target> {
    let directory = tempfile::Builder::new()
        .prefix("footlights-context-")
        .tempdir_in(private::directory())?;
    let kubeconfig = directory.path().join("kubeconfig");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&kubeconfig)
        .and_then(|mut file| file.write_all(minified.kubeconfig.to_string().as_bytes()))
        .context("writing the context's kubeconfig")?;
    Ok(Target {
        kubeconfig,
        is_foreign: true,
        directory: Some(Arc::new(directory)),
    })
}

async fn fingerprint(target: &Target, minified: Minified) -> Result<Fingerprint> {
    let namespaces: Api<Namespace> = Api::all(client(target).await?);
    let system = namespaces
        .get("kube-system")
        .await
        .map_err(|error| match error {
            kube::Error::Api(status) => anyhow!("{} ({})", status.message, status.code),
            error => error.into(),
        })?;
    let authority = match Path::new(&minified.authority) {
        path if path.is_absolute() => {
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?
        }
        _ => minified.authority,
    };
    Ok(Fingerprint {
        server: minified.server,
        authority,
        uid: system.metadata.uid.unwrap_or_default(),
    })
}

/// Compares with what is remembered; asks and remembers what is new.
fn check(name: &str, seen: Fingerprint, trust: Trust) -> Result<()> {
    let path = state_file()?;
    let unreadable = || format!("{} cannot be read: mend it or remove it", path.display());
    let mut known: BTreeMap<String, Fingerprint> = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(unreadable)?,
        Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).with_context(unreadable),
    };
    if let Some(before) = known.get(name) {
        let Some(difference) = difference(before, &seen) else {
            return Ok(());
        };
        bail!(
            "the context `{name}` led to another cluster before: {difference}. Nothing was run; if it is \
             meant, remove `{name}` from {}",
            path.display()
        );
    }
    if trust == Trust::Ask && !ask(name, &seen)? {
        bail!("nothing was run");
    }
    known.insert(name.to_owned(), seen);
    remember(&path, &known).with_context(|| format!("writing {}", path.display()))
}

fn difference(before: &Fingerprint, seen: &Fingerprint) -> Option<String> {
    if before.server != seen.server {
        return Some(format!(
            "its server was {} and is {}",
            before.server, seen.server
        ));
    }
    if before.authority != seen.authority {
        return Some(format!("the CA of {} is another", seen.server));
    }
    let told = || {
        format!(
            "{} is a cluster made anew (kube-system has another UID)",
            seen.server
        )
    };
    (before.uid != seen.uid).then(told)
}

/// Asks on the terminal whether a context is meant.
fn ask(name: &str, seen: &Fingerprint) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "the context `{name}` ({}) is used for the first time: --trust-context says that it is meant",
            seen.server
        );
    }
    eprint!(
        "The context `{name}` leads to {}, which Footlights has not changed anything on yet.\n\
         The script's commands will. Go on? [y/N] ",
        seen.server
    );
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn state_file() -> Result<PathBuf> {
    let state = match std::env::var_os("XDG_STATE_HOME").filter(|state| !state.is_empty()) {
        Some(state) => PathBuf::from(state),
        None => home()?.join(".local/state"),
    };
    Ok(state.join("footlights/contexts.json"))
}

/// Writes all at once: another show may be reading.
fn remember(path: &Path, known: &BTreeMap<String, Fingerprint>) -> Result<()> {
    let directory = path.parent().context("the state has no directory")?;
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(serde_json::to_string_pretty(known)?.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_ca_or_cluster_is_named() {
        let of = |server: &str, authority: &str, uid: &str| Fingerprint {
            server: server.into(),
            authority: authority.into(),
            uid: uid.into(),
        };
        let before = of("https://a", "ca", "1");
        for (seen, told) in [
            (of("https://a", "ca", "1"), None),
            (
                of("https://b", "ca", "1"),
                Some("its server was https://a and is https://b"),
            ),
            (
                of("https://a", "xx", "1"),
                Some("the CA of https://a is another"),
            ),
            (of("https://a", "ca", "2"), Some("made anew")),
        ] {
            let difference = difference(&before, &seen);
            assert_eq!(difference.is_some(), told.is_some());
            assert!(
                difference
                    .unwrap_or_default()
                    .contains(told.unwrap_or_default())
            );
        }
    }
}
