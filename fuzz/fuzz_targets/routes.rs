//! The route compiler on objects that no admission has seen, the controllers' statuses of them, and
//! a request put to the table that comes out.

#![no_main]

mod json;
mod server;

use footlights::embedded::routing::attach::attach_all;
use footlights::embedded::routing::compile::compile;
use footlights::embedded::routing::decision::RequestHead;
use footlights::embedded::routing::table::ObjectRef;
use footlights::embedded::store::Key;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use serde_json::json;
use server::Server;

const WORDS: &[&str] = &[
    "parentRefs", "group", "gateway.networking.k8s.io", "", "core", "kind", "Gateway", "Service",
    "name", "a", "b", "namespace", "n", "sectionName", "port", "hostnames", "*.example.org",
    "a.example.org", "*", "rules", "matches", "path", "type", "Exact", "PathPrefix",
    "RegularExpression", "value", "/", "/a", "/a/", "/(a|b)+", "(", "headers", "queryParams",
    "method", "GET", "service", "backendRefs", "weight", "filters", "RequestHeaderModifier",
    "requestHeaderModifier", "ResponseHeaderModifier", "responseHeaderModifier", "set", "add",
    "remove", "URLRewrite", "urlRewrite", "hostname", "ReplaceFullPath", "replaceFullPath",
    "ReplacePrefixMatch", "replacePrefixMatch", "RequestRedirect", "requestRedirect", "scheme",
    "https", "statusCode", "RequestMirror", "requestMirror", "backendRef", "percent", "fraction",
    "numerator", "denominator", "timeouts", "request", "backendRequest", "10ms", "0s", "1h", "retry",
    "codes", "attempts", "backoff", "listeners", "protocol", "HTTP", "HTTPS", "TLS", "allowedRoutes",
    "namespaces", "from", "All", "Same", "Selector", "selector", "matchLabels", "kinds", "tls",
    "certificateRefs", "gatewayClassName", "istio", "ports", "targetPort", "appProtocol",
    "kubernetes.io/h2c", "clusterIP", "None", "to",
];

const KINDS: [&str; 7] = [
    "httproutes.gateway.networking.k8s.io",
    "grpcroutes.gateway.networking.k8s.io",
    "httproutes.policy.linkerd.io",
    "gateways.gateway.networking.k8s.io",
    "gatewayclasses.gateway.networking.k8s.io",
    "referencegrants.gateway.networking.k8s.io",
    "services",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Bytes that run out end the case.
    let _ = case(&mut Unstructured::new(bytes));
});

fn case(bytes: &mut Unstructured<'_>) -> Result<()> {
    let mut objects = vec![
        (KINDS[4], "", "footlights", json!({"controllerName": "footlights.dev/gateway-controller"})),
        (KINDS[3], "n", "a", json!({"gatewayClassName": "footlights", "listeners": [
            {"name": "a", "port": 80, "protocol": "HTTP"},
            {"name": "b", "port": 80, "protocol": "HTTP", "hostname": "*.example.org"}]})),
        (KINDS[6], "n", "a", json!({"clusterIP": "10.43.0.1", "selector": {"a": "b"},
            "ports": [{"name": "a", "port": 80, "targetPort": 8000}]})),
    ];
    for name in ["a", "b", "c"] {
        let kind = *bytes.choose(&KINDS)?;
        let mut spec = json::object(bytes, WORDS, 7)?;
        if kind == KINDS[0] || kind == KINDS[1] {
            // One parent that is there, so that the rest is looked at.
            if bytes.arbitrary()? {
                spec["parentRefs"] = json!([
                    {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "a"},
                    {"group": "", "kind": "Service", "name": "a", "port": 80}]);
            }
            if bytes.arbitrary()? {
                let rule = json::object(bytes, &WORDS[20..], 6)?;
                spec["rules"] = json!([rule, json::object(bytes, &WORDS[20..], 6)?]);
            }
        }
        objects.push((kind, "n", name, spec));
    }
    let mut server = Server::new();
    for (kind, namespace, name, spec) in objects {
        let object = json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec});
        server.put(Key::new(kind, namespace, name), object);
    }
    let mut headers = http::HeaderMap::new();
    headers.insert("a", http::HeaderValue::from_static("b"));
    let path = format!("/{}", bytes.arbitrary::<&str>()?);
    let head = RequestHead {
        method: "GET",
        host: bytes.choose(&["a.example.org", "b", ""])?,
        port: None,
        path: &path,
        query: "a=b&a",
        headers: &headers,
    };
    let name = ObjectRef::new("n", "a");
    let mut dice = fastrand::Rng::with_seed(bytes.arbitrary()?);
    let store = &server.0.store;
    let table = compile(store, &attach_all(store));
    table.at_gateway(&name, 80, &head, &mut dice);
    table.in_mesh("n", &name, 80, &head, &mut dice);
    table.in_mesh("other", &name, 80, &head, &mut dice);
    Ok(())
}
