//! Kubernetes' own kinds that demos need.

use std::sync::Arc;

use super::{Definition, Origin, Resource, ScalePaths, Scope, Version};

/// A kind that is being described.
struct Draft(Resource);

fn kind(group: &str, version: &str, kind: &str, plural: &str) -> Draft {
    let id = if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    };
    let definition = Arc::new(Definition::built_in(&id));
    Draft(Resource {
        id: id.into(),
        group: group.to_owned(),
        versions: vec![Version {
            name: version.to_owned(),
            deprecation: None,
            subresources: Vec::new(),
            scale: ScalePaths::default(),
            columns: Vec::new(),
            definition: definition.clone(),
        }],
        storage: version.to_owned(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        short: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        origin: Origin::BuiltIn,
        definition,
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
        for version in &mut self.0.versions {
            version.subresources = names.iter().map(|&s| s.to_owned()).collect();
        }
        self
    }
}

/// All of them.
pub fn kinds() -> Vec<Resource> {
    const ADMISSION: &str = "admissionregistration.k8s.io";
    const RBAC: &str = "rbac.authorization.k8s.io";
    [
        kind("", "v1", "ConfigMap", "configmaps").short("cm"),
        kind("", "v1", "Endpoints", "endpoints").short("ep"),
        kind("", "v1", "Event", "events").short("ev"),
        kind("", "v1", "Namespace", "namespaces")
            .cluster_scoped()
            .short("ns")
            .subresources(&["finalize", "status"]),
        kind("", "v1", "Node", "nodes")
            .cluster_scoped()
            .short("no")
            .subresources(&["status"]),
        kind("", "v1", "Pod", "pods")
            .short("po")
            .category("all")
            .subresources(&[
                "attach",
                "ephemeralcontainers",
                "exec",
                "log",
                "portforward",
                "proxy",
                "status",
            ]),
        kind("", "v1", "Secret", "secrets"),
        kind("", "v1", "Service", "services")
            .short("svc")
            .category("all")
            .subresources(&["proxy", "status"]),
        kind("", "v1", "ServiceAccount", "serviceaccounts").short("sa"),
        kind(
            ADMISSION,
            "v1",
            "ValidatingAdmissionPolicy",
            "validatingadmissionpolicies",
        )
        .cluster_scoped()
        .category("api-extensions")
        .subresources(&["status"]),
        kind(
            ADMISSION,
            "v1",
            "ValidatingAdmissionPolicyBinding",
            "validatingadmissionpolicybindings",
        )
        .cluster_scoped()
        .category("api-extensions"),
        kind(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        )
        .cluster_scoped()
        .short("crd")
        .short("crds")
        .category("api-extensions")
        .subresources(&["status"]),
        kind("apps", "v1", "Deployment", "deployments")
            .short("deploy")
            .category("all")
            .subresources(&["scale", "status"]),
        kind("apps", "v1", "ReplicaSet", "replicasets")
            .short("rs")
            .category("all")
            .subresources(&["scale", "status"]),
        kind("coordination.k8s.io", "v1", "Lease", "leases"),
        kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
        kind(RBAC, "v1", "ClusterRole", "clusterroles").cluster_scoped(),
        kind(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings").cluster_scoped(),
        kind(RBAC, "v1", "Role", "roles"),
        kind(RBAC, "v1", "RoleBinding", "rolebindings"),
    ]
    .into_iter()
    .map(|d| d.0)
    .collect()
}
