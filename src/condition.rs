//! Conditions of an object's status, as `@expect condition` judges them. Pure.
//!
//! A Gateway or Deployment has them in `status.conditions`; a route has them for each of its parents, in
//! `status.parents[].conditions`, and they hold when they hold for every parent.

use serde_json::Value;

use crate::script::expect::Condition;

/// Whether a condition holds for an object, and what was seen of it, in words.
pub fn judge(wanted: &Condition, object: Option<&Value>) -> (bool, String) {
    let Some(object) = object else {
        return (false, "there is no such object".to_owned());
    };
    let lists = lists_of_conditions(&object["status"]);
    let mut told: Vec<String> = Vec::new();
    let mut holds = !lists.is_empty();
    for (parent, conditions) in lists {
        let (this_holds, mut seen) = judge_one(wanted, object, conditions);
        if let Some(parent) = parent {
            seen = format!("{seen} for {parent}");
        }
        holds &= this_holds;
        if !told.contains(&seen) {
            told.push(seen);
        }
    }
    if told.is_empty() {
        told.push("it has no conditions yet".to_owned());
    }
    (holds, told.join("; "))
}

/// The conditions, each list with the parent that it is about, if it is about one.
fn lists_of_conditions(status: &Value) -> Vec<(Option<String>, &[Value])> {
    if let Some(conditions) = status["conditions"].as_array() {
        return vec![(None, conditions)];
    }
    let parents = status["parents"].as_array();
    parents
        .into_iter()
        .flatten()
        .map(|parent| {
            let reference = &parent["parentRef"];
            let kind = reference["kind"].as_str().unwrap_or("Gateway");
            let name = reference["name"].as_str().unwrap_or("?");
            let conditions = parent["conditions"].as_array();
            let conditions = conditions.map_or(&[][..], Vec::as_slice);
            (Some(format!("{kind} {name}")), conditions)
        })
        .collect()
}

fn judge_one(wanted: &Condition, object: &Value, conditions: &[Value]) -> (bool, String) {
    let Some(seen) = conditions.iter().find(|c| c["type"] == *wanted.condition) else {
        return (false, format!("no condition {} yet", wanted.condition));
    };
    // What was written about an earlier state of the object says nothing about this one.
    // A Deployment says for all its conditions what they were written for.
    let whole = &object["status"]["observedGeneration"];
    let written_for = seen["observedGeneration"].as_i64().or(whole.as_i64());
    if written_for.is_some() && written_for < object["metadata"]["generation"].as_i64() {
        return (
            false,
            format!("{} is of an earlier generation", wanted.condition),
        );
    }
    let status = seen["status"].as_str().unwrap_or("?");
    let mut told = format!("{}={status}", wanted.condition);
    if let Some(reason) = seen["reason"].as_str().filter(|r| !r.is_empty()) {
        told += &format!(", reason {reason}");
    }
    let message = seen["message"].as_str().filter(|m| !m.is_empty());
    if let (Some(message), false) = (message, status == wanted.status) {
        told += &format!(": {message}");
    }
    (status == wanted.status, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::expect::{self, Claim};
    use serde_json::json;

    #[test]
    fn conditions_are_judged() {
        let condition = |status, generation| {
            json!({"type": "Accepted", "status": status, "reason": "Why", "message": "Because.",
                   "observedGeneration": generation})
        };
        let parent = |name, status| {
            json!({"parentRef": {"kind": "Service", "name": name},
                   "conditions": [condition(status, 2)]})
        };
        let object = |status: Value| Some(json!({"metadata": {"generation": 2}, "status": status}));
        for (object, holds, told) in [
            (None, false, "there is no such object"),
            (object(json!({})), false, "it has no conditions yet"),
            (
                object(json!({"parents": []})),
                false,
                "it has no conditions yet",
            ),
            (
                object(json!({"conditions": []})),
                false,
                "no condition Accepted yet",
            ),
            (
                object(json!({"conditions": [condition("True", 2)]})),
                true,
                "Accepted=True, reason Why",
            ),
            (
                object(json!({"conditions": [{"type": "Accepted", "status": "True"}]})),
                true,
                "Accepted=True",
            ),
            (
                object(json!({"conditions": [condition("True", 1)]})),
                false,
                "Accepted is of an earlier generation",
            ),
            (
                object(json!({"conditions": [condition("False", 2)]})),
                false,
                "Accepted=False, reason Why: Because.",
            ),
            (
                object(json!({"parents": [parent("a", "True"), parent("b", "False")]})),
                false,
                "Accepted=True, reason Why for Service a; Accepted=False, reason Why: Because. for Service b",
            ),
            (
                object(json!({"parents": [parent("a", "True"), parent("b", "True")]})),
                true,
                "Accepted=True, reason Why for Service a; Accepted=True, reason Why for Service b",
            ),
        ] {
            let Claim::Condition(wanted) = expect::parse("condition httproute/x Accepted")
                .unwrap()
                .claim
            else {
                panic!();
            };
            let seen = judge(&wanted, object.as_ref());
            assert_eq!(seen, (holds, told.to_owned()));
        }
    }
}
