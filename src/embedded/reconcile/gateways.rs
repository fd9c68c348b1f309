//! `status` of GatewayClasses and Gateways, true once their listeners are really bound, and the
//! Services that implementations make for them.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Controlled, Facts, all, items, keep_transition_times};
use crate::embedded::fingerprint::fnv;
use crate::embedded::rest::State;
use crate::embedded::routing::attach::{
    self, AttachedRoute, Attachment, GATEWAY_CLASSES, GATEWAYS, supported_kinds,
};
use crate::embedded::routing::compile::{BadCertificate, certificate};
use crate::embedded::routing::flavor::Flavor;
use crate::embedded::routing::table::ObjectRef;
use crate::embedded::store::Key;

/// Writes the status of every GatewayClass and Gateway.
pub fn reconcile(state: &mut State, facts: &Facts, routes: &[AttachedRoute], now: &str) {
    for (key, class) in all(state, GATEWAY_CLASSES) {
        let Some(flavor) = Flavor::of_class(&state.store, &key.name) else {
            continue;
        };
        let controlled = Controlled {
            generation: &class["metadata"]["generation"],
            flavor,
        };
        let message = match flavor {
            Flavor::Istio => "Handled by Istio controller",
            Flavor::EnvoyGateway => "Valid GatewayClass",
            Flavor::Spec | Flavor::Linkerd => "Handled by the embedded cluster",
        };
        let mut conditions = json!([controlled.condition("Accepted", true, "Accepted", message)]);
        keep_transition_times(&class["status"]["conditions"], &mut conditions, now);
        let status = json!({"conditions": conditions});
        state.store.update(&key, now, |o| o["status"] = status);
    }
    for (key, gateway) in all(state, GATEWAYS) {
        let Some(flavor) = Flavor::of_gateway(&state.store, &gateway) else {
            continue;
        };
        let me = Subject {
            reference: ObjectRef::new(&key.namespace, &key.name),
            gateway: &gateway,
            flavor,
            address: address(facts, &key),
        };
        write_service(state, &me, now);
        let status = status(state, facts, &me, routes, now);
        state.store.update(&key, now, |o| o["status"] = status);
    }
}

/// A Gateway whose status is written.
struct Subject<'a> {
    reference: ObjectRef,
    gateway: &'a Value,
    flavor: Flavor,
    address: Option<IpAddr>,
}

impl Subject<'_> {
    fn controlled(&self) -> Controlled<'_> {
        Controlled {
            generation: &self.gateway["metadata"]["generation"],
            flavor: self.flavor,
        }
    }

    fn listeners(&self) -> impl Iterator<Item = &Value> {
        items(&self.gateway["spec"]["listeners"])
    }
}

fn address(facts: &Facts, key: &Key) -> Option<IpAddr> {
    let me = ObjectRef::new(&key.namespace, &key.name);
    let mut mine = facts
        .bound
        .iter()
        .filter(|((gateway, _), _)| *gateway == me);
    mine.next().map(|(_, address)| address.ip())
}

fn status(
    state: &State,
    facts: &Facts,
    me: &Subject<'_>,
    routes: &[AttachedRoute],
    now: &str,
) -> Value {
    let old = &me.gateway["status"];
    let statuses: Vec<ListenerStatus> = me
        .listeners()
        .map(|listener| listener_status(state, facts, me, listener, routes, now))
        .collect();
    let valid = statuses.iter().any(|s| s.valid);
    let bound = statuses.iter().filter(|s| s.valid).all(|s| s.bound);
    let controlled = me.controlled();
    let (envoy, istio) = (
        me.flavor == Flavor::EnvoyGateway,
        me.flavor == Flavor::Istio,
    );
    let accepted = if valid {
        let message = if envoy {
            "The Gateway has been scheduled by Envoy Gateway"
        } else {
            "Resource accepted"
        };
        controlled.condition("Accepted", true, "Accepted", message)
    } else {
        let message = "No listener can be served";
        controlled.condition("Accepted", false, "ListenersNotValid", message)
    };
    let programmed = match me.address {
        _ if !valid => {
            let message = "No listener can be served";
            controlled.condition("Programmed", false, "Invalid", message)
        }
        Some(_) if bound => {
            let message = if istio {
                let port = me
                    .listeners()
                    .next()
                    .map_or(80, |l| l["port"].as_u64().unwrap_or(80));
                format!(
                    "Resource programmed, assigned to service(s) {}.{}.svc.cluster.local:{port}",
                    service_name(me),
                    me.reference.namespace
                )
            } else if envoy {
                "Address assigned to the Gateway, 1/1 envoy Deployment replicas available"
                    .to_owned()
            } else {
                "Listeners are bound".to_owned()
            };
            controlled.condition("Programmed", true, "Programmed", &message)
        }
        _ => {
            let message = if envoy {
                "No addresses have been assigned to the Gateway"
            } else {
                "Listeners are not bound yet"
            };
            controlled.condition("Programmed", false, "AddressNotAssigned", message)
        }
    };
    let mut conditions = json!([accepted, programmed]);
    keep_transition_times(&old["conditions"], &mut conditions, now);
    let addresses: Vec<Value> = me
        .address
        .iter()
        .map(|ip| json!({"type": "IPAddress", "value": ip.to_string()}))
        .collect();
    let listeners: Vec<Value> = statuses.into_iter().map(|s| s.written).collect();
    json!({"addresses": addresses, "conditions": conditions, "listeners": listeners})
}

struct ListenerStatus {
    written: Value,
    valid: bool,
    bound: bool,
}

fn listener_status(
    state: &State,
    facts: &Facts,
    me: &Subject<'_>,
    listener: &Value,
    routes: &[AttachedRoute],
    now: &str,
) -> ListenerStatus {
    let controlled = me.controlled();
    let name = listener["name"].as_str().unwrap_or("");
    let port = listener["port"].as_u64().unwrap_or(0) as u16;
    let bound = facts.bound.contains_key(&(me.reference.clone(), port));
    let protocol = listener["protocol"].as_str().unwrap_or("");
    let known = ["HTTP", "HTTPS"].contains(&protocol);
    let (kinds, all_kinds_known) = supported_kinds(listener);
    let refs = if protocol == "HTTPS" {
        certificate(&state.store, &me.reference.namespace, listener).err()
    } else {
        None
    };
    let (on, programmed_message, resolved_message) = match me.flavor {
        Flavor::EnvoyGateway => (
            "Listener has been successfully translated",
            "Sending translated listener configuration to the data plane",
            "Listener references have been resolved",
        ),
        _ => ("No errors found", "No errors found", "No errors found"),
    };
    let accepted = if known {
        controlled.condition("Accepted", true, "Accepted", on)
    } else {
        let message = format!("protocol \"{protocol}\" is not supported");
        controlled.condition("Accepted", false, "UnsupportedProtocol", &message)
    };
    let resolved = match &refs {
        Some(BadCertificate::Invalid(why)) => {
            controlled.condition("ResolvedRefs", false, "InvalidCertificateRef", why)
        }
        Some(BadCertificate::NotPermitted(secret)) => {
            let message = format!("Secret {secret} is not permitted by any ReferenceGrant");
            controlled.condition("ResolvedRefs", false, "RefNotPermitted", &message)
        }
        None if !all_kinds_known => {
            let message = "allowedRoutes.kinds names a kind that is not supported";
            controlled.condition("ResolvedRefs", false, "InvalidRouteKinds", message)
        }
        None => controlled.condition("ResolvedRefs", true, "ResolvedRefs", resolved_message),
    };
    let conflict = attach::protocol_conflict(me.gateway, listener);
    let valid = known && !conflict && refs.is_none() && (all_kinds_known || !kinds.is_empty());
    let programmed = match (valid, bound) {
        (true, true) => controlled.condition("Programmed", true, "Programmed", programmed_message),
        (true, false) => {
            controlled.condition("Programmed", false, "Pending", "The port is not bound yet")
        }
        (false, _) => {
            let message = "The listener cannot be served as it is";
            controlled.condition("Programmed", false, "Invalid", message)
        }
    };
    let conflicted = if conflict {
        let message = "another listener of this port has another protocol";
        controlled.condition("Conflicted", true, "ProtocolConflict", message)
    } else {
        controlled.condition("Conflicted", false, "NoConflicts", "No errors found")
    };
    let mut conditions = json!([accepted, conflicted, programmed, resolved]);
    let before = items(&me.gateway["status"]["listeners"])
        .find(|l| l["name"] == listener["name"])
        .map(|l| l["conditions"].clone())
        .unwrap_or_default();
    keep_transition_times(&before, &mut conditions, now);
    let attached = routes
        .iter()
        .filter(|r| is_attached(r, &me.reference, name));
    let kinds: Vec<Value> = kinds
        .iter()
        .map(|kind| json!({"group": attach::GROUP, "kind": kind}))
        .collect();
    ListenerStatus {
        written: json!({
            "name": name, "attachedRoutes": attached.count(), "conditions": conditions,
            "supportedKinds": kinds,
        }),
        valid,
        bound,
    }
}

fn is_attached(route: &AttachedRoute, gateway: &ObjectRef, listener: &str) -> bool {
    route.parents.iter().any(|p| {
        matches!(&p.attachment, Attachment::Gateway(to, names)
            if to == gateway && names.iter().any(|n| n == listener))
    })
}

/// The name of the Service that an implementation makes for a Gateway.
fn service_name(me: &Subject<'_>) -> String {
    match me.flavor {
        Flavor::Istio => {
            let class = me.gateway["spec"]["gatewayClassName"]
                .as_str()
                .unwrap_or("");
            format!("{}-{class}", me.reference.name)
        }
        _ => {
            let seed = format!("{}/{}", me.reference.namespace, me.reference.name);
            let hash = fnv([seed.as_bytes()]) as u32;
            format!(
                "envoy-{}-{}-{hash:08x}",
                me.reference.namespace, me.reference.name
            )
        }
    }
}

/// Istio and Envoy Gateway make a Service of type LoadBalancer for each Gateway; scripts read its
/// address.
fn write_service(state: &mut State, me: &Subject<'_>, now: &str) {
    let (namespace, labels) = match me.flavor {
        Flavor::Istio => (
            me.reference.namespace.as_str(),
            json!({"gateway.networking.k8s.io/gateway-name": me.reference.name,
                   "gateway.networking.k8s.io/gateway-class-name": me.gateway["spec"]["gatewayClassName"]}),
        ),
        Flavor::EnvoyGateway => (
            "envoy-gateway-system",
            json!({"gateway.envoyproxy.io/owning-gateway-name": me.reference.name,
                   "gateway.envoyproxy.io/owning-gateway-namespace": me.reference.namespace,
                   "app.kubernetes.io/managed-by": "envoy-gateway"}),
        ),
        Flavor::Spec | Flavor::Linkerd => return,
    };
    if state
        .store
        .get(&Key::new("namespaces", "", namespace))
        .is_none()
    {
        return;
    }
    let key = Key::new("services", namespace, &service_name(me));
    let known = state.store.get(&key).cloned();
    let mut service = known.map_or_else(|| json!({}), |k| Value::clone(&k));
    let mut seen = std::collections::BTreeSet::new();
    let ports: Vec<Value> = me
        .listeners()
        .filter(|l| seen.insert(l["port"].as_u64()))
        .map(|l| json!({"name": l["name"], "port": l["port"], "protocol": "TCP", "targetPort": l["port"]}))
        .collect();
    service["apiVersion"] = json!("v1");
    service["kind"] = json!("Service");
    service["metadata"]["name"] = json!(key.name);
    service["metadata"]["namespace"] = json!(namespace);
    service["metadata"]["labels"] = labels;
    service["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "name": me.reference.name, "uid": me.gateway["metadata"]["uid"]}]);
    service["spec"]["type"] = json!("LoadBalancer");
    // Those that stand keep their node ports.
    let numbers = |ports: &mut dyn Iterator<Item = &Value>| -> Vec<Value> {
        ports.map(|p| p["port"].clone()).collect()
    };
    if numbers(&mut items(&service["spec"]["ports"])) != numbers(&mut ports.iter()) {
        service["spec"]["ports"] = json!(ports);
    }
    let ingress: Vec<Value> = me
        .address
        .iter()
        .map(|ip| json!({"ip": ip.to_string()}))
        .collect();
    service["status"] = json!({"loadBalancer": {"ingress": ingress}});
    state.store.put(key, service, now);
}
