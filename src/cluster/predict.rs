//! What a command is about to change: only for a plain `kubectl apply -f FILE` and `kubectl create
//! namespace NAME`, and never by running it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::discovery::Discovery;
use serde_json::json;

use super::apply::{self, Applied, Mode};
use crate::diff::{Change, compare};
use crate::manifest::{self, Document};

/// A kubectl command with literal arguments only, whose changes can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// `kubectl apply`.
    Apply {
        /// The files.
        files: Vec<String>,
        /// `-n`; none is the context's.
        namespace: Option<String>,
    },
    /// `kubectl create namespace`.
    CreateNamespace(String),
}

/// Recognises a plain command; anything that only bash can evaluate is none.
pub fn plain(command: &str) -> Option<Plain> {
    if command.contains([
        '$', '`', '|', '&', ';', '<', '>', '*', '?', '(', '{', '~', '\n', '#',
    ]) {
        return None;
    }
    let words = shlex::split(command)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["kubectl", "create", "namespace" | "ns", name] if !name.starts_with('-') => {
            Some(Plain::CreateNamespace((*name).to_owned()))
        }
        ["kubectl", "apply", words @ ..] => plain_apply(words),
        _ => None,
    }
}

fn plain_apply(words: &[&str]) -> Option<Plain> {
    let mut files = Vec::new();
    let mut namespace = None;
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, value),
            None => (word, words.next()?),
        };
        match flag {
            "-f" | "--filename" if value != "-" && !value.contains("://") => {
                files.push(value.to_owned());
            }
            "-n" | "--namespace" => namespace = Some(value.to_owned()),
            _ => return None,
        }
    }
    (!files.is_empty()).then_some(Plain::Apply { files, namespace })
}

/// What the command would change, by a dry run on the server.
pub async fn predict(
    client: &kube::Client,
    plain: &Plain,
    directory: &Path,
) -> Result<Vec<Change>> {
    let (documents, namespace) = match plain {
        Plain::Apply { files, namespace } => (read(files, directory).await?, namespace.as_deref()),
        Plain::CreateNamespace(name) => {
            let object =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            (vec![Document { line: 1, object }], None)
        }
    };
    let namespace = namespace.unwrap_or(client.default_namespace());
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut changes = Vec::new();
    for Document { object, .. } in documents {
        let (api, _) = apply::api_of(client, &discovery, &object, namespace)?;
        let new = apply::placed(&object, &api);
        let applied = apply::apply(client, &discovery, &object, namespace, Mode::DryRun).await;
        let change = match (applied, plain) {
            // A new object is shown as its author wrote it, without what the server fills in.
            (Ok(Applied { before: None, .. }), _) => compare(None, Some(&new)),
            (Ok(applied), Plain::Apply { .. }) => {
                compare(applied.before.as_ref(), Some(&applied.after))
            }
            // What is there already is not created.
            (Ok(_), Plain::CreateNamespace(_)) => None,
            // The manifest makes its namespace too.
            (Err(error), _) if is_missing(&error) => compare(None, Some(&new)),
            (Err(error), _) => return Err(error),
        };
        changes.extend(change);
    }
    Ok(changes)
}

fn is_missing(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<kube::Error>();
    matches!(error, Some(kube::Error::Api(status)) if status.code == 404)
}

async fn read(files: &[String], directory: &Path) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for file in files {
        let path: PathBuf = directory.join(file);
        let text = tokio::fs::read_to_string(&path)
            .await
            .with_context(|| format!("reading {}", path.display()))?;
        documents.extend(manifest::parse(&text)?);
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literal_commands_are_plain() {
        for (command, files) in [
            ("kubectl apply -f a.yaml", vec!["a.yaml"]),
            (
                "kubectl apply -n faces --filename='b c.yaml' -f d",
                vec!["b c.yaml", "d"],
            ),
            ("kubectl apply -f -", vec![]),
            ("kubectl apply -f https://x/y.yaml", vec![]),
            ("kubectl apply -f a.yaml | cat", vec![]),
            ("kubectl apply -f $FILE", vec![]),
            ("kubectl apply -f a.yaml --server-side=true", vec![]),
            ("kubectl delete -f a.yaml", vec![]),
            ("sed s/a/b/ x", vec![]),
            ("kubectl apply -f", vec![]),
        ] {
            let seen = match plain(command) {
                Some(Plain::Apply { files, .. }) => files,
                Some(Plain::CreateNamespace(name)) => panic!("{command}: namespace {name}"),
                None => Vec::new(),
            };
            assert_eq!(seen, files, "{command}");
        }
    }

    #[test]
    fn a_namespace_is_created_by_its_literal_name() {
        for (command, name) in [
            ("kubectl create namespace faces", Some("faces")),
            ("kubectl create ns 'faces'", Some("faces")),
            ("kubectl create namespace $N", None),
            ("kubectl create namespace faces --dry-run=client", None),
            ("kubectl create configmap faces", None),
            ("kubectl create namespace --help", None),
        ] {
            let expected = name.map(|name| Plain::CreateNamespace(name.to_owned()));
            assert_eq!(plain(command), expected, "{command}");
        }
    }
}
