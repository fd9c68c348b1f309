//! What a command is about to change: only for a plain `kubectl apply -f FILE`, and never by running it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::discovery::Discovery;

use super::apply::{self, Mode};
use crate::diff::{Change, compare};
use crate::manifest;

/// A `kubectl apply` with literal arguments only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainApply {
    /// The files.
    pub files: Vec<String>,
    /// `-n`, or `default`.
    pub namespace: String,
}

/// Recognises a plain `kubectl apply -f FILE`; anything that only bash can evaluate is none.
pub fn plain_apply(command: &str) -> Option<PlainApply> {
    if command.contains([
        '$', '`', '|', '&', ';', '<', '>', '*', '?', '(', '{', '~', '\n', '#',
    ]) {
        return None;
    }
    let words = shlex::split(command)?;
    let mut words = words.iter().map(String::as_str);
    if (words.next(), words.next()) != (Some("kubectl"), Some("apply")) {
        return None;
    }
    let mut apply = PlainApply {
        files: Vec::new(),
        namespace: "default".to_owned(),
    };
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, value),
            None => (word, words.next()?),
        };
        match flag {
            "-f" | "--filename" if value != "-" && !value.contains("://") => {
                apply.files.push(value.to_owned());
            }
            "-n" | "--namespace" => value.clone_into(&mut apply.namespace),
            _ => return None,
        }
    }
    (!apply.files.is_empty()).then_some(apply)
}

/// What applying the files would change, by a dry run on the server.
pub async fn predict(
    client: &kube::Client,
    plain: &PlainApply,
    directory: &Path,
) -> Result<Vec<Change>> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut changes = Vec::new();
    for file in &plain.files {
        let path: PathBuf = directory.join(file);
        let text = tokio::fs::read_to_string(&path)
            .await
            .with_context(|| format!("reading {}", path.display()))?;
        for document in manifest::parse(&text)? {
            let applied = apply::apply(
                client,
                &discovery,
                &document.object,
                &plain.namespace,
                Mode::DryRun,
            )
            .await?;
            // A new object is shown as its author wrote it, without what the server fills in.
            let after = match &applied.before {
                Some(_) => &applied.after,
                None => &document.object,
            };
            changes.extend(compare(applied.before.as_ref(), Some(after)));
        }
    }
    Ok(changes)
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
            let seen = plain_apply(command).map_or(Vec::new(), |p| p.files);
            assert_eq!(seen, files, "{command}");
        }
    }
}
