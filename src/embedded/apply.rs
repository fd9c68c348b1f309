//! Server-side apply: who owns which field, and what happens when two want the same. Pure.
//!
//! The rules are those of Kubernetes' structured merge diff: ownership is kept in
//! `metadata.managedFields`, one entry a manager and operation, as a set of fields (`fields`).

mod fields;

use serde_json::{Map, Value, json};

use super::schema::{List, Schema};
use super::status::ApiError;
pub use fields::FieldSet;
use fields::{item_key, set_key};

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// `kubectl-client-side-apply`, `kubectl`.
    pub manager: &'a str,
    /// The version that the write is in: `apps/v1`.
    pub api_version: &'a str,
    /// `status`, `scale`, or empty.
    pub subresource: &'a str,
    /// The time of the write.
    pub now: &'a str,
}

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
    time: Value,
    fields: FieldSet,
}

const APPLY: &str = "Apply";
const UPDATE: &str = "Update";

impl Entry {
    fn read(entry: &Value) -> Self {
        let text = |field: &str| entry[field].as_str().unwrap_or("").to_owned();
        Entry {
            manager: text("manager"),
            operation: text("operation"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: entry["time"].clone(),
            fields: FieldSet::from_json(&entry["fieldsV1"]),
        }
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version,
            "time": self.time, "fieldsType": "FieldsV1", "fieldsV1": self.fields.to_json(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }

    fn is(&self, writer: &Writer<'_>, operation: &str) -> bool {
        self.manager == writer.manager
            && self.operation == operation
            && self.subresource == writer.subresource
            // An applier has one entry, whichever version it applies in.
            && (operation == APPLY || self.api_version == writer.api_version)
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    let entries = object["metadata"]["managedFields"].as_array();
    entries.into_iter().flatten().map(Entry::read).collect()
}

fn write_entries(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|e| !e.fields.is_empty());
    // Appliers first, then by time, as the API server sorts them.
    entries.sort_by(|a, b| {
        let key = |e: &Entry| (e.operation != APPLY, e.time.to_string(), e.manager.clone());
        key(a).cmp(&key(b))
    });
    let written: Vec<Value> = entries.iter().map(Entry::write).collect();
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return;
    };
    if written.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), Value::Array(written));
    }
}

/// The parts of an object that are never owned, and `status` unless it is what is written.
fn ownable(object: &Value, subresource: &str) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
        if subresource == "status" {
            fields.retain(|name, _| name == "status");
        } else {
            fields.remove("status");
        }
        let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) else {
            return object;
        };
        for name in [
            "name",
            "namespace",
            "generateName",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "managedFields",
        ] {
            metadata.remove(name);
        }
        if metadata.is_empty() {
            fields.remove("metadata");
        }
    }
    object
}

/// Notes a create, update or patch in `managedFields`: what changed is the writer's now.
pub fn track(before: Option<&Value>, after: &mut Value, schema: &Schema, writer: &Writer<'_>) {
    let mut entries = match &after["metadata"]["managedFields"] {
        // An empty list, or one empty entry, is how a client resets ownership.
        Value::Array(list) if list.iter().all(|e| e.as_object().is_none_or(Map::is_empty)) => {
            Vec::new()
        }
        Value::Array(_) => entries(after),
        _ => before.map(entries).unwrap_or_default(),
    };
    let empty = json!({});
    let old = before.map_or(empty, |b| ownable(b, writer.subresource));
    let new = ownable(after, writer.subresource);
    let (changed, removed) = fields::compare(&old, &new, schema);
    for entry in &mut entries {
        entry.fields.subtract(&removed);
        if !entry.is(writer, UPDATE) {
            entry.fields.subtract(&changed);
        }
    }
    if !changed.is_empty() {
        let own = match entries.iter_mut().position(|e| e.is(writer, UPDATE)) {
            Some(at) => &mut entries[at],
            None => {
                entries.push(Entry {
                    manager: writer.manager.to_owned(),
                    operation: UPDATE.to_owned(),
                    api_version: writer.api_version.to_owned(),
                    subresource: writer.subresource.to_owned(),
                    time: json!(writer.now),
                    fields: FieldSet::default(),
                });
                // Just pushed.
                let last = entries.len() - 1;
                &mut entries[last]
            }
        };
        own.fields.add(&changed);
        own.time = json!(writer.now);
    }
    write_entries(after, entries);
}

/// Applies a configuration to what is there (`Null` if nothing is): the merged object, with its
/// owners. Fields that the writer applied before and names no more go, unless somebody else owns
/// them. A field of another owner's with another value is a conflict, unless `force` takes it.
pub fn apply(
    live: &Value,
    config: &Value,
    schema: &Schema,
    writer: &Writer<'_>,
    force: Force,
) -> Result<Value, ApiError> {
    let wanted = FieldSet::of(&ownable(config, writer.subresource), Some(schema));
    let mut entries = entries(live);
    let empty = json!({});
    let base = if live.is_null() { &empty } else { live };
    let mut merged = merge(base, config, Some(schema));
    let (changed, _) = fields::compare(
        &ownable(base, writer.subresource),
        &ownable(&merged, writer.subresource),
        schema,
    );
    let at_stake = wanted.intersection(&changed);
    let mut conflicts = Vec::new();
    for entry in entries.iter_mut().filter(|e| !e.is(writer, APPLY)) {
        let contested = entry.fields.intersection(&at_stake);
        if contested.is_empty() {
            continue;
        }
        match force {
            Force::Yes => entry.fields.subtract(&contested),
            Force::No => {
                conflicts.extend(contested.paths().into_iter().map(|p| (conflict(entry), p)))
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(ApiError::apply_conflict(&conflicts));
    }
    let before = entries.iter().position(|e| e.is(writer, APPLY));
    if let Some(at) = before {
        let mut gone = entries[at].fields.clone();
        gone.subtract(&wanted);
        gone.keep_unless_owned(&wanted);
        for (other, entry) in entries.iter().enumerate() {
            if other != at {
                gone.keep_unless_owned(&entry.fields);
            }
        }
        fields::remove(&mut merged, &gone);
    }
    let time = match before.map(|at| entries.remove(at)) {
        Some(old) if old.fields == wanted && old.api_version == writer.api_version => old.time,
        _ => json!(writer.now),
    };
    entries.push(Entry {
        manager: writer.manager.to_owned(),
        operation: APPLY.to_owned(),
        api_version: writer.api_version.to_owned(),
        subresource: writer.subresource.to_owned(),
        time,
        fields: wanted,
    });
    write_entries(&mut merged, entries);
    Ok(merged)
}

/// Whether a conflict is won or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Take the field.
    Yes,
    /// Answer 409.
    No,
}

fn conflict(entry: &Entry) -> String {
    let subresource = match entry.subresource.as_str() {
        "" => String::new(),
        sub => format!(" with subresource \"{sub}\""),
    };
    let version = &entry.api_version;
    match entry.operation.as_str() {
        APPLY => format!(
            "conflict with \"{}\"{subresource} using {version}",
            entry.manager
        ),
        // The API server names the time of an update, not of an apply.
        _ => format!(
            "conflict with \"{}\"{subresource} using {version} at {}",
            entry.manager,
            entry.time.as_str().unwrap_or("")
        ),
    }
}

/// Lays a configuration over an object, by the schema's lists and maps.
fn merge(live: &Value, config: &Value, schema: Option<&Schema>) -> Value {
    let atomic = schema.is_some_and(|s| s.atomic);
    match (live, config) {
        (Value::Object(live), Value::Object(config)) if !atomic => {
            let mut merged = live.clone();
            for (name, value) in config {
                let below = schema.and_then(|s| s.field(name)).map(AsRef::as_ref);
                let laid = match live.get(name) {
                    Some(there) => merge(there, value, below),
                    None => value.clone(),
                };
                merged.insert(name.clone(), laid);
            }
            Value::Object(merged)
        }
        (Value::Array(live), Value::Array(config)) => match schema.map(|s| (&s.list, &s.items)) {
            Some((List::Map(keys), items)) => {
                let items = items.as_deref();
                merge_lists(live, config, &|i| item_key(i, keys, items), items)
            }
            Some((List::Set, _)) => merge_lists(live, config, &set_key, None),
            _ => Value::Array(config.clone()),
        },
        _ => config.clone(),
    }
}

/// Items of both lists in an order that keeps each list's own, the configuration's first in doubt.
fn merge_lists(
    live: &[Value],
    config: &[Value],
    key: &dyn Fn(&Value) -> String,
    items: Option<&Schema>,
) -> Value {
    let live_keys: Vec<String> = live.iter().map(key).collect();
    let config_keys: Vec<String> = config.iter().map(key).collect();
    let laid = |at: usize| match live_keys.iter().position(|k| *k == config_keys[at]) {
        Some(there) => merge(&live[there], &config[at], items),
        None => config[at].clone(),
    };
    let mut merged = Vec::new();
    let mut next = 0;
    for (item, item_key) in live.iter().zip(&live_keys) {
        match config_keys.iter().position(|k| k == item_key) {
            None => merged.push(item.clone()),
            Some(at) => {
                while next <= at {
                    merged.push(laid(next));
                    next += 1;
                }
            }
        }
    }
    merged.extend((next..config.len()).map(laid));
    Value::Array(merged)
}

#[cfg(test)]
mod tests;
