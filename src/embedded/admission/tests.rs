//! Tests of `admission`.

use serde_json::{Value, json};

use super::*;
use crate::embedded::resource::Registry;

fn admit(kind: &str, mut object: Value) -> Result<Value, ApiError> {
    let registry = Registry::with_gateway_api();
    let resource = registry.iter().find(|r| r.kind == kind).unwrap();
    let version = resource.versions[0].name.clone();
    decode(resource, &version, &mut object, FieldValidation::Strict)?;
    super::admit(resource, &mut object, None)?;
    Ok(object)
}

fn http_route(spec: Value) -> Value {
    json!({"metadata": {"name": "r"}, "spec": spec})
}

#[test]
fn a_route_is_defaulted_as_the_crd_does() {
    let route = admit(
        "HTTPRoute",
        http_route(json!({
            "parentRefs": [{"name": "ingress"}],
            "rules": [{"matches": [{"headers": [{"name": "a", "value": "b"}]}],
                       "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 1}, "fraction": {"numerator": 1}}}],
                       "backendRefs": [{"name": "s", "port": 80}]}]})),
    )
    .unwrap();
    let rule = &route["spec"]["rules"][0];
    assert_eq!(
        rule["matches"][0]["path"],
        json!({"type": "PathPrefix", "value": "/"})
    );
    assert_eq!(rule["matches"][0]["headers"][0]["type"], "Exact");
    assert_eq!(
        rule["backendRefs"][0],
        json!({"group": "", "kind": "Service", "name": "s", "port": 80, "weight": 1})
    );
    assert_eq!(
        rule["filters"][0]["requestMirror"]["fraction"]["denominator"],
        100
    );
    assert_eq!(route["spec"]["parentRefs"][0]["kind"], "Gateway");
    let bare = admit("HTTPRoute", http_route(json!({}))).unwrap();
    assert_eq!(bare["spec"]["rules"][0]["matches"][0]["path"]["value"], "/");
    // GRPCRoute has no default for rules or matches.
    let grpc = admit(
        "GRPCRoute",
        http_route(json!({"rules": [{"backendRefs": [{"name": "s", "port": 80}]}]})),
    )
    .unwrap();
    assert_eq!(grpc["spec"]["rules"][0]["matches"], Value::Null);
    let gateway = admit(
        "Gateway",
        json!({"metadata": {"name": "g"}, "spec": {"gatewayClassName": "c",
        "listeners": [{"name": "l", "port": 80, "protocol": "HTTP"}]}}),
    )
    .unwrap();
    assert_eq!(
        gateway["spec"]["listeners"][0]["allowedRoutes"],
        json!({"namespaces": {"from": "Same"}})
    );
}

/// GATEWAY.md, section 3: each rule, and the words that a user reads.
#[test]
fn what_a_real_server_refuses_is_refused_in_its_words() {
    let rule = |rule: Value| http_route(json!({"rules": [rule]}));
    let path = |path: Value| rule(json!({"matches": [{"path": path}]}));
    let filters = |filters: Value| rule(json!({"filters": filters}));
    let same_parent = |a: Value, b: Value| {
        let mut parents = [a, b];
        for parent in &mut parents {
            parent["name"] = json!("p");
        }
        http_route(json!({"parentRefs": parents}))
    };
    let rewrite = json!({"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}});
    let edits =
        json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}});
    for (route, message) in [
        (
            rule(json!({"backendRefs": [{"name": "s"}]})),
            "spec.rules[0].backendRefs[0]: Invalid value: \"object\": Must have port for Service reference",
        ),
        (
            rule(json!({"backendRefs": [{"name": "s", "port": 1, "weight": -1}]})),
            "spec.rules[0].backendRefs[0].weight: Invalid value: -1: spec.rules[0].backendRefs[0].weight in body should be greater than or equal to 0",
        ),
        (
            path(json!({"value": "x"})),
            "spec.rules[0].matches[0].path: Invalid value: \"object\": value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']",
        ),
        (
            path(json!({"value": "/a//b"})),
            "must not contain '//' when type one of ['Exact', 'PathPrefix']",
        ),
        (
            path(json!({"value": "/a/.."})),
            "must not end with '/..' when type one of ['Exact', 'PathPrefix']",
        ),
        (
            path(json!({"value": "/a b"})),
            "must only contain valid characters (matching ^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$) for types ['Exact', 'PathPrefix']",
        ),
        (
            path(json!({"type": "FooBar", "value": "/"})),
            "spec.rules[0].matches[0].path.type: Unsupported value: \"FooBar\": supported values: \"Exact\", \"PathPrefix\", \"RegularExpression\"",
        ),
        (
            rule(json!({"timeouts": {"request": "1.5s"}})),
            "spec.rules[0].timeouts.request in body should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'",
        ),
        (
            rule(json!({"timeouts": {"request": "1s", "backendRequest": "2s"}})),
            "spec.rules[0].timeouts: Invalid value: \"object\": backendRequest timeout cannot be longer than request timeout",
        ),
        (
            filters(json!([{"type": "URLRewrite"}])),
            "filter.urlRewrite must be specified for URLRewrite filter.type",
        ),
        (
            filters(json!([{"type": "URLRewrite", "urlRewrite": {}, "requestRedirect": {}}])),
            "filter.requestRedirect must be nil if the filter.type is not RequestRedirect",
        ),
        (
            filters(json!([edits, edits])),
            "RequestHeaderModifier filter cannot be repeated",
        ),
        (
            filters(
                json!([{"type": "URLRewrite", "urlRewrite": {}}, {"type": "RequestRedirect", "requestRedirect": {}}]),
            ),
            "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both",
        ),
        (
            rule(
                json!({"filters": [{"type": "RequestRedirect", "requestRedirect": {}}], "backendRefs": [{"name": "s", "port": 1}]}),
            ),
            "RequestRedirect filter must not be used together with backendRefs",
        ),
        (
            rule(json!({"matches": [{}, {}], "filters": [rewrite]})),
            "When using URLRewrite filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified",
        ),
        (
            filters(
                json!([{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath"}}}]),
            ),
            "replaceFullPath must be specified when type is set to 'ReplaceFullPath'",
        ),
        (
            same_parent(json!({}), json!({"port": 80})),
            "sectionName or port must be specified when parentRefs includes 2 or more references to the same parent",
        ),
        (
            same_parent(json!({"port": 80}), json!({"port": 80})),
            "spec.parentRefs: Invalid value: \"array\": sectionName or port must be unique when parentRefs includes 2 or more references to the same parent",
        ),
        (
            rule(
                json!({"matches": [{"headers": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}]}),
            ),
            "spec.rules[0].matches[0].headers[1]: Duplicate value: {\"name\":\"a\"}",
        ),
        (
            http_route(json!({"hostnames": ["A.example"]})),
            "spec.hostnames[0] in body should match",
        ),
        (
            http_route(json!({"hostnames": (0..17).map(|i| format!("h{i}")).collect::<Vec<_>>()})),
            "spec.hostnames: Too many: 17: must have at most 16 items",
        ),
        (
            json!({"metadata": {"name": "Bad_Name"}, "spec": {}}),
            "metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist",
        ),
        (
            rule(json!({"matches": ["/smiley"]})),
            "spec.rules[0].matches[0] in body must be of type object: \"string\"",
        ),
    ] {
        let error = admit("HTTPRoute", route.clone()).unwrap_err();
        assert_eq!(error.code, 422, "{route}");
        assert!(
            error.message.contains(message),
            "wanted: {message}\nsaid:   {}",
            error.message
        );
        assert!(
            error
                .message
                .starts_with("HTTPRoute.gateway.networking.k8s.io "),
            "{}",
            error.message
        );
    }
}

#[test]
fn gateways_and_grpc_routes_have_rules_too() {
    let gateway = |listeners: Value| json!({"metadata": {"name": "g"}, "spec": {"gatewayClassName": "c", "listeners": listeners}});
    let listener = |name: &str, port: u16, protocol: &str| json!({"name": name, "port": port, "protocol": protocol});
    let tls = json!({"name": "a", "port": 80, "protocol": "HTTP", "tls": {"certificateRefs": [{"name": "s"}]}});
    for (listeners, message) in [
        (
            json!([]),
            "spec.listeners in body should have at least 1 items",
        ),
        (
            json!([listener("a", 80, "HTTP"), listener("b", 80, "HTTP")]),
            "Combination of port, protocol and hostname must be unique for each listener",
        ),
        (
            json!([listener("a", 80, "HTTP"), listener("a", 81, "HTTP")]),
            "spec.listeners[1]: Duplicate value: {\"name\":\"a\"}",
        ),
        (
            json!([tls]),
            "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
        ),
        (
            json!([{"name": "a", "port": 443, "protocol": "HTTPS", "tls": {"mode": "Passthrough"}}]),
            "tls mode must be Terminate for protocol HTTPS",
        ),
        (
            json!([{"name": "a", "port": 443, "protocol": "HTTPS", "tls": {}}]),
            "certificateRefs or options must be specified when mode is Terminate",
        ),
        (
            json!([listener("a", 0, "HTTP")]),
            "should be greater than or equal to 1",
        ),
    ] {
        let error = admit("Gateway", gateway(listeners)).unwrap_err();
        assert!(error.message.contains(message), "{}", error.message);
    }
    let grpc = |method: Value| http_route(json!({"rules": [{"matches": [{"method": method}]}]}));
    for (method, message) in [
        (
            json!({}),
            "One or both of 'service' or 'method' must be specified",
        ),
        (
            json!({"service": "a/b"}),
            "service must only contain valid characters",
        ),
        (
            json!({"method": "1x"}),
            "method must only contain valid characters",
        ),
    ] {
        let error = admit("GRPCRoute", grpc(method)).unwrap_err();
        assert!(error.message.contains(message), "{}", error.message);
    }
    admit(
        "GRPCRoute",
        grpc(json!({"service": "ColorService", "method": "Edge"})),
    )
    .unwrap();
}

#[test]
fn unknown_fields_and_wrong_types_are_told_as_go_tells_them() {
    let error = admit(
        "HTTPRoute",
        http_route(json!({"rule": [], "rules": [{"nam": "x"}]})),
    )
    .unwrap_err();
    assert_eq!(error.code, 400);
    assert_eq!(
        error.message,
        "HTTPRoute in version \"v1\" cannot be handled as a HTTPRoute: strict decoding error: \
        unknown field \"spec.rule\", unknown field \"spec.rules[0].nam\""
    );
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"replicas": "two"}});
    let error = admit("Deployment", deployment).unwrap_err();
    assert_eq!(
        error.message,
        "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal \
        string into Go struct field Deployment.spec.replicas of type int32"
    );
}

#[test]
fn kubernetes_own_kinds_get_their_defaults_and_rules() {
    let deployment = |spec: Value| json!({"metadata": {"name": "d"}, "spec": spec});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1", "ports": [{"containerPort": 80}]}]}});
    let made = admit(
        "Deployment",
        deployment(json!({"selector": {"matchLabels": {"a": "b"}}, "template": template})),
    )
    .unwrap();
    assert_eq!(made["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    let container = &made["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        (
            &container["imagePullPolicy"],
            &container["ports"][0]["protocol"]
        ),
        (&json!("IfNotPresent"), &json!("TCP"))
    );
    for (spec, message) in [
        (
            json!({"template": template}),
            "spec.selector: Required value",
        ),
        (
            json!({"selector": {"matchLabels": {"a": "c"}}, "template": template}),
            "`selector` does not match template `labels`",
        ),
        (
            json!({"selector": {"matchLabels": {"a": "b"}}, "template": template, "replicas": -1}),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
    ] {
        let error = admit("Deployment", deployment(spec)).unwrap_err();
        assert!(error.message.contains(message), "{}", error.message);
    }
    let secret = admit(
        "Secret",
        json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}}),
    )
    .unwrap();
    assert_eq!(
        (&secret["data"], &secret["stringData"]),
        (&json!({"k": "dg=="}), &Value::Null)
    );
    let label = json!({"metadata": {"name": "s", "labels": {"a": "b c"}}});
    assert!(
        admit("ConfigMap", label)
            .unwrap_err()
            .message
            .contains("metadata.labels: Invalid value: \"b c\": a valid label must be")
    );
    let long = json!({"metadata": {"name": "s", "annotations": {"a": "x".repeat(300_000)}}});
    assert!(
        admit("ConfigMap", long)
            .unwrap_err()
            .message
            .contains("metadata.annotations: Too long: may not be more than 262144 bytes")
    );
}
