//! The compiled route table: what the data plane reads, never changed once built.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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

/// Everything the data plane has to know.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// The listeners of all accepted Gateways.
    pub listeners: Vec<Listener>,
    /// All Services.
    pub services: BTreeMap<ObjectRef, Service>,
}

/// A listener with the rules of the routes attached to it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its Gateway.
    pub gateway: ObjectRef,
    /// Its name.
    pub name: String,
    /// `listeners[].port`: not necessarily the port that is really bound.
    pub port: u16,
    /// Its hostname, if it has one.
    pub hostname: Option<String>,
    /// Best first.
    pub rules: Vec<Rule>,
}

/// A Service: where its pods listen, and the routes that have it as their parent.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Service port to the addresses of ready pods.
    pub endpoints: BTreeMap<u16, Vec<SocketAddr>>,
    /// Service ports whose `appProtocol` or name says HTTP/2.
    pub http2_ports: Vec<u16>,
    /// Rules by port; of producer routes (`None`), and of consumer routes by their namespace.
    pub rules: BTreeMap<(Option<String>, u16), Vec<Rule>>,
}

/// One match of one rule of one route.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The route that it comes from.
    pub route: ObjectRef,
    /// The route's hostnames; empty is any.
    pub hostnames: Vec<String>,
    /// What it matches.
    pub matched: Match,
    /// What is done.
    pub action: Arc<Action>,
}

/// What a rule does with a request.
#[derive(Clone, Debug, Default)]
pub struct Action {
    /// Changes of the request's headers.
    pub request_headers: HeaderEdits,
    /// Changes of the response's headers.
    pub response_headers: HeaderEdits,
    /// A new `Host`.
    pub rewrite_host: Option<String>,
    /// A new path.
    pub rewrite_path: Option<PathModifier>,
    /// An answer without a backend.
    pub redirect: Option<Redirect>,
    /// A filter that this data plane does not have: the request fails, never skips it.
    pub unsupported_filter: bool,
    /// Where the request may go.
    pub backends: Vec<WeightedBackend>,
    /// `timeouts.request`.
    pub request_timeout: Option<Duration>,
    /// `timeouts.backendRequest`.
    pub backend_timeout: Option<Duration>,
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
pub struct WeightedBackend {
    /// Out of the sum of the rule's weights.
    pub weight: u32,
    /// A Service and its port, or none if the reference does not resolve.
    pub service: Option<(ObjectRef, u16)>,
}
