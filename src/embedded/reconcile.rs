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
use super::rest::State;
use super::routing::attach::attach_all;
use super::routing::flavor::Flavor;
use super::routing::table::ObjectRef;
use super::store::{ChangeKind, Key, Object, Store};

/// What the controllers cannot read from the store: where Gateways' listeners are bound.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By Gateway and listener port, the address really bound.
    pub bound: BTreeMap<(ObjectRef, u16), SocketAddr>,
}

/// Rounds after which reconciling is given up; two or three are the most that is ever needed.
const ROUNDS: usize = 20;

/// Brings the store to rest after the changes since a revision: runs the controllers that these
/// concern until none changes anything.
pub fn reconcile(state: &mut State, facts: &Facts, since: u64, now: &str) {
    let mut since = since;
    for _ in 0..ROUNDS {
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
        if touched.routing() {
            let attached = attach_all(&state.store);
            routes::reconcile(state, &attached, now);
            gateways::reconcile(state, facts, &attached, now);
        }
        if state.store.revision() == since {
            return;
        }
    }
}

/// What has changed, as far as it decides which controllers run.
#[derive(Debug, Default)]
pub struct Touched {
    resources: BTreeSet<Arc<str>>,
    /// Something was deleted, is being deleted, or has an owner.
    lifecycle: bool,
    /// More changed than the log holds.
    everything: bool,
}

impl Touched {
    /// By the changes after a revision.
    pub fn since(store: &Store, revision: u64) -> Self {
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
    pub fn routing(&self) -> bool {
        // Deployments tell which mesh is installed.
        const READ: [&str; 6] = [
            "services",
            "pods",
            "namespaces",
            "secrets",
            "deployments.apps",
            CRDS,
        ];
        let gateway_api = |r: &Arc<str>| {
            r.ends_with("gateway.networking.k8s.io") || r.ends_with("policy.linkerd.io")
        };
        self.any(&READ) || self.resources.iter().any(gateway_api)
    }
}

/// All objects of a resource, to be changed while they are gone through.
fn all(state: &State, resource: &str) -> Vec<(Key, Object)> {
    let objects = state.store.list(resource, None);
    objects.map(|(k, o)| (k.clone(), o.clone())).collect()
}

/// The items of a list; none of anything else.
fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
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
