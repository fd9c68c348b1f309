//! What is checked of an object before it is written, whatever its kind.

use serde_json::Value;

use super::{State, Target};
use crate::embedded::status::ApiError;
use crate::embedded::store::Key;

/// An object that is being deleted goes with its last finalizer. A pod goes when its containers
/// have ended, a namespace when it is empty: controllers see to these.
pub fn is_finished(object: &Value) -> bool {
    let metadata = &object["metadata"];
    metadata["deletionTimestamp"].is_string()
        && metadata["finalizers"].as_array().is_none_or(Vec::is_empty)
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && object["spec"]["finalizers"]
            .as_array()
            .is_none_or(Vec::is_empty)
}

/// The object's name, if it has one, must be the path's.
pub fn name(object: &Value, name: &str) -> Result<(), ApiError> {
    match object["metadata"]["name"].as_str() {
        Some(found) if found != name => Err(ApiError::bad_request(format!(
            "the name of the object ({found}) does not match the name on the URL ({name})"
        ))),
        _ => Ok(()),
    }
}

/// A namespace must be there and stay for something to be created in it.
pub fn namespace(state: &State, target: &Target, name: &str) -> Result<(), ApiError> {
    let Some(namespace) = &target.namespace else {
        return match target.resource.namespaced() {
            true => Err(ApiError::method_not_allowed()),
            false => Ok(()),
        };
    };
    let found = state.store.get(&Key::new("namespaces", "", namespace));
    match found {
        None => Err(ApiError::not_found("namespaces", namespace)),
        Some(found) if found["metadata"]["deletionTimestamp"].is_string() => Err(
            ApiError::namespace_terminating(&target.resource.id, name, namespace),
        ),
        Some(_) => Ok(()),
    }
}

/// The object must be of the path's version, kind and namespace.
pub fn identity(object: &Value, target: &Target) -> Result<(), ApiError> {
    let expected = target.api_version();
    for (field, expected) in [
        ("apiVersion", expected.as_str()),
        ("kind", &target.resource.kind),
    ] {
        if let Some(found) = object[field].as_str()
            && found != expected
        {
            return Err(ApiError::bad_request(format!(
                "{field} in the data ({found}) does not match the expected {field} ({expected})"
            )));
        }
    }
    let namespace = object["metadata"]["namespace"].as_str();
    if let (Some(found), Some(expected)) = (namespace, &target.namespace)
        && found != expected
    {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}
