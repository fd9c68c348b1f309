//! CustomResourceDefinitions: what is applied is served at once, what is deleted no more.

use std::sync::Arc;

use super::all;
use crate::embedded::crd::{self, CRDS};
use crate::embedded::resource::{Origin, Resource};
use crate::embedded::rest::State;
use crate::embedded::store::Key;

/// Brings the registry in line with the CRDs, and writes their status.
pub fn reconcile(state: &mut State, now: &str) {
    let crds = all(state, CRDS);
    for (key, object) in &crds {
        let before = state.registry.by_id(&key.name).cloned();
        if let Some(resource) = crd::resource(object, before.as_deref()) {
            Arc::make_mut(&mut state.registry).put(Arc::new(resource));
        }
        let status = crd::status(object, now);
        state.store.update(key, now, |o| o["status"] = status);
    }
    let gone: Vec<Arc<Resource>> = state
        .registry
        .iter()
        .filter(|r| r.origin == Origin::Custom)
        .filter(|r| !crds.iter().any(|(key, _)| key.name == *r.id))
        .cloned()
        .collect();
    for resource in gone {
        let objects = state.store.list(&resource.id, None);
        let keys: Vec<Key> = objects.map(|(k, _)| k.clone()).collect();
        for key in keys {
            state.store.delete(&key);
        }
        Arc::make_mut(&mut state.registry).remove(&resource.id);
    }
}
