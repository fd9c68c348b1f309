//! The controllers: what the cluster does by itself after a change. Pure.
//!
//! `reconcile` runs within the write that needs it, so that when `kubectl apply` returns, the
//! status is true and the route table is the new one.

mod definitions;
mod deployments;
pub mod events;
mod gateways;
mod lifecycle;
mod routes;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::crd::CRDS;
use super::list::items;
use super::rest::State;
use super::routing::attach::{AttachedRoute, attach_all};
use super::routing::flavor::Flavor;
use super::routing::table::ObjectRef;
use super::store::{Change, ChangeKind, Key, Object, Store, same_but_for_metadata_and_status};

/// What the controllers cannot read from the store: where Gateways' listeners are bound.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By Gateway and listener port, the address really bound.
    pub bound: BTreeMap<(ObjectRef, u16), SocketAddr>,
}

/// Rounds after which reconciling is given up; two or three are the most that is ever needed.
const ROUNDS: usize = 20;

/// Brings the store to rest after the changes since a revision: runs the controllers that these
/// concern until none changes anything. Returns the routes with their parents if the data plane may
/// have to change.
pub fn reconcile(
    state: &mut State,
    facts: &Facts,
    since: u64,
    now: &str,
) -> Option<Vec<AttachedRoute>> {
    let mut since = since;
    let mut routes = None;
    for round in 0..ROUNDS {
        let touched = Touched::since(&state.store, since);
        since = state.store.revision();
        if touched.any(&[CRDS]) {
            definitions::reconcile(state, now);
        }
        if touched.lifecycle {
            lifecycle::reconcile(state, now);
        }
        if touched.any(&["deployments.apps", "replicasets.apps", "pods"]) {
            deployments::reconcile(state, now);
        }
        if touched.any(&["services", "pods"]) {
            services::reconcile(state, now);
        }
        // A status that somebody wrote is put right; those that controllers wrote are right.
        if touched.routing() || (round == 0 && touched.routing_statuses()) {
            let attached = attach_all(&state.store);
            routes::reconcile(state, &attached, now);
            gateways::reconcile(state, facts, &attached, now);
            routes = Some(attached);
        }
        if state.store.revision() == since {
            break;
        }
    }
    routes
}

/// What has changed, as far as it decides which controllers run.
#[derive(Debug, Default)]
struct Touched {
    resources: BTreeSet<Arc<str>>,
    /// Resources of which something besides the status of an object has changed.
    specs: BTreeSet<Arc<str>>,
    /// Something was deleted, is being deleted, or has an owner.
    lifecycle: bool,
    /// More changed than the log holds.
    everything: bool,
}

impl Touched {
    /// By the changes after a revision.
    fn since(store: &Store, revision: u64) -> Self {
        let mut touched = Touched::default();
        let Ok(changes) = store.changes_since(revision) else {
            return Touched {
                everything: true,
                lifecycle: true,
                ..touched
            };
        };
        for change in changes {
            touched.resources.insert(change.key.resource.clone());
            if !is_of_status_only(change) {
                touched.specs.insert(change.key.resource.clone());
            }
            let metadata = &change.object["metadata"];
            touched.lifecycle |= change.kind == ChangeKind::Deleted
                || metadata["deletionTimestamp"].is_string()
                || (change.kind == ChangeKind::Added && metadata["ownerReferences"].is_array());
        }
        touched
    }

    fn any(&self, resources: &[&str]) -> bool {
        self.everything || resources.iter().any(|r| self.resources.contains(*r))
    }

    /// True if the data plane may have to change.
    fn routing(&self) -> bool {
        // Deployments tell which mesh is installed.
        const READ: [&str; 5] = [
            "services",
            "namespaces",
            "secrets",
            "deployments.apps",
            CRDS,
        ];
        let read = READ.iter().any(|r| self.specs.contains(*r));
        // Only of pods does the status matter to the data plane.
        self.any(&["pods"]) || read || self.specs.iter().any(is_of_gateway_api)
    }

    /// True if a status that the Gateway API's controllers write has changed.
    fn routing_statuses(&self) -> bool {
        self.resources.iter().any(is_of_gateway_api)
    }
}

fn is_of_gateway_api(resource: &Arc<str>) -> bool {
    resource.ends_with("gateway.networking.k8s.io") || resource.ends_with("policy.linkerd.io")
}

fn is_of_status_only(change: &Change) -> bool {
    let (ChangeKind::Modified, Some(before)) = (change.kind, &change.before) else {
        return false;
    };
    let (old, new) = (&before["metadata"], &change.object["metadata"]);
    let read = ["labels", "annotations", "deletionTimestamp"];
    read.iter().all(|f| old[f] == new[f])
        && same_but_for_metadata_and_status(before, &change.object)
}

/// All objects of a resource, to be changed while they are gone through.
fn all(state: &State, resource: &str) -> Vec<(Key, Object)> {
    let objects = state.store.list(resource, None);
    objects.map(|(k, o)| (k.clone(), o.clone())).collect()
}

/// What a controller writes conditions about: which generation, and as whom.
#[derive(Clone, Copy)]
struct Controlled<'a> {
    generation: &'a Value,
    flavor: Flavor,
}

impl Controlled<'_> {
    /// A condition; its transition time is filled in by [`keep_transition_times`].
    fn condition(&self, kind: &str, status: bool, reason: &str, message: &str) -> Value {
        let mut condition = json!({"type": kind, "status": if status { "True" } else { "False" },
                                   "reason": reason, "message": message});
        // Linkerd does not say which generation it looked at.
        if self.flavor != Flavor::Linkerd {
            condition["observedGeneration"] = self.generation.clone();
        }
        condition
    }
}

/// Gives each new condition the old one's transition time if its status is the same, else `now`.
fn keep_transition_times(old: &Value, new: &mut Value, now: &str) {
    for condition in new.as_array_mut().into_iter().flatten() {
        let before = old
            .as_array()
            .into_iter()
            .flatten()
            .find(|o| o["type"] == condition["type"] && o["status"] == condition["status"]);
        condition["lastTransitionTime"] = match before {
            Some(before) => before["lastTransitionTime"].clone(),
            None => json!(now),
        };
    }
}

#[cfg(test)]
mod tests;
