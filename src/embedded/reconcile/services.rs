//! Services: cluster IPs, node ports, and the Endpoints and EndpointSlices of their ready pods.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{all, items};
use crate::embedded::rest::State;
use crate::embedded::routing::compile::pods_of;
use crate::embedded::store::Key;

const SLICES: &str = "endpointslices.discovery.k8s.io";

/// Completes Services and writes their endpoints.
pub fn reconcile(state: &mut State, now: &str) {
    let services = all(state, "services");
    for (key, service) in &services {
        allocate(state, key, service, now);
    }
    for (key, service) in &services {
        write_endpoints(state, key, service, now);
    }
    let slices = state.store.list(SLICES, None);
    let stale: Vec<Key> = slices
        .filter(|(_, o)| {
            o["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == MANAGER
        })
        .filter(|(key, _)| {
            !services
                .iter()
                .any(|(s, o)| s.namespace == key.namespace && s.name == key.name && selects(o))
        })
        .map(|(k, _)| k.clone())
        .collect();
    for key in stale {
        state.store.delete(&key);
        state
            .store
            .delete(&Key::new("endpoints", &key.namespace, &key.name));
    }
}

const MANAGER: &str = "endpointslice-controller.k8s.io";

/// Gives a Service a cluster IP, which is shown and never routed (the mesh goes by name), and a
/// node port where its type has one.
fn allocate(state: &mut State, key: &Key, service: &Value, now: &str) {
    let spec = &service["spec"];
    let kind = spec["type"].as_str().unwrap_or("");
    let needs_ip = spec["clusterIP"].is_null() && kind != "ExternalName";
    let ports = || items(&spec["ports"]);
    let needs_ports =
        ["LoadBalancer", "NodePort"].contains(&kind) && ports().any(|p| p["nodePort"].is_null());
    if !needs_ip && !needs_ports {
        return;
    }
    let taken = Taken::of(state);
    state.store.update(key, now, |o| {
        if needs_ip && let Some(ip) = taken.free_ip() {
            o["spec"]["clusterIP"] = json!(ip);
            o["spec"]["clusterIPs"] = json!([ip]);
        }
        if needs_ports && let Some(ports) = o["spec"]["ports"].as_array_mut() {
            let mut free = NODE_PORTS.filter(|n| !taken.node_ports.contains(n));
            for port in ports.iter_mut().filter(|p| p["nodePort"].is_null()) {
                port["nodePort"] = json!(free.next());
            }
        }
    });
}

const NODE_PORTS: std::ops::Range<u64> = 30_000..32_768;

/// What Services have already.
struct Taken {
    ips: BTreeSet<String>,
    node_ports: BTreeSet<u64>,
}

impl Taken {
    fn of(state: &State) -> Self {
        let services = || state.store.list("services", None).map(|(_, o)| &o["spec"]);
        let ips = services().filter_map(|s| s["clusterIP"].as_str());
        let ports = services().flat_map(|s| items(&s["ports"]));
        Taken {
            ips: ips.map(str::to_owned).collect(),
            node_ports: ports.filter_map(|p| p["nodePort"].as_u64()).collect(),
        }
    }

    /// The first address of 10.43.0.0/16 that nobody has.
    fn free_ip(&self) -> Option<String> {
        let mut all = (1..u16::MAX).map(|n| format!("10.43.{}.{}", n >> 8, n & 0xff));
        all.find(|ip| !self.ips.contains(ip))
    }
}

/// True if a Service has pods of its own; the others' endpoints are their owners' to write.
fn selects(service: &Value) -> bool {
    let selector = service["spec"]["selector"].as_object();
    selector.is_some_and(|s| !s.is_empty())
}

fn write_endpoints(state: &mut State, key: &Key, service: &Value, now: &str) {
    if !selects(service) {
        return;
    }
    let ports: Vec<Value> = items(&service["spec"]["ports"])
        .map(|p| {
            let mut port =
                json!({"port": target_port(state, key, service, p), "protocol": p["protocol"]});
            port["name"] = json!(p["name"].as_str().unwrap_or(""));
            if p["appProtocol"].is_string() {
                port["appProtocol"] = p["appProtocol"].clone();
            }
            port
        })
        .filter(|p| p["port"].is_u64())
        .collect();
    let pods = pods_of(&state.store, &key.namespace, &service["spec"]["selector"]);
    let (mut endpoints, mut addresses) = (Vec::new(), Vec::new());
    for pod in pods {
        let name = &pod["metadata"]["name"];
        let target = json!({"kind": "Pod", "name": name, "namespace": key.namespace,
                            "uid": pod["metadata"]["uid"]});
        let ip = &pod["status"]["podIP"];
        endpoints.push(
            json!({"addresses": [ip], "nodeName": "footlights", "targetRef": target,
            "conditions": {"ready": true, "serving": true, "terminating": false}}),
        );
        addresses.push(json!({"ip": ip, "nodeName": "footlights", "targetRef": target}));
    }
    let owner = json!([{"apiVersion": "v1", "kind": "Service", "name": key.name, "controller": true,
        "blockOwnerDeletion": true, "uid": service["metadata"]["uid"]}]);
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": key.name, "namespace": key.namespace, "ownerReferences": owner,
            "labels": {"kubernetes.io/service-name": key.name,
                       "endpointslice.kubernetes.io/managed-by": MANAGER}},
        "endpoints": endpoints, "ports": ports,
    });
    state
        .store
        .put(Key::new(SLICES, &key.namespace, &key.name), slice, now);
    let mut object = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": key.name, "namespace": key.namespace, "ownerReferences": owner},
    });
    if !addresses.is_empty() {
        object["subsets"] = json!([{"addresses": addresses, "ports": ports}]);
    }
    let endpoints = Key::new("endpoints", &key.namespace, &key.name);
    state.store.put(endpoints, object, now);
}

/// The number behind a port's `targetPort`: named ones are the first ready pod's.
fn target_port(state: &State, key: &Key, service: &Value, port: &Value) -> Value {
    let Some(name) = port["targetPort"].as_str() else {
        return port["targetPort"].clone();
    };
    let pods = pods_of(&state.store, &key.namespace, &service["spec"]["selector"]);
    let containers = pods.flat_map(|p| items(&p["spec"]["containers"]));
    let ports = containers.flat_map(|c| items(&c["ports"]));
    ports
        .filter(|p| p["name"] == name)
        .map(|p| p["containerPort"].clone())
        .next()
        .unwrap_or_default()
}
