//! The cluster that a show runs on, through its API only: the embedded one is one of many.

pub mod apply;
pub mod context;
pub mod gateway;
pub mod kinds;
mod kubeconfig;
pub mod predict;
pub mod server_side;
pub mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};

/// A cluster: its kubeconfig is all that commands, watches and predictions need.
#[derive(Clone, Debug)]
pub struct Target {
    /// The kubeconfig that leads there, and nowhere else.
    pub kubeconfig: PathBuf,
    /// It is not one of ours: it may be far away.
    pub is_foreign: bool,
    /// Holds the kubeconfig's directory, if it was made for this show.
    pub directory: Option<Arc<tempfile::TempDir>>,
}

impl Target {
    /// An embedded cluster, on this machine.
    pub fn of(kubeconfig: &Path) -> Self {
        Target {
            kubeconfig: kubeconfig.to_owned(),
            is_foreign: false,
            directory: None,
        }
    }
}

/// A client for a cluster: never from the environment or `~/.kube`.
pub async fn client(target: &Target) -> Result<kube::Client> {
    let kubeconfig = &target.kubeconfig;
    let read = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("reading the kubeconfig {}", kubeconfig.display()))?;
    let mut config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("using the kubeconfig {}", kubeconfig.display()))?;
    // A proxy of the user's environment is not the way to a server on this machine; and a client
    // that retries for minutes would look frozen on stage.
    if !target.is_foreign {
        config.proxy_url = None;
    }
    config.default_retry = false;
    kube::Client::try_from(config).context("setting up the cluster's client")
}
