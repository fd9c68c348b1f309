//! `status` of routes: for each parent of ours, whether it took the route and its backends, in the
//! words of who handles it (GATEWAY.md 10).

use serde_json::{Value, json};

use super::{Controlled, items, keep_transition_times};
use crate::embedded::rest::State;
use crate::embedded::routing::action::{Reading, Unresolved, resolve};
use crate::embedded::routing::attach::{AttachedRoute, Attachment, Parent, Refused};
use crate::embedded::routing::flavor::Flavor;

const CONTROLLERS: [Flavor; 4] = [
    Flavor::Spec,
    Flavor::Istio,
    Flavor::Linkerd,
    Flavor::EnvoyGateway,
];

/// Writes the status of every route.
pub fn reconcile(state: &mut State, routes: &[AttachedRoute], now: &str) {
    for route in routes {
        let old = &route.object["status"]["parents"];
        // Entries of controllers that are not played here are theirs.
        let mut parents: Vec<Value> = items(old)
            .filter(|p| {
                !CONTROLLERS
                    .iter()
                    .any(|f| p["controllerName"] == f.controller())
            })
            .cloned()
            .collect();
        let ours = route.parents.iter();
        parents.extend(ours.filter_map(|p| parent_status(state, route, p, now)));
        let unchanged = items(old).eq(&parents);
        if unchanged && (route.object["status"].is_object() || parents.is_empty()) {
            continue;
        }
        state.store.update(&route.key, now, |o| {
            o["status"] = json!({"parents": parents})
        });
    }
}

fn parent_status(
    state: &State,
    route: &AttachedRoute,
    parent: &Parent,
    now: &str,
) -> Option<Value> {
    let flavor = parent.flavor;
    let controlled = Controlled {
        generation: &route.object["metadata"]["generation"],
        flavor,
    };
    let accepted = match &parent.attachment {
        Attachment::Foreign => return None,
        Attachment::Refused(refused) => {
            let (reason, message) = refusal(refused, parent);
            controlled.condition("Accepted", false, reason, &message)
        }
        Attachment::Gateway(_, listeners) => {
            let message = match (flavor, listeners.len()) {
                (Flavor::Istio, n @ 2..) => format!("Route was valid, bound to {n} parents"),
                _ => accepted_message(flavor).to_owned(),
            };
            controlled.condition("Accepted", true, "Accepted", &message)
        }
        Attachment::Service(..) => {
            controlled.condition("Accepted", true, "Accepted", accepted_message(flavor))
        }
    };
    let resolved = match unresolved(state, route, parent) {
        None => {
            let message = match flavor {
                Flavor::Linkerd => "",
                Flavor::EnvoyGateway => "Resolved all the Object references for the Route",
                Flavor::Spec | Flavor::Istio => "All references resolved",
            };
            controlled.condition("ResolvedRefs", true, "ResolvedRefs", message)
        }
        Some((reason, message)) => controlled.condition("ResolvedRefs", false, reason, &message),
    };
    let reference = shown_reference(route, parent);
    let mut conditions = json!([accepted, resolved]);
    let old = items(&route.object["status"]["parents"])
        .find(|p| p["parentRef"] == reference && p["controllerName"] == flavor.controller())
        .map(|p| p["conditions"].clone())
        .unwrap_or_default();
    keep_transition_times(&old, &mut conditions, now);
    Some(
        json!({"parentRef": reference, "controllerName": flavor.controller(),
                "conditions": conditions}),
    )
}

/// Linkerd writes the reference anew; the others copy it.
fn shown_reference(route: &AttachedRoute, parent: &Parent) -> Value {
    let reference = &parent.reference;
    if parent.flavor != Flavor::Linkerd || reference["kind"] != "Service" {
        return reference.clone();
    }
    let namespace = reference["namespace"]
        .as_str()
        .unwrap_or(&route.key.namespace);
    let mut shown = json!({"group": "core", "kind": "Service", "namespace": namespace,
                           "name": reference["name"]});
    if !reference["port"].is_null() {
        shown["port"] = reference["port"].clone();
    }
    shown
}

fn accepted_message(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::Istio => "Route was valid",
        Flavor::Linkerd => "",
        Flavor::Spec | Flavor::EnvoyGateway => "Route is accepted",
    }
}

/// Reason and message of `Accepted=False`.
fn refusal(refused: &Refused, parent: &Parent) -> (&'static str, String) {
    let flavor = parent.flavor;
    let envoy = flavor == Flavor::EnvoyGateway;
    match refused {
        Refused::NoParent(_) if flavor == Flavor::Linkerd => ("NoMatchingParent", String::new()),
        Refused::NoParent(parent) => ("NoMatchingParent", format!("parent {parent} not found")),
        Refused::NoSection(_) | Refused::NoPort(_) if envoy => (
            "NoMatchingParent",
            "No listeners match this parent ref".to_owned(),
        ),
        Refused::NoSection(name) => (
            "NoMatchingParent",
            format!("sectionName \"{name}\" not found"),
        ),
        Refused::NoPort(port) => ("NoMatchingParent", format!("port {port} not found")),
        Refused::Headless => (
            "NoMatchingParent",
            "parent service must have a ClusterIP".to_owned(),
        ),
        Refused::Namespace(_) | Refused::Kind(_) if envoy => (
            "NotAllowedByListeners",
            "No listeners included by this parent ref allowed this attachment.".to_owned(),
        ),
        Refused::Namespace(namespace) => (
            "NotAllowedByListeners",
            format!("namespace \"{namespace}\" is not allowed by the parent"),
        ),
        Refused::Kind(kind) => (
            "NotAllowedByListeners",
            format!("kind {kind} is not allowed"),
        ),
        Refused::Hostname(_) if envoy => (
            "NoMatchingListenerHostname",
            "There were no hostname intersections between the HTTPRoute and this parent ref's \
             Listener(s)."
                .to_owned(),
        ),
        Refused::Hostname(hostname) => (
            "NoMatchingListenerHostname",
            format!("no hostnames matched parent hostname \"{hostname}\""),
        ),
        Refused::Conflict(_) if flavor == Flavor::Linkerd => {
            ("RouteReasonConflicted", String::new())
        }
        Refused::Conflict(winner) => (
            "Conflicted",
            format!("route {winner} of another kind has this parent"),
        ),
    }
}

/// Reason and message of the first reference of a route that does not resolve.
fn unresolved(
    state: &State,
    route: &AttachedRoute,
    parent: &Parent,
) -> Option<(&'static str, String)> {
    let mesh = parent.reference["kind"] == "Service";
    let reading = Reading {
        store: &state.store,
        flavor: parent.flavor,
        mesh,
    };
    let rules = || items(&route.object["spec"]["rules"]);
    let backends = || rules().flat_map(|r| items(&r["backendRefs"]));
    let filters = rules().flat_map(|r| items(&r["filters"]));
    let of_backends = backends().flat_map(|b| items(&b["filters"]));
    let mirrors = filters
        .chain(of_backends)
        .filter(|f| f["type"] == "RequestMirror")
        .map(|f| &f["requestMirror"]["backendRef"]);
    backends().chain(mirrors).find_map(|b| {
        let why = resolve(reading, route, b).err()?;
        explain(&why, b, route, parent.flavor)
    })
}

fn explain(
    why: &Unresolved,
    reference: &Value,
    route: &AttachedRoute,
    flavor: Flavor,
) -> Option<(&'static str, String)> {
    let own = &route.key.namespace;
    Some(match (why, flavor) {
        (Unresolved::Kind, _) => {
            let kind = reference["kind"].as_str().unwrap_or("");
            let group = reference["group"].as_str().unwrap_or("");
            (
                "InvalidKind",
                format!("referencing unsupported backendRef: group {group:?} kind {kind:?}"),
            )
        }
        (Unresolved::NotPermitted(to), Flavor::EnvoyGateway) => (
            "RefNotPermitted",
            format!("Backend ref to Service {to} not permitted by any ReferenceGrant."),
        ),
        (Unresolved::NotPermitted(to), _) => (
            "RefNotPermitted",
            format!(
                "backendRef {}/{} not accessible to a {} in namespace \"{own}\" (missing a ReferenceGrant?)",
                to.name,
                to.namespace,
                route.kind.name()
            ),
        ),
        (Unresolved::NotFound(_), Flavor::Linkerd) => ("BackendNotFound", String::new()),
        (Unresolved::NotFound(to), Flavor::EnvoyGateway) => {
            ("BackendNotFound", format!("Service {to} not found"))
        }
        (Unresolved::NotFound(to), _) => (
            "BackendNotFound",
            format!(
                "backend({}.{}.svc.cluster.local) not found",
                to.name, to.namespace
            ),
        ),
        // Istio and Linkerd do not look at ports.
        (Unresolved::NoPort(..), Flavor::Istio | Flavor::Linkerd) => return None,
        (Unresolved::NoPort(to, port), _) => (
            "BackendNotFound",
            format!("TCP Port {port} not found on service {to}"),
        ),
    })
}
