//! What an embedded cluster starts with.

use anyhow::{Context, Result, bail};

use serde_json::json;

use super::crd;
use super::discovery;
use super::hub::Hub;
use super::rest::{Reply, Request};
use super::store::Key;
use crate::manifest;

/// How much stands already when a script begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Namespaces only.
    Bare,
    /// The Gateway API with a GatewayClass, and a mesh; no workloads.
    #[default]
    Gateway,
    /// Also Faces, its Gateway and its base routes.
    Workshop,
}

/// The Gateway API's CRDs, as `footlights cluster crds` prints them.
pub const GATEWAY_API: &str = include_str!("../../assets/crds/gateway-api.yaml");
const GATEWAY: &str = include_str!("../../assets/profiles/gateway.yaml");
const WORKSHOP: &str = include_str!("../../assets/profiles/workshop.yaml");

/// Creates a profile's objects through the REST layer, as a client would.
pub fn install(hub: &Hub, profile: Profile) -> Result<()> {
    for name in ["default", "kube-system", "kube-public"] {
        create(
            hub,
            &serde_json::json!({"apiVersion": "v1", "kind": "Namespace",
                                        "metadata": {"name": name}}),
        )?;
    }
    create(hub, &node())?;
    hub.change(|state, now| {
        let key = Key::new("nodes", "", "footlights");
        state
            .store
            .update(&key, now, |o| o["status"] = node_status(now));
    });
    let manifests: &[&str] = match profile {
        Profile::Bare => &[],
        Profile::Gateway => &[GATEWAY_API, GATEWAY],
        Profile::Workshop => &[GATEWAY_API, GATEWAY, WORKSHOP],
    };
    for text in manifests {
        for document in manifest::parse(text).context("reading a built-in profile")? {
            if document.object["kind"] == "CustomResourceDefinition" {
                define(hub, document.object);
            } else {
                create(hub, &document.object)?;
            }
        }
    }
    Ok(())
}

/// Stores a CRD of ours, which a test has validated: to compile its rules takes longer than all the
/// rest of a start.
fn define(hub: &Hub, mut crd: serde_json::Value) {
    crd::default(&mut crd);
    let name = crd["metadata"]["name"].as_str().unwrap_or("").to_owned();
    hub.change(|state, now| {
        state.store.put(Key::new(crd::CRDS, "", &name), crd, now);
    });
}

/// The one node, which is this process.
fn node() -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "footlights", "labels": {
            "kubernetes.io/hostname": "footlights", "kubernetes.io/os": "linux",
            "node-role.kubernetes.io/control-plane": ""}},
        "spec": {"podCIDR": "10.42.0.0/24", "podCIDRs": ["10.42.0.0/24"]},
    })
}

/// What a kubelet would say of the node.
fn node_status(now: &str) -> serde_json::Value {
    let version = &discovery::version()["gitVersion"];
    json!({
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"},
                      {"type": "Hostname", "address": "footlights"}],
        "capacity": {"cpu": "4", "memory": "8Gi", "pods": "1000"},
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "1000"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "the embedded cluster is running", "lastHeartbeatTime": now,
            "lastTransitionTime": now}],
        "nodeInfo": {"kubeletVersion": version, "operatingSystem": "linux",
            "osImage": "Footlights", "containerRuntimeVersion": "footlights://1",
            "architecture": std::env::consts::ARCH, "kernelVersion": "", "machineID": "",
            "systemUUID": "", "bootID": "", "kubeProxyVersion": ""},
    })
}

fn create(hub: &Hub, object: &serde_json::Value) -> Result<()> {
    let api_version = object["apiVersion"].as_str().unwrap_or("");
    let kind = object["kind"].as_str().unwrap_or("");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = hub.read(|state| state.registry.of_kind(group, kind).cloned());
    let Some(resource) = resource else {
        bail!("a built-in profile has an object of unknown kind {kind}");
    };
    let root = if group.is_empty() { "/api" } else { "/apis" };
    let namespace = match object["metadata"]["namespace"].as_str() {
        _ if !resource.namespaced() => String::new(),
        Some(namespace) => format!("namespaces/{namespace}/"),
        None => "namespaces/default/".to_owned(),
    };
    let group = if group.is_empty() {
        String::new()
    } else {
        format!("{group}/")
    };
    let request = Request {
        method: "POST".to_owned(),
        path: format!("{root}/{group}{version}/{namespace}{}", resource.plural),
        body: object.to_string().into_bytes(),
        ..Request::default()
    };
    match hub.request(&request) {
        Ok(Reply::Json { .. }) => Ok(()),
        Ok(other) => bail!("creating {kind} of a built-in profile: {other:?}"),
        Err(error) => bail!("creating {kind} of a built-in profile: {}", error.message),
    }
}
