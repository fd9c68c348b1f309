//! A request as routing sees it, and what is decided about it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::flavor::Flavor;
use super::table::{HeaderEdits, Retry};

/// The part of a request that routing looks at.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a str,
    /// The host, lower case, without port.
    pub host: &'a str,
    /// The port of the `Host`, if it names one.
    pub port: Option<u16>,
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
    /// Answer it with an error.
    Answer(Refusal),
    /// Answer it with a redirect: status and `Location`.
    Redirect(u16, String),
}

/// An error that the data plane answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status, for gRPC calls.
    pub grpc: u8,
    /// Why, for people.
    pub why: String,
    /// Whose data plane answers.
    pub flavor: Flavor,
}

impl Refusal {
    /// With the gRPC status that an HTTP status maps to ("HTTP to gRPC Status Code Mapping").
    pub fn new(status: u16, why: impl Into<String>) -> Self {
        let grpc = match status {
            400 => 13,
            404 => 12,
            504 => 4,
            429 | 502 | 503 => 14,
            _ => 2,
        };
        Refusal {
            status,
            grpc,
            why: why.into(),
            flavor: Flavor::Spec,
        }
    }

    /// As an implementation's data plane gives it.
    pub fn by(self, flavor: Flavor) -> Self {
        Refusal { flavor, ..self }
    }
}

/// Where a pod's copy of a request goes.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorTo {
    /// The pod's address.
    pub to: SocketAddr,
    /// Speak HTTP/2 to it.
    pub http2: bool,
}

/// How to send a request on.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// The pods' addresses; at least one.
    pub endpoints: Arc<[SocketAddr]>,
    /// Which of them is first.
    pub first: usize,
    /// The path and query to ask for.
    pub path_and_query: String,
    /// A new `Host`, if rewritten.
    pub host: Option<String>,
    /// Changes of the request's headers, in order.
    pub request_headers: Vec<HeaderEdits>,
    /// Changes of the response's headers, in order.
    pub response_headers: Vec<HeaderEdits>,
    /// Copies of the request.
    pub mirrors: Vec<MirrorTo>,
    /// From the request's arrival to the whole response; 504 after it.
    pub timeout: Option<Duration>,
    /// For each try, until its response begins.
    pub try_timeout: Option<Duration>,
    /// What is tried again.
    pub retry: Option<Retry>,
    /// Speak HTTP/2 to the pod.
    pub http2: bool,
    /// Whose data plane this is.
    pub flavor: Flavor,
}

impl Forward {
    /// To an address, with nothing changed.
    pub fn straight(to: SocketAddr, path_and_query: String) -> Self {
        Forward {
            endpoints: [to].into(),
            first: 0,
            path_and_query,
            host: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            mirrors: Vec::new(),
            timeout: None,
            try_timeout: None,
            retry: None,
            http2: false,
            flavor: Flavor::Spec,
        }
    }
}
