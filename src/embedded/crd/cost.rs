//! What the CEL rules of a resource cost, so that none makes the cluster stand still.
//!
//! A real server estimates a cost when a CRD is created, and counts it when a rule is evaluated. Here
//! a rule is known by the size of its tree and by how its loops stand in each other; what it may take
//! is reckoned from the lists that an object really has.

use std::collections::HashMap;

use kube_cel::cel::common::ast::{EntryExpr, Expr};
use kube_cel::cel::{IdedExpr as Expression, Program};
use serde_json::Value;

use crate::embedded::list::items;

/// Steps that the rules of one object may take together: about a second.
const BUDGET: u64 = 10_000_000;

/// What a rule costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Parts of its tree.
    nodes: u64,
    /// Loops in each other, at the most.
    pub loops: u32,
    /// By which power of a list's length it grows: a loop that builds a list copies it at each step.
    power: u32,
}

impl Cost {
    /// Of a compiled rule.
    pub fn of(program: &Program) -> Self {
        Cost::of_expression(program.expression())
    }

    fn of_expression(expression: &Expression) -> Self {
        let own = Cost {
            nodes: 1,
            ..Cost::default()
        };
        let below = |parts: &mut dyn Iterator<Item = &Expression>| {
            parts.map(Cost::of_expression).fold(own, Cost::beside)
        };
        match &expression.expr {
            Expr::Call(call) => below(&mut call.args.iter().chain(call.target.as_deref())),
            Expr::Comprehension(c) => {
                let builds = matches!(c.accu_init.expr, Expr::List(_));
                let mut each = below(&mut [&c.loop_cond, &c.loop_step].into_iter());
                each.loops += 1;
                each.power += 1 + u32::from(builds);
                let once = below(&mut [&c.iter_range, &c.accu_init, &c.result].into_iter());
                each.beside(once)
            }
            Expr::List(list) => below(&mut list.elements.iter()),
            Expr::Map(map) => below(&mut map.entries.iter().flat_map(|e| parts(&e.expr))),
            Expr::Struct(object) => below(&mut object.entries.iter().flat_map(|e| parts(&e.expr))),
            Expr::Select(select) => below(&mut std::iter::once(&*select.operand)),
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => own,
        }
    }

    fn beside(self, other: Cost) -> Cost {
        Cost {
            nodes: self.nodes + other.nodes,
            loops: self.loops.max(other.loops),
            power: self.power.max(other.power),
        }
    }

    fn on(self, length: u64) -> u64 {
        self.nodes
            .saturating_mul(length.max(1).saturating_pow(self.power))
    }
}

fn parts(entry: &EntryExpr) -> Vec<&Expression> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// The costs of a schema's rules, by their text.
#[derive(Debug, Default)]
pub struct Costs(HashMap<String, Cost>);

impl Costs {
    /// Of all rules of a schema.
    pub fn of(schema: &Value) -> Self {
        let mut costs = Costs::default();
        costs.add(schema);
        costs
    }

    fn add(&mut self, schema: &Value) {
        for entry in items(&schema["x-kubernetes-validations"]) {
            for field in ["rule", "messageExpression"] {
                if let Some(text) = entry[field].as_str()
                    && !self.0.contains_key(text)
                    && let Ok(program) = Program::compile(text)
                {
                    self.0.insert(text.to_owned(), Cost::of(&program));
                }
            }
        }
        for (_, below) in subschemas(schema) {
            self.add(below);
        }
    }

    /// True if the rules may not be evaluated on an object: together they would take too long.
    pub fn exceed(&self, schema: &Value, object: &Value) -> bool {
        self.spent(schema, object) > BUDGET
    }

    fn spent(&self, schema: &Value, value: &Value) -> u64 {
        let texts = items(&schema["x-kubernetes-validations"]);
        let texts = texts.flat_map(|e| [e["rule"].as_str(), e["messageExpression"].as_str()]);
        let costs: Vec<Cost> = texts
            .flatten()
            .filter_map(|t| self.0.get(t))
            .copied()
            .collect();
        let length = match costs.is_empty() {
            true => 0,
            false => longest(value),
        };
        let mut spent: u64 = costs
            .iter()
            .map(|c| c.on(length))
            .fold(0, u64::saturating_add);
        for (place, below) in subschemas(schema) {
            let values: Box<dyn Iterator<Item = &Value>> = match place {
                Place::Field(name) => Box::new(value.get(name).into_iter()),
                Place::Items => Box::new(items(value)),
                Place::Values => Box::new(value.as_object().into_iter().flat_map(|o| o.values())),
            };
            for value in values {
                spent = spent.saturating_add(self.spent(below, value));
            }
        }
        spent
    }
}

/// Where the values of a subschema are.
enum Place<'a> {
    Field(&'a str),
    Items,
    Values,
}

fn subschemas(schema: &Value) -> impl Iterator<Item = (Place<'_>, &Value)> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, below)| (Place::Field(name), below));
    let items = schema.get("items").map(|below| (Place::Items, below));
    let values = schema.get("additionalProperties");
    let values = values.map(|below| (Place::Values, below));
    fields
        .chain(items)
        .chain(values)
        .filter(|(_, below)| below.is_object())
}

/// The length of the longest list or map within a value.
fn longest(value: &Value) -> u64 {
    let (own, below) = match value {
        Value::Array(list) => (list.len(), list.iter().map(longest).max()),
        Value::Object(map) => (map.len(), map.values().map(longest).max()),
        _ => return 0,
    };
    below.unwrap_or(0).max(own as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cost(rule: &str) -> (u32, u32) {
        let cost = Cost::of(&Program::compile(rule).unwrap());
        (cost.loops, cost.power)
    }

    #[test]
    fn loops_are_counted_in_the_tree() {
        for (rule, loops, power) in [
            ("self.a > 1 && has(self.b)", 0, 0),
            ("self.l.all(a, size(a) > 0)", 1, 1),
            ("self.l.all(a, true) && self.l.exists(a, a == 1)", 1, 1),
            ("self.l.all(a, self.l.all(b, a == b))", 2, 2),
            ("self.l.map(a, a).size() == 1", 1, 2),
            ("self.l.map(a, self.l.map(b, [a, b])).size() == 1", 2, 4),
            (r#"self.l.all (a, ")" != "" && self.l.all(b, true))"#, 2, 2),
            ("[1].map(x, {x: self.l.exists(a, a == x)}) == []", 2, 3),
        ] {
            assert_eq!(cost(rule), (loops, power), "{rule}");
        }
    }

    #[test]
    fn what_rules_may_take_goes_by_the_lists_of_the_object() {
        let schema = |rule: &str| {
            json!({"properties": {"spec": {"type": "object",
                "x-kubernetes-validations": [{"rule": rule}],
                "properties": {"l": {"type": "array", "items": {"type": "integer"}}}}}})
        };
        for (rule, length, exceeds) in [
            ("self.l.all(a, a > 0)", 100_000, false),
            ("self.l.all(a, self.l.all(b, a + b > 0))", 100, false),
            ("self.l.all(a, self.l.all(b, a + b > 0))", 3_000, true),
            ("self.l.map(a, self.l.map(b, [a, b])).size() > 0", 10, false),
            ("self.l.map(a, self.l.map(b, [a, b])).size() > 0", 200, true),
            ("self.l.map(a, a).size() > 0", 20_000, true),
        ] {
            let schema = schema(rule);
            let list: Vec<u64> = (0..length).collect();
            let object = json!({"spec": {"l": list}});
            assert_eq!(
                Costs::of(&schema).exceed(&schema, &object),
                exceeds,
                "{rule}"
            );
        }
    }
}
