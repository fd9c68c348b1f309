//! The embedded cluster: a real server in this process that real clients can talk to.
//!
//! ```text
//! kubectl, kube ──HTTPS──> api ──> rest ──> store ──> reconcile ──┐
//!                                             ^                   v
//!                              kubelet ───────┘            routing::compile
//!                                 │ starts                        │
//!                                 v                               v
//! curl, browser ──HTTP──> gateway ──> proxy ──> workloads     RouteTable
//!                                                 │  ^            │
//!                                                 mesh ──> proxy ─┘
//! ```
//!
//! PURE: `admission`, `apply`, `crd`, `discovery`, `fingerprint`, `openapi`, `patch`, `percent`,
//! `protobuf`, `reconcile`, `resource`, `rest`, `routing`, `schema`, `selector`, `status`, `store`,
//! `table`, `watch`. The others do IO.

pub mod admission;
pub mod api;
pub mod apply;
pub mod body;
pub mod crd;
pub mod credentials;
pub mod discovery;
pub mod fingerprint;
pub mod forward_proxy;
pub mod gateway;
pub mod hub;
pub mod kubelet;
pub mod list;
pub mod mesh;
pub mod openapi;
pub mod patch;
pub mod percent;
pub mod profile;
pub mod protobuf;
pub mod proxy;
pub mod reconcile;
pub mod resource;
pub mod rest;
pub mod routing;
pub mod schema;
pub mod selector;
pub mod serve;
pub mod status;
pub mod store;
pub mod table;
pub mod watch;
pub mod workloads;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use credentials::Credentials;
use forward_proxy::Doors;
use hub::Hub;
use kubelet::Logs;
use profile::Profile;
use proxy::Proxy;
use routing::attach::GATEWAYS;
use routing::table::{ListenerProtocol, ObjectRef};
use serve::{Stop, stop};

/// A running embedded cluster. Dropping it stops everything and removes its files.
pub struct EmbeddedCluster {
    hub: Arc<Hub>,
    kubeconfig: PathBuf,
    credentials: Arc<Credentials>,
    api: SocketAddr,
    forward_proxy: SocketAddr,
    _stop: Stop,
    _directory: tempfile::TempDir,
}

/// One listener of a Gateway, and where it can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayListener {
    /// The Gateway.
    pub gateway: ObjectRef,
    /// The listener's name.
    pub listener: String,
    /// The port that the Gateway asks for.
    pub port: u16,
    /// The address that is bound.
    pub address: SocketAddr,
    /// It speaks HTTPS.
    pub https: bool,
}

impl GatewayListener {
    /// The URL at which it can be reached; ports 80 and 443 go without saying.
    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        match (self.https, self.address.port()) {
            (false, 80) | (true, 443) => format!("{scheme}://{}", self.address.ip()),
            _ => format!("{scheme}://{}", self.address),
        }
    }
}

/// The cluster's Gateways, as they are when asked.
#[derive(Clone, Debug)]
pub struct Gateways(Arc<Hub>);

/// How a cluster is started. Ports are free ones unless said.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What stands in it.
    pub profile: Profile,
    /// Where the kubeconfig is written, if not in a private directory.
    pub kubeconfig: Option<PathBuf>,
    /// The API server's port.
    pub api_port: Option<u16>,
    /// The port of the first Gateway's first listener.
    pub gateway_port: Option<u16>,
    /// The mesh proxy's port.
    pub mesh_proxy: Option<u16>,
}

impl From<Profile> for Options {
    fn from(profile: Profile) -> Self {
        Options {
            profile,
            ..Options::default()
        }
    }
}

async fn bind(port: Option<u16>, whose: &str) -> Result<TcpListener> {
    let port = port.unwrap_or(0);
    TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("binding {whose} port {port} on 127.0.0.1"))
}

impl EmbeddedCluster {
    /// Starts a cluster with what a profile puts into it. The API answers when this returns; pods
    /// and Gateways follow within milliseconds.
    pub async fn start(options: Options) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("footlights-")
            .tempdir()
            .context("making a private directory for the embedded cluster")?;
        let listener = bind(options.api_port, "the API server's").await?;
        let api = listener.local_addr()?;
        if let Some(port) = options.gateway_port {
            // Its listener comes later and would take another port instead.
            drop(bind(Some(port), "the Gateway's").await?);
        }
        let credentials = Credentials::generate().context("making the embedded cluster's CA")?;
        let credentials = Arc::new(credentials);
        let kubeconfig = match options.kubeconfig {
            Some(path) => std::path::absolute(path)?,
            None => directory.path().join("kubeconfig"),
        };
        credentials.write_kubeconfig(&kubeconfig, &format!("https://{api}"))?;

        let hub = Arc::new(Hub::new(fastrand::u64(..)));
        let logs = Logs::default();
        let proxy = Proxy::new();
        let (stop, stopped) = stop();
        profile::install(&hub, options.profile)?;
        tokio::spawn(kubelet::run(
            hub.clone(),
            proxy.clone(),
            logs.clone(),
            stopped.clone(),
        ));
        tokio::spawn(gateway::run(
            hub.clone(),
            proxy.clone(),
            options.gateway_port,
            stopped.clone(),
        ));
        let forward = bind(options.mesh_proxy, "the mesh proxy's").await?;
        let forward_proxy = forward.local_addr()?;
        let doors = Doors {
            gateways: Gateways(hub.clone()),
            hub: hub.clone(),
            proxy: proxy.clone(),
        };
        tokio::spawn(forward_proxy::run(forward, doors, stopped.clone()));
        let (api_hub, api_credentials) = (hub.clone(), credentials.clone());
        tokio::spawn(async move {
            api::run(listener, &api_credentials, api_hub, proxy, logs, stopped).await;
        });
        Ok(EmbeddedCluster {
            hub,
            kubeconfig,
            credentials,
            api,
            forward_proxy,
            _stop: stop,
            _directory: directory,
        })
    }

    /// The kubeconfig that leads here.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A certificate that lets a client in, and its key, both PEM.
    pub fn client_certificate(&self) -> Result<(String, String)> {
        self.credentials.client_certificate()
    }

    /// The API server's address.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// The forward proxy's address.
    pub fn forward_proxy(&self) -> SocketAddr {
        self.forward_proxy
    }

    /// The forward proxy's URL: a door into the mesh.
    pub fn mesh_proxy(&self) -> String {
        format!("http://{}", self.forward_proxy)
    }

    /// A handle on the Gateways.
    pub fn gateways(&self) -> Gateways {
        Gateways(self.hub.clone())
    }
}

impl Gateways {
    /// All listeners that are bound, in order of the Gateways' addresses.
    pub fn list(&self) -> Vec<GatewayListener> {
        let table = self.0.table();
        let bound = self.0.bound();
        let mut listeners: Vec<GatewayListener> = table
            .listeners
            .iter()
            .filter_map(|l| {
                let address = *bound.get(&(l.gateway.clone(), l.port))?;
                Some(GatewayListener {
                    gateway: l.gateway.clone(),
                    listener: l.name.clone(),
                    port: l.port,
                    address,
                    https: l.protocol != ListenerProtocol::Http,
                })
            })
            .collect();
        listeners.sort_by_key(|l| l.address.ip());
        listeners
    }

    /// Where the listener really is that a client asks for by the Gateway's address and port.
    pub fn bound(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let host = if host == "localhost" {
            "127.0.0.1"
        } else {
            host
        };
        self.list()
            .into_iter()
            .find(|l| l.port == port && l.address.ip().to_string() == host)
            .map(|l| l.address)
    }

    /// Wakes when anything in the cluster changes.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.revisions()
    }

    /// True once there is a Gateway and every pod is ready.
    pub fn settled(&self) -> bool {
        let pods_ready = self.0.read(|state| {
            let mut pods = state.store.list("pods", None);
            pods.all(|(_, pod)| routing::compile::is_ready(pod))
        });
        let gateways = self
            .0
            .read(|state| state.store.list(GATEWAYS, None).count());
        pods_ready && self.list().len() >= gateways
    }
}
