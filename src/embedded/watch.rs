//! Watches: which changes of the store a watcher is told of, and in which words. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::resource::Resource;
use super::rest::State;
use super::selector::Selector;
use super::status::ApiError;
use super::store::{Change, ChangeKind, Object};
use super::table::table;

/// What a watcher asked for.
#[derive(Clone, Debug)]
pub struct WatchSpec {
    /// Which resource.
    pub resource: Arc<Resource>,
    /// In which version.
    pub version: String,
    /// In which namespace; in all if none.
    pub namespace: Option<String>,
    /// Which objects.
    pub selector: Selector,
    /// After which revision; from the present state if none.
    pub from: Option<u64>,
    /// Send a bookmark that ends the initial state (`sendInitialEvents`).
    pub initial_events_end: bool,
    /// Send bookmarks.
    pub bookmarks: bool,
    /// End after so long.
    pub timeout_seconds: Option<u64>,
    /// Send tables.
    pub as_table: bool,
}

/// A running watch: what it has already told.
#[derive(Debug)]
pub struct Watch {
    spec: WatchSpec,
    told: u64,
}

impl Watch {
    /// Starts a watch; returns the events to send at once.
    pub fn start(spec: WatchSpec, state: &State, now: &jiff::Timestamp) -> (Self, Vec<Value>) {
        let mut events = Vec::new();
        let told = match spec.from {
            Some(revision) => revision,
            None => {
                let present = state
                    .store
                    .list(&spec.resource.id, spec.namespace.as_deref())
                    .filter(|(_, o)| spec.selector.matches(o));
                for (_, object) in present {
                    events.push(event("ADDED", rendered(&spec, object, now)));
                }
                state.store.revision()
            }
        };
        let watch = Watch { spec, told };
        if watch.spec.initial_events_end {
            let mut bookmark = watch.bookmark();
            bookmark["object"]["metadata"]["annotations"] =
                json!({"k8s.io/initial-events-end": "true"});
            events.push(bookmark);
        }
        (watch, events)
    }

    /// The events since the last call.
    pub fn poll(&mut self, state: &State, now: &jiff::Timestamp) -> Result<Vec<Value>, ApiError> {
        if state.store.revision() <= self.told {
            return Ok(Vec::new());
        }
        let changes = state
            .store
            .changes_since(self.told)
            .map_err(|e| ApiError::expired(e.to_string()))?;
        let events = changes
            .filter_map(|change| self.told_as(change).map(|kind| (kind, change)))
            .map(|(kind, change)| event(kind, rendered(&self.spec, &change.object, now)))
            .collect();
        self.told = state.store.revision();
        Ok(events)
    }

    /// A bookmark of how far the watch is.
    pub fn bookmark(&self) -> Value {
        event(
            "BOOKMARK",
            json!({"kind": self.spec.resource.kind,
                   "apiVersion": self.spec.resource.api_version(&self.spec.version),
                   "metadata": {"resourceVersion": self.told.to_string(), "creationTimestamp": null}}),
        )
    }

    /// The spec that it was started with.
    pub fn spec(&self) -> &WatchSpec {
        &self.spec
    }

    /// An object that begins or ceases to fit the selector is told as added or deleted.
    fn told_as(&self, change: &Change) -> Option<&'static str> {
        let spec = &self.spec;
        if change.key.resource != spec.resource.id {
            return None;
        }
        if spec
            .namespace
            .as_ref()
            .is_some_and(|n| *n != change.key.namespace)
        {
            return None;
        }
        let before = change
            .before
            .as_ref()
            .is_some_and(|o| spec.selector.matches(o));
        let after = change.kind != ChangeKind::Deleted && spec.selector.matches(&change.object);
        match (before, after) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }
}

/// The event that ends a watch whose revision is gone.
pub fn error_event(error: &ApiError) -> Value {
    event("ERROR", error.to_json())
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn rendered(spec: &WatchSpec, object: &Object, now: &jiff::Timestamp) -> Value {
    if spec.as_table {
        let version = spec.resource.version(&spec.version);
        let revision = &object["metadata"]["resourceVersion"];
        return table(
            &spec.resource,
            version.map_or(&[], |v| &v.columns),
            std::slice::from_ref(object),
            json!({"resourceVersion": revision}),
            now,
        );
    }
    let mut object = Value::clone(object);
    object["apiVersion"] = json!(spec.resource.api_version(&spec.version));
    object["kind"] = json!(spec.resource.kind);
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::resource::Registry;
    use crate::embedded::store::{Key, Store};

    fn kinds(events: &[Value]) -> Vec<&str> {
        events.iter().map(|e| e["type"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_watch_tells_the_present_then_changes_then_objects_that_leave_its_selector() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut state = State {
            store: Store::new(1),
            registry: Registry::built_in().into(),
        };
        let key = Key::new("configmaps", "x", "a");
        let object = |on: &str| json!({"metadata": {"name": "a", "labels": {"on": on}}});
        state.store.put(key.clone(), object("1"), "t");
        let spec = WatchSpec {
            resource: state.registry.by_id("configmaps").unwrap().clone(),
            version: "v1".into(),
            namespace: Some("x".into()),
            selector: Selector::parse("on=1", "").unwrap(),
            from: None,
            initial_events_end: true,
            bookmarks: true,
            timeout_seconds: None,
            as_table: false,
        };
        let (mut watch, first) = Watch::start(spec, &state, &now);
        assert_eq!(kinds(&first), ["ADDED", "BOOKMARK"]);
        state.store.put(key.clone(), object("2"), "t");
        state
            .store
            .put(Key::new("configmaps", "y", "a"), object("1"), "t");
        state.store.put(key.clone(), object("1"), "t");
        state.store.delete(&key);
        let events = watch.poll(&state, &now).unwrap();
        assert_eq!(kinds(&events), ["DELETED", "ADDED", "DELETED"]);
        assert!(watch.poll(&state, &now).unwrap().is_empty());
    }
}
