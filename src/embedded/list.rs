//! Lists in JSON, read without asking first whether they are lists.

use serde_json::Value;

/// The items of a list; none of anything else.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
