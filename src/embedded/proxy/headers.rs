//! Header fields on their way through the proxy.

use http::header::{self, HeaderMap, HeaderName};

use crate::embedded::routing::table::HeaderEdits;

/// Removes fields that are for one connection only, and those that `Connection` names (RFC 9110
/// 7.6.1).
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ] {
        headers.remove(name);
    }
}

/// Changes fields as a route's filters say: set, then add, then remove.
pub fn edit(headers: &mut HeaderMap, edits: &[HeaderEdits]) {
    for edits in edits {
        for (name, value) in &edits.set {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                headers.insert(name, value);
            }
        }
        for (name, value) in &edits.add {
            let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) else {
                continue;
            };
            headers.append(name, value);
        }
        for name in &edits.remove {
            headers.remove(name);
        }
    }
}

/// The `Host` field.
pub fn host(headers: &HeaderMap) -> Option<String> {
    headers.get(header::HOST)?.to_str().ok().map(str::to_owned)
}

/// True for a gRPC call.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"))
}
