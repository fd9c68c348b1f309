//! ReferenceGrants: who may refer to what in another namespace (GATEWAY.md 6).

use serde_json::Value;

use super::items;
use crate::embedded::store::Store;

/// The store's name of ReferenceGrants.
pub const REFERENCE_GRANTS: &str = "referencegrants.gateway.networking.k8s.io";

/// An object as a grant names it.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// Its group, empty for core.
    pub group: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
}

/// True if `from` may refer to the object `name` of `to`'s kind and namespace. Within one namespace
/// everybody may.
pub fn allows(store: &Store, from: Party<'_>, to: Party<'_>, name: &str) -> bool {
    if from.namespace == to.namespace {
        return true;
    }
    let fits_from = |entry: &Value| {
        entry["group"] == from.group
            && entry["kind"] == from.kind
            && entry["namespace"] == from.namespace
    };
    let fits_to = |entry: &Value| {
        entry["group"] == to.group
            && entry["kind"] == to.kind
            && entry["name"].as_str().is_none_or(|n| n == name)
    };
    store
        .list(REFERENCE_GRANTS, Some(to.namespace))
        .any(|(_, grant)| {
            items(&grant["spec"]["from"]).any(fits_from) && items(&grant["spec"]["to"]).any(fits_to)
        })
}
