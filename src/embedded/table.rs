//! `Table` answers: the columns that `kubectl get` prints. Pure.

mod built_in;

use serde_json::{Value, json};

use super::list::items;
use super::resource::{Column, Resource};
use super::store::Object;

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
        let built_in = built_in::columns(&resource.id);
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
        cells.extend(built_in::cells(&resource.id, object, now));
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

/// The value at a printer column's path: dots, `[*]` and one `[?(@.key=="value")]` filter.
fn lookup(object: &Value, path: &str) -> Value {
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
            at = at
                .into_iter()
                .flat_map(items)
                .filter(|v| v[key] == wanted)
                .collect();
            rest = after;
        } else if let Some(after) = rest.strip_prefix("[*]") {
            at = at.into_iter().flat_map(items).collect();
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
