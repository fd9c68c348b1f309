//! The choice for one request: a pure function of the table, the request's head and a dice.

use std::time::Duration;

use super::decision::{Decision, Forward, MirrorTo, Refusal, RequestHead};
use super::flavor::Flavor;
use super::hostname;
use super::index::RuleSet;
use super::table::{
    Action, Backend, Filters, HeaderEdits, Listener, ListenerProtocol, ObjectRef, Redirect,
    RouteTable,
};

/// What a choice is made for.
struct Asked<'a, 'b> {
    head: &'a RequestHead<'b>,
    port: u16,
    scheme: &'static str,
    flavor: Flavor,
    parent: Option<&'a ObjectRef>,
}

impl RouteTable {
    /// The decision for a request that came to a port of a Gateway.
    pub fn at_gateway(
        &self,
        gateway: &ObjectRef,
        port: u16,
        head: &RequestHead,
        dice: &mut fastrand::Rng,
    ) -> Decision {
        self.at_listener(self.listener(gateway, port, head.host), head, dice)
    }

    /// The decision for a request that came to a listener: by TLS the server name chooses it, and
    /// the request's host may be another.
    pub fn at_listener(
        &self,
        listener: Option<&Listener>,
        head: &RequestHead,
        dice: &mut fastrand::Rng,
    ) -> Decision {
        let covers = |l: &&Listener| {
            let name = l.hostname.as_ref();
            name.is_none_or(|h| hostname::covers(h, head.host))
        };
        let Some(listener) = listener.filter(covers) else {
            return Decision::Answer(Refusal::new(404, "no listener for this host"));
        };
        let asked = Asked {
            head,
            port: listener.port,
            scheme: match listener.protocol {
                ListenerProtocol::Http => "http",
                ListenerProtocol::Https(_) => "https",
            },
            flavor: listener.flavor,
            parent: None,
        };
        settled(self.by_rules(&listener.rules, &asked, dice), &asked)
    }

    /// The decision for a request from a pod in `client_namespace` to a Service's port.
    ///
    /// Consumer routes of the client's namespace replace producer routes; without any route, and
    /// for a client outside the mesh, the Service balances over its pods, as Kubernetes does.
    pub fn in_mesh(
        &self,
        client_namespace: &str,
        service: &ObjectRef,
        port: u16,
        head: &RequestHead,
        dice: &mut fastrand::Rng,
    ) -> Decision {
        let Some(entry) = self.services.get(service) else {
            return Decision::Answer(Refusal::new(502, format!("no Service {service}")));
        };
        let asked = Asked {
            head,
            port,
            scheme: "http",
            flavor: self.mesh,
            parent: Some(service),
        };
        let consumer = (Some(client_namespace.to_owned()), port);
        let rules = entry
            .rules
            .get(&consumer)
            .or_else(|| entry.rules.get(&(None, port)));
        let outside = Action::default();
        let decision = match (self.members.contain(client_namespace), rules) {
            (true, Some(rules)) => self.by_rules(rules, &asked, dice),
            (true, None) => self.to_service(service, port, &asked, &entry.action, None, dice),
            (false, _) => self.to_service(service, port, &asked, &outside, None, dice),
        };
        settled(decision, &asked)
    }

    /// The listener for a host: the most specific hostname that covers it.
    pub fn listener(&self, gateway: &ObjectRef, port: u16, host: &str) -> Option<&Listener> {
        self.listeners
            .iter()
            .filter(|l| l.gateway == *gateway && l.port == port)
            .filter(|l| {
                l.hostname
                    .as_ref()
                    .is_none_or(|h| hostname::covers(h, host))
            })
            .max_by_key(|l| l.hostname.as_ref().map(|h| hostname::specificity(h)))
    }

    fn by_rules(&self, rules: &RuleSet, asked: &Asked, dice: &mut fastrand::Rng) -> Decision {
        let Some(rule) = rules.choose(asked.head) else {
            let mut refusal = Refusal::new(404, "no route matches");
            if asked.flavor == Flavor::Linkerd {
                refusal.grpc = 5;
            }
            return Decision::Answer(refusal);
        };
        let action = &rule.action;
        if let Some(answer) = answer_of(&action.filters, asked) {
            return answer;
        }
        if action.to_parent
            && let Some(parent) = asked.parent
        {
            return self.to_service(parent, asked.port, asked, action, None, dice);
        }
        let backend = match self.pick(action, asked, dice) {
            Ok(backend) => backend,
            Err(refusal) => return Decision::Answer(refusal),
        };
        if let Some(answer) = answer_of(&backend.filters, asked) {
            return answer;
        }
        match &backend.service {
            Some((service, port)) => {
                self.to_service(service, *port, asked, action, Some(backend), dice)
            }
            None => Decision::Answer(broken(
                asked.flavor,
                "the backend cannot be resolved: the route's condition ResolvedRefs says why",
            )),
        }
    }

    /// A backend by weight.
    fn pick<'a>(
        &self,
        action: &'a Action,
        asked: &Asked,
        dice: &mut fastrand::Rng,
    ) -> Result<&'a Backend, Refusal> {
        let linkerd = asked.flavor == Flavor::Linkerd;
        if linkerd && let [only] = action.backends.as_slice() {
            return Ok(only);
        }
        // Linkerd passes over backends that have no pods.
        let counts = |b: &&Backend| !linkerd || self.has_endpoints(b);
        let total: u32 = action
            .backends
            .iter()
            .filter(counts)
            .map(|b| b.weight)
            .sum();
        if total == 0 && linkerd && !action.backends.is_empty() {
            return Err(Refusal::new(504, "no backend is available"));
        }
        let weightless = || broken(asked.flavor, "the rule has no backend with a weight");
        if total == 0 {
            return Err(weightless());
        }
        let mut ticket = dice.u32(..total);
        let mut candidates = action.backends.iter().filter(counts);
        let chosen = candidates.find(|b| {
            let hit = ticket < b.weight;
            ticket = ticket.saturating_sub(b.weight);
            hit
        });
        chosen.ok_or_else(weightless)
    }

    fn has_endpoints(&self, backend: &Backend) -> bool {
        let Some((service, port)) = &backend.service else {
            return true;
        };
        let endpoints = self
            .services
            .get(service)
            .and_then(|s| s.endpoints.get(port));
        endpoints.is_some_and(|e| !e.is_empty())
    }

    fn to_service(
        &self,
        service: &ObjectRef,
        port: u16,
        asked: &Asked,
        action: &Action,
        backend: Option<&Backend>,
        dice: &mut fastrand::Rng,
    ) -> Decision {
        let head = asked.head;
        let entry = self.services.get(service);
        let endpoints = entry
            .and_then(|e| e.endpoints.get(&port))
            .filter(|e| !e.is_empty());
        let (Some(entry), Some(endpoints)) = (entry, endpoints) else {
            let status = if asked.flavor == Flavor::Linkerd {
                504
            } else {
                503
            };
            let known = entry.is_some_and(|e| e.endpoints.contains_key(&port));
            let why = if known {
                format!("no healthy upstream: {service} has no ready pods")
            } else {
                format!("no healthy upstream: {service} has no port {port}")
            };
            return Decision::Answer(Refusal::new(status, why));
        };
        let none = Filters::default();
        let filters = [&action.filters, backend.map_or(&none, |b| &b.filters)];
        let path = filters
            .iter()
            .filter_map(|f| f.path.as_ref())
            .fold(head.path.to_owned(), |path, modifier| modifier.apply(&path));
        let path_and_query = if head.query.is_empty() {
            path
        } else {
            format!("{path}?{}", head.query)
        };
        let edits = |of: fn(&Filters) -> &HeaderEdits| -> Vec<HeaderEdits> {
            let used = filters.iter().map(|f| of(f));
            used.filter(|e| **e != HeaderEdits::default())
                .cloned()
                .collect()
        };
        let mirrors = filters.iter().flat_map(|f| &f.mirrors);
        let mirrors = mirrors.filter_map(|m| self.mirror(m, dice)).collect();
        let set = |timeout: Option<Duration>| timeout.filter(|t| !t.is_zero());
        Decision::Forward(Box::new(Forward {
            first: dice.usize(..endpoints.len()),
            endpoints: endpoints.clone(),
            path_and_query,
            host: filters.iter().rev().find_map(|f| f.host.clone()),
            request_headers: edits(|f| &f.request_headers),
            response_headers: edits(|f| &f.response_headers),
            mirrors,
            timeout: set(action.request_timeout),
            try_timeout: set(action.backend_timeout),
            retry: action.retry.clone(),
            http2: entry.http2_ports.contains(&port),
            flavor: asked.flavor,
        }))
    }

    fn mirror(&self, mirror: &super::table::Mirror, dice: &mut fastrand::Rng) -> Option<MirrorTo> {
        let (service, port) = &mirror.to;
        let entry = self.services.get(service)?;
        let endpoints = entry.endpoints.get(port).filter(|e| !e.is_empty())?;
        let (part, whole) = mirror.share;
        (dice.u32(..whole.max(1)) < part).then(|| MirrorTo {
            to: endpoints[dice.usize(..endpoints.len())],
            http2: entry.http2_ports.contains(port),
        })
    }
}

/// A decision with whose it is.
fn settled(decision: Decision, asked: &Asked) -> Decision {
    match decision {
        Decision::Answer(refusal) => Decision::Answer(refusal.by(asked.flavor)),
        other => other,
    }
}

/// An answer that filters give by themselves.
fn answer_of(filters: &Filters, asked: &Asked) -> Option<Decision> {
    if filters.unsupported {
        let why = "the route has a filter that is not supported";
        return Some(Decision::Answer(Refusal::new(500, why)));
    }
    let redirect = filters.redirect.as_ref()?;
    let location = location(redirect, asked);
    Some(Decision::Redirect(redirect.status, location))
}

/// 500; a gRPC call gets UNAVAILABLE, from Istio UNKNOWN.
fn broken(flavor: Flavor, why: &str) -> Refusal {
    let mut refusal = Refusal::new(500, why);
    if flavor != Flavor::Istio {
        refusal.grpc = 14;
    }
    refusal
}

fn location(redirect: &Redirect, asked: &Asked) -> String {
    let (head, listener_port) = (asked.head, asked.port);
    let scheme = redirect.scheme.as_deref().unwrap_or(asked.scheme);
    let host = redirect.hostname.as_deref().unwrap_or(head.host);
    let well_known = if scheme == "https" { 443 } else { 80 };
    let port = match (redirect.port, &redirect.scheme) {
        (Some(port), _) => port,
        (None, Some(_)) => well_known,
        // The listener may be bound elsewhere: who came by another port goes back to it.
        (None, None) if redirect.hostname.is_none() => head.port.unwrap_or(listener_port),
        (None, None) => listener_port,
    };
    let port = if port == well_known {
        String::new()
    } else {
        format!(":{port}")
    };
    let path = match &redirect.path {
        Some(modifier) => modifier.apply(head.path),
        None => head.path.to_owned(),
    };
    let query = if head.query.is_empty() {
        String::new()
    } else {
        format!("?{}", head.query)
    };
    format!("{scheme}://{host}{port}{path}{query}")
}
