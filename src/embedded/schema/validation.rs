//! Validation by schema, with the messages that a real API server gives.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Kind, Limits, List, Schema};
use crate::embedded::status::FieldError;

/// Mistakes told of one object; more would not be read.
const MOST_CAUSES: usize = 100;

impl Schema {
    /// What is wrong with an object; empty if nothing is.
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut causes = Vec::new();
        self.check(object, "", &mut causes);
        causes.truncate(MOST_CAUSES);
        causes
    }

    /// The first value of another type than the schema says: its path, the type wanted, and what it
    /// is instead. Go refuses these when it decodes a built-in type.
    pub fn mistyped(&self, object: &Value) -> Option<(String, Kind, &'static str)> {
        self.find_mistyped(object, "")
    }

    fn find_mistyped(&self, value: &Value, at: &str) -> Option<(String, Kind, &'static str)> {
        if value.is_null() {
            return None;
        }
        if !self.kind.accepts(value) {
            return Some((at.to_owned(), self.kind, type_name(value)));
        }
        match value {
            Value::Object(fields) => fields
                .iter()
                .find_map(|(name, value)| self.field(name)?.find_mistyped(value, &join(at, name))),
            // Go names the list's field, not the item's index.
            Value::Array(items) => items
                .iter()
                .find_map(|item| self.items.as_ref()?.find_mistyped(item, at)),
            _ => None,
        }
    }

    fn check(&self, value: &Value, at: &str, causes: &mut Vec<FieldError>) {
        if causes.len() >= MOST_CAUSES || (value.is_null() && self.nullable) {
            return;
        }
        if !self.kind.accepts(value) {
            causes.push(mistyped(at, value, self.kind));
            return;
        }
        self.limits.check(value, at, causes);
        match value {
            Value::Object(fields) => {
                for name in &self.required {
                    if !fields.contains_key(name) {
                        causes.push(FieldError::required(join(at, name), ""));
                    }
                }
                for (name, field) in fields {
                    if let Some(schema) = self.field(name) {
                        schema.check(field, &join(at, name), causes);
                    }
                }
            }
            Value::Array(items) => {
                self.check_list(items, at, causes);
                if let Some(schema) = &self.items {
                    for (index, item) in items.iter().enumerate() {
                        schema.check(item, &format!("{at}[{index}]"), causes);
                    }
                }
            }
            _ => {}
        }
        if !self.branches.is_empty() {
            self.check_branches(value, at, causes);
        }
    }

    fn check_list(&self, items: &[Value], at: &str, causes: &mut Vec<FieldError>) {
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let key = match &self.list {
                List::Atomic => return,
                List::Set => item.clone(),
                List::Map(keys) => keys
                    .iter()
                    .map(|k| (k.clone(), item[k].clone()))
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
            };
            if !seen.insert(key.to_string()) {
                causes.push(FieldError {
                    field: format!("{at}[{index}]"),
                    reason: "FieldValueDuplicate",
                    message: format!("Duplicate value: {key}"),
                });
            }
        }
    }

    fn check_branches(&self, value: &Value, at: &str, causes: &mut Vec<FieldError>) {
        let holds = |schema: &Schema| {
            let mut inner = Vec::new();
            schema.check(value, at, &mut inner);
            inner.is_empty()
        };
        for schema in &self.branches.all {
            schema.check(value, at, causes);
        }
        let invalid = |what: &str| {
            let why = format!("{at} in body must validate {what}");
            FieldError::invalid(at, &shown(value), &why)
        };
        if !self.branches.any.is_empty() && !self.branches.any.iter().any(holds) {
            causes.push(invalid("at least one schema (anyOf)"));
        }
        if !self.branches.one.is_empty()
            && self.branches.one.iter().filter(|s| holds(s)).count() != 1
        {
            causes.push(invalid("one and only one schema (oneOf)"));
        }
        if self.branches.not.as_ref().is_some_and(|s| holds(s)) {
            let why = format!("{at} in body must not validate the schema (not)");
            causes.push(FieldError::invalid(at, &shown(value), &why));
        }
    }
}

impl Kind {
    fn accepts(self, value: &Value) -> bool {
        match self {
            Kind::Any => true,
            Kind::Object => value.is_object(),
            Kind::Array => value.is_array(),
            Kind::String => value.is_string(),
            Kind::Integer => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0)
            }
            Kind::Number => value.is_number(),
            Kind::Boolean => value.is_boolean(),
            Kind::IntOrString => value.is_i64() || value.is_u64() || value.is_string(),
        }
    }

    /// The word of OpenAPI.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Any => "",
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::IntOrString => "integer,string",
        }
    }
}

/// The word of OpenAPI for a value's type.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn mistyped(at: &str, value: &Value, wanted: Kind) -> FieldError {
    let found = type_name(value);
    let field = if at.is_empty() { "<nil>" } else { at };
    FieldError {
        field: field.to_owned(),
        reason: "FieldValueTypeInvalid",
        message: format!(
            "Invalid value: \"{found}\": {at} in body must be of type {}: \"{found}\"",
            wanted.name()
        ),
    }
}

/// Messages show scalars, and only the type of what is larger.
fn shown(value: &Value) -> Value {
    match value {
        Value::Object(_) | Value::Array(_) => Value::from(type_name(value)),
        scalar => scalar.clone(),
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    }
}

impl Limits {
    fn check(&self, value: &Value, at: &str, causes: &mut Vec<FieldError>) {
        let in_body = |why: String| format!("{at} in body {why}");
        let mut invalid = |why: String| causes.push(FieldError::invalid(at, &shown(value), &why));
        if let Some(n) = value.as_f64() {
            if self.minimum.is_some_and(|m| n < m) {
                let m = self.minimum.unwrap_or_default();
                invalid(in_body(format!("should be greater than or equal to {m}")));
            }
            if self.maximum.is_some_and(|m| n > m) {
                let m = self.maximum.unwrap_or_default();
                invalid(in_body(format!("should be less than or equal to {m}")));
            }
        }
        if let Some(text) = value.as_str() {
            if let Some((pattern, compiled)) = &self.pattern
                && !compiled.is_match(text)
            {
                invalid(in_body(format!("should match '{pattern}'")));
            }
            let length = text.chars().count() as u64;
            if let Some(least) = self.min_length.filter(|m| length < *m) {
                invalid(in_body(format!("should be at least {least} chars long")));
            }
            if let Some(most) = self.max_length.filter(|m| length > *m) {
                causes.push(too_long(at, &format!("may not be more than {most} bytes")));
            }
        }
        if let Some(items) = value.as_array() {
            let n = items.len() as u64;
            if let Some(least) = self.min_items.filter(|m| n < *m) {
                let why = in_body(format!("should have at least {least} items"));
                causes.push(FieldError::invalid(at, &Value::from(n), &why));
            }
            if let Some(most) = self.max_items.filter(|m| n > *m) {
                causes.push(too_many(at, n, most, "items"));
            }
        }
        if let Some(fields) = value.as_object() {
            let n = fields.len() as u64;
            if let Some(least) = self.min_properties.filter(|m| n < *m) {
                let why = in_body(format!("should have at least {least} properties"));
                causes.push(FieldError::invalid(at, &Value::from(n), &why));
            }
            if let Some(most) = self.max_properties.filter(|m| n > *m) {
                causes.push(too_many(at, n, most, "items"));
            }
        }
        if !self.one_of.is_empty() && !self.one_of.contains(value) {
            let supported: Vec<String> = self.one_of.iter().map(Value::to_string).collect();
            causes.push(FieldError {
                field: at.to_owned(),
                reason: "FieldValueNotSupported",
                message: format!(
                    "Unsupported value: {value}: supported values: {}",
                    supported.join(", ")
                ),
            });
        }
    }
}

fn too_long(at: &str, why: &str) -> FieldError {
    FieldError {
        field: at.to_owned(),
        reason: "FieldValueTooLong",
        message: format!("Too long: {why}"),
    }
}

fn too_many(at: &str, found: u64, most: u64, what: &str) -> FieldError {
    FieldError {
        field: at.to_owned(),
        reason: "FieldValueTooMany",
        message: format!("Too many: {found}: must have at most {most} {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Schema;
    use serde_json::{Value, json};

    #[test]
    fn each_limit_has_the_message_of_a_real_server() {
        let schema = Schema::of_crd(&json!({"type": "object", "properties": {"spec": {
            "type": "object", "required": ["name"], "properties": {
                "name": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]*$"},
                "weight": {"type": "integer", "minimum": 0, "maximum": 10},
                "kind": {"type": "string", "enum": ["A", "B"]},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "maxItems": 2,
                        "items": {"type": "string"}},
                "list": {"type": "array", "x-kubernetes-list-type": "map", "minItems": 1,
                    "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object",
                    "properties": {"name": {"type": "string"}}}},
                "port": {"x-kubernetes-int-or-string": true},
                "either": {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}}}}}))
        .unwrap();
        let cases: [(Value, &str); 12] = [
            (json!({}), "spec.name: Required value"),
            (
                json!({"name": "a"}),
                "spec.name: Invalid value: \"a\": spec.name in body should be at least 2 chars long",
            ),
            (
                json!({"name": "abcde"}),
                "spec.name: Too long: may not be more than 4 bytes",
            ),
            (
                json!({"name": "A1"}),
                "spec.name: Invalid value: \"A1\": spec.name in body should match '^[a-z]*$'",
            ),
            (
                json!({"name": "ab", "weight": 11}),
                "spec.weight: Invalid value: 11: spec.weight in body should be less than or equal to 10",
            ),
            (
                json!({"name": "ab", "weight": "x"}),
                "spec.weight: Invalid value: \"string\": spec.weight in body must be of type integer: \"string\"",
            ),
            (
                json!({"name": "ab", "kind": "C"}),
                "spec.kind: Unsupported value: \"C\": supported values: \"A\", \"B\"",
            ),
            (
                json!({"name": "ab", "set": ["x", "x"]}),
                "spec.set[1]: Duplicate value: \"x\"",
            ),
            (
                json!({"name": "ab", "set": ["x", "y", "z"]}),
                "spec.set: Too many: 3: must have at most 2 items",
            ),
            (
                json!({"name": "ab", "list": [{"name": "x"}, {"name": "x"}]}),
                "spec.list[1]: Duplicate value: {\"name\":\"x\"}",
            ),
            (
                json!({"name": "ab", "port": true}),
                "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
            ),
            (
                json!({"name": "ab", "either": {"a": "1", "b": "2"}}),
                "spec.either: Invalid value: \"object\": spec.either in body must validate one and only one schema (oneOf)",
            ),
        ];
        for (spec, wanted) in cases {
            let object = json!({"metadata": {"name": "x"}, "spec": spec});
            let causes = schema.validate(&object);
            let said: Vec<String> = causes.iter().map(ToString::to_string).collect();
            assert_eq!(said, [wanted]);
        }
        let fine = json!({"metadata": {}, "spec": {"name": "ab", "port": "http", "list": [{"name": "x"}]}});
        assert_eq!(schema.validate(&fine), []);
    }
}
