//! The REST layer: requests on resources, the same for every kind. Pure.
//!
//! `handle` turns a request into a reply and changes the store; sockets, TLS and streaming are
//! `api`'s. What a kind needs of its own is in `admission` (defaults, validation) and `table`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admission;
use super::discovery;
use super::patch::{self, PatchType};
use super::protobuf;
use super::resource::{Origin, Registry, Resource};
use super::selector::Selector;
use super::status::ApiError;
use super::store::{Key, Object, Store};
use super::table::table;
use super::watch::WatchSpec;

/// The objects and the kinds of one cluster.
#[derive(Clone, Debug)]
pub struct State {
    /// The objects.
    pub store: Store,
    /// The kinds.
    pub registry: Registry,
}

/// A request as the REST layer sees it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query's pairs, decoded. An empty pair (kube sends `?&watch=true`) is harmless.
    pub query: Vec<(String, String)>,
    /// `Content-Type`.
    pub content_type: String,
    /// `Accept`.
    pub accept: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Pod logs asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRequest {
    /// The pod's uid.
    pub pod: String,
    /// Stay and send what comes.
    pub follow: bool,
    /// Only the last lines.
    pub tail: Option<usize>,
}

/// An answer.
#[derive(Debug)]
pub enum Reply {
    /// A JSON document; `media_type` is `application/json` but for discovery.
    Json {
        /// The HTTP status code.
        code: u16,
        /// The document.
        body: Value,
        /// `Content-Type`.
        media_type: &'static str,
        /// Texts for `Warning: 299` headers.
        warnings: Vec<String>,
    },
    /// Plain text.
    Text(u16, String),
    /// A stream of changes.
    Watch(WatchSpec),
    /// A pod's log.
    Log(LogRequest),
}

const JSON: &str = "application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

impl Reply {
    fn ok(body: Value) -> Self {
        Reply::json(200, body)
    }

    fn json(code: u16, body: Value) -> Self {
        Reply::Json {
            code,
            body,
            media_type: JSON,
            warnings: Vec::new(),
        }
    }
}

/// Where a path leads.
struct Target {
    resource: Arc<Resource>,
    version: String,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
}

impl Target {
    fn key(&self, name: &str) -> Key {
        Key::new(
            self.resource.id.clone(),
            self.namespace.as_deref().unwrap_or(""),
            name,
        )
    }

    fn warnings(&self) -> Vec<String> {
        let version = self
            .resource
            .versions
            .iter()
            .find(|v| v.name == self.version);
        version
            .and_then(|v| v.deprecation.clone())
            .into_iter()
            .collect()
    }
}

impl Request {
    /// The value of a query parameter, empty if absent.
    pub fn parameter(&self, name: &str) -> &str {
        let pair = self.query.iter().find(|(k, _)| k == name);
        pair.map_or("", |(_, v)| v)
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), "true" | "1")
    }

    fn object(&self) -> Result<Value, ApiError> {
        let media = self.content_type.split(';').next().unwrap_or("").trim();
        match media {
            ""
            | "application/json"
            | "application/merge-patch+json"
            | "application/json-patch+json"
            | "application/strategic-merge-patch+json" => serde_json::from_slice(&self.body)
                .map_err(|e| ApiError::bad_request(format!("couldn't decode the body: {e}"))),
            "application/yaml" => {
                let text = String::from_utf8_lossy(&self.body);
                let mut documents = crate::manifest::parse(&text)
                    .map_err(|e| ApiError::bad_request(format!("error parsing YAML: {e}")))?;
                match documents.len() {
                    1 => Ok(documents.remove(0).object),
                    n => Err(ApiError::bad_request(format!(
                        "one YAML document wanted, not {n}"
                    ))),
                }
            }
            "application/vnd.kubernetes.protobuf" => protobuf::decode(&self.body),
            other => Err(ApiError::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json, application/yaml, not {other}"
            ))),
        }
    }

    fn selector(&self) -> Result<Selector, ApiError> {
        Selector::parse(
            self.parameter("labelSelector"),
            self.parameter("fieldSelector"),
        )
    }
}

/// Answers a request, changing the state if it is a write. `now` is the wall clock.
pub fn handle(
    state: &mut State,
    request: &Request,
    now: &jiff::Timestamp,
) -> Result<Reply, ApiError> {
    let segments: Vec<&str> = request.path.split('/').filter(|s| !s.is_empty()).collect();
    if let Some(reply) = about_the_server(state, request, &segments) {
        return reply;
    }
    let Some(target) = locate(&state.registry, &segments) else {
        let known_group = matches!(segments[..], ["api", "v1", ..]);
        return if known_group {
            Err(ApiError::no_such_resource())
        } else {
            Ok(Reply::Text(404, "404 page not found\n".to_owned()))
        };
    };
    let dry_run = request.parameter("dryRun") == "All";
    let mut scratch = dry_run.then(|| state.clone());
    let state = scratch.as_mut().unwrap_or(state);
    let mut reply = on_resource(state, request, &target, now)?;
    if let Reply::Json { warnings, .. } = &mut reply {
        warnings.extend(target.warnings());
    }
    Ok(reply)
}

fn about_the_server(
    state: &State,
    request: &Request,
    segments: &[&str],
) -> Option<Result<Reply, ApiError>> {
    let aggregated =
        request.accept.contains("as=APIGroupDiscoveryList") && request.accept.contains("v=v2;");
    let registry = &state.registry;
    let body = match segments {
        ["version"] => discovery::version(),
        ["livez" | "readyz" | "healthz", ..] => return Some(Ok(Reply::Text(200, "ok".to_owned()))),
        ["api" | "apis"] if aggregated => {
            return Some(Ok(Reply::Json {
                code: 200,
                body: discovery::aggregated(registry, segments == ["api"]),
                media_type: AGGREGATED,
                warnings: Vec::new(),
            }));
        }
        ["api"] => discovery::api_versions(),
        ["apis"] => discovery::api_groups(registry),
        ["api", "v1"] => discovery::api_resources(registry, "", "v1")?,
        ["apis", group] if !registry.versions(group).is_empty() => {
            discovery::api_group(registry, group)
        }
        ["apis", group, version] => discovery::api_resources(registry, group, version)?,
        ["openapi", "v3"] => discovery::openapi_index(registry),
        ["openapi", "v3", "api", version] => discovery::openapi(registry, "", version)?,
        ["openapi", "v3", "apis", group, version] => discovery::openapi(registry, group, version)?,
        _ => return None,
    };
    Some(Ok(Reply::ok(body)))
}

fn locate(registry: &Registry, segments: &[&str]) -> Option<Target> {
    let (group, version, rest) = match segments {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (namespace, plural, rest) = match rest {
        ["namespaces", namespace, plural, rest @ ..] if *plural != "status" => {
            (Some((*namespace).to_owned()), *plural, rest)
        }
        [plural, rest @ ..] => (None, *plural, rest),
        [] => return None,
    };
    let resource = registry.find(group, version, plural)?.clone();
    if namespace.is_some() && !resource.namespaced() {
        return None;
    }
    let (name, subresource) = match rest {
        [] => (None, None),
        [name] => (Some((*name).to_owned()), None),
        [name, sub] if resource.subresources.iter().any(|s| s == sub) => {
            (Some((*name).to_owned()), Some((*sub).to_owned()))
        }
        _ => return None,
    };
    if name.is_some() && resource.namespaced() && namespace.is_none() {
        return None;
    }
    Some(Target {
        resource,
        version: version.to_owned(),
        namespace,
        name,
        subresource,
    })
}

fn on_resource(
    state: &mut State,
    request: &Request,
    target: &Target,
    now: &jiff::Timestamp,
) -> Result<Reply, ApiError> {
    let stamp = stamp(now);
    match (
        request.method.as_str(),
        &target.name,
        target.subresource.as_deref(),
    ) {
        ("GET", Some(name), Some("log")) => log(state, request, target, name),
        ("GET", Some(name), Some("scale")) => {
            let object = existing(state, target, name)?;
            Ok(Reply::ok(scale_of(&object)))
        }
        ("PUT" | "PATCH", Some(name), Some("scale")) => {
            write_scale(state, request, target, name, &stamp)
        }
        ("GET", Some(name), _) => {
            let object = existing(state, target, name)?;
            Ok(Reply::ok(present(
                state,
                request,
                target,
                &[object],
                now,
                Shape::One,
            )))
        }
        ("GET", None, None) if request.flag("watch") => watch(request, target),
        ("GET", None, None) => list(state, request, target, now),
        ("POST", None, None) => create(state, request, target, &stamp),
        ("PUT", Some(name), sub) => {
            let before = existing(state, target, name)?;
            let wanted = request.object()?;
            let written = write(state, target, &before, wanted, sub, &stamp)?;
            Ok(Reply::ok(as_version(&written, target)))
        }
        ("PATCH", Some(name), sub) => {
            let before = existing(state, target, name)?;
            let patched = patched(request, target, &before)?;
            let written = write(state, target, &before, patched, sub, &stamp)?;
            Ok(Reply::ok(as_version(&written, target)))
        }
        ("DELETE", Some(name), None) => delete(state, target, name),
        ("DELETE", None, None) => delete_all(state, request, target),
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn stamp(now: &jiff::Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn existing(state: &State, target: &Target, name: &str) -> Result<Object, ApiError> {
    state
        .store
        .get(&target.key(name))
        .cloned()
        .ok_or_else(|| ApiError::not_found(&target.resource.id, name))
}

/// The object in the version asked for: all versions have one schema, so only `apiVersion` differs.
fn as_version(object: &Value, target: &Target) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(target.resource.api_version(&target.version));
    object["kind"] = json!(target.resource.kind);
    object
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    One,
    Many,
}

fn present(
    state: &State,
    request: &Request,
    target: &Target,
    objects: &[Object],
    now: &jiff::Timestamp,
    shape: Shape,
) -> Value {
    if wants_table(&request.accept) {
        return table(&target.resource, objects, state.store.revision(), now);
    }
    match (shape, objects) {
        (Shape::One, [object]) => as_version(object, target),
        _ => {
            let items: Vec<Value> = objects.iter().map(|o| as_version(o, target)).collect();
            json!({
                "kind": format!("{}List", target.resource.kind),
                "apiVersion": target.resource.api_version(&target.version),
                "metadata": {"resourceVersion": state.store.revision().to_string()},
                "items": items,
            })
        }
    }
}

fn wants_table(accept: &str) -> bool {
    accept.contains("as=Table")
}

fn list(
    state: &State,
    request: &Request,
    target: &Target,
    now: &jiff::Timestamp,
) -> Result<Reply, ApiError> {
    let selector = request.selector()?;
    if let Ok(revision) = request.parameter("resourceVersion").parse::<u64>()
        && revision > state.store.revision()
    {
        return Err(ApiError::too_new(revision, state.store.revision()));
    }
    let objects: Vec<Object> = state
        .store
        .list(&target.resource.id, target.namespace.as_deref())
        .filter(|(_, o)| selector.matches(o))
        .map(|(_, o)| o.clone())
        .collect();
    Ok(Reply::ok(present(
        state,
        request,
        target,
        &objects,
        now,
        Shape::Many,
    )))
}

fn watch(request: &Request, target: &Target) -> Result<Reply, ApiError> {
    let version = request.parameter("resourceVersion");
    let from = match version {
        "" | "0" => None,
        text => Some(text.parse().map_err(|_| {
            ApiError::internal(format!(
                "Invalid value: \"{text}\": strconv.ParseUint: invalid syntax"
            ))
        })?),
    };
    Ok(Reply::Watch(WatchSpec {
        resource: target.resource.clone(),
        version: target.version.clone(),
        namespace: target.namespace.clone(),
        selector: request.selector()?,
        from: from.filter(|_| !request.flag("sendInitialEvents")),
        initial_events_end: request.flag("sendInitialEvents"),
        bookmarks: request.flag("allowWatchBookmarks"),
        timeout_seconds: request.parameter("timeoutSeconds").parse().ok(),
        as_table: wants_table(&request.accept),
    }))
}

fn create(
    state: &mut State,
    request: &Request,
    target: &Target,
    now: &str,
) -> Result<Reply, ApiError> {
    let mut object = request.object()?;
    check_identity(&object, target)?;
    let Some(fields) = object.as_object_mut() else {
        return Err(ApiError::bad_request(
            "the body of the request is not an object",
        ));
    };
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        return Err(ApiError::bad_request("metadata must be an object"));
    }
    if object["metadata"]["name"].is_null()
        && let Some(prefix) = object["metadata"]["generateName"].as_str()
    {
        let name = format!("{prefix}{}", state.store.suffix(5));
        object["metadata"]["name"] = json!(name);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let key = target.key(&name);
    if let Some(namespace) = &target.namespace {
        if state
            .store
            .get(&Key::new("namespaces", "", namespace))
            .is_none()
        {
            return Err(ApiError::not_found("namespaces", namespace));
        }
        object["metadata"]["namespace"] = json!(namespace);
    } else if target.resource.namespaced() {
        return Err(ApiError::method_not_allowed());
    }
    if state.store.get(&key).is_some() {
        return Err(ApiError::already_exists(&target.resource.id, &name));
    }
    if target.resource.subresources.iter().any(|s| s == "status")
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    let object = admit(&target.resource, object)?;
    let stored = state.store.put(key, object, now);
    Ok(Reply::json(201, as_version(&stored, target)))
}

/// Defaults and validates an object, and writes it in the storage version.
fn admit(resource: &Resource, mut object: Value) -> Result<Value, ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request(
            "the body of the request is not an object",
        ));
    }
    object["apiVersion"] = json!(resource.api_version(&resource.storage));
    object["kind"] = json!(resource.kind);
    admission::admit(resource, &mut object)?;
    Ok(object)
}

fn check_identity(object: &Value, target: &Target) -> Result<(), ApiError> {
    let expected = target.resource.api_version(&target.version);
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

fn patched(request: &Request, target: &Target, before: &Value) -> Result<Value, ApiError> {
    let Some(kind) = PatchType::of(&request.content_type) else {
        return Err(ApiError::unsupported_media_type(format!(
            "the body of the request was in an unknown format ({}) - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, \
             application/strategic-merge-patch+json",
            request.content_type
        )));
    };
    if kind == PatchType::Strategic && target.resource.origin == Origin::Custom {
        return Err(ApiError::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json",
        ));
    }
    let seen = as_version(before, target);
    let patched = patch::apply(kind, &seen, &request.object()?)?;
    check_identity(&patched, target)?;
    Ok(patched)
}

/// Replaces an object: all but its status, or with the `status` subresource its status alone.
fn write(
    state: &mut State,
    target: &Target,
    before: &Object,
    wanted: Value,
    subresource: Option<&str>,
    now: &str,
) -> Result<Object, ApiError> {
    check_identity(&wanted, target)?;
    let name = before["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let revision = &wanted["metadata"]["resourceVersion"];
    if !revision.is_null() && revision != &before["metadata"]["resourceVersion"] {
        return Err(ApiError::conflict(&target.resource.id, &name));
    }
    let mut object = wanted;
    if !object["metadata"].is_object() {
        return Err(ApiError::bad_request("metadata must be an object"));
    }
    let has_status = target.resource.subresources.iter().any(|s| s == "status");
    if subresource == Some("status") {
        let status = object["status"].take();
        object = Value::clone(before);
        object["status"] = status;
    } else if has_status {
        match before.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => drop(object.as_object_mut().and_then(|o| o.remove("status"))),
        }
    }
    object["metadata"]["name"] = json!(name);
    if let Some(namespace) = &target.namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    let object = admit(&target.resource, object)?;
    Ok(state.store.put(target.key(&name), object, now))
}

fn delete(state: &mut State, target: &Target, name: &str) -> Result<Reply, ApiError> {
    let object = existing(state, target, name)?;
    state.store.delete(&target.key(name));
    Ok(Reply::ok(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": name, "group": target.resource.group, "kind": target.resource.plural,
                    "uid": object["metadata"]["uid"]},
    })))
}

fn delete_all(state: &mut State, request: &Request, target: &Target) -> Result<Reply, ApiError> {
    let selector = request.selector()?;
    let keys: Vec<Key> = state
        .store
        .list(&target.resource.id, target.namespace.as_deref())
        .filter(|(_, o)| selector.matches(o))
        .map(|(k, _)| k.clone())
        .collect();
    let gone: Vec<Value> = keys
        .iter()
        .filter_map(|k| state.store.delete(k))
        .map(|o| as_version(&o, target))
        .collect();
    Ok(Reply::ok(json!({
        "kind": format!("{}List", target.resource.kind),
        "apiVersion": target.resource.api_version(&target.version),
        "metadata": {"resourceVersion": state.store.revision().to_string()}, "items": gone,
    })))
}

fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let selector = object["spec"]["selector"]["matchLabels"].as_object();
    let selector: Vec<String> = selector
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"],
                     "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
                     "creationTimestamp": metadata["creationTimestamp"]},
        "spec": {},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0),
                   "selector": selector.join(",")},
    });
    // A real server leaves a replica count of zero out.
    if let Some(replicas @ 1..) = object["spec"]["replicas"].as_i64() {
        scale["spec"]["replicas"] = json!(replicas);
    }
    scale
}

fn write_scale(
    state: &mut State,
    request: &Request,
    target: &Target,
    name: &str,
    now: &str,
) -> Result<Reply, ApiError> {
    let before = existing(state, target, name)?;
    let wanted = request.object()?;
    let scale = match PatchType::of(&request.content_type) {
        Some(kind) => patch::apply(kind, &scale_of(&before), &wanted)?,
        None => wanted,
    };
    let mut object = Value::clone(&before);
    if !object["spec"].is_object() {
        return Err(ApiError::bad_request("spec must be an object"));
    }
    object["spec"]["replicas"] = json!(scale["spec"]["replicas"].as_i64().unwrap_or(0));
    let written = write(state, target, &before, object, None, now)?;
    Ok(Reply::ok(scale_of(&written)))
}

fn log(state: &State, request: &Request, target: &Target, name: &str) -> Result<Reply, ApiError> {
    let pod = existing(state, target, name)?;
    let containers: Vec<&str> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| c["name"].as_str())
        .collect();
    let asked = request.parameter("container");
    if !asked.is_empty() && !containers.contains(&asked) {
        return Err(ApiError::bad_request(format!(
            "container {asked} is not valid for pod {name}"
        )));
    }
    if pod["status"]["phase"] != "Running" {
        let container = containers.first().unwrap_or(&"");
        return Err(ApiError::bad_request(format!(
            "container \"{container}\" in pod \"{name}\" is waiting to start: ContainerCreating"
        )));
    }
    Ok(Reply::Log(LogRequest {
        pod: pod["metadata"]["uid"].as_str().unwrap_or("").to_owned(),
        follow: request.flag("follow"),
        tail: request.parameter("tailLines").parse().ok(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Server(State);

    impl Server {
        fn new() -> Self {
            let mut server = Server(State {
                store: Store::new(7),
                registry: Registry::new(),
            });
            server.post("/api/v1/namespaces", json!({"metadata": {"name": "faces"}}));
            server
        }

        fn send(&mut self, request: Request) -> Result<Value, ApiError> {
            let now = "2026-01-01T00:00:00Z".parse().unwrap();
            match handle(&mut self.0, &request, &now)? {
                Reply::Json { body, .. } => Ok(body),
                other => panic!("{other:?}"),
            }
        }

        fn get(&mut self, path: &str) -> Result<Value, ApiError> {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let query = query
                .split('&')
                .filter_map(|p| p.split_once('='))
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect();
            self.send(Request {
                method: "GET".into(),
                path: path.into(),
                query,
                ..Request::default()
            })
        }

        fn post(&mut self, path: &str, body: Value) -> Value {
            self.write("POST", path, "application/json", body).unwrap()
        }

        fn write(
            &mut self,
            method: &str,
            path: &str,
            kind: &str,
            body: Value,
        ) -> Result<Value, ApiError> {
            self.send(Request {
                method: method.into(),
                path: path.into(),
                content_type: kind.into(),
                body: body.to_string().into_bytes(),
                ..Request::default()
            })
        }
    }

    const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1beta1/namespaces/faces/httproutes";

    fn route(weight: i64) -> Value {
        json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "HTTPRoute",
               "metadata": {"name": "r"},
               "spec": {"rules": [{"backendRefs": [{"name": "s", "port": 80, "weight": weight}]}]}})
    }

    #[test]
    fn one_object_is_served_in_both_versions() {
        let mut server = Server::new();
        let created = server.post(ROUTES, route(1));
        assert_eq!(created["apiVersion"], "gateway.networking.k8s.io/v1beta1");
        let v1 = server
            .get(&format!("{}/r", ROUTES.replace("v1beta1", "v1")))
            .unwrap();
        assert_eq!(v1["apiVersion"], "gateway.networking.k8s.io/v1");
        assert_eq!(v1["metadata"]["uid"], created["metadata"]["uid"]);
        let list = server.get(ROUTES).unwrap();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn writes_check_the_revision_and_status_is_a_subresource() {
        let mut server = Server::new();
        let created = server.post(ROUTES, route(1));
        let path = format!("{ROUTES}/r");
        let merge = "application/merge-patch+json";
        let patched = server
            .write(
                "PATCH",
                &path,
                merge,
                json!({"status": {"x": 1}, "metadata": {"labels": {"a": "b"}}}),
            )
            .unwrap();
        assert_eq!(patched["status"], Value::Null);
        assert_eq!(patched["metadata"]["generation"], 1);
        let error = server.write("PUT", &path, JSON, created).unwrap_err();
        assert_eq!((error.code, error.reason), (409, "Conflict"));
        let status = server
            .write(
                "PATCH",
                &format!("{path}/status"),
                merge,
                json!({"status": {"x": 1}}),
            )
            .unwrap();
        assert_eq!(status["status"]["x"], 1);
    }

    #[test]
    fn a_dry_run_answers_and_changes_nothing() {
        let mut server = Server::new();
        server.post(ROUTES, route(1));
        let request = Request {
            method: "PATCH".into(),
            path: format!("{ROUTES}/r"),
            query: vec![("dryRun".into(), "All".into())],
            content_type: "application/merge-patch+json".into(),
            body: json!({"spec": {"hostnames": ["x"]}})
                .to_string()
                .into_bytes(),
            ..Request::default()
        };
        let revision = server.0.store.revision();
        assert_eq!(
            server.send(request).unwrap()["spec"]["hostnames"],
            json!(["x"])
        );
        assert_eq!(server.0.store.revision(), revision);
    }

    #[test]
    fn errors_are_what_a_real_server_says() {
        let mut server = Server::new();
        let error = server
            .get("/api/v1/namespaces/faces/pods/nope")
            .unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (404, "pods \"nope\" not found")
        );
        assert_eq!(server.get("/api/v1/nope").unwrap_err().code, 404);
        server.post(ROUTES, route(1));
        let again = server.write("POST", ROUTES, JSON, route(1)).unwrap_err();
        assert_eq!((again.code, again.reason), (409, "AlreadyExists"));
        let nowhere = ROUTES.replace("faces", "nowhere");
        let error = server.write("POST", &nowhere, JSON, route(1)).unwrap_err();
        assert_eq!(error.message, "namespaces \"nowhere\" not found");
        let strategic = "application/strategic-merge-patch+json";
        let error = server
            .write("PATCH", &format!("{ROUTES}/r"), strategic, json!({}))
            .unwrap_err();
        assert_eq!(error.code, 415);
        let bad = server
            .write("POST", "/api/v1/namespaces", JSON, json!({"kind": "Pod"}))
            .unwrap_err();
        assert_eq!(bad.code, 400);
    }

    #[test]
    fn scale_is_a_view_of_the_deployment() {
        let mut server = Server::new();
        let deployments = "/apis/apps/v1/namespaces/faces/deployments";
        server.post(
            deployments,
            json!({"metadata": {"name": "d"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}},
                         "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
        );
        let scale = format!("{deployments}/d/scale");
        assert_eq!(server.get(&scale).unwrap()["spec"]["replicas"], 1);
        let patch = json!({"spec": {"replicas": 0}});
        let answer = server
            .write("PATCH", &scale, "application/merge-patch+json", patch)
            .unwrap();
        assert_eq!(answer["spec"], json!({}));
        let deployment = server.get(&format!("{deployments}/d")).unwrap();
        assert_eq!(deployment["spec"]["replicas"], 0);
    }
}
