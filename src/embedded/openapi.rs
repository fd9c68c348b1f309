//! OpenAPI: the kinds' schemas as clients read them. Pure.
//!
//! Version 3 for all, one document a group and version; version 2 as protobuf, which kubectl
//! before 1.27 validates by and newer ones ask for when they patch custom resources.

mod v2;

use serde_json::{Map, Value, json};

use super::discovery::served;
use super::fingerprint::fnv;
use super::resource::{Origin, Registry, Resource};
pub use v2::{MEDIA_TYPE as V2_MEDIA_TYPE, document as v2};

/// `/openapi/v3`: one document a group and version. Clients cache a document by the hash in its URL.
pub fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for group in registry.groups() {
        for version in registry.versions(group) {
            let path = root_path(group, version);
            let hash = hash(registry, group, version);
            let url = format!("/openapi/v3/{path}?hash={hash:016X}");
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// Built-in kinds change with the program only, custom ones with their schema.
fn hash(registry: &Registry, group: &str, version: &str) -> u64 {
    let mut pieces = vec![env!("CARGO_PKG_VERSION").to_owned()];
    for resource in served(registry, group, version) {
        pieces.push(resource.id.to_string());
        if resource.origin == Origin::Custom
            && let Some(version) = resource.version(version)
        {
            pieces.push(version.definition.json().to_string());
        }
    }
    fnv(pieces.iter().map(|piece| piece.as_bytes()))
}

/// `/openapi/v3/apis/GROUP/VERSION`, if it is served.
pub fn document(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in served(registry, group, version) {
        let name = add_schemas(&mut schemas, resource, version);
        let root = root_path(group, version);
        let scope = if resource.namespaced() {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let collection = format!("/{root}/{scope}{}", resource.plural);
        let operation = |action: &str| operation(resource, version, action, &name);
        paths.insert(
            collection.clone(),
            json!({"get": operation("list"), "post": operation("post"),
                   "delete": operation("deletecollection")}),
        );
        paths.insert(
            format!("{collection}/{{name}}"),
            json!({"get": operation("get"), "put": operation("put"), "patch": operation("patch"),
                   "delete": operation("delete")}),
        );
    }
    (!paths.is_empty()).then(|| {
        json!({"openapi": "3.0.0",
               "info": {"title": "Footlights embedded cluster", "version": env!("CARGO_PKG_VERSION")},
               "paths": paths, "components": {"schemas": schemas}})
    })
}

fn operation(resource: &Resource, version: &str, action: &str, schema: &str) -> Value {
    let mut operation = json!({
        "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(resource, version),
        "parameters": [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")],
        "responses": {"200": {"description": "OK", "content": {"application/json":
            {"schema": {"$ref": format!("#/components/schemas/{schema}")}}}}},
    });
    if action == "patch" {
        let mut content = Map::new();
        for kind in patch_types(resource) {
            content.insert((*kind).to_owned(), json!({"schema": {"type": "object"}}));
        }
        operation["requestBody"] = json!({"content": content});
    }
    operation
}

fn patch_types(resource: &Resource) -> &'static [&'static str] {
    match resource.origin {
        Origin::BuiltIn => &[
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
        ],
        Origin::Custom => &[
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
        ],
    }
}

fn gvk(resource: &Resource, version: &str) -> Value {
    json!({"group": resource.group, "version": version, "kind": resource.kind})
}

fn parameter(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
}

/// Adds a resource's schema and what it refers to; returns the schema's name.
fn add_schemas(schemas: &mut Map<String, Value>, resource: &Resource, version: &str) -> String {
    let Some(served) = resource.version(version) else {
        return String::new();
    };
    let json = served.definition.json();
    let name = match resource.origin {
        Origin::BuiltIn => json["title"].as_str().unwrap_or("").to_owned(),
        // io.k8s.networking.gateway.v1.HTTPRoute
        Origin::Custom => {
            let reversed: Vec<&str> = resource.group.rsplit('.').collect();
            format!("{}.{version}.{}", reversed.join("."), resource.kind)
        }
    };
    for (definition, schema) in json["$defs"].as_object().into_iter().flatten() {
        if !schemas.contains_key(definition) {
            schemas.insert(definition.clone(), published(schema));
        }
    }
    let mut schema = published(json);
    schema["x-kubernetes-group-version-kind"] = json!([gvk(resource, version)]);
    if resource.origin == Origin::Custom {
        const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
        if !schemas.contains_key(META) {
            add_object_meta(schemas, META);
        }
        let properties = &mut schema["properties"];
        properties["metadata"] = json!({"$ref": format!("#/components/schemas/{META}"),
            "description": "Standard object's metadata."});
        for field in ["apiVersion", "kind"] {
            if properties[field].is_null() {
                properties[field] = json!({"type": "string"});
            }
        }
    }
    schemas.insert(name.clone(), schema);
    name
}

fn add_object_meta(schemas: &mut Map<String, Value>, name: &str) {
    // Any built-in kind brings it along.
    let Some(with_meta) = super::schema::built_in::json_schema("configmaps") else {
        return;
    };
    for (definition, schema) in with_meta["$defs"].as_object().into_iter().flatten() {
        if definition.contains(".meta.v1.") {
            schemas.insert(definition.clone(), published(schema));
        }
    }
    debug_assert!(schemas.contains_key(name));
}

/// A schema as OpenAPI v3 has it: references into `components`, merge keys for strategic patches.
fn published(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut out = Map::new();
            for (name, value) in fields {
                match name.as_str() {
                    "$schema" | "title" | "$defs" => {}
                    "$ref" => {
                        let text = value.as_str().unwrap_or("");
                        let text = text.replace("#/$defs/", "#/components/schemas/");
                        out.insert(name.clone(), json!(text));
                    }
                    // Fields may have any name, `title` too.
                    "properties" => {
                        let fields = value.as_object().into_iter().flatten();
                        let fields = fields.map(|(k, v)| (k.clone(), published(v)));
                        out.insert(name.clone(), Value::Object(fields.collect()));
                    }
                    _ => {
                        out.insert(name.clone(), published(value));
                    }
                }
            }
            add_patch_strategy(&mut out);
            Value::Object(out)
        }
        Value::Array(items) => Value::Array(items.iter().map(published).collect()),
        scalar => scalar.clone(),
    }
}

fn add_patch_strategy(schema: &mut Map<String, Value>) {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("map") => {
            let key = schema
                .get("x-kubernetes-list-map-keys")
                .map(|keys| keys[0].clone());
            if let Some(key) = key {
                schema.insert("x-kubernetes-patch-merge-key".to_owned(), key);
                schema.insert("x-kubernetes-patch-strategy".to_owned(), json!("merge"));
            }
        }
        Some("set") => {
            schema.insert("x-kubernetes-patch-strategy".to_owned(), json!("merge"));
        }
        _ => {}
    }
}

fn root_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_a_document_is_in_it() {
        let registry = Registry::built_in();
        for (group, version) in [("", "v1"), ("apps", "v1"), ("apiextensions.k8s.io", "v1")] {
            let document = document(&registry, group, version).unwrap();
            let text = document.to_string();
            let schemas = &document["components"]["schemas"];
            for reference in text.split("\"#/components/schemas/").skip(1) {
                let name = reference.split('"').next().unwrap();
                assert!(schemas[name].is_object(), "{group}/{version}: {name}");
            }
            assert!(!text.contains("$defs"));
        }
        let apps = document(&registry, "apps", "v1").unwrap();
        let containers = &apps["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]
            ["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    }

    #[test]
    fn an_index_changes_with_a_schema() {
        let registry = Registry::built_in();
        let index = index(&registry);
        let url = &index["paths"]["apis/apps/v1"]["serverRelativeURL"];
        assert!(
            url.as_str()
                .unwrap()
                .starts_with("/openapi/v3/apis/apps/v1?hash=")
        );
    }
}
