//! The face role: asks smiley and color at once and merges them (FACES.md 2.6).

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, uri::PathAndQuery};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tonic::metadata::MetadataValue;

use super::super::super::body::full;
use super::super::super::mesh::Mesh;
use super::color::{ColorRequest, ColorResponse};
use super::dice::{Dice, Fate};
use super::names::{self, CURSING, KABOOM, SLEEPING};
use super::reply::Call;
use super::role::{Edition, Role};

const GREY: &str = "#BBBBBB";
/// Redirects of the smiley service that are followed, as Go's client does.
const REDIRECTS: usize = 10;

struct Face {
    role: Role,
    dice: Dice,
    mesh: Mesh,
    smiley_service: String,
    color_service: String,
}

/// The role's service.
pub fn router(role: Role) -> Router {
    let smiley_service = role.var("SMILEY_SERVICE").unwrap_or("smiley").to_owned();
    let color_service = role.var("COLOR_SERVICE").unwrap_or("color").to_owned();
    let color_service = if color_service.contains(':') {
        color_service
    } else {
        format!("{color_service}:80")
    };
    let dice = role.dice();
    role.log(&format!(
        "using http://{smiley_service} and grpc://{color_service}"
    ));
    let face = Arc::new(Face {
        dice,
        mesh: role.mesh(),
        role,
        smiley_service,
        color_service,
    });
    Router::new().fallback(move |request| answer(face.clone(), request))
}

async fn answer(face: Arc<Face>, request: Request<Body>) -> Response<Body> {
    let start = Instant::now();
    let call = Call::read(&request);
    let role = &face.role;
    let early = call.about(role, face.dice.rate());
    if let Some(early) = early.or_else(|| call.early(role)) {
        return early;
    }
    let response = match face.dice.throw().await {
        Fate::Good => face.merged(&call).await,
        // A candidate that has too much to do answers all the same.
        Fate::Bad(429, _) if role.edition == Edition::Candidate => {
            let yellow = names::color("yellow");
            let fields = json!({"smiley": KABOOM, "color": yellow, "errors": [""], "latency": 0});
            call.answer(role, 200, call.completed(role, &face.dice, fields))
        }
        Fate::Bad(status, why) => call.failure(role, status, why),
    };
    let status = response.status().as_u16();
    role.answered("Face", status, start.elapsed(), &call.describe(role));
    response
}

impl Face {
    /// Both answers in one.
    async fn merged(&self, call: &Call) -> Response<Body> {
        let start = Instant::now();
        let ((smiley, smiley_error), (color, color_error)) =
            tokio::join!(self.smiley(call), self.color(call));
        let mut fields = json!({"smiley": smiley, "color": color});
        let candidate = self.role.edition == Edition::Candidate;
        // The candidates tell of a colour's failure twice.
        let twice = color_error.clone().filter(|_| candidate);
        let errors = smiley_error.into_iter().chain(color_error).chain(twice);
        let errors: Vec<String> = errors.collect();
        if !errors.is_empty() {
            fields["errors"] = json!(errors);
        }
        if candidate {
            fields["latency"] = json!(start.elapsed().as_millis() as u64);
        }
        let fields = call.completed(&self.role, &self.dice, fields);
        call.answer(&self.role, 200, fields)
    }

    /// The smiley, and what went wrong with it.
    async fn smiley(&self, call: &Call) -> (String, Option<String>) {
        let mut path = format!("/{}/?row={}&col={}", call.segment, call.row, call.col);
        let user = or_unknown(call.header(&self.role.user_header));
        let agent = or_unknown(call.header("user-agent"));
        for _ in 0..=REDIRECTS {
            let request = Request::get(format!("http://{}{path}", self.smiley_service))
                .header(self.role.user_header.as_str(), user)
                .header("user-agent", agent)
                .header("accept-encoding", "gzip")
                .body(full(""));
            let request = match request {
                Ok(request) => request,
                Err(error) => return (CURSING.to_owned(), Some(format!("smiley: {error}"))),
            };
            let response = self.mesh.send(request).await;
            let location = response
                .headers()
                .get("location")
                .and_then(|l| l.to_str().ok());
            match (response.status().is_redirection(), location) {
                (true, Some(location)) => path = location.to_owned(),
                _ => return judge(response, &self.smiley_service).await,
            }
        }
        (
            CURSING.to_owned(),
            Some("smiley: stopped after 10 redirects".to_owned()),
        )
    }

    /// The colour, and what went wrong with it.
    async fn color(&self, call: &Call) -> (String, Option<String>) {
        let method = match call.segment.as_str() {
            "center" => "/ColorService/Center",
            _ => "/ColorService/Edge",
        };
        let mut request = tonic::Request::new(ColorRequest {
            row: call.row,
            column: call.col,
        });
        let user = or_unknown(call.header(&self.role.user_header));
        if let Ok(user) = MetadataValue::try_from(user) {
            request.metadata_mut().insert("x-faces-user", user);
        }
        let Ok(origin) = format!("http://{}", self.color_service).parse() else {
            return (
                GREY.to_owned(),
                Some(format!("color: bad address {}", self.color_service)),
            );
        };
        let mut client = tonic::client::Grpc::with_origin(self.mesh.clone(), origin);
        let codec = tonic_prost::ProstCodec::<ColorRequest, ColorResponse>::default();
        let path = PathAndQuery::from_static(method);
        match client.unary(request, path, codec).await {
            Ok(response) => (response.into_inner().color, None),
            Err(status) => {
                let why = format!(
                    "color: {}: {:?} {}",
                    self.color_service,
                    status.code(),
                    status.message()
                );
                (GREY.to_owned(), Some(why))
            }
        }
    }
}

/// Only exactly 200 counts. 200 with a broken body makes the diagnostic text the smiley itself.
async fn judge(
    response: http::Response<super::super::super::body::Body>,
    service: &str,
) -> (String, Option<String>) {
    let status = response.status().as_u16();
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return (
                CURSING.to_owned(),
                Some(format!("smiley: {service}: {error}")),
            );
        }
    };
    let text = String::from_utf8_lossy(&body);
    if status != 200 {
        let glyph = if status == 504 { SLEEPING } else { CURSING };
        let detail = if text.is_empty() {
            String::new()
        } else {
            format!(" ({text})")
        };
        return (
            glyph.to_owned(),
            Some(format!("smiley: {service}: {status}{detail}")),
        );
    }
    match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(fields)) => match fields.get("smiley").and_then(Value::as_str) {
            Some(smiley) => (smiley.to_owned(), None),
            None => (format!("no smiley in {text}"), None),
        },
        Ok(_) => (format!("not an object: {text}"), None),
        Err(error) => (format!("not JSON: {error}"), None),
    }
}

fn or_unknown(value: &str) -> &str {
    if value.is_empty() { "unknown" } else { value }
}
