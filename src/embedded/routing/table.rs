//! The compiled route table: what the data plane reads, never changed once built.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::flavor::{Flavor, Members};
use super::index::RuleSet;
use super::matching::Match;
use super::rewrite::PathModifier;

/// A namespace and a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// From its parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        ObjectRef {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Everything the data plane has to know.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// The listeners of all accepted Gateways.
    pub listeners: Vec<Listener>,
    /// All Services.
    pub services: BTreeMap<ObjectRef, Service>,
    /// Whose mesh this is.
    pub mesh: Flavor,
    /// Who is in it.
    pub members: Members,
}

/// A listener with the rules of the routes attached to it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its Gateway.
    pub gateway: ObjectRef,
    /// Whose Gateway that is.
    pub flavor: Flavor,
    /// Its name.
    pub name: String,
    /// `listeners[].port`: not necessarily the port that is really bound.
    pub port: u16,
    /// Its hostname, if it has one.
    pub hostname: Option<String>,
    /// What it speaks.
    pub protocol: ListenerProtocol,
    /// The rules.
    pub rules: RuleSet,
}

/// What a listener speaks.
#[derive(Clone, Debug, PartialEq)]
pub enum ListenerProtocol {
    /// HTTP.
    Http,
    /// HTTPS with this certificate, or none that can be used.
    Https(Option<Arc<Certificate>>),
}

/// A TLS Secret's content, PEM.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Certificate {
    /// `tls.crt`.
    pub chain: Vec<u8>,
    /// `tls.key`.
    pub key: Vec<u8>,
}

/// A Service: where its pods listen, and the routes that have it as their parent.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Service port to the addresses of ready pods.
    pub endpoints: BTreeMap<u16, Arc<[SocketAddr]>>,
    /// Service ports whose `appProtocol` or name says HTTP/2.
    pub http2_ports: Vec<u16>,
    /// What is done with requests that no route takes: Linkerd's timeouts by annotation.
    pub action: Arc<Action>,
    /// Rules by port; of producer routes (`None`), and of consumer routes by their namespace.
    pub rules: BTreeMap<(Option<String>, u16), RuleSet>,
}

/// One match of one rule of one route.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The route that it comes from.
    pub route: ObjectRef,
    /// The hostnames that it is for; empty is any.
    pub hostnames: Vec<String>,
    /// What it matches.
    pub matched: Match,
    /// What is done.
    pub action: Arc<Action>,
}

/// What a rule does with a request.
#[derive(Clone, Debug, Default)]
pub struct Action {
    /// The rule's own filters.
    pub filters: Filters,
    /// Where the request may go.
    pub backends: Vec<Backend>,
    /// Forward to the parent Service: a rule of Linkerd's without backends.
    pub to_parent: bool,
    /// `timeouts.request`: the whole exchange.
    pub request_timeout: Option<Duration>,
    /// `timeouts.backendRequest`: each try.
    pub backend_timeout: Option<Duration>,
    /// `retry`.
    pub retry: Option<Retry>,
}

/// What filters do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    /// Changes of the request's headers.
    pub request_headers: HeaderEdits,
    /// Changes of the response's headers.
    pub response_headers: HeaderEdits,
    /// A new `Host`.
    pub host: Option<String>,
    /// A new path.
    pub path: Option<PathModifier>,
    /// An answer without a backend.
    pub redirect: Option<Redirect>,
    /// Copies of the request.
    pub mirrors: Vec<Mirror>,
    /// A filter that this data plane does not have: the request fails, never skips it.
    pub unsupported: bool,
}

/// `RequestMirror`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// A Service and its port.
    pub to: (ObjectRef, u16),
    /// How many requests of how many.
    pub share: (u32, u32),
}

/// `retry` of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Tries beyond the first.
    pub attempts: u32,
    /// Status codes that are tried again, besides a backend that cannot be reached.
    pub codes: Vec<u16>,
    /// The pause before the next try.
    pub backoff: Duration,
}

/// `RequestHeaderModifier` or `ResponseHeaderModifier`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderEdits {
    /// Replaced.
    pub set: Vec<(String, String)>,
    /// Appended.
    pub add: Vec<(String, String)>,
    /// Removed.
    pub remove: Vec<String>,
}

/// `RequestRedirect`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redirect {
    /// Scheme, if changed.
    pub scheme: Option<String>,
    /// Host, if changed.
    pub hostname: Option<String>,
    /// Port, if given.
    pub port: Option<u16>,
    /// Path, if changed.
    pub path: Option<PathModifier>,
    /// 301, 302 …
    pub status: u16,
}

/// A backend and its share.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Out of the sum of the rule's weights.
    pub weight: u32,
    /// A Service and its port, or none if the reference does not resolve.
    pub service: Option<(ObjectRef, u16)>,
    /// The backend's own filters.
    pub filters: Filters,
}
