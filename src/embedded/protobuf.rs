//! The protobuf that kubectl 1.32 and newer send for what they create by command.
//!
//! Kubernetes wraps a message in `runtime.Unknown` behind the magic `k8s\0`; field numbers are those
//! of `k8s.io/api/*/generated.proto` and `k8s.io/apimachinery/pkg/*/generated.proto`. Kinds that no
//! command of kubectl's creates are refused, and so is a field that the tables below do not have:
//! nothing is lost without a word.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde_json::{Map, Value, json};

use super::status::ApiError;

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

/// What a field holds.
#[derive(Clone, Copy)]
enum Field {
    Text,
    /// Zero counts.
    Int,
    /// Zero is how Go writes what is not set.
    Number,
    Bool,
    Texts,
    TextMap,
    BytesMap,
    One(Table),
    Many(Table),
    IntOrString,
    /// Written by servers only, or always empty from kubectl.
    Empty,
}

/// A message's fields by number.
type Table = &'static [(u32, &'static str, Field)];

use Field::{Bool, BytesMap, Empty, Int, Many, Number, One, Text, TextMap, Texts};

const META: Table = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (4, "selfLink", Empty),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Empty),
    (8, "creationTimestamp", Empty),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (14, "finalizers", Texts),
];
const NAMESPACE: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", Empty),
    (3, "status", Empty),
];
const CONFIG_MAP: Table = &[
    (1, "metadata", One(META)),
    (2, "data", TextMap),
    (3, "binaryData", BytesMap),
    (4, "immutable", Bool),
];
const SECRET: Table = &[
    (1, "metadata", One(META)),
    (2, "data", BytesMap),
    (3, "type", Text),
    (4, "stringData", TextMap),
    (5, "immutable", Bool),
];
const SERVICE_ACCOUNT: Table = &[(1, "metadata", One(META))];
const SELECTOR: Table = &[(1, "matchLabels", TextMap)];
const CONTAINER_PORT: Table = &[
    (1, "name", Text),
    (2, "hostPort", Number),
    (3, "containerPort", Number),
    (4, "protocol", Text),
    (5, "hostIP", Text),
];
const VARIABLE: Table = &[(1, "name", Text), (2, "value", Text)];
const CONTAINER: Table = &[
    (1, "name", Text),
    (2, "image", Text),
    (3, "command", Texts),
    (4, "args", Texts),
    (5, "workingDir", Text),
    (6, "ports", Many(CONTAINER_PORT)),
    (7, "env", Many(VARIABLE)),
    (13, "terminationMessagePath", Text),
    (14, "imagePullPolicy", Text),
    (16, "stdin", Bool),
    (17, "stdinOnce", Bool),
    (18, "tty", Bool),
    (20, "terminationMessagePolicy", Text),
];
const POD_SPEC: Table = &[
    (2, "containers", Many(CONTAINER)),
    (3, "restartPolicy", Text),
    (4, "terminationGracePeriodSeconds", Int),
    (6, "dnsPolicy", Text),
    (8, "serviceAccountName", Text),
    (9, "serviceAccount", Text),
    (10, "nodeName", Text),
];
const POD: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(POD_SPEC)),
    (3, "status", Empty),
];
const TEMPLATE: Table = &[(1, "metadata", One(META)), (2, "spec", One(POD_SPEC))];
const DEPLOYMENT_SPEC: Table = &[
    (1, "replicas", Int),
    (2, "selector", One(SELECTOR)),
    (3, "template", One(TEMPLATE)),
    (4, "strategy", Empty),
    (5, "minReadySeconds", Number),
    (6, "revisionHistoryLimit", Int),
    (7, "paused", Bool),
    (9, "progressDeadlineSeconds", Int),
];
const DEPLOYMENT: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(DEPLOYMENT_SPEC)),
    (3, "status", Empty),
];
const SERVICE_PORT: Table = &[
    (1, "name", Text),
    (2, "protocol", Text),
    (3, "port", Number),
    (4, "targetPort", Field::IntOrString),
    (5, "nodePort", Number),
    (6, "appProtocol", Text),
];
const SERVICE_SPEC: Table = &[
    (1, "ports", Many(SERVICE_PORT)),
    (2, "selector", TextMap),
    (3, "clusterIP", Text),
    (4, "type", Text),
    (5, "externalIPs", Texts),
    (7, "sessionAffinity", Text),
    (8, "loadBalancerIP", Text),
    (10, "externalName", Text),
];
const SERVICE: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(SERVICE_SPEC)),
    (3, "status", Empty),
];
const RULE: Table = &[
    (1, "verbs", Texts),
    (2, "apiGroups", Texts),
    (3, "resources", Texts),
    (4, "resourceNames", Texts),
    (5, "nonResourceURLs", Texts),
];
const ROLE: Table = &[(1, "metadata", One(META)), (2, "rules", Many(RULE))];
const SUBJECT: Table = &[
    (1, "kind", Text),
    (2, "apiGroup", Text),
    (3, "name", Text),
    (4, "namespace", Text),
];
const ROLE_REF: Table = &[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)];
const ROLE_BINDING: Table = &[
    (1, "metadata", One(META)),
    (2, "subjects", Many(SUBJECT)),
    (3, "roleRef", One(ROLE_REF)),
];
const RESOURCE_ATTRIBUTES: Table = &[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
];
const ACCESS_SPEC: Table = &[
    (1, "resourceAttributes", One(RESOURCE_ATTRIBUTES)),
    (
        2,
        "nonResourceAttributes",
        One(&[(1, "path", Text), (2, "verb", Text)]),
    ),
];
const ACCESS_REVIEW: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(ACCESS_SPEC)),
    (3, "status", Empty),
];
const RULES_REVIEW: Table = &[
    (1, "metadata", One(META)),
    (2, "spec", One(&[(1, "namespace", Text)])),
    (3, "status", Empty),
];
const SELF_REVIEW: Table = &[(1, "metadata", One(META)), (2, "status", Empty)];
const DELETE_OPTIONS: Table = &[
    (1, "gracePeriodSeconds", Int),
    (
        2,
        "preconditions",
        One(&[(1, "uid", Text), (2, "resourceVersion", Text)]),
    ),
    (3, "orphanDependents", Bool),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];

fn table(kind: &str) -> Option<Table> {
    Some(match kind {
        "Namespace" => NAMESPACE,
        "ConfigMap" => CONFIG_MAP,
        "Secret" => SECRET,
        "ServiceAccount" => SERVICE_ACCOUNT,
        "Pod" => POD,
        "Deployment" => DEPLOYMENT,
        "Service" => SERVICE,
        "Role" | "ClusterRole" => ROLE,
        "RoleBinding" | "ClusterRoleBinding" => ROLE_BINDING,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        "SelfSubjectRulesReview" => RULES_REVIEW,
        "SelfSubjectReview" => SELF_REVIEW,
        "DeleteOptions" => DELETE_OPTIONS,
        _ => return None,
    })
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
