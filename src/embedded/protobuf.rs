//! The protobuf that kubectl 1.32 and newer send for what they create by command.
//!
//! Kubernetes wraps a message in `runtime.Unknown` behind the magic `k8s\0`; field numbers are those
//! of `k8s.io/api/*/generated.proto` and `k8s.io/apimachinery/pkg/*/generated.proto`. Kinds that no
//! command of kubectl's creates are refused, and so is a field that `tables` does not have:
//! nothing is lost without a word.

mod tables;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde_json::{Map, Value, json};

use super::status::ApiError;
use tables::Field::{self, Bool, BytesMap, Empty, Int, Many, Number, One, Text, TextMap, Texts};
use tables::{Table, table};

const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, prost::Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

/// Decodes an object of one of the kinds above.
pub fn decode(body: &[u8]) -> Result<Value, ApiError> {
    let bad = |what: &str| ApiError::bad_request(format!("the protobuf body is not {what}"));
    let wrapped = body
        .strip_prefix(MAGIC)
        .ok_or_else(|| bad("a Kubernetes message"))?;
    let unknown = Unknown::decode(wrapped).map_err(|_| bad("a runtime.Unknown"))?;
    let TypeMeta { api_version, kind } = unknown.type_meta.unwrap_or_default();
    let refused = |what: String| {
        ApiError::unsupported_media_type(format!(
            "the embedded cluster reads {what} as JSON or YAML, not as protobuf: \
             write it to a file and apply that"
        ))
    };
    let table = table(&kind).ok_or_else(|| refused(kind.clone()))?;
    let mut object = match message(&unknown.raw, table) {
        Ok(object) => object,
        Err(Trouble::Broken) => return Err(bad(&format!("a {kind}"))),
        Err(Trouble::Unknown(number)) => {
            return Err(refused(format!("a {kind} with its field number {number}")));
        }
    };
    object.insert("apiVersion".to_owned(), json!(api_version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(object))
}

enum Trouble {
    Broken,
    Unknown(u32),
}

impl From<prost::DecodeError> for Trouble {
    fn from(_: prost::DecodeError) -> Self {
        Trouble::Broken
    }
}

fn message(mut bytes: &[u8], table: Table) -> Result<Map<String, Value>, Trouble> {
    let mut object = Map::new();
    while bytes.has_remaining() {
        let (number, wire) = decode_key(&mut bytes)?;
        let known = table.iter().find(|(n, ..)| *n == number);
        let Some((_, name, field)) = known else {
            if is_empty(&mut bytes, number, wire)? {
                continue;
            }
            return Err(Trouble::Unknown(number));
        };
        match field {
            Empty => skip_field(wire, number, &mut bytes, DecodeContext::default())?,
            Int | Number | Bool => {
                let value = decode_varint(&mut bytes)?;
                if value == 0 && !matches!(field, Int) {
                    continue;
                }
                let value = match field {
                    Bool => json!(value != 0),
                    _ => json!(value.cast_signed()),
                };
                object.insert((*name).to_owned(), value);
            }
            _ => read(&mut object, name, *field, chunk(&mut bytes)?)?,
        }
    }
    // Go writes the empty string for what is not set.
    object.retain(|_, value| value != "");
    Ok(object)
}

/// The bytes of a length-delimited field.
fn chunk<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Trouble> {
    let length = usize::try_from(decode_varint(bytes)?).map_err(|_| Trouble::Broken)?;
    if length > bytes.len() {
        return Err(Trouble::Broken);
    }
    let (chunk, rest) = bytes.split_at(length);
    *bytes = rest;
    Ok(chunk)
}

/// True if an unknown field holds nothing: an empty message, zero, false.
fn is_empty(bytes: &mut &[u8], number: u32, wire: WireType) -> Result<bool, Trouble> {
    Ok(match wire {
        WireType::Varint => decode_varint(bytes)? == 0,
        WireType::LengthDelimited => chunk(bytes)?.is_empty(),
        _ => {
            skip_field(wire, number, bytes, DecodeContext::default())?;
            false
        }
    })
}

fn read(
    object: &mut Map<String, Value>,
    name: &str,
    field: Field,
    bytes: &[u8],
) -> Result<(), Trouble> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| Trouble::Broken);
    let value = match field {
        Text => json!(text(bytes)?),
        One(table) => {
            let inner = message(bytes, table)?;
            if inner.is_empty() {
                return Ok(());
            }
            Value::Object(inner)
        }
        Texts => return push(object, name, json!(text(bytes)?)),
        Many(table) => return push(object, name, Value::Object(message(bytes, table)?)),
        TextMap | BytesMap => {
            let (key, value) = entry(bytes)?;
            let value = match field {
                TextMap => text(value)?,
                _ => STANDARD.encode(value),
            };
            let map = object.entry(name).or_insert_with(|| json!({}));
            map[text(key)?] = json!(value);
            return Ok(());
        }
        Field::IntOrString => {
            let parts = message(
                bytes,
                &[(1, "type", Int), (2, "int", Int), (3, "text", Text)],
            )?;
            let get = |part: &str| parts.get(part).cloned();
            match get("type") {
                Some(kind) if kind == 1 => get("text").unwrap_or_default(),
                _ => get("int").unwrap_or(json!(0)),
            }
        }
        Int | Number | Bool | Empty => return Err(Trouble::Broken),
    };
    object.insert(name.to_owned(), value);
    Ok(())
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), Trouble> {
    let list = object.entry(name).or_insert_with(|| json!([]));
    list.as_array_mut().ok_or(Trouble::Broken)?.push(value);
    Ok(())
}

/// A map's entry: key 1, value 2.
fn entry(mut bytes: &[u8]) -> Result<(&[u8], &[u8]), Trouble> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    while bytes.has_remaining() {
        let (number, wire) = decode_key(&mut bytes)?;
        match (number, wire) {
            (1, WireType::LengthDelimited) => key = chunk(&mut bytes)?,
            (2, WireType::LengthDelimited) => value = chunk(&mut bytes)?,
            _ => return Err(Trouble::Broken),
        }
    }
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(kind: &str, raw: &[u8]) -> Vec<u8> {
        let unknown = Unknown {
            type_meta: Some(TypeMeta {
                api_version: "v1".into(),
                kind: kind.into(),
            }),
            raw: raw.to_vec(),
        };
        [MAGIC, &unknown.encode_to_vec()].concat()
    }

    fn delimited(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
    }

    #[test]
    fn what_kubectl_creates_is_read() {
        let label = [delimited(1, b"a"), delimited(2, b"b")].concat();
        let meta = [
            delimited(1, b"faces"),
            delimited(2, b""),
            delimited(11, &label),
        ]
        .concat();
        let namespace = decode(&wrap("Namespace", &delimited(1, &meta))).unwrap();
        assert_eq!(
            namespace,
            json!({"apiVersion": "v1", "kind": "Namespace",
                   "metadata": {"name": "faces", "labels": {"a": "b"}}})
        );
        let port = [
            delimited(1, b"http"),
            vec![3 << 3, 80],
            delimited(4, &[1 << 3, 0, 2 << 3, 90]),
        ]
        .concat();
        let spec = [delimited(1, &port), delimited(4, b"ClusterIP")].concat();
        let service = decode(&wrap("Service", &delimited(2, &spec))).unwrap();
        assert_eq!(
            service["spec"],
            json!({"ports": [{"name": "http", "port": 80, "targetPort": 90}], "type": "ClusterIP"})
        );
        let entry = [delimited(1, b"k"), delimited(2, &[0, 255])].concat();
        let secret = decode(&wrap("Secret", &delimited(2, &entry))).unwrap();
        assert_eq!(secret["data"], json!({"k": "AP8="}));
    }

    #[test]
    fn what_is_not_known_is_refused_and_nothing_panics() {
        assert_eq!(decode(&wrap("StatefulSet", &[])).unwrap_err().code, 415);
        let unknown_field = delimited(9, b"x");
        assert_eq!(
            decode(&wrap("ConfigMap", &unknown_field)).unwrap_err().code,
            415
        );
        assert_eq!(decode(b"{}").unwrap_err().code, 400);
        let whole = wrap("ConfigMap", &delimited(1, &delimited(1, b"name")));
        for end in 0..whole.len() {
            let _ = decode(&whole[..end]);
        }
    }
}
