//! Defaults and validation of objects before they are stored, by kind. Pure.
//!
//! The Gateway API's defaults and rules are those of GATEWAY.md sections 2 and 3.

use serde_json::{Value, json};

use super::resource::Resource;
use super::status::{ApiError, FieldError};

/// Replicas of one workload; each is a listener in this process.
const MOST_REPLICAS: u64 = 200;

/// Checks an object's shape, fills in what the API server fills in, and refuses what it refuses.
pub fn admit(resource: &Resource, object: &mut Value) -> Result<(), ApiError> {
    check_shape(resource, object)?;
    default(resource, object);
    validate(resource, object)
}

/// Fills in what the API server fills in for a kind. The shape has been checked.
pub fn default(resource: &Resource, object: &mut Value) {
    match &*resource.id {
        "namespaces" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            if let Some(spec) = field(object, "spec") {
                set_absent(spec, "finalizers", json!(["kubernetes"]));
            }
            if let Some(status) = field(object, "status") {
                set_absent(status, "phase", json!("Active"));
            }
        }
        "services" => default_service(object),
        "pods" => default_pod_spec(&mut object["spec"]),
        "deployments.apps" | "replicasets.apps" => {
            set_absent(&mut object["spec"], "replicas", json!(1));
            default_pod_spec(&mut object["spec"]["template"]["spec"]);
        }
        "httproutes.gateway.networking.k8s.io" => default_http_route(object),
        "gateways.gateway.networking.k8s.io" => default_gateway(object),
        "gatewayclasses.gateway.networking.k8s.io" => set_absent(
            object,
            "status",
            json!({"conditions": [waiting_condition("Accepted")]}),
        ),
        _ => {}
    }
}

/// Refuses what the API server refuses for a kind.
fn validate(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    match &*resource.id {
        "deployments.apps" | "replicasets.apps" => validate_template(object, &mut causes),
        "services" => validate_service(object, &mut causes),
        "httproutes.gateway.networking.k8s.io" => validate_http_route(object, &mut causes),
        "gateways.gateway.networking.k8s.io" => validate_gateway(object, &mut causes),
        _ => {}
    }
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    if !is_dns_subdomain(name) {
        causes.push(FieldError::invalid(
            "metadata.name",
            &json!(name),
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character",
        ));
    }
    refuse(resource, name, &causes)
}

fn is_dns_subdomain(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=253).contains(&name.len())
        && name.starts_with(fine)
        && name.ends_with(fine)
        && name.chars().all(|c| fine(c) || c == '-' || c == '.')
}

/// Sets a field of an object that lacks it; anything that is no object is left to validation.
fn set_absent(object: &mut Value, field: &str, value: Value) {
    if object.is_null() {
        *object = json!({});
    }
    if let Some(fields) = object.as_object_mut() {
        let entry = fields.entry(field).or_insert(Value::Null);
        if entry.is_null() {
            *entry = value;
        }
    }
}

/// A field to go on into; `Null` is put where it is not.
fn field<'a>(object: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let fields = object.as_object_mut()?;
    Some(fields.entry(name).or_insert(Value::Null))
}

/// Refuses objects whose parts have the wrong type, before anything looks into them.
fn check_shape(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    /// Fields of every kind that are objects, or absent.
    const OBJECTS: [&str; 7] = [
        "/metadata",
        "/metadata/labels",
        "/metadata/annotations",
        "/spec",
        "/spec/template",
        "/spec/template/metadata",
        "/spec/template/spec",
    ];
    /// Lists whose items are objects, at any depth.
    const LISTS: [&str; 14] = [
        "parentRefs",
        "rules",
        "matches",
        "headers",
        "queryParams",
        "filters",
        "backendRefs",
        "listeners",
        "ports",
        "containers",
        "initContainers",
        "env",
        "volumes",
        "ownerReferences",
    ];
    /// Objects at any depth below `spec`.
    const PARTS: [&str; 8] = [
        "path",
        "allowedRoutes",
        "namespaces",
        "requestRedirect",
        "urlRewrite",
        "selector",
        "matchLabels",
        "timeouts",
    ];
    fn walk(at: &str, value: &Value, causes: &mut Vec<FieldError>) {
        for (name, inner) in value.as_object().into_iter().flatten() {
            let here = if at.is_empty() {
                name.clone()
            } else {
                format!("{at}.{name}")
            };
            let wrong = if LISTS.contains(&name.as_str()) {
                !inner.is_null()
                    && !inner
                        .as_array()
                        .is_some_and(|l| l.iter().all(Value::is_object))
            } else {
                PARTS.contains(&name.as_str()) && !inner.is_null() && !inner.is_object()
            };
            if wrong {
                let what = if LISTS.contains(&name.as_str()) {
                    "a list of objects"
                } else {
                    "an object"
                };
                causes.push(FieldError::invalid(here, inner, &format!("must be {what}")));
                continue;
            }
            walk(&here, inner, causes);
            for (index, item) in inner.as_array().into_iter().flatten().enumerate() {
                walk(&format!("{here}[{index}]"), item, causes);
            }
        }
    }
    let mut causes = Vec::new();
    for pointer in OBJECTS {
        let value = object.pointer(pointer).unwrap_or(&Value::Null);
        if !value.is_null() && !value.is_object() {
            let name = pointer[1..].replace('/', ".");
            causes.push(FieldError::invalid(name, value, "must be an object"));
        }
    }
    let labels = object
        .pointer("/spec/template/metadata/labels")
        .unwrap_or(&Value::Null);
    if !labels.is_null() && !labels.is_object() {
        causes.push(FieldError::invalid(
            "spec.template.metadata.labels",
            labels,
            "must be an object",
        ));
    }
    if resource.id.ends_with("gateway.networking.k8s.io")
        || ["services", "pods", "deployments.apps", "replicasets.apps"].contains(&&*resource.id)
    {
        walk("spec", &object["spec"], &mut causes);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    refuse(resource, name, &causes)
}

fn refuse(resource: &Resource, name: &str, causes: &[FieldError]) -> Result<(), ApiError> {
    if causes.is_empty() {
        return Ok(());
    }
    let kind = if resource.group.is_empty() {
        resource.kind.clone()
    } else {
        format!("{}.{}", resource.kind, resource.group)
    };
    Err(ApiError::invalid(&kind, name, causes))
}

fn each<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    object
        .get_mut(field)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

fn default_service(object: &mut Value) {
    let spec = &mut object["spec"];
    set_absent(spec, "type", json!("ClusterIP"));
    set_absent(spec, "sessionAffinity", json!("None"));
    for port in each(spec, "ports") {
        set_absent(port, "protocol", json!("TCP"));
        if port["targetPort"].is_null() {
            port["targetPort"] = port["port"].clone();
        }
    }
}

fn default_pod_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    set_absent(spec, "restartPolicy", json!("Always"));
    set_absent(spec, "terminationGracePeriodSeconds", json!(30));
    for container in each(spec, "containers") {
        for port in each(container, "ports") {
            set_absent(port, "protocol", json!("TCP"));
        }
    }
}

fn default_http_route(object: &mut Value) {
    const ROOT: fn() -> Value = || json!({"type": "PathPrefix", "value": "/"});
    let spec = &mut object["spec"];
    for parent in each(spec, "parentRefs") {
        set_absent(parent, "group", json!("gateway.networking.k8s.io"));
        set_absent(parent, "kind", json!("Gateway"));
    }
    set_absent(spec, "rules", json!([{}]));
    for rule in each(spec, "rules") {
        set_absent(rule, "matches", json!([{}]));
        for matched in each(rule, "matches") {
            set_absent(matched, "path", ROOT());
            set_absent(&mut matched["path"], "type", json!("PathPrefix"));
            set_absent(&mut matched["path"], "value", json!("/"));
            for field in ["headers", "queryParams"] {
                for value in each(matched, field) {
                    set_absent(value, "type", json!("Exact"));
                }
            }
        }
        for filter in each(rule, "filters") {
            if filter["requestRedirect"].is_object() {
                set_absent(&mut filter["requestRedirect"], "statusCode", json!(302));
            }
        }
        for backend in each(rule, "backendRefs") {
            set_absent(backend, "group", json!(""));
            set_absent(backend, "kind", json!("Service"));
            set_absent(backend, "weight", json!(1));
        }
    }
}

fn default_gateway(object: &mut Value) {
    for listener in each(&mut object["spec"], "listeners") {
        if listener["allowedRoutes"]["namespaces"]["from"].is_null() {
            listener["allowedRoutes"]["namespaces"]["from"] = json!("Same");
        }
    }
    let waiting = [
        waiting_condition("Accepted"),
        waiting_condition("Programmed"),
    ];
    set_absent(object, "status", json!({"conditions": waiting}));
}

fn waiting_condition(kind: &str) -> Value {
    json!({"type": kind, "status": "Unknown", "reason": "Pending",
           "message": "Waiting for controller", "lastTransitionTime": "1970-01-01T00:00:00Z"})
}

fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (usize, &'a Value)> + use<'a> {
    object[field].as_array().into_iter().flatten().enumerate()
}

fn validate_template(object: &Value, causes: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let labels = &spec["template"]["metadata"]["labels"];
    let selector = &spec["selector"]["matchLabels"];
    if !selector.is_object() {
        causes.push(FieldError::required("spec.selector", ""));
    } else if selector
        .as_object()
        .into_iter()
        .flatten()
        .any(|(k, v)| &labels[k] != v)
    {
        causes.push(FieldError::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    if list(&spec["template"]["spec"], "containers").count() == 0 {
        causes.push(FieldError::required("spec.template.spec.containers", ""));
    }
    for (i, container) in list(&spec["template"]["spec"], "containers") {
        if container["image"].as_str().unwrap_or("").is_empty() {
            let field = format!("spec.template.spec.containers[{i}].image");
            causes.push(FieldError::required(field, ""));
        }
    }
    if spec["replicas"].as_u64().is_some_and(|n| n > MOST_REPLICAS) {
        causes.push(FieldError::invalid(
            "spec.replicas",
            &spec["replicas"],
            &format!(
                "the embedded cluster runs its pods in one process: {MOST_REPLICAS} at the most"
            ),
        ));
    }
    if spec["replicas"].as_i64().is_none_or(|n| n < 0) {
        causes.push(FieldError::invalid(
            "spec.replicas",
            &spec["replicas"],
            "must be greater than or equal to 0",
        ));
    }
}

fn validate_service(object: &Value, causes: &mut Vec<FieldError>) {
    for (i, port) in list(&object["spec"], "ports") {
        check_port(port, "port", &format!("spec.ports[{i}]"), causes);
    }
}

fn check_port(object: &Value, field: &str, at: &str, causes: &mut Vec<FieldError>) {
    if !object[field]
        .as_u64()
        .is_some_and(|p| (1..=65535).contains(&p))
    {
        causes.push(FieldError::invalid(
            format!("{at}.{field}"),
            &object[field],
            "must be between 1 and 65535, inclusive",
        ));
    }
}

fn validate_gateway(object: &Value, causes: &mut Vec<FieldError>) {
    if object["spec"]["gatewayClassName"]
        .as_str()
        .unwrap_or("")
        .is_empty()
    {
        causes.push(FieldError::required("spec.gatewayClassName", ""));
    }
    if list(&object["spec"], "listeners").count() == 0 {
        causes.push(FieldError::required("spec.listeners", ""));
    }
    for (i, listener) in list(&object["spec"], "listeners") {
        check_port(listener, "port", &format!("spec.listeners[{i}]"), causes);
    }
}

fn validate_http_route(object: &Value, causes: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    for (i, rule) in list(spec, "rules") {
        let at = format!("spec.rules[{i}]");
        for (j, matched) in list(rule, "matches") {
            validate_path(&matched["path"], &format!("{at}.matches[{j}].path"), causes);
        }
        for (j, backend) in list(rule, "backendRefs") {
            validate_backend(backend, &format!("{at}.backendRefs[{j}]"), causes);
        }
        for name in ["request", "backendRequest"] {
            let timeout = &rule["timeouts"][name];
            if timeout.is_null() {
                continue;
            }
            if timeout
                .as_str()
                .and_then(super::routing::duration::parse)
                .is_none()
            {
                causes.push(FieldError::invalid(
                    format!("{at}.timeouts.{name}"),
                    timeout,
                    "should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'",
                ));
            }
        }
        validate_filters(rule, &at, causes);
    }
}

fn validate_path(path: &Value, at: &str, causes: &mut Vec<FieldError>) {
    let kind = path["type"].as_str().unwrap_or("");
    if !["Exact", "PathPrefix", "RegularExpression"].contains(&kind) {
        causes.push(FieldError {
            field: format!("{at}.type"),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {}: supported values: \"Exact\", \"PathPrefix\", \"RegularExpression\"",
                path["type"]
            ),
        });
        return;
    }
    let value = path["value"].as_str().unwrap_or("");
    if kind != "RegularExpression" && !value.starts_with('/') {
        causes.push(FieldError::invalid(
            at,
            path,
            "value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']",
        ));
    }
    if kind != "RegularExpression" && value.contains("//") {
        causes.push(FieldError::invalid(
            at,
            path,
            "must not contain '//' when type one of ['Exact', 'PathPrefix']",
        ));
    }
}

fn validate_backend(backend: &Value, at: &str, causes: &mut Vec<FieldError>) {
    let weight = &backend["weight"];
    if !weight
        .as_i64()
        .is_some_and(|w| (0..=1_000_000).contains(&w))
    {
        causes.push(FieldError::invalid(
            format!("{at}.weight"),
            weight,
            "should be an integer between 0 and 1000000",
        ));
    }
    if backend["group"] == "" && backend["kind"] == "Service" && backend["port"].is_null() {
        causes.push(FieldError::invalid(
            at,
            backend,
            "Must have port for Service reference",
        ));
    }
}

fn validate_filters(rule: &Value, at: &str, causes: &mut Vec<FieldError>) {
    let replaces_prefix = list(rule, "filters").any(|(_, filter)| {
        ["urlRewrite", "requestRedirect"]
            .iter()
            .any(|kind| filter[*kind]["path"]["type"] == "ReplacePrefixMatch")
    });
    let one_prefix =
        list(rule, "matches").count() == 1 && rule["matches"][0]["path"]["type"] == "PathPrefix";
    if replaces_prefix && !one_prefix {
        causes.push(FieldError::invalid(
            at,
            &rule["matches"],
            "When using ReplacePrefixMatch, exactly one PathPrefix match must be specified",
        ));
    }
    for (i, filter) in list(rule, "filters") {
        let kind = filter["type"].as_str().unwrap_or("");
        let mut member = kind.to_owned();
        if let Some(first) = member.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        let member = if kind == "URLRewrite" {
            "urlRewrite"
        } else {
            &member
        };
        if kind.is_empty() || filter[member].is_null() {
            causes.push(FieldError::invalid(
                format!("{at}.filters[{i}]"),
                filter,
                &format!("filter.{member} must be specified for {kind} filter.type"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::resource::Registry;

    fn admit(kind: &str, mut object: Value) -> Result<Value, ApiError> {
        let registry = Registry::new();
        let resource = registry.iter().find(|r| r.kind == kind).unwrap();
        super::admit(resource, &mut object)?;
        Ok(object)
    }

    #[test]
    fn a_route_is_defaulted_as_the_crd_does() {
        let route = admit(
            "HTTPRoute",
            json!({"metadata": {"name": "r"}, "spec": {
            "parentRefs": [{"name": "ingress"}],
            "rules": [{"matches": [{"headers": [{"name": "a", "value": "b"}]}],
                       "backendRefs": [{"name": "s", "port": 80}]}]}}),
        )
        .unwrap();
        let rule = &route["spec"]["rules"][0];
        assert_eq!(
            rule["matches"][0]["path"],
            json!({"type": "PathPrefix", "value": "/"})
        );
        assert_eq!(rule["matches"][0]["headers"][0]["type"], "Exact");
        assert_eq!(rule["backendRefs"][0]["weight"], 1);
        assert_eq!(route["spec"]["parentRefs"][0]["kind"], "Gateway");
        let bare = admit("HTTPRoute", json!({"metadata": {"name": "r"}, "spec": {}})).unwrap();
        assert_eq!(bare["spec"]["rules"][0]["matches"][0]["path"]["value"], "/");
    }

    #[test]
    fn what_a_real_server_refuses_is_refused_with_the_field() {
        let rule = |rule: Value| json!({"metadata": {"name": "r"}, "spec": {"rules": [rule]}});
        for (route, field) in [
            (
                rule(json!({"backendRefs": [{"name": "s"}]})),
                "backendRefs[0]",
            ),
            (
                rule(json!({"backendRefs": [{"name": "s", "port": 1, "weight": -1}]})),
                "weight",
            ),
            (rule(json!({"matches": [{"path": {"value": "x"}}]})), "path"),
            (
                rule(json!({"matches": [{"path": {"type": "Foo", "value": "/"}}]})),
                "path.type",
            ),
            (
                rule(json!({"timeouts": {"request": "1.5s"}})),
                "timeouts.request",
            ),
            (
                rule(json!({"filters": [{"type": "URLRewrite"}]})),
                "filters[0]",
            ),
            (
                json!({"metadata": {"name": "Bad_Name"}, "spec": {}}),
                "metadata.name",
            ),
            (rule(json!({"matches": ["/smiley"]})), "matches"),
            (
                rule(
                    json!({"matches": [{}, {}], "filters": [{"type": "URLRewrite", "urlRewrite":
                    {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}]}),
                ),
                "ReplacePrefixMatch",
            ),
        ] {
            let error = admit("HTTPRoute", route.clone()).unwrap_err();
            assert_eq!(error.code, 422);
            assert!(error.message.contains(field), "{}: {route}", error.message);
        }
    }
}
