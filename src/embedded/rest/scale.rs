//! The `scale` subresource: `autoscaling/v1` Scale as a view of the object.

use serde_json::{Value, json};

use super::{Reply, Request, State, Target, existing, write};
use crate::embedded::patch::{self, PatchType};
use crate::embedded::resource::ScalePaths;
use crate::embedded::status::ApiError;

/// Reads it.
pub fn get(state: &State, target: &Target, name: &str) -> Result<Reply, ApiError> {
    let object = existing(state, target, name)?;
    Ok(Reply::ok(scale_of(&object, &paths(target))))
}

/// Writes it: only `spec.replicas` counts.
pub fn write(
    state: &mut State,
    request: &Request,
    target: &Target,
    name: &str,
    now: &str,
) -> Result<Reply, ApiError> {
    let before = existing(state, target, name)?;
    let paths = paths(target);
    let seen = scale_of(&before, &paths);
    let wanted = match PatchType::of(&request.content_type) {
        Some(kind) => patch::apply(kind, &seen, &request.object()?, None)?,
        None => request.object()?,
    };
    let revision = &wanted["metadata"]["resourceVersion"];
    if revision.is_string() && *revision != before["metadata"]["resourceVersion"] {
        return Err(ApiError::conflict(&target.resource.id, name));
    }
    let replicas = match &wanted["spec"]["replicas"] {
        Value::Null => 0,
        count => count
            .as_i64()
            .ok_or_else(|| ApiError::bad_request("spec.replicas of a Scale must be an integer"))?,
    };
    let mut object = target.present(&before);
    set(&mut object, &paths.spec, json!(replicas));
    let stored = write::store_scaled(state, request, target, before, object, now)?;
    Ok(Reply::ok(scale_of(&stored, &paths)))
}

fn paths(target: &Target) -> ScalePaths {
    target.served().map(|v| v.scale.clone()).unwrap_or_default()
}

/// Sets a value at a pointer, making objects on the way.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for step in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[step];
    }
    *at = value;
}

fn scale_of(object: &Value, paths: &ScalePaths) -> Value {
    let metadata = &object["metadata"];
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let selector = match &paths.selector {
        Some(pointer) => {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or("").to_owned()
        }
        None => {
            let labels = object["spec"]["selector"]["matchLabels"].as_object();
            let pairs: Vec<String> = labels
                .into_iter()
                .flatten()
                .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
                .collect();
            pairs.join(",")
        }
    };
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"],
                     "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
                     "creationTimestamp": metadata["creationTimestamp"]},
        "spec": {},
        "status": {"replicas": number(&paths.status), "selector": selector},
    });
    // A real server leaves a replica count of zero out.
    if let replicas @ 1.. = number(&paths.spec) {
        scale["spec"]["replicas"] = json!(replicas);
    }
    scale
}
