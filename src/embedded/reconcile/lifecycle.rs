//! How objects end: with their namespace, with their owners, and once their finalizers are gone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::embedded::rest::{State, is_finished};
use crate::embedded::store::{Key, Object};

/// Moves everything that is on its way out one step on.
pub fn reconcile(state: &mut State, now: &str) {
    empty_namespaces(state, now);
    settle_owners(state, now);
    collect_orphans(state, now);
}

/// Marks an object as being deleted, or deletes it if nothing holds it.
pub fn retire(state: &mut State, key: &Key, now: &str) {
    let Some(object) = state.store.get(key) else {
        return;
    };
    if object["metadata"]["deletionTimestamp"].is_string() {
        return;
    }
    let held = !finalizers(object).is_empty();
    // The kubelet ends what runs.
    let running = &*key.resource == "pods" && object["status"]["phase"] == "Running";
    if !held && !running {
        state.store.delete(key);
        return;
    }
    let grace = if running { 30 } else { 0 };
    state.store.update(key, now, |o| {
        o["metadata"]["deletionTimestamp"] = json!(now);
        o["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
    });
}

fn finalizers(object: &Value) -> Vec<&str> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn is_ending(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Deletes the content of namespaces that end, then the namespaces.
fn empty_namespaces(state: &mut State, now: &str) {
    let ending: Vec<Key> = state
        .store
        .list("namespaces", None)
        .filter(|(_, o)| is_ending(o))
        .map(|(k, _)| k.clone())
        .collect();
    for namespace in ending {
        let content = state
            .store
            .iter()
            .filter(|(k, _)| k.namespace == namespace.name);
        let content: Vec<Key> = content.map(|(k, _)| k.clone()).collect();
        for key in &content {
            retire(state, key, now);
        }
        let left = content.iter().any(|key| state.store.get(key).is_some());
        let held = state
            .store
            .get(&namespace)
            .is_some_and(|o| !finalizers(o).is_empty());
        if !left && !held {
            state.store.delete(&namespace);
        }
    }
    // What stands in a namespace that is not there has nowhere to be.
    let known = state.store.list("namespaces", None);
    let known: BTreeSet<String> = known.map(|(k, _)| k.name.clone()).collect();
    let homeless = state.store.iter().map(|(key, _)| key);
    let homeless: Vec<Key> = homeless
        .filter(|key| !key.namespace.is_empty() && !known.contains(&key.namespace))
        .cloned()
        .collect();
    for key in homeless {
        state.store.delete(&key);
    }
}

/// Owners that are deleted with `Foreground` wait for their dependents, with `Orphan` let them go.
fn settle_owners(state: &mut State, now: &str) {
    let waiting: Vec<(Key, Object)> = state
        .store
        .iter()
        .filter(|(_, o)| is_ending(o))
        .filter(|(_, o)| finalizers(o).iter().any(|f| is_ours(f)))
        .map(|(k, o)| (k.clone(), o.clone()))
        .collect();
    for (key, owner) in waiting {
        let uid = &owner["metadata"]["uid"];
        let dependents: Vec<Key> = state
            .store
            .iter()
            .filter(|(_, o)| owners(o).any(|r| r["uid"] == *uid))
            .map(|(k, _)| k.clone())
            .collect();
        if finalizers(&owner).contains(&"orphan") {
            for dependent in &dependents {
                state.store.update(dependent, now, |o| {
                    if let Some(list) = o["metadata"]["ownerReferences"].as_array_mut() {
                        list.retain(|r| r["uid"] != *uid);
                    }
                });
            }
        } else if !dependents.is_empty() {
            for dependent in &dependents {
                retire(state, dependent, now);
            }
            if dependents.iter().any(|d| state.store.get(d).is_some()) {
                continue;
            }
        }
        state.store.update(&key, now, |o| {
            if let Some(list) = o["metadata"]["finalizers"].as_array_mut() {
                list.retain(|f| !f.as_str().is_some_and(is_ours));
            }
        });
        // A namespace still has its content, a pod its containers.
        if state.store.get(&key).is_some_and(|o| is_finished(o)) {
            state.store.delete(&key);
        }
    }
}

/// Finalizers that the garbage collector handles itself.
fn is_ours(finalizer: &str) -> bool {
    matches!(finalizer, "foregroundDeletion" | "orphan")
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    let list = object["metadata"]["ownerReferences"].as_array();
    list.into_iter().flatten()
}

/// Dependents go when all their owners have.
fn collect_orphans(state: &mut State, now: &str) {
    let owned = state
        .store
        .iter()
        .filter(|(_, o)| owners(o).next().is_some());
    let owned: Vec<(Key, Object)> = owned.map(|(k, o)| (k.clone(), o.clone())).collect();
    if owned.is_empty() {
        return;
    }
    let uids = state
        .store
        .iter()
        .filter_map(|(_, o)| o["metadata"]["uid"].as_str());
    let uids: BTreeSet<String> = uids.map(str::to_owned).collect();
    for (key, object) in owned {
        let alone = owners(&object).all(|r| r["uid"].as_str().is_none_or(|u| !uids.contains(u)));
        if alone {
            retire(state, &key, now);
        }
    }
}
