//! Label and field selectors of list, watch and delete-collection requests. Pure.

use crate::embedded::list::items;
use serde_json::Value;

use super::resource::Resource;
use super::status::ApiError;

/// One requirement on a label or field.
#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// A conjunction of requirements; empty selects everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

impl Selector {
    /// Parses the two query parameters.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, ApiError> {
        Ok(Selector {
            labels: parse_list(labels)?,
            fields: parse_list(fields)?,
        })
    }

    /// Refuses fields that a kind cannot be selected by.
    pub fn check_fields(&self, resource: &Resource) -> Result<(), ApiError> {
        const EVERY: [&str; 2] = ["metadata.name", "metadata.namespace"];
        let own: &[&str] = match &*resource.id {
            "pods" => &[
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "spec.hostNetwork",
                "status.phase",
                "status.podIP",
                "status.nominatedNodeName",
            ],
            "events" => &[
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "source",
                "type",
            ],
            "namespaces" => &["status.phase"],
            "nodes" => &["spec.unschedulable"],
            "replicasets.apps" => &["status.replicas"],
            "secrets" => &["type"],
            "services" => &["spec.clusterIP", "spec.type"],
            _ => &[],
        };
        let unknown = self
            .fields
            .iter()
            .map(Requirement::key)
            .find(|key| !EVERY.contains(key) && !own.contains(key));
        match unknown {
            None => Ok(()),
            Some(key) => Err(ApiError::bad_request(format!(
                "field label not supported: {key}"
            ))),
        }
    }

    /// Selects the object of this name only.
    pub fn only_name(&mut self, name: &str) {
        let key = "metadata.name".to_owned();
        self.fields
            .push(Requirement::In(key, vec![name.to_owned()]));
    }

    /// True if the object fits.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| {
            object["metadata"]["labels"][key]
                .as_str()
                .map(str::to_owned)
        };
        let field = |path: &str| {
            let pointer = format!("/{}", path.replace('.', "/"));
            match object.pointer(&pointer) {
                Some(Value::String(s)) => Some(s.clone()),
                Some(other) if !other.is_null() => Some(other.to_string()),
                _ => Some(String::new()),
            }
        };
        self.labels.iter().all(|r| r.holds(label)) && self.fields.iter().all(|r| r.holds(field))
    }
}

impl Requirement {
    fn key(&self) -> &str {
        match self {
            Requirement::In(key, _)
            | Requirement::NotIn(key, _)
            | Requirement::Exists(key)
            | Requirement::Missing(key) => key,
        }
    }

    fn holds(&self, value_of: impl Fn(&str) -> Option<String>) -> bool {
        match self {
            Requirement::In(key, values) => value_of(key).is_some_and(|v| values.contains(&v)),
            Requirement::NotIn(key, values) => value_of(key).is_none_or(|v| !values.contains(&v)),
            Requirement::Exists(key) => value_of(key).is_some(),
            Requirement::Missing(key) => value_of(key).is_none(),
        }
    }
}

/// True if an object's labels fit a `LabelSelector`: `matchLabels` and `matchExpressions`. A
/// selector that says nothing selects everything.
pub fn label_selector_fits(selector: &Value, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = items(&selector["matchExpressions"]);
    let fits = |expression: &Value| {
        let key = expression["key"].as_str().unwrap_or("");
        let value = &labels[key];
        let listed = expression["values"]
            .as_array()
            .is_some_and(|v| v.contains(value));
        match expression["operator"].as_str() {
            Some("In") => listed,
            Some("NotIn") => !listed,
            Some("Exists") => value.is_string(),
            Some("DoesNotExist") => !value.is_string(),
            _ => false,
        }
    };
    pairs.into_iter().all(|(key, value)| labels[key] == *value) && expressions.all(fits)
}

fn parse_list(text: &str) -> Result<Vec<Requirement>, ApiError> {
    let mut requirements = Vec::new();
    let mut depth = 0;
    let mut term = String::new();
    for c in text.chars().chain([',']) {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            if !term.trim().is_empty() {
                requirements.push(parse_term(term.trim())?);
            }
            term.clear();
        } else {
            term.push(c);
        }
    }
    if depth != 0 {
        return Err(unparsable(text));
    }
    Ok(requirements)
}

fn parse_term(term: &str) -> Result<Requirement, ApiError> {
    let one = |key: &str, value: &str| (key.trim().to_owned(), vec![value.trim().to_owned()]);
    if let Some((key, value)) = term.split_once("!=") {
        let (key, values) = one(key, value);
        return Ok(Requirement::NotIn(key, values));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        let (key, values) = one(key, value);
        return Ok(Requirement::In(key, values));
    }
    if let Some(open) = term.find('(') {
        let values = term[open + 1..]
            .trim_end_matches(')')
            .split(',')
            .map(|v| v.trim().to_owned())
            .collect();
        return match term[..open].split_whitespace().collect::<Vec<_>>()[..] {
            [key, "in"] => Ok(Requirement::In(key.to_owned(), values)),
            [key, "notin"] => Ok(Requirement::NotIn(key.to_owned(), values)),
            _ => Err(unparsable(term)),
        };
    }
    match term.strip_prefix('!') {
        Some(key) => Ok(Requirement::Missing(key.trim().to_owned())),
        None if term.contains(char::is_whitespace) => Err(unparsable(term)),
        None => Ok(Requirement::Exists(term.to_owned())),
    }
}

fn unparsable(text: &str) -> ApiError {
    ApiError::bad_request(format!("unable to parse requirement: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select() {
        let pod = json!({"metadata": {"name": "p", "labels": {"app": "a", "tier": "x"}},
                         "status": {"phase": "Running"}});
        for (labels, fields, selected) in [
            ("", "", true),
            ("app=a", "", true),
            ("app==a,tier!=y", "", true),
            ("app in (a, b)", "metadata.name=p", true),
            ("app notin (a,b)", "", false),
            ("tier,!nope", "status.phase=Running", true),
            ("nope", "", false),
            ("", "status.phase!=Running", false),
            ("", "metadata.name=q", false),
        ] {
            let selector = Selector::parse(labels, fields).unwrap();
            assert_eq!(selector.matches(&pod), selected, "{labels} {fields}");
        }
        assert!(Selector::parse("a b", "").is_err());
        assert!(Selector::parse("a in (b", "").is_err());
    }
}
