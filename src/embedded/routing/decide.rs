//! The choice for one request: a pure function of the table, the request's head and a dice.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderMap;

use super::hostname;
use super::table::{Action, HeaderEdits, Listener, ObjectRef, Redirect, RouteTable, Rule};

/// The part of a request that routing looks at.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a str,
    /// The host, lower case, without port.
    pub host: &'a str,
    /// The path, without query.
    pub path: &'a str,
    /// The query, without `?`; may be empty.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Send it to a pod.
    Forward(Box<Forward>),
    /// Answer it with an error: status and the body that says why.
    Answer(u16, String),
    /// Answer it with a redirect: status and `Location`.
    Redirect(u16, String),
}

/// How to send a request on.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// The pod's address.
    pub to: SocketAddr,
    /// The path and query to ask for.
    pub path_and_query: String,
    /// A new `Host`, if rewritten.
    pub host: Option<String>,
    /// Changes of the request's headers.
    pub request_headers: HeaderEdits,
    /// Changes of the response's headers.
    pub response_headers: HeaderEdits,
    /// From the request's arrival to the whole response; 504 after it.
    pub timeout: Option<Duration>,
    /// Speak HTTP/2 to the pod.
    pub http2: bool,
}

impl Forward {
    /// To an address, with nothing changed.
    pub fn straight(to: SocketAddr, path_and_query: String) -> Self {
        Forward {
            to,
            path_and_query,
            host: None,
            request_headers: HeaderEdits::default(),
            response_headers: HeaderEdits::default(),
            timeout: None,
            http2: false,
        }
    }
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
        match self.listener(gateway, port, head.host) {
            Some(listener) => self.by_rules(&listener.rules, head, listener.port, dice, None),
            None => Decision::Answer(404, "no listener for this host".to_owned()),
        }
    }

    /// The decision for a request from a pod in `client_namespace` to a Service's port.
    ///
    /// Consumer routes of the client's namespace replace producer routes; without any route the
    /// Service balances over its pods, as Kubernetes does.
    pub fn in_mesh(
        &self,
        client_namespace: &str,
        service: &ObjectRef,
        port: u16,
        head: &RequestHead,
        dice: &mut fastrand::Rng,
    ) -> Decision {
        let Some(entry) = self.services.get(service) else {
            return Decision::Answer(
                502,
                format!("no Service {}/{}", service.namespace, service.name),
            );
        };
        let consumer = (Some(client_namespace.to_owned()), port);
        let rules = entry
            .rules
            .get(&consumer)
            .or_else(|| entry.rules.get(&(None, port)));
        match rules {
            Some(rules) => self.by_rules(rules, head, port, dice, Some(service)),
            None => {
                let action = Action::default();
                self.to_service(service, port, head, &action, dice)
            }
        }
    }

    fn listener(&self, gateway: &ObjectRef, port: u16, host: &str) -> Option<&Listener> {
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

    fn by_rules(
        &self,
        rules: &[Rule],
        head: &RequestHead,
        port: u16,
        dice: &mut fastrand::Rng,
        parent: Option<&ObjectRef>,
    ) -> Decision {
        let ignore_hostnames = parent.is_some();
        let Some(rule) = best(rules, head, ignore_hostnames) else {
            return Decision::Answer(404, "no route matches".to_owned());
        };
        let action = &rule.action;
        if action.unsupported_filter {
            return Decision::Answer(
                500,
                "the route has a filter that is not supported".to_owned(),
            );
        }
        if let Some(redirect) = &action.redirect {
            return Decision::Redirect(redirect.status, location(redirect, head, port));
        }
        let total: u32 = action.backends.iter().map(|b| b.weight).sum();
        if total == 0 {
            return Decision::Answer(500, "the rule has no backend with a weight".to_owned());
        }
        let mut ticket = dice.u32(..total);
        let chosen = action.backends.iter().find(|b| {
            let hit = ticket < b.weight;
            ticket = ticket.saturating_sub(b.weight);
            hit
        });
        match chosen.and_then(|b| b.service.as_ref()) {
            Some((service, port)) => self.to_service(service, *port, head, action, dice),
            None => Decision::Answer(500, "the backend does not exist".to_owned()),
        }
    }

    fn to_service(
        &self,
        service: &ObjectRef,
        port: u16,
        head: &RequestHead,
        action: &Action,
        dice: &mut fastrand::Rng,
    ) -> Decision {
        let entry = self.services.get(service);
        let endpoints = entry
            .and_then(|e| e.endpoints.get(&port))
            .map_or(&[][..], Vec::as_slice);
        if endpoints.is_empty() {
            let name = format!("{}/{}", service.namespace, service.name);
            return Decision::Answer(
                503,
                format!("no healthy upstream: {name} has no ready pods"),
            );
        }
        let path = match &action.rewrite_path {
            Some(modifier) => modifier.apply(head.path),
            None => head.path.to_owned(),
        };
        let path_and_query = if head.query.is_empty() {
            path
        } else {
            format!("{path}?{}", head.query)
        };
        let timeouts = [action.request_timeout, action.backend_timeout];
        Decision::Forward(Box::new(Forward {
            to: endpoints[dice.usize(..endpoints.len())],
            path_and_query,
            host: action.rewrite_host.clone(),
            request_headers: action.request_headers.clone(),
            response_headers: action.response_headers.clone(),
            timeout: timeouts
                .into_iter()
                .flatten()
                .filter(|t| !t.is_zero())
                .min(),
            http2: entry.is_some_and(|e| e.http2_ports.contains(&port)),
        }))
    }
}

/// The best rule: the most specific hostname first, then the rules' own order.
fn best<'a>(rules: &'a [Rule], head: &RequestHead, ignore_hostnames: bool) -> Option<&'a Rule> {
    let mut best: Option<(&Rule, (bool, usize))> = None;
    for rule in rules {
        let specificity = if rule.hostnames.is_empty() || ignore_hostnames {
            (false, 0)
        } else {
            let fitting = rule
                .hostnames
                .iter()
                .filter(|h| hostname::covers(h, head.host));
            match fitting.map(|h| hostname::specificity(h)).max() {
                Some(specificity) => specificity,
                None => continue,
            }
        };
        if best.is_none_or(|(_, b)| specificity > b) && rule.matched.fits(head) {
            best = Some((rule, specificity));
        }
    }
    best.map(|(rule, _)| rule)
}

fn location(redirect: &Redirect, head: &RequestHead, listener_port: u16) -> String {
    let scheme = redirect.scheme.as_deref().unwrap_or("http");
    let host = redirect.hostname.as_deref().unwrap_or(head.host);
    let well_known = if scheme == "https" { 443 } else { 80 };
    let port = match (redirect.port, &redirect.scheme) {
        (Some(port), _) => port,
        (None, Some(_)) => well_known,
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
