//! The data plane's hands: does with a request what routing decided.

mod answer;
mod headers;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Response, Uri, Version, request};
use tokio::sync::Semaphore;

use self::headers::{edit, is_grpc, remove_hop_by_hop};
use self::upstream::Upstream;
use super::body::{Body, BoxError, Gathered, boxed, full, gather, with_deadline};
use super::routing::decision::{Forward, MirrorTo, Refusal};
use super::routing::{Decision, RequestHead, hostname};
pub use answer::plain;

/// Bodies up to this size are kept for mirrors and further tries; larger ones stream on without.
const MOST_KEPT: usize = 1 << 20;
/// A body that takes longer than this streams on: a stream of messages need not end.
const GATHER_FOR: Duration = Duration::from_millis(100);

/// Copies of requests that are under way at once.
const MOST_MIRRORS: usize = 1_000;

/// Sends requests to pods.
#[derive(Clone, Debug)]
pub struct Proxy {
    upstream: Upstream,
    mirrors: Arc<Semaphore>,
}

/// A request's parts but for its body, and where its response's time runs out.
struct Outgoing {
    parts: request::Parts,
    forward: Forward,
    authority: String,
    grpc: bool,
    deadline: Option<Instant>,
}

/// A body that can be sent once, or again and again.
enum Payload {
    Once(Option<Body>),
    Kept(Bytes),
}

impl Payload {
    fn take(&mut self) -> Option<Body> {
        match self {
            Payload::Once(body) => body.take(),
            Payload::Kept(bytes) => Some(full(bytes.clone())),
        }
    }
}

impl Proxy {
    /// With no connections.
    pub fn new() -> Self {
        Proxy {
            upstream: Upstream::new(),
            mirrors: Arc::new(Semaphore::new(MOST_MIRRORS)),
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
            .or_else(|| headers::host(request.headers()))
            .unwrap_or_default();
        let host = hostname::without_port(&authority);
        let decision = decide(&RequestHead {
            method: request.method().as_str(),
            host: &host,
            port: hostname::port(&authority),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or(""),
            headers: request.headers(),
        });
        match decision {
            Decision::Answer(refusal) => {
                let grpc = is_grpc(request.headers());
                read_away(request).await;
                answer::refusal(&refusal, grpc)
            }
            Decision::Redirect(status, location) => {
                read_away(request).await;
                answer::redirect(status, &location)
            }
            Decision::Forward(forward) => {
                let authority = forward.host.clone().unwrap_or(authority);
                self.forward(request, *forward, authority, arrived).await
            }
        }
    }

    /// Sends a request to an address, past all routes.
    pub async fn straight_to(&self, request: Request<Body>, to: SocketAddr) -> Response<Body> {
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let forward = Forward::straight(to, path.to_owned());
        let authority = headers::host(request.headers()).unwrap_or_default();
        self.forward(request, forward, authority, Instant::now())
            .await
    }

    async fn forward(
        &self,
        request: Request<Body>,
        forward: Forward,
        authority: String,
        arrived: Instant,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let keeps = forward.retry.is_some() || !forward.mirrors.is_empty();
        let mut payload = match keeps {
            false => Payload::Once(Some(body)),
            true => match gather(body, MOST_KEPT, GATHER_FOR).await {
                Gathered::Whole(bytes) => Payload::Kept(bytes),
                Gathered::Streaming(body) => Payload::Once(Some(body)),
            },
        };
        let mut outgoing = Outgoing {
            grpc: is_grpc(&parts.headers),
            deadline: forward.timeout.map(|t| arrived + t),
            authority,
            parts,
            forward,
        };
        prepare(&mut outgoing);
        if let Payload::Kept(bytes) = &payload {
            for mirror in &outgoing.forward.mirrors {
                self.mirror(&outgoing, mirror, bytes.clone());
            }
        }
        match self.try_all(&outgoing, &mut payload).await {
            Ok(response) => returned(response, &outgoing),
            Err(refusal) => {
                let refusal = refusal.by(outgoing.forward.flavor);
                answer::refusal(&refusal, outgoing.grpc)
            }
        }
    }

    /// Tries until an answer stands, as often as the route says.
    async fn try_all(
        &self,
        outgoing: &Outgoing,
        payload: &mut Payload,
    ) -> Result<Response<Body>, Refusal> {
        let retry = outgoing.forward.retry.clone();
        let again = retry.as_ref().map_or(0, |r| r.attempts as usize);
        let endpoints = &outgoing.forward.endpoints;
        let mut last = Refusal::new(503, "no try was made");
        for attempt in 0..=again {
            let Some(body) = payload.take() else { break };
            if attempt > 0
                && let Some(retry) = &retry
            {
                let pause = tokio::time::sleep(retry.backoff);
                if before(outgoing.deadline, pause).await.is_none() {
                    return Err(timed_out());
                }
            }
            let to = endpoints[(outgoing.forward.first + attempt) % endpoints.len()];
            match self.try_once(outgoing, to, body).await {
                Ok(response) => {
                    let code = response.status().as_u16();
                    let counts = retry.as_ref().is_some_and(|r| r.codes.contains(&code));
                    if !counts || attempt == again || matches!(payload, Payload::Once(None)) {
                        return Ok(response);
                    }
                }
                Err(refusal) => last = refusal,
            }
            if outgoing.deadline.is_some_and(|d| Instant::now() >= d) {
                return Err(timed_out());
            }
        }
        Err(last)
    }

    async fn try_once(
        &self,
        outgoing: &Outgoing,
        to: SocketAddr,
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        let try_until = outgoing.forward.try_timeout.map(|t| Instant::now() + t);
        let until = [outgoing.deadline, try_until].into_iter().flatten().min();
        let sent = self.send(outgoing, to, outgoing.forward.http2, body);
        match before(until, sent).await {
            None => Err(timed_out()),
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => {
                tracing::debug!(%error, %to, "no answer from the pod");
                let why = format!("upstream connect error or reset: {error}");
                Err(Refusal::new(503, why))
            }
        }
    }

    async fn send(
        &self,
        outgoing: &Outgoing,
        to: SocketAddr,
        http2: bool,
        body: Body,
    ) -> Result<Response<Body>, BoxError> {
        let http2 = http2 || outgoing.grpc;
        let mut request = Request::new(body);
        *request.method_mut() = outgoing.parts.method.clone();
        *request.headers_mut() = outgoing.parts.headers.clone();
        let authority = if http2 {
            outgoing.authority.clone()
        } else {
            to.to_string()
        };
        *request.uri_mut() = Uri::builder()
            .scheme("http")
            .authority(authority)
            .path_and_query(outgoing.forward.path_and_query.as_str())
            .build()?;
        if http2 {
            *request.version_mut() = Version::HTTP_2;
            let trailers = HeaderValue::from_static("trailers");
            request.headers_mut().insert(header::TE, trailers);
            self.upstream.over_http2(to, request).await
        } else {
            let host = outgoing.authority.parse()?;
            request.headers_mut().insert(header::HOST, host);
            self.upstream.over_http1(request).await
        }
    }

    /// Sends a copy; nobody waits for its answer. Past the bound there are no copies: a mirror that
    /// is slow must not fill the memory.
    fn mirror(&self, outgoing: &Outgoing, mirror: &MirrorTo, body: Bytes) {
        let Ok(permit) = self.mirrors.clone().try_acquire_owned() else {
            tracing::debug!(to = %mirror.to, "too many copies under way");
            return;
        };
        let copy = Outgoing {
            parts: outgoing.parts.clone(),
            forward: Forward::straight(mirror.to, outgoing.forward.path_and_query.clone()),
            authority: outgoing.authority.clone(),
            grpc: outgoing.grpc,
            deadline: None,
        };
        let (proxy, to, http2) = (self.clone(), mirror.to, mirror.http2);
        tokio::spawn(async move {
            let _permit = permit;
            let sent = proxy.send(&copy, to, http2, full(body));
            let until = Instant::now() + Duration::from_secs(15);
            if let Some(Ok(response)) = before(Some(until), sent).await {
                let _ = gather(response.into_body(), MOST_KEPT, Duration::from_secs(15)).await;
            }
        });
    }
}

/// An answer that comes before the request has been read ends an HTTP/2 stream with a reset, which
/// clients take for a failure.
async fn read_away(request: Request<Body>) {
    let _ = gather(request.into_body(), MOST_KEPT, GATHER_FOR).await;
}

fn timed_out() -> Refusal {
    Refusal::new(504, "upstream request timeout")
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy::new()
    }
}

/// What a future gives before a time; none if it takes longer.
async fn before<T>(until: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match until {
        None => Some(future.await),
        Some(until) => tokio::time::timeout_at(until.into(), future).await.ok(),
    }
}

/// The request's fields as the pod gets them: its connection is the pod's, its `Host` the client's.
fn prepare(outgoing: &mut Outgoing) {
    let headers = &mut outgoing.parts.headers;
    remove_hop_by_hop(headers);
    headers.remove(header::HOST);
    edit(headers, &outgoing.forward.request_headers);
    // A filter may set Host, which goes by another way.
    if let Some(host) = headers::host(headers) {
        headers.remove(header::HOST);
        outgoing.authority = host;
    }
}

fn returned(response: Response<Body>, outgoing: &Outgoing) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    remove_hop_by_hop(&mut parts.headers);
    edit(&mut parts.headers, &outgoing.forward.response_headers);
    parts.version = Version::default();
    let body = match outgoing.deadline {
        None => boxed(body),
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            with_deadline(boxed(body), left)
        }
    };
    Response::from_parts(parts, body)
}
