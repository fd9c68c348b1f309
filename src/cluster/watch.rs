//! Watching the cluster: whoever changes it, and however, is seen.

use std::collections::HashMap;

use anyhow::Result;
use futures::TryStreamExt;
use kube::api::{Api, DynamicObject};
use kube::discovery::{Discovery, verbs};
use kube::runtime::watcher;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::diff::{Verb, compare};
use crate::engine::Event;

/// Kinds that controllers write all the time and nobody by hand.
const NOISE: [&str; 7] = [
    "ControllerRevision",
    "Endpoints",
    "EndpointSlice",
    "Event",
    "Lease",
    "Pod",
    "ReplicaSet",
];

/// Watches every kind that can be watched; changes become events. Ends when dropped.
pub async fn watch_all(
    client: kube::Client,
    events: UnboundedSender<Event>,
) -> Result<JoinSet<()>> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut watches = JoinSet::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if NOISE.contains(&resource.kind.as_str())
                || !capabilities.supports_operation(verbs::WATCH)
            {
                continue;
            }
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let kind = (resource.api_version.clone(), resource.kind.clone());
            watches.spawn(watch(api, kind, events.clone()));
        }
    }
    Ok(watches)
}

async fn watch(
    api: Api<DynamicObject>,
    (api_version, kind): (String, String),
    events: UnboundedSender<Event>,
) {
    let mut known: HashMap<(Option<String>, String), Value> = HashMap::new();
    let mut listed: HashMap<(Option<String>, String), Value> = HashMap::new();
    let mut started = false;
    let config = watcher::Config::default().timeout(60);
    let stream = kube::runtime::WatchStreamExt::default_backoff(watcher::watcher(api, config));
    let mut stream = std::pin::pin!(stream);
    let tell = |before: Option<&Value>, after: Option<&Value>| {
        let change = compare(before, after);
        if let Some(change) = change.filter(|c| c.verb != Verb::Unchanged)
            && !is_owned(after.or(before))
        {
            // Nobody listens any more once the show is over.
            let _ = events.send(Event::Changed(change));
        }
    };
    loop {
        let event = match stream.try_next().await {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, kind, "watch interrupted");
                continue;
            }
        };
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(object) => {
                let (key, value) = keyed(object, &api_version, &kind);
                listed.insert(key, value);
            }
            watcher::Event::InitDone => {
                // After a gap the list says what happened meanwhile; the first one is the start.
                if started {
                    for (key, after) in &listed {
                        tell(known.get(key), Some(after));
                    }
                    let gone = known.iter().filter(|(key, _)| !listed.contains_key(*key));
                    for (_, before) in gone {
                        tell(Some(before), None);
                    }
                }
                known = std::mem::take(&mut listed);
                started = true;
            }
            watcher::Event::Apply(object) => {
                let (key, after) = keyed(object, &api_version, &kind);
                tell(known.get(&key), Some(&after));
                known.insert(key, after);
            }
            watcher::Event::Delete(object) => {
                let (key, before) = keyed(object, &api_version, &kind);
                known.remove(&key);
                tell(Some(&before), None);
            }
        }
    }
}

/// List items carry no kind, so it is put in.
fn keyed(
    object: DynamicObject,
    api_version: &str,
    kind: &str,
) -> ((Option<String>, String), Value) {
    let key = (
        object.metadata.namespace.clone(),
        object.metadata.name.clone().unwrap_or_default(),
    );
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["apiVersion"] = api_version.into();
    value["kind"] = kind.into();
    (key, value)
}

/// What a controller made for an object is not a change of its own.
fn is_owned(object: Option<&Value>) -> bool {
    object.is_some_and(|o| {
        o["metadata"]["ownerReferences"]
            .as_array()
            .is_some_and(|a| !a.is_empty())
    })
}
