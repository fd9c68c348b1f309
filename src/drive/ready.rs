//! What a show stands on once its cluster does: shells, a client, the sampler.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::world::{Cast, Stage, Stand};
use crate::audience::Polling;
use crate::cluster::{self, Target, gateway};
use crate::embedded::EmbeddedCluster;
use crate::engine::{Event, Nested};
use crate::load::{self, Extras};
use crate::sample::Sampler;
use crate::script::load::Place;
use crate::shell::{Session, Setup};
use crate::stand_in;

/// What is there once the cluster is.
pub(super) struct Ready {
    /// The shells of the scripts that are being played, the outermost first.
    pub(super) sessions: Mutex<Vec<Arc<Session>>>,
    /// Shells of scripts that are over: what they left running runs on until the show ends.
    pub(super) retired: Mutex<Vec<Arc<Session>>>,
    /// Variables that every shell has to have by now.
    exported: Mutex<Vec<(String, String)>>,
    setup: Setup,
    extras: Extras,
    events: UnboundedSender<Event>,
    pub(super) client: kube::Client,
    /// Once there is a Gateway to ask.
    pub(super) sampler: watch::Sender<Option<Sampler>>,
    way: Way,
    began: Instant,
    /// Ended with the show.
    _watches: JoinSet<()>,
    _bin: tempfile::TempDir,
    target: Target,
}

/// How the gateway is found.
enum Way {
    /// The embedded cluster says.
    Embedded(Box<EmbeddedCluster>),
    /// The Gateways' statuses say.
    Status,
    /// It is given, or nobody is asked.
    Given(Option<String>),
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics with one of these held; a poisoned one is as good as any.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ready {
    /// Builds it: the cluster, the shell, the watches.
    pub(super) async fn build(
        cast: Cast,
        events: &UnboundedSender<Event>,
        stage: Stage,
        began: Instant,
    ) -> Result<Self> {
        let (way, target) = match cast.stand {
            Stand::Embedded(profile) => {
                let cluster = EmbeddedCluster::start(profile.into()).await?;
                let target = Target::of(cluster.kubeconfig());
                (Way::Embedded(Box::new(cluster)), target)
            }
            Stand::Outer(target, gateway) => (Way::Given(gateway), target),
            Stand::Context(target, Some(gateway)) => (Way::Given(Some(gateway)), target),
            Stand::Context(target, None) => (Way::Status, target),
        };
        let bin = match way {
            Way::Embedded(_) | Way::Given(_) if !target.is_foreign => stand_in::install(),
            _ => stand_in::none(),
        };
        let bin = bin.context("installing the stand-ins")?;
        let own = std::env::current_exe().context("finding this program's own path")?;
        let cache = bin.path().join("kube-cache");
        let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        environment.push(("SHELL".into(), own.into()));
        environment.push(("KUBECACHEDIR".into(), cache.into()));
        if let Way::Embedded(cluster) = &way {
            environment.push(("FOOTLIGHTS_MESH_PROXY".into(), cluster.mesh_proxy().into()));
        }
        let added = cast.environment.into_iter();
        environment.extend(added.map(|(name, value)| (name.into(), value.into())));
        let setup = Setup {
            environment,
            kubeconfig: target.kubeconfig.clone(),
            bin: bin.path().to_owned(),
            input: cast.input,
            size: (stage.columns, stage.rows),
            script: cast.script,
            args: cast.args,
            directory: cast.directory,
            prologue: cast.prologue,
        };
        let session = Session::start(setup.clone(), events.clone())?;
        session.export(&[])?;
        let client = cluster::client(&target).await?;
        let watches = cluster::watch::watch_all(client.clone(), events.clone()).await?;
        if let Way::Embedded(cluster) = &way {
            let gateways = cluster.gateways();
            let mut changes = gateways.changes();
            while !gateways.settled() {
                changes
                    .changed()
                    .await
                    .context("the embedded cluster has ended")?;
            }
        }
        Ok(Ready {
            sessions: Mutex::new(vec![Arc::new(session)]),
            retired: Mutex::default(),
            exported: Mutex::default(),
            setup,
            extras: cast.extras,
            events: events.clone(),
            client,
            sampler: watch::Sender::new(None),
            way,
            began,
            _watches: watches,
            _bin: bin,
            target,
        })
    }

    /// True on a cluster that is not ours.
    pub(super) fn is_foreign(&self) -> bool {
        self.target.is_foreign
    }

    /// The kubeconfig that leads to the cluster.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.target.kubeconfig
    }

    /// The shell of the innermost script.
    pub(super) fn session(&self) -> Arc<Session> {
        let sessions = lock(&self.sessions);
        // The outermost shell is there as long as the world stands.
        sessions.last().expect("there is always a shell").clone()
    }

    /// Variables that commands get from now on, in every shell.
    fn export(&self, variables: &[(&str, &str)]) -> Result<()> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let sessions = lock(&self.sessions);
        *lock(&self.exported) = variables.iter().map(own).collect();
        sessions
            .iter()
            .try_for_each(|session| session.export(variables))
    }

    /// Reads the script whose words the innermost shell has expanded, and starts a shell for it.
    pub(super) fn nest(&self) -> Result<Nested> {
        let parent = self.session();
        let expanded = parent.expanded()?;
        let (path, args) = expanded.words.split_first().context("no script is named")?;
        let path = PathBuf::from(path);
        let text = |text: &OsString| text.to_str().map(str::to_owned);
        let mut variables: crate::script::interpolate::Variables = expanded
            .environment
            .iter()
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect();
        let shown = load::shown_from(&self.setup.directory, &expanded.directory.join(&path));
        let script = load::load(&load::Request {
            path: &path,
            shown: &shown,
            directory: &expanded.directory,
            start: &self.setup.directory,
            variables: &variables,
            extras: self.extras,
            place: Place::Nested,
        })?;
        if let Some(error) = script.diagnostics.iter().find(|d| d.is_error()) {
            anyhow::bail!("{error}");
        }
        let absolute = std::path::absolute(expanded.directory.join(&path))?;
        let words = [absolute.to_string_lossy().into_owned()];
        for (number, word) in words.iter().chain(args).enumerate() {
            variables.insert(number.to_string(), word.clone());
        }
        let setup = Setup {
            environment: expanded.environment,
            script: absolute,
            args: args.to_vec(),
            directory: expanded.directory,
            prologue: script.prologue(),
            size: parent.size(),
            ..self.setup.clone()
        };
        let session = Session::start(setup, self.events.clone())?;
        // Held until the session stands with the others: what is exported meanwhile reaches it too.
        let mut sessions = lock(&self.sessions);
        let exported = lock(&self.exported).clone();
        let exported: Vec<(&str, &str)> = exported
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        session.export(&exported)?;
        sessions.push(Arc::new(session));
        Ok(Nested {
            script: Arc::new(script),
            variables: Arc::new(variables),
        })
    }

    /// Tells the show the first Gateway's URL as soon as there is one, and runs the grid.
    pub(super) async fn follow_gateway(&self, polling: watch::Receiver<Polling>) -> Result<()> {
        let url = match &self.way {
            Way::Embedded(cluster) => self.first_of(cluster).await?,
            Way::Status => gateway::first_url(&self.client).await?,
            Way::Given(None) => return Ok(()),
            Way::Given(Some(url)) => url.clone(),
        };
        if !matches!(self.way, Way::Embedded(_)) {
            self.export(&[("FOOTLIGHTS_GATEWAY_URL", &url)])?;
        }
        let sampler = Sampler::new(&url, self.began, self.events.clone())?;
        self.sampler.send_replace(Some(sampler.clone()));
        let _ = self.events.send(Event::Gateway(url));
        // Within another show the grid is that show's.
        if matches!(self.way, Way::Given(_)) && !self.target.is_foreign {
            return Ok(());
        }
        draw_grid(&sampler, polling).await;
        Ok(())
    }

    /// The first Gateway of the embedded cluster, once there is one.
    async fn first_of(&self, cluster: &EmbeddedCluster) -> Result<String> {
        let gateways = cluster.gateways();
        let mut changes = gateways.changes();
        let first = loop {
            if let Some(first) = gateways.list().into_iter().next() {
                break first;
            }
            changes
                .changed()
                .await
                .context("the embedded cluster has ended")?;
        };
        let url = first.url();
        let proxy = cluster.mesh_proxy();
        let api = cluster.api().to_string();
        let mut variables = vec![("FOOTLIGHTS_GATEWAY_URL", url.as_str())];
        if first.address.port() != first.port {
            variables.extend([("http_proxy", proxy.as_str()), ("no_proxy", &api)]);
        }
        self.export(&variables)?;
        Ok(url)
    }
}

/// Samples for the grid, anew whenever it is another.
async fn draw_grid(sampler: &Sampler, mut polling: watch::Receiver<Polling>) {
    loop {
        let grid = sampler.grid(&polling.borrow_and_update().clone());
        if polling.changed().await.is_err() {
            return;
        }
        drop(grid);
    }
}
