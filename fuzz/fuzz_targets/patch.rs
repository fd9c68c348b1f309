//! Patches of every kind, server-side apply and selectors, sent to the API as requests: each is
//! answered, and what is stored afterwards is still an object of its name that can be read as JSON.

#![no_main]

mod json;
mod server;

use footlights::embedded::rest::Request;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use serde_json::{Value, json};
use server::Server;

const WORDS: &[&str] = &[
    "op", "add", "remove", "replace", "move", "copy", "test", "path", "from", "value", "/metadata",
    "/metadata/name", "/metadata/labels/a", "/spec/template/spec/containers/0", "/spec", "/status",
    "/spec/template/spec/containers/-", "", "/", "$patch", "delete", "merge", "$retainKeys",
    "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "metadata", "name", "web",
    "labels", "annotations", "finalizers", "ownerReferences", "managedFields", "spec", "replicas",
    "selector", "matchLabels", "matchExpressions", "template", "containers", "image", "env", "ports",
    "containerPort", "protocol", "TCP", "status", "apiVersion", "apps/v1", "kind", "Deployment",
    "resourceVersion", "uid", "generation", "namespace", "default", "a", "b",
];

const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

const ONE: &str = "/apis/apps/v1/namespaces/default/deployments/web";
const ALL: &str = "/apis/apps/v1/deployments";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Bytes that run out end the case.
    let _ = case(&mut Unstructured::new(bytes));
});

fn case(bytes: &mut Unstructured<'_>) -> Result<()> {
    let mut server = Server::new();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
    server.write("POST", "/api/v1/namespaces", "application/json", &namespace);
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"a": "b"}},
        "spec": {"selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [
                {"name": "a", "image": "faces-smiley", "env": [{"name": "a", "value": "b"}]},
                {"name": "b", "image": "faces-smiley"}]}}}});
    let path = "/apis/apps/v1/namespaces/default/deployments";
    server.write("POST", path, "application/json", &web).unwrap();
    for _ in 0..bytes.int_in_range(1..=4)? {
        let kind = *bytes.choose(&PATCHES)?;
        let mut patch = match kind {
            "application/json-patch+json" => {
                let operations = (0..bytes.int_in_range(0..=4)?)
                    .map(|_| json::object(bytes, &WORDS[..20], 3));
                Value::Array(operations.collect::<Result<_>>()?)
            }
            _ => json::object(bytes, WORDS, 6)?,
        };
        let mut query = vec![("fieldManager".to_owned(), "fuzz".to_owned())];
        if kind == "application/apply-patch+yaml" && patch.is_object() {
            patch["apiVersion"] = json!("apps/v1");
            patch["kind"] = json!("Deployment");
            if bytes.arbitrary()? {
                query.push(("force".to_owned(), "true".to_owned()));
            }
        }
        server.send(&Request {
            method: "PATCH".to_owned(),
            path: ONE.to_owned(),
            query,
            content_type: kind.to_owned(),
            body: patch.to_string().into_bytes(),
            ..Request::default()
        });
        if let Some(stored) = server.write("GET", ONE, "", &Value::Null) {
            assert_eq!(stored["metadata"]["name"], "web");
            let text = stored.to_string();
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        }
    }
    let names = ["labelSelector", "fieldSelector"];
    let mut query = Vec::new();
    for name in names {
        query.push((name.to_owned(), bytes.arbitrary::<&str>()?.to_owned()));
    }
    let list = Request { method: "GET".to_owned(), path: ALL.to_owned(), query, ..Request::default() };
    server.send(&list);
    Ok(())
}
