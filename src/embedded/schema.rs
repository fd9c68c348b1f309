//! What the objects of a kind look like: the schema of a CRD's version or of a built-in type,
//! compiled for defaulting, pruning, validation, patches and server-side apply. Pure.
//!
//! The vocabulary is that of CRDs: structural OpenAPI v3 with the `x-kubernetes-*` extensions.

pub mod built_in;
mod defaulting;
mod validation;

use crate::embedded::list::items;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not said: anything goes.
    Any,
    /// `object`.
    Object,
    /// `array`.
    Array,
    /// `string`.
    String,
    /// `integer`.
    Integer,
    /// `number`.
    Number,
    /// `boolean`.
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
}

/// How a list merges (`x-kubernetes-list-type`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum List {
    /// As one value.
    #[default]
    Atomic,
    /// Scalars, each once.
    Set,
    /// Objects told apart by these fields.
    Map(Vec<String>),
}

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    /// The type.
    pub kind: Kind,
    /// Fields that are known by name.
    pub properties: BTreeMap<String, Arc<Schema>>,
    /// The schema of a map's values.
    pub additional: Option<Arc<Schema>>,
    /// The schema of a list's items.
    pub items: Option<Arc<Schema>>,
    /// How a list merges.
    pub list: List,
    /// A map or struct that is owned as one value.
    pub atomic: bool,
    /// Unknown fields are kept (`x-kubernetes-preserve-unknown-fields`).
    pub open: bool,
    default: Option<Value>,
    nullable: bool,
    /// `null` in a field means that the field is absent, as Go reads it.
    drops_nulls: bool,
    required: Vec<String>,
    limits: Limits,
    branches: Branches,
}

/// What a value must satisfy besides its type.
#[derive(Debug, Default)]
struct Limits {
    one_of: Vec<Value>,
    pattern: Option<(String, regex::Regex)>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    min_properties: Option<u64>,
    max_properties: Option<u64>,
}

#[derive(Debug, Default)]
struct Branches {
    all: Vec<Schema>,
    any: Vec<Schema>,
    one: Vec<Schema>,
    not: Option<Box<Schema>>,
}

impl Branches {
    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.any.is_empty() && self.one.is_empty() && self.not.is_none()
    }
}

/// A schema that is not one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct SchemaError {
    /// Where in the schema: `spec.properties[x]`.
    pub at: String,
    /// What is wrong.
    pub why: String,
}

/// Schemas nest no deeper than this.
const MOST_DEPTH: usize = 60;

impl Schema {
    /// The schema that accepts anything and keeps it.
    pub fn anything() -> Self {
        Schema {
            kind: Kind::Any,
            properties: BTreeMap::new(),
            additional: None,
            items: None,
            list: List::Atomic,
            atomic: false,
            open: true,
            default: None,
            nullable: true,
            drops_nulls: false,
            required: Vec::new(),
            limits: Limits::default(),
            branches: Branches::default(),
        }
    }

    /// Compiles the `openAPIV3Schema` of a CRD's version.
    pub fn of_crd(schema: &Value) -> Result<Arc<Self>, SchemaError> {
        let reader = Reader {
            definitions: &Value::Null,
            lenient_nulls: false,
        };
        let mut root = reader.read(schema, "openAPIV3Schema", &mut BTreeMap::new(), 0)?;
        root.embed_object();
        Ok(Arc::new(root))
    }

    /// Compiles a built-in type's schema, whose parts are `#/$defs/NAME` references.
    pub fn of_built_in(schema: &Value) -> Result<Arc<Self>, SchemaError> {
        let reader = Reader {
            definitions: &schema["$defs"],
            lenient_nulls: true,
        };
        let root = reader.read(schema, "", &mut BTreeMap::new(), 0)?;
        Ok(Arc::new(root))
    }

    /// Every object has these, whatever its schema says of them.
    fn embed_object(&mut self) {
        for name in ["apiVersion", "kind"] {
            self.properties
                .entry(name.to_owned())
                .or_insert_with(|| Arc::new(Schema::of_kind(Kind::String)));
        }
        self.properties
            .insert("metadata".to_owned(), built_in::object_meta());
    }

    fn of_kind(kind: Kind) -> Self {
        Schema {
            kind,
            open: false,
            nullable: false,
            ..Schema::anything()
        }
    }

    /// True if a field, written `f:NAME`, must be there.
    pub fn requires(&self, key: &str) -> bool {
        key.strip_prefix("f:")
            .is_some_and(|name| self.required.iter().any(|r| r == name))
    }

    /// The default of a field.
    pub fn default_of(&self, field: &str) -> Option<&Value> {
        self.properties.get(field)?.default.as_ref()
    }

    /// The schema of a field, if the field is known.
    pub fn field(&self, name: &str) -> Option<&Arc<Schema>> {
        self.properties.get(name).or(self.additional.as_ref())
    }
}

struct Reader<'a> {
    definitions: &'a Value,
    /// Built-in types read `null` as absent, whatever the field.
    lenient_nulls: bool,
}

type Seen = BTreeMap<String, Option<Arc<Schema>>>;

impl Reader<'_> {
    fn read(
        &self,
        schema: &Value,
        at: &str,
        seen: &mut Seen,
        depth: usize,
    ) -> Result<Schema, SchemaError> {
        let fail = |why: &str| SchemaError {
            at: at.to_owned(),
            why: why.to_owned(),
        };
        if depth > MOST_DEPTH {
            return Err(fail("nested too deeply"));
        }
        if !schema.is_object() {
            return Err(fail("a schema must be an object"));
        }
        let yes = |field: &str| schema[field] == true;
        let mut read = Schema::of_kind(self.kind(schema).map_err(|why| fail(&why))?);
        read.open = yes("x-kubernetes-preserve-unknown-fields");
        read.nullable = yes("nullable") || self.lenient_nulls;
        read.drops_nulls = self.lenient_nulls && !read.open;
        read.default = schema.get("default").cloned();
        read.atomic = schema["x-kubernetes-map-type"] == "atomic";
        read.required = strings(&schema["required"]);
        read.list = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => List::Set,
            Some("map") => List::Map(strings(&schema["x-kubernetes-list-map-keys"])),
            _ => List::Atomic,
        };
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let below = format!("{at}.properties[{name}]");
            let property = self.shared(property, &below, seen, depth)?;
            read.properties.insert(name.clone(), property);
        }
        match &schema["additionalProperties"] {
            Value::Bool(true) => read.open = true,
            map @ Value::Object(_) => {
                let below = format!("{at}.additionalProperties");
                read.additional = Some(self.shared(map, &below, seen, depth)?);
            }
            _ => {}
        }
        if schema["items"].is_object() {
            let below = format!("{at}.items");
            read.items = Some(self.shared(&schema["items"], &below, seen, depth)?);
        }
        if yes("x-kubernetes-embedded-resource") {
            read.embed_object();
        }
        read.limits = limits(schema).map_err(|why| fail(&why))?;
        let branch = |field: &str, seen: &mut Seen| -> Result<Vec<Schema>, SchemaError> {
            let list = items(&schema[field]);
            list.map(|s| self.read(s, &format!("{at}.{field}"), seen, depth + 1))
                .collect()
        };
        read.branches.all = branch("allOf", seen)?;
        read.branches.any = branch("anyOf", seen)?;
        read.branches.one = branch("oneOf", seen)?;
        if schema["not"].is_object() {
            let not = self.read(&schema["not"], &format!("{at}.not"), seen, depth + 1)?;
            read.branches.not = Some(Box::new(not));
        }
        Ok(read)
    }

    /// Reads a part of a schema; a definition that is referred to twice is compiled once.
    fn shared(
        &self,
        schema: &Value,
        at: &str,
        seen: &mut Seen,
        depth: usize,
    ) -> Result<Arc<Schema>, SchemaError> {
        let reference = schema["$ref"].as_str();
        let Some(name) = reference.and_then(|r| r.strip_prefix("#/$defs/")) else {
            return Ok(Arc::new(self.read(schema, at, seen, depth + 1)?));
        };
        // A definition within itself (JSONSchemaProps) is taken as it comes.
        let resolved = match seen.get(name) {
            Some(Some(known)) => known.clone(),
            Some(None) => return Ok(Arc::new(Schema::anything())),
            None => {
                seen.insert(name.to_owned(), None);
                let definition = &self.definitions[name];
                let read = Arc::new(self.read(definition, name, seen, depth + 1)?);
                seen.insert(name.to_owned(), Some(read.clone()));
                read
            }
        };
        Ok(resolved)
    }

    fn kind(&self, schema: &Value) -> Result<Kind, String> {
        if schema["x-kubernetes-int-or-string"] == true {
            return Ok(Kind::IntOrString);
        }
        Ok(match schema["type"].as_str() {
            None if schema["type"].is_null() => Kind::Any,
            Some("object") => Kind::Object,
            Some("array") => Kind::Array,
            Some("string") => Kind::String,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            _ => return Err(format!("unsupported type {}", schema["type"])),
        })
    }
}

fn limits(schema: &Value) -> Result<Limits, String> {
    let pattern = match schema["pattern"].as_str() {
        None => None,
        Some(text) => {
            let compiled = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
            let compiled = compiled.map_err(|e| format!("pattern: {e}"))?;
            Some((text.to_owned(), compiled))
        }
    };
    Ok(Limits {
        one_of: schema["enum"].as_array().cloned().unwrap_or_default(),
        pattern,
        minimum: schema["minimum"].as_f64(),
        maximum: schema["maximum"].as_f64(),
        min_length: schema["minLength"].as_u64(),
        max_length: schema["maxLength"].as_u64(),
        min_items: schema["minItems"].as_u64(),
        max_items: schema["maxItems"].as_u64(),
        min_properties: schema["minProperties"].as_u64(),
        max_properties: schema["maxProperties"].as_u64(),
    })
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|s| s.as_str().map(str::to_owned))
        .collect()
}
