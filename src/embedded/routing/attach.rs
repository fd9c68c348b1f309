//! Which parents a route attaches to: the same answer for the route table and for `status`.

use serde_json::Value;

use super::hostname;
use super::table::ObjectRef;
use crate::embedded::store::{Key, Store};

/// The Gateway API's group.
pub const GROUP: &str = "gateway.networking.k8s.io";
/// The store's name of Gateways.
pub const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";
/// The store's name of HTTPRoutes.
pub const HTTP_ROUTES: &str = "httproutes.gateway.networking.k8s.io";
/// The store's name of GatewayClasses.
pub const GATEWAY_CLASSES: &str = "gatewayclasses.gateway.networking.k8s.io";

/// What became of one `parentRefs[]` entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Attachment {
    /// To these listeners of a Gateway, by name.
    Gateway(ObjectRef, Vec<String>),
    /// To these ports of a Service.
    Service(ObjectRef, Vec<u16>),
    /// Refused: reason and message of the `Accepted` condition.
    Refused(&'static str, String),
    /// A parent that is not ours: no status is written.
    Foreign,
}

/// Attaches one parent reference of a route.
pub fn attach(store: &Store, route: &Value, parent: &Value) -> Attachment {
    let route_namespace = route["metadata"]["namespace"].as_str().unwrap_or("");
    let namespace = parent["namespace"].as_str().unwrap_or(route_namespace);
    let reference = ObjectRef::new(namespace, parent["name"].as_str().unwrap_or(""));
    match (parent["group"].as_str(), parent["kind"].as_str()) {
        (Some(GROUP), Some("Gateway")) => to_gateway(store, route, parent, reference),
        // Linkerd's documents write "core" for the core group.
        (Some("" | "core"), Some("Service")) => to_service(store, parent, reference),
        _ => Attachment::Foreign,
    }
}

/// True if a Gateway's class is one of ours.
pub fn is_ours(store: &Store, gateway: &Value) -> bool {
    let class = gateway["spec"]["gatewayClassName"].as_str().unwrap_or("");
    store.get(&Key::new(GATEWAY_CLASSES, "", class)).is_some()
}

fn to_gateway(store: &Store, route: &Value, parent: &Value, gateway: ObjectRef) -> Attachment {
    let key = Key::new(GATEWAYS, &gateway.namespace, &gateway.name);
    let Some(object) = store.get(&key) else {
        let message = format!("Gateway {}/{} not found", gateway.namespace, gateway.name);
        return Attachment::Refused("NoMatchingParent", message);
    };
    if !is_ours(store, object) {
        return Attachment::Foreign;
    }
    let listeners: Vec<&Value> = object["spec"]["listeners"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|l| parent["sectionName"].is_null() || parent["sectionName"] == l["name"])
        .filter(|l| parent["port"].is_null() || parent["port"] == l["port"])
        .collect();
    if listeners.is_empty() {
        let message = "no listener has this sectionName or port".to_owned();
        return Attachment::Refused("NoMatchingParent", message);
    }
    let route_namespace = route["metadata"]["namespace"].as_str().unwrap_or("");
    let allowed: Vec<&Value> = listeners
        .into_iter()
        .filter(|l| allows(store, l, &gateway.namespace, route_namespace))
        .collect();
    if allowed.is_empty() {
        let message = format!("namespace \"{route_namespace}\" is not allowed by the parent");
        return Attachment::Refused("NotAllowedByListeners", message);
    }
    let names: Vec<String> = allowed
        .into_iter()
        .filter(|l| hostnames_meet(l, route))
        .filter_map(|l| l["name"].as_str().map(str::to_owned))
        .collect();
    if names.is_empty() {
        let message = "no hostname of the route matches a listener's hostname".to_owned();
        return Attachment::Refused("NoMatchingListenerHostname", message);
    }
    Attachment::Gateway(gateway, names)
}

fn allows(store: &Store, listener: &Value, gateway_namespace: &str, namespace: &str) -> bool {
    let rule = &listener["allowedRoutes"]["namespaces"];
    match rule["from"].as_str() {
        Some("All") => true,
        Some("Selector") => {
            let labels = store
                .get(&Key::new("namespaces", "", namespace))
                .map(|n| n["metadata"]["labels"].clone())
                .unwrap_or_default();
            rule["selector"]["matchLabels"]
                .as_object()
                .is_some_and(|wanted| wanted.iter().all(|(k, v)| labels[k] == *v))
        }
        _ => gateway_namespace == namespace,
    }
}

fn hostnames_meet(listener: &Value, route: &Value) -> bool {
    let Some(hostname) = listener["hostname"].as_str() else {
        return true;
    };
    match route["spec"]["hostnames"].as_array() {
        Some(names) if !names.is_empty() => names
            .iter()
            .filter_map(Value::as_str)
            .any(|name| hostname::intersect(name, hostname)),
        _ => true,
    }
}

fn to_service(store: &Store, parent: &Value, service: ObjectRef) -> Attachment {
    let key = Key::new("services", &service.namespace, &service.name);
    let Some(object) = store.get(&key) else {
        let message = format!("Service {}/{} not found", service.namespace, service.name);
        return Attachment::Refused("NoMatchingParent", message);
    };
    let ports: Vec<u16> = object["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|p| parent["port"].is_null() || parent["port"] == p["port"])
        .filter(|p| parent["sectionName"].is_null() || parent["sectionName"] == p["name"])
        .filter_map(|p| p["port"].as_u64().and_then(|p| u16::try_from(p).ok()))
        .collect();
    if ports.is_empty() {
        let message = format!("Service {} has no such port", service.name);
        return Attachment::Refused("NoMatchingParent", message);
    }
    Attachment::Service(service, ports)
}
