//! From objects to the route table.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;

use super::attach::{self, Attachment, GATEWAYS, HTTP_ROUTES};
use super::duration;
use super::matching::{Match, PathMatch};
use super::rewrite::PathModifier;
use super::table::{
    Action, HeaderEdits, Listener, ObjectRef, Redirect, RouteTable, Rule, Service, WeightedBackend,
};
use crate::embedded::store::Store;

/// The pod annotation that says where a running pod's container ports listen: `8000=127.0.0.1:4567`.
pub const PORTS_ANNOTATION: &str = "footlights.dev/ports";

/// Compiles all routes, Services and pods of a store.
pub fn compile(store: &Store) -> RouteTable {
    let mut table = RouteTable {
        listeners: listeners(store),
        services: services(store),
    };
    for route in by_age(store) {
        add_route(&mut table, store, route);
    }
    for listener in &mut table.listeners {
        listener.rules.sort_by_key(|r| r.matched.rank());
    }
    for service in table.services.values_mut() {
        for rules in service.rules.values_mut() {
            rules.sort_by_key(|r| r.matched.rank());
        }
    }
    table
}

/// Routes, oldest first, then by namespace and name: the order that breaks ties of precedence.
fn by_age(store: &Store) -> Vec<&Value> {
    let mut routes: Vec<&Value> = store.list(HTTP_ROUTES, None).map(|(_, o)| &**o).collect();
    // The sort is stable and the store lists by namespace and name.
    routes.sort_by_key(|r| r["metadata"]["creationTimestamp"].as_str().unwrap_or(""));
    routes
}

fn listeners(store: &Store) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for (key, gateway) in store.list(GATEWAYS, None) {
        if !attach::is_ours(store, gateway) {
            continue;
        }
        for listener in array(&gateway["spec"]["listeners"]) {
            listeners.push(Listener {
                gateway: ObjectRef::new(&key.namespace, &key.name),
                name: listener["name"].as_str().unwrap_or("").to_owned(),
                port: port(&listener["port"]).unwrap_or(80),
                hostname: listener["hostname"].as_str().map(str::to_owned),
                rules: Vec::new(),
            });
        }
    }
    listeners
}

fn services(store: &Store) -> BTreeMap<ObjectRef, Service> {
    let mut services = BTreeMap::new();
    for (key, object) in store.list("services", None) {
        let mut service = Service::default();
        let pods: Vec<&Value> =
            pods_of(store, &key.namespace, &object["spec"]["selector"]).collect();
        for entry in array(&object["spec"]["ports"]) {
            let Some(number) = port(&entry["port"]) else {
                continue;
            };
            let addresses = addresses(&pods, entry);
            service.endpoints.insert(number, addresses);
            let protocol = entry["appProtocol"].as_str().unwrap_or("");
            let name = entry["name"].as_str().unwrap_or("");
            if protocol.ends_with("h2c") || ["http2", "grpc"].iter().any(|p| name.starts_with(p)) {
                service.http2_ports.push(number);
            }
        }
        services.insert(ObjectRef::new(&key.namespace, &key.name), service);
    }
    services
}

/// Where the ready pods of a Service listen for one of its ports.
pub fn endpoints(store: &Store, service: &Value, port: &Value) -> Vec<SocketAddr> {
    let namespace = service["metadata"]["namespace"].as_str().unwrap_or("");
    let pods: Vec<&Value> = pods_of(store, namespace, &service["spec"]["selector"]).collect();
    addresses(&pods, port)
}

fn addresses(pods: &[&Value], port: &Value) -> Vec<SocketAddr> {
    let each = pods.iter();
    each.filter_map(|pod| address(pod, &port["targetPort"]))
        .collect()
}

/// The ready pods that a Service selects.
pub fn pods_of<'a>(
    store: &'a Store,
    namespace: &'a str,
    selector: &'a Value,
) -> impl Iterator<Item = &'a Value> {
    let selector = selector.as_object().filter(|s| !s.is_empty());
    store
        .list("pods", Some(namespace))
        .map(|(_, pod)| &**pod)
        .filter(move |pod| {
            selector.is_some_and(|s| s.iter().all(|(k, v)| pod["metadata"]["labels"][k] == *v))
        })
        .filter(|pod| is_ready(pod))
}

/// True if a pod is ready and not on its way out.
pub fn is_ready(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && array(&pod["status"]["conditions"])
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Where a pod listens for a Service's `targetPort`, a number or the name of a container port.
pub fn address(pod: &Value, target: &Value) -> Option<SocketAddr> {
    let container_port = match target.as_str() {
        Some(name) => array(&pod["spec"]["containers"])
            .flat_map(|c| array(&c["ports"]))
            .find(|p| p["name"] == name)
            .and_then(|p| port(&p["containerPort"]))?,
        None => port(target)?,
    };
    let bound = pod["metadata"]["annotations"][PORTS_ANNOTATION].as_str()?;
    bound
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .find(|(number, _)| number.parse() == Ok(container_port))
        .and_then(|(_, address)| address.parse().ok())
}

/// Which namespaces' Services a route's backends may be in: its own for a Gateway's, any for a mesh's
/// (GEP-1294).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    OwnNamespace,
    Anywhere,
}

fn add_route(table: &mut RouteTable, store: &Store, route: &Value) {
    for parent in array(&route["spec"]["parentRefs"]) {
        match attach::attach(store, route, parent) {
            Attachment::Gateway(gateway, names) => {
                // Without a ReferenceGrant a Gateway's route may not use another namespace's Services.
                let rules = rules(table, route, Reach::OwnNamespace);
                for listener in &mut table.listeners {
                    if listener.gateway == gateway && names.contains(&listener.name) {
                        listener.rules.extend(rules.iter().cloned());
                    }
                }
            }
            Attachment::Service(service, ports) => {
                let rules = rules(table, route, Reach::Anywhere);
                let namespace = route["metadata"]["namespace"].as_str().unwrap_or("");
                let consumer = (namespace != service.namespace).then(|| namespace.to_owned());
                if let Some(entry) = table.services.get_mut(&service) {
                    for port in ports {
                        let of_port = entry.rules.entry((consumer.clone(), port)).or_default();
                        of_port.extend(rules.iter().cloned());
                    }
                }
            }
            Attachment::Refused(..) | Attachment::Foreign => {}
        }
    }
}

fn rules(table: &RouteTable, route: &Value, reach: Reach) -> Vec<Rule> {
    let namespace = route["metadata"]["namespace"].as_str().unwrap_or("");
    let name = route["metadata"]["name"].as_str().unwrap_or("");
    let hostnames: Vec<String> = array(&route["spec"]["hostnames"])
        .filter_map(|h| h.as_str().map(str::to_owned))
        .collect();
    let mut rules = Vec::new();
    for rule in array(&route["spec"]["rules"]) {
        let action = Arc::new(action(table, namespace, rule, reach));
        let matches: Vec<Match> = array(&rule["matches"]).map(matched).collect();
        for matched in matches {
            rules.push(Rule {
                route: ObjectRef::new(namespace, name),
                hostnames: hostnames.clone(),
                matched,
                action: action.clone(),
            });
        }
    }
    rules
}

fn matched(object: &Value) -> Match {
    let pairs = |field: &str| -> Vec<(String, String)> {
        array(&object[field])
            .map(|e| (text(&e["name"]), text(&e["value"])))
            .collect()
    };
    let path = &object["path"];
    let value = text(&path["value"]);
    let headers = pairs("headers");
    // Of two entries that differ in case only the first counts.
    let mut first_of_each: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if !first_of_each.iter().any(|(n, _)| *n == name) {
            first_of_each.push((name, value));
        }
    }
    let regular_expressions = ["headers", "queryParams"]
        .iter()
        .flat_map(|field| array(&object[*field]))
        .any(|e| e["type"] == "RegularExpression");
    Match {
        path: match path["type"].as_str() {
            _ if regular_expressions => PathMatch::Unsupported,
            Some("Exact") => PathMatch::Exact(value),
            Some("RegularExpression") => PathMatch::Unsupported,
            _ => PathMatch::Prefix(value.trim_end_matches('/').to_owned()),
        },
        method: object["method"].as_str().map(str::to_owned),
        headers: first_of_each,
        query: pairs("queryParams"),
    }
}

fn action(table: &RouteTable, namespace: &str, rule: &Value, reach: Reach) -> Action {
    let mut action = Action {
        request_timeout: rule["timeouts"]["request"]
            .as_str()
            .and_then(duration::parse),
        backend_timeout: rule["timeouts"]["backendRequest"]
            .as_str()
            .and_then(duration::parse),
        ..Action::default()
    };
    let prefix = text(&rule["matches"][0]["path"]["value"]);
    for filter in array(&rule["filters"]) {
        match filter["type"].as_str() {
            Some("RequestHeaderModifier") => {
                action.request_headers = header_edits(&filter["requestHeaderModifier"]);
            }
            Some("ResponseHeaderModifier") => {
                action.response_headers = header_edits(&filter["responseHeaderModifier"]);
            }
            Some("URLRewrite") => {
                let rewrite = &filter["urlRewrite"];
                action.rewrite_host = rewrite["hostname"].as_str().map(str::to_owned);
                action.rewrite_path = path_modifier(&rewrite["path"], &prefix);
            }
            Some("RequestRedirect") => {
                let redirect = &filter["requestRedirect"];
                action.redirect = Some(Redirect {
                    scheme: redirect["scheme"].as_str().map(str::to_owned),
                    hostname: redirect["hostname"].as_str().map(str::to_owned),
                    port: port(&redirect["port"]),
                    path: path_modifier(&redirect["path"], &prefix),
                    status: port(&redirect["statusCode"]).unwrap_or(302),
                });
            }
            _ => action.unsupported_filter = true,
        }
    }
    action.backends = array(&rule["backendRefs"])
        .map(|b| WeightedBackend {
            weight: b["weight"].as_u64().unwrap_or(1).min(1_000_000) as u32,
            service: backend(table, namespace, b)
                .filter(|(service, _)| reach == Reach::Anywhere || service.namespace == namespace),
        })
        .collect();
    action
}

/// The Service and port of a backend reference, if there is such a Service.
pub fn backend(table: &RouteTable, namespace: &str, reference: &Value) -> Option<(ObjectRef, u16)> {
    if reference["group"] != "" || reference["kind"] != "Service" {
        return None;
    }
    let namespace = reference["namespace"].as_str().unwrap_or(namespace);
    let service = ObjectRef::new(namespace, reference["name"].as_str().unwrap_or(""));
    let port = port(&reference["port"])?;
    let known = table.services.get(&service)?.endpoints.contains_key(&port);
    known.then_some((service, port))
}

fn header_edits(modifier: &Value) -> HeaderEdits {
    let pairs = |field: &str| {
        array(&modifier[field])
            .map(|e| (text(&e["name"]), text(&e["value"])))
            .collect()
    };
    HeaderEdits {
        set: pairs("set"),
        add: pairs("add"),
        remove: array(&modifier["remove"]).map(text).collect(),
    }
}

fn path_modifier(path: &Value, prefix: &str) -> Option<PathModifier> {
    match path["type"].as_str()? {
        "ReplaceFullPath" => Some(PathModifier::ReplaceFullPath(text(
            &path["replaceFullPath"],
        ))),
        "ReplacePrefixMatch" => Some(PathModifier::ReplacePrefixMatch {
            prefix: prefix.to_owned(),
            replacement: text(&path["replacePrefixMatch"]),
        }),
        _ => None,
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|p| u16::try_from(p).ok())
}
