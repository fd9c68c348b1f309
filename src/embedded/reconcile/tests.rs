//! Tests of `reconcile`.

use super::*;
use crate::embedded::admission;
use crate::embedded::resource::Registry;
use crate::embedded::store::{Key, Store};

fn state() -> State {
    let mut state = State {
        store: Store::new(3),
        registry: Registry::with_gateway_api().into(),
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
    reconcile(state, &Facts::default(), 0, "t");
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
    reconcile(state, &Facts::default(), 0, "t");
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
    reconcile(&mut state, &Facts::default(), 0, "t");
    assert!(images(&state).is_empty());
    deploy(&mut state, "v1", 1);
    state.store.delete(&Key::new("namespaces", "", "app"));
    reconcile(&mut state, &Facts::default(), 0, "t");
    assert_eq!(state.store.iter().count(), 0);
}

#[test]
fn at_rest_nothing_is_written() {
    let mut state = state();
    deploy(&mut state, "v1", 1);
    run_pods(&mut state);
    let revision = state.store.revision();
    reconcile(&mut state, &Facts::default(), 0, "later");
    assert_eq!(state.store.revision(), revision);
}

#[test]
fn services_have_addresses_and_ports_of_their_own_and_endpoints_while_they_select() {
    let mut state = state();
    let put = |state: &mut State, name: &str, selector: Value| {
        let spec = json!({"type": "NodePort", "selector": selector,
                          "ports": [{"port": 80}, {"port": 81}]});
        let service = json!({"metadata": {"name": name, "namespace": "app"}, "spec": spec});
        state
            .store
            .put(Key::new("services", "app", name), service, "t");
        reconcile(state, &Facts::default(), 0, "t");
    };
    for n in 0..300 {
        put(&mut state, &format!("s{n}"), json!({"a": "b"}));
    }
    let services = || state.store.list("services", None).map(|(_, o)| &o["spec"]);
    let ips: BTreeSet<String> = services().map(|s| s["clusterIP"].to_string()).collect();
    let ports = services().flat_map(|s| items(&s["ports"]));
    let ports: BTreeSet<u64> = ports.filter_map(|p| p["nodePort"].as_u64()).collect();
    assert_eq!((ips.len(), ports.len()), (300, 600));
    let slice = Key::new("endpointslices.discovery.k8s.io", "app", "s0");
    assert!(state.store.get(&slice).is_some());
    put(&mut state, "s0", Value::Null);
    assert!(
        state.store.get(&slice).is_none(),
        "its endpoints are somebody else's now"
    );
    assert!(
        state
            .store
            .get(&Key::new("endpoints", "app", "s0"))
            .is_none()
    );
}

#[test]
fn whatever_is_deleted_the_data_plane_hears_of_it() {
    for (resource, namespace) in [
        ("services", "app"),
        ("secrets", "app"),
        ("namespaces", ""),
        ("httproutes.gateway.networking.k8s.io", "app"),
        ("gatewayclasses.gateway.networking.k8s.io", ""),
        ("referencegrants.gateway.networking.k8s.io", "app"),
    ] {
        let mut state = state();
        let key = Key::new(resource, namespace, "gone");
        state
            .store
            .put(key.clone(), json!({"metadata": {"name": "gone"}}), "t");
        let before = state.store.revision();
        state.store.delete(&key);
        let routes = reconcile(&mut state, &Facts::default(), before, "t");
        assert!(routes.is_some(), "{resource}");
    }
}

#[test]
fn a_status_that_somebody_wrote_is_put_right() {
    let mut state = state();
    let route = json!({"metadata": {"name": "r", "namespace": "app"},
        "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "none"}]}});
    let key = Key::new("httproutes.gateway.networking.k8s.io", "app", "r");
    let before = state.store.revision();
    state.store.put(key.clone(), route, "t");
    reconcile(&mut state, &Facts::default(), before, "t");
    let reason = |state: &State| {
        let status = &state.store.get(&key).unwrap()["status"];
        status["parents"][0]["conditions"][0]["reason"].clone()
    };
    assert_eq!(reason(&state), "NoMatchingParent");
    let before = state.store.revision();
    let wrong = json!({"parents": []});
    state.store.update(&key, "t", |o| o["status"] = wrong);
    reconcile(&mut state, &Facts::default(), before, "t");
    assert_eq!(reason(&state), "NoMatchingParent");
}

/// Every pointer to a part of a value.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    for (name, inner) in value.as_object().into_iter().flatten() {
        pointers(inner, &format!("{at}/{name}"), all);
    }
    for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
        pointers(inner, &format!("{at}/{index}"), all);
    }
}

#[test]
fn an_object_with_any_part_of_the_wrong_type_is_refused_or_harmless() {
    let objects = [
        (
            "gateway.networking.k8s.io",
            "v1",
            "httproutes",
            json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {
            "hostnames": ["h"], "parentRefs": [{"group": "", "kind": "Service", "name": "s", "port": 80}, {"name": "g"}],
            "rules": [{"matches": [{"path": {"value": "/a"}, "headers": [{"name": "n", "value": "v"}], "method": "GET"}],
                "filters": [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}],
                "backendRefs": [{"name": "s", "port": 80, "weight": 1}], "timeouts": {"request": "1s"}}]}}),
        ),
        (
            "gateway.networking.k8s.io",
            "v1",
            "gateways",
            json!({"metadata": {"name": "g"}, "spec": {"gatewayClassName": "c",
            "listeners": [{"name": "l", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}]}}),
        ),
        (
            "apps",
            "v1",
            "deployments",
            json!({"metadata": {"name": "d"}, "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i",
                "ports": [{"containerPort": 80}], "env": [{"name": "E", "value": "v"}]}]}}}}),
        ),
        (
            "",
            "v1",
            "services",
            json!({"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}]}}),
        ),
        (
            "",
            "v1",
            "namespaces",
            json!({"metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"finalizers": ["k"]}}),
        ),
        (
            "",
            "v1",
            "pods",
            json!({"metadata": {"name": "p", "annotations": {"a": "b"}, "ownerReferences": [{"uid": "u"}]},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}),
        ),
    ];
    let now = jiff::Timestamp::UNIX_EPOCH;
    for (group, version, plural, object) in objects {
        let mut all = Vec::new();
        pointers(&object, "", &mut all);
        for pointer in all {
            for wrong in [
                json!("x"),
                json!(7),
                json!([1]),
                json!({"a": 1}),
                json!([]),
                json!(null),
                json!(true),
            ] {
                let mut broken = object.clone();
                *broken.pointer_mut(&pointer).unwrap() = wrong;
                let mut state = state();
                let root = if group.is_empty() {
                    "/api".to_owned()
                } else {
                    format!("/apis/{group}")
                };
                let scope = if plural == "namespaces" {
                    ""
                } else {
                    "namespaces/app/"
                };
                let path = format!("{root}/{version}/{scope}{plural}");
                let request = |method: &str, path: String| super::super::rest::Request {
                    method: method.to_owned(),
                    path,
                    body: broken.to_string().into_bytes(),
                    content_type: if method == "PATCH" {
                        "application/merge-patch+json"
                    } else {
                        "application/json"
                    }
                    .to_owned(),
                    accept: "application/json;as=Table".to_owned(),
                    ..Default::default()
                };
                // Whether it is refused does not matter here; that nothing panics does.
                let _ =
                    super::super::rest::handle(&mut state, &request("POST", path.clone()), &now);
                reconcile(&mut state, &Facts::default(), 0, "t");
                let _ = super::super::rest::handle(&mut state, &request("GET", path.clone()), &now);
                let name = object["metadata"]["name"].as_str().unwrap();
                let _ = super::super::rest::handle(
                    &mut state,
                    &request("PATCH", format!("{path}/{name}")),
                    &now,
                );
                reconcile(&mut state, &Facts::default(), 0, "t");
                let routes = attach_all(&state.store);
                let _ = crate::embedded::routing::compile(&state.store, &routes);
            }
        }
    }
}
