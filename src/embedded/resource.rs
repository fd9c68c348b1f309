//! The kinds that the API serves: names, versions, scope, subresources and schemas.
//!
//! Kubernetes' own are listed in `kinds`; all others come from CustomResourceDefinitions (`crd`).

mod kinds;

use std::cmp::Reverse;
use std::sync::{Arc, OnceLock};

use kube_cel::CompiledSchema;
use serde_json::Value;

use super::crd::Costs;
use super::schema::{Schema, built_in};

/// A version of a resource.
#[derive(Clone, Debug)]
pub struct Version {
    /// `v1`, `v1beta1`.
    pub name: String,
    /// What the `Warning` header says when this version is used.
    pub deprecation: Option<String>,
    /// `status`, `scale`, `log`.
    pub subresources: Vec<String>,
    /// Where a custom resource keeps what `scale` shows.
    pub scale: ScalePaths,
    /// Columns besides NAME; empty for built-in kinds, whose cells are computed.
    pub columns: Vec<Column>,
    /// What its objects look like.
    pub definition: Arc<Definition>,
}

/// JSON pointers of the fields behind the `scale` subresource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The replicas asked for.
    pub spec: String,
    /// The replicas there are.
    pub status: String,
    /// The selector as text; computed from `spec.selector` if none.
    pub selector: Option<String>,
}

impl Default for ScalePaths {
    fn default() -> Self {
        ScalePaths {
            spec: "/spec/replicas".to_owned(),
            status: "/status/replicas".to_owned(),
            selector: None,
        }
    }
}

/// A schema as it is published, and compiled once it is first needed.
#[derive(Debug)]
pub struct Definition {
    source: Source,
    json: OnceLock<Value>,
    schema: OnceLock<Arc<Schema>>,
    rules: OnceLock<(CompiledSchema, Costs)>,
}

#[derive(Debug)]
enum Source {
    BuiltIn(String),
    Custom,
}

impl Definition {
    /// Of a built-in resource.
    fn built_in(resource: &str) -> Self {
        Definition {
            source: Source::BuiltIn(resource.to_owned()),
            json: OnceLock::new(),
            schema: OnceLock::new(),
            rules: OnceLock::new(),
        }
    }

    /// Of a CRD's version: its `openAPIV3Schema`, and the same compiled.
    pub fn custom(json: Value, schema: Arc<Schema>) -> Self {
        Definition {
            source: Source::Custom,
            json: OnceLock::from(json),
            schema: OnceLock::from(schema),
            rules: OnceLock::new(),
        }
    }

    /// The schema as JSON; parts of a built-in one are under `$defs`.
    pub fn json(&self) -> &Value {
        self.json.get_or_init(|| match &self.source {
            Source::BuiltIn(resource) => built_in::json_schema(resource).unwrap_or_default(),
            Source::Custom => Value::Null,
        })
    }

    /// The compiled schema.
    pub fn schema(&self) -> &Arc<Schema> {
        self.schema.get_or_init(|| {
            // A test compiles every built-in schema.
            Schema::of_built_in(self.json()).unwrap_or_else(|_| Arc::new(Schema::anything()))
        })
    }

    /// The CEL rules of a custom resource, and what they cost.
    pub fn rules(&self) -> Option<&(CompiledSchema, Costs)> {
        let compile = || {
            let json = self.json();
            (kube_cel::compile_schema(json), Costs::of(json))
        };
        match self.source {
            Source::BuiltIn(_) => None,
            Source::Custom => Some(self.rules.get_or_init(compile)),
        }
    }
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
    /// What `kubectl explain` would say of it.
    pub description: String,
}

/// One resource of the API.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Plural and group: `deployments.apps`, `pods`. The store's name for it.
    pub id: Arc<str>,
    /// Empty for the core group.
    pub group: String,
    /// Those that are served. All versions share one stored object.
    pub versions: Vec<Version>,
    /// The version that objects are stored and controllers read as.
    pub storage: String,
    /// `Deployment`.
    pub kind: String,
    /// `DeploymentList`.
    pub list_kind: String,
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
    /// Built in or from a CRD.
    pub origin: Origin,
    /// What its objects look like in the storage version, which need not be served.
    pub definition: Arc<Definition>,
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

    /// `Deployment.apps`, or `Pod` for the core group.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() {
            self.kind.clone()
        } else {
            format!("{}.{}", self.kind, self.group)
        }
    }

    /// True if its objects are in namespaces.
    pub fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// A served version.
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.name == name)
    }

    /// True if some version has the subresource.
    pub fn has_subresource(&self, name: &str) -> bool {
        self.versions
            .iter()
            .any(|v| v.subresources.iter().any(|s| s == name))
    }
}

/// All resources that the API serves.
#[derive(Clone, Debug)]
pub struct Registry {
    resources: Vec<Arc<Resource>>,
}

impl Registry {
    /// The kinds of Kubernetes that demos need.
    pub fn built_in() -> Self {
        Registry {
            resources: kinds::kinds().into_iter().map(Arc::new).collect(),
        }
    }

    /// With the built-in bundle of the Gateway API.
    #[cfg(test)]
    pub fn with_gateway_api() -> Self {
        // Tests share what is compiled.
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        let made = REGISTRY.get_or_init(Self::read_gateway_api);
        made.clone()
    }

    #[cfg(test)]
    fn read_gateway_api() -> Self {
        let mut registry = Registry::built_in();
        for document in crate::manifest::parse(super::profile::GATEWAY_API).unwrap() {
            let mut crd = document.object;
            super::crd::default(&mut crd);
            assert_eq!(super::crd::validate(&crd), []);
            registry.put(Arc::new(super::crd::resource(&crd, None).unwrap()));
        }
        registry
    }

    /// Serves a resource, in place of one with the same id.
    pub fn put(&mut self, resource: Arc<Resource>) {
        match self.resources.iter_mut().find(|r| r.id == resource.id) {
            Some(known) => *known = resource,
            None => self.resources.push(resource),
        }
    }

    /// Serves a resource no more.
    pub fn remove(&mut self, id: &str) {
        self.resources.retain(|r| &*r.id != id);
    }

    /// The resource at `/apis/GROUP/VERSION/PLURAL`.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources
            .iter()
            .find(|r| r.group == group && r.plural == plural && r.version(version).is_some())
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

/// Kubernetes' version priority: GA before beta before alpha, newer first; other names last.
fn version_rank(version: &str) -> (u8, Reverse<u64>, Reverse<u64>, &str) {
    let parsed = version.strip_prefix('v').and_then(|rest| {
        let (stage, major, minor) = match (rest.split_once("beta"), rest.split_once("alpha")) {
            (Some((major, minor)), _) => (1, major, minor),
            (None, Some((major, minor))) => (2, major, minor),
            (None, None) => (0, rest, "0"),
        };
        Some((
            stage,
            major.parse::<u64>().ok()?,
            minor.parse::<u64>().ok()?,
        ))
    });
    match parsed {
        Some((stage, major, minor)) => (stage, Reverse(major), Reverse(minor), ""),
        None => (3, Reverse(0), Reverse(0), version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_group_stand_in_kubernetes_order() {
        let mut versions = [
            "foo", "v1alpha2", "v1beta1", "v1", "v2", "v1alpha3", "v10", "bar",
        ];
        versions.sort_by_key(|v| version_rank(v));
        assert_eq!(
            versions,
            [
                "v10", "v2", "v1", "v1beta1", "v1alpha3", "v1alpha2", "bar", "foo"
            ]
        );
    }
}
