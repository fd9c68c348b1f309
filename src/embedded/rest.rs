//! The REST layer: requests on resources, the same for every kind. Pure.
//!
//! `handle` turns a request into a reply and changes the store; sockets, TLS and streaming are
//! `api`'s. What a kind needs of its own is in `admission` (defaults, validation) and `table`.

mod checks;
mod delete;
mod pod;
mod read;
mod review;
mod scale;
mod write;

use std::sync::Arc;

use serde_json::{Value, json};

use super::discovery;
use super::openapi;
use super::protobuf;
use super::resource::{Registry, Resource, Version};
use super::selector::Selector;
use super::status::ApiError;
use super::store::{Key, Object, Store};
use super::watch::WatchSpec;
pub use checks::is_finished;
pub use pod::{LogRequest, ProxyRequest};

/// The objects and the kinds of one cluster.
#[derive(Debug)]
pub struct State {
    /// The objects.
    pub store: Store,
    /// The kinds.
    pub registry: Arc<Registry>,
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
    /// `User-Agent`: the field manager of who names none.
    pub user_agent: String,
    /// The body.
    pub body: Vec<u8>,
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
    /// Bytes of another type.
    Bytes(&'static str, Vec<u8>),
    /// Plain text.
    Text(u16, String),
    /// A stream of changes.
    Watch(WatchSpec),
    /// A pod's log.
    Log(LogRequest),
    /// A request to pass on to a Service or a pod.
    Proxy(ProxyRequest),
}

const JSON: &str = "application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

impl Reply {
    fn ok(body: Value) -> Self {
        Reply::json(200, body)
    }

    fn json(code: u16, body: Value) -> Self {
        Reply::warned(code, body, Vec::new())
    }

    fn warned(code: u16, body: Value, warnings: Vec<String>) -> Self {
        Reply::Json {
            code,
            body,
            media_type: JSON,
            warnings,
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
    /// What follows the `proxy` subresource.
    rest: String,
}

impl Target {
    fn key(&self, name: &str) -> Key {
        Key::new(
            self.resource.id.clone(),
            self.namespace.as_deref().unwrap_or(""),
            name,
        )
    }

    fn served(&self) -> Option<&Version> {
        self.resource.version(&self.version)
    }

    fn api_version(&self) -> String {
        self.resource.api_version(&self.version)
    }

    fn warnings(&self) -> Vec<String> {
        let deprecation = self.served().and_then(|v| v.deprecation.clone());
        deprecation.into_iter().collect()
    }

    /// The object in the version asked for: conversion only rewrites `apiVersion`.
    fn present(&self, object: &Value) -> Value {
        let mut object = object.clone();
        object["apiVersion"] = json!(self.api_version());
        object["kind"] = json!(self.resource.kind);
        object
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

    fn media_type(&self) -> &str {
        self.content_type.split(';').next().unwrap_or("").trim()
    }

    fn object(&self) -> Result<Value, ApiError> {
        match self.media_type() {
            ""
            | "application/json"
            | "application/merge-patch+json"
            | "application/json-patch+json"
            | "application/strategic-merge-patch+json" => serde_json::from_slice(&self.body)
                .map_err(|e| ApiError::bad_request(format!("couldn't decode the body: {e}"))),
            "application/yaml" | "application/apply-patch+yaml" => {
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
                 application/json, application/yaml, application/vnd.kubernetes.protobuf, not {other}"
            ))),
        }
    }

    fn selector(&self, target: &Target) -> Result<Selector, ApiError> {
        let selector = Selector::parse(
            self.parameter("labelSelector"),
            self.parameter("fieldSelector"),
        )?;
        selector.check_fields(&target.resource)?;
        Ok(selector)
    }

    /// Who writes: `fieldManager`, else the program's name.
    fn manager(&self) -> &str {
        match self.parameter("fieldManager") {
            "" => self.user_agent.split('/').next().unwrap_or(""),
            named => named,
        }
    }
}

/// Answers a request on objects, changing the state if it is a write. `now` is the wall clock.
pub fn handle(
    state: &mut State,
    request: &Request,
    now: &jiff::Timestamp,
) -> Result<Reply, ApiError> {
    let segments = segments(&request.path);
    if let Some(reply) = review::handle(request, &segments) {
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
    let dry_run = match request.parameter("dryRun") {
        // kubectl says it of a delete in the body.
        "" => request.method == "DELETE" && delete::is_dry_run(request)?,
        "All" => true,
        other => {
            return Err(ApiError::bad_request(format!(
                "dryRun: Unsupported value: \"{other}\": supported values: \"All\""
            )));
        }
    };
    let mut scratch = dry_run.then(|| State {
        store: state.store.without_log(),
        registry: state.registry.clone(),
    });
    let state = scratch.as_mut().unwrap_or(state);
    let mut reply = on_resource(state, request, &target, now)?;
    if let Reply::Json { warnings, .. } = &mut reply {
        warnings.extend(target.warnings());
    }
    Ok(reply)
}

/// Answers a request about the server itself: discovery, OpenAPI, health; none for any other.
pub fn about_the_server(registry: &Registry, request: &Request) -> Option<Reply> {
    let aggregated =
        request.accept.contains("as=APIGroupDiscoveryList") && request.accept.contains("v=v2;");
    let segments = segments(&request.path);
    let body = match segments[..] {
        [] => discovery::paths(registry),
        ["version"] => discovery::version(),
        ["livez" | "readyz" | "healthz", ..] => return Some(Reply::Text(200, "ok".to_owned())),
        ["api" | "apis"] if aggregated => {
            return Some(Reply::Json {
                code: 200,
                body: discovery::aggregated(registry, segments == ["api"]),
                media_type: AGGREGATED,
                warnings: Vec::new(),
            });
        }
        ["api"] => discovery::api_versions(),
        ["apis"] => discovery::api_groups(registry),
        ["api", "v1"] => discovery::api_resources(registry, "", "v1")?,
        ["apis", group] if discovery::has_group(registry, group) => {
            discovery::api_group(registry, group)
        }
        ["apis", group, version] => discovery::api_resources(registry, group, version)?,
        ["openapi", "v3"] => openapi::index(registry),
        ["openapi", "v3", "api", version] => openapi::document(registry, "", version)?,
        ["openapi", "v3", "apis", group, version] => openapi::document(registry, group, version)?,
        ["openapi", "v2"] => {
            let bytes = openapi::v2(registry);
            return Some(Reply::Bytes(openapi::V2_MEDIA_TYPE, bytes));
        }
        _ => return None,
    };
    Some(Reply::ok(body))
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|s| !s.is_empty()).collect()
}

fn locate(registry: &Registry, segments: &[&str]) -> Option<Target> {
    let (group, version, rest) = match segments {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (namespace, plural, rest) = match rest {
        ["namespaces", namespace, plural, rest @ ..]
            if !matches!(*plural, "status" | "finalize") =>
        {
            (Some((*namespace).to_owned()), *plural, rest)
        }
        [plural, rest @ ..] => (None, *plural, rest),
        [] => return None,
    };
    let resource = registry.find(group, version, plural)?.clone();
    if namespace.is_some() && !resource.namespaced() {
        return None;
    }
    let has = |sub: &str| {
        let version = resource.version(version);
        version.is_some_and(|v| v.subresources.iter().any(|s| s == sub))
    };
    let (name, subresource, tail) = match rest {
        [] => (None, None, &[][..]),
        [name] => (Some((*name).to_owned()), None, &[][..]),
        [name, "proxy", tail @ ..] if has("proxy") => {
            (Some((*name).to_owned()), Some("proxy".to_owned()), tail)
        }
        [name, sub] if has(sub) => (Some((*name).to_owned()), Some((*sub).to_owned()), &[][..]),
        _ => return None,
    };
    if name.is_some() && resource.namespaced() && namespace.is_none() {
        return None;
    }
    Some(Target {
        version: version.to_owned(),
        resource,
        namespace,
        name,
        subresource,
        rest: tail.join("/"),
    })
}

fn on_resource(
    state: &mut State,
    request: &Request,
    target: &Target,
    now: &jiff::Timestamp,
) -> Result<Reply, ApiError> {
    let stamp = stamp(now);
    let method = request.method.as_str();
    match (method, &target.name, target.subresource.as_deref()) {
        ("GET", Some(name), Some("log")) => pod::log(state, request, target, name),
        (_, Some(name), Some("exec" | "attach" | "portforward" | "ephemeralcontainers")) => {
            pod::connect(state, target, name)
        }
        (_, Some(name), Some("proxy")) => pod::proxy(state, request, target, name),
        ("GET", Some(name), Some("scale")) => scale::get(state, target, name),
        ("PUT" | "PATCH", Some(name), Some("scale")) => {
            scale::write(state, request, target, name, &stamp)
        }
        ("GET", Some(name), None) if request.flag("watch") => {
            read::watch(request, target, Some(name))
        }
        ("GET", Some(name), _) => read::get(state, request, target, name, now),
        ("GET", None, None) if request.flag("watch") => read::watch(request, target, None),
        ("GET", None, None) => read::list(state, request, target, now),
        ("POST", None, None) => write::create(state, request, target, &stamp),
        ("PUT", Some(name), Some("finalize")) => delete::finalize(state, request, target, name),
        ("PUT", Some(name), _) => write::replace(state, request, target, name, &stamp),
        ("PATCH", Some(name), _) => write::patch(state, request, target, name, &stamp),
        ("DELETE", Some(name), None) => delete::one(state, request, target, name, now),
        ("DELETE", None, None) => delete::all(state, request, target, now),
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// A time as objects have it: RFC 3339 to the second.
pub fn stamp(now: &jiff::Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn existing(state: &State, target: &Target, name: &str) -> Result<Object, ApiError> {
    state
        .store
        .get(&target.key(name))
        .cloned()
        .ok_or_else(|| ApiError::not_found(&target.resource.id, name))
}

#[cfg(test)]
mod tests;
