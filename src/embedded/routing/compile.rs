//! From objects to the compiled route table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::action::{Reading, annotated_timeouts, rules};
use super::attach::{self, AttachedRoute, Attachment, GATEWAYS, effective_hostnames};
use super::flavor::{Flavor, Members};
use super::grant::{self, Party};
use super::index::RuleSet;
use super::table::{
    Action, Certificate, Listener, ListenerProtocol, ObjectRef, RouteTable, Rule, Service,
};
use super::{items, port};
use crate::embedded::store::{Key, Store};

/// The pod annotation in which the kubelet says where container ports are bound on loopback.
pub const PORTS_ANNOTATION: &str = "footlights.dev/ports";

/// Compiles the table of a cluster's state, whose routes have these parents.
pub fn compile(store: &Store, routes: &[AttachedRoute]) -> RouteTable {
    let mesh = Flavor::of_mesh(store);
    let mut table = RouteTable {
        listeners: listeners(store),
        services: services(store, mesh),
        mesh,
        members: Members::of(store, mesh),
    };
    let mut of_listeners: Vec<Vec<Rule>> = vec![Vec::new(); table.listeners.len()];
    let mut of_ports: BTreeMap<PortKey, Vec<Rule>> = BTreeMap::new();
    // In Linkerd's mesh producer routes compete with a namespace's consumer routes.
    let competing = match mesh {
        Flavor::Linkerd => consumers(routes),
        _ => BTreeSet::new(),
    };
    for route in routes {
        add_to_listeners(store, &table, route, &mut of_listeners);
        add_to_ports(store, route, &competing, &mut of_ports);
    }
    for (listener, rules) in table.listeners.iter_mut().zip(of_listeners) {
        listener.rules = RuleSet::new(rules);
    }
    for ((service, consumer, port), rules) in of_ports {
        if let Some(entry) = table.services.get_mut(&service) {
            entry.rules.insert((consumer, port), RuleSet::new(rules));
        }
    }
    table
}

/// A Service's port, for one namespace's consumers or (none) for all.
type PortKey = (ObjectRef, Option<String>, u16);

fn add_to_listeners(
    store: &Store,
    table: &RouteTable,
    route: &AttachedRoute,
    of_listeners: &mut [Vec<Rule>],
) {
    for parent in &route.parents {
        let Attachment::Gateway(gateway, names) = &parent.attachment else {
            continue;
        };
        let reading = Reading {
            store,
            flavor: parent.flavor,
            mesh: false,
        };
        for (listener, into) in table.listeners.iter().zip(&mut *of_listeners) {
            if listener.gateway == *gateway && names.contains(&listener.name) {
                // A route that names no host ranks behind those that do.
                let mut hostnames = Vec::new();
                if items(&route.object["spec"]["hostnames"]).next().is_some() {
                    let spec = serde_json::json!({"hostname": listener.hostname});
                    hostnames = effective_hostnames(&spec, &route.object);
                }
                into.extend(rules(reading, route, &hostnames));
            }
        }
    }
}

/// Mesh routes' hostnames are ignored.
fn add_to_ports(
    store: &Store,
    route: &AttachedRoute,
    competing: &BTreeSet<PortKey>,
    of_ports: &mut BTreeMap<PortKey, Vec<Rule>>,
) {
    for parent in &route.parents {
        let Attachment::Service(service, ports) = &parent.attachment else {
            continue;
        };
        let reading = Reading {
            store,
            flavor: parent.flavor,
            mesh: true,
        };
        let rules = rules(reading, route, &[]);
        // Linkerd takes no notice of routes with filters that it does not have.
        let foreign = |r: &Rule| {
            let filters = &r.action.filters;
            filters.unsupported || filters.path.is_some() || !filters.mirrors.is_empty()
        };
        if parent.flavor == Flavor::Linkerd && rules.iter().any(foreign) {
            continue;
        }
        let own = &route.key.namespace;
        let consumer = (*own != service.namespace).then(|| own.clone());
        for port in ports {
            let mut keys = vec![(service.clone(), consumer.clone(), *port)];
            if consumer.is_none() {
                let same = competing.iter().filter(|k| k.0 == *service && k.2 == *port);
                keys.extend(same.cloned());
            }
            for key in keys {
                of_ports
                    .entry(key)
                    .or_default()
                    .extend(rules.iter().cloned());
            }
        }
    }
}

/// The ports that some namespace has routes of its own for.
fn consumers(routes: &[AttachedRoute]) -> BTreeSet<PortKey> {
    let mut keys = BTreeSet::new();
    for route in routes {
        for parent in &route.parents {
            if let Attachment::Service(service, ports) = &parent.attachment
                && route.key.namespace != service.namespace
            {
                let own = Some(route.key.namespace.clone());
                keys.extend(ports.iter().map(|p| (service.clone(), own.clone(), *p)));
            }
        }
    }
    keys
}

fn listeners(store: &Store) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for (key, gateway) in store.list(GATEWAYS, None) {
        let Some(flavor) = Flavor::of_gateway(store, gateway) else {
            continue;
        };
        for listener in items(&gateway["spec"]["listeners"]) {
            if attach::protocol_conflict(gateway, listener) {
                continue;
            }
            let protocol = match listener["protocol"].as_str() {
                Some("HTTP") => ListenerProtocol::Http,
                Some("HTTPS") => {
                    let certificate = certificate(store, &key.namespace, listener);
                    ListenerProtocol::Https(certificate.ok().map(Arc::new))
                }
                _ => continue,
            };
            let hostname = listener["hostname"].as_str().filter(|h| !h.is_empty());
            listeners.push(Listener {
                gateway: ObjectRef::new(&key.namespace, &key.name),
                flavor,
                name: listener["name"].as_str().unwrap_or("").to_owned(),
                port: port(&listener["port"]).unwrap_or(80),
                hostname: hostname.map(str::to_owned),
                protocol,
                rules: RuleSet::default(),
            });
        }
    }
    listeners
}

/// What is wrong with a listener's `certificateRefs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadCertificate {
    /// Not a Secret with a certificate and its key.
    Invalid(String),
    /// In another namespace without a ReferenceGrant.
    NotPermitted(String),
}

/// The certificate of an HTTPS listener of a Gateway in a namespace.
pub fn certificate(
    store: &Store,
    namespace: &str,
    listener: &Value,
) -> Result<Certificate, BadCertificate> {
    let reference = &listener["tls"]["certificateRefs"][0];
    let name = reference["name"].as_str().unwrap_or("");
    let group = reference["group"].as_str().unwrap_or("");
    let kind = reference["kind"].as_str().unwrap_or("Secret");
    let within = reference["namespace"].as_str().unwrap_or(namespace);
    let shown = format!("{within}/{name}");
    if !group.is_empty() || kind != "Secret" {
        let why = format!("{kind} {shown} is no Secret");
        return Err(BadCertificate::Invalid(why));
    }
    let from = Party {
        group: attach::GROUP,
        kind: "Gateway",
        namespace,
    };
    let to = Party {
        group: "",
        kind: "Secret",
        namespace: within,
    };
    if !grant::allows(store, from, to, name) {
        return Err(BadCertificate::NotPermitted(shown));
    }
    let Some(secret) = store.get(&Key::new("secrets", within, name)) else {
        return Err(BadCertificate::Invalid(format!("Secret {shown} not found")));
    };
    let part = |field: &str| {
        let encoded = secret["data"][field].as_str()?;
        STANDARD
            .decode(encoded)
            .ok()
            .filter(|bytes| bytes.starts_with(b"-----BEGIN "))
    };
    match (part("tls.crt"), part("tls.key")) {
        (Some(chain), Some(key)) => Ok(Certificate { chain, key }),
        _ => Err(BadCertificate::Invalid(format!(
            "Secret {shown} has no PEM in tls.crt and tls.key"
        ))),
    }
}

fn services(store: &Store, mesh: Flavor) -> BTreeMap<ObjectRef, Service> {
    let mut services = BTreeMap::new();
    for (key, object) in store.list("services", None) {
        let mut service = Service::default();
        if mesh == Flavor::Linkerd {
            let (request_timeout, backend_timeout) = annotated_timeouts(object);
            service.action = Arc::new(Action {
                request_timeout,
                backend_timeout,
                ..Action::default()
            });
        }
        let pods: Vec<&Value> =
            pods_of(store, &key.namespace, &object["spec"]["selector"]).collect();
        for entry in items(&object["spec"]["ports"]) {
            let Some(number) = port(&entry["port"]) else {
                continue;
            };
            let addresses = addresses(&pods, entry);
            service.endpoints.insert(number, addresses.into());
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
        && items(&pod["status"]["conditions"])
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Where a pod listens for a Service's `targetPort`, a number or the name of a container port.
pub fn address(pod: &Value, target: &Value) -> Option<SocketAddr> {
    let container_port = match target.as_str() {
        Some(name) => items(&pod["spec"]["containers"])
            .flat_map(|c| items(&c["ports"]))
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
