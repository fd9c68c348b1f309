//! What `kubectl apply` does with one object: create it, or send the three-way merge.

use anyhow::{Context, Result, bail};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Discovery, Scope};
use serde_json::{Value, json};

use crate::embedded::patch::three_way_merge;

/// The annotation in which client-side apply keeps what it last applied.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether the server stores what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Store,
    /// It only says what would be stored.
    DryRun,
}

/// An object before and after.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Before; none if it was not there.
    pub before: Option<Value>,
    /// After.
    pub after: Value,
}

/// The API of an object's kind, in its namespace.
pub fn api_of(
    client: &kube::Client,
    discovery: &Discovery,
    object: &Value,
    namespace: &str,
) -> Result<(Api<DynamicObject>, ApiResource)> {
    let api_version = object["apiVersion"].as_str().unwrap_or("");
    let kind = object["kind"].as_str().unwrap_or("");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let Some((resource, capabilities)) = discovery.resolve_gvk(&gvk) else {
        let name = object["metadata"]["name"].as_str().unwrap_or("");
        bail!(
            "resource mapping not found for name: \"{name}\": no matches for kind \"{kind}\" in \
             version \"{api_version}\"\nensure CRDs are installed first"
        );
    };
    let api = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object["metadata"]["namespace"]
                .as_str()
                .unwrap_or(namespace);
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    };
    Ok((api, resource))
}

/// An object with the namespace that it gets.
pub fn placed(object: &Value, api: &Api<DynamicObject>) -> Value {
    let mut object = object.clone();
    if let Some(namespace) = api.namespace() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

/// Applies one object as `kubectl apply` does client-side.
pub async fn apply(
    client: &kube::Client,
    discovery: &Discovery,
    object: &Value,
    namespace: &str,
    mode: Mode,
) -> Result<Applied> {
    let (api, _) = api_of(client, discovery, object, namespace)?;
    let name = object["metadata"]["name"]
        .as_str()
        .context("the object has no name")?;
    let mut wanted = object.clone();
    let mut remembered = object.clone();
    if !remembered["metadata"]["annotations"].is_object() {
        remembered["metadata"]["annotations"] = json!({});
    }
    wanted["metadata"]["annotations"][LAST_APPLIED] = json!(format!("{remembered}\n"));
    let dry_run = mode == Mode::DryRun;
    let manager = Some("kubectl-client-side-apply".to_owned());
    let Some(live) = api.get_opt(name).await? else {
        let parameters = PostParams {
            dry_run,
            field_manager: manager,
        };
        let created = api
            .create(&parameters, &serde_json::from_value(wanted)?)
            .await?;
        let after = serde_json::to_value(created)?;
        return Ok(Applied {
            before: None,
            after,
        });
    };
    let live = serde_json::to_value(live)?;
    let original = live["metadata"]["annotations"][LAST_APPLIED].as_str();
    let original = original
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let mut patch = three_way_merge(&original, &wanted, &live);
    if let Some(fields) = patch.as_object_mut() {
        for identity in ["apiVersion", "kind"] {
            fields.remove(identity);
        }
    }
    let parameters = PatchParams {
        dry_run,
        field_manager: manager,
        ..PatchParams::default()
    };
    let patched = api.patch(name, &parameters, &Patch::Merge(&patch)).await?;
    let after = serde_json::to_value(patched)?;
    let before = Some(live);
    Ok(Applied { before, after })
}
