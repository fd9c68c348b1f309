//! What the rules of a route do: matches, filters, backends, timeouts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::attach::{AttachedRoute, GROUP, RouteKind};
use super::flavor::Flavor;
use super::grant::{self, Party};
use super::matching::{Match, PathMatch, Pattern, whole};
use super::rewrite::PathModifier;
use super::table::{
    Action, Backend, Filters, HeaderEdits, Mirror, ObjectRef, Redirect, Retry, Rule,
};
use super::{duration, items, port, text};
use crate::embedded::store::{Key, Store};

/// How a route is read: for which parent, of whose.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The objects.
    pub store: &'a Store,
    /// Whose parent it is.
    pub flavor: Flavor,
    /// A Service, whose routes may name any namespace's Services (GEP-1294).
    pub mesh: bool,
}

/// The rules of a route for one parent, in order.
pub fn rules(reading: Reading<'_>, route: &AttachedRoute, hostnames: &[String]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for rule in items(&route.object["spec"]["rules"]) {
        let action = Arc::new(action(reading, route, rule));
        let mut matches: Vec<Match> = items(&rule["matches"])
            .map(|m| match route.kind {
                RouteKind::Grpc => grpc_match(m),
                RouteKind::Http | RouteKind::LinkerdHttp => http_match(m),
            })
            .collect();
        if matches.is_empty() {
            matches.push(Match::everything());
        }
        rules.extend(matches.into_iter().map(|matched| Rule {
            route: ObjectRef::new(&route.key.namespace, &route.key.name),
            hostnames: hostnames.to_vec(),
            matched,
            action: action.clone(),
        }));
    }
    rules
}

fn http_match(object: &Value) -> Match {
    let path = &object["path"];
    let value = text(&path["value"]);
    let (headers, readable) = headers(object);
    let query: Option<Vec<(String, Pattern)>> = items(&object["queryParams"])
        .map(|e| Some((text(&e["name"]), pattern(e)?)))
        .collect();
    let path = match path["type"].as_str() {
        Some("Exact") => PathMatch::Exact(value),
        Some("RegularExpression") => whole(&value).map_or(PathMatch::Nothing, PathMatch::Regex),
        _ => PathMatch::Prefix(value.trim_end_matches('/').to_owned()),
    };
    Match {
        // What cannot be matched must not match everything.
        path: if readable && query.is_some() {
            path
        } else {
            PathMatch::Nothing
        },
        method: object["method"].as_str().map(str::to_owned),
        headers,
        query: query.unwrap_or_default(),
    }
}

/// A gRPC call is `POST /SERVICE/METHOD`.
fn grpc_match(object: &Value) -> Match {
    let method = &object["method"];
    let part = |field: &str| method[field].as_str().filter(|s| !s.is_empty());
    let (headers, readable) = headers(object);
    let path = if method["type"] == "RegularExpression" {
        let any = "[^/]+";
        let expression = format!(
            "/(?:{})/(?:{})",
            part("service").unwrap_or(any),
            part("method").unwrap_or(any)
        );
        whole(&expression).map_or(PathMatch::Nothing, PathMatch::Regex)
    } else {
        match (part("service"), part("method")) {
            (Some(service), Some(method)) => PathMatch::Exact(format!("/{service}/{method}")),
            (Some(service), None) => PathMatch::Prefix(format!("/{service}")),
            (None, Some(method)) => {
                let expression = format!("/[^/]+/{}", regex::escape(method));
                whole(&expression).map_or(PathMatch::Nothing, PathMatch::Regex)
            }
            (None, None) => PathMatch::Any,
        }
    };
    Match {
        path: if readable { path } else { PathMatch::Nothing },
        method: None,
        headers,
        query: Vec::new(),
    }
}

/// Header matches, and whether all can be read. Of two names that differ in case only the first
/// counts.
fn headers(object: &Value) -> (Vec<(String, Pattern)>, bool) {
    let mut headers: Vec<(String, Pattern)> = Vec::new();
    for entry in items(&object["headers"]) {
        let name = text(&entry["name"]).to_ascii_lowercase();
        let Some(pattern) = pattern(entry) else {
            return (headers, false);
        };
        if !headers.iter().any(|(n, _)| *n == name) {
            headers.push((name, pattern));
        }
    }
    (headers, true)
}

fn pattern(entry: &Value) -> Option<Pattern> {
    let value = text(&entry["value"]);
    if entry["type"] == "RegularExpression" {
        whole(&value).map(Pattern::Regex)
    } else {
        Some(Pattern::Exact(value))
    }
}

fn action(reading: Reading<'_>, route: &AttachedRoute, rule: &Value) -> Action {
    let prefix = text(&rule["matches"][0]["path"]["value"]);
    let backends: Vec<Backend> = items(&rule["backendRefs"])
        .map(|reference| Backend {
            weight: reference["weight"].as_u64().unwrap_or(1).min(1_000_000) as u32,
            service: resolve(reading, route, reference).ok(),
            filters: filters(reading, route, &reference["filters"], &prefix),
        })
        .collect();
    let (request_timeout, backend_timeout) = timeouts(reading, route, rule);
    Action {
        filters: filters(reading, route, &rule["filters"], &prefix),
        to_parent: backends.is_empty() && reading.mesh && reading.flavor == Flavor::Linkerd,
        backends,
        request_timeout,
        backend_timeout,
        retry: rule["retry"].is_object().then(|| retry(&rule["retry"])),
    }
}

fn timeouts(
    reading: Reading<'_>,
    route: &AttachedRoute,
    rule: &Value,
) -> (Option<Duration>, Option<Duration>) {
    let read = |value: &Value| value.as_str().and_then(duration::parse);
    let request = read(&rule["timeouts"]["request"]);
    let backend = read(&rule["timeouts"]["backendRequest"]);
    if reading.flavor.backend_timeout_replaces() {
        return (backend.or(request), None);
    }
    if reading.flavor == Flavor::Linkerd {
        // This release reads the field of its own kind only; annotations win over it.
        let own = route.kind == RouteKind::LinkerdHttp;
        let (annotated, response) = annotated_timeouts(&route.object);
        return (
            annotated.or(request.filter(|_| own)),
            response.or(backend.filter(|_| own)),
        );
    }
    (request, backend)
}

/// Linkerd's timeouts of a route or Service: of the whole exchange, and until a response begins.
/// `timeout.linkerd.io/idle` is not among them: it ends streams that say nothing.
pub fn annotated_timeouts(object: &Value) -> (Option<Duration>, Option<Duration>) {
    let annotations = &object["metadata"]["annotations"];
    let read = |name: &str| {
        let text = annotations[format!("timeout.linkerd.io/{name}")].as_str()?;
        duration::of_linkerd(text)
    };
    (read("request"), read("response"))
}

fn retry(object: &Value) -> Retry {
    let backoff = object["backoff"].as_str().and_then(duration::parse);
    Retry {
        attempts: object["attempts"].as_u64().unwrap_or(1).min(10) as u32,
        codes: items(&object["codes"]).filter_map(port).collect(),
        backoff: backoff.unwrap_or(Duration::from_millis(25)),
    }
}

fn filters(reading: Reading<'_>, route: &AttachedRoute, list: &Value, prefix: &str) -> Filters {
    let mut filters = Filters::default();
    for filter in items(list) {
        match filter["type"].as_str() {
            Some("RequestHeaderModifier") => {
                filters.request_headers = header_edits(&filter["requestHeaderModifier"]);
            }
            Some("ResponseHeaderModifier") => {
                filters.response_headers = header_edits(&filter["responseHeaderModifier"]);
            }
            Some("URLRewrite") => {
                let rewrite = &filter["urlRewrite"];
                filters.host = rewrite["hostname"].as_str().map(str::to_owned);
                filters.path = path_modifier(&rewrite["path"], prefix);
            }
            Some("RequestRedirect") => {
                let redirect = &filter["requestRedirect"];
                filters.redirect = Some(Redirect {
                    scheme: redirect["scheme"].as_str().map(str::to_owned),
                    hostname: redirect["hostname"].as_str().map(str::to_owned),
                    port: port(&redirect["port"]),
                    path: path_modifier(&redirect["path"], prefix),
                    status: port(&redirect["statusCode"]).unwrap_or(302),
                });
            }
            Some("RequestMirror") => {
                let mirror = &filter["requestMirror"];
                // A mirror that does not resolve is dropped; `status` tells of it.
                if let Ok(to) = resolve(reading, route, &mirror["backendRef"]) {
                    filters.mirrors.push(Mirror {
                        to,
                        share: share(mirror),
                    });
                }
            }
            _ => filters.unsupported = true,
        }
    }
    filters
}

fn share(mirror: &Value) -> (u32, u32) {
    let number = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
    match (
        number(&mirror["percent"]),
        number(&mirror["fraction"]["numerator"]),
    ) {
        (Some(percent), _) => (percent, 100),
        (None, Some(part)) => (
            part,
            number(&mirror["fraction"]["denominator"]).unwrap_or(100),
        ),
        (None, None) => (100, 100),
    }
}

fn header_edits(modifier: &Value) -> HeaderEdits {
    let pairs = |field: &str| {
        items(&modifier[field])
            .map(|e| (text(&e["name"]), text(&e["value"])))
            .collect()
    };
    HeaderEdits {
        set: pairs("set"),
        add: pairs("add"),
        remove: items(&modifier["remove"]).map(text).collect(),
    }
}

fn path_modifier(path: &Value, prefix: &str) -> Option<PathModifier> {
    match path["type"].as_str()? {
        "ReplaceFullPath" => Some(PathModifier::ReplaceFullPath(text(
            &path["replaceFullPath"],
        ))),
        "ReplacePrefixMatch" => Some(PathModifier::ReplacePrefixMatch {
            prefix: prefix.to_owned(),
            replacement: text(&path["replacePrefixMatch"]),
        }),
        _ => None,
    }
}

/// Why a backend reference does not resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// Neither a Service nor anything else that is known here.
    Kind,
    /// In another namespace without a ReferenceGrant.
    NotPermitted(ObjectRef),
    /// There is no such Service.
    NotFound(ObjectRef),
    /// The Service has no such port.
    NoPort(ObjectRef, u64),
}

/// The Service and port of a backend reference.
pub fn resolve(
    reading: Reading<'_>,
    route: &AttachedRoute,
    reference: &Value,
) -> Result<(ObjectRef, u16), Unresolved> {
    let group = reference["group"].as_str().unwrap_or("");
    let core = group.is_empty() || (group == "core" && reading.flavor == Flavor::Linkerd);
    if !core || reference["kind"].as_str().unwrap_or("Service") != "Service" {
        return Err(Unresolved::Kind);
    }
    let own = route.key.namespace.as_str();
    let namespace = reference["namespace"].as_str().unwrap_or(own);
    let name = reference["name"].as_str().unwrap_or("");
    let service = ObjectRef::new(namespace, name);
    let from = Party {
        group: GROUP,
        kind: route.kind.name(),
        namespace: own,
    };
    let to = Party {
        group: "",
        kind: "Service",
        namespace,
    };
    if !reading.mesh && !grant::allows(reading.store, from, to, name) {
        return Err(Unresolved::NotPermitted(service));
    }
    let Some(object) = reading.store.get(&Key::new("services", namespace, name)) else {
        return Err(Unresolved::NotFound(service));
    };
    let number = reference["port"].as_u64().unwrap_or(0);
    let known = items(&object["spec"]["ports"]).any(|p| p["port"] == number);
    match u16::try_from(number) {
        Ok(port) if known => Ok((service, port)),
        _ => Err(Unresolved::NoPort(service, number)),
    }
}
