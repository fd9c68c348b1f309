//! The data plane's hands: does with a request what routing decided.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::{Body, boxed, full, with_deadline};
use super::routing::decide::Forward;
use super::routing::table::HeaderEdits;
use super::routing::{Decision, RequestHead, hostname};

/// Clients to the pods: pooled HTTP/1.1 and HTTP/2 connections.
#[derive(Clone, Debug)]
pub struct Proxy {
    http1: Client<HttpConnector, Body>,
    http2: Client<HttpConnector, Body>,
}

impl Proxy {
    /// With empty pools.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let builder = || {
            let mut builder = Client::builder(TokioExecutor::new());
            builder.pool_timer(TokioTimer::new());
            builder
        };
        Proxy {
            http1: builder().build(connector.clone()),
            http2: builder().http2_only(true).build(connector),
        }
    }

    /// Decides on a request by `decide` and carries the decision out.
    pub async fn handle(
        &self,
        request: Request<Body>,
        decide: impl FnOnce(&RequestHead<'_>) -> Decision,
    ) -> Response<Body> {
        let arrived = Instant::now();
        let authority = request
            .uri()
            .authority()
            .map(|a| a.as_str().to_owned())
            .or_else(|| host_header(request.headers()));
        let host = hostname::without_port(authority.as_deref().unwrap_or(""));
        let decision = decide(&RequestHead {
            method: request.method().as_str(),
            host: &host,
            path: request.uri().path(),
            query: request.uri().query().unwrap_or(""),
            headers: request.headers(),
        });
        match decision {
            Decision::Answer(status, why) => answer(status, why, is_grpc(request.headers())),
            Decision::Redirect(status, location) => redirect(status, &location),
            Decision::Forward(forward) => {
                let authority = forward.host.clone().or(authority).unwrap_or_default();
                self.forward(request, *forward, &authority, arrived).await
            }
        }
    }

    /// Sends a request to an address, past all routes.
    pub async fn straight_to(&self, request: Request<Body>, to: SocketAddr) -> Response<Body> {
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let forward = Forward::straight(to, path.to_owned());
        let authority = host_header(request.headers()).unwrap_or_default();
        self.forward(request, forward, &authority, Instant::now())
            .await
    }

    async fn forward(
        &self,
        request: Request<Body>,
        forward: Forward,
        authority: &str,
        arrived: Instant,
    ) -> Response<Body> {
        let grpc = is_grpc(request.headers());
        let http2 = forward.http2 || grpc;
        let Some(request) = outgoing(request, &forward, authority, http2) else {
            return answer(
                400,
                "the request's path or host is not valid".to_owned(),
                grpc,
            );
        };
        let client = if http2 { &self.http2 } else { &self.http1 };
        let response = match forward.timeout {
            None => client.request(request).await,
            Some(timeout) => {
                let left = timeout.saturating_sub(arrived.elapsed());
                match tokio::time::timeout(left, client.request(request)).await {
                    Ok(response) => response,
                    Err(_) => return answer(504, "upstream request timeout".to_owned(), grpc),
                }
            }
        };
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(%error, to = %forward.to, "no answer from the pod");
                return answer(503, format!("upstream connect error: {error}"), grpc);
            }
        };
        let (mut parts, body) = response.into_parts();
        remove_hop_by_hop(&mut parts.headers);
        edit(&mut parts.headers, &forward.response_headers);
        parts.version = Version::default();
        let body = match forward.timeout {
            None => boxed(body),
            Some(timeout) => with_deadline(boxed(body), timeout.saturating_sub(arrived.elapsed())),
        };
        Response::from_parts(parts, body)
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy::new()
    }
}

fn host_header(headers: &HeaderMap) -> Option<String> {
    headers.get(header::HOST)?.to_str().ok().map(str::to_owned)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"))
}

/// The request as the pod gets it: its connection is the pod's, its `Host` the client's.
fn outgoing(
    request: Request<Body>,
    forward: &Forward,
    authority: &str,
    http2: bool,
) -> Option<Request<Body>> {
    let (mut parts, body) = request.into_parts();
    remove_hop_by_hop(&mut parts.headers);
    parts.headers.remove(header::HOST);
    edit(&mut parts.headers, &forward.request_headers);
    if http2 {
        parts.version = Version::HTTP_2;
        parts
            .headers
            .insert(header::TE, HeaderValue::from_static("trailers"));
    } else {
        parts.version = Version::HTTP_11;
        parts.headers.insert(header::HOST, authority.parse().ok()?);
    }
    parts.uri = Uri::builder()
        .scheme("http")
        .authority(forward.to.to_string())
        .path_and_query(forward.path_and_query.as_str())
        .build()
        .ok()?;
    parts.extensions.clear();
    Some(Request::from_parts(parts, body))
}

/// RFC 9110 7.6.1: fields for one connection only, and those that `Connection` names.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ] {
        headers.remove(name);
    }
}

fn edit(headers: &mut HeaderMap, edits: &HeaderEdits) {
    for (name, value) in &edits.set {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    }
    for (name, value) in &edits.add {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            headers.append(name, value);
        }
    }
    for name in &edits.remove {
        headers.remove(name);
    }
}

/// An answer that the data plane makes itself. A gRPC client gets the HTTP status too, from which
/// it derives its own code (gRPC over HTTP/2, "HTTP2 Transport Mapping").
fn answer(status: u16, why: String, grpc: bool) -> Response<Body> {
    let body = if grpc { Bytes::new() } else { Bytes::from(why) };
    let mut response = Response::new(full(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn redirect(status: u16, location: &str) -> Response<Body> {
    let mut response = answer(status, String::new(), false);
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
