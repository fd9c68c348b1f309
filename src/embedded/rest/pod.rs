//! What leads into a pod: logs, proxying, and what the embedded cluster has no pods for.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Reply, Request, State, Target, existing};
use crate::embedded::list::items;
use crate::embedded::percent;
use crate::embedded::routing::compile;
use crate::embedded::status::ApiError;

/// Pod logs asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRequest {
    /// The pod's uid.
    pub pod: String,
    /// Stay and send what comes.
    pub follow: bool,
    /// Only the last lines.
    pub tail: Option<usize>,
    /// Each line with its time in front.
    pub timestamps: bool,
    /// Only lines of the last seconds.
    pub since_seconds: Option<i64>,
}

/// A request to pass on.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyRequest {
    /// Where its pods listen; at least one.
    pub endpoints: Vec<SocketAddr>,
    /// The path to ask for, with its slash.
    pub path: String,
}

/// `GET …/pods/NAME/log`.
pub fn log(
    state: &State,
    request: &Request,
    target: &Target,
    name: &str,
) -> Result<Reply, ApiError> {
    let pod = existing(state, target, name)?;
    let containers: Vec<&str> = items(&pod["spec"]["containers"])
        .filter_map(|c| c["name"].as_str())
        .collect();
    let asked = request.parameter("container");
    let container = match (asked, containers.as_slice()) {
        ("", [only]) => *only,
        ("", many) => {
            return Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                many.join(" ")
            )));
        }
        (asked, many) if many.contains(&asked) => asked,
        (asked, _) => {
            return Err(ApiError::bad_request(format!(
                "container {asked} is not valid for pod {name}"
            )));
        }
    };
    if request.flag("previous") {
        return Err(ApiError::bad_request(format!(
            "previous terminated container \"{container}\" in pod \"{name}\" not found"
        )));
    }
    let statuses = pod["status"]["containerStatuses"].as_array();
    let status = statuses
        .into_iter()
        .flatten()
        .find(|s| s["name"] == container);
    let waiting = status.map_or(Some("ContainerCreating"), |s| {
        s["state"]["waiting"]["reason"].as_str()
    });
    if let Some(reason) = waiting {
        let why = match reason {
            "ImagePullBackOff" | "ErrImagePull" => "trying and failing to pull image".to_owned(),
            other => other.to_owned(),
        };
        return Err(ApiError::bad_request(format!(
            "container \"{container}\" in pod \"{name}\" is waiting to start: {why}"
        )));
    }
    Ok(Reply::Log(LogRequest {
        pod: pod["metadata"]["uid"].as_str().unwrap_or("").to_owned(),
        follow: request.flag("follow"),
        tail: request.parameter("tailLines").parse().ok(),
        timestamps: request.flag("timestamps"),
        since_seconds: request.parameter("sinceSeconds").parse().ok(),
    }))
}

/// `exec`, `attach`, `portforward` and `ephemeralcontainers` (`kubectl debug`): there is no process and no network of a pod's own to enter.
pub fn connect(state: &State, target: &Target, name: &str) -> Result<Reply, ApiError> {
    existing(state, target, name)?;
    let what = target.subresource.as_deref().unwrap_or("");
    let instead = if what == "portforward" {
        "reach a Service by its Gateway, or by the mesh proxy (FOOTLIGHTS_MESH_PROXY in a show; \
         footlights cluster prints it)"
    } else {
        "its workloads run in one process, and kubectl logs shows what they say"
    };
    Err(ApiError::not_implemented(format!(
        "the embedded cluster has no {what}: {instead}"
    )))
}

/// `…/proxy/PATH` of a Service or pod. A name is `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
pub fn proxy(
    state: &State,
    request: &Request,
    target: &Target,
    name: &str,
) -> Result<Reply, ApiError> {
    let parts: Vec<&str> = name.split(':').collect();
    let (name, port) = match parts[..] {
        [name] => (name, ""),
        [name, port] => (name, port),
        ["http" | "", name, port] => (name, port),
        _ => {
            return Err(ApiError::bad_request(format!(
                "invalid {} request \"{name}\"",
                target.resource.singular
            )));
        }
    };
    let object = existing(state, target, name)?;
    let endpoints = if target.resource.plural == "services" {
        service_endpoints(state, &object, port)
    } else {
        let port = match (port, port.parse::<u16>()) {
            // The first that a container names.
            ("", _) => items(&object["spec"]["containers"])
                .find_map(|c| c["ports"].get(0))
                .map_or(Value::Null, |p| p["containerPort"].clone()),
            (_, Ok(number)) => json!(number),
            (name, Err(_)) => json!(name),
        };
        compile::address(&object, &port).into_iter().collect()
    };
    if endpoints.is_empty() {
        let what = &target.resource.singular;
        return Err(ApiError::unavailable(format!(
            "no endpoints available for {what} \"{name}\""
        )));
    }
    let trailing = if request.path.ends_with('/') && !target.rest.is_empty() {
        "/"
    } else {
        ""
    };
    let query: Vec<String> = request
        .query
        .iter()
        .map(|(k, v)| format!("{}={}", encode(k), encode(v)))
        .collect();
    let query = match query.as_slice() {
        [] => String::new(),
        pairs => format!("?{}", pairs.join("&")),
    };
    Ok(Reply::Proxy(ProxyRequest {
        endpoints,
        path: format!("/{}{trailing}{query}", target.rest),
    }))
}

fn service_endpoints(state: &State, service: &Value, port: &str) -> Vec<SocketAddr> {
    let ports = service["spec"]["ports"].as_array();
    let found = ports
        .into_iter()
        .flatten()
        .find(|p| port.is_empty() || p["name"] == port || p["port"].as_u64() == port.parse().ok());
    found.map_or_else(Vec::new, |p| compile::endpoints(&state.store, service, p))
}

/// A query's name or value.
fn encode(text: &str) -> String {
    percent::encode(text, |b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
}
