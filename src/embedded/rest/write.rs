//! POST, PUT and PATCH, server-side apply among them: all end in [`store`].

use serde_json::{Map, Value, json};

use super::{Reply, Request, State, Target, checks, existing};
use crate::embedded::admission::{self, FieldValidation};
use crate::embedded::apply::{self, Force, Writer};
use crate::embedded::patch::{self, PatchType};
use crate::embedded::resource::Origin;
use crate::embedded::routing::compile::PORTS_ANNOTATION;
use crate::embedded::status::ApiError;
use crate::embedded::store::Object;

/// Objects that one cluster holds at the most.
const MOST_OBJECTS: usize = 50_000;

/// A write that is under way.
struct Write<'a> {
    request: &'a Request,
    target: &'a Target,
    /// The object as it is, if there is one.
    before: Option<Object>,
    now: &'a str,
}

/// Whether `managedFields` is still to be written.
#[derive(Clone, Copy, PartialEq)]
enum Owners {
    Track,
    Known,
}

impl<'a> Write<'a> {
    fn new(request: &'a Request, target: &'a Target, before: Option<Object>, now: &'a str) -> Self {
        Write {
            request,
            target,
            before,
            now,
        }
    }

    fn writer<'w>(&'w self, api_version: &'w str) -> Writer<'w> {
        Writer {
            manager: self.request.manager(),
            api_version,
            subresource: self.target.subresource.as_deref().unwrap_or(""),
            now: self.now,
        }
    }

    fn has_status(&self) -> bool {
        self.target.resource.has_subresource("status")
    }
}

/// Creates an object.
pub fn create(
    state: &mut State,
    request: &Request,
    target: &Target,
    now: &str,
) -> Result<Reply, ApiError> {
    let mut object = request.object()?;
    checks::identity(&object, target)?;
    let metadata = metadata(&mut object)?;
    let unnamed = metadata.get("name").is_none_or(Value::is_null);
    if unnamed && let Some(prefix) = metadata.get("generateName").and_then(Value::as_str) {
        let name = format!("{prefix}{}", state.store.suffix(5));
        metadata.insert("name".to_owned(), json!(name));
    }
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or("");
    let key = target.key(name);
    checks::namespace(state, target, name)?;
    if !metadata
        .get("resourceVersion")
        .is_none_or(|v| v.is_null() || v == "")
    {
        return Err(ApiError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    if state.store.get(&key).is_some() {
        return Err(ApiError::already_exists(&target.resource.id, &key.name));
    }
    let write = Write::new(request, target, None, now);
    let warnings = decode(&write, &mut object)?;
    let stored = store(state, &write, object, Owners::Track)?;
    Ok(Reply::warned(201, target.present(&stored), warnings))
}

/// Replaces an object.
pub fn replace(
    state: &mut State,
    request: &Request,
    target: &Target,
    name: &str,
    now: &str,
) -> Result<Reply, ApiError> {
    let before = existing(state, target, name)?;
    let object = request.object()?;
    let write = Write::new(request, target, Some(before), now);
    update(state, &write, name, object)
}

/// Writes an object over the one that is there.
fn update(
    state: &mut State,
    write: &Write<'_>,
    name: &str,
    mut object: Value,
) -> Result<Reply, ApiError> {
    checks::identity(&object, write.target)?;
    checks::name(&object, name)?;
    metadata(&mut object)?.insert("name".to_owned(), json!(name));
    let warnings = decode(write, &mut object)?;
    let stored = store(state, write, object, Owners::Track)?;
    Ok(Reply::warned(200, write.target.present(&stored), warnings))
}

/// Patches an object; an apply patch creates it if it is not there.
pub fn patch(
    state: &mut State,
    request: &Request,
    target: &Target,
    name: &str,
    now: &str,
) -> Result<Reply, ApiError> {
    if request.media_type() == "application/apply-patch+yaml" {
        return apply_patch(state, request, target, name, now);
    }
    let before = existing(state, target, name)?;
    let seen = target.present(&before);
    let object = patched(request, target, &seen)?;
    let write = Write::new(request, target, Some(before), now);
    let shown = object.to_string();
    update(state, &write, name, object).map_err(|error| error.in_patch(&shown))
}

fn patched(request: &Request, target: &Target, seen: &Value) -> Result<Value, ApiError> {
    let custom = target.resource.origin == Origin::Custom;
    let accepted = if custom {
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    } else {
        "application/json-patch+json, application/merge-patch+json, \
         application/strategic-merge-patch+json, application/apply-patch+yaml"
    };
    let unknown = || {
        ApiError::unsupported_media_type(format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        ))
    };
    let kind = PatchType::of(&request.content_type).ok_or_else(unknown)?;
    if kind == PatchType::Strategic && custom {
        return Err(unknown());
    }
    let schema = target.resource.definition.schema();
    patch::apply(kind, seen, &request.object()?, Some(schema))
}

fn apply_patch(
    state: &mut State,
    request: &Request,
    target: &Target,
    name: &str,
    now: &str,
) -> Result<Reply, ApiError> {
    if request.parameter("fieldManager").is_empty() {
        return Err(ApiError::invalid_options(
            "PatchOptions",
            "fieldManager",
            "Required value: is required for apply patch",
        ));
    }
    let mut config = request.object()?;
    for field in ["apiVersion", "kind"] {
        if config[field].as_str().is_none_or(str::is_empty) {
            return Err(ApiError::bad_request(format!(
                "the apply configuration must have {field}"
            )));
        }
    }
    checks::identity(&config, target)?;
    let given = metadata(&mut config)?;
    if given.get("name").is_some_and(|n| n != name) {
        return Err(ApiError::bad_request(format!(
            "metadata.name should match the requested name ({name})"
        )));
    }
    if given
        .get("managedFields")
        .is_some_and(|m| m.as_array().is_some_and(|m| !m.is_empty()))
    {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    given.insert("name".to_owned(), json!(name));
    let before = state.store.get(&target.key(name)).cloned();
    if before.is_none() {
        if target.subresource.is_some() {
            return Err(ApiError::not_found(&target.resource.id, name));
        }
        checks::namespace(state, target, name)?;
    }
    let code = if before.is_some() { 200 } else { 201 };
    let write = Write::new(request, target, before, now);
    let warnings = decode(&write, &mut config)?;
    let force = if request.flag("force") {
        Force::Yes
    } else {
        Force::No
    };
    let live = write
        .before
        .as_ref()
        .map_or(Value::Null, |b| target.present(b));
    let api_version = target.api_version();
    let schema = target.resource.definition.schema();
    let merged = apply::apply(&live, &config, schema, &write.writer(&api_version), force)?;
    let stored = store(state, &write, merged, Owners::Known)?;
    Ok(Reply::warned(code, target.present(&stored), warnings))
}

/// Stores an object whose `scale` was written.
pub fn store_scaled(
    state: &mut State,
    request: &Request,
    target: &Target,
    before: Object,
    object: Value,
    now: &str,
) -> Result<Object, ApiError> {
    let write = Write::new(request, target, Some(before), now);
    store(state, &write, object, Owners::Track)
}

/// Reads an object by its schema; returns warnings.
fn decode(write: &Write<'_>, object: &mut Value) -> Result<Vec<String>, ApiError> {
    let validation = FieldValidation::parse(write.request.parameter("fieldValidation"))?;
    admission::decode(
        &write.target.resource,
        &write.target.version,
        object,
        validation,
    )
}

/// Writes an object that has been decoded: what is not this write's to change is taken from the
/// object before, defaults are filled in, rules checked, owners noted.
fn store(
    state: &mut State,
    write: &Write<'_>,
    mut object: Value,
    owners: Owners,
) -> Result<Object, ApiError> {
    let target = write.target;
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let resource = &target.resource;
    if let Some(before) = &write.before {
        let revision = &object["metadata"]["resourceVersion"];
        if revision.as_str().is_some_and(|r| !r.is_empty())
            && *revision != before["metadata"]["resourceVersion"]
        {
            return Err(ApiError::conflict(&resource.id, &name));
        }
        let uid = &object["metadata"]["uid"];
        if uid.is_string() && *uid != before["metadata"]["uid"] {
            return Err(ApiError::conflict_of_uid(
                &resource.id,
                &name,
                uid,
                &before["metadata"]["uid"],
            ));
        }
    } else if state.store.len() >= MOST_OBJECTS {
        return Err(ApiError::too_many_objects(MOST_OBJECTS));
    }
    keep_what_is_not_written(write, &mut object);
    object["apiVersion"] = json!(resource.api_version(&resource.storage));
    object["kind"] = json!(resource.kind);
    if let Some(namespace) = &target.namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    admission::admit(resource, &mut object, write.before.as_deref())?;
    if owners == Owners::Track {
        let api_version = target.api_version();
        let schema = resource.definition.schema();
        let before = write.before.as_deref();
        apply::track(before, &mut object, schema, &write.writer(&api_version));
    }
    let key = target.key(&name);
    if checks::is_finished(&object) {
        state.store.put(key.clone(), object.clone(), write.now);
        return Ok(state.store.delete(&key).unwrap_or_else(|| object.into()));
    }
    Ok(state.store.put(key, object, write.now))
}

fn keep_what_is_not_written(write: &Write<'_>, object: &mut Value) {
    let Some(before) = &write.before else {
        if write.has_status() {
            remove(object, "status");
        }
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            remove(&mut object["metadata"], field);
        }
        if object["metadata"]["annotations"].is_object() {
            remove(&mut object["metadata"]["annotations"], PORTS_ANNOTATION);
        }
        return;
    };
    if write.target.subresource.as_deref() == Some("status") {
        let status = object["status"].take();
        // Nothing is no status.
        let status = if status.is_null() { json!({}) } else { status };
        let owners = object["metadata"]["managedFields"].take();
        *object = Value::clone(before);
        object["status"] = status;
        if !owners.is_null() {
            object["metadata"]["managedFields"] = owners;
        }
        return;
    }
    if write.has_status() {
        copy(before, object, "status");
    }
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
    ] {
        copy(&before["metadata"], &mut object["metadata"], field);
    }
    // The kubelet's: without it a running pod cannot be reached, and with another's it could be
    // anything on this machine.
    let ports = &before["metadata"]["annotations"][PORTS_ANNOTATION];
    if ports.is_string() {
        object["metadata"]["annotations"][PORTS_ANNOTATION] = ports.clone();
    } else if object["metadata"]["annotations"].is_object() {
        remove(&mut object["metadata"]["annotations"], PORTS_ANNOTATION);
    }
}

fn copy(from: &Value, to: &mut Value, field: &str) {
    match from.get(field) {
        Some(value) => to[field] = value.clone(),
        None => remove(to, field),
    }
}

fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}

fn metadata(object: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    let fields = object
        .as_object_mut()
        .ok_or_else(|| ApiError::bad_request("the body of the request is not an object"))?;
    fields
        .entry("metadata")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .ok_or_else(|| ApiError::bad_request("metadata must be an object"))
}
