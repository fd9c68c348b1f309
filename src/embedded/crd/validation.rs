//! What is checked of a CustomResourceDefinition: names, schemas, and the cost of its rules.

use kube_cel::cel::Program;
use kube_cel::{AnalysisWarning, WarningKind, compile_schema, estimate_rule_cost};
use serde_json::{Value, json};

use super::cost::Cost;
use crate::embedded::list::items;
use crate::embedded::schema::Schema;
use crate::embedded::status::FieldError;

/// Groups whose kinds are Kubernetes' own.
const BUILT_IN_GROUPS: [&str; 8] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apps",
    "authorization.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "rbac.authorization.k8s.io",
];

/// What is wrong with a CRD; empty if it can be served.
pub fn validate(crd: &Value) -> Vec<FieldError> {
    let mut causes = Vec::new();
    let spec = &crd["spec"];
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    for (field, value) in [
        ("spec.group", &spec["group"]),
        ("spec.scope", &spec["scope"]),
        ("spec.names.plural", &spec["names"]["plural"]),
        ("spec.names.kind", &spec["names"]["kind"]),
    ] {
        if text(value).is_empty() {
            causes.push(FieldError::required(field, ""));
        }
    }
    let name = text(&crd["metadata"]["name"]);
    if name != format!("{plural}.{group}") {
        causes.push(FieldError::invalid(
            "metadata.name",
            &json!(name),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    if !["Namespaced", "Cluster"].contains(&text(&spec["scope"]).as_str()) {
        causes.push(FieldError::not_supported(
            "spec.scope",
            &spec["scope"],
            &["Cluster", "Namespaced"],
        ));
    }
    if BUILT_IN_GROUPS.contains(&group.as_str()) {
        causes.push(FieldError::invalid(
            "spec.group",
            &json!(group),
            "this group is built in",
        ));
    }
    if spec["conversion"]["strategy"] == "Webhook" {
        causes.push(FieldError::invalid(
            "spec.conversion.strategy",
            &json!("Webhook"),
            "the embedded cluster calls no webhooks",
        ));
    }
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        causes.push(FieldError::invalid(
            "spec.versions",
            &spec["versions"],
            "must have exactly one version marked as storage version",
        ));
    }
    for (index, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{index}]");
        let scale = &version["subresources"]["scale"];
        for (field, root) in [
            ("specReplicasPath", ".spec."),
            ("statusReplicasPath", ".status."),
        ] {
            let path = &scale[field];
            if path.is_string() && !text(path).starts_with(root) {
                let field = format!("{at}.subresources.scale.{field}");
                let why = format!("should be a json path under {root}");
                causes.push(FieldError::invalid(field, path, &why));
            }
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        if schema.is_null() {
            let field = format!("{at}.schema.openAPIV3Schema");
            causes.push(FieldError::required(field, "schemas are required"));
            continue;
        }
        if let Err(error) = Schema::of_crd(schema) {
            let (below, why) = (error.at, error.why);
            let field = format!("{at}.schema.{below}");
            causes.push(FieldError {
                field,
                reason: "FieldValueInvalid",
                message: format!("Invalid value: {why}"),
            });
        }
        let mut rules = Vec::new();
        collect_rules(schema, &format!("{at}.schema.openAPIV3Schema"), &mut rules);
        for Found {
            field,
            rule,
            schema,
        } in rules
        {
            if rule.len() > MOST_LENGTH {
                let why = "estimated rule cost exceeds the budget: it is longer than 3000 bytes";
                causes.push(FieldError::invalid(field, &json!("CEL rule"), why));
                continue;
            }
            match Program::compile(rule) {
                Err(error) => {
                    let why = format!("compilation failed: {error}");
                    causes.push(FieldError::invalid(field, &json!(rule), &why));
                }
                Ok(program) => {
                    if let Some(why) = too_costly(&program, rule, schema) {
                        let why = format!("estimated rule cost exceeds the budget: {why}");
                        causes.push(FieldError::invalid(field, &json!(rule), &why));
                    }
                }
            }
        }
    }
    causes
}

/// Bytes that a rule may have.
const MOST_LENGTH: usize = 3_000;

/// A rule that could take longer than a cluster may stand still. A real server estimates a cost too.
fn too_costly(program: &Program, rule: &str, schema: &Value) -> Option<&'static str> {
    let exceeds = || {
        let warnings = estimate_rule_cost(rule, &compile_schema(schema));
        let exceeded = |w: &AnalysisWarning| matches!(w.kind, WarningKind::CostExceeded);
        warnings.iter().any(exceeded)
    };
    if rule.contains("lists.range") {
        return Some("lists.range is not evaluated here");
    }
    match Cost::of(program).loops {
        3.. => Some("more than two loops in each other"),
        2 if exceeds() => Some("add maxItems to the lists that it goes through"),
        _ => None,
    }
}

/// A rule, where it stands, and what it is about.
struct Found<'a> {
    field: String,
    rule: &'a str,
    schema: &'a Value,
}

/// All CEL rules of a schema.
fn collect_rules<'a>(schema: &'a Value, at: &str, rules: &mut Vec<Found<'a>>) {
    for (index, entry) in items(&schema["x-kubernetes-validations"]).enumerate() {
        rules.push(Found {
            field: format!("{at}.x-kubernetes-validations[{index}].rule"),
            rule: entry["rule"].as_str().unwrap_or(""),
            schema,
        });
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect_rules(property, &format!("{at}.properties[{name}]"), rules);
    }
    for field in ["items", "additionalProperties"] {
        if schema[field].is_object() {
            collect_rules(&schema[field], &format!("{at}.{field}"), rules);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_a_cluster_would_stand_still_for_are_refused() {
        let list = |most: Value| {
            let mut inner = json!({"type": "array", "items": {"type": "string"}});
            let mut outer = json!({"type": "array", "items": inner});
            if most.is_u64() {
                inner["maxItems"] = most.clone();
                inner["items"]["maxLength"] = json!(10);
                outer = json!({"type": "array", "items": inner, "maxItems": most});
            }
            json!({"type": "object", "properties": {"l": outer}})
        };
        const PAIRS: &str = "self.l.all(a, self.l.all(b, a == b))";
        for (rule, most, fits) in [
            ("self.l.all(a, size(a) > 0)", Value::Null, true),
            (PAIRS, Value::Null, false),
            (PAIRS, json!(8), true),
            (
                "self.l.all(a, self.l.all(b, self.l.all(c, c == a)))",
                json!(8),
                false,
            ),
            // What a search in the text would not see.
            (
                r#"self.l.all(a, self.l.all(b, ")" != "" && self.l.all (c, true)))"#,
                json!(8),
                false,
            ),
            (
                "[1].map(x, {x: self.l.exists(a, [2].exists_one(y, y == x))}) == []",
                json!(8),
                false,
            ),
        ] {
            let schema = list(most);
            let program = Program::compile(rule).unwrap();
            let why = too_costly(&program, rule, &schema);
            assert_eq!(why.is_none(), fits, "{rule}: {why:?}");
        }
    }
}
