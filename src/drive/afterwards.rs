//! What becomes of the cluster when a show is over.

use std::collections::BTreeMap;

use anyhow::Result;
use kube::Client;
use kube::api::DeleteParams;
use kube::discovery::Discovery;
use serde_json::{Value, json};

use crate::cluster::apply::api_of;
use crate::diff::{Change, Verb};
use crate::engine::{Event, Id};

/// What is done with the cluster at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// Nothing. An embedded cluster goes anyway.
    Leave,
    /// What the show created on a real cluster, as far as that is certain, is deleted.
    CleanUp,
    /// An embedded cluster runs on until Ctrl-C; on a real one nothing is deleted.
    Stay,
}

/// An object's identity: apiVersion, kind, namespace, name.
type Identity = (String, String, String, String);

fn identity(change: &Change) -> Identity {
    (
        change.api_version.clone(),
        change.kind.clone(),
        change.namespace.clone(),
        change.name.clone(),
    )
}

/// What a show has created. Others may work on the same cluster, so only what was predicted to be
/// created, and then was, is certainly the show's.
#[derive(Debug, Default)]
pub(super) struct Created {
    /// By the number of the step that is to create it.
    predicted: BTreeMap<Identity, Id>,
    /// In order of creation.
    certain: Vec<Identity>,
    perhaps: Vec<Identity>,
}

impl Created {
    /// Looks at what the show is told.
    pub(super) fn notice(&mut self, event: &Event) {
        match event {
            Event::Predicted(id, changes) => {
                let created = changes.iter().filter(|c| c.verb == Verb::Created);
                for identity in created.map(identity) {
                    // What was not there at the dry run may have come before we are told of it.
                    match self.perhaps.iter().position(|came| *came == identity) {
                        Some(at) => self.certain.push(self.perhaps.remove(at)),
                        None => drop(self.predicted.insert(identity, *id)),
                    }
                }
            }
            Event::Changed(change) if change.verb == Verb::Created => {
                let identity = identity(change);
                // One prediction is of one creation: a later one may be anybody's.
                match self.predicted.remove(&identity) {
                    Some(_) => self.certain.push(identity),
                    None => self.perhaps.push(identity),
                }
            }
            Event::Changed(change) if change.verb == Verb::Deleted => {
                let gone = identity(change);
                self.certain.retain(|identity| *identity != gone);
                self.perhaps.retain(|identity| *identity != gone);
            }
            // What a failed step was to create may come from anybody now.
            Event::Exited(id, exit) if exit.status != 0 => {
                self.predicted.retain(|_, step| step != id);
            }
            _ => {}
        }
    }

    /// True while something that was predicted has not come.
    pub(super) fn waits(&self) -> bool {
        !self.predicted.is_empty()
    }

    /// Deletes what is certainly the show's, the last first; says what else was created meanwhile.
    pub(super) async fn delete(&self, client: &Client) -> Result<()> {
        if self.certain.is_empty() && self.perhaps.is_empty() {
            return Ok(());
        }
        let discovery = Discovery::new(client.clone()).run_aggregated().await?;
        for identity in self.certain.iter().rev() {
            let (api_version, kind, namespace, name) = identity;
            let object: Value = json!({"apiVersion": api_version, "kind": kind,
                                       "metadata": {"name": name, "namespace": namespace}});
            let deleted = match api_of(client, &discovery, &object, namespace) {
                Ok((api, _)) => api.delete(name, &DeleteParams::background()).await.err(),
                // Its kind has gone, and the object with it.
                Err(_) => continue,
            };
            match deleted {
                None => eprintln!("footlights: cleaned up {}", named(identity)),
                Some(kube::Error::Api(status)) if status.code == 404 => {}
                Some(error) => {
                    eprintln!("footlights: {} is left: {error}", named(identity));
                }
            }
        }
        for identity in &self.perhaps {
            eprintln!(
                "footlights: {} is left: it came meanwhile, and may be somebody else's",
                named(identity)
            );
        }
        Ok(())
    }
}

fn named((_, kind, namespace, name): &Identity) -> String {
    match namespace.as_str() {
        "" => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::compare;
    use crate::engine::Exit;

    fn change(name: &str, verb: Verb) -> Change {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        match verb {
            Verb::Deleted => compare(Some(&object), None),
            _ => compare(None, Some(&object)),
        }
        .unwrap()
    }

    #[test]
    fn only_what_was_predicted_and_came_is_certain() {
        let mut created = Created::default();
        let predicted = ["a", "b"].map(|name| change(name, Verb::Created));
        created.notice(&Event::Predicted(1, predicted.to_vec()));
        for name in ["a", "b", "other"] {
            created.notice(&Event::Changed(change(name, Verb::Created)));
        }
        created.notice(&Event::Changed(change("a", Verb::Deleted)));
        created.notice(&Event::Changed(change("a", Verb::Created)));
        let names = |list: &[Identity]| list.iter().map(|i| i.3.clone()).collect::<Vec<_>>();
        assert_eq!(names(&created.certain), ["b"]);
        assert_eq!(names(&created.perhaps), ["other", "a"]);
        let late = change("other", Verb::Created);
        created.notice(&Event::Predicted(2, vec![late]));
        assert_eq!(names(&created.certain), ["b", "other"]);

        created.notice(&Event::Predicted(3, vec![change("c", Verb::Created)]));
        assert!(created.waits());
        let exit = Exit {
            status: 1,
            ..Exit::default()
        };
        created.notice(&Event::Exited(3, exit));
        assert!(!created.waits());
        created.notice(&Event::Changed(change("c", Verb::Created)));
        assert_eq!(names(&created.perhaps), ["a", "c"]);
    }
}
