//! The JSON envelope and headers of the HTTP roles (FACES.md 2.1 to 2.4).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::super::Container;
use crate::embedded::percent;

/// A container's name for itself and for its users.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `X-Faces-Pod`.
    pub pod: String,
    /// The header that carries the user.
    pub user_header: String,
}

impl Identity {
    /// From the environment.
    pub fn new(container: &Container) -> Self {
        let pod = container
            .var("HOST_IP")
            .or_else(|| container.var("HOSTNAME"));
        let header = container.var("USER_HEADER_NAME").unwrap_or("X-Faces-User");
        Identity {
            pod: pod.unwrap_or("unknown").to_owned(),
            user_header: header.to_owned(),
        }
    }
}

/// What a role needs of a request to answer it.
#[derive(Clone, Debug)]
pub struct Call {
    method: String,
    path: String,
    headers: HeaderMap,
    peer: String,
    /// The first path segment: `center`, `edge` or anything.
    pub segment: String,
    /// `row`, -1 if unknown.
    pub row: i32,
    /// `col`, -1 if unknown.
    pub col: i32,
}

impl Call {
    /// Reads a request's head; the body is never looked at.
    pub fn read(request: &Request<Body>) -> Self {
        let path = percent::decode(request.uri().path());
        let query = request.uri().query().unwrap_or("");
        let number = |name: &str| {
            query
                .split('&')
                .filter_map(|p| p.split_once('='))
                .find(|(k, _)| *k == name)
                .and_then(|(_, v)| v.parse().ok())
                .unwrap_or(-1)
        };
        let peer = request.extensions().get::<SocketAddr>();
        Call {
            method: request.method().to_string(),
            segment: path.split('/').nth(1).unwrap_or("").to_owned(),
            row: number("row"),
            col: number("col"),
            headers: request.headers().clone(),
            peer: peer.map_or_else(String::new, ToString::to_string),
            path,
        }
    }

    /// A request header as text, empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("")
    }

    /// An answer: the envelope with `fields` added, and the standard headers.
    pub fn answer(&self, identity: &Identity, status: u16, fields: Value) -> Response<Body> {
        let mut body = json!({
            "client_address": self.peer, "headers": self.canonical_headers(),
            "method": self.method, "path": self.path, "status": status,
        });
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        let text = if self.method == "HEAD" {
            String::new()
        } else {
            escape_html(&body.to_string())
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in [
            (
                identity.user_header.as_str(),
                self.header(&identity.user_header),
            ),
            ("user-agent", self.header("user-agent")),
            ("x-faces-pod", &identity.pod),
        ] {
            if let (Ok(name), Ok(value)) = (
                name.parse::<axum::http::HeaderName>(),
                HeaderValue::from_str(value),
            ) {
                headers.insert(name, value);
            }
        }
        response
    }

    /// The answer to a request that is no GET, or whose path is not clean; none for the others.
    pub fn early(&self, identity: &Identity) -> Option<Response<Body>> {
        match self.method.as_str() {
            "GET" if self.path.contains("//") => {
                let mut response = Response::new(Body::from("<a>Moved Permanently</a>.\n"));
                *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
                let clean = self
                    .path
                    .split('/')
                    .filter(|s| !s.is_empty())
                    .collect::<Vec<_>>()
                    .join("/");
                let slash = if self.path.ends_with('/') && !clean.is_empty() {
                    "/"
                } else {
                    ""
                };
                if let Ok(location) = HeaderValue::from_str(&format!("/{clean}{slash}")) {
                    response.headers_mut().insert("location", location);
                }
                Some(response)
            }
            "GET" => None,
            "HEAD" => Some(self.answer(identity, 200, json!({}))),
            method => {
                let errors = json!({"errors": [format!("method {method} is not allowed")]});
                Some(self.answer(identity, 405, errors))
            }
        }
    }

    fn canonical_headers(&self) -> BTreeMap<String, Vec<String>> {
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &self.headers {
            if name != "host" {
                let values = headers.entry(canonical(name.as_str())).or_default();
                values.push(String::from_utf8_lossy(value.as_bytes()).into_owned());
            }
        }
        headers
    }
}

/// `x-faces-user` as `X-Faces-User`.
fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let c = if upper { c.to_ascii_uppercase() } else { c };
            upper = c == '-';
            c
        })
        .collect()
}

/// Go's encoder writes `&`, `<` and `>` as escapes.
fn escape_html(json: &str) -> String {
    json.replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
}
