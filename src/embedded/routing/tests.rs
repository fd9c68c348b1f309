//! Objects in, decisions out: no sockets, no runtime.

use http::HeaderMap;
use serde_json::{Value, json};

use super::attach::{Attachment, Refused, attach_all};
use super::compile::PORTS_ANNOTATION;
use super::table::ObjectRef;
use super::*;
use crate::embedded::admission;
use crate::embedded::resource::Registry;
use crate::embedded::store::{Key, Store};

mod behaviours;

/// A store with a Gateway, and Services `a`, `b`, `c` whose pods listen at ports 1, 2, 3.
fn world() -> Store {
    let mut store = Store::new(1);
    let class = json!({"metadata": {"name": "ours"}, "spec": {"controllerName": "footlights.dev/gateway-controller"}});
    store.put(Key::new(attach::GATEWAY_CLASSES, "", "ours"), class, "t");
    put(
        &mut store,
        "Gateway",
        "infra",
        "gw",
        "t0",
        json!({"gatewayClassName": "ours", "listeners": [
        {"name": "any", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
        {"name": "x", "port": 80, "protocol": "HTTP", "hostname": "*.x.com",
         "allowedRoutes": {"namespaces": {"from": "All"}}}]}),
    );
    for (index, name) in ["a", "b", "c"].into_iter().enumerate() {
        put(
            &mut store,
            "Service",
            "app",
            name,
            "t0",
            json!({"selector": {"s": name}, "ports": [{"port": 80, "targetPort": "http"}]}),
        );
        let ports = format!("8000=127.0.0.1:{}", index + 1);
        let pod = json!({
            "metadata": {"name": name, "namespace": "app", "labels": {"s": name},
                         "annotations": {PORTS_ANNOTATION: ports}},
            "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8000}]}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        store.put(Key::new("pods", "app", name), pod, "t0");
    }
    store
}

fn put(store: &mut Store, kind: &str, namespace: &str, name: &str, created: &str, spec: Value) {
    let registry = Registry::with_gateway_api();
    let resource = registry.iter().find(|r| r.kind == kind).unwrap();
    let mut object = json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec});
    admission::default(resource, &mut object);
    store.put(
        Key::new(resource.id.clone(), namespace, name),
        object,
        created,
    );
}

/// An HTTPRoute in `app`, by its name and age: `r t1`.
fn http(store: &mut Store, named: &str, spec: Value) {
    let (name, created) = named.split_once(' ').unwrap();
    put(store, "HTTPRoute", "app", name, created, spec);
}

/// A GRPCRoute in `app`, by its name and age.
fn grpc(store: &mut Store, named: &str, spec: Value) {
    let (name, created) = named.split_once(' ').unwrap();
    put(store, "GRPCRoute", "app", name, created, spec);
}

fn to(service: &str) -> Value {
    json!([{"name": service, "port": 80}])
}

fn on_gateway(rules: Value) -> Value {
    json!({"parentRefs": [{"name": "gw", "namespace": "infra"}], "rules": rules})
}

fn on_service(service: &str, rules: Value) -> Value {
    json!({"parentRefs": [{"group": "", "kind": "Service", "name": service, "namespace": "app"}],
           "rules": rules})
}

/// The port of the pod that a request goes to, or the status that answers it.
fn ask(decision: Decision) -> u16 {
    match decision {
        Decision::Forward(forward) => forward.endpoints[forward.first].port(),
        Decision::Answer(refusal) => refusal.status,
        Decision::Redirect(status, _) => status,
    }
}

fn at_gateway(store: &Store, host: &str, path: &str) -> u16 {
    let headers = HeaderMap::new();
    let table = compile(store, &attach_all(store));
    let gateway = ObjectRef::new("infra", "gw");
    let mut dice = fastrand::Rng::with_seed(1);
    ask(table.at_gateway(&gateway, 80, &get(host, path, &headers), &mut dice))
}

fn in_mesh(store: &Store, client: &str, service: &str, path: &str, user: &str) -> u16 {
    ask(decided_in_mesh(store, client, service, path, user))
}

fn decided_in_mesh(store: &Store, client: &str, service: &str, path: &str, user: &str) -> Decision {
    let mut headers = HeaderMap::new();
    headers.insert("x-faces-user", user.parse().unwrap());
    let table = compile(store, &attach_all(store));
    let name = ObjectRef::new("app", service);
    let mut dice = fastrand::Rng::with_seed(1);
    table.in_mesh(client, &name, 80, &get(service, path, &headers), &mut dice)
}

fn get<'a>(host: &'a str, path: &'a str, headers: &'a HeaderMap) -> RequestHead<'a> {
    RequestHead {
        method: "GET",
        host,
        port: None,
        path,
        query: "",
        headers,
    }
}

#[test]
fn precedence_goes_by_path_then_age_then_name() {
    let mut store = world();
    let rule = |path: &str, service: &str| json!([{"matches": [{"path": {"value": path}}], "backendRefs": to(service)}]);
    http(&mut store, "z-old t1", on_gateway(rule("/p", "a")));
    http(&mut store, "m-new t2", on_gateway(rule("/p", "b")));
    assert_eq!(at_gateway(&store, "h", "/p"), 1, "the older route");
    http(&mut store, "long t3", on_gateway(rule("/p/q", "c")));
    assert_eq!(at_gateway(&store, "h", "/p/q/r"), 3, "the longer path");
    http(&mut store, "a-old t1", on_gateway(rule("/p", "b")));
    assert_eq!(
        at_gateway(&store, "h", "/p"),
        2,
        "of one age, the first by name"
    );
    assert_eq!(at_gateway(&store, "h", "/other"), 404);
}

#[test]
fn hostnames_choose_the_listener_and_the_route() {
    let mut store = world();
    let route = |hosts: Value, service: &str| {
        let mut spec = on_gateway(json!([{"backendRefs": to(service)}]));
        spec["hostnames"] = hosts;
        spec
    };
    http(&mut store, "wild t1", route(json!(["*.x.com"]), "a"));
    http(&mut store, "exact t2", route(json!(["h.x.com"]), "b"));
    http(&mut store, "any t0", route(json!([]), "c"));
    assert_eq!(
        at_gateway(&store, "h.x.com", "/"),
        2,
        "an exact name beats a wildcard"
    );
    assert_eq!(
        at_gateway(&store, "i.x.com", "/"),
        1,
        "a wildcard beats no name"
    );
    assert_eq!(at_gateway(&store, "y.com", "/"), 3);
}

#[test]
fn routes_attach_only_where_they_may() {
    let mut store = world();
    let mut gateway = Value::clone(
        store
            .get(&Key::new(attach::GATEWAYS, "infra", "gw"))
            .unwrap(),
    );
    for listener in gateway["spec"]["listeners"].as_array_mut().unwrap() {
        listener["allowedRoutes"]["namespaces"]["from"] = json!("Same");
    }
    store.put(Key::new(attach::GATEWAYS, "infra", "gw"), gateway, "t0");
    http(
        &mut store,
        "r t1",
        on_gateway(json!([{"backendRefs": to("a")}])),
    );
    assert_eq!(at_gateway(&store, "h", "/"), 404);
    for (change, wanted) in [
        (json!({}), Refused::Namespace("app".into())),
        (
            json!({"sectionName": "nope"}),
            Refused::NoSection("nope".into()),
        ),
        (json!({"port": 81}), Refused::NoPort(81)),
        (
            json!({"name": "nope"}),
            Refused::NoParent(ObjectRef::new("infra", "nope")),
        ),
    ] {
        let mut spec = on_gateway(json!([{"backendRefs": to("a")}]));
        for (key, value) in change.as_object().unwrap() {
            spec["parentRefs"][0][key] = value.clone();
        }
        http(&mut store, "r t1", spec);
        let attached = attach_all(&store);
        assert_eq!(
            attached[0].parents[0].attachment,
            Attachment::Refused(wanted)
        );
    }
}

#[test]
fn a_service_without_routes_balances_and_with_routes_answers_404_to_the_rest() {
    let mut store = world();
    assert_eq!(in_mesh(&store, "app", "a", "/edge", ""), 1);
    let rules = json!([
        {"matches": [{"path": {"value": "/edge"}}], "backendRefs": to("b")},
        {"matches": [{"headers": [{"name": "X-Faces-User", "value": "heart"}]}], "backendRefs": to("c")}]);
    http(&mut store, "r t1", on_service("a", rules));
    assert_eq!(
        in_mesh(&store, "app", "a", "/edge/x", "heart"),
        2,
        "a longer path beats a header"
    );
    assert_eq!(in_mesh(&store, "app", "a", "/center", "heart"), 3);
    assert_eq!(in_mesh(&store, "app", "a", "/center", "else"), 404);
    assert_eq!(
        in_mesh(&store, "app", "b", "/", ""),
        2,
        "routes of one Service do not touch another"
    );
}

#[test]
fn consumer_routes_replace_producer_routes_for_their_own_namespace() {
    let mut store = world();
    http(
        &mut store,
        "producer t1",
        on_service("a", json!([{"backendRefs": to("b")}])),
    );
    let consumer = json!([{"backendRefs": [{"name": "c", "namespace": "app", "port": 80}]}]);
    put(
        &mut store,
        "HTTPRoute",
        "client",
        "consumer",
        "t2",
        on_service("a", consumer),
    );
    assert_eq!(in_mesh(&store, "client", "a", "/", ""), 3);
    assert_eq!(in_mesh(&store, "other", "a", "/", ""), 2);
}

#[test]
fn weights_share_the_traffic_and_broken_backends_their_part_of_it() {
    let mut store = world();
    let backends = json!([{"name": "a", "port": 80, "weight": 1}, {"name": "b", "port": 80, "weight": 3},
                          {"name": "nope", "port": 80, "weight": 4}, {"name": "gone", "port": 80, "weight": 0}]);
    http(
        &mut store,
        "r t1",
        on_service("c", json!([{"backendRefs": backends}])),
    );
    let table = compile(&store, &attach_all(&store));
    let headers = HeaderMap::new();
    let head = RequestHead {
        method: "GET",
        host: "c",
        port: None,
        path: "/",
        query: "",
        headers: &headers,
    };
    let mut dice = fastrand::Rng::with_seed(9);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..8_000 {
        let decision = table.in_mesh("app", &ObjectRef::new("app", "c"), 80, &head, &mut dice);
        *counts.entry(ask(decision)).or_insert(0) += 1;
    }
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [1, 2, 500]);
    for (answer, expected) in [(1, 1_000_i32), (2, 3_000), (500, 4_000)] {
        assert!((counts[&answer] - expected).abs() < 200, "{counts:?}");
    }
}

#[test]
fn a_service_without_ready_pods_is_503() {
    let mut store = world();
    store.delete(&Key::new("pods", "app", "a"));
    assert_eq!(in_mesh(&store, "app", "a", "/", ""), 503);
    assert_eq!(in_mesh(&store, "app", "nope", "/", ""), 502);
}

#[test]
fn a_gateways_route_may_not_use_another_namespaces_services() {
    let mut store = world();
    let rules = json!([{"backendRefs": [{"name": "a", "namespace": "app", "port": 80}]}]);
    put(
        &mut store,
        "HTTPRoute",
        "other",
        "r",
        "t1",
        on_gateway(rules.clone()),
    );
    assert_eq!(at_gateway(&store, "h", "/"), 500);
    http(&mut store, "r t0", on_gateway(rules));
    assert_eq!(at_gateway(&store, "h", "/"), 1);
}

#[test]
fn a_reference_grant_lets_a_gateways_route_out_of_its_namespace() {
    let mut store = world();
    let rules = json!([{"backendRefs": [{"name": "a", "namespace": "app", "port": 80}]}]);
    put(
        &mut store,
        "HTTPRoute",
        "other",
        "r",
        "t1",
        on_gateway(rules),
    );
    let grant = |name: Value| {
        json!({"from": [{"group": attach::GROUP, "kind": "HTTPRoute", "namespace": "other"}],
               "to": [{"group": "", "kind": "Service", "name": name}]})
    };
    put(
        &mut store,
        "ReferenceGrant",
        "app",
        "g",
        "t1",
        grant(json!("b")),
    );
    assert_eq!(at_gateway(&store, "h", "/"), 500, "for another Service");
    put(
        &mut store,
        "ReferenceGrant",
        "app",
        "g",
        "t1",
        grant(Value::Null),
    );
    assert_eq!(at_gateway(&store, "h", "/"), 1);
    store.delete(&Key::new(grant::REFERENCE_GRANTS, "app", "g"));
    assert_eq!(at_gateway(&store, "h", "/"), 500, "revoked at once");
}

/// The workshop's "Conflict Resolution": GATEWAY.md 5.
#[test]
fn grpc_routes_go_by_service_then_method_then_headers_then_age() {
    let mut store = world();
    let rules =
        |matched: Value, service: &str| json!({"matches": matched, "backendRefs": to(service)});
    let call = |store: &Store, method: &str, user: &str| {
        in_mesh(store, "app", "a", &format!("/ColorService/{method}"), user)
    };
    let color = json!([{"method": {"service": "ColorService"}, "headers": [{"name": "x-faces-user", "value": "heart"}]}]);
    let edge = json!([{"method": {"service": "ColorService", "method": "Edge"}}]);
    let old = json!([{"backendRefs": to("a")}]);
    grpc(&mut store, "canary t1", on_service("a", old));
    grpc(
        &mut store,
        "edge t2",
        on_service("a", json!([rules(edge, "b"), {"backendRefs": to("c")}])),
    );
    assert_eq!(call(&store, "Edge", ""), 2);
    assert_eq!(call(&store, "Center", ""), 1, "of two catch-alls the older");
    grpc(
        &mut store,
        "a-b t0",
        on_service("a", json!([rules(color, "c")])),
    );
    assert_eq!(
        call(&store, "Edge", "heart"),
        2,
        "a method decides before age"
    );
    assert_eq!(call(&store, "Center", "heart"), 3);
    let regex =
        json!([{"method": {"type": "RegularExpression", "service": "Co.*", "method": "Ce.+"}}]);
    grpc(
        &mut store,
        "regex t0",
        on_service("b", json!([rules(regex, "c")])),
    );
    assert_eq!(in_mesh(&store, "app", "b", "/ColorService/Center", ""), 3);
    assert_eq!(in_mesh(&store, "app", "b", "/ColorService/Edge", ""), 404);
}
