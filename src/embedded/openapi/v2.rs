//! OpenAPI v2 as protobuf: the part of gnostic's `openapi.v2.Document` that kubectl reads, which are
//! the definitions with their group, version and kind.

use prost::Message;
use serde_json::{Map, Value};

use super::{add_schemas, gvk};
use crate::embedded::list::items;
use crate::embedded::resource::Registry;

/// What kubectl gets. It asks with an `@` for the last dot, which is no media type to Go.
pub const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

#[derive(Clone, PartialEq, Message)]
struct Document {
    #[prost(string, tag = "1")]
    swagger: String,
    #[prost(message, optional, tag = "2")]
    info: Option<Info>,
    #[prost(message, optional, tag = "8")]
    paths: Option<Paths>,
    #[prost(message, optional, tag = "9")]
    definitions: Option<NamedSchemas>,
}

#[derive(Clone, PartialEq, Message)]
struct Info {
    #[prost(string, tag = "1")]
    title: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Paths {
    #[prost(message, repeated, tag = "2")]
    path: Vec<NamedPathItem>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedPathItem {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<PathItem>,
}

#[derive(Clone, PartialEq, Message)]
struct PathItem {
    #[prost(message, optional, tag = "8")]
    patch: Option<Operation>,
}

#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(message, repeated, tag = "8")]
    parameters: Vec<ParametersItem>,
    #[prost(message, repeated, tag = "13")]
    vendor_extension: Vec<NamedAny>,
}

#[derive(Clone, PartialEq, Message)]
struct ParametersItem {
    #[prost(message, optional, tag = "1")]
    parameter: Option<Parameter>,
}

#[derive(Clone, PartialEq, Message)]
struct Parameter {
    #[prost(message, optional, tag = "2")]
    non_body: Option<NonBody>,
}

#[derive(Clone, PartialEq, Message)]
struct NonBody {
    #[prost(message, optional, tag = "3")]
    query: Option<Query>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(string, tag = "2")]
    location: String,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(string, tag = "6")]
    kind: String,
}

/// Also `Properties`, which has the same shape.
#[derive(Clone, PartialEq, Message)]
struct NamedSchemas {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<NamedSchema>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedSchema {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Schema>,
}

#[derive(Clone, PartialEq, Message)]
struct Schema {
    #[prost(string, tag = "1")]
    reference: String,
    #[prost(string, tag = "2")]
    format: String,
    #[prost(string, repeated, tag = "19")]
    required: Vec<String>,
    #[prost(message, optional, tag = "21")]
    additional: Option<Box<Additional>>,
    #[prost(message, optional, tag = "22")]
    kind: Option<Kind>,
    #[prost(message, optional, tag = "23")]
    items: Option<Items>,
    #[prost(message, optional, tag = "25")]
    properties: Option<NamedSchemas>,
    #[prost(message, repeated, tag = "31")]
    vendor_extension: Vec<NamedAny>,
}

#[derive(Clone, PartialEq, Message)]
struct Additional {
    #[prost(message, optional, boxed, tag = "1")]
    schema: Option<Box<Schema>>,
}

#[derive(Clone, PartialEq, Message)]
struct Kind {
    #[prost(string, repeated, tag = "1")]
    value: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Items {
    #[prost(message, repeated, tag = "1")]
    schema: Vec<Schema>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedAny {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "2")]
    yaml: String,
}

/// The whole document.
pub fn document(registry: &Registry) -> Vec<u8> {
    let mut schemas = Map::new();
    let mut path = Vec::new();
    for resource in registry.iter() {
        for version in &resource.versions {
            add_schemas(&mut schemas, resource, &version.name);
            path.push(NamedPathItem {
                name: format!(
                    "/{}/{}/{{name}}",
                    resource.api_version(&version.name),
                    resource.plural
                ),
                value: Some(PathItem {
                    patch: Some(Operation {
                        parameters: ["dryRun", "fieldValidation"].map(parameter).to_vec(),
                        vendor_extension: vec![extension(
                            "x-kubernetes-group-version-kind",
                            &gvk(resource, &version.name),
                        )],
                    }),
                }),
            });
        }
    }
    Document {
        swagger: "2.0".to_owned(),
        info: Some(Info {
            title: "Footlights embedded cluster".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }),
        paths: Some(Paths { path }),
        definitions: Some(named(Some(&schemas))),
    }
    .encode_to_vec()
}

fn parameter(name: &str) -> ParametersItem {
    ParametersItem {
        parameter: Some(Parameter {
            non_body: Some(NonBody {
                query: Some(Query {
                    location: "query".to_owned(),
                    name: name.to_owned(),
                    kind: "string".to_owned(),
                }),
            }),
        }),
    }
}

fn extension(name: &str, value: &Value) -> NamedAny {
    NamedAny {
        name: name.to_owned(),
        // JSON is YAML.
        value: Some(Any {
            yaml: value.to_string(),
        }),
    }
}

fn named(schemas: Option<&Map<String, Value>>) -> NamedSchemas {
    let entries = schemas.into_iter().flatten();
    NamedSchemas {
        entries: entries
            .map(|(name, schema)| NamedSchema {
                name: name.clone(),
                value: Some(convert(schema)),
            })
            .collect(),
    }
}

fn convert(schema: &Value) -> Schema {
    let text = |field: &str| schema[field].as_str().unwrap_or("").to_owned();
    let reference = text("$ref").replace("#/components/schemas/", "#/definitions/");
    if !reference.is_empty() {
        return Schema {
            reference,
            ..Schema::default()
        };
    }
    // The older form of OpenAPI has no word for either-or: kubectl knows such fields as strings.
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    let kind = if int_or_string {
        "string".to_owned()
    } else {
        text("type")
    };
    let required = items(&schema["required"]);
    let extensions = schema.as_object().into_iter().flatten();
    Schema {
        reference,
        format: if int_or_string {
            "int-or-string".to_owned()
        } else {
            text("format")
        },
        required: required
            .filter_map(|r| r.as_str().map(str::to_owned))
            .collect(),
        additional: schema["additionalProperties"].is_object().then(|| {
            Box::new(Additional {
                schema: Some(Box::new(convert(&schema["additionalProperties"]))),
            })
        }),
        kind: (!kind.is_empty()).then(|| Kind { value: vec![kind] }),
        items: schema["items"].is_object().then(|| Items {
            schema: vec![convert(&schema["items"])],
        }),
        properties: schema["properties"]
            .is_object()
            .then(|| named(schema["properties"].as_object())),
        vendor_extension: extensions
            .filter(|(name, _)| {
                matches!(
                    name.as_str(),
                    "x-kubernetes-group-version-kind"
                        | "x-kubernetes-patch-merge-key"
                        | "x-kubernetes-patch-strategy"
                        | "x-kubernetes-preserve-unknown-fields"
                )
            })
            .map(|(name, value)| extension(name, value))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_of_each_kind_what_it_is() {
        let bytes = document(&Registry::built_in());
        let read = Document::decode(bytes.as_slice()).unwrap();
        let definitions = read.definitions.unwrap().entries;
        let deployment = definitions
            .iter()
            .find(|d| d.name == "io.k8s.api.apps.v1.Deployment")
            .and_then(|d| d.value.as_ref())
            .unwrap();
        let gvk = &deployment.vendor_extension[0];
        assert_eq!(gvk.name, "x-kubernetes-group-version-kind");
        let yaml = &gvk.value.as_ref().unwrap().yaml;
        assert_eq!(
            yaml,
            r#"[{"group":"apps","kind":"Deployment","version":"v1"}]"#
        );
        assert!(
            deployment
                .properties
                .as_ref()
                .unwrap()
                .entries
                .iter()
                .any(|p| p.name == "spec")
        );
    }
}
