//! Discovery and OpenAPI: what the API says of itself. Pure.
//!
//! The OpenAPI documents name paths and the parameters that kubectl looks for; they carry no
//! schemas yet, so kubectl falls back to its built-in types for strategic merge patches.

use serde_json::{Map, Value, json};

use super::resource::{Registry, Resource};

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// `/version`: a server of the Kubernetes release that the API follows.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "32", "gitVersion": "v1.32.5+footlights",
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": "embedded/footlights",
    })
}

/// `APIGroupDiscoveryList` for `/api` (core group only) or `/apis` (all others).
pub fn aggregated(registry: &Registry, core: bool) -> Value {
    let items: Vec<Value> = registry
        .groups()
        .into_iter()
        .filter(|g| g.is_empty() == core)
        .map(|group| {
            let versions: Vec<Value> = registry
                .versions(group)
                .into_iter()
                .map(|version| {
                    let resources: Vec<Value> = served(registry, group, version)
                        .map(|r| aggregated_resource(r, version))
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let mut metadata = Map::new();
            if !core {
                metadata.insert("name".to_owned(), json!(group));
            }
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
           "metadata": {}, "items": items})
}

fn aggregated_resource(resource: &Resource, version: &str) -> Value {
    let kind = json!({"group": resource.group, "version": version, "kind": resource.kind});
    let mut entry = json!({
        "resource": resource.plural, "responseKind": kind, "scope": scope(resource),
        "singularResource": resource.singular, "verbs": VERBS,
    });
    if !resource.short.is_empty() {
        entry["shortNames"] = json!(resource.short);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|name| {
            json!({"subresource": name, "responseKind": subresource_kind(resource, version, name),
                   "verbs": subresource_verbs(name)})
        })
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = json!(subresources);
    }
    entry
}

/// The legacy `APIVersions` of `/api`.
pub fn api_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// The legacy `APIGroupList` of `/apis`.
pub fn api_groups(registry: &Registry) -> Value {
    let groups: Vec<Value> = registry
        .groups()
        .into_iter()
        .filter(|g| !g.is_empty())
        .map(|g| api_group(registry, g))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// The legacy `APIGroup` of `/apis/GROUP`.
pub fn api_group(registry: &Registry, group: &str) -> Value {
    let versions: Vec<Value> = registry
        .versions(group)
        .into_iter()
        .map(|v| json!({"groupVersion": format!("{group}/{v}"), "version": v}))
        .collect();
    json!({"kind": "APIGroup", "apiVersion": "v1", "name": group,
           "preferredVersion": versions.first(), "versions": versions})
}

/// The legacy `APIResourceList` of a group and version, if it is served.
pub fn api_resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for resource in served(registry, group, version) {
        resources.push(json!({
            "name": resource.plural, "singularName": resource.singular,
            "namespaced": resource.namespaced(), "kind": resource.kind, "verbs": VERBS,
            "shortNames": resource.short, "categories": resource.categories,
        }));
        for name in &resource.subresources {
            let kind = subresource_kind(resource, version, name);
            resources.push(json!({
                "name": format!("{}/{name}", resource.plural), "singularName": "",
                "namespaced": resource.namespaced(), "verbs": subresource_verbs(name),
                "group": kind["group"], "version": kind["version"], "kind": kind["kind"],
            }));
        }
    }
    (!resources.is_empty()).then(|| {
        let group_version = group_version(group, version);
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
               "resources": resources})
    })
}

/// `/openapi/v3`: one document a group and version.
pub fn openapi_index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for group in registry.groups() {
        for version in registry.versions(group) {
            let path = root_path(group, version);
            let url = format!("/openapi/v3/{path}?hash=footlights1");
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// `/openapi/v3/apis/GROUP/VERSION`, if it is served.
pub fn openapi(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut paths = Map::new();
    for resource in served(registry, group, version) {
        let scope = if resource.namespaced() {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let root = root_path(group, version);
        let path = format!("/{root}/{scope}{}/{{name}}", resource.plural);
        let operation = |action: &str| {
            json!({
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind":
                    {"group": group, "version": version, "kind": resource.kind},
                "parameters": [parameter("dryRun"), parameter("fieldManager"),
                               parameter("fieldValidation")],
                "responses": {},
            })
        };
        let mut patch = operation("patch");
        patch["requestBody"] = json!({"content": {"application/merge-patch+json": {}}});
        paths.insert(path, json!({"patch": patch, "put": operation("put")}));
    }
    (!paths.is_empty()).then(|| {
        json!({"openapi": "3.0.0", "info": {"title": "Footlights embedded cluster", "version": "v1"},
               "paths": paths, "components": {"schemas": {}}})
    })
}

fn parameter(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
}

fn served<'a>(
    registry: &'a Registry,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'a Resource> {
    registry
        .iter()
        .map(AsRef::as_ref)
        .filter(move |r| r.group == group && r.versions.iter().any(|v| v.name == version))
}

fn scope(resource: &Resource) -> &'static str {
    if resource.namespaced() {
        "Namespaced"
    } else {
        "Cluster"
    }
}

fn subresource_kind(resource: &Resource, version: &str, name: &str) -> Value {
    if name == "scale" {
        json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
    } else {
        json!({"group": resource.group, "version": version, "kind": resource.kind})
    }
}

fn subresource_verbs(name: &str) -> &'static [&'static str] {
    if name == "log" {
        &["get"]
    } else {
        &["get", "patch", "update"]
    }
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

fn root_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}
