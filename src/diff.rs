//! What changed in an object: field by field, and line by line as YAML. Pure.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::manifest;

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is new.
    Created,
    /// It was there and differs now.
    Changed,
    /// It was there and is as before.
    Unchanged,
    /// It is gone.
    Deleted,
}

impl Verb {
    /// In a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Created => "created",
            Verb::Changed => "changed",
            Verb::Unchanged => "unchanged",
            Verb::Deleted => "deleted",
        }
    }
}

/// One field's change.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// `rules[0].backendRefs[1].weight`, below `spec` without `spec.`.
    pub path: String,
    /// Before; null if it was not there.
    pub before: Value,
    /// After; null if it is gone.
    pub after: Value,
}

/// A line of the YAML diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffLine {
    /// In both.
    Same(String),
    /// Gone.
    Old(String),
    /// New.
    New(String),
    /// So many equal lines are left out.
    Skipped(usize),
}

/// A change of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `gateway.networking.k8s.io/v1`.
    pub api_version: String,
    /// `HTTPRoute`.
    pub kind: String,
    /// Empty if cluster-scoped.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What became of it.
    pub verb: Verb,
    /// Fields that changed; empty unless `verb` is `Changed`.
    pub fields: Vec<FieldChange>,
    /// The YAML, folded to what changed.
    pub lines: Vec<DiffLine>,
}

impl Change {
    /// `HTTPRoute faces/smiley-canary`.
    pub fn object(&self) -> String {
        if self.namespace.is_empty() {
            format!("{} {}", self.kind, self.name)
        } else {
            format!("{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Equal lines kept around a change.
const CONTEXT: usize = 2;

/// Compares two states of an object, leaving out what no one wrote by hand; one of them may be none.
pub fn compare(before: Option<&Value>, after: Option<&Value>) -> Option<Change> {
    let identity = after.or(before)?;
    let (old, new) = (before.map(essence), after.map(essence));
    let verb = match (&old, &new) {
        (None, _) => Verb::Created,
        (_, None) => Verb::Deleted,
        (Some(a), Some(b)) if a == b => Verb::Unchanged,
        _ => Verb::Changed,
    };
    let mut fields = Vec::new();
    if let (Verb::Changed, Some(old), Some(new)) = (verb, &old, &new) {
        collect("", old, new, &mut fields);
    }
    let (mut old, mut new) = (old, new);
    if identity["kind"] == "Secret" {
        for secret in [&mut old, &mut new].into_iter().flatten() {
            hide_values(secret);
        }
        for field in &mut fields {
            if field.path.starts_with("data") || field.path.starts_with("stringData") {
                (field.before, field.after) = (HIDDEN.into(), HIDDEN.into());
            }
        }
    }
    let yaml = |value: &Option<Value>| value.as_ref().map(manifest::to_yaml).unwrap_or_default();
    let text = |field: &Value| field.as_str().unwrap_or("").to_owned();
    Some(Change {
        api_version: text(&identity["apiVersion"]),
        kind: text(&identity["kind"]),
        namespace: text(&identity["metadata"]["namespace"]),
        name: text(&identity["metadata"]["name"]),
        verb,
        fields,
        lines: lines(&yaml(&old), &yaml(&new)),
    })
}

/// An object without status and without the metadata that the server keeps.
fn essence(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    // A Service's addresses are the server's choice; `None` is its author's.
    if object["kind"] == "Service"
        && let Some(spec) = object["spec"].as_object_mut()
        && spec.get("clusterIP").is_some_and(|ip| ip != "None")
    {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in [
            "managedFields",
            "resourceVersion",
            "uid",
            "generation",
            "creationTimestamp",
            "selfLink",
        ] {
            metadata.remove(field);
        }
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.retain(|key, _| {
                key != "kubectl.kubernetes.io/last-applied-configuration"
                    && key != "deployment.kubernetes.io/revision"
            });
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    object
}

/// What stands in place of a secret's value.
const HIDDEN: &str = "(hidden)";

/// A secret is not for an audience.
fn hide_values(secret: &mut Value) {
    for part in ["data", "stringData"] {
        let values = secret.get_mut(part).and_then(Value::as_object_mut);
        for value in values.into_iter().flat_map(|fields| fields.values_mut()) {
            *value = HIDDEN.into();
        }
    }
}

fn collect(path: &str, old: &Value, new: &Value, changes: &mut Vec<FieldChange>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
            for key in keys {
                let inner = match path {
                    "" | "spec" => key.clone(),
                    _ => format!("{path}.{key}"),
                };
                let null = Value::Null;
                collect(
                    &inner,
                    a.get(key).unwrap_or(&null),
                    b.get(key).unwrap_or(&null),
                    changes,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                let null = Value::Null;
                let inner = format!("{path}[{index}]");
                collect(
                    &inner,
                    a.get(index).unwrap_or(&null),
                    b.get(index).unwrap_or(&null),
                    changes,
                );
            }
        }
        _ if old != new => changes.push(FieldChange {
            path: path.to_owned(),
            before: old.clone(),
            after: new.clone(),
        }),
        _ => {}
    }
}

fn lines(old: &str, new: &str) -> Vec<DiffLine> {
    let diff = TextDiff::from_lines(old, new);
    let all: Vec<DiffLine> = diff
        .iter_all_changes()
        .map(|change| {
            let text = change.value().trim_end_matches('\n').to_owned();
            match change.tag() {
                ChangeTag::Equal => DiffLine::Same(text),
                ChangeTag::Delete => DiffLine::Old(text),
                ChangeTag::Insert => DiffLine::New(text),
            }
        })
        .collect();
    fold(all)
}

/// Leaves out equal lines that are far from every change.
fn fold(all: Vec<DiffLine>) -> Vec<DiffLine> {
    let changed: Vec<usize> = (0..all.len())
        .filter(|i| !matches!(all[*i], DiffLine::Same(_)))
        .collect();
    let mut folded: Vec<DiffLine> = Vec::new();
    for (index, line) in all.into_iter().enumerate() {
        let near = changed.iter().any(|c| c.abs_diff(index) <= CONTEXT);
        match (near, folded.last_mut()) {
            (true, _) => folded.push(line),
            (false, Some(DiffLine::Skipped(count))) => *count += 1,
            (false, _) => folded.push(DiffLine::Skipped(1)),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn route(weights: [i64; 2]) -> Value {
        json!({"kind": "HTTPRoute", "metadata": {"name": "smiley-canary", "namespace": "faces",
                "resourceVersion": weights[0].to_string()},
               "spec": {"parentRefs": [{"name": "smiley"}], "rules": [{"backendRefs": [
                   {"name": "smiley", "weight": weights[0]}, {"name": "smiley2", "weight": weights[1]}]}]},
               "status": {"x": weights[0]}})
    }

    #[test]
    fn a_weight_is_named_by_its_path_and_noise_is_left_out() {
        let change = compare(Some(&route([90, 10])), Some(&route([50, 50]))).unwrap();
        assert_eq!(change.verb, Verb::Changed);
        let fields: Vec<String> = change
            .fields
            .iter()
            .map(|f| format!("{} {} → {}", f.path, f.before, f.after))
            .collect();
        assert_eq!(
            fields,
            [
                "rules[0].backendRefs[0].weight 90 → 50",
                "rules[0].backendRefs[1].weight 10 → 50"
            ]
        );
        assert!(matches!(change.lines[0], DiffLine::Skipped(_)));
        let old = change
            .lines
            .iter()
            .filter(|l| matches!(l, DiffLine::Old(_)))
            .count();
        assert_eq!(old, 2);
        assert_eq!(change.object(), "HTTPRoute faces/smiley-canary");
    }

    #[test]
    fn what_a_secret_keeps_is_not_told() {
        let secret = |value: &str| json!({"kind": "Secret", "metadata": {"name": "s"}, "data": {"password": value}});
        let change = compare(Some(&secret("aHVzaA==")), Some(&secret("c2VjcmV0"))).unwrap();
        assert!(!format!("{change:?}").contains("aHVzaA"), "{change:?}");
        assert_eq!(change.fields[0].path, "data.password");
        assert_eq!(change.verb, Verb::Changed);
    }

    #[test]
    fn new_gone_and_same_objects() {
        let object = route([1, 0]);
        let verb = |a: Option<&Value>, b: Option<&Value>| compare(a, b).unwrap().verb;
        assert_eq!(verb(None, Some(&object)), Verb::Created);
        assert_eq!(verb(Some(&object), None), Verb::Deleted);
        assert_eq!(verb(Some(&object), Some(&object)), Verb::Unchanged);
        assert!(compare(None, None).is_none());
    }
}
