//! DELETE: finalizers, grace, propagation, preconditions.

use serde_json::{Value, json};

use super::{Reply, Request, State, Target, existing, is_finished, stamp};
use crate::embedded::status::ApiError;
use crate::embedded::store::{Key, Object};

/// `DeleteOptions`, of the body and the query.
struct Options {
    propagation: String,
    grace: Option<i64>,
    uid: Option<String>,
    revision: Option<String>,
}

/// True if the body says `dryRun`.
pub fn is_dry_run(request: &Request) -> Result<bool, ApiError> {
    if request.body.is_empty() {
        return Ok(false);
    }
    let body = request.object()?;
    let listed = body["dryRun"].as_array();
    Ok(listed.is_some_and(|all| all.iter().any(|d| d == "All")))
}

impl Options {
    fn read(request: &Request) -> Result<Self, ApiError> {
        let body = if request.body.is_empty() {
            Value::Null
        } else {
            request.object()?
        };
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let query = |name: &str| Some(request.parameter(name).to_owned()).filter(|v| !v.is_empty());
        let orphan = body["orphanDependents"] == true;
        let propagation = text(&body["propagationPolicy"])
            .or_else(|| query("propagationPolicy"))
            .unwrap_or_else(|| if orphan { "Orphan" } else { "Background" }.to_owned());
        if !["Background", "Foreground", "Orphan"].contains(&propagation.as_str()) {
            return Err(ApiError::bad_request(format!(
                "invalid DeleteOptions: propagationPolicy: Unsupported value: \"{propagation}\": \
                 supported values: \"Background\", \"Foreground\", \"Orphan\""
            )));
        }
        let grace = body["gracePeriodSeconds"]
            .as_i64()
            .or_else(|| query("gracePeriodSeconds").and_then(|g| g.parse().ok()));
        Ok(Options {
            propagation,
            grace,
            uid: text(&body["preconditions"]["uid"]),
            revision: text(&body["preconditions"]["resourceVersion"]),
        })
    }
}

/// Deletes one object, or marks it as being deleted.
pub fn one(
    state: &mut State,
    request: &Request,
    target: &Target,
    name: &str,
    now: &jiff::Timestamp,
) -> Result<Reply, ApiError> {
    let options = Options::read(request)?;
    let object = existing(state, target, name)?;
    for (what, wanted, found) in [
        ("UID", &options.uid, &object["metadata"]["uid"]),
        (
            "ResourceVersion",
            &options.revision,
            &object["metadata"]["resourceVersion"],
        ),
    ] {
        if wanted.as_ref().is_some_and(|w| found != w) {
            return Err(ApiError::precondition(
                &target.resource.id,
                name,
                what,
                wanted,
                found,
            ));
        }
    }
    match delete(state, &target.key(name), &object, &options, now) {
        Some(left) => Ok(Reply::ok(target.present(&left))),
        None => Ok(Reply::ok(json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {"name": name, "group": target.resource.group, "kind": target.resource.plural,
                        "uid": object["metadata"]["uid"]},
        }))),
    }
}

/// Deletes all objects that a selector selects.
pub fn all(
    state: &mut State,
    request: &Request,
    target: &Target,
    now: &jiff::Timestamp,
) -> Result<Reply, ApiError> {
    let options = Options::read(request)?;
    let selector = request.selector(target)?;
    let selected: Vec<(Key, Object)> = state
        .store
        .list(&target.resource.id, target.namespace.as_deref())
        .filter(|(_, o)| selector.matches(o))
        .map(|(k, o)| (k.clone(), o.clone()))
        .collect();
    let mut items = Vec::new();
    for (key, object) in selected {
        delete(state, &key, &object, &options, now);
        items.push(target.present(&object));
    }
    Ok(Reply::ok(json!({
        "kind": target.resource.list_kind, "apiVersion": target.api_version(),
        "metadata": {"resourceVersion": state.store.revision().to_string()}, "items": items,
    })))
}

/// Deletes an object, or returns what is left of it until its finalizers or containers are done.
fn delete(
    state: &mut State,
    key: &Key,
    object: &Value,
    options: &Options,
    now: &jiff::Timestamp,
) -> Option<Object> {
    let mut left = object.clone();
    let finalizer = match options.propagation.as_str() {
        "Foreground" => Some("foregroundDeletion"),
        "Orphan" => Some("orphan"),
        _ => None,
    };
    if let Some(finalizer) = finalizer {
        let mut finalizers = left["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if !finalizers.contains(&json!(finalizer)) {
            finalizers.push(json!(finalizer));
        }
        left["metadata"]["finalizers"] = json!(finalizers);
    }
    let grace = match &*key.resource {
        "pods" => grace_of_pod(object, options),
        _ => 0,
    };
    let already = object["metadata"]["deletionTimestamp"].is_string();
    if !already {
        let until = now
            .checked_add(jiff::SignedDuration::from_secs(grace))
            .unwrap_or(*now);
        left["metadata"]["deletionTimestamp"] = json!(stamp(&until));
    }
    if !already || grace == 0 {
        left["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
    }
    if &*key.resource == "namespaces" {
        left["status"] = json!({"phase": "Terminating"});
    }
    if is_finished(&left) {
        state.store.delete(key);
        return None;
    }
    Some(state.store.put(key.clone(), left, &stamp(now)))
}

/// Seconds that a pod's containers get to end. One that never started ends at once.
fn grace_of_pod(pod: &Value, options: &Options) -> i64 {
    let started = pod["status"]["phase"] == "Running";
    let own = pod["spec"]["terminationGracePeriodSeconds"]
        .as_i64()
        .unwrap_or(30);
    if started {
        options.grace.unwrap_or(own).clamp(0, 1 << 31)
    } else {
        0
    }
}

/// `PUT …/namespaces/NAME/finalize`: who took a finalizer off says so.
pub fn finalize(
    state: &mut State,
    request: &Request,
    target: &Target,
    name: &str,
) -> Result<Reply, ApiError> {
    let before = existing(state, target, name)?;
    let wanted = request.object()?;
    let mut object = Value::clone(&before);
    object["spec"] =
        json!({"finalizers": wanted["spec"]["finalizers"].as_array().cloned().unwrap_or_default()});
    let stored = state.store.put(target.key(name), object, "");
    Ok(Reply::ok(target.present(&stored)))
}
