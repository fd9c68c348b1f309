//! Discovery: the groups, versions and resources that the API serves, in both forms. Pure.

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

/// A question that is posted and not stored.
pub struct Review {
    /// Its group; the version is `v1`.
    pub group: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Where it is posted.
    pub plural: &'static str,
}

/// All reviews that are answered (`rest::review`).
pub const REVIEWS: [Review; 3] = [
    Review {
        group: "authentication.k8s.io",
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
    },
    Review {
        group: "authorization.k8s.io",
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
    },
    Review {
        group: "authorization.k8s.io",
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
    },
];

/// `/version`: a server of the Kubernetes release that the API follows.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "32", "gitVersion": "v1.32.5+footlights",
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": "embedded/footlights",
    })
}

/// The paths that `/` lists.
pub fn paths(registry: &Registry) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for group in groups(registry) {
        paths.push(format!("/apis/{group}"));
        paths.extend(
            versions(registry, group)
                .iter()
                .map(|v| format!("/apis/{group}/{v}")),
        );
    }
    let others = [
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ];
    paths.extend(others.map(str::to_owned));
    json!({"paths": paths})
}

/// The groups but for core, each once.
fn groups(registry: &Registry) -> Vec<&str> {
    let mut groups: Vec<&str> = registry.groups();
    groups.retain(|g| !g.is_empty());
    for review in &REVIEWS {
        if !groups.contains(&review.group) {
            groups.push(review.group);
        }
    }
    groups
}

fn versions<'a>(registry: &'a Registry, group: &str) -> Vec<&'a str> {
    let versions = registry.versions(group);
    if versions.is_empty() && REVIEWS.iter().any(|r| r.group == group) {
        return vec!["v1"];
    }
    versions
}

/// True if the group is served.
pub fn has_group(registry: &Registry, group: &str) -> bool {
    !group.is_empty() && !versions(registry, group).is_empty()
}

fn reviews(group: &str) -> impl Iterator<Item = &'static Review> {
    let group = group.to_owned();
    REVIEWS.iter().filter(move |r| r.group == group)
}

/// `APIGroupDiscoveryList` for `/api` (core group only) or `/apis` (all others).
pub fn aggregated(registry: &Registry, core: bool) -> Value {
    let groups = if core { vec![""] } else { groups(registry) };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|group| {
            let versions: Vec<Value> = versions(registry, group)
                .into_iter()
                .map(|version| {
                    let mut resources: Vec<Value> = served(registry, group, version)
                        .map(|r| aggregated_resource(r, version))
                        .collect();
                    resources.extend(reviews(group).map(|r| {
                        json!({"resource": r.plural, "scope": "Cluster", "verbs": ["create"],
                               "singularResource": r.kind.to_lowercase(), "responseKind":
                               {"group": group, "version": version, "kind": r.kind}})
                    }));
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
    let subresources: Vec<Value> = subresources(resource, version)
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

fn subresources<'a>(resource: &'a Resource, version: &str) -> &'a [String] {
    resource.version(version).map_or(&[], |v| &v.subresources)
}

/// The legacy `APIVersions` of `/api`.
pub fn api_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// The legacy `APIGroupList` of `/apis`.
pub fn api_groups(registry: &Registry) -> Value {
    let groups: Vec<Value> = groups(registry)
        .into_iter()
        .map(|g| api_group(registry, g))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// The legacy `APIGroup` of `/apis/GROUP`.
pub fn api_group(registry: &Registry, group: &str) -> Value {
    let versions: Vec<Value> = versions(registry, group)
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
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular,
            "namespaced": resource.namespaced(), "kind": resource.kind, "verbs": VERBS,
        });
        if !resource.short.is_empty() {
            entry["shortNames"] = json!(resource.short);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        resources.push(entry);
        for name in subresources(resource, version) {
            let kind = subresource_kind(resource, version, name);
            resources.push(json!({
                "name": format!("{}/{name}", resource.plural), "singularName": "",
                "namespaced": resource.namespaced(), "verbs": subresource_verbs(name),
                "group": kind["group"], "version": kind["version"], "kind": kind["kind"],
            }));
        }
    }
    if version == "v1" {
        resources.extend(reviews(group).map(|r| {
            json!({"name": r.plural, "singularName": r.kind.to_lowercase(), "namespaced": false,
                   "kind": r.kind, "verbs": ["create"]})
        }));
    }
    (!resources.is_empty()).then(|| {
        let group_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
               "resources": resources})
    })
}

/// The resources of a group and version.
pub fn served<'a>(
    registry: &'a Registry,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'a Resource> {
    registry
        .iter()
        .map(AsRef::as_ref)
        .filter(move |r| r.group == group && r.version(version).is_some())
}

fn scope(resource: &Resource) -> &'static str {
    if resource.namespaced() {
        "Namespaced"
    } else {
        "Cluster"
    }
}

fn subresource_kind(resource: &Resource, version: &str, name: &str) -> Value {
    match name {
        "scale" => json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}),
        "exec" => json!({"group": "", "version": "v1", "kind": "PodExecOptions"}),
        "attach" => json!({"group": "", "version": "v1", "kind": "PodAttachOptions"}),
        "portforward" => json!({"group": "", "version": "v1", "kind": "PodPortForwardOptions"}),
        _ => json!({"group": resource.group, "version": version, "kind": resource.kind}),
    }
}

fn subresource_verbs(name: &str) -> &'static [&'static str] {
    match name {
        "log" => &["get"],
        "finalize" => &["update"],
        "exec" | "attach" | "portforward" => &["create", "get"],
        "proxy" => &["create", "delete", "get", "patch", "update"],
        _ => &["get", "patch", "update"],
    }
}
