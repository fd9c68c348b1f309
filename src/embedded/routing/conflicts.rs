//! Routes of different kinds that want the same place: which of them has it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::attach::{AttachedRoute, Attachment, GATEWAYS, Refused, effective_hostnames};
use super::table::ObjectRef;
use super::{hostname, items};
use crate::embedded::store::{Key, Object, Store};

/// HTTPRoutes and GRPCRoutes of one parent are not merged: on a Service's port GRPCRoutes win, on a
/// listener, for hostnames that meet, the older kind does. Istio merges them.
pub fn settle(store: &Store, routes: &mut [AttachedRoute]) {
    // Consumer routes concern their own namespace only.
    let consumer = |key: &Key, service: &ObjectRef| {
        (key.namespace != service.namespace).then(|| key.namespace.clone())
    };
    let mut grpc_ports: BTreeMap<(ObjectRef, Option<String>, u16), String> = BTreeMap::new();
    for route in routes.iter().filter(|r| r.kind.is_grpc()) {
        for parent in &route.parents {
            if let Attachment::Service(service, ports) = &parent.attachment {
                let whose = consumer(&route.key, service);
                for port in ports {
                    let name = format!("{}/{}", route.key.namespace, route.key.name);
                    let place = (service.clone(), whose.clone(), *port);
                    grpc_ports.entry(place).or_insert(name);
                }
            }
        }
    }
    let listeners_of: BTreeMap<ObjectRef, Object> = store
        .list(GATEWAYS, None)
        .map(|(k, o)| (ObjectRef::new(&k.namespace, &k.name), o.clone()))
        .collect();
    let mut taken: BTreeMap<(ObjectRef, String), Place> = BTreeMap::new();
    for route in routes.iter_mut() {
        let name = format!("{}/{}", route.key.namespace, route.key.name);
        for parent in &mut route.parents {
            if parent.flavor.merges_kinds() {
                continue;
            }
            let winner = match &mut parent.attachment {
                Attachment::Service(service, ports) if !route.kind.is_grpc() => {
                    let whose = consumer(&route.key, service);
                    let place = |p: &u16| (service.clone(), whose.clone(), *p);
                    let winner = ports
                        .iter()
                        .find_map(|p| grpc_ports.get(&place(p)).cloned());
                    ports.retain(|p| !grpc_ports.contains_key(&place(p)));
                    winner.filter(|_| ports.is_empty())
                }
                Attachment::Gateway(gateway, listeners) => {
                    let object = listeners_of.get(gateway);
                    let all = object.map_or(&Value::Null, |o| &o["spec"]["listeners"]);
                    let mut winner = None;
                    listeners.retain(|listener| {
                        let entry = items(all).find(|l| l["name"] == listener.as_str());
                        let names = entry.map(|l| effective_hostnames(l, &route.object));
                        let place = taken
                            .entry((gateway.clone(), listener.clone()))
                            .or_default();
                        let mine = Taken {
                            hostnames: names.unwrap_or_default(),
                            route: name.clone(),
                        };
                        let (same, other) = place.sides(route.kind.is_grpc());
                        if let Some(other) = other.iter().find(|t| t.bars(&mine)) {
                            winner = Some(other.route.clone());
                            return false;
                        }
                        same.push(mine);
                        true
                    });
                    winner.filter(|_| listeners.is_empty())
                }
                _ => None,
            };
            if let Some(winner) = winner {
                parent.attachment = Attachment::Refused(Refused::Conflict(winner));
            }
        }
    }
}

/// Who has a listener's hostnames, by kind.
#[derive(Default)]
struct Place {
    http: Vec<Taken>,
    grpc: Vec<Taken>,
}

impl Place {
    /// Those of a kind, and those of the other.
    fn sides(&mut self, grpc: bool) -> (&mut Vec<Taken>, &Vec<Taken>) {
        match grpc {
            true => (&mut self.grpc, &self.http),
            false => (&mut self.http, &self.grpc),
        }
    }
}

/// A route's place on a listener.
struct Taken {
    hostnames: Vec<String>,
    route: String,
}

impl Taken {
    fn bars(&self, other: &Taken) -> bool {
        let meet = |a: &String, b: &String| a == "*" || b == "*" || hostname::intersect(a, b);
        self.hostnames
            .iter()
            .any(|a| other.hostnames.iter().any(|b| meet(a, b)))
    }
}
