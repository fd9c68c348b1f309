//! The roles by their answers: FACES.md 8, and section 7.1 for the release candidates.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use serde_json::Value;
use tower::ServiceExt;

use super::super::super::hub::Hub;
use super::super::super::mesh::Mesh;
use super::super::super::proxy::Proxy;
use super::super::{Container, Log, Running, start};

/// A cluster without Services.
static MESH: LazyLock<Mesh> = LazyLock::new(|| Mesh::new(Arc::new(Hub::new(1)), Proxy::new(), "n"));

fn container(image: &str, tag: &str, env: &str) -> Container {
    let pairs = env.split_whitespace().filter_map(|p| p.split_once('='));
    let env: BTreeMap<String, String> = pairs.map(|(k, v)| (k.into(), v.into())).collect();
    Container {
        image: image.into(),
        tag: tag.into(),
        pod: "p".into(),
        env,
        mesh: MESH.clone(),
        log: Log::new(),
    }
}

fn run(image: &str, tag: &str, env: &str) -> Running {
    start(&container(image, tag, env)).unwrap().unwrap()
}

async fn ask(router: &Router, method: &str, path: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("x-faces-user", "heart").body(Body::empty());
    router.clone().oneshot(request.unwrap()).await.unwrap()
}

/// A status, a content type and a body; null if that is no JSON.
async fn told(router: &Router, method: &str, path: &str) -> (u16, String, Value) {
    let response = ask(router, method, path).await;
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let bytes = axum::body::to_bytes(response.into_body(), 99_999)
        .await
        .unwrap();
    (
        status,
        kind,
        serde_json::from_slice(&bytes).unwrap_or_default(),
    )
}

#[tokio::test]
async fn failures_are_json_and_of_the_candidates_text() {
    const ALWAYS: &str = "ERROR_FRACTION=100";
    const LATCH: &str = "ERROR_FRACTION=100 LATCH_FRACTION=100";
    for (image, env, method, status) in [
        ("faces-smiley", ALWAYS, "GET", 500),
        ("faces-smiley", LATCH, "GET", 599),
        ("faces-smiley", "", "POST", 405),
        ("faces-face", ALWAYS, "GET", 500),
        ("faces-face", "", "PUT", 405),
    ] {
        let new = told(&run(image, "2.0.0", env).router, method, "/center/").await;
        assert_eq!((new.0, new.1.as_str()), (status, "application/json"));
        assert_eq!(new.2["errors"].as_array().map(Vec::len), Some(1), "{new:?}");
        let old = told(&run(image, "2.0.0-rc.1", env).router, method, "/center/").await;
        assert_eq!((old.0, old.1.as_str()), (status, "text/plain"));
        assert_eq!(old.2, Value::Null);
    }
}

#[tokio::test]
async fn candidates_tell_their_rate_and_answer_when_they_are_asked_too_much() {
    let (status, _, body) = told(&run("faces-smiley", "2.0.0", "").router, "GET", "/").await;
    assert_eq!(
        (status, &body["rate"], &body["errors"]),
        (200, &Value::Null, &Value::Null)
    );
    let old = run("faces-smiley", "2.0.0-rc.1", "").router;
    let (status, _, body) = told(&old, "GET", "/").await;
    assert_eq!((status, &body["rate"]), (200, &"0.0 RPS".into()));
    assert_eq!(body["errors"], serde_json::json!([]));
    assert_eq!(told(&old, "GET", "/ready").await.2["ready"], true);
    assert_eq!(told(&old, "GET", "/rl").await.2["rl"], "N/A");

    let (status, _, body) = told(
        &run("faces-smiley", "2.0.0-rc.1", "MAX_RATE=0.1").router,
        "GET",
        "/",
    )
    .await;
    assert_eq!((status, &body["smiley"]), (429, &"&#x1F92F;".into()));
    let face = |tag| run("faces-face", tag, "MAX_RATE=0.1").router;
    assert_eq!(told(&face("2.0.0"), "GET", "/center/").await.0, 429);
    let (status, _, body) = told(&face("2.0.0-rc.1"), "GET", "/center/").await;
    assert_eq!((status, &body["smiley"]), (200, &"&#x1F92F;".into()));
    assert_eq!(body["color"], "#CCBB44");
    assert_eq!(body["errors"], serde_json::json!([""]));
}

#[tokio::test]
async fn a_face_without_services_curses_on_grey() {
    for (tag, errors) in [("2.0.0", 2), ("2.0.0-rc.1", 3)] {
        let (status, _, body) = told(&run("faces-face", tag, "").router, "GET", "/center/").await;
        assert_eq!((status, &body["smiley"]), (200, &"&#x1F92C;".into()));
        assert_eq!(body["color"], "#BBBBBB");
        let told = body["errors"].as_array().unwrap();
        assert_eq!(told.len(), errors, "{told:?}");
        assert!(told[0].as_str().unwrap().starts_with("smiley: "));
    }
}

#[tokio::test]
async fn the_page_has_the_environments_settings() {
    let page = async |tag: &str, env: &str| {
        let response = ask(&run("faces-gui", tag, env).router, "GET", "/").await;
        let bytes = axum::body::to_bytes(response.into_body(), 99_999).await;
        String::from_utf8(bytes.unwrap().to_vec()).unwrap()
    };
    let plain = page("2.0.0", "").await;
    assert!(
        plain.contains(r#""hideKey":false,"showPods":false"#),
        "{plain}"
    );
    assert!(plain.contains(r#""user":"heart""#));
    let set = page("2.0.0", "HIDE_KEY=t SHOW_PODS=1 COLOR=pink").await;
    assert!(set.contains(r#""color":"pink","hideKey":true,"showPods":true"#));
    assert!(
        page("2.0.0", "SHOW_PODS=yes")
            .await
            .contains(r#""showPods":false"#)
    );
    let old = run("faces-gui", "2.0.0-rc.1", "").router;
    assert_eq!(ask(&old, "GET", "/index.html").await.status(), 404);
    assert!(
        !ask(&old, "GET", "/")
            .await
            .headers()
            .contains_key("x-faces-podname")
    );
}

#[tokio::test]
async fn metrics_count_and_logs_tell_of_requests_when_asked() {
    let container = container(
        "faces-smiley",
        "2.0.0",
        "DEBUG_ENABLED=true SMILEY=HeartEyes",
    );
    let running = start(&container).unwrap().unwrap();
    let _ = told(&running.router, "GET", "/edge/?row=1&col=2").await;
    let (lines, _) = container.log.since(0);
    let last = &lines.last().unwrap().text;
    assert!(
        last.ends_with(r#"level=DEBUG msg="Smiley: GET /edge/ row 1 col 2 user heart: 200" provider=SmileyProvider"#),
        "{last}"
    );
    let (port, _, metrics) = running.others.into_iter().next().unwrap();
    assert_eq!(port, 9090);
    let bytes = ask(&metrics, "GET", "/anything").await.into_body();
    let text = axum::body::to_bytes(bytes, 99_999).await.unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(
        text.contains("key=\"HeartEyes\",status=\"200\"} 1"),
        "{text}"
    );
    assert!(run("faces-smiley", "2.0.0-rc.1", "").others.is_empty());
}

#[tokio::test]
async fn load_asks_its_target_while_it_runs_and_ends_without_one() {
    for env in [
        "",
        "LOAD_TARGET=smiley",
        "LOAD_TARGET=a LOAD_RPS=x",
        "LOAD_TARGET=a LOAD_RPS=0",
    ] {
        assert!(
            start(&container("faces-load", "2.0.0", env))
                .unwrap()
                .is_err(),
            "{env}"
        );
    }
    assert!(
        start(&container("faces-workload", "2.0.0", ""))
            .unwrap()
            .is_err()
    );
    let loading = container(
        "faces-load",
        "2.0.0",
        "LOAD_TARGET=nobody LOAD_RPS=10000000000 LOAD_DEBUG=true",
    );
    let running = start(&loading).unwrap().unwrap();
    let mut bell = loading.log.bell();
    let asked = |log: &Log| {
        log.since(0)
            .0
            .iter()
            .any(|l| l.text.contains("http://nobody/: 502"))
    };
    while !asked(&loading.log) {
        bell.changed().await.unwrap();
    }
    let text = axum::body::to_bytes(
        ask(&running.router, "GET", "/metrics").await.into_body(),
        99_999,
    );
    let text = String::from_utf8(text.await.unwrap().to_vec()).unwrap();
    assert!(text.contains("target=\"nobody\",status=\"502\"}"), "{text}");
}
