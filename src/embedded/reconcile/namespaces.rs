//! Namespaces and owners: what goes when its namespace or its owner has gone; cluster IPs.

use std::collections::BTreeSet;

use serde_json::json;

use crate::embedded::rest::State;
use crate::embedded::store::Key;

/// Gives Services a cluster IP. It is shown and never routed: the mesh goes by name.
pub fn reconcile(state: &mut State, now: &str) {
    let services = state.store.list("services", None);
    let without: Vec<Key> = services
        .filter(|(_, o)| o["spec"]["clusterIP"].is_null() && o["spec"]["type"] != "ExternalName")
        .map(|(k, _)| k.clone())
        .collect();
    for key in without {
        let number = state.store.revision();
        let ip = format!("10.43.{}.{}", (number / 250) % 250, 1 + number % 250);
        state.store.update(&key, now, |o| {
            o["spec"]["clusterIP"] = json!(ip);
            o["spec"]["clusterIPs"] = json!([ip]);
        });
    }
}

/// Deletes objects whose namespace is gone, and dependents whose owners are all gone.
pub fn collect_garbage(state: &mut State) {
    let namespaces: BTreeSet<&str> = state
        .store
        .list("namespaces", None)
        .map(|(k, _)| k.name.as_str())
        .collect();
    let uids: BTreeSet<&str> = state
        .store
        .iter()
        .filter_map(|(_, o)| o["metadata"]["uid"].as_str())
        .collect();
    let orphaned = |object: &serde_json::Value| {
        object["metadata"]["ownerReferences"]
            .as_array()
            .is_some_and(|owners| {
                !owners.is_empty()
                    && owners
                        .iter()
                        .all(|o| o["uid"].as_str().is_none_or(|uid| !uids.contains(uid)))
            })
    };
    let gone: Vec<Key> = state
        .store
        .iter()
        .filter(|(key, object)| {
            let homeless =
                !key.namespace.is_empty() && !namespaces.contains(key.namespace.as_str());
            homeless || orphaned(object)
        })
        .map(|(key, _)| key.clone())
        .collect();
    for key in gone {
        state.store.delete(&key);
    }
}
