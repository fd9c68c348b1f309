//! The gui role: our own page with the rules of FACES.md 5, and the proxy to face behind it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use serde_json::json;

use super::super::super::body::{boxed, full};
use super::super::super::mesh::Mesh;
use super::super::Container;
use super::reply::{Call, Identity};

const PAGE: &str = include_str!("../../../../assets/faces-gui.html");

struct Gui {
    identity: Identity,
    hostname: String,
    mesh: Mesh,
    color: String,
}

/// The role's service.
pub fn router(container: &Container) -> Router {
    let gui = Arc::new(Gui {
        identity: Identity::new(container),
        hostname: container.var("HOSTNAME").unwrap_or("unknown").to_owned(),
        mesh: container.mesh.clone(),
        color: container.var("COLOR").unwrap_or("white").to_owned(),
    });
    super::log(container, "GUI", "serving the Faces page");
    Router::new().fallback(move |request| answer(gui.clone(), request))
}

async fn answer(gui: Arc<Gui>, request: Request<Body>) -> Response<Body> {
    let start = Instant::now();
    let call = Call::read(&request);
    if request.method() != "GET" {
        return call.answer(
            &gui.identity,
            if request.method() == "HEAD" { 200 } else { 405 },
            json!({"errors": [format!("method {} is not allowed", request.method())]}),
        );
    }
    let user = match call.header(&gui.identity.user_header) {
        "" => "unknown".to_owned(),
        user => user.to_owned(),
    };
    let agent = match call.header("user-agent") {
        "" => "unknown".to_owned(),
        agent => agent.to_owned(),
    };
    let path = request.uri().path().to_owned();
    let mut pod = gui.identity.pod.clone();
    let mut response = match path.as_str() {
        "/" | "/index.html" => page(&gui, &user),
        "/ready" => text(200, "text/plain", "ready\n"),
        _ if path.starts_with("/face/") => {
            let response = proxied(&gui, request).await;
            if let Some(face) = response
                .headers()
                .get("x-faces-pod")
                .and_then(|v| v.to_str().ok())
            {
                face.clone_into(&mut pod);
            }
            response
        }
        _ => text(
            404,
            "text/html",
            &format!("no such page: {}", escaped(&path)),
        ),
    };
    let latency = start.elapsed().as_millis().to_string();
    for (name, value) in [
        (gui.identity.user_header.as_str(), user.as_str()),
        ("x-faces-user-agent", &agent),
        ("x-faces-latency", &latency),
        ("x-faces-pod", &pod),
        ("x-faces-podname", &gui.hostname),
    ] {
        if let (Ok(name), Ok(value)) = (
            name.parse::<axum::http::HeaderName>(),
            HeaderValue::from_str(value),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The page with its settings. They are JSON inside a script element, so `<` is escaped.
fn page(gui: &Gui, user: &str) -> Response<Body> {
    let settings =
        json!({"user": user, "userHeader": gui.identity.user_header, "color": gui.color});
    let settings = settings.to_string().replace('<', "\\u003c");
    let nonce = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let page = PAGE
        .replace("<style>", &format!("<style nonce=\"{nonce}\">"))
        .replace("<script>", &format!("<script nonce=\"{nonce}\">"))
        .replace("{\"settings\":0}", &settings);
    let mut response = text(200, "text/html", &page);
    // Answers may carry anything; nothing of them may become script, style or a request elsewhere.
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    for (name, value) in [
        ("content-security-policy", policy.as_str()),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn proxied(gui: &Gui, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    let target = format!("http://face{}", path.strip_prefix("/face").unwrap_or(path));
    let mut outgoing = Request::get(target).body(full(""));
    if let Ok(outgoing) = &mut outgoing {
        *outgoing.headers_mut() = request.headers().clone();
        outgoing.headers_mut().remove("host");
    }
    let Ok(outgoing) = outgoing else {
        return text(500, "text/plain", "the path is not valid");
    };
    let answer = gui.mesh.send(outgoing).await;
    if answer.headers().get("x-faces-pod").is_none() && answer.status().is_server_error() {
        return text(500, "text/plain", "face cannot be reached");
    }
    let (parts, body) = answer.into_parts();
    let mut response = Response::new(Body::new(boxed(body)));
    *response.status_mut() = parts.status;
    for name in ["content-type", "x-faces-pod"] {
        if let Some(value) = parts.headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn text(status: u16, kind: &'static str, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static(kind));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
