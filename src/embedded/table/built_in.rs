//! The columns of built-in kinds, as a real server prints them.

use crate::embedded::list::items;
use serde_json::{Value, json};

use super::age;

type Columns = &'static [(&'static str, &'static str, u8)];

const AGE: (&str, &str, u8) = ("Age", "string", 0);

/// The columns of a built-in kind behind `Name`: name, type and priority.
pub fn columns(id: &str) -> Columns {
    match id {
        "namespaces" => &[("Status", "string", 0), AGE],
        "configmaps" => &[("Data", "integer", 0), AGE],
        "secrets" => &[("Type", "string", 0), ("Data", "integer", 0), AGE],
        "events" => &[
            ("Last Seen", "string", 0),
            ("Type", "string", 0),
            ("Reason", "string", 0),
            ("Object", "string", 0),
            ("Message", "string", 0),
        ],
        "pods" => &[
            ("Ready", "string", 0),
            ("Status", "string", 0),
            ("Restarts", "string", 0),
            AGE,
            ("IP", "string", 1),
            ("Node", "string", 1),
            ("Nominated Node", "string", 1),
            ("Readiness Gates", "string", 1),
        ],
        "services" => &[
            ("Type", "string", 0),
            ("Cluster-IP", "string", 0),
            ("External-IP", "string", 0),
            ("Port(s)", "string", 0),
            AGE,
            ("Selector", "string", 1),
        ],
        "customresourcedefinitions.apiextensions.k8s.io" => &[("Created At", "date", 0)],
        "endpoints" => &[("Endpoints", "string", 0), AGE],
        "endpointslices.discovery.k8s.io" => &[
            ("AddressType", "string", 0),
            ("Ports", "string", 0),
            ("Endpoints", "string", 0),
            AGE,
        ],
        "nodes" => &[
            ("Status", "string", 0),
            ("Roles", "string", 0),
            AGE,
            ("Version", "string", 0),
            ("Internal-IP", "string", 1),
            ("External-IP", "string", 1),
            ("OS-Image", "string", 1),
            ("Container-Runtime", "string", 1),
        ],
        "serviceaccounts" => &[("Secrets", "integer", 0), AGE],
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            &[("Created At", "date", 0)]
        }
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => &[("Role", "string", 0), AGE],
        "deployments.apps" => &[
            ("Ready", "string", 0),
            ("Up-to-date", "integer", 0),
            ("Available", "integer", 0),
            AGE,
            ("Containers", "string", 1),
            ("Images", "string", 1),
            ("Selector", "string", 1),
        ],
        "replicasets.apps" => &[
            ("Desired", "integer", 0),
            ("Current", "integer", 0),
            ("Ready", "integer", 0),
            AGE,
            ("Containers", "string", 1),
            ("Images", "string", 1),
            ("Selector", "string", 1),
        ],
        _ => &[AGE],
    }
}

/// The cells of an object of a built-in kind, in the order of its columns.
pub fn cells(id: &str, o: &Value, now: &jiff::Timestamp) -> Vec<Value> {
    let created = o["metadata"]["creationTimestamp"].as_str().unwrap_or("");
    let age = json!(age(created, now));
    let number = |v: &Value| json!(v.as_i64().unwrap_or(0));
    let entries = |v: &Value| json!(v.as_object().map_or(0, serde_json::Map::len));
    match id {
        "namespaces" => vec![o["status"]["phase"].clone(), age],
        "configmaps" => vec![entries(&o["data"]), age],
        "secrets" => vec![o["type"].clone(), entries(&o["data"]), age],
        "customresourcedefinitions.apiextensions.k8s.io"
        | "roles.rbac.authorization.k8s.io"
        | "clusterroles.rbac.authorization.k8s.io" => vec![json!(created)],
        "endpoints" => vec![endpoints_cell(&o["subsets"][0]), age],
        "endpointslices.discovery.k8s.io" => endpoint_slice_cells(o, age),
        "nodes" => vec![
            json!("Ready"),
            json!("control-plane"),
            age,
            o["status"]["nodeInfo"]["kubeletVersion"].clone(),
            o["status"]["addresses"][0]["address"].clone(),
            json!("<none>"),
            o["status"]["nodeInfo"]["osImage"].clone(),
            o["status"]["nodeInfo"]["containerRuntimeVersion"].clone(),
        ],
        "serviceaccounts" => {
            let secrets = o["secrets"].as_array().map_or(0, Vec::len);
            vec![json!(secrets), age]
        }
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => {
            let role = &o["roleRef"];
            let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
            vec![
                json!(format!("{}/{}", text(&role["kind"]), text(&role["name"]))),
                age,
            ]
        }
        "events" => event_cells(o, now),
        "pods" => pod_cells(o, age),
        "services" => service_cells(o, age),
        "deployments.apps" => {
            let status = &o["status"];
            let ready = format!(
                "{}/{}",
                status["readyReplicas"].as_i64().unwrap_or(0),
                o["spec"]["replicas"].as_i64().unwrap_or(0)
            );
            let mut cells = vec![
                json!(ready),
                number(&status["updatedReplicas"]),
                number(&status["availableReplicas"]),
                age,
            ];
            cells.extend(template_cells(o));
            cells
        }
        "replicasets.apps" => {
            let mut cells = vec![
                number(&o["spec"]["replicas"]),
                number(&o["status"]["replicas"]),
                number(&o["status"]["readyReplicas"]),
                age,
            ];
            cells.extend(template_cells(o));
            cells
        }
        _ => vec![age],
    }
}

fn template_cells(o: &Value) -> [Value; 3] {
    let containers = o["spec"]["template"]["spec"]["containers"].as_array();
    let join = |field: &str| {
        let values: Vec<&str> = containers
            .into_iter()
            .flatten()
            .filter_map(|c| c[field].as_str())
            .collect();
        json!(values.join(","))
    };
    [
        join("name"),
        join("image"),
        json!(pairs(&o["spec"]["selector"]["matchLabels"])),
    ]
}

/// `10.42.0.1:8000,10.42.0.2:8000`, three at the most, as kubectl shows them.
fn endpoints_cell(subset: &Value) -> Value {
    let list = |field: &str| items(&subset[field]);
    let all: Vec<String> = list("ports")
        .flat_map(|port| list("addresses").map(move |a| (a, port)))
        .map(|(a, port)| format!("{}:{}", a["ip"].as_str().unwrap_or(""), port["port"]))
        .collect();
    joined(&all)
}

fn joined(all: &[String]) -> Value {
    match all.len() {
        0 => json!("<none>"),
        1..=3 => json!(all.join(",")),
        n => json!(format!("{} + {} more...", all[..3].join(","), n - 3)),
    }
}

fn endpoint_slice_cells(o: &Value, age: Value) -> Vec<Value> {
    let list = |field: &str| items(&o[field]);
    let ports: Vec<String> = list("ports").map(|p| p["port"].to_string()).collect();
    let addresses: Vec<String> = list("endpoints")
        .filter_map(|e| e["addresses"][0].as_str().map(str::to_owned))
        .collect();
    let ports = if ports.is_empty() {
        json!("<unset>")
    } else {
        joined(&ports)
    };
    vec![o["addressType"].clone(), ports, joined(&addresses), age]
}

fn event_cells(o: &Value, now: &jiff::Timestamp) -> Vec<Value> {
    let involved = &o["involvedObject"];
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    vec![
        json!(age(&text(&o["lastTimestamp"]), now)),
        o["type"].clone(),
        o["reason"].clone(),
        json!(format!(
            "{}/{}",
            text(&involved["kind"]).to_lowercase(),
            text(&involved["name"])
        )),
        o["message"].clone(),
    ]
}

fn pod_cells(o: &Value, age: Value) -> Vec<Value> {
    let statuses = o["status"]["containerStatuses"].as_array();
    let containers = o["spec"]["containers"].as_array().map_or(0, Vec::len);
    let ready = statuses
        .into_iter()
        .flatten()
        .filter(|s| s["ready"] == true)
        .count();
    let waiting = statuses
        .into_iter()
        .flatten()
        .find_map(|s| s["state"]["waiting"]["reason"].as_str());
    let phase = if o["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else {
        waiting.unwrap_or_else(|| o["status"]["phase"].as_str().unwrap_or("Pending"))
    };
    let or_none = |v: &Value| json!(v.as_str().unwrap_or("<none>"));
    vec![
        json!(format!("{ready}/{containers}")),
        json!(phase),
        json!("0"),
        age,
        or_none(&o["status"]["podIP"]),
        or_none(&o["spec"]["nodeName"]),
        json!("<none>"),
        json!("<none>"),
    ]
}

fn service_cells(o: &Value, age: Value) -> Vec<Value> {
    let spec = &o["spec"];
    let ports: Vec<String> = items(&spec["ports"])
        .map(|p| {
            let protocol = p["protocol"].as_str().unwrap_or("TCP");
            match p["nodePort"].as_u64() {
                Some(node) => format!("{}:{node}/{protocol}", p["port"]),
                None => format!("{}/{protocol}", p["port"]),
            }
        })
        .collect();
    let external = match o["status"]["loadBalancer"]["ingress"][0]["ip"].as_str() {
        Some(ip) => ip,
        None if spec["type"] == "LoadBalancer" => "<pending>",
        None => "<none>",
    };
    vec![
        spec["type"].clone(),
        json!(spec["clusterIP"].as_str().unwrap_or("None")),
        json!(external),
        json!(ports.join(",")),
        age,
        json!(pairs(&spec["selector"])),
    ]
}

fn pairs(labels: &Value) -> String {
    let pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() {
        "<none>".to_owned()
    } else {
        pairs.join(",")
    }
}
