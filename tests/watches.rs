//! Lists and watches with the `kube` crate's client, which is not ours.

use std::collections::BTreeMap;

use footlights::cluster;
use footlights::embedded::EmbeddedCluster;
use footlights::embedded::profile::Profile;
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::core::{ApiResource, GroupVersionKind, WatchEvent};
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};

use crate::harness::PATIENCE;

/// ConfigMaps of the namespace `default` of a new cluster.
async fn configmaps() -> (EmbeddedCluster, Api<DynamicObject>) {
    let cluster = EmbeddedCluster::start(Profile::Bare.into()).await.unwrap();
    let client = cluster::client(&cluster::Target::of(cluster.kubeconfig()))
        .await
        .unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
    let api = Api::namespaced_with(client, "default", &resource);
    (cluster, api)
}

fn configmap(name: &str, labels: &Value) -> DynamicObject {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels}, "data": {"n": "0"}});
    serde_json::from_value(object).unwrap()
}

async fn create(api: &Api<DynamicObject>, name: &str, labels: Value) -> DynamicObject {
    let object = configmap(name, &labels);
    api.create(&PostParams::default(), &object).await.unwrap()
}

async fn label(api: &Api<DynamicObject>, name: &str, value: Value) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"tier": value}}}));
    api.patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// What a watch tells until it has told of an object, in words.
async fn told_until(
    events: &mut (impl futures::Stream<Item = kube::Result<WatchEvent<DynamicObject>>> + Unpin),
    last: &str,
) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let event = tokio::time::timeout(PATIENCE, events.try_next()).await;
        let event = event
            .unwrap_or_else(|_| panic!("told so far: {told:?}"))
            .unwrap()
            .unwrap_or_else(|| panic!("the watch ended after {told:?}"));
        let (what, object) = match event {
            WatchEvent::Added(o) => ("added", o),
            WatchEvent::Modified(o) => ("modified", o),
            WatchEvent::Deleted(o) => ("deleted", o),
            WatchEvent::Bookmark(mark) => {
                let initial = mark.metadata.annotations.get("k8s.io/initial-events-end");
                told.push(format!("bookmark {}", initial.is_some()));
                continue;
            }
            WatchEvent::Error(status) => panic!("{status:?}"),
        };
        let name = object.metadata.name.unwrap_or_default();
        told.push(format!("{what} {name}"));
        if name == last {
            return told;
        }
    }
}

#[tokio::test]
async fn a_watch_by_label_tells_of_objects_that_come_into_sight_and_leave_it() {
    let (_cluster, api) = configmaps().await;
    create(&api, "a", json!({"tier": "web"})).await;
    let list = api
        .list(&ListParams::default().labels("tier=web"))
        .await
        .unwrap();
    let since = list.metadata.resource_version.unwrap();
    let selected = WatchParams::default().labels("tier=web").timeout(60);
    let mut watch = api.watch(&selected, &since).await.unwrap().boxed();
    create(&api, "other", json!({})).await;
    label(&api, "a", json!("db")).await;
    label(&api, "other", json!("web")).await;
    label(&api, "a", json!("web")).await;
    api.delete("a", &Default::default()).await.unwrap();
    create(&api, "end", json!({"tier": "web"})).await;
    assert_eq!(
        told_until(&mut watch, "end").await,
        [
            "deleted a",
            "added other",
            "added a",
            "deleted a",
            "added end"
        ]
    );
    // From the beginning again, by field.
    let named = WatchParams::default()
        .fields("metadata.name=end")
        .timeout(60);
    let mut watch = api.watch(&named, &since).await.unwrap().boxed();
    assert_eq!(told_until(&mut watch, "end").await, ["added end"]);
}

#[tokio::test]
async fn initial_events_come_as_a_stream_with_a_bookmark_behind_them() {
    let (_cluster, api) = configmaps().await;
    create(&api, "a", json!({})).await;
    create(&api, "b", json!({})).await;
    let streaming = WatchParams::default().initial_events().timeout(60);
    let mut watch = api.watch(&streaming, "").await.unwrap().boxed();
    // The cluster has its own root certificates in every namespace.
    let first = told_until(&mut watch, "b").await;
    assert!(
        first.ends_with(&["added a".to_owned(), "added b".to_owned()]),
        "{first:?}"
    );
    create(&api, "c", json!({})).await;
    let then = told_until(&mut watch, "c").await;
    assert!(then.contains(&"bookmark true".to_owned()), "{then:?}");
    assert_eq!(then.last().unwrap(), "added c");
}

#[tokio::test]
async fn kubes_watcher_recovers_when_its_revision_is_gone() {
    let (_cluster, api) = configmaps().await;
    let first = create(&api, "a", json!({})).await;
    // More changes than a server keeps.
    for n in 0..1_100 {
        let patch = Patch::Merge(json!({"data": {"n": n.to_string()}}));
        api.patch("a", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
    let old = first.metadata.resource_version.unwrap();
    let mut watch = api
        .watch(&WatchParams::default(), &old)
        .await
        .unwrap()
        .boxed();
    let refused = watch.try_next().await.unwrap().unwrap();
    let WatchEvent::Error(status) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));

    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let mut seen: BTreeMap<String, Value> = BTreeMap::new();
        let mut events = watcher::watcher(api.clone(), config).boxed();
        while !seen.contains_key("late") {
            let event = tokio::time::timeout(PATIENCE, events.try_next()).await;
            let event = event.unwrap_or_else(|_| panic!("seen: {seen:?}"));
            match event.unwrap().unwrap() {
                Event::InitApply(o) | Event::Apply(o) => {
                    seen.insert(o.metadata.name.unwrap(), o.data["data"]["n"].clone());
                }
                Event::InitDone => drop(create(&api, "late", json!({})).await),
                Event::Init | Event::Delete(_) => {}
            }
        }
        assert_eq!(seen["a"], "1099");
        api.delete("late", &Default::default()).await.unwrap();
    }
}

#[tokio::test]
async fn pages_are_of_one_revision_and_a_page_too_old_is_refused() {
    let (_cluster, api) = configmaps().await;
    for n in 0..25 {
        create(&api, &format!("p{n:02}"), json!({"page": "yes"})).await;
    }
    let page = |token: Option<String>| {
        let mut parameters = ListParams::default().labels("page=yes").limit(10);
        parameters.continue_token = token;
        parameters
    };
    let mut names = Vec::new();
    let mut token = None;
    let mut revisions = Vec::new();
    loop {
        let list = api.list(&page(token)).await.unwrap();
        names.extend(list.items.iter().filter_map(|o| o.metadata.name.clone()));
        revisions.push(list.metadata.resource_version);
        token = list.metadata.continue_.filter(|t| !t.is_empty());
        // What comes in between belongs to a later list.
        create(
            &api,
            &format!("p99-{}", names.len()),
            json!({"page": "yes"}),
        )
        .await;
        if token.is_none() {
            break;
        }
    }
    let wanted: Vec<String> = (0..25).map(|n| format!("p{n:02}")).collect();
    assert_eq!(names[..25], wanted[..], "{names:?}");
    assert_eq!(revisions[0], revisions[1]);
    let refused = async |token: &str| match api.list(&page(Some(token.to_owned()))).await {
        Err(kube::Error::Api(status)) => (status.code, status.reason),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("nonsense").await, (400, "BadRequest".to_owned()));
    let first = api.list(&page(None)).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    for n in 0..1_100 {
        label(&api, "p00", json!(n.to_string())).await;
    }
    assert_eq!(refused(&token).await, (410, "Expired".to_owned()));
}
