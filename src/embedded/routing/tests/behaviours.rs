//! Where implementations differ, what is answered without a backend, and shares over many requests.

use std::time::Duration;

use super::*;

#[test]
fn one_kind_of_route_has_a_parent_unless_it_is_istios() {
    let mut store = world();
    let rules = |service: &str| json!([{"backendRefs": to(service)}]);
    http(&mut store, "http t1", on_service("a", rules("b")));
    grpc(&mut store, "grpc t2", on_service("a", rules("c")));
    assert_eq!(
        in_mesh(&store, "app", "a", "/", ""),
        3,
        "GRPCRoute before HTTPRoute on a Service"
    );
    let conflict = |store: &Store, name: &str| {
        attach_all(store).iter().any(|r| {
            r.key.name == name
                && matches!(
                    r.parents[0].attachment,
                    Attachment::Refused(Refused::Conflict(_))
                )
        })
    };
    assert!(conflict(&store, "http"));
    http(&mut store, "old t1", on_gateway(rules("a")));
    grpc(&mut store, "new t2", on_gateway(rules("b")));
    assert!(conflict(&store, "new") && !conflict(&store, "old"));
    // With hostnames that do not meet both stand.
    let mut apart = on_gateway(rules("b"));
    apart["hostnames"] = json!(["grpc.y.com"]);
    let mut named = on_gateway(rules("a"));
    named["hostnames"] = json!(["http.y.com"]);
    http(&mut store, "old t1", named);
    grpc(&mut store, "new t2", apart);
    assert!(!conflict(&store, "new") && !conflict(&store, "old"));
    install_mesh(&mut store, "istio-system", "istiod", json!({}));
    assert!(!conflict(&store, "http"));
}

fn install_mesh(store: &mut Store, namespace: &str, deployment: &str, annotations: Value) {
    store.put(
        Key::new("deployments.apps", namespace, deployment),
        json!({"metadata": {"name": deployment}}),
        "t",
    );
    let app = json!({"metadata": {"name": "app", "labels": {"istio-injection": "enabled"}, "annotations": annotations}});
    store.put(Key::new("namespaces", "", "app"), app, "t");
}

#[test]
fn linkerd_and_istio_differ_where_the_workshop_shows_it() {
    let mut store = world();
    install_mesh(
        &mut store,
        "linkerd",
        "linkerd-destination",
        json!({"linkerd.io/inject": "enabled"}),
    );
    let mut route = on_service("a", json!([{"backendRefs": to("b")}]));
    http(&mut store, "r t1", route.clone());
    assert_eq!(in_mesh(&store, "app", "a", "/", ""), 2);
    assert_eq!(
        in_mesh(&store, "elsewhere", "a", "/", ""),
        1,
        "who is not meshed gets the plain Service"
    );
    route["parentRefs"][0]["group"] = json!("core");
    http(&mut store, "r t1", route.clone());
    assert_eq!(in_mesh(&store, "app", "a", "/", ""), 2, "group core counts");
    // A rule without backends forwards to the parent; a single backend counts even with weight 0.
    http(&mut store, "r t1", on_service("a", json!([{}])));
    assert_eq!(in_mesh(&store, "app", "a", "/", ""), 1);
    let zero = json!([{"backendRefs": [{"name": "b", "port": 80, "weight": 0}]}]);
    http(&mut store, "r t1", on_service("a", zero.clone()));
    assert_eq!(in_mesh(&store, "app", "a", "/", ""), 2);
    store.delete(&Key::new("pods", "app", "b"));
    assert_eq!(in_mesh(&store, "app", "a", "/", ""), 504, "no endpoints");
    store.delete(&Key::new(
        "deployments.apps",
        "linkerd",
        "linkerd-destination",
    ));
    install_mesh(&mut store, "istio-system", "istiod", json!({}));
    assert_eq!(in_mesh(&store, "app", "a", "/", ""), 500, "weights of zero");
    http(&mut store, "r t1", route);
    assert_eq!(
        in_mesh(&store, "app", "a", "/", ""),
        1,
        "group core is none of Istio's"
    );
}

#[test]
fn linkerds_timeouts_stand_in_annotations_of_routes_and_services() {
    let mut store = world();
    let inject = json!({"linkerd.io/inject": "enabled"});
    install_mesh(&mut store, "linkerd", "linkerd-destination", inject);
    let timeouts = |store: &Store| match decided_in_mesh(store, "app", "a", "/", "") {
        Decision::Forward(f) => (f.timeout, f.try_timeout),
        other => panic!("{other:?}"),
    };
    let milliseconds = |n| Some(Duration::from_millis(n));
    let key = Key::new("services", "app", "a");
    store.update(&key, "t", |o| {
        o["metadata"]["annotations"] =
            json!({"timeout.linkerd.io/request": "2s", "timeout.linkerd.io/response": "300ms"});
    });
    assert_eq!(timeouts(&store), (milliseconds(2_000), milliseconds(300)));
    // A route's own count in place of the Service's.
    let rules = json!([{"backendRefs": to("a")}]);
    http(&mut store, "r t1", on_service("a", rules));
    assert_eq!(timeouts(&store), (None, None));
    let key = Key::new(attach::HTTP_ROUTES, "app", "r");
    store.update(&key, "t", |o| {
        o["metadata"]["annotations"] = json!({"timeout.linkerd.io/request": "1d"});
    });
    assert_eq!(timeouts(&store), (milliseconds(86_400_000), None));
}

#[test]
fn consumer_routes_are_their_namespaces_and_in_linkerds_mesh_compete_with_the_producers() {
    let mut store = world();
    let rule = |path: &str, service: &str| {
        json!([{"matches": [{"path": {"value": path}}],
                "backendRefs": [{"name": service, "namespace": "app", "port": 80}]}])
    };
    let producer = on_service("a", rule("/long/path", "b"));
    http(&mut store, "producer t1", producer);
    let consumer = on_service("a", rule("/", "c"));
    put(
        &mut store,
        "HTTPRoute",
        "elsewhere",
        "consumer",
        "t2",
        consumer,
    );
    let asked = |store: &Store, client| in_mesh(store, client, "a", "/long/path", "");
    assert_eq!(asked(&store, "app"), 2);
    assert_eq!(asked(&store, "elsewhere"), 3, "the consumer's alone");
    assert_eq!(asked(&store, "third"), 2, "of no concern to others");
    let inject = json!({"linkerd.io/inject": "enabled"});
    install_mesh(&mut store, "linkerd", "linkerd-destination", inject);
    let marked =
        json!({"metadata": {"name": "elsewhere", "annotations": {"linkerd.io/inject": "enabled"}}});
    store.put(Key::new("namespaces", "", "elsewhere"), marked, "t");
    assert_eq!(asked(&store, "elsewhere"), 2, "the longer path wins");
    assert_eq!(in_mesh(&store, "elsewhere", "a", "/", ""), 3);
}

#[test]
fn a_tls_connection_stays_with_the_listener_of_its_server_name() {
    let mut store = world();
    let named = json!({"gatewayClassName": "ours", "listeners": [
        {"name": "all", "port": 443, "protocol": "HTTPS"},
        {"name": "second", "port": 443, "protocol": "HTTPS", "hostname": "second.org"}]});
    put(&mut store, "Gateway", "app", "tls", "t0", named);
    let route = |section: Value, hostnames: Value, service: &str| {
        json!({"parentRefs": [{"name": "tls", "sectionName": section}], "hostnames": hostnames,
               "rules": [{"backendRefs": to(service)}]})
    };
    let one = route(Value::Null, json!(["first.org"]), "a");
    http(&mut store, "one t1", one);
    let two = route(json!("second"), Value::Null, "b");
    http(&mut store, "two t1", two);
    let table = compile(&store, &attach_all(&store));
    let gateway = ObjectRef::new("app", "tls");
    for (server_name, host, wanted) in [
        ("first.org", "first.org", 1),
        ("second.org", "second.org", 2),
        ("unknown.org", "second.org", 404),
        ("first.org", "second.org", 404),
        ("second.org", "first.org", 404),
        ("", "first.org", 1),
    ] {
        let listener = table.listener(&gateway, 443, server_name);
        let headers = HeaderMap::new();
        let head = get(host, "/", &headers);
        let decision = table.at_listener(listener, &head, &mut fastrand::Rng::with_seed(1));
        assert_eq!(ask(decision), wanted, "{server_name} {host}");
    }
}

#[test]
fn redirects_keep_what_they_do_not_change() {
    let mut store = world();
    let cases = [
        (json!({"hostname": "new.com"}), "http://new.com/p/q?a=1"),
        (json!({"scheme": "https"}), "https://h/p/q?a=1"),
        (json!({"port": 8080}), "http://h:8080/p/q?a=1"),
        (json!({"scheme": "https", "port": 443}), "https://h/p/q?a=1"),
        (
            json!({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}}),
            "http://h/x/q?a=1",
        ),
        (
            json!({"path": {"type": "ReplaceFullPath", "replaceFullPath": "/x"}, "statusCode": 301}),
            "http://h/x?a=1",
        ),
    ];
    for (redirect, location) in cases {
        let rules = json!([{"matches": [{"path": {"type": "PathPrefix", "value": "/p"}}],
            "filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}]);
        http(&mut store, "r t1", on_gateway(rules));
        let headers = HeaderMap::new();
        let head = RequestHead {
            method: "GET",
            host: "h",
            port: None,
            path: "/p/q",
            query: "a=1",
            headers: &headers,
        };
        let gateway = ObjectRef::new("infra", "gw");
        let decision = compile(&store, &attach_all(&store)).at_gateway(
            &gateway,
            80,
            &head,
            &mut fastrand::Rng::with_seed(1),
        );
        let status = if redirect["statusCode"] == 301 {
            301
        } else {
            302
        };
        assert_eq!(
            decision,
            Decision::Redirect(status, location.to_owned()),
            "{redirect}"
        );
        // Who came by another port than the listener's goes back to it.
        if redirect == json!({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}}) {
            let head = RequestHead {
                port: Some(4321),
                ..head
            };
            let decision = compile(&store, &attach_all(&store)).at_gateway(
                &gateway,
                80,
                &head,
                &mut fastrand::Rng::with_seed(1),
            );
            assert_eq!(
                decision,
                Decision::Redirect(302, "http://h:4321/x/q?a=1".to_owned())
            );
        }
    }
}

/// A hundred thousand requests: chi-square with three degrees of freedom stays below the value that
/// one run in 10,000 exceeds (21.1).
#[test]
fn shares_pass_a_chi_square_test() {
    let mut store = world();
    let weights = [50, 30, 15, 5];
    let names = ["a", "b", "c", "nope"];
    let backends: Vec<Value> = names
        .iter()
        .zip(weights)
        .map(|(n, w)| json!({"name": n, "port": 80, "weight": w}))
        .collect();
    http(
        &mut store,
        "r t1",
        on_gateway(json!([{"backendRefs": backends}])),
    );
    let table = compile(&store, &attach_all(&store));
    let headers = HeaderMap::new();
    let head = RequestHead {
        method: "GET",
        host: "h",
        port: None,
        path: "/",
        query: "",
        headers: &headers,
    };
    let mut dice = fastrand::Rng::with_seed(4);
    let mut counts = [0_f64; 4];
    for _ in 0..100_000 {
        let answer = ask(table.at_gateway(&ObjectRef::new("infra", "gw"), 80, &head, &mut dice));
        counts[match answer {
            1 => 0,
            2 => 1,
            3 => 2,
            500 => 3,
            other => panic!("{other}"),
        }] += 1.0;
    }
    let chi: f64 = counts
        .iter()
        .zip(weights)
        .map(|(seen, w)| {
            let expected = f64::from(w) * 1_000.0;
            (seen - expected).powi(2) / expected
        })
        .sum();
    assert!(chi < 21.1, "{chi} {counts:?}");
}
