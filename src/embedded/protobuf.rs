//! The protobuf that kubectl 1.32 and newer insist on for `create namespace`.
//!
//! Kubernetes wraps a message in `runtime.Unknown` behind the magic `k8s\0`; field numbers are those
//! of `k8s.io/apimachinery/pkg/runtime/generated.proto` and `.../meta/v1/generated.proto`.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::{Value, json};

use super::status::ApiError;

const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    generate_name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
}

/// The part that every Kubernetes object message begins with.
#[derive(Clone, PartialEq, Message)]
struct AnyObject {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
}

/// Decodes a Namespace; other kinds are refused, since their specs would be lost.
pub fn decode(body: &[u8]) -> Result<Value, ApiError> {
    let bad = |what: &str| ApiError::bad_request(format!("the protobuf body is not {what}"));
    let wrapped = body
        .strip_prefix(MAGIC)
        .ok_or_else(|| bad("a Kubernetes message"))?;
    let unknown = Unknown::decode(wrapped).map_err(|_| bad("a runtime.Unknown"))?;
    let kind = unknown.type_meta.unwrap_or_default();
    if kind.kind == "DeleteOptions" {
        return Ok(json!({"apiVersion": kind.api_version, "kind": kind.kind}));
    }
    if kind.kind != "Namespace" {
        return Err(ApiError::unsupported_media_type(format!(
            "the embedded cluster reads {} as JSON or YAML, not as protobuf",
            kind.kind
        )));
    }
    let object = AnyObject::decode(unknown.raw.as_slice()).map_err(|_| bad("a Namespace"))?;
    let meta = object.metadata.unwrap_or_default();
    let mut metadata = json!({"name": meta.name});
    if !meta.labels.is_empty() {
        metadata["labels"] = json!(meta.labels);
    }
    if !meta.annotations.is_empty() {
        metadata["annotations"] = json!(meta.annotations);
    }
    Ok(json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_read_and_others_are_refused() {
        let wrap = |kind: &str| {
            let raw = AnyObject {
                metadata: Some(ObjectMeta {
                    name: "faces".into(),
                    labels: [("a".to_owned(), "b".to_owned())].into(),
                    ..Default::default()
                }),
            }
            .encode_to_vec();
            let unknown = Unknown {
                type_meta: Some(TypeMeta {
                    api_version: "v1".into(),
                    kind: kind.into(),
                }),
                raw,
            };
            [MAGIC, &unknown.encode_to_vec()].concat()
        };
        let namespace = decode(&wrap("Namespace")).unwrap();
        assert_eq!(
            namespace["metadata"],
            json!({"name": "faces", "labels": {"a": "b"}})
        );
        assert_eq!(decode(&wrap("Pod")).unwrap_err().code, 415);
        assert_eq!(decode(b"{}").unwrap_err().code, 400);
    }
}
