//! Sets of fields, as `fieldsV1` writes them: `f:NAME`, `k:{KEYS}` and `v:VALUE` in a tree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::embedded::schema::{List, Schema};

/// A set of fields of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSet {
    /// The place itself is in the set.
    member: bool,
    below: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The fields that a configuration names.
    pub fn of(value: &Value, schema: Option<&Schema>) -> Self {
        let below: BTreeMap<String, FieldSet> = parts(value, schema)
            .into_iter()
            .map(|part| {
                let mut set = FieldSet::of(part.value, part.schema);
                set.member |= part.is_item;
                (part.key, set)
            })
            .collect();
        FieldSet {
            member: below.is_empty(),
            below,
        }
    }

    /// The same, and the maps and lists themselves: what an update that creates them owns.
    fn created(value: &Value, schema: Option<&Schema>, named: Named) -> Self {
        let below: BTreeMap<String, FieldSet> = parts(value, schema)
            .into_iter()
            .map(|part| {
                let required = schema.is_some_and(|s| s.requires(&part.key));
                let named = if required { Named::No } else { Named::Yes };
                let mut set = FieldSet::created(part.value, part.schema, named);
                set.member |= part.is_item;
                (part.key, set)
            })
            .collect();
        let is_struct = schema.is_some_and(|s| !s.properties.is_empty());
        FieldSet {
            member: below.is_empty() || (named == Named::Yes && !is_struct && schema.is_some()),
            below,
        }
    }

    /// Reads `fieldsV1`.
    pub fn from_json(json: &Value) -> Self {
        let mut set = FieldSet::default();
        for (key, value) in json.as_object().into_iter().flatten() {
            if key == "." {
                set.member = true;
            } else {
                let mut below = FieldSet::from_json(value);
                below.member |= below.below.is_empty();
                set.below.insert(key.clone(), below);
            }
        }
        set
    }

    /// Writes `fieldsV1`.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.below.is_empty() {
            fields.insert(".".to_owned(), json!({}));
        }
        for (key, below) in &self.below {
            fields.insert(key.clone(), below.to_json());
        }
        Value::Object(fields)
    }

    /// True if nothing is in it. The root of an object is never a field.
    pub fn is_empty(&self) -> bool {
        self.below.is_empty()
    }

    /// Puts all fields of another set in.
    pub fn add(&mut self, other: &FieldSet) {
        self.member |= other.member;
        for (key, below) in &other.below {
            self.below.entry(key.clone()).or_default().add(below);
        }
    }

    /// Takes all fields of another set out.
    pub fn subtract(&mut self, other: &FieldSet) {
        self.member &= !other.member;
        for (key, below) in &other.below {
            if let Some(mine) = self.below.get_mut(key) {
                mine.subtract(below);
                if !mine.member && mine.below.is_empty() {
                    self.below.remove(key);
                }
            }
        }
    }

    /// The fields in both.
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut both = FieldSet {
            member: self.member && other.member,
            below: BTreeMap::new(),
        };
        for (key, mine) in &self.below {
            if let Some(theirs) = other.below.get(key) {
                let below = mine.intersection(theirs);
                if below.member || !below.below.is_empty() {
                    both.below.insert(key.clone(), below);
                }
            }
        }
        both
    }

    /// Takes out what somebody else owns, or owns a part of.
    pub fn keep_unless_owned(&mut self, owned: &FieldSet) {
        self.below.retain(|key, mine| match owned.below.get(key) {
            None => true,
            Some(theirs) => {
                mine.member = false;
                mine.keep_unless_owned(theirs);
                !mine.below.is_empty()
            }
        });
    }

    /// Each field as messages write it: `.spec.containers[name="face"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(String::new(), &mut paths);
        paths
    }

    fn collect(&self, at: String, paths: &mut Vec<String>) {
        // Of an item both the item and its fields are members; the fields say enough.
        if self.below.is_empty() && self.member {
            paths.push(at);
            return;
        }
        for (key, below) in &self.below {
            let step = match key.split_at(2.min(key.len())) {
                ("f:", name) => format!(".{name}"),
                ("k:", keys) => {
                    let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                    let pairs: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                    format!("[{}]", pairs.join(","))
                }
                ("v:", value) => format!("[={value}]"),
                _ => format!(".{key}"),
            };
            below.collect(format!("{at}{step}"), paths);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Named {
    Yes,
    No,
}

/// A part of a map or list that is owned by itself.
struct Part<'a> {
    key: String,
    value: &'a Value,
    schema: Option<&'a Schema>,
    is_item: bool,
}

/// The parts of a value that are owned one by one; none if it is owned as a whole.
fn parts<'a>(value: &'a Value, schema: Option<&'a Schema>) -> Vec<Part<'a>> {
    match value {
        Value::Object(fields) if !schema.is_some_and(|s| s.atomic) => fields
            .iter()
            .map(|(name, value)| Part {
                key: format!("f:{name}"),
                value,
                schema: schema.and_then(|s| s.field(name)).map(AsRef::as_ref),
                is_item: false,
            })
            .collect(),
        Value::Array(items) => {
            let below = schema.and_then(|s| s.items.as_deref());
            let key: Box<dyn Fn(&Value) -> String> = match schema.map(|s| &s.list) {
                Some(List::Map(keys)) => Box::new(move |item| item_key(item, keys, below)),
                Some(List::Set) => Box::new(set_key),
                _ => return Vec::new(),
            };
            items
                .iter()
                .map(|item| Part {
                    key: key(item),
                    value: item,
                    schema: below,
                    is_item: true,
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The key of an item of a list that merges by keys; absent ones count with their defaults.
pub fn item_key(item: &Value, keys: &[String], schema: Option<&Schema>) -> String {
    let keys: Map<String, Value> = keys
        .iter()
        .filter_map(|key| {
            let given = item.get(key).filter(|v| !v.is_null()).cloned();
            let value = given.or_else(|| schema?.default_of(key).cloned())?;
            Some((key.clone(), value))
        })
        .collect();
    format!("k:{}", Value::Object(keys))
}

/// The key of an item of a set.
pub fn set_key(item: &Value) -> String {
    format!("v:{item}")
}

/// The fields that are new or other in `new`, and those of `old` that are gone.
pub fn compare(old: &Value, new: &Value, schema: &Schema) -> (FieldSet, FieldSet) {
    let (mut changed, mut removed) = (FieldSet::default(), FieldSet::default());
    compare_at(old, new, Some(schema), &mut changed, &mut removed);
    (changed, removed)
}

fn compare_at(
    old: &Value,
    new: &Value,
    schema: Option<&Schema>,
    changed: &mut FieldSet,
    removed: &mut FieldSet,
) {
    if old == new {
        return;
    }
    let (before, after) = (parts(old, schema), parts(new, schema));
    if before.is_empty() && after.is_empty() {
        changed.member = true;
        return;
    }
    let known: BTreeMap<&str, &Part<'_>> = before.iter().map(|p| (p.key.as_str(), p)).collect();
    let mut kept = BTreeSet::new();
    for part in &after {
        kept.insert(part.key.as_str());
        let mut below = FieldSet::default();
        match known.get(part.key.as_str()) {
            None => {
                let required = schema.is_some_and(|s| s.requires(&part.key));
                let named = if required { Named::No } else { Named::Yes };
                below = FieldSet::created(part.value, part.schema, named);
                below.member |= part.is_item;
            }
            Some(was) => {
                let mut gone = FieldSet::default();
                compare_at(was.value, part.value, part.schema, &mut below, &mut gone);
                if gone.member || !gone.below.is_empty() {
                    removed.below.insert(part.key.clone(), gone);
                }
            }
        }
        if below.member || !below.below.is_empty() {
            changed.below.insert(part.key.clone(), below);
        }
    }
    for part in before.iter().filter(|p| !kept.contains(p.key.as_str())) {
        removed.below.insert(part.key.clone(), everything(part));
    }
}

/// A part with all that anybody can own of it.
fn everything(part: &Part<'_>) -> FieldSet {
    let mut set = FieldSet::created(part.value, part.schema, Named::Yes);
    set.member = true;
    set
}

/// Removes fields from an object; maps and lists that become empty go too.
pub fn remove(value: &mut Value, gone: &FieldSet) {
    match value {
        Value::Object(fields) => {
            for (key, below) in &gone.below {
                let Some(name) = key.strip_prefix("f:") else {
                    continue;
                };
                if below.below.is_empty() {
                    fields.remove(name);
                } else if let Some(field) = fields.get_mut(name) {
                    remove(field, below);
                    if is_hollow(field) {
                        fields.remove(name);
                    }
                }
            }
        }
        Value::Array(items) => {
            for (key, below) in &gone.below {
                let found = items.iter().position(|item| is_item(item, key));
                let Some(at) = found else { continue };
                if below.member {
                    items.remove(at);
                } else {
                    remove(&mut items[at], below);
                }
            }
        }
        _ => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn is_item(item: &Value, key: &str) -> bool {
    if let Some(keys) = key.strip_prefix("k:") {
        let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
        // A key that the item leaves to its default is not written in it.
        return keys.iter().all(|(k, v)| item[k] == *v || item[k].is_null());
    }
    key == set_key(item)
}
