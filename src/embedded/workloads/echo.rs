//! The Gateway API conformance suite's echo-basic: tells what reached it (GATEWAY.md 11).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use serde_json::json;
use tonic::Status;

use super::super::percent::decode_query;
use super::super::serve::Protocol;
use super::{Container, Crash, Log, Running, Workload};

/// The workload.
pub struct Echo;

const SERVICE: &str = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/";
/// `?delay=` waits no longer.
const MOST_DELAY: Duration = Duration::from_secs(60);
/// Counters that `/retry/` keeps.
const MOST_RETRIES: usize = 1_000;

impl Workload for Echo {
    fn images(&self) -> &'static [&'static str] {
        &["echo-basic"]
    }

    fn start(&self, container: &Container) -> Result<Running, Crash> {
        let var = |name: &str| container.var(name).unwrap_or("").to_owned();
        let echo = Arc::new(Service {
            pod: container
                .var("POD_NAME")
                .unwrap_or(&container.pod)
                .to_owned(),
            namespace: var("NAMESPACE"),
            ingress: var("INGRESS_NAME"),
            service: var("SERVICE_NAME"),
            log: container.log.clone(),
            tries: Mutex::default(),
        });
        let port = |name: &str, default| {
            container
                .var(name)
                .map_or(Some(default), |v| v.parse().ok())
        };
        let (Some(http), Some(h2c)) = (port("HTTP_PORT", 3000), port("H2C_PORT", 3001)) else {
            return Err(Crash("HTTP_PORT and H2C_PORT must be ports".to_owned()));
        };
        container
            .log
            .line(format!("Starting server, listening on port {http} (http)"));
        let router = Router::new().fallback(move |request| answer(echo.clone(), request));
        Ok(Running {
            protocol: Protocol::Either,
            router: router.clone(),
            default_port: http,
            others: vec![(h2c, Protocol::Http2, router)],
        })
    }
}

struct Service {
    pod: String,
    namespace: String,
    ingress: String,
    service: String,
    log: Log,
    tries: Mutex<BTreeMap<String, u32>>,
}

async fn answer(echo: Arc<Service>, request: Request<Body>) -> Response<Body> {
    let path = collapsed(request.uri().path());
    if path.starts_with(SERVICE) {
        return grpc(echo, request).await;
    }
    let text = request.uri().query().unwrap_or("").to_owned();
    let query = |name: &str| -> Option<String> {
        text.split('&')
            .filter_map(|p| p.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| decode_query(value))
    };
    if let Some(delay) = query("delay").as_deref().and_then(go_duration) {
        tokio::time::sleep(delay.min(MOST_DELAY)).await;
    }
    if let Some(status) = path.strip_prefix("/status/") {
        let status = status
            .parse()
            .ok()
            .and_then(|s| StatusCode::from_u16(s).ok());
        return plain(status.unwrap_or(StatusCode::BAD_REQUEST), "");
    }
    if path == "/health" {
        return plain(StatusCode::OK, "OK");
    }
    if path.starts_with("/retry/")
        && let (Some(id), Some(succeed)) = (query("uuid"), query("succeedAfter"))
        && !echo.succeeds(id, succeed.parse().unwrap_or(0))
    {
        if let Some(pause) = query("delayRetry").as_deref().and_then(go_duration) {
            tokio::time::sleep(pause.min(MOST_DELAY)).await;
        }
        let code = query("responseCode").and_then(|c| c.parse::<u16>().ok());
        let status = code.and_then(|c| StatusCode::from_u16(c).ok());
        return plain(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "");
    }
    echo.echo(&request)
}

impl Service {
    /// The first calls with an id fail.
    fn succeeds(&self, id: String, after: u32) -> bool {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= MOST_RETRIES {
            tries.clear();
        }
        let count = tries.entry(id).or_default();
        *count += 1;
        *count > after
    }

    fn echo(&self, request: &Request<Body>) -> Response<Body> {
        let uri = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let peer = request.extensions().get::<std::net::SocketAddr>();
        let peer = peer.map_or_else(String::new, ToString::to_string);
        self.log.line(format!(
            "Echoing back request made to {uri} to client ({peer})"
        ));
        let host = request.uri().host().map(str::to_owned).or_else(|| {
            let value = request.headers().get("host")?;
            value.to_str().ok().map(str::to_owned)
        });
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in request.headers().iter().filter(|(n, _)| *n != "host") {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers
                .entry(canonical(name.as_str()))
                .or_default()
                .push(value);
        }
        let body = json!({
            "path": uri, "host": host.unwrap_or_default(), "method": request.method().as_str(),
            "proto": proto(request.version()), "headers": headers, "httpPort": "3000",
            "namespace": self.namespace, "ingress": self.ingress, "service": self.service,
            "pod": self.pod,
        });
        let text = serde_json::to_string_pretty(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        let fixed = response.headers_mut();
        fixed.insert("content-type", HeaderValue::from_static("application/json"));
        fixed.insert(
            "x-content-type-options",
            HeaderValue::from_static("nosniff"),
        );
        let asked = request.headers().get("x-echo-set-header");
        set_headers(
            &mut response,
            asked.and_then(|v| v.to_str().ok()).unwrap_or(""),
        );
        response
    }
}

/// `Name:value,Name2:value2`; the same name again is joined.
fn set_headers(response: &mut Response<Body>, asked: &str) {
    let headers = response.headers_mut();
    for pair in asked.split(',') {
        let Some((name, value)) = pair.split_once(':') else {
            continue;
        };
        let Ok(name) = name.trim().parse::<HeaderName>() else {
            continue;
        };
        let joined = match headers.get(&name).and_then(|v| v.to_str().ok()) {
            Some(before) => format!("{before},{}", value.trim()),
            None => value.trim().to_owned(),
        };
        if let Ok(value) = joined.parse() {
            headers.insert(name, value);
        }
    }
}

/// Runs of slashes count as one.
fn collapsed(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out
}

/// `X-Faces-User`, as Go writes header names.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

fn proto(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// Go's durations, as far as tests write them: `1s`, `200ms`, `1.5s`.
fn go_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let number: f64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

/// `EchoRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EchoRequest {}

/// `EchoResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EchoResponse {
    /// What reached the server.
    #[prost(message, optional, tag = "1")]
    pub assertions: Option<Assertions>,
}

/// What reached the server.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Assertions {
    /// `/SERVICE/METHOD`.
    #[prost(string, tag = "1")]
    pub fully_qualified_method: String,
    /// The metadata.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<Header>,
    /// `:authority`.
    #[prost(string, tag = "3")]
    pub authority: String,
    /// Who answers.
    #[prost(message, optional, tag = "4")]
    pub context: Option<Context>,
}

/// One header.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Header {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Who answers.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Context {
    /// The pod's namespace.
    #[prost(string, tag = "1")]
    pub namespace: String,
    /// `INGRESS_NAME`.
    #[prost(string, tag = "2")]
    pub ingress: String,
    /// `SERVICE_NAME`.
    #[prost(string, tag = "3")]
    pub service_name: String,
    /// The pod.
    #[prost(string, tag = "4")]
    pub pod: String,
}

async fn grpc(echo: Arc<Service>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let method = path.strip_prefix(SERVICE).unwrap_or("");
    let response = if ["Echo", "EchoTwo"].contains(&method) {
        let assertions = echo.assertions(&request);
        let codec = tonic_prost::ProstCodec::<EchoResponse, EchoRequest>::default();
        let unary = tower::service_fn(move |_: tonic::Request<EchoRequest>| {
            let assertions = Some(assertions.clone());
            async move { Ok(tonic::Response::new(EchoResponse { assertions })) }
        });
        tonic::server::Grpc::new(codec).unary(unary, request).await
    } else {
        Status::unimplemented(format!("method {method} not implemented")).into_http()
    };
    response.map(Body::new)
}

impl Service {
    fn assertions(&self, request: &Request<Body>) -> Assertions {
        let headers = request.headers().iter().map(|(name, value)| Header {
            key: name.as_str().to_owned(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        });
        Assertions {
            fully_qualified_method: request.uri().path().to_owned(),
            headers: headers.collect(),
            authority: request
                .uri()
                .authority()
                .map(ToString::to_string)
                .unwrap_or_default(),
            context: Some(Context {
                namespace: self.namespace.clone(),
                ingress: self.ingress.clone(),
                service_name: self.service.clone(),
                pod: self.pod.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn service() -> Service {
        Service {
            pod: "p".into(),
            namespace: "n".into(),
            ingress: String::new(),
            service: String::new(),
            log: Log::new(),
            tries: Mutex::default(),
        }
    }

    #[tokio::test]
    async fn a_request_is_told_back_with_gos_header_names() {
        let request = Request::get("/a//b?x=1")
            .header("host", "example.org")
            .header("x-faces-user", "heart")
            .header("x-echo-set-header", "A:1,B:2,A:3")
            .body(Body::empty())
            .unwrap();
        let response = answer(Arc::new(service()), request).await;
        assert_eq!(response.headers()["a"], "1,3");
        let bytes = axum::body::to_bytes(response.into_body(), 9_999)
            .await
            .unwrap();
        let told = serde_json::from_slice::<Value>(&bytes).unwrap();
        assert_eq!(told["path"], "/a//b?x=1");
        assert_eq!(
            (&told["host"], &told["pod"]),
            (&json!("example.org"), &json!("p"))
        );
        assert_eq!(told["headers"]["X-Faces-User"], json!(["heart"]));
        assert_eq!(told["headers"]["Host"], Value::Null);
    }

    #[test]
    fn the_first_tries_fail_and_durations_are_gos() {
        let echo = service();
        let tries: Vec<bool> = (0..3).map(|_| echo.succeeds("u".into(), 2)).collect();
        assert_eq!(tries, [false, false, true]);
        assert_eq!(go_duration("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(go_duration("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(go_duration("x"), None);
        assert_eq!(collapsed("//a///b/"), "/a/b/");
    }
}
