//! The cluster that a show runs on, through its API only: the embedded one is one of many.

pub mod apply;
pub mod predict;
pub mod watch;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};

/// A cluster: its kubeconfig is all that commands, watches and predictions need.
#[derive(Clone, Debug)]
pub struct Target {
    /// The kubeconfig that leads there, and nowhere else.
    pub kubeconfig: PathBuf,
}

/// A client from a kubeconfig: never from the environment or `~/.kube`.
pub async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let read = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("reading the kubeconfig {}", kubeconfig.display()))?;
    let mut config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("using the kubeconfig {}", kubeconfig.display()))?;
    // A proxy of the user's environment is not the way to a server on this machine; and a client
    // that retries for minutes would look frozen on stage.
    config.proxy_url = None;
    config.default_retry = false;
    kube::Client::try_from(config).context("setting up the cluster's client")
}
