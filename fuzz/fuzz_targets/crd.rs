//! CustomResourceDefinitions with random schemas and columns, and objects of them: created, listed
//! as a table, patched, and described by OpenAPI.

#![no_main]

mod json;
mod server;

use footlights::embedded::openapi;
use footlights::embedded::rest::Request;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use serde_json::json;
use server::Server;

const WORDS: &[&str] = &[
    "type", "object", "array", "string", "integer", "number", "boolean", "properties", "items",
    "additionalProperties", "required", "enum", "default", "nullable", "format", "int32", "int64",
    "date-time", "pattern", "^a+$", "(", "minimum", "maximum", "exclusiveMinimum", "minLength",
    "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
    "multipleOf", "allOf", "anyOf", "oneOf", "not", "x-kubernetes-validations", "rule", "message",
    "messageExpression", "self", "self.a == self.b", "self.all(x, x.a > 1)", "has(self.a)",
    "oldSelf == self", "size(self) < 3", "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
    "x-kubernetes-list-type", "map", "set", "atomic", "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type", "granular", "description", "title", "a", "b", "spec", "status",
    "metadata", "name", "$ref",
];

const PATHS: &[&str] = &[
    ".spec.a", ".spec", ".metadata.name", ".spec.a[0]", ".spec['a']", ".spec[*].a", "$..a", "[", "",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Bytes that run out end the case.
    let _ = case(&mut Unstructured::new(bytes));
});

fn case(bytes: &mut Unstructured<'_>) -> Result<()> {
    let mut server = Server::new();
    let mut properties = json!({"spec": json::object(bytes, WORDS, 6)?});
    if bytes.arbitrary()? {
        properties["status"] = json::object(bytes, WORDS, 4)?;
    }
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org"},
        "spec": {"group": "example.org", "scope": "Cluster",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
                "additionalPrinterColumns": [{"name": "a", "type": bytes.choose(WORDS)?,
                    "jsonPath": bytes.choose(PATHS)?}]}]}});
    const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let kind = "application/json";
    if server.write("POST", CRDS, kind, &crd).is_none() {
        return Ok(());
    }
    openapi::document(&server.0.registry, "example.org", "v1");
    const THINGS: &str = "/apis/example.org/v1/things";
    for _ in 0..bytes.int_in_range(1..=3)? {
        let thing = json!({"apiVersion": "example.org/v1", "kind": "Thing",
            "metadata": {"name": "a"}, "spec": json::value(bytes, WORDS, 5)?,
            "status": json::value(bytes, WORDS, 3)?});
        server.write("POST", THINGS, kind, &thing);
        let patch = json!({"spec": json::value(bytes, WORDS, 5)?});
        server.write("PATCH", &format!("{THINGS}/a"), "application/merge-patch+json", &patch);
    }
    let listed = server.send(&Request {
        method: "GET".into(),
        path: THINGS.into(),
        accept: "application/json;as=Table;v=v1;g=meta.k8s.io".into(),
        ..Request::default()
    });
    assert!(listed.is_some());
    Ok(())
}
