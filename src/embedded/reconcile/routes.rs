//! `status` of HTTPRoutes: for each parent of ours, whether it took the route and its backends.

use serde_json::{Value, json};

use super::{condition, keep_transition_times};
use crate::embedded::rest::State;
use crate::embedded::routing::attach::{self, Attachment, HTTP_ROUTES};
use crate::embedded::routing::compile;
use crate::embedded::routing::table::{ObjectRef, RouteTable};
use crate::embedded::store::Key;

/// The controller name that the embedded cluster writes into routes and GatewayClasses.
pub const CONTROLLER: &str = "footlights.dev/gateway-controller";

/// Writes the status of every route.
pub fn reconcile(state: &mut State, now: &str) {
    let table = compile::compile(&state.store);
    let routes: Vec<(Key, _)> = state
        .store
        .list(HTTP_ROUTES, None)
        .map(|(k, o)| (k.clone(), o.clone()))
        .collect();
    for (key, route) in routes {
        let parents: Vec<Value> = route["spec"]["parentRefs"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|parent| parent_status(state, &table, &route, parent, now))
            .collect();
        state
            .store
            .update(&key, now, |o| o["status"] = json!({"parents": parents}));
    }
}

fn parent_status(
    state: &State,
    table: &RouteTable,
    route: &Value,
    parent: &Value,
    now: &str,
) -> Option<Value> {
    let generation = &route["metadata"]["generation"];
    let accepted = match attach::attach(&state.store, route, parent) {
        Attachment::Foreign => return None,
        Attachment::Refused(reason, message) => {
            condition("Accepted", false, reason, &message, generation)
        }
        Attachment::Gateway(..) | Attachment::Service(..) => condition(
            "Accepted",
            true,
            "Accepted",
            "Route is accepted",
            generation,
        ),
    };
    let resolved = match unresolved(table, route, parent) {
        None => condition(
            "ResolvedRefs",
            true,
            "ResolvedRefs",
            "All references resolved",
            generation,
        ),
        Some((reason, message)) => condition("ResolvedRefs", false, reason, &message, generation),
    };
    let mut conditions = json!([accepted, resolved]);
    let old = route["status"]["parents"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|p| p["parentRef"] == *parent)
        .map(|p| p["conditions"].clone())
        .unwrap_or_default();
    keep_transition_times(&old, &mut conditions, now);
    Some(json!({"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions}))
}

fn unresolved(table: &RouteTable, route: &Value, parent: &Value) -> Option<(&'static str, String)> {
    let namespace = route["metadata"]["namespace"].as_str().unwrap_or("");
    let rules = route["spec"]["rules"].as_array().into_iter().flatten();
    for backend in rules.flat_map(|r| r["backendRefs"].as_array().into_iter().flatten()) {
        if backend["group"] != "" || backend["kind"] != "Service" {
            let kind = backend["kind"].as_str().unwrap_or("");
            return Some((
                "InvalidKind",
                format!("backend kind {kind} is not supported"),
            ));
        }
        let elsewhere = backend["namespace"]
            .as_str()
            .is_some_and(|n| n != namespace);
        if elsewhere && parent["kind"] == "Gateway" {
            let message = format!(
                "backend {} is in another namespace and there is no ReferenceGrant",
                backend["name"].as_str().unwrap_or("")
            );
            return Some(("RefNotPermitted", message));
        }
        if compile::backend(table, namespace, backend).is_none() {
            let name = backend["name"].as_str().unwrap_or("");
            let namespace = backend["namespace"].as_str().unwrap_or(namespace);
            let service = ObjectRef::new(namespace, name);
            let exists = table.services.contains_key(&service);
            let message = if exists {
                format!("Service {namespace}/{name} has no port {}", backend["port"])
            } else {
                format!("Service {namespace}/{name} not found")
            };
            return Some(("BackendNotFound", message));
        }
    }
    None
}
