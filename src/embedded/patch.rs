//! The patch types of the API, as functions from object and patch to object.
//!
//! Pure. Strategic merge follows Kubernetes' rules for the lists of built-in kinds.

use std::collections::HashMap;

use json_patch::PatchOperation;
use serde_json::{Map, Value};

use super::schema::{List, Schema};
use super::status::ApiError;

/// A patch type, from the request's `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own.
    Strategic,
}

impl PatchType {
    /// The patch type of a media type, if it is one.
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or("").trim() {
            "application/json-patch+json" => Some(PatchType::Json),
            "application/merge-patch+json" => Some(PatchType::Merge),
            "application/strategic-merge-patch+json" => Some(PatchType::Strategic),
            _ => None,
        }
    }
}

/// Bytes that a document may have after a JSON patch's `copy`.
const MOST_COPIED: usize = 3 << 20;

/// Levels that an object may nest.
const MOST_DEPTH: usize = 120;

fn is_deeper(value: &Value, levels: usize) -> bool {
    match (value, levels) {
        (Value::Object(_) | Value::Array(_), 0) => true,
        (Value::Object(fields), _) => fields.values().any(|v| is_deeper(v, levels - 1)),
        (Value::Array(items), _) => items.iter().any(|v| is_deeper(v, levels - 1)),
        _ => false,
    }
}

/// `copy` and `move` operations of one JSON patch: after each of them the document is gone through.
const MOST_COPIES: usize = 100;

/// True if an operation puts a value deeper than an object may nest.
fn nests_too_deeply(operation: &PatchOperation) -> bool {
    let (path, value) = match operation {
        PatchOperation::Add(add) => (&add.path, &add.value),
        PatchOperation::Replace(replace) => (&replace.path, &replace.value),
        _ => return false,
    };
    let above = path.as_str().matches('/').count();
    above > MOST_DEPTH || is_deeper(value, MOST_DEPTH - above)
}

/// Operations of one JSON patch; a real server's limit.
const MOST_OPERATIONS: usize = 10_000;

/// Applies a patch; a strategic one by the object's schema.
pub fn apply(
    kind: PatchType,
    object: &Value,
    patch: &Value,
    schema: Option<&Schema>,
) -> Result<Value, ApiError> {
    let mut result = object.clone();
    match kind {
        PatchType::Merge => json_patch::merge(&mut result, patch),
        PatchType::Strategic => strategic(&mut result, patch, schema),
        PatchType::Json => {
            let patch: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?;
            if patch.len() > MOST_OPERATIONS {
                return Err(ApiError::too_large(MOST_OPERATIONS));
            }
            let mut copied = 0;
            for operation in patch.0 {
                let copies = matches!(operation, PatchOperation::Copy(_));
                let moves = matches!(operation, PatchOperation::Move(_));
                copied += usize::from(copies || moves);
                // What is nested too deeply cannot even be dropped.
                if copied > MOST_COPIES || nests_too_deeply(&operation) {
                    return Err(ApiError::too_large(MOST_COPIED));
                }
                json_patch::patch(&mut result, &[operation]).map_err(|e| {
                    ApiError::unprocessable(format!("the server rejected our request: {e}"))
                })?;
                // A few copies of a document into itself would fill the memory.
                if ((copies || moves) && is_deeper(&result, MOST_DEPTH))
                    || (copies && result.to_string().len() > MOST_COPIED)
                {
                    return Err(ApiError::too_large(MOST_COPIED));
                }
            }
        }
    }
    Ok(result)
}

/// The merge patch that turns `live` into `modified`, and deletes what `original` had and
/// `modified` has no more: what `kubectl apply` sends for a custom resource.
pub fn three_way_merge(original: &Value, modified: &Value, live: &Value) -> Value {
    let empty = Map::new();
    let (original, live) = (
        original.as_object().unwrap_or(&empty),
        live.as_object().unwrap_or(&empty),
    );
    let wanted = modified.as_object().unwrap_or(&empty);
    let mut patch = Map::new();
    for (key, value) in wanted {
        let now = live.get(key).unwrap_or(&Value::Null);
        if value.is_object() && now.is_object() {
            let inner = three_way_merge(original.get(key).unwrap_or(&Value::Null), value, now);
            if inner.as_object().is_some_and(|o| !o.is_empty()) {
                patch.insert(key.clone(), inner);
            }
        } else if value != now {
            patch.insert(key.clone(), value.clone());
        }
    }
    for key in original.keys() {
        if !wanted.contains_key(key) && live.contains_key(key) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    Value::Object(patch)
}

/// Lays a strategic merge patch over an object. Lists merge by the first of their schema's keys,
/// which is the `patchMergeKey` of Kubernetes' own types.
fn strategic(target: &mut Value, patch: &Value, schema: Option<&Schema>) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if changes.get("$patch").and_then(Value::as_str) == Some("replace") {
        let mut replaced = patch.clone();
        if let Some(fields) = replaced.as_object_mut() {
            fields.remove("$patch");
        }
        *target = replaced;
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else {
        return;
    };
    if let Some(keep) = changes.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|k, _| keep.iter().any(|v| v == k));
    }
    let below = |field: &str| schema.and_then(|s| s.field(field)).map(AsRef::as_ref);
    for (key, value) in changes {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            delete_from_list(fields.get_mut(list), value);
        } else if key.starts_with('$') {
            continue;
        } else if value.is_null() || value["$patch"] == "delete" {
            fields.remove(key);
        } else if let Some(items) = value.as_array() {
            let list = fields.entry(key.clone()).or_insert(Value::Null);
            merge_list(list, items, below(key));
        } else {
            let field = fields.entry(key.clone()).or_insert(Value::Null);
            strategic(field, value, below(key));
        }
    }
    for (key, order) in changes {
        if let Some(list) = key.strip_prefix("$setElementOrder/") {
            reorder(fields.get_mut(list), order, merge_key(below(list)));
        }
    }
}

/// The key by which the items of a list are told apart; none if they are not.
fn merge_key(schema: Option<&Schema>) -> Option<&str> {
    match &schema?.list {
        List::Map(keys) => keys.first().map(String::as_str),
        List::Set | List::Atomic => None,
    }
}

fn delete_from_list(list: Option<&mut Value>, gone: &Value) {
    if let (Some(Value::Array(items)), Some(gone)) = (list, gone.as_array()) {
        items.retain(|item| !gone.contains(item));
    }
}

fn merge_list(target: &mut Value, items: &[Value], schema: Option<&Schema>) {
    let mut merged = target.as_array().cloned().unwrap_or_default();
    if schema.is_some_and(|s| s.list == List::Set) {
        for item in items {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        *target = Value::Array(merged);
        return;
    }
    let Some(key) = merge_key(schema) else {
        *target = Value::Array(items.to_vec());
        return;
    };
    if items.iter().any(|i| i["$patch"] == "replace") {
        merged.clear();
    }
    let of_item = schema.and_then(|s| s.items.as_deref());
    for item in items {
        let at = merged.iter().position(|m| m[key] == item[key]);
        match (item["$patch"].as_str(), at) {
            (Some("replace"), _) => {}
            (Some("delete"), Some(at)) => drop(merged.remove(at)),
            (Some("delete"), None) => {}
            (_, Some(at)) => strategic(&mut merged[at], item, of_item),
            (_, None) => {
                let mut new = Value::Null;
                strategic(&mut new, item, of_item);
                merged.push(new);
            }
        }
    }
    *target = Value::Array(merged);
}

/// Puts the items of a list in the order that the patch names; the others keep their place after.
fn reorder(list: Option<&mut Value>, order: &Value, key: Option<&str>) {
    let (Some(Value::Array(items)), Some(order)) = (list, order.as_array()) else {
        return;
    };
    let name = |item: &Value| match key {
        Some(key) => item[key].to_string(),
        None => item.to_string(),
    };
    let mut places: HashMap<String, usize> = HashMap::new();
    for (place, item) in order.iter().enumerate() {
        places.entry(name(item)).or_insert(place);
    }
    items.sort_by_cached_key(|item| places.get(&name(item)).copied().unwrap_or(usize::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::schema::built_in;
    use serde_json::json;

    fn pod_schema() -> std::sync::Arc<Schema> {
        Schema::of_built_in(&built_in::json_schema("pods").unwrap()).unwrap()
    }

    #[test]
    fn strategic_merge_follows_the_lists_keys() {
        let schema = pod_schema();
        let apply = |kind, object: &Value, patch: &Value| apply(kind, object, patch, Some(&schema));
        let object = json!({"spec": {"hostname": "h", "containers": [
            {"name": "a", "image": "x:1", "env": [{"name": "K", "value": "1"}, {"name": "L", "value": "2"}]},
            {"name": "b", "image": "y:1"}]}});
        let cases = [
            (
                json!({"spec": {"containers": [{"name": "a", "image": "x:2"}]}}),
                json!(["x:2", "y:1"]),
            ),
            (
                json!({"spec": {"containers": [{"name": "b", "$patch": "delete"}]}}),
                json!(["x:1"]),
            ),
            (
                json!({"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
                                "containers": [{"name": "c", "image": "z:1"}]}}),
                json!(["z:1", "y:1", "x:1"]),
            ),
        ];
        for (patch, images) in cases {
            let result = apply(PatchType::Strategic, &object, &patch).unwrap();
            let seen: Value = result["spec"]["containers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c["image"].clone())
                .collect();
            assert_eq!(seen, images, "{patch}");
            assert_eq!(result["spec"]["hostname"], "h");
        }
        let env =
            json!({"spec": {"containers": [{"name": "a", "env": [{"name": "K", "value": "9"}]}]}});
        let result = apply(PatchType::Strategic, &object, &env).unwrap();
        assert_eq!(
            result["spec"]["containers"][0]["env"],
            json!([{"name": "K", "value": "9"}, {"name": "L", "value": "2"}])
        );
    }

    #[test]
    fn a_three_way_merge_deletes_only_what_the_file_had() {
        let original = json!({"a": 1, "b": {"x": 1, "y": 2}});
        let modified = json!({"a": 2, "b": {"x": 1}});
        let live = json!({"a": 1, "b": {"x": 1, "y": 2, "z": 3}, "c": 4});
        assert_eq!(
            three_way_merge(&original, &modified, &live),
            json!({"a": 2, "b": {"y": null}})
        );
    }

    #[test]
    fn a_bad_json_patch_is_a_bad_request() {
        let apply = |kind, object: &Value, patch: &Value| apply(kind, object, patch, None);
        let error = apply(PatchType::Json, &json!({}), &json!({"op": "x"})).unwrap_err();
        assert_eq!(error.code, 400);
        let missing = json!([{"op": "remove", "path": "/a"}]);
        assert!(apply(PatchType::Json, &json!({}), &missing).is_err());
        // Each copy doubles the document, or its depth.
        let wide: Vec<Value> = (0..40)
            .map(|i| json!({"op": "copy", "from": "/data", "path": format!("/data/k{i}")}))
            .collect();
        let object = json!({"data": {"x": "y".repeat(1_000)}});
        let error = apply(PatchType::Json, &object, &json!(wide)).unwrap_err();
        assert_eq!(error.code, 413);
        let mut deep = vec![json!({"op": "add", "path": "/z", "value": {"a": {}}})];
        for level in 0..14 {
            let path = format!("/z{}", "/a".repeat(1 << level));
            deep.push(json!({"op": "copy", "from": "/z", "path": path}));
        }
        let error = apply(PatchType::Json, &json!({}), &json!(deep)).unwrap_err();
        assert_eq!(error.code, 413);
        // A later operation that fails leaves nothing to undo.
        let inside = json!([{"op": "add", "path": "/b", "value": 1}, {"op": "move", "from": "/a", "path": "/a/x"}]);
        assert_eq!(
            apply(PatchType::Json, &json!({"a": {}}), &inside)
                .unwrap_err()
                .code,
            422
        );
    }
}
