//! `@apply`: server-side apply of any manifest, without kubectl.
//!
//! Namespaces and CRDs come first; a kind that is not served yet and a namespace that is not there yet
//! are waited for, since a server needs a moment after a CRD.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::discovery::Discovery;
use kube::{Client, Error};
use serde_json::Value;
use tokio::time::Instant;

use super::apply;
use crate::diff::{Change, compare};
use crate::manifest::{self, Document};

/// Who owns the fields that are applied.
pub const MANAGER: &str = "footlights";
/// kubectl's own applies. What they own the presenter has written, in this show or before it: a field
/// of theirs is taken over, as by kubectl itself when it goes from client-side to server-side apply.
const KUBECTL: [&str; 2] = ["kubectl-client-side-apply", "kubectl"];
/// How long a kind or a namespace that has just been made is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// A manifest's objects in the order in which they are applied: lists opened, namespaces and CRDs first.
fn in_order(text: &str) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for document in manifest::parse(text)? {
        let items = document.object["items"].as_array();
        match items.filter(|_| document.object["kind"] == "List") {
            Some(items) => documents.extend(items.iter().map(|item| Document {
                line: document.line,
                object: item.clone(),
            })),
            None => documents.push(document),
        }
    }
    documents.sort_by_key(|document| match document.object["kind"].as_str() {
        Some("Namespace") => 0,
        Some("CustomResourceDefinition") => 1,
        _ => 2,
    });
    Ok(documents)
}

/// Applies a manifest; says a line for each object.
pub async fn apply_all(client: &Client, text: &str, mut tell: impl FnMut(String)) -> Result<()> {
    let documents = in_order(text)?;
    if documents.is_empty() {
        bail!("there is no object in it");
    }
    let mut discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut has_new_kinds = false;
    for Document { line, object } in documents {
        let place = || format!("line {line}: {}", named(&object));
        let until = Instant::now() + PATIENCE;
        let api = loop {
            match apply::api_of(client, &discovery, &object, client.default_namespace()) {
                Ok((api, _)) => break api,
                Err(error) if !has_new_kinds || Instant::now() > until => {
                    return Err(error).with_context(place);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
            discovery = Discovery::new(client.clone()).run_aggregated().await?;
        };
        tell(
            apply_one(client, &api, &object, until)
                .await
                .with_context(place)?,
        );
        has_new_kinds |= object["kind"] == "CustomResourceDefinition";
    }
    Ok(())
}

/// Applies one object; what it returns is kubectl's line, and what was taken over.
async fn apply_one(
    client: &Client,
    api: &Api<DynamicObject>,
    object: &Value,
    until: Instant,
) -> Result<String> {
    let name = name_of(object)?;
    let before = api.get_opt(name).await.ok().flatten();
    let mut parameters = PatchParams::apply(MANAGER);
    let mut taken_over = None;
    let after = loop {
        match api.patch(name, &parameters, &Patch::Apply(object)).await {
            Ok(after) => break after,
            Err(Error::Api(status)) if status.code == 409 => {
                let conflicts = conflicts(&status);
                let is_kubectls = |c: &Conflict| KUBECTL.contains(&c.manager.as_str());
                if parameters.force || conflicts.is_empty() {
                    return Err(anyhow!(status.message.clone()));
                }
                if let Some(foreign) = conflicts.iter().find(|c| !is_kubectls(c)) {
                    bail!(explained(foreign, conflicts.len()));
                }
                parameters.force = true;
                taken_over = conflicts.into_iter().next();
            }
            // A namespace or a kind that has just been made.
            Err(Error::Api(status)) if [404, 429].contains(&status.code) => {
                let missing =
                    status.code == 404 && !may_come(client, object, &status.message).await;
                if missing || Instant::now() > until {
                    return Err(anyhow!(status.message.clone()));
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(Error::Api(status)) => return Err(anyhow!(status.message.clone())),
            Err(error) => return Err(error.into()),
        }
    };
    let same = before
        .and_then(|before| before.metadata.resource_version)
        .is_some_and(|version| Some(version) == after.metadata.resource_version);
    let word = if same {
        "unchanged"
    } else {
        "serverside-applied"
    };
    let mut line = format!("{} {word}", named(object));
    if let Some(Conflict { manager, .. }) = taken_over {
        line += &format!(" (fields taken over from {manager})");
    }
    Ok(line)
}

/// A 404 of an apply is about its namespace, or about a kind that is being made: worth another try if
/// the namespace is there, or the path is not known to the server as yet.
async fn may_come(client: &Client, object: &Value, message: &str) -> bool {
    if !message.contains("namespaces \"") {
        return true;
    }
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    let namespace = object["metadata"]["namespace"]
        .as_str()
        .unwrap_or(client.default_namespace());
    matches!(namespaces.get_opt(namespace).await, Ok(Some(_)))
}

/// A field that somebody else owns.
#[derive(Debug, PartialEq)]
struct Conflict {
    manager: String,
    field: String,
}

fn conflicts(status: &kube::core::Status) -> Vec<Conflict> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| Conflict {
            // conflict with "NAME" using v1, or: conflict with "NAME" with subresource "x"
            manager: cause.message.split('"').nth(1).unwrap_or("?").to_owned(),
            field: cause.field.trim_start_matches('.').to_owned(),
        })
        .collect()
}

fn explained(Conflict { manager, field }: &Conflict, all: usize) -> String {
    let more = match all {
        1 => String::new(),
        all => format!(" ({all} fields in all)"),
    };
    format!(
        "{field} is owned by {manager}, which wants another value{more}. The object is left as it was: change \
         it there, leave the field out of the manifest, or take it over with `kubectl apply \
         --server-side --force-conflicts`"
    )
}

/// What applying a manifest would change, by a dry run on the server.
pub async fn predict(client: &Client, text: &str) -> Result<Vec<Change>> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut changes = Vec::new();
    for Document { object, .. } in in_order(text)? {
        // What is not served yet, or in no namespace yet, is new.
        let namespace = client.default_namespace();
        let Ok((api, _)) = apply::api_of(client, &discovery, &object, namespace) else {
            changes.extend(compare(None, Some(&object)));
            continue;
        };
        let name = name_of(&object)?;
        let parameters = PatchParams {
            force: true,
            dry_run: true,
            ..PatchParams::apply(MANAGER)
        };
        let before = api
            .get_opt(name)
            .await?
            .map(serde_json::to_value)
            .transpose()?;
        let change = match &before {
            None => compare(None, Some(&apply::placed(&object, &api))),
            Some(before) => {
                let after = api.patch(name, &parameters, &Patch::Apply(&object)).await?;
                compare(Some(before), Some(&serde_json::to_value(after)?))
            }
        };
        changes.extend(change);
    }
    Ok(changes)
}

fn name_of(object: &Value) -> Result<&str> {
    object["metadata"]["name"]
        .as_str()
        .context("the object has no name")
}

/// `httproute.gateway.networking.k8s.io/smiley`, as kubectl names what it applied.
fn named(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let kind = text(&object["kind"]).to_lowercase();
    let name = text(&object["metadata"]["name"]);
    match text(&object["apiVersion"]).split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use kube::client::Body;
    use kube::core::{ApiResource, GroupVersionKind};
    use serde_json::json;

    use super::*;

    /// A server that gives these answers to applies, one after the other, and finds the namespaces it
    /// has; and how many applies it got.
    async fn applied(
        answers: &[(u16, Value)],
        namespace: &str,
        patience: Duration,
    ) -> (Result<String>, usize) {
        let applies = Arc::new(Mutex::new(0));
        let (counted, answers) = (Arc::clone(&applies), answers.to_vec());
        let namespace_path = format!("/api/v1/namespaces/{namespace}");
        let service = tower::service_fn(move |request: Request<Body>| {
            let (status, body) = if request.method() == http::Method::PATCH {
                let mut counted = counted.lock().unwrap();
                *counted += 1;
                answers[(*counted - 1).min(answers.len() - 1)].clone()
            } else if request.uri().path() == namespace_path {
                (200, json!({"metadata": {"name": "there"}}))
            } else {
                (404, refusal(404, "not found"))
            };
            let response = Response::builder().status(status);
            let response = response.body(Body::from(body.to_string().into_bytes()));
            std::future::ready(response)
        });
        let client = Client::new(service, "default");
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
        let api = Api::namespaced_with(client.clone(), "there", &kind);
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
                            "metadata": {"name": "a", "namespace": "there"}});
        let until = Instant::now() + patience;
        let line = apply_one(&client, &api, &object, until).await;
        let applies = *applies.lock().unwrap();
        (line, applies)
    }

    fn refusal(code: u16, message: &str) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "X",
               "code": code, "message": message})
    }

    #[tokio::test]
    async fn what_may_come_is_tried_again() {
        let good = (
            200,
            json!({"metadata": {"name": "a", "resourceVersion": "7"}}),
        );
        let no_namespace = (404, refusal(404, "namespaces \"there\" not found"));
        let no_kind = (
            404,
            refusal(404, "the server could not find the requested resource"),
        );
        let busy = (429, refusal(429, "storage is (re)initializing"));
        let invalid = (422, refusal(422, "a is invalid"));
        let done = Ok("configmap/a serverside-applied");
        let all = [&busy, &no_kind, &no_namespace, &good].map(Clone::clone);
        for (answers, namespace, patience, result, tries) in [
            (&[good][..], "there", PATIENCE, done, 1),
            (&all, "there", PATIENCE, done, 4),
            (
                &[no_namespace],
                "elsewhere",
                PATIENCE,
                Err("namespaces \"there\" not found"),
                1,
            ),
            (&[invalid], "there", PATIENCE, Err("a is invalid"), 1),
            (
                &[busy],
                "there",
                Duration::ZERO,
                Err("storage is (re)initializing"),
                1,
            ),
        ] {
            let (seen, applies) = applied(answers, namespace, patience).await;
            let seen = seen.map_err(|error| error.to_string());
            let seen = seen.as_deref().map_err(String::as_str);
            assert_eq!((seen, applies), (result, tries), "{answers:?}");
        }
    }

    #[test]
    fn namespaces_and_definitions_come_first_and_lists_are_opened() {
        let object = |kind: &str, name: &str| format!("kind: {kind}\nmetadata: {{name: {name}}}\n");
        let list = "kind: List\nitems:\n- {kind: X, metadata: {name: c}}\n- {kind: Namespace, metadata: {name: d}}\n";
        let text = [
            object("X", "a"),
            object("CustomResourceDefinition", "b"),
            list.to_owned(),
            object("Namespace", "e"),
        ]
        .join("---\n");
        let names: Vec<String> = in_order(&text)
            .unwrap()
            .iter()
            .map(|d| name_of(&d.object).unwrap().to_owned())
            .collect();
        assert_eq!(names, ["d", "e", "b", "a", "c"]);
    }

    #[test]
    fn a_conflict_names_its_owner_and_its_field() {
        let status: kube::core::Status = serde_json::from_value(serde_json::json!({
            "code": 409, "status": "Failure", "message": "x", "reason": "Conflict",
            "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.replicas",
                                    "message": "conflict with \"hpa\" with subresource \"scale\" using apps/v1"}]}
        }))
        .unwrap();
        let seen = conflicts(&status);
        assert_eq!(
            (&*seen[0].manager, &*seen[0].field),
            ("hpa", "spec.replicas")
        );
        assert!(explained(&seen[0], 3).contains("spec.replicas is owned by hpa"));
        assert!(explained(&seen[0], 3).contains("3 fields in all"));
    }
}
