//! What happens to an object before it is stored: decoding by schema, defaults, validation. Pure.
//!
//! Custom resources follow their CRD's schema and CEL rules; what Kubernetes' own kinds need besides
//! their schema is in `built_in`, names and labels in `names`.

mod built_in;
mod names;

use std::sync::OnceLock;

use kube_cel::Validator;
use serde_json::Value;

use super::resource::{Origin, Resource};
use super::schema::{Kind, built_in as kubernetes};
use super::status::{ApiError, FieldError};

/// What becomes of fields that the schema does not know (`fieldValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// Dropped without a word.
    Ignore,
    /// Dropped with a warning.
    Warn,
    /// Refused.
    Strict,
}

impl FieldValidation {
    /// Reads the query parameter; absent is `Warn`.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        Ok(match text {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                return Err(ApiError::invalid_options(
                    "CreateOptions",
                    "fieldValidation",
                    &format!(
                        "Unsupported value: \"{other}\": supported values: \"\", \"Ignore\", \
                         \"Strict\", \"Warn\""
                    ),
                ));
            }
        })
    }
}

/// Annotations of one object, names and values together, in bytes.
const MOST_ANNOTATIONS: usize = 256 << 10;

/// Reads an object by its schema: refuses wrong types of built-in kinds as Go does, drops fields
/// that are not known. Returns warnings.
pub fn decode(
    resource: &Resource,
    version: &str,
    object: &mut Value,
    validation: FieldValidation,
) -> Result<Vec<String>, ApiError> {
    let definition = resource
        .version(version)
        .map_or(&resource.definition, |v| &v.definition);
    let schema = definition.schema();
    let kind = &resource.kind;
    let cannot = format!("{kind} in version \"{version}\" cannot be handled as a {kind}");
    let built_in = resource.origin == Origin::BuiltIn;
    let mistyped = if built_in {
        schema.mistyped(object)
    } else {
        // The metadata of every kind is read by Go.
        kubernetes::object_meta().mistyped(&object["metadata"])
    };
    if let Some((field, wanted, found)) = mistyped {
        let found = if found == "boolean" { "bool" } else { found };
        return Err(ApiError::bad_request(format!(
            "{cannot}: json: cannot unmarshal {found} into Go struct field {kind}.{field} of type {}",
            go_type(wanted)
        )));
    }
    let dropped = schema.prune(object);
    let unknown: Vec<String> = dropped
        .iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect();
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(unknown),
        FieldValidation::Strict if unknown.is_empty() => Ok(Vec::new()),
        FieldValidation::Strict => Err(ApiError::bad_request(format!(
            "{cannot}: strict decoding error: {}",
            unknown.join(", ")
        ))),
    }
}

/// The word that Go has for a type, near enough to its own message.
fn go_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "int32",
        Kind::Boolean => "bool",
        Kind::Number => "float64",
        Kind::Array => "[]interface {}",
        Kind::Object => "map[string]interface {}",
        _ => "string",
    }
}

/// Fills in what the API server fills in, and refuses what it refuses. The object has been decoded.
pub fn admit(
    resource: &Resource,
    object: &mut Value,
    before: Option<&Value>,
) -> Result<(), ApiError> {
    let schema = resource.definition.schema();
    schema.default(object);
    if resource.origin == Origin::BuiltIn {
        built_in::default(&resource.id, object, before);
    }
    let mut causes = names::validate(resource, object);
    match resource.origin {
        Origin::BuiltIn => built_in::validate(&resource.id, object, before, &mut causes),
        Origin::Custom => {
            causes.extend(schema.validate(object));
            // Rules are written for objects whose types are right.
            if causes.is_empty() {
                causes.extend(broken_rules(resource, object, before));
            }
        }
    }
    if let Some(too_many) = annotations_too_long(object) {
        causes.push(too_many);
    }
    if causes.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    Err(ApiError::invalid(&resource.qualified_kind(), name, &causes))
}

/// Defaults alone: tests put objects into a store past the API.
#[cfg(test)]
pub fn default(resource: &Resource, object: &mut Value) {
    resource.definition.schema().default(object);
    if resource.origin == Origin::BuiltIn {
        built_in::default(&resource.id, object, None);
    }
}

fn annotations_too_long(object: &Value) -> Option<FieldError> {
    let annotations = object["metadata"]["annotations"].as_object()?;
    let size: usize = annotations
        .iter()
        .map(|(k, v)| k.len() + v.as_str().map_or(0, str::len))
        .sum();
    (size > MOST_ANNOTATIONS).then(|| FieldError {
        field: "metadata.annotations".to_owned(),
        reason: "FieldValueTooLong",
        message: format!("Too long: may not be more than {MOST_ANNOTATIONS} bytes"),
    })
}

/// The CEL rules of a custom resource that do not hold.
fn broken_rules(resource: &Resource, object: &Value, before: Option<&Value>) -> Vec<FieldError> {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let Some((rules, costs)) = resource.definition.rules() else {
        return Vec::new();
    };
    if costs.exceed(resource.definition.json(), object) {
        let why = "validation failed due to running out of cost budget, no further validation \
                   rules will be run";
        return vec![FieldError::invalid(
            String::new(),
            &Value::from("object"),
            why,
        )];
    }
    let validator = VALIDATOR.get_or_init(Validator::new);
    match validator.validate_compiled(rules, object, before) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_vec()
            .into_iter()
            .map(|error| {
                let value = at_path(object, &error.field_path);
                FieldError::invalid(error.field_path, &type_word(value), &error.message)
            })
            .collect(),
    }
}

/// The value at `spec.rules[0].matches`.
fn at_path<'a>(object: &'a Value, path: &str) -> &'a Value {
    let mut at = object;
    for step in path.split(['.', '[']).filter(|s| !s.is_empty()) {
        let step = step.trim_end_matches(']');
        at = match step.parse::<usize>() {
            Ok(index) if at.is_array() => &at[index],
            _ => &at[step],
        };
    }
    at
}

/// A rule's message names the type of what it is about, not the value.
fn type_word(value: &Value) -> Value {
    Value::from(match value {
        Value::Object(_) | Value::Null => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
    })
}

#[cfg(test)]
mod tests;
