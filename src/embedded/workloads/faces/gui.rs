//! The gui role: our own page with the rules of FACES.md 5, and the proxy to face behind it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use serde_json::json;

use super::super::super::body::{boxed, full};
use super::super::super::mesh::Mesh;
use super::reply::{Call, plain, set_headers};
use super::role::{Edition, Role};

const PAGE: &str = include_str!("../../../../assets/faces-gui.html");

struct Gui {
    role: Role,
    hostname: String,
    mesh: Mesh,
}

/// The role's service.
pub fn router(role: Role) -> Router {
    role.log("serving the Faces page");
    let gui = Arc::new(Gui {
        hostname: role.var("HOSTNAME").unwrap_or("unknown").to_owned(),
        mesh: role.mesh(),
        role,
    });
    Router::new().fallback(move |request| answer(gui.clone(), request))
}

async fn answer(gui: Arc<Gui>, request: Request<Body>) -> Response<Body> {
    let start = Instant::now();
    let call = Call::read(&request);
    let candidate = gui.role.edition == Edition::Candidate;
    match request.method().as_str() {
        "GET" => {}
        "HEAD" => return call.answer(&gui.role, 200, json!({})),
        method => return call.not_allowed(&gui.role, method),
    }
    let user = match call.header(&gui.role.user_header) {
        "" if !candidate => "unknown".to_owned(),
        user => user.to_owned(),
    };
    let agent = match call.header("user-agent") {
        "" => "unknown".to_owned(),
        agent => agent.to_owned(),
    };
    let path = request.uri().path().to_owned();
    let mut pod = gui.role.pod.clone();
    if let Some(about) = call.about(&gui.role, None) {
        return about;
    }
    let (key, mut response) = match path.as_str() {
        "/" => ("index", page(&gui, &user)),
        "/index.html" if !candidate => ("index", page(&gui, &user)),
        "/ready" => ("ready", plain(200, "text/plain", "ready\n")),
        _ if path.starts_with("/face/") => {
            let response = proxied(&gui, request).await;
            if let Some(face) = response
                .headers()
                .get("x-faces-pod")
                .and_then(|v| v.to_str().ok())
            {
                face.clone_into(&mut pod);
            }
            ("face", response)
        }
        _ => {
            let why = format!("no such page: {}", escaped(&path));
            ("unknown", plain(404, "text/html", why))
        }
    };
    let latency = start.elapsed().as_millis().to_string();
    let mut fields = vec![
        (gui.role.user_header.as_str(), user.as_str()),
        ("x-faces-user-agent", &agent),
        ("x-faces-latency", &latency),
        ("x-faces-pod", &pod),
    ];
    if !candidate {
        fields.push(("x-faces-podname", &gui.hostname));
    }
    set_headers(&mut response, &fields);
    let status = response.status().as_u16();
    gui.role
        .answered(key, status, start.elapsed(), &call.describe(&gui.role));
    response
}

/// The page with its settings. They are JSON inside a script element, so `<` is escaped.
fn page(gui: &Gui, user: &str) -> Response<Body> {
    let role = &gui.role;
    let settings = json!({
        "user": user, "userHeader": role.user_header, "color": role.var("COLOR").unwrap_or("white"),
        "hideKey": role.flag("HIDE_KEY", false), "showPods": role.flag("SHOW_PODS", false),
    });
    let settings = settings.to_string().replace('<', "\\u003c");
    let nonce = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let page = PAGE
        .replace("<style>", &format!("<style nonce=\"{nonce}\">"))
        .replace("<script>", &format!("<script nonce=\"{nonce}\">"))
        .replace("{\"settings\":0}", &settings);
    let mut response = plain(200, "text/html", page);
    // Answers may carry anything; nothing of them may become script, style or a request elsewhere.
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let fields = [
        ("content-security-policy", policy.as_str()),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ];
    set_headers(&mut response, &fields);
    response
}

async fn proxied(gui: &Gui, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    let target = format!("http://face{}", path.strip_prefix("/face").unwrap_or(path));
    let mut outgoing = Request::get(target).body(full(""));
    // The candidates drop the user, with all other fields.
    if let Ok(outgoing) = &mut outgoing
        && gui.role.edition == Edition::Release
    {
        *outgoing.headers_mut() = request.headers().clone();
        outgoing.headers_mut().remove("host");
    }
    let Ok(outgoing) = outgoing else {
        return plain(500, "text/plain", "the path is not valid");
    };
    let answer = gui.mesh.send(outgoing).await;
    if answer.headers().get("x-faces-pod").is_none() && answer.status().is_server_error() {
        return plain(500, "text/plain", "face cannot be reached");
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
