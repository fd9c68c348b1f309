//! Defaults and pruning: what a server adds to an object, and what it drops.

use serde_json::{Map, Value};

use super::{Kind, Schema};

impl Schema {
    /// Fills in defaults, in objects and lists that are there. `null` where it is not allowed and
    /// has a default counts as absent.
    pub fn default(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, schema) in &self.properties {
                    if let Some(default) = &schema.default
                        && fields
                            .get(name)
                            .is_none_or(|v| v.is_null() && !schema.nullable)
                    {
                        fields.insert(name.clone(), default.clone());
                    }
                }
                for (name, field) in fields {
                    if let Some(schema) = self.field(name) {
                        schema.default(field);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    for item in items {
                        schema.default(item);
                    }
                }
            }
            _ => {}
        }
    }

    /// Drops what the schema does not know; returns the paths of what was dropped.
    pub fn prune(&self, value: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        self.prune_at(value, "", &mut dropped);
        dropped
    }

    fn prune_at(&self, value: &mut Value, at: &str, dropped: &mut Vec<String>) {
        match value {
            Value::Object(fields) => self.prune_fields(fields, at, dropped),
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    for (index, item) in items.iter_mut().enumerate() {
                        schema.prune_at(item, &format!("{at}[{index}]"), dropped);
                    }
                }
            }
            _ => {}
        }
    }

    fn prune_fields(&self, fields: &mut Map<String, Value>, at: &str, dropped: &mut Vec<String>) {
        let below = |name: &str| {
            if at.is_empty() {
                name.to_owned()
            } else {
                format!("{at}.{name}")
            }
        };
        // A value of another type than object is validation's to refuse.
        let known = self.open || !matches!(self.kind, Kind::Object);
        if self.drops_nulls {
            fields.retain(|_, value| !value.is_null());
        }
        fields.retain(|name, value| match self.field(name) {
            Some(schema) => {
                schema.prune_at(value, &below(name), dropped);
                true
            }
            None if known => true,
            None => {
                dropped.push(below(name));
                false
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::Schema;
    use serde_json::json;

    #[test]
    fn defaults_reach_into_what_is_there_and_unknown_fields_go() {
        let schema = Schema::of_crd(&json!({"type": "object", "properties": {"spec": {
            "type": "object", "properties": {
                "size": {"type": "integer", "default": 3},
                "parts": {"type": "array", "items": {"type": "object", "properties": {
                    "kind": {"type": "string", "default": "bolt"}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties":
                    {"a": {"type": "string"}}}},
                "open": {"type": "object", "default": {}, "properties":
                    {"x": {"type": "string", "default": "y"}}}}}}}))
        .unwrap();
        let mut object = json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n", "odd": 1},
            "spec": {"size": null, "parts": [{}, {"kind": "nut", "extra": 1}], "typo": 1,
                     "free": {"any": 1}, "map": {"m": {"a": "1", "b": "2"}}}, "status": {}});
        let dropped = schema.prune(&mut object);
        assert_eq!(
            dropped,
            [
                "metadata.odd",
                "spec.map.m.b",
                "spec.parts[1].extra",
                "spec.typo",
                "status"
            ]
        );
        schema.default(&mut object);
        assert_eq!(
            object["spec"],
            json!({"size": 3, "parts": [{"kind": "bolt"}, {"kind": "nut"}], "free": {"any": 1},
                   "map": {"m": {"a": "1"}}, "open": {"x": "y"}})
        );
    }
}
