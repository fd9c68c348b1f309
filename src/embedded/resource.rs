//! The kinds that the API serves: names, versions, scope and subresources. Data, no behaviour.

use std::sync::Arc;

/// A served version of a resource.
#[derive(Clone, Debug)]
pub struct Version {
    /// `v1`, `v1beta1`.
    pub name: String,
    /// What the `Warning` header says when this version is used.
    pub deprecation: Option<String>,
}

/// How `application/strategic-merge-patch+json` is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Part of Kubernetes: strategic merge patches work.
    BuiltIn,
    /// Defined by a CRD: strategic merge patches are refused with 415, as a real server does.
    Custom,
}

/// Where a resource's objects live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In none.
    Cluster,
}

/// A column of `kubectl get`, read from the object by a path such as `.spec.gatewayClassName`.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// `string`, `integer`, `date` …
    pub kind: String,
    /// A dotted path; `[*]` joins a list's items, `[?(@.type=="X")]` picks a condition.
    pub path: String,
    /// 0 is always shown, 1 with `-o wide` only.
    pub priority: u8,
}

/// One resource of the API.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Plural and group: `deployments.apps`, `pods`. The store's name for it.
    pub id: Arc<str>,
    /// Empty for the core group.
    pub group: String,
    /// All versions share one stored object.
    pub versions: Vec<Version>,
    /// The version that objects are stored and controllers read as.
    pub storage: String,
    /// `Deployment`.
    pub kind: String,
    /// `deployments`.
    pub plural: String,
    /// `deployment`.
    pub singular: String,
    /// `deploy`.
    pub short: Vec<String>,
    /// `all`, `gateway-api`.
    pub categories: Vec<String>,
    /// Namespaced or not.
    pub scope: Scope,
    /// `status`, `scale`, `log`.
    pub subresources: Vec<String>,
    /// Built in or from a CRD.
    pub origin: Origin,
    /// Columns besides NAME; empty for built-in kinds, whose cells are computed.
    pub columns: Vec<Column>,
}

impl Resource {
    /// `apps/v1`, or `v1` for the core group.
    pub fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", self.group)
        }
    }

    /// True if its objects are in namespaces.
    pub fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}

/// All resources that the API serves.
#[derive(Clone, Debug)]
pub struct Registry {
    resources: Vec<Arc<Resource>>,
}

impl Registry {
    /// The kinds of Kubernetes that demos need, and the Gateway API's.
    pub fn new() -> Self {
        let mut resources = built_in();
        resources.extend(gateway_api());
        Registry {
            resources: resources.into_iter().map(Arc::new).collect(),
        }
    }

    /// The resource at `/apis/GROUP/VERSION/PLURAL`.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|r| {
            r.group == group && r.plural == plural && r.versions.iter().any(|v| v.name == version)
        })
    }

    /// The resource of a kind, whichever the version.
    pub fn of_kind(&self, group: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.resources
            .iter()
            .find(|r| r.group == group && r.kind == kind)
    }

    /// The resource that the store calls `id`.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|r| &*r.id == id)
    }

    /// All of them, in order of definition.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.iter()
    }

    /// The groups, core (empty) first, each once.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for resource in &self.resources {
            if !groups.contains(&resource.group.as_str()) {
                groups.push(&resource.group);
            }
        }
        groups
    }

    /// The versions of a group, preferred first.
    pub fn versions(&self, group: &str) -> Vec<&str> {
        let mut versions: Vec<&str> = Vec::new();
        for resource in self.resources.iter().filter(|r| r.group == group) {
            for version in &resource.versions {
                if !versions.contains(&version.name.as_str()) {
                    versions.push(&version.name);
                }
            }
        }
        versions.sort_by_key(|v| version_rank(v));
        versions
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

/// Kubernetes' version priority: GA before beta before alpha, newer first.
fn version_rank(version: &str) -> (u8, i32) {
    let digits = |s: &str| s.parse::<i32>().unwrap_or(0);
    let rest = version.trim_start_matches('v');
    match rest
        .split_once("beta")
        .map(|p| (1, p))
        .or_else(|| rest.split_once("alpha").map(|p| (2, p)))
    {
        Some((stage, (_, minor))) => (stage, -digits(minor)),
        None => (0, -digits(rest)),
    }
}

struct Draft(Resource);

fn built_in_kind(group: &str, version: &str, kind: &str, plural: &str) -> Draft {
    let id = if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    };
    Draft(Resource {
        id: id.into(),
        group: group.to_owned(),
        versions: vec![Version {
            name: version.to_owned(),
            deprecation: None,
        }],
        storage: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        short: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        subresources: Vec::new(),
        origin: Origin::BuiltIn,
        columns: Vec::new(),
    })
}

impl Draft {
    fn short(mut self, name: &str) -> Self {
        self.0.short.push(name.to_owned());
        self
    }

    fn category(mut self, name: &str) -> Self {
        self.0.categories.push(name.to_owned());
        self
    }

    fn cluster_scoped(mut self) -> Self {
        self.0.scope = Scope::Cluster;
        self
    }

    fn subresources(mut self, names: &[&str]) -> Self {
        self.0.subresources = names.iter().map(|&s| s.to_owned()).collect();
        self
    }

    fn also_version(mut self, name: &str) -> Self {
        self.0.versions.push(Version {
            name: name.to_owned(),
            deprecation: None,
        });
        self
    }

    fn columns(mut self, columns: &[(&str, &str, &str)]) -> Self {
        self.0.columns = columns
            .iter()
            .map(|&(name, kind, path)| Column {
                name: name.to_owned(),
                kind: kind.to_owned(),
                path: path.to_owned(),
                priority: 0,
            })
            .collect();
        self
    }
}

fn built_in() -> Vec<Resource> {
    [
        built_in_kind("", "v1", "Namespace", "namespaces")
            .cluster_scoped()
            .short("ns")
            .subresources(&["status"]),
        built_in_kind("", "v1", "ConfigMap", "configmaps").short("cm"),
        built_in_kind("", "v1", "Event", "events").short("ev"),
        built_in_kind("", "v1", "Pod", "pods")
            .short("po")
            .category("all")
            .subresources(&["status", "log"]),
        built_in_kind("", "v1", "Secret", "secrets"),
        built_in_kind("", "v1", "Service", "services")
            .short("svc")
            .category("all")
            .subresources(&["status"]),
        built_in_kind("", "v1", "ServiceAccount", "serviceaccounts").short("sa"),
        built_in_kind("apps", "v1", "Deployment", "deployments")
            .short("deploy")
            .category("all")
            .subresources(&["status", "scale"]),
        built_in_kind("apps", "v1", "ReplicaSet", "replicasets")
            .short("rs")
            .category("all")
            .subresources(&["status", "scale"]),
    ]
    .into_iter()
    .map(|d| d.0)
    .collect()
}

fn gateway_api() -> Vec<Resource> {
    const GROUP: &str = "gateway.networking.k8s.io";
    const AGE: (&str, &str, &str) = ("Age", "date", ".metadata.creationTimestamp");
    let kind = |kind: &str, plural: &str| {
        let mut draft = built_in_kind(GROUP, "v1", kind, plural)
            .also_version("v1beta1")
            .category("gateway-api")
            .subresources(&["status"]);
        draft.0.origin = Origin::Custom;
        draft
    };
    [
        kind("GatewayClass", "gatewayclasses")
            .cluster_scoped()
            .short("gc")
            .columns(&[
                ("Controller", "string", ".spec.controllerName"),
                (
                    "Accepted",
                    "string",
                    ".status.conditions[?(@.type==\"Accepted\")].status",
                ),
                AGE,
            ]),
        kind("Gateway", "gateways").short("gtw").columns(&[
            ("Class", "string", ".spec.gatewayClassName"),
            ("Address", "string", ".status.addresses[*].value"),
            (
                "Programmed",
                "string",
                ".status.conditions[?(@.type==\"Programmed\")].status",
            ),
            AGE,
        ]),
        kind("HTTPRoute", "httproutes").columns(&[("Hostnames", "string", ".spec.hostnames"), AGE]),
    ]
    .into_iter()
    .map(|d| d.0)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_group_stand_in_kubernetes_order() {
        let mut versions = ["v1alpha2", "v1beta1", "v1", "v2", "v1alpha3"];
        versions.sort_by_key(|v| version_rank(v));
        assert_eq!(versions, ["v2", "v1", "v1beta1", "v1alpha3", "v1alpha2"]);
    }

    #[test]
    fn both_versions_of_a_route_are_one_resource() {
        let registry = Registry::new();
        let group = "gateway.networking.k8s.io";
        let v1 = registry.find(group, "v1", "httproutes").unwrap();
        let beta = registry.find(group, "v1beta1", "httproutes").unwrap();
        assert_eq!(v1.id, beta.id);
        assert!(registry.find(group, "v1alpha2", "httproutes").is_none());
    }
}
