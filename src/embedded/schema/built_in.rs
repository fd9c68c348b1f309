//! The schemas of Kubernetes' own kinds: k8s-openapi's, with what its types do not say of lists.

use std::sync::{Arc, OnceLock};

use k8s_openapi::api::{
    admissionregistration::v1 as admissionregistration, apps::v1 as apps,
    coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery,
    rbac::v1 as rbac,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};

use super::Schema;

/// Lists that merge by key or as sets, by definition and field: `x-kubernetes-list-map-keys` of
/// Kubernetes' published OpenAPI. An empty key list stands for a set.
const LISTS: &[(&str, &str, &[&str])] = &[
    ("core.v1.Container", "env", &["name"]),
    ("core.v1.Container", "ports", &["containerPort", "protocol"]),
    ("core.v1.Container", "volumeDevices", &["devicePath"]),
    ("core.v1.Container", "volumeMounts", &["mountPath"]),
    ("core.v1.NodeSpec", "podCIDRs", &[]),
    ("core.v1.NodeStatus", "addresses", &["type"]),
    ("core.v1.NodeStatus", "conditions", &["type"]),
    ("core.v1.PodSpec", "containers", &["name"]),
    ("core.v1.PodSpec", "ephemeralContainers", &["name"]),
    ("core.v1.PodSpec", "hostAliases", &["ip"]),
    ("core.v1.PodSpec", "imagePullSecrets", &["name"]),
    ("core.v1.PodSpec", "initContainers", &["name"]),
    ("core.v1.PodSpec", "resourceClaims", &["name"]),
    ("core.v1.PodSpec", "schedulingGates", &["name"]),
    (
        "core.v1.PodSpec",
        "topologySpreadConstraints",
        &["topologyKey", "whenUnsatisfiable"],
    ),
    ("core.v1.PodSpec", "volumes", &["name"]),
    ("core.v1.PodStatus", "conditions", &["type"]),
    ("core.v1.PodStatus", "hostIPs", &["ip"]),
    ("core.v1.PodStatus", "podIPs", &["ip"]),
    ("core.v1.ServiceAccount", "secrets", &["name"]),
    ("core.v1.ServiceSpec", "ports", &["port", "protocol"]),
    ("core.v1.ServiceStatus", "conditions", &["type"]),
    ("core.v1.NamespaceStatus", "conditions", &["type"]),
    ("apps.v1.DeploymentStatus", "conditions", &["type"]),
    ("apps.v1.ReplicaSetStatus", "conditions", &["type"]),
    ("discovery.v1.EndpointSlice", "ports", &[]),
    (
        "apiextensions.v1.CustomResourceDefinitionStatus",
        "conditions",
        &["type"],
    ),
    ("meta.v1.ObjectMeta", "finalizers", &[]),
    ("meta.v1.ObjectMeta", "ownerReferences", &["uid"]),
];

/// Maps that are owned as one value (`x-kubernetes-map-type: atomic`).
const ATOMIC: &[(&str, &str)] = &[
    ("core.v1.PodSpec", "nodeSelector"),
    ("core.v1.ServiceSpec", "selector"),
];

/// Structs that are owned as one value wherever they stand.
const ATOMIC_TYPES: &[&str] = &[
    "ConfigMapKeySelector",
    "LabelSelector",
    "LocalObjectReference",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ObjectReference",
    "OwnerReference",
    "ResourceFieldSelector",
    "RoleRef",
    "SecretKeySelector",
    "Subject",
    "TypedLocalObjectReference",
];

/// Defaults that are a list's keys as well.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("core.v1.ContainerPort", "protocol", "TCP"),
    ("core.v1.ServicePort", "protocol", "TCP"),
];

/// Definitions that hold anything.
const OPEN: &[&str] = &[
    "FieldsV1",
    "JSON",
    "JSONSchemaProps",
    "JSONSchemaPropsOrArray",
    "JSONSchemaPropsOrBool",
    "JSONSchemaPropsOrStringArray",
    "RawExtension",
    "Quantity",
];

/// The JSON schema of a built-in resource, parts under `$defs`.
pub fn json_schema(resource: &str) -> Option<Value> {
    Some(match resource {
        "configmaps" => of::<core::ConfigMap>(),
        "endpoints" => of::<core::Endpoints>(),
        "events" => of::<core::Event>(),
        "namespaces" => of::<core::Namespace>(),
        "nodes" => of::<core::Node>(),
        "pods" => of::<core::Pod>(),
        "secrets" => of::<core::Secret>(),
        "serviceaccounts" => of::<core::ServiceAccount>(),
        "services" => of::<core::Service>(),
        "customresourcedefinitions.apiextensions.k8s.io" => {
            of::<apiextensions::CustomResourceDefinition>()
        }
        "deployments.apps" => of::<apps::Deployment>(),
        "replicasets.apps" => of::<apps::ReplicaSet>(),
        "endpointslices.discovery.k8s.io" => of::<discovery::EndpointSlice>(),
        "leases.coordination.k8s.io" => of::<coordination::Lease>(),
        "clusterroles.rbac.authorization.k8s.io" => of::<rbac::ClusterRole>(),
        "clusterrolebindings.rbac.authorization.k8s.io" => of::<rbac::ClusterRoleBinding>(),
        "roles.rbac.authorization.k8s.io" => of::<rbac::Role>(),
        "rolebindings.rbac.authorization.k8s.io" => of::<rbac::RoleBinding>(),
        "validatingadmissionpolicies.admissionregistration.k8s.io" => {
            of::<admissionregistration::ValidatingAdmissionPolicy>()
        }
        "validatingadmissionpolicybindings.admissionregistration.k8s.io" => {
            of::<admissionregistration::ValidatingAdmissionPolicyBinding>()
        }
        _ => return None,
    })
}

/// The schema of `metadata`.
pub fn object_meta() -> Arc<Schema> {
    static SCHEMA: OnceLock<Arc<Schema>> = OnceLock::new();
    let compiled = SCHEMA.get_or_init(|| {
        let schema = of::<meta::ObjectMeta>();
        // k8s-openapi's own schema compiles: a test compiles them all.
        Schema::of_built_in(&schema).unwrap_or_else(|_| Arc::new(Schema::anything()))
    });
    compiled.clone()
}

fn of<T: JsonSchema>() -> Value {
    let mut schema = Value::from(schema_for!(T));
    let title = schema["title"].as_str().unwrap_or("").to_owned();
    annotate(&title, &mut schema);
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        for (name, definition) in definitions {
            annotate(name, definition);
        }
    }
    schema
}

/// Adds what k8s-openapi's types do not carry.
fn annotate(name: &str, definition: &mut Value) {
    let short = name.rsplit('.').next().unwrap_or(name);
    if OPEN.contains(&short) {
        *definition = json!({"description": definition["description"],
                             "x-kubernetes-preserve-unknown-fields": true});
        return;
    }
    if ATOMIC_TYPES.contains(&short) {
        definition["x-kubernetes-map-type"] = json!("atomic");
    }
    for (_, field, keys) in LISTS.iter().filter(|(d, ..)| name.ends_with(d)) {
        let list = &mut definition["properties"][field];
        if keys.is_empty() {
            list["x-kubernetes-list-type"] = json!("set");
        } else {
            list["x-kubernetes-list-type"] = json!("map");
            list["x-kubernetes-list-map-keys"] = json!(keys);
        }
    }
    for (_, field, default) in DEFAULTS.iter().filter(|(d, ..)| name.ends_with(d)) {
        definition["properties"][field]["default"] = json!(default);
    }
    for (_, field) in ATOMIC.iter().filter(|(d, _)| name.ends_with(d)) {
        definition["properties"][field]["x-kubernetes-map-type"] = json!("atomic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::resource::Registry;
    use crate::embedded::schema::{Kind, List};

    #[test]
    fn every_built_in_kind_has_a_schema_that_compiles() {
        for resource in Registry::built_in().iter() {
            let schema = json_schema(&resource.id)
                .unwrap_or_else(|| panic!("{} has no schema", resource.id));
            let compiled = Schema::of_built_in(&schema).unwrap();
            assert!(
                compiled.properties.contains_key("metadata"),
                "{}",
                resource.id
            );
        }
        assert!(object_meta().properties.contains_key("labels"));
    }

    #[test]
    fn every_list_named_here_is_there() {
        let schema = json_schema("pods").unwrap();
        let pod = Schema::of_built_in(&schema).unwrap();
        let spec = &pod.properties["spec"];
        assert_eq!(
            spec.properties["containers"].list,
            List::Map(vec!["name".into()])
        );
        let all: Vec<Value> = [
            "pods",
            "nodes",
            "services",
            "namespaces",
            "serviceaccounts",
            "deployments.apps",
            "replicasets.apps",
            "endpointslices.discovery.k8s.io",
            "customresourcedefinitions.apiextensions.k8s.io",
        ]
        .map(|r| json_schema(r).unwrap())
        .to_vec();
        let named = |d: &str, field: &str| {
            all.iter().any(|schema| {
                let root = [(schema["title"].as_str().unwrap().to_owned(), schema)];
                let defs = schema["$defs"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(k, v)| (k.clone(), v));
                root.into_iter().chain(defs).any(|(name, v)| {
                    name.ends_with(d) && v["properties"][field]["description"].is_string()
                })
            })
        };
        for (definition, field, _) in LISTS {
            assert!(named(definition, field), "{definition}.{field}");
        }
        for (definition, field) in ATOMIC {
            assert!(named(definition, field), "{definition}.{field}");
        }
    }

    #[test]
    fn ports_and_quantities_take_numbers_and_words() {
        let service = Schema::of_built_in(&json_schema("services").unwrap()).unwrap();
        let port = service.properties["spec"].properties["ports"]
            .items
            .as_ref()
            .unwrap();
        assert_eq!(port.properties["targetPort"].kind, Kind::IntOrString);
        let pod = json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]}});
        let schema = Schema::of_built_in(&json_schema("pods").unwrap()).unwrap();
        assert_eq!(schema.mistyped(&pod), None);
        let wrong = json!({"spec": {"containers": [{"name": 3}]}});
        assert_eq!(schema.mistyped(&wrong).unwrap().0, "spec.containers.name");
    }
}
