//! The cluster that a stand-in works on: the one of `KUBECONFIG`.

use anyhow::{Context, Result};
use kube::api::{Api, DeleteParams, DynamicObject};
use kube::core::GroupVersionKind;
use kube::discovery::Discovery;
use serde_json::{Value, json};

use crate::cluster;
use crate::cluster::apply::{Mode, api_of, apply};

/// A client of the cluster, and what it serves.
pub struct Here {
    /// The client.
    pub client: kube::Client,
    /// The kinds.
    pub discovery: Discovery,
}

impl Here {
    /// Connects.
    pub async fn connect() -> Result<Self> {
        let path = std::env::var_os("KUBECONFIG").context("KUBECONFIG is not set")?;
        let client = cluster::client(&cluster::Target::of(path.as_ref())).await?;
        let discovery = Discovery::new(client.clone()).run_aggregated().await?;
        Ok(Here { client, discovery })
    }

    /// Applies objects. CRDs among them are known to those that follow.
    pub async fn apply_all(&mut self, objects: &[Value], namespace: &str) -> Result<()> {
        for object in objects {
            apply(
                &self.client,
                &self.discovery,
                object,
                namespace,
                Mode::Store,
            )
            .await?;
            if object["kind"] == "CustomResourceDefinition" {
                self.discovery = Discovery::new(self.client.clone()).run_aggregated().await?;
            }
        }
        Ok(())
    }

    /// Applies an object that is not there.
    pub async fn apply_if_absent(&mut self, object: &Value) -> Result<()> {
        let (api, _) = api_of(&self.client, &self.discovery, object, "")?;
        let name = object["metadata"]["name"].as_str().unwrap_or("");
        match api.get_opt(name).await? {
            Some(_) => Ok(()),
            None => self.apply_all(std::slice::from_ref(object), "").await,
        }
    }

    /// Deletes an object; one that is not there is no mistake.
    pub async fn delete(&self, object: &Value, namespace: &str) -> Result<()> {
        let Ok((api, _)) = api_of(&self.client, &self.discovery, object, namespace) else {
            return Ok(());
        };
        let name = object["metadata"]["name"].as_str().unwrap_or("");
        match api.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// True if a Deployment stands.
    pub async fn has_deployment(&self, namespace: &str, name: &str) -> Result<bool> {
        let api = self.api("apps", "Deployment", namespace)?;
        Ok(api.get_opt(name).await?.is_some())
    }

    /// True if a namespace stands.
    pub async fn has_namespace(&self, name: &str) -> Result<bool> {
        let object = json!({"apiVersion": "v1", "kind": "Namespace"});
        let (api, _) = api_of(&self.client, &self.discovery, &object, "")?;
        Ok(api.get_opt(name).await?.is_some())
    }

    /// The API of a kind of version v1 in a namespace.
    pub fn api(&self, group: &str, kind: &str, namespace: &str) -> Result<Api<DynamicObject>> {
        let gvk = GroupVersionKind::gvk(group, "v1", kind);
        let (resource, _) = self
            .discovery
            .resolve_gvk(&gvk)
            .with_context(|| format!("the cluster does not serve {kind}"))?;
        Ok(Api::namespaced_with(
            self.client.clone(),
            namespace,
            &resource,
        ))
    }

    /// Waits until a Deployment is available.
    pub async fn wait_for(&self, namespace: &str, name: &str) -> Result<()> {
        let api = self.api("apps", "Deployment", namespace)?;
        for _ in 0..600 {
            if let Some(found) = api.get_opt(name).await?
                && found.data["status"]["availableReplicas"]
                    .as_u64()
                    .unwrap_or(0)
                    > 0
            {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        anyhow::bail!("{namespace}/{name} does not become available")
    }
}

/// A namespace.
pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// A Deployment of a control plane: what it would do, the embedded cluster does by itself.
pub fn control_plane(namespace: &str, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": name, "image": image}]}}},
    })
}
