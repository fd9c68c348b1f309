//! The messages that are read: their fields' numbers and names.

/// What a field holds.
#[derive(Clone, Copy)]
pub enum Field {
    Text,
    /// Zero counts.
    Int,
    /// Zero is how Go writes what is not set.
    Number,
    Bool,
    Texts,
    TextMap,
    BytesMap,
    One(Table),
    Many(Table),
    IntOrString,
    /// Written by servers only, or always empty from kubectl.
    Empty,
}

/// A message's fields by number.
pub type Table = &'static [(u32, &'static str, Field)];

use Field::{Bool, BytesMap, Empty, Int, Many, Number, One, Text, TextMap, Texts};

const META: Table = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (4, "selfLink", Empty),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Empty),
    (8, "creationTimestamp", Empty),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (14, "finalizers", Texts),
];
const NAMESPACE: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", Empty),
    (3, "status", Empty),
];
const CONFIG_MAP: Table = &[
    (1, "metadata", One(META)),
    (2, "data", TextMap),
    (3, "binaryData", BytesMap),
    (4, "immutable", Bool),
];
const SECRET: Table = &[
    (1, "metadata", One(META)),
    (2, "data", BytesMap),
    (3, "type", Text),
    (4, "stringData", TextMap),
    (5, "immutable", Bool),
];
const SERVICE_ACCOUNT: Table = &[(1, "metadata", One(META))];
const SELECTOR: Table = &[(1, "matchLabels", TextMap)];
const CONTAINER_PORT: Table = &[
    (1, "name", Text),
    (2, "hostPort", Number),
    (3, "containerPort", Number),
    (4, "protocol", Text),
    (5, "hostIP", Text),
];
const VARIABLE: Table = &[(1, "name", Text), (2, "value", Text)];
const CONTAINER: Table = &[
    (1, "name", Text),
    (2, "image", Text),
    (3, "command", Texts),
    (4, "args", Texts),
    (5, "workingDir", Text),
    (6, "ports", Many(CONTAINER_PORT)),
    (7, "env", Many(VARIABLE)),
    (13, "terminationMessagePath", Text),
    (14, "imagePullPolicy", Text),
    (16, "stdin", Bool),
    (17, "stdinOnce", Bool),
    (18, "tty", Bool),
    (20, "terminationMessagePolicy", Text),
];
const POD_SPEC: Table = &[
    (2, "containers", Many(CONTAINER)),
    (3, "restartPolicy", Text),
    (4, "terminationGracePeriodSeconds", Int),
    (6, "dnsPolicy", Text),
    (8, "serviceAccountName", Text),
    (9, "serviceAccount", Text),
    (10, "nodeName", Text),
];
const POD: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(POD_SPEC)),
    (3, "status", Empty),
];
const TEMPLATE: Table = &[(1, "metadata", One(META)), (2, "spec", One(POD_SPEC))];
const DEPLOYMENT_SPEC: Table = &[
    (1, "replicas", Int),
    (2, "selector", One(SELECTOR)),
    (3, "template", One(TEMPLATE)),
    (4, "strategy", Empty),
    (5, "minReadySeconds", Number),
    (6, "revisionHistoryLimit", Int),
    (7, "paused", Bool),
    (9, "progressDeadlineSeconds", Int),
];
const DEPLOYMENT: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(DEPLOYMENT_SPEC)),
    (3, "status", Empty),
];
const SERVICE_PORT: Table = &[
    (1, "name", Text),
    (2, "protocol", Text),
    (3, "port", Number),
    (4, "targetPort", Field::IntOrString),
    (5, "nodePort", Number),
    (6, "appProtocol", Text),
];
const SERVICE_SPEC: Table = &[
    (1, "ports", Many(SERVICE_PORT)),
    (2, "selector", TextMap),
    (3, "clusterIP", Text),
    (4, "type", Text),
    (5, "externalIPs", Texts),
    (7, "sessionAffinity", Text),
    (8, "loadBalancerIP", Text),
    (10, "externalName", Text),
];
const SERVICE: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(SERVICE_SPEC)),
    (3, "status", Empty),
];
const RULE: Table = &[
    (1, "verbs", Texts),
    (2, "apiGroups", Texts),
    (3, "resources", Texts),
    (4, "resourceNames", Texts),
    (5, "nonResourceURLs", Texts),
];
const ROLE: Table = &[(1, "metadata", One(META)), (2, "rules", Many(RULE))];
const SUBJECT: Table = &[
    (1, "kind", Text),
    (2, "apiGroup", Text),
    (3, "name", Text),
    (4, "namespace", Text),
];
const ROLE_REF: Table = &[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)];
const ROLE_BINDING: Table = &[
    (1, "metadata", One(META)),
    (2, "subjects", Many(SUBJECT)),
    (3, "roleRef", One(ROLE_REF)),
];
const RESOURCE_ATTRIBUTES: Table = &[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
];
const ACCESS_SPEC: Table = &[
    (1, "resourceAttributes", One(RESOURCE_ATTRIBUTES)),
    (
        2,
        "nonResourceAttributes",
        One(&[(1, "path", Text), (2, "verb", Text)]),
    ),
];
const ACCESS_REVIEW: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(ACCESS_SPEC)),
    (3, "status", Empty),
];
const RULES_REVIEW: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(&[(1, "namespace", Text)])),
    (3, "status", Empty),
];
const SELF_REVIEW: Table = &[(1, "metadata", One(META)), (2, "status", Empty)];
const DELETE_OPTIONS: Table = &[
    (1, "gracePeriodSeconds", Int),
    (
        2,
        "preconditions",
        One(&[(1, "uid", Text), (2, "resourceVersion", Text)]),
    ),
    (3, "orphanDependents", Bool),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];

/// The fields of a kind, if it is one of these.
pub fn table(kind: &str) -> Option<Table> {
    Some(match kind {
        "Namespace" => NAMESPACE,
        "ConfigMap" => CONFIG_MAP,
        "Secret" => SECRET,
        "ServiceAccount" => SERVICE_ACCOUNT,
        "Pod" => POD,
        "Deployment" => DEPLOYMENT,
        "Service" => SERVICE,
        "Role" | "ClusterRole" => ROLE,
        "RoleBinding" | "ClusterRoleBinding" => ROLE_BINDING,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        "SelfSubjectRulesReview" => RULES_REVIEW,
        "SelfSubjectReview" => SELF_REVIEW,
        "DeleteOptions" => DELETE_OPTIONS,
        _ => return None,
    })
}
