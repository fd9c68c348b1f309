//! Events: what `kubectl describe` and `kubectl get events` tell of an object's past.

use serde_json::{Value, json};

use crate::embedded::rest::State;
use crate::embedded::store::Key;

/// Events kept; the oldest go first.
const MOST_EVENTS: usize = 500;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub struct Happening<'a> {
    /// `Normal` or `Warning`.
    pub kind: &'a str,
    /// `ScalingReplicaSet`.
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
    /// Who tells: `deployment-controller`.
    pub component: &'a str,
}

/// Writes an Event about an object; the same one again counts up.
pub fn tell(state: &mut State, about: &Value, what: Happening<'_>, now: &str) {
    let metadata = &about["metadata"];
    let namespace = metadata["namespace"]
        .as_str()
        .unwrap_or("default")
        .to_owned();
    let involved = json!({"kind": about["kind"], "apiVersion": about["apiVersion"],
        "namespace": namespace, "name": metadata["name"], "uid": metadata["uid"]});
    let same = state.store.list("events", Some(&namespace)).find(|(_, e)| {
        e["involvedObject"]["uid"] == involved["uid"]
            && e["reason"] == what.reason
            && e["message"] == what.message
    });
    if let Some((key, _)) = same {
        let key = key.clone();
        state.store.update(&key, now, |o| {
            o["count"] = json!(o["count"].as_u64().unwrap_or(1) + 1);
            o["lastTimestamp"] = json!(now);
        });
        return;
    }
    let name = format!(
        "{}.{}",
        metadata["name"].as_str().unwrap_or(""),
        state.store.suffix(16)
    );
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
        "involvedObject": involved, "type": what.kind, "reason": what.reason,
        "message": what.message, "count": 1, "firstTimestamp": now, "lastTimestamp": now,
        "eventTime": null, "source": {"component": what.component},
        "reportingComponent": what.component, "reportingInstance": "",
    });
    state
        .store
        .put(Key::new("events", &namespace, &name), event, now);
    forget_oldest(state);
}

fn forget_oldest(state: &mut State) {
    let mut all: Vec<(u64, Key)> = state
        .store
        .list("events", None)
        .map(|(key, e)| {
            let revision = e["metadata"]["resourceVersion"].as_str().unwrap_or("");
            (revision.parse().unwrap_or(0), key.clone())
        })
        .collect();
    if all.len() > MOST_EVENTS {
        all.sort_by_key(|(revision, _)| *revision);
        for (_, key) in all.into_iter().take(MOST_EVENTS / 10) {
            state.store.delete(&key);
        }
    }
}
