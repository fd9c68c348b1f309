//! `Table` answers: the columns that `kubectl get` prints. Pure.

use serde_json::{Value, json};

use super::resource::{Column, Resource};
use super::store::Object;

type Columns = &'static [(&'static str, &'static str, u8)];

const AGE: (&str, &str, u8) = ("Age", "string", 0);

/// A table of objects; `custom` are the printer columns of a CRD's version.
pub fn table(
    resource: &Resource,
    custom: &[Column],
    objects: &[Object],
    metadata: Value,
    now: &jiff::Timestamp,
) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|o| json!({"cells": cells(resource, custom, o, now), "object": partial(o)}))
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions(resource, custom),
        "rows": rows,
    })
}

fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
           "metadata": object["metadata"]})
}

fn definitions(resource: &Resource, custom: &[Column]) -> Value {
    let definition = |name: &str, kind: &str, priority: u8, description: &str| {
        let format = if name == "Name" { "name" } else { "" };
        json!({"name": name, "type": kind, "format": format, "description": description,
               "priority": priority})
    };
    // Events are known by what they say.
    let name_priority = u8::from(&*resource.id == "events");
    let mut columns = vec![definition("Name", "string", name_priority, "")];
    if custom.is_empty() {
        let built_in = built_in_columns(&resource.id);
        columns.extend(built_in.iter().map(|&(n, k, p)| definition(n, k, p, "")));
    } else {
        let custom = custom.iter();
        columns.extend(custom.map(|c| definition(&c.name, &c.kind, c.priority, &c.description)));
    }
    Value::Array(columns)
}

fn cells(resource: &Resource, custom: &[Column], object: &Value, now: &jiff::Timestamp) -> Value {
    let mut cells = vec![object["metadata"]["name"].clone()];
    if custom.is_empty() {
        cells.extend(built_in_cells(&resource.id, object, now));
    } else {
        cells.extend(custom.iter().map(|column| {
            let value = lookup(object, &column.path);
            match (column.kind.as_str(), value) {
                ("date", Value::String(t)) => json!(age(&t, now)),
                ("string", v @ (Value::Array(_) | Value::Object(_))) => json!(v.to_string()),
                (_, v) => v,
            }
        }));
    }
    Value::Array(cells)
}

fn built_in_columns(id: &str) -> Columns {
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

fn built_in_cells(id: &str, o: &Value, now: &jiff::Timestamp) -> Vec<Value> {
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
    let list = |field: &str| subset[field].as_array().into_iter().flatten();
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
    let list = |field: &str| o[field].as_array().into_iter().flatten();
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
    let ports: Vec<String> = spec["ports"]
        .as_array()
        .into_iter()
        .flatten()
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

/// The value at a printer column's path: dots, `[*]` and one `[?(@.key=="value")]` filter.
pub fn lookup(object: &Value, path: &str) -> Value {
    let mut at = vec![object];
    let mut spread = false;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(filter) = rest.strip_prefix("[?(@.") {
            let Some((condition, after)) = filter.split_once(")]") else {
                return Value::Null;
            };
            let (key, wanted) = condition.split_once("==").unwrap_or((condition, ""));
            let wanted = wanted.trim_matches('"');
            at = items(at).filter(|v| v[key] == wanted).collect();
            rest = after;
        } else if let Some(after) = rest.strip_prefix("[*]") {
            at = items(at).collect();
            spread = true;
            rest = after;
        } else if let Some(bracketed) = rest.strip_prefix('[') {
            // `[0]` or `['name']`; anything else is no path that is known here.
            let Some((inside, after)) = bracketed.split_once(']') else {
                return Value::Null;
            };
            let name = inside.trim_matches(['\'', '"']);
            at = match inside.parse::<usize>() {
                Ok(index) => at.into_iter().filter_map(|v| v.get(index)).collect(),
                Err(_) => at.into_iter().filter_map(|v| v.get(name)).collect(),
            };
            rest = after;
        } else {
            let name_start = rest.trim_start_matches('.');
            let end = name_start.find(['.', '[']).unwrap_or(name_start.len());
            let (name, after) = name_start.split_at(end);
            if name.is_empty() && !after.is_empty() && !after.starts_with('[') {
                return Value::Null;
            }
            at = at.into_iter().filter_map(|v| v.get(name)).collect();
            rest = after;
        }
    }
    match at.as_slice() {
        [] => Value::Null,
        [one] if !spread => (*one).clone(),
        many => {
            let texts: Vec<String> = many
                .iter()
                .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                .collect();
            json!(texts.join(","))
        }
    }
}

fn items(values: Vec<&Value>) -> impl Iterator<Item = &Value> {
    values.into_iter().filter_map(|v| v.as_array()).flatten()
}

/// An age as kubectl writes it: `59s`, `2m5s`, `3h10m`, `4d2h`.
pub fn age(since: &str, now: &jiff::Timestamp) -> String {
    let Ok(since) = since.parse::<jiff::Timestamp>() else {
        return "<unknown>".to_owned();
    };
    let s = (now.as_second() - since.as_second()).max(0);
    let (m, h, d) = (s / 60, s / 3600, s / 86400);
    let two = |big: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{small_unit}"),
    };
    match s {
        ..120 => format!("{s}s"),
        120..600 => two(m, 'm', s % 60, 's'),
        600..10_800 => format!("{m}m"),
        10_800..28_800 => two(h, 'h', m % 60, 'm'),
        28_800..172_800 => format!("{h}h"),
        172_800..691_200 => two(d, 'd', h % 24, 'h'),
        _ => format!("{d}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        let now: jiff::Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (700, "11m"),
            (11_400, "3h10m"),
            (180_000, "2d2h"),
            (900_000, "10d"),
        ] {
            let since = jiff::Timestamp::from_second(now.as_second() - seconds).unwrap();
            assert_eq!(age(&since.to_string(), &now), text);
        }
        assert_eq!(age("", &now), "<unknown>");
    }

    #[test]
    fn printer_paths_are_followed() {
        let gateway = json!({"spec": {"hostnames": ["a", "b"]}, "status": {
            "addresses": [{"value": "127.0.0.1"}, {"value": "::1"}],
            "conditions": [{"type": "Accepted", "status": "True"}, {"type": "Programmed", "status": "False"}]}});
        for (path, value) in [
            (".status.addresses[*].value", json!("127.0.0.1,::1")),
            (
                ".status.conditions[?(@.type==\"Programmed\")].status",
                json!("False"),
            ),
            (".spec.hostnames", json!(["a", "b"])),
            (".spec.nope[*].x", Value::Null),
            (".status.conditions[0].type", json!("Accepted")),
            (".spec['hostnames'][1]", json!("b")),
            (".spec[", Value::Null),
            ("[", Value::Null),
            ("..", Value::Null),
            (".spec.[x", Value::Null),
        ] {
            assert_eq!(lookup(&gateway, path), value, "{path}");
        }
    }
}
