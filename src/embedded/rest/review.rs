//! Reviews: questions that are posted and not stored. Whoever has the token may do everything.

use serde_json::json;

use super::{Reply, Request};
use crate::embedded::discovery::REVIEWS;
use crate::embedded::status::ApiError;

/// The name that the token stands for.
const USER: &str = "footlights";

/// Answers a review, if the path is one's.
pub fn handle(request: &Request, segments: &[&str]) -> Option<Result<Reply, ApiError>> {
    let ["apis", group, "v1", plural] = segments else {
        return None;
    };
    let review = REVIEWS
        .iter()
        .find(|r| r.group == *group && r.plural == *plural)?;
    let kind = review.kind;
    if request.method != "POST" {
        return Some(Err(ApiError::method_not_allowed()));
    }
    let asked = match request.object() {
        Ok(asked) => asked,
        Err(error) => return Some(Err(error)),
    };
    let status = match kind {
        "SelfSubjectAccessReview" => json!({
            "allowed": true, "reason": "the token of the embedded cluster may do everything",
        }),
        "SelfSubjectRulesReview" => json!({
            "incomplete": false,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
        _ => {
            json!({"userInfo": {"username": USER, "groups": ["system:masters", "system:authenticated"]}})
        }
    };
    let mut answer = json!({"kind": kind, "apiVersion": format!("{group}/v1"),
                            "metadata": {"creationTimestamp": null}, "status": status});
    if !asked["spec"].is_null() {
        answer["spec"] = asked["spec"].clone();
    }
    Some(Ok(Reply::json(201, answer)))
}
