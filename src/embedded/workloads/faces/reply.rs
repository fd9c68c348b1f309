//! The JSON envelope and headers of the HTTP roles (FACES.md 2.1 to 2.4).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::dice::Dice;
use super::role::{Edition, Role};
use crate::embedded::percent;

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
    pub fn answer(&self, role: &Role, status: u16, fields: Value) -> Response<Body> {
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
        self.standard_headers(role, plain(status, "application/json", text))
    }

    /// A failure: an envelope with `errors`, of the candidates plain text.
    pub fn failure(&self, role: &Role, status: u16, why: String) -> Response<Body> {
        if role.edition == Edition::Release {
            return self.answer(role, status, json!({"errors": [why]}));
        }
        self.standard_headers(role, plain(status, "text/plain", why))
    }

    /// What the candidates' answers have besides; `fields` of others stay as they are.
    pub fn completed(&self, role: &Role, dice: &Dice, mut fields: Value) -> Value {
        if role.edition == Edition::Candidate {
            fields["rate"] = json!(format!("{:.1} RPS", dice.rate().unwrap_or(0.0)));
            if fields["errors"].is_null() {
                fields["errors"] = json!([]);
            }
        }
        fields
    }

    /// The candidates' own paths, which throw no dice: `/ready` and `/rl`.
    pub fn about(&self, role: &Role, rate: Option<f64>) -> Option<Response<Body>> {
        if role.edition == Edition::Release || self.method != "GET" {
            return None;
        }
        let rate = rate.map_or_else(|| "N/A".to_owned(), |r| format!("{r:.1}"));
        match self.path.as_str() {
            "/ready" => Some(self.answer(role, 200, json!({"ready": true}))),
            "/rl" => Some(self.answer(role, 200, json!({"rl": rate}))),
            _ => None,
        }
    }

    fn standard_headers(&self, role: &Role, mut response: Response<Body>) -> Response<Body> {
        let fields = [
            (role.user_header.as_str(), self.header(&role.user_header)),
            ("user-agent", self.header("user-agent")),
            ("x-faces-pod", &role.pod),
        ];
        set_headers(&mut response, &fields);
        response
    }

    /// The answer to a request that is no GET, or whose path is not clean; none for the others.
    pub fn early(&self, role: &Role) -> Option<Response<Body>> {
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
            "HEAD" => Some(self.answer(role, 200, json!({}))),
            method => Some(self.not_allowed(role, method)),
        }
    }

    /// 405; of the candidates without any header of theirs.
    pub fn not_allowed(&self, role: &Role, method: &str) -> Response<Body> {
        let why = format!("method {method} is not allowed");
        if role.edition == Edition::Release {
            return self.answer(role, 405, json!({"errors": [why]}));
        }
        plain(405, "text/plain", why)
    }

    /// For the log: what was asked, and by whom.
    pub fn describe(&self, role: &Role) -> String {
        let user = self.header(&role.user_header);
        format!(
            "{} {} row {} col {} user {user}",
            self.method, self.path, self.row, self.col
        )
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

/// An answer without the standard headers.
pub fn plain(status: u16, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert("content-type", kind);
    response
}

/// Sets fields whose names and values may come from outside; what cannot be sent is left out.
pub fn set_headers(response: &mut Response<Body>, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
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
