//! The controllers: what the cluster does by itself after a change. Pure.
//!
//! `reconcile` runs within the write that needs it, so that when `kubectl apply` returns, the
//! status is true and the route table is the new one.

mod deployments;
mod gateways;
mod namespaces;
mod routes;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::rest::State;
use super::routing::table::ObjectRef;

/// What the controllers cannot read from the store: where Gateways' listeners are bound.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By Gateway and listener port, the address really bound.
    pub bound: BTreeMap<(ObjectRef, u16), SocketAddr>,
}

/// Rounds after which reconciling is given up; two or three are the most that is ever needed.
const ROUNDS: usize = 20;

/// Brings the store to rest: runs every controller until none changes anything.
pub fn reconcile(state: &mut State, facts: &Facts, now: &str) {
    for _ in 0..ROUNDS {
        let before = state.store.revision();
        namespaces::reconcile(state, now);
        namespaces::collect_garbage(state);
        deployments::reconcile(state, now);
        routes::reconcile(state, now);
        gateways::reconcile(state, facts, now);
        if state.store.revision() == before {
            return;
        }
    }
}

/// A condition; its transition time is filled in by [`keep_transition_times`].
fn condition(kind: &str, status: bool, reason: &str, message: &str, generation: &Value) -> Value {
    json!({"type": kind, "status": if status { "True" } else { "False" }, "reason": reason,
           "message": message, "observedGeneration": generation})
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
