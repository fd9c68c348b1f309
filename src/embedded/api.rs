//! The API over HTTPS: authentication, bodies and streams around the REST layer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::body::{Body, BoxError, boxed, full};
use super::credentials::Credentials;
use super::fingerprint::fnv;
use super::hub::Hub;
use super::kubelet::{self, Logs};
use super::percent::decode_query;
use super::proxy::Proxy;
use super::rest::{self, LogRequest, ProxyRequest, Reply};
use super::serve::{Protocol, Stopped, Transport, serve};
use super::status::ApiError;
use super::watch::{WatchSpec, error_event};

/// A request body larger than this is refused; a real server's limit is 3 MiB.
const MAX_BODY: usize = 3 << 20;
/// A request body slower than this is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Watches at once.
const MAX_WATCHES: usize = 1_000;
/// Bookmarks go out this often on an idle watch.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// What answers API requests.
#[derive(Clone)]
struct Api {
    hub: Arc<Hub>,
    proxy: Proxy,
    logs: Logs,
    authorization: Arc<str>,
    watches: Arc<Semaphore>,
    stopped: Stopped,
}

/// Serves the API until stopped.
pub async fn run(
    listener: TcpListener,
    credentials: &Credentials,
    hub: Arc<Hub>,
    proxy: Proxy,
    logs: Logs,
    stopped: Stopped,
) {
    let api = Api {
        hub,
        proxy,
        logs,
        authorization: format!("Bearer {}", credentials.token).into(),
        watches: Arc::new(Semaphore::new(MAX_WATCHES)),
        stopped: stopped.clone(),
    };
    let transport = Transport::Tls(credentials.tls.clone());
    serve(
        listener,
        transport,
        Protocol::Either,
        stopped,
        move |peer| {
            let api = api.clone();
            tower::service_fn(move |request| {
                let api = api.clone();
                async move { Ok::<_, Infallible>(api.answer(request, peer.is_certified).await) }
            })
        },
    )
    .await;
}

/// Events of one watch that wait to be sent.
const WATCH_QUEUE: usize = 2;
/// A watch that is not read for as long ends; its client starts another.
const UNREAD: Duration = Duration::from_secs(10);

impl Api {
    async fn answer(&self, request: Request<Incoming>, certified: bool) -> Response<Body> {
        let known = etag_of(&request);
        let headers = request.headers().clone();
        let request = match self.read(request, certified).await {
            Ok(request) => request,
            Err(error) => return refused(&error),
        };
        // A request may wait for the lock; the data plane's threads must not.
        let hub = self.hub.clone();
        let answered = tokio::task::spawn_blocking(move || {
            let answer = hub.request(&request);
            (request, answer)
        });
        let Ok((request, answer)) = answered.await else {
            return refused(&ApiError::internal("the request could not be answered"));
        };
        match answer {
            Err(error) => refused(&error),
            Ok(Reply::Json {
                body, media_type, ..
            }) if is_document(&request.path) => {
                cached(media_type, body.to_string().into_bytes(), known.as_deref())
            }
            Ok(Reply::Bytes(media_type, bytes)) if is_document(&request.path) => {
                cached(media_type, bytes, known.as_deref())
            }
            Ok(Reply::Json {
                code,
                body,
                media_type,
                warnings,
            }) => document(code, media_type, &body, &warnings),
            Ok(Reply::Bytes(media_type, bytes)) => respond(200, media_type, full(bytes)),
            Ok(Reply::Text(code, text)) => respond(code, "text/plain", full(text)),
            Ok(Reply::Proxy(to)) => self.pass_on(request, headers, to).await,
            Ok(Reply::Watch(spec)) => self.watch(spec),
            Ok(Reply::Log(asked)) => self.log(asked),
        }
    }

    /// Reads a request of somebody who has the token or a certificate.
    async fn read(
        &self,
        request: Request<Incoming>,
        certified: bool,
    ) -> Result<rest::Request, ApiError> {
        let header = |name: header::HeaderName| {
            let value = request.headers().get(name).and_then(|v| v.to_str().ok());
            value.unwrap_or("").to_owned()
        };
        let path = request.uri().path().to_owned();
        let authority = request.uri().authority().map(|a| a.to_string());
        let host = authority.unwrap_or_else(|| header(header::HOST));
        if !is_local(&host) {
            return Err(ApiError::foreign_host(&host));
        }
        if !certified && !same(&header(header::AUTHORIZATION), &self.authorization) {
            return Err(ApiError::unauthorized());
        }
        let query = request.uri().query().unwrap_or("");
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (decode_query(key), decode_query(value)))
            .collect();
        let mut read = rest::Request {
            method: request.method().to_string(),
            path,
            query,
            content_type: header(header::CONTENT_TYPE),
            accept: header(header::ACCEPT),
            user_agent: header(header::USER_AGENT),
            body: Vec::new(),
        };
        let body = Limited::new(request.into_body(), MAX_BODY).collect();
        let body = tokio::time::timeout(BODY_TIMEOUT, body)
            .await
            .map_err(|_| ApiError::bad_request("the request's body took too long"))?;
        read.body = body
            .map_err(|error| match error.is::<LengthLimitError>() {
                true => ApiError::too_large(MAX_BODY),
                false => ApiError::bad_request(format!("reading the request's body: {error}")),
            })?
            .to_bytes()
            .to_vec();
        Ok(read)
    }

    /// A request through the API server to a Service or pod.
    async fn pass_on(
        &self,
        request: rest::Request,
        mut headers: HeaderMap,
        to: ProxyRequest,
    ) -> Response<Body> {
        let outgoing = Request::builder()
            .method(request.method.as_str())
            .uri(&to.path)
            .body(full(request.body));
        let Ok(mut outgoing) = outgoing else {
            return refused(&ApiError::bad_request("the path to proxy to is not valid"));
        };
        // The token is for the API server alone.
        headers.remove(header::AUTHORIZATION);
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        *outgoing.headers_mut() = headers;
        let at = to.endpoints[fastrand::usize(..to.endpoints.len())];
        self.proxy.straight_to(outgoing, at).await
    }

    fn watch(&self, spec: WatchSpec) -> Response<Body> {
        let Ok(permit) = self.watches.clone().try_acquire_owned() else {
            return refused(&ApiError::too_many_watches(MAX_WATCHES));
        };
        let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(WATCH_QUEUE);
        let (hub, mut stopped) = (self.hub.clone(), self.stopped.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let timeout = Duration::from_secs(spec.timeout_seconds.unwrap_or(3600).min(86_400));
            let end = tokio::time::Instant::now() + timeout;
            let mut revisions = hub.revisions();
            let (mut watch, mut events) = hub.watch(spec);
            // What has changed since the revision asked for comes at once.
            match hub.poll(&mut watch) {
                Ok(more) => events.extend(more),
                Err(error) => {
                    let _ = sender.send(Ok(line(&error_event(&error)))).await;
                    return;
                }
            }
            let mut bookmarks_due = tokio::time::interval(BOOKMARK_EVERY);
            bookmarks_due.reset();
            loop {
                if sender.is_closed() {
                    return;
                }
                for event in &events {
                    // Who does not read would fill the memory with what waits for it.
                    let told = tokio::time::timeout(UNREAD, sender.send(Ok(line(event)))).await;
                    if !matches!(told, Ok(Ok(()))) {
                        return;
                    }
                }
                let bookmarks = watch.spec().bookmarks;
                tokio::select! {
                    changed = revisions.changed() => if changed.is_err() { return },
                    _ = bookmarks_due.tick(), if bookmarks => {
                        events = vec![watch.bookmark()];
                        continue;
                    }
                    () = tokio::time::sleep_until(end) => return,
                    () = stopped.wait() => return,
                }
                events = match hub.poll(&mut watch) {
                    Ok(events) => events,
                    Err(error) => {
                        let _ = sender.send(Ok(line(&error_event(&error)))).await;
                        return;
                    }
                };
            }
        });
        stream("application/json", receiver)
    }

    fn log(&self, asked: LogRequest) -> Response<Body> {
        let log = kubelet::lock(&self.logs).get(&asked.pod).cloned();
        let Some(log) = log else {
            return respond(200, "text/plain", full(""));
        };
        let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(16);
        let mut stopped = self.stopped.clone();
        let (hub, logs) = (self.hub.clone(), self.logs.clone());
        tokio::spawn(async move {
            let mut bell = log.bell();
            let mut revisions = hub.revisions();
            let (mut lines, mut told) = log.since(0);
            if let Some(seconds) = asked.since_seconds {
                let oldest = jiff::Timestamp::now().as_second().saturating_sub(seconds);
                lines.retain(|line| line.at.as_second() >= oldest);
            }
            if let Some(tail) = asked.tail {
                lines.drain(..lines.len().saturating_sub(tail));
            }
            loop {
                for line in &lines {
                    let text = match asked.timestamps {
                        true => format!("{} {}\n", line.at, line.text),
                        false => format!("{}\n", line.text),
                    };
                    let frame = Frame::data(Bytes::from(text));
                    if sender.send(Ok(frame)).await.is_err() {
                        return;
                    }
                }
                let gone = !kubelet::lock(&logs).contains_key(&asked.pod);
                if !asked.follow || gone || sender.is_closed() {
                    return;
                }
                tokio::select! {
                    changed = bell.changed() => if changed.is_err() { return },
                    // The pod may have gone.
                    changed = revisions.changed() => if changed.is_err() { return },
                    () = stopped.wait() => return,
                }
                (lines, told) = log.since(told);
            }
        });
        stream("text/plain", receiver)
    }
}

/// The `If-None-Match` of a request.
fn etag_of(request: &Request<Incoming>) -> Option<String> {
    let value = request.headers().get(header::IF_NONE_MATCH)?;
    value.to_str().ok().map(str::to_owned)
}

/// True for discovery and OpenAPI, which clients keep and ask about again.
fn is_document(path: &str) -> bool {
    path == "/api" || path == "/apis" || path.starts_with("/openapi/")
}

/// A document with its `ETag`, or 304 if the client has it.
fn cached(media_type: &'static str, bytes: Vec<u8>, known: Option<&str>) -> Response<Body> {
    let etag = format!("\"{:016X}\"", fnv([bytes.as_slice()]));
    let mut response = if known == Some(etag.as_str()) {
        respond(304, media_type, full(""))
    } else {
        respond(200, media_type, full(bytes))
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

/// A page of another site may name this port, but not with a Host of this machine's.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    ["127.0.0.1", "localhost", "[::1]", "kubernetes"].contains(&name.as_str())
}

/// Compares without telling by its time where two texts differ.
fn same(a: &str, b: &str) -> bool {
    let differ = a.bytes().zip(b.bytes()).fold(0, |d, (a, b)| d | (a ^ b));
    a.len() == b.len() && differ == 0
}

fn line(event: &Value) -> Frame<Bytes> {
    Frame::data(Bytes::from(format!("{event}\n")))
}

fn stream(
    media_type: &'static str,
    frames: mpsc::Receiver<Result<Frame<Bytes>, Infallible>>,
) -> Response<Body> {
    let frames = frames.map(|frame| frame.map_err(|never| -> BoxError { match never {} }));
    respond(200, media_type, boxed(StreamBody::new(frames)))
}

fn refused(error: &ApiError) -> Response<Body> {
    document(error.code, "application/json", &error.to_json(), &[])
}

fn document(
    code: u16,
    media_type: &'static str,
    body: &Value,
    warnings: &[String],
) -> Response<Body> {
    let mut response = respond(code, media_type, full(body.to_string()));
    for warning in warnings {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{}\"", quoted(warning))) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// The inside of an HTTP quoted-string (RFC 9110 5.6.4).
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// kubectl's dispatcher pins a server's version for good unless the answer says `no-cache, private`.
fn respond(code: u16, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    let audit = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    if let Ok(audit) = HeaderValue::from_str(&audit) {
        headers.insert("audit-id", audit);
    }
    response
}
