//! The API over HTTPS: authentication, bodies and streams around the REST layer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::body::{Body, BoxError, boxed, full};
use super::credentials::Credentials;
use super::hub::Hub;
use super::kubelet::{self, Logs};
use super::rest::{self, LogRequest, Reply};
use super::routing::matching::decode;
use super::serve::{Protocol, Stopped, connection};
use super::status::ApiError;
use super::watch::{WatchSpec, error_event};

/// A request body larger than this is refused; a real server's limit is 3 MiB.
const MAX_BODY: usize = 3 << 20;
/// Bookmarks go out this often on an idle watch.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// What answers API requests.
#[derive(Clone)]
struct Api {
    hub: Arc<Hub>,
    logs: Logs,
    authorization: Arc<str>,
    stopped: Stopped,
}

/// Serves the API until stopped.
pub async fn run(
    listener: TcpListener,
    credentials: &Credentials,
    hub: Arc<Hub>,
    logs: Logs,
    mut stopped: Stopped,
) {
    let acceptor = TlsAcceptor::from(credentials.tls.clone());
    let api = Api {
        hub,
        logs,
        authorization: format!("Bearer {}", credentials.token).into(),
        stopped: stopped.clone(),
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped.wait() => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (acceptor, api, stopped) = (acceptor.clone(), api.clone(), stopped.clone());
        tokio::spawn(async move {
            // A client that does not trust our CA ends here; that is its own message to show.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = tower::service_fn(move |request| {
                let api = api.clone();
                async move { Ok::<_, Infallible>(api.answer(request).await) }
            });
            connection(stream, Protocol::Either, service, stopped).await;
        });
    }
}

impl Api {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let request = match self.read(request).await {
            Ok(request) => request,
            Err(error) => return refused(&error),
        };
        match self.hub.request(&request) {
            Err(error) => refused(&error),
            Ok(Reply::Json {
                code,
                body,
                media_type,
                warnings,
            }) => document(code, media_type, &body, &warnings),
            Ok(Reply::Text(code, text)) => respond(code, "text/plain", full(text)),
            Ok(Reply::Watch(spec)) => self.watch(spec),
            Ok(Reply::Log(asked)) => self.log(asked),
        }
    }

    async fn read(&self, request: Request<Incoming>) -> Result<rest::Request, ApiError> {
        let header = |name: header::HeaderName| {
            let value = request.headers().get(name).and_then(|v| v.to_str().ok());
            value.unwrap_or("").to_owned()
        };
        let path = request.uri().path().to_owned();
        let open = matches!(
            path.as_str(),
            "/version" | "/livez" | "/readyz" | "/healthz"
        );
        if !open && header(header::AUTHORIZATION) != *self.authorization {
            return Err(ApiError::unauthorized());
        }
        let query = request.uri().query().unwrap_or("");
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (decode(key), decode(value)))
            .collect();
        let mut read = rest::Request {
            method: request.method().to_string(),
            path,
            query,
            content_type: header(header::CONTENT_TYPE),
            accept: header(header::ACCEPT),
            body: Vec::new(),
        };
        let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
        read.body = body
            .map_err(|e| ApiError::bad_request(format!("reading the request's body: {e}")))?
            .to_bytes()
            .to_vec();
        Ok(read)
    }

    fn watch(&self, spec: WatchSpec) -> Response<Body> {
        let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(16);
        let (hub, mut stopped) = (self.hub.clone(), self.stopped.clone());
        tokio::spawn(async move {
            let timeout = Duration::from_secs(spec.timeout_seconds.unwrap_or(3600));
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
            loop {
                for event in &events {
                    if sender.send(Ok(line(event))).await.is_err() {
                        return;
                    }
                }
                let bookmarks = watch.spec().bookmarks;
                tokio::select! {
                    changed = revisions.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(BOOKMARK_EVERY), if bookmarks => {
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
        tokio::spawn(async move {
            let mut bell = log.bell();
            let (mut lines, mut told) = log.since(0);
            if let Some(tail) = asked.tail {
                lines.drain(..lines.len().saturating_sub(tail));
            }
            loop {
                for text in &lines {
                    let frame = Frame::data(Bytes::from(format!("{text}\n")));
                    if sender.send(Ok(frame)).await.is_err() {
                        return;
                    }
                }
                if !asked.follow {
                    return;
                }
                tokio::select! {
                    changed = bell.changed() => if changed.is_err() { return },
                    () = stopped.wait() => return,
                }
                (lines, told) = log.since(told);
            }
        });
        stream("text/plain", receiver)
    }
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
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{warning}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
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
