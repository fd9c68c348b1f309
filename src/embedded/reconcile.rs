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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::admission;
    use crate::embedded::resource::Registry;
    use crate::embedded::store::{Key, Store};

    fn state() -> State {
        let mut state = State {
            store: Store::new(3),
            registry: Registry::new(),
        };
        let namespace = json!({"metadata": {"name": "app"}});
        state
            .store
            .put(Key::new("namespaces", "", "app"), namespace, "t");
        state
    }

    fn deploy(state: &mut State, image: &str, replicas: u32) {
        let resource = state.registry.by_id("deployments.apps").unwrap().clone();
        let mut object = json!({"metadata": {"name": "web", "namespace": "app"}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}},
                         "spec": {"containers": [{"name": "c", "image": image}]}}}});
        admission::default(&resource, &mut object);
        let key = Key::new("deployments.apps", "app", "web");
        if let Some(before) = state.store.get(&key) {
            object["status"] = before["status"].clone();
        }
        state.store.put(key, object, "t");
        reconcile(state, &Facts::default(), "t");
    }

    /// What the kubelet does: makes every pod ready.
    fn run_pods(state: &mut State) {
        let pods: Vec<Key> = state
            .store
            .list("pods", None)
            .map(|(k, _)| k.clone())
            .collect();
        for key in pods {
            state.store.update(&key, "t", |o| {
                o["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
            });
        }
        reconcile(state, &Facts::default(), "t");
    }

    fn images(state: &State) -> Vec<String> {
        let pods = state.store.list("pods", None);
        pods.map(|(_, p)| {
            p["spec"]["containers"][0]["image"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
    }

    #[test]
    fn a_rollout_replaces_pods_once_the_new_ones_are_ready() {
        let mut state = state();
        deploy(&mut state, "v1", 2);
        run_pods(&mut state);
        let status = |state: &State| {
            state
                .store
                .get(&Key::new("deployments.apps", "app", "web"))
                .unwrap()["status"]
                .clone()
        };
        assert_eq!(status(&state)["availableReplicas"], 2);
        deploy(&mut state, "v2", 2);
        assert_eq!(images(&state).len(), 4, "both generations stand");
        run_pods(&mut state);
        assert_eq!(images(&state), ["v2", "v2"]);
        assert_eq!(status(&state)["updatedReplicas"], 2);
        deploy(&mut state, "v2", 0);
        assert!(images(&state).is_empty());
        assert_eq!(status(&state)["replicas"], Value::Null);
    }

    #[test]
    fn what_is_owned_or_in_a_namespace_goes_with_it() {
        let mut state = state();
        deploy(&mut state, "v1", 1);
        state
            .store
            .delete(&Key::new("deployments.apps", "app", "web"));
        reconcile(&mut state, &Facts::default(), "t");
        assert!(images(&state).is_empty());
        deploy(&mut state, "v1", 1);
        state.store.delete(&Key::new("namespaces", "", "app"));
        reconcile(&mut state, &Facts::default(), "t");
        assert_eq!(state.store.iter().count(), 0);
    }

    #[test]
    fn at_rest_nothing_is_written() {
        let mut state = state();
        deploy(&mut state, "v1", 1);
        run_pods(&mut state);
        let revision = state.store.revision();
        reconcile(&mut state, &Facts::default(), "later");
        assert_eq!(state.store.revision(), revision);
    }
}
