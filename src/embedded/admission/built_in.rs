//! Defaults and validation of Kubernetes' own kinds, beyond what their schemas say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::names::check_labels;
use crate::embedded::crd::{self, CRDS};
use crate::embedded::list::items;
use crate::embedded::status::FieldError;

/// Replicas of one workload; each is a listener in this process.
const MOST_REPLICAS: u64 = 200;
/// Container ports of one pod; each is a listener too.
const MOST_PORTS: usize = 32;
/// Bytes of a ConfigMap or Secret.
const MOST_DATA: usize = 1 << 20;

/// Fills in what the API server fills in for a kind.
pub fn default(id: &str, object: &mut Value, before: Option<&Value>) {
    match id {
        "namespaces" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            match before {
                None => set_absent(&mut object["spec"], "finalizers", json!(["kubernetes"])),
                Some(before) => object["spec"] = before["spec"].clone(),
            }
            set_absent(&mut object["status"], "phase", json!("Active"));
        }
        "services" => default_service(object, before),
        "pods" => {
            set_absent(&mut object["spec"], "enableServiceLinks", json!(true));
            set_absent(&mut object["spec"], "serviceAccountName", json!("default"));
            set_absent(&mut object["spec"], "nodeName", json!("footlights"));
            default_pod_spec(&mut object["spec"]);
            if object["status"].is_null() {
                object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
            }
        }
        "deployments.apps" => {
            let spec = &mut object["spec"];
            set_absent(spec, "replicas", json!(1));
            set_absent(spec, "revisionHistoryLimit", json!(10));
            set_absent(spec, "progressDeadlineSeconds", json!(600));
            set_absent(&mut spec["strategy"], "type", json!("RollingUpdate"));
            if spec["strategy"]["type"] == "RollingUpdate" {
                let rolling = &mut spec["strategy"]["rollingUpdate"];
                set_absent(rolling, "maxSurge", json!("25%"));
                set_absent(rolling, "maxUnavailable", json!("25%"));
            }
            default_pod_spec(&mut spec["template"]["spec"]);
        }
        "replicasets.apps" => {
            set_absent(&mut object["spec"], "replicas", json!(1));
            default_pod_spec(&mut object["spec"]["template"]["spec"]);
        }
        "secrets" => default_secret(object),
        CRDS => crd::default(object),
        _ => {}
    }
}

/// Sets a field of an object that lacks it; an absent object is made.
fn set_absent(object: &mut Value, field: &str, value: Value) {
    if object.is_null() {
        *object = json!({});
    }
    if let Some(fields) = object.as_object_mut() {
        let entry = fields.entry(field).or_insert(Value::Null);
        if entry.is_null() {
            *entry = value;
        }
    }
}

fn each<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    object
        .get_mut(field)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

fn default_service(object: &mut Value, before: Option<&Value>) {
    let spec = &mut object["spec"];
    set_absent(spec, "type", json!("ClusterIP"));
    set_absent(spec, "sessionAffinity", json!("None"));
    if spec["type"] != "ExternalName" {
        set_absent(spec, "internalTrafficPolicy", json!("Cluster"));
        set_absent(spec, "ipFamilies", json!(["IPv4"]));
        set_absent(spec, "ipFamilyPolicy", json!("SingleStack"));
        // Who replaces a Service without naming its address keeps it.
        for field in ["clusterIP", "clusterIPs"] {
            let known = before.map(|b| b["spec"][field].clone()).unwrap_or_default();
            if !known.is_null() {
                set_absent(spec, field, known);
            }
        }
    }
    if spec["type"] == "LoadBalancer" {
        set_absent(spec, "allocateLoadBalancerNodePorts", json!(true));
        set_absent(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    for port in each(spec, "ports") {
        if port["targetPort"].is_null() {
            port["targetPort"] = port["port"].clone();
        }
    }
}

fn default_pod_spec(spec: &mut Value) {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
    ] {
        set_absent(spec, field, value);
    }
    for list in ["containers", "initContainers"] {
        for container in each(spec, list) {
            let image = container["image"].as_str().unwrap_or("");
            let tag = image
                .rsplit('/')
                .next()
                .and_then(|last| last.split_once(':'));
            let newest = tag.is_none_or(|(_, tag)| tag == "latest");
            let pull = if newest { "Always" } else { "IfNotPresent" };
            set_absent(container, "imagePullPolicy", json!(pull));
            set_absent(container, "resources", json!({}));
            set_absent(
                container,
                "terminationMessagePath",
                json!("/dev/termination-log"),
            );
            set_absent(container, "terminationMessagePolicy", json!("File"));
            for variable in each(container, "env") {
                if variable["valueFrom"]["fieldRef"].is_object() {
                    let reference = &mut variable["valueFrom"]["fieldRef"];
                    set_absent(reference, "apiVersion", json!("v1"));
                }
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if container[probe].is_object() {
                    default_probe(&mut container[probe]);
                }
            }
        }
    }
}

fn default_probe(probe: &mut Value) {
    for (field, value) in [
        ("failureThreshold", 3),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("timeoutSeconds", 1),
    ] {
        set_absent(probe, field, json!(value));
    }
    if probe["httpGet"].is_object() {
        set_absent(&mut probe["httpGet"], "scheme", json!("HTTP"));
        set_absent(&mut probe["httpGet"], "path", json!("/"));
    }
}

/// `stringData` is written into `data` and never read back.
fn default_secret(object: &mut Value) {
    set_absent(object, "type", json!("Opaque"));
    let plain = object.as_object_mut().and_then(|o| o.remove("stringData"));
    for (key, value) in plain
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let encoded = STANDARD.encode(value.as_str().unwrap_or(""));
        object["data"][key] = json!(encoded);
    }
}

/// Refuses what the API server refuses for a kind.
pub fn validate(id: &str, object: &Value, before: Option<&Value>, causes: &mut Vec<FieldError>) {
    match id {
        "deployments.apps" | "replicasets.apps" => {
            validate_template(object, causes);
            if let Some(before) = before {
                let (old, new) = (&before["spec"]["selector"], &object["spec"]["selector"]);
                if old != new {
                    causes.push(FieldError::invalid(
                        "spec.selector",
                        new,
                        "field is immutable",
                    ));
                }
            }
        }
        "pods" => {
            validate_containers(&object["spec"], "spec", causes);
            if let Some(before) = before {
                validate_pod_update(object, before, causes);
            }
        }
        "services" => validate_service(object, before, causes),
        "configmaps" | "secrets" => validate_data(object, before, causes),
        CRDS => causes.extend(crd::validate(object)),
        _ => {}
    }
}

fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (usize, &'a Value)> + use<'a> {
    items(&object[field]).enumerate()
}

fn validate_template(object: &Value, causes: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let labels = &spec["template"]["metadata"]["labels"];
    let selector = &spec["selector"]["matchLabels"];
    let by_expressions = list(&spec["selector"], "matchExpressions").next().is_some();
    if !selector.is_object() && !by_expressions {
        causes.push(FieldError::required("spec.selector", ""));
    }
    let fits = |(key, value): (&String, &Value)| &labels[key] == value;
    if !selector.as_object().into_iter().flatten().all(fits) {
        causes.push(FieldError::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    check_labels(labels, "spec.template.metadata.labels", causes);
    validate_containers(&spec["template"]["spec"], "spec.template.spec", causes);
    let replicas = &spec["replicas"];
    if replicas.as_i64().is_none_or(|n| n < 0) {
        causes.push(FieldError::invalid(
            "spec.replicas",
            replicas,
            "must be greater than or equal to 0",
        ));
    } else if replicas.as_u64().is_some_and(|n| n > MOST_REPLICAS) {
        let why = format!(
            "the embedded cluster runs its pods in one process: {MOST_REPLICAS} at the most"
        );
        causes.push(FieldError::invalid("spec.replicas", replicas, &why));
    }
}

fn validate_containers(spec: &Value, at: &str, causes: &mut Vec<FieldError>) {
    if list(spec, "containers").count() == 0 {
        causes.push(FieldError::required(format!("{at}.containers"), ""));
    }
    let ports: usize = list(spec, "containers")
        .map(|(_, c)| list(c, "ports").count())
        .sum();
    if ports > MOST_PORTS {
        causes.push(FieldError {
            field: format!("{at}.containers"),
            reason: "FieldValueTooMany",
            message: format!(
                "Too many: {ports}: the embedded cluster binds {MOST_PORTS} ports a pod"
            ),
        });
    }
    let mut names: Vec<&str> = Vec::new();
    for (i, container) in list(spec, "containers") {
        let at = format!("{at}.containers[{i}]");
        let name = container["name"].as_str().unwrap_or("");
        if name.is_empty() {
            causes.push(FieldError::required(format!("{at}.name"), ""));
        } else if names.contains(&name) {
            causes.push(FieldError::duplicate(
                format!("{at}.name"),
                &container["name"],
            ));
        }
        names.push(name);
        if container["image"].as_str().unwrap_or("").is_empty() {
            causes.push(FieldError::required(format!("{at}.image"), ""));
        }
        for (j, port) in list(container, "ports") {
            check_port(port, "containerPort", &format!("{at}.ports[{j}]"), causes);
        }
    }
}

/// Of a pod's spec only images and tolerations may change, and its grace period.
fn validate_pod_update(object: &Value, before: &Value, causes: &mut Vec<FieldError>) {
    let fixed = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for container in each(&mut spec, "containers") {
            container["image"] = Value::Null;
        }
        if let Some(fields) = spec.as_object_mut() {
            fields.retain(|name, _| {
                ![
                    "tolerations",
                    "activeDeadlineSeconds",
                    "terminationGracePeriodSeconds",
                ]
                .contains(&name.as_str())
            });
        }
        spec
    };
    if fixed(object) != fixed(before) {
        causes.push(FieldError {
            field: "spec".to_owned(),
            reason: "FieldValueForbidden",
            message: "Forbidden: pod updates may not change fields other than \
                      `spec.containers[*].image`,`spec.initContainers[*].image`,\
                      `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
                      tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if \
                      it was previously negative)"
                .to_owned(),
        });
    }
}

fn validate_service(object: &Value, before: Option<&Value>, causes: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !known.contains(&spec["type"].as_str().unwrap_or("")) {
        causes.push(FieldError::not_supported(
            "spec.type",
            &spec["type"],
            &known,
        ));
    }
    let ports = list(spec, "ports").count();
    if ports == 0 && spec["type"] != "ExternalName" && spec["clusterIP"] != "None" {
        causes.push(FieldError::required("spec.ports", ""));
    }
    let mut names: Vec<&Value> = Vec::new();
    for (i, port) in list(spec, "ports") {
        let at = format!("spec.ports[{i}]");
        check_port(port, "port", &at, causes);
        if ports > 1 && port["name"].as_str().unwrap_or("").is_empty() {
            causes.push(FieldError::required(format!("{at}.name"), ""));
        } else if ports > 1 && names.contains(&&port["name"]) {
            causes.push(FieldError::duplicate(format!("{at}.name"), &port["name"]));
        }
        names.push(&port["name"]);
    }
    if let Some(before) = before {
        let (old, new) = (&before["spec"]["clusterIP"], &spec["clusterIP"]);
        if old.is_string()
            && new.is_string()
            && old != new
            && before["spec"]["type"] == spec["type"]
        {
            let value = json!(spec["clusterIPs"]);
            causes.push(FieldError::invalid(
                "spec.clusterIPs[0]",
                &value,
                "may not change once set",
            ));
        }
    }
}

fn validate_data(object: &Value, before: Option<&Value>, causes: &mut Vec<FieldError>) {
    let size: usize = ["data", "binaryData"]
        .iter()
        .flat_map(|field| object[*field].as_object().into_iter().flatten())
        .map(|(_, value)| value.as_str().map_or(0, str::len))
        .sum();
    if size > MOST_DATA {
        causes.push(FieldError {
            field: String::new(),
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {MOST_DATA} bytes"),
        });
    }
    if before.is_some_and(|b| b["immutable"] == true && b["data"] != object["data"]) {
        causes.push(FieldError {
            field: "data".to_owned(),
            reason: "FieldValueForbidden",
            message: "Forbidden: field is immutable when `immutable` is set".to_owned(),
        });
    }
}

fn check_port(object: &Value, field: &str, at: &str, causes: &mut Vec<FieldError>) {
    let port = &object[field];
    if !port.as_u64().is_some_and(|p| (1..=65535).contains(&p)) {
        let why = "must be between 1 and 65535, inclusive";
        causes.push(FieldError::invalid(format!("{at}.{field}"), port, why));
    }
}
