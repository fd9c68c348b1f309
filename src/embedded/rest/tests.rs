//! Tests of `rest`.

use super::*;

struct Server(State);

impl Server {
    fn new() -> Self {
        let mut server = Server(State {
            store: Store::new(7),
            registry: Registry::with_gateway_api().into(),
        });
        server.post("/api/v1/namespaces", json!({"metadata": {"name": "faces"}}));
        server
    }

    fn send(&mut self, request: Request) -> Result<Value, ApiError> {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        match handle(&mut self.0, &request, &now)? {
            Reply::Json { body, .. } => Ok(body),
            other => panic!("{other:?}"),
        }
    }

    fn get(&mut self, path: &str) -> Result<Value, ApiError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        self.send(Request {
            method: "GET".into(),
            path: path.into(),
            query,
            ..Request::default()
        })
    }

    fn post(&mut self, path: &str, body: Value) -> Value {
        self.write("POST", path, "application/json", body).unwrap()
    }

    fn write(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: Value,
    ) -> Result<Value, ApiError> {
        self.send(Request {
            method: method.into(),
            path: path.into(),
            content_type: kind.into(),
            body: body.to_string().into_bytes(),
            ..Request::default()
        })
    }
}

const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1beta1/namespaces/faces/httproutes";

fn route(weight: i64) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "HTTPRoute",
           "metadata": {"name": "r"},
           "spec": {"rules": [{"backendRefs": [{"name": "s", "port": 80, "weight": weight}]}]}})
}

#[test]
fn one_object_is_served_in_both_versions() {
    let mut server = Server::new();
    let created = server.post(ROUTES, route(1));
    assert_eq!(created["apiVersion"], "gateway.networking.k8s.io/v1beta1");
    let v1 = server
        .get(&format!("{}/r", ROUTES.replace("v1beta1", "v1")))
        .unwrap();
    assert_eq!(v1["apiVersion"], "gateway.networking.k8s.io/v1");
    assert_eq!(v1["metadata"]["uid"], created["metadata"]["uid"]);
    let list = server.get(ROUTES).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[test]
fn writes_check_the_revision_and_status_is_a_subresource() {
    let mut server = Server::new();
    let created = server.post(ROUTES, route(1));
    let path = format!("{ROUTES}/r");
    let merge = "application/merge-patch+json";
    let patched = server
        .write(
            "PATCH",
            &path,
            merge,
            json!({"status": {"parents": []}, "metadata": {"labels": {"a": "b"}}}),
        )
        .unwrap();
    assert_eq!(patched["status"], Value::Null);
    assert_eq!(patched["metadata"]["generation"], 1);
    let error = server.write("PUT", &path, JSON, created).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
    let status = server
        .write(
            "PATCH",
            &format!("{path}/status"),
            merge,
            json!({"status": {"parents": []}}),
        )
        .unwrap();
    assert_eq!(status["status"], json!({"parents": []}));
}

#[test]
fn a_dry_run_answers_and_changes_nothing() {
    let mut server = Server::new();
    server.post(ROUTES, route(1));
    let request = Request {
        method: "PATCH".into(),
        path: format!("{ROUTES}/r"),
        query: vec![("dryRun".into(), "All".into())],
        content_type: "application/merge-patch+json".into(),
        body: json!({"spec": {"hostnames": ["x"]}})
            .to_string()
            .into_bytes(),
        ..Request::default()
    };
    let revision = server.0.store.revision();
    assert_eq!(
        server.send(request).unwrap()["spec"]["hostnames"],
        json!(["x"])
    );
    assert_eq!(server.0.store.revision(), revision);
}

#[test]
fn errors_are_what_a_real_server_says() {
    let mut server = Server::new();
    let error = server
        .get("/api/v1/namespaces/faces/pods/nope")
        .unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (404, "pods \"nope\" not found")
    );
    assert_eq!(server.get("/api/v1/nope").unwrap_err().code, 404);
    server.post(ROUTES, route(1));
    let again = server.write("POST", ROUTES, JSON, route(1)).unwrap_err();
    assert_eq!((again.code, again.reason), (409, "AlreadyExists"));
    let nowhere = ROUTES.replace("faces", "nowhere");
    let error = server.write("POST", &nowhere, JSON, route(1)).unwrap_err();
    assert_eq!(error.message, "namespaces \"nowhere\" not found");
    let strategic = "application/strategic-merge-patch+json";
    let error = server
        .write("PATCH", &format!("{ROUTES}/r"), strategic, json!({}))
        .unwrap_err();
    assert_eq!(error.code, 415);
    let bad = server
        .write("POST", "/api/v1/namespaces", JSON, json!({"kind": "Pod"}))
        .unwrap_err();
    assert_eq!(bad.code, 400);
}

#[test]
fn scale_is_a_view_of_the_deployment() {
    let mut server = Server::new();
    let deployments = "/apis/apps/v1/namespaces/faces/deployments";
    server.post(
        deployments,
        json!({"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}},
                     "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
    );
    let scale = format!("{deployments}/d/scale");
    assert_eq!(server.get(&scale).unwrap()["spec"]["replicas"], 1);
    let patch = json!({"spec": {"replicas": 0}});
    let answer = server
        .write("PATCH", &scale, "application/merge-patch+json", patch)
        .unwrap();
    assert_eq!(answer["spec"], json!({}));
    let deployment = server.get(&format!("{deployments}/d")).unwrap();
    assert_eq!(deployment["spec"]["replicas"], 0);
}
