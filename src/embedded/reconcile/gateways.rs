//! `status` of GatewayClasses and Gateways: true once their listeners are really bound.

use serde_json::{Value, json};

use super::routes::CONTROLLER;
use super::{Facts, condition, keep_transition_times};
use crate::embedded::rest::State;
use crate::embedded::routing::attach::{self, Attachment, GATEWAY_CLASSES, GATEWAYS, HTTP_ROUTES};
use crate::embedded::routing::table::ObjectRef;
use crate::embedded::store::{Key, Object};

/// Writes the status of every GatewayClass and Gateway.
pub fn reconcile(state: &mut State, facts: &Facts, now: &str) {
    for (key, class) in all(state, GATEWAY_CLASSES) {
        if class["spec"]["controllerName"] != CONTROLLER {
            continue;
        }
        let generation = &class["metadata"]["generation"];
        let mut conditions = json!([condition(
            "Accepted",
            true,
            "Accepted",
            "Handled by the embedded cluster",
            generation
        )]);
        keep_transition_times(&class["status"]["conditions"], &mut conditions, now);
        state
            .store
            .update(&key, now, |o| o["status"]["conditions"] = conditions);
    }
    for (key, gateway) in all(state, GATEWAYS) {
        if attach::is_ours(&state.store, &gateway) {
            let status = status(state, facts, &key, &gateway, now);
            state.store.update(&key, now, |o| o["status"] = status);
        }
    }
}

fn all(state: &State, resource: &str) -> Vec<(Key, Object)> {
    state
        .store
        .list(resource, None)
        .map(|(k, o)| (k.clone(), o.clone()))
        .collect()
}

fn status(state: &State, facts: &Facts, key: &Key, gateway: &Value, now: &str) -> Value {
    let me = ObjectRef::new(&key.namespace, &key.name);
    let generation = &gateway["metadata"]["generation"];
    let old = &gateway["status"];
    let listeners = gateway["spec"]["listeners"]
        .as_array()
        .into_iter()
        .flatten();
    let mut address = None;
    let mut all_bound = true;
    let statuses: Vec<Value> = listeners
        .map(|listener| {
            let port = listener["port"].as_u64().unwrap_or(0) as u16;
            let bound = facts.bound.get(&(me.clone(), port));
            address = address.or(bound.map(|a| a.ip()));
            all_bound &= bound.is_some();
            listener_status(state, &me, listener, bound.is_some(), generation, old, now)
        })
        .collect();
    let programmed = match (all_bound, address) {
        (true, Some(_)) => condition(
            "Programmed",
            true,
            "Programmed",
            "Listeners are bound",
            generation,
        ),
        _ => condition(
            "Programmed",
            false,
            "AddressNotAssigned",
            "Listeners are not bound yet",
            generation,
        ),
    };
    let mut conditions = json!([
        condition(
            "Accepted",
            true,
            "Accepted",
            "Resource accepted",
            generation
        ),
        programmed
    ]);
    keep_transition_times(&old["conditions"], &mut conditions, now);
    let addresses: Vec<Value> = address
        .into_iter()
        .map(|ip| json!({"type": "IPAddress", "value": ip.to_string()}))
        .collect();
    json!({"addresses": addresses, "conditions": conditions, "listeners": statuses})
}

fn listener_status(
    state: &State,
    gateway: &ObjectRef,
    listener: &Value,
    bound: bool,
    generation: &Value,
    old: &Value,
    now: &str,
) -> Value {
    let name = listener["name"].as_str().unwrap_or("");
    let attached = state
        .store
        .list(HTTP_ROUTES, None)
        .filter(|(_, route)| {
            let parents = route["spec"]["parentRefs"].as_array().into_iter().flatten();
            parents.into_iter().any(|parent| {
                matches!(attach::attach(&state.store, route, parent),
                    Attachment::Gateway(to, listeners)
                        if to == *gateway && listeners.iter().any(|l| l == name))
            })
        })
        .count();
    let mut conditions = json!([
        condition(
            "Accepted",
            true,
            "Accepted",
            "Listener accepted",
            generation
        ),
        condition(
            "Conflicted",
            false,
            "NoConflicts",
            "No errors found",
            generation
        ),
        condition(
            "Programmed",
            bound,
            if bound { "Programmed" } else { "Pending" },
            if bound {
                "No errors found"
            } else {
                "The port is not bound yet"
            },
            generation
        ),
        condition(
            "ResolvedRefs",
            true,
            "ResolvedRefs",
            "No errors found",
            generation
        ),
    ]);
    let before = old["listeners"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|l| l["name"] == listener["name"])
        .map(|l| l["conditions"].clone())
        .unwrap_or_default();
    keep_transition_times(&before, &mut conditions, now);
    json!({
        "name": name, "attachedRoutes": attached, "conditions": conditions,
        "supportedKinds": [{"group": attach::GROUP, "kind": "HTTPRoute"}],
    })
}
