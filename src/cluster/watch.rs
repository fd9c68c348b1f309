//! Watching the cluster: whoever changes it, and however, is seen.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::Result;
use futures::TryStreamExt;
use kube::api::{Api, DynamicObject};
use kube::discovery::{Discovery, verbs};
use kube::runtime::watcher;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
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

/// The kind whose objects make kinds.
const DEFINITION: &str = "CustomResourceDefinition";
/// Definitions come several at a time, and a server needs a moment until it serves them.
const SERVED: Duration = Duration::from_millis(200);

/// Watches every kind that can be watched, and those that a show defines; changes become events. Ends when
/// dropped.
pub async fn watch_all(
    client: kube::Client,
    events: UnboundedSender<Event>,
) -> Result<JoinSet<()>> {
    let (defined, mut definitions) = unbounded_channel();
    let mut watches = Watches {
        client,
        events,
        defined,
        watched: BTreeSet::new(),
        tasks: JoinSet::new(),
    };
    watches.start().await?;
    let mut keeper = JoinSet::new();
    keeper.spawn(async move {
        while definitions.recv().await.is_some() {
            tokio::time::sleep(SERVED).await;
            while definitions.try_recv().is_ok() {}
            if let Err(error) = watches.start().await {
                tracing::debug!(%error, "kinds could not be discovered");
            }
        }
    });
    Ok(keeper)
}

/// The watches that run.
struct Watches {
    client: kube::Client,
    events: UnboundedSender<Event>,
    /// Told when a definition is there, or another.
    defined: UnboundedSender<()>,
    /// API version and kind.
    watched: BTreeSet<(String, String)>,
    tasks: JoinSet<()>,
}

impl Watches {
    /// Watches the kinds that are not watched yet.
    async fn start(&mut self) -> Result<()> {
        let discovery = Discovery::new(self.client.clone()).run_aggregated().await?;
        for group in discovery.groups() {
            for (resource, capabilities) in group.recommended_resources() {
                let kind = (resource.api_version.clone(), resource.kind.clone());
                if NOISE.contains(&resource.kind.as_str())
                    || !capabilities.supports_operation(verbs::WATCH)
                    || !self.watched.insert(kind.clone())
                {
                    continue;
                }
                let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
                let defined = (resource.kind == DEFINITION).then(|| self.defined.clone());
                self.tasks
                    .spawn(watch(api, kind, self.events.clone(), defined));
            }
        }
        Ok(())
    }
}

async fn watch(
    api: Api<DynamicObject>,
    (api_version, kind): (String, String),
    events: UnboundedSender<Event>,
    defined: Option<UnboundedSender<()>>,
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
                if let Some(defined) = &defined {
                    // The keeper ends with the show.
                    let _ = defined.send(());
                }
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
