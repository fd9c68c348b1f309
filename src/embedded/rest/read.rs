//! GET: one object, lists in pages, watches.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Reply, Request, State, Target, existing};
use crate::embedded::resource::Column;
use crate::embedded::selector::Selector;
use crate::embedded::status::ApiError;
use crate::embedded::store::{Key, Object};
use crate::embedded::table::table;
use crate::embedded::watch::WatchSpec;

/// One object.
pub fn get(
    state: &State,
    request: &Request,
    target: &Target,
    name: &str,
    now: &jiff::Timestamp,
) -> Result<Reply, ApiError> {
    let object = existing(state, target, name)?;
    if wants_table(&request.accept) {
        let revision = object["metadata"]["resourceVersion"].clone();
        let metadata = json!({"resourceVersion": revision});
        return Ok(Reply::ok(as_table(target, &[object], metadata, now)));
    }
    Ok(Reply::ok(target.present(&object)))
}

/// A list, or a page of one.
pub fn list(
    state: &State,
    request: &Request,
    target: &Target,
    now: &jiff::Timestamp,
) -> Result<Reply, ApiError> {
    let selector = request.selector(target)?;
    let page = page_of(state, request)?;
    let limit: usize = request.parameter("limit").parse().unwrap_or(0);
    let (resource, namespace) = (&target.resource.id, target.namespace.as_deref());
    let older: BTreeMap<Key, Object>;
    let all: Box<dyn Iterator<Item = (&Key, &Object)>> = match page.revision {
        revision if revision == state.store.revision() => {
            Box::new(state.store.list(resource, namespace))
        }
        revision => {
            let found = state.store.list_at(revision, resource, namespace);
            older = found.map_err(|e| ApiError::expired(e.to_string()))?;
            Box::new(older.iter())
        }
    };
    let mut objects: Vec<Object> = Vec::new();
    let mut left = 0;
    let mut last: Option<&Key> = None;
    let selected = all.filter(|(_, o)| selector.matches(o));
    let selected = selected.filter(|(key, _)| {
        page.after.as_ref().is_none_or(|(namespace, name)| {
            (key.namespace.as_str(), key.name.as_str()) > (namespace.as_str(), name.as_str())
        })
    });
    for (key, object) in selected {
        if limit > 0 && objects.len() == limit {
            left += 1;
            continue;
        }
        last = Some(key);
        objects.push(object.clone());
    }
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if left > 0
        && let Some(last) = last
    {
        metadata["continue"] = json!(token(page.revision, last));
        // A real server does not count what a selector leaves out.
        if selector == Selector::default() {
            metadata["remainingItemCount"] = json!(left);
        }
    }
    if wants_table(&request.accept) {
        return Ok(Reply::ok(as_table(target, &objects, metadata, now)));
    }
    let items: Vec<Value> = objects.iter().map(|o| target.present(o)).collect();
    Ok(Reply::ok(json!({
        "kind": target.resource.list_kind, "apiVersion": target.api_version(),
        "metadata": metadata, "items": items,
    })))
}

fn as_table(target: &Target, objects: &[Object], metadata: Value, now: &jiff::Timestamp) -> Value {
    let columns: &[Column] = target.served().map_or(&[], |v| &v.columns);
    table(&target.resource, columns, objects, metadata, now)
}

fn wants_table(accept: &str) -> bool {
    accept.contains("as=Table")
}

/// A page of a list: all pages of a list are of the revision of its first.
struct Page {
    revision: u64,
    /// The namespace and name of the last object of the page before.
    after: Option<(String, String)>,
}

fn page_of(state: &State, request: &Request) -> Result<Page, ApiError> {
    let newest = state.store.revision();
    let token = request.parameter("continue");
    if !token.is_empty() {
        let invalid = || ApiError::bad_request("continue key is not valid");
        let page = read_token(token).ok_or_else(invalid)?;
        return match page.revision {
            revision if revision > newest => Err(invalid()),
            _ => Ok(page),
        };
    }
    let wanted = request.parameter("resourceVersion");
    let mut revision = newest;
    if !wanted.is_empty() {
        let asked: u64 = wanted.parse().map_err(|_| invalid_revision(wanted))?;
        if asked > newest {
            return Err(ApiError::too_new(asked, newest));
        }
        if request.parameter("resourceVersionMatch") == "Exact" {
            revision = asked;
        }
    }
    Ok(Page {
        revision,
        after: None,
    })
}

/// Where a page ended, opaque to clients.
fn token(revision: u64, last: &Key) -> String {
    URL_SAFE_NO_PAD.encode(format!("{revision}/{}/{}", last.namespace, last.name))
}

fn read_token(token: &str) -> Option<Page> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (revision, rest) = text.split_once('/')?;
    let (namespace, name) = rest.split_once('/')?;
    Some(Page {
        revision: revision.parse().ok()?,
        after: Some((namespace.to_owned(), name.to_owned())),
    })
}

fn invalid_revision(text: &str) -> ApiError {
    ApiError::bad_request(format!(
        "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
    ))
}

/// A watch on a resource, or on one object of it.
pub fn watch(request: &Request, target: &Target, name: Option<&str>) -> Result<Reply, ApiError> {
    let version = request.parameter("resourceVersion");
    let from = match version {
        "" | "0" => None,
        text => Some(text.parse().map_err(|_| {
            ApiError::internal(format!(
                "Invalid value: \"{text}\": strconv.ParseUint: invalid syntax"
            ))
        })?),
    };
    let mut selector = request.selector(target)?;
    if let Some(name) = name {
        selector.only_name(name);
    }
    let initial = request.flag("sendInitialEvents");
    Ok(Reply::Watch(WatchSpec {
        resource: target.resource.clone(),
        version: target.version.clone(),
        namespace: target.namespace.clone(),
        selector,
        // With sendInitialEvents the present state comes first, whatever revision is named.
        from: if initial { None } else { from },
        initial_events_end: initial,
        bookmarks: request.flag("allowWatchBookmarks"),
        timeout_seconds: request.parameter("timeoutSeconds").parse().ok(),
        as_table: wants_table(&request.accept),
    }))
}
