//! What effects are performed on: the shell, the cluster, the sampler, timers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::cluster::{self, Target, predict};
use crate::diff::Verb;
use crate::embedded::EmbeddedCluster;
use crate::embedded::profile::Profile;
use crate::engine::{Effect, Event, Id};
use crate::sample::Sampler;
use crate::shell::{Input, Session, Setup};
use crate::stand_in;

/// The size of the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl Default for Stage {
    fn default() -> Self {
        Stage {
            columns: 80,
            rows: 24,
        }
    }
}

/// Who and what a show is played with.
#[derive(Clone, Debug)]
pub struct Cast {
    /// What the embedded cluster starts with.
    pub profile: Profile,
    /// Where commands read from.
    pub input: Input,
    /// The script's path, absolute: `$0` of commands.
    pub script: PathBuf,
    /// Its arguments: `$1` …
    pub args: Vec<String>,
    /// Where commands start.
    pub directory: PathBuf,
    /// Variables of every command.
    pub environment: Vec<(String, String)>,
}

/// The world that a show acts on.
pub struct World {
    clock: Clock,
    events: UnboundedSender<Event>,
    ready: watch::Receiver<Option<Arc<Ready>>>,
    probes: HashMap<Id, JoinSet<()>>,
    tasks: JoinSet<()>,
    /// The wall second in which a route was last created.
    route_created: Option<i64>,
}

/// What is there once the cluster is.
struct Ready {
    session: Session,
    client: kube::Client,
    sampler: OnceLock<Sampler>,
    cluster: EmbeddedCluster,
    /// Ended with the show.
    _watches: JoinSet<()>,
    _bin: tempfile::TempDir,
}

impl World {
    /// Begins to build the world; `ClusterReady` comes when it stands.
    pub fn new(cast: Cast, clock: Clock, events: UnboundedSender<Event>, stage: Stage) -> Self {
        let (stands, ready) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let (sender, began) = (events.clone(), clock.began());
        tasks.spawn(async move {
            match build(cast, &sender, stage).await {
                Err(error) => drop(sender.send(Event::ClusterFailed(format!("{error:#}")))),
                Ok(built) => {
                    let built = Arc::new(built);
                    stands.send_replace(Some(built.clone()));
                    let _ = sender.send(Event::ClusterReady);
                    if let Err(error) = follow_gateway(&built, began, &sender).await {
                        let _ = sender.send(Event::ClusterFailed(format!("{error:#}")));
                    }
                    // The receivers keep the world; the task only has to keep the channel open.
                    std::future::pending::<()>().await;
                }
            }
        });
        World {
            clock,
            events,
            ready,
            probes: HashMap::new(),
            tasks,
            route_created: None,
        }
    }

    /// Ends everything: probes, watches, the shell and its children, the cluster and its files.
    pub async fn close(mut self) {
        self.probes.clear();
        self.tasks.shutdown().await;
        // The last owner of what stands; dropping it may wait for programs to end.
        let World { ready, .. } = self;
        let dropped = tokio::task::spawn_blocking(move || drop(ready)).await;
        debug_assert!(dropped.is_ok());
    }

    /// Another size of the stage.
    pub fn resize(&self, stage: Stage) {
        self.with_session(|session| session.resize(stage.columns, stage.rows));
    }

    /// Looks at what the show is told: a new route makes the next command wait for the next wall
    /// second. A route's age has a resolution of one second and breaks ties of precedence, so two
    /// routes of one second would have an order that no presenter sees.
    pub fn notice(&mut self, event: &Event) {
        if let Event::Changed(change) = event
            && change.verb == Verb::Created
            && change.kind.ends_with("Route")
        {
            self.route_created = Some(jiff::Timestamp::now().as_second());
        }
    }

    /// Performs an effect. What takes time goes on by itself and reports with an event.
    pub fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Pause { id, length } => {
                let clock = self.clock.clone();
                self.later(async move {
                    clock.pause(length).await;
                    Event::Timer(id)
                });
            }
            Effect::Deadline { id, length } => self.later(async move {
                tokio::time::sleep(length).await;
                Event::Timer(id)
            }),
            Effect::Run { id, command } => self.run(id, command),
            Effect::Interrupt(id) => self.with_session(|session| session.interrupt(id)),
            Effect::Kill(id) => self.with_session(|session| session.kill(id)),
            Effect::Type(bytes) => self.with_session(|session| session.type_bytes(&bytes)),
            Effect::Predict { id, command } => self.predict(id, &command),
            Effect::Probe { id, scope } => {
                let ready = self.ready.borrow().clone();
                if let Some(sampler) = ready.as_ref().and_then(|r| r.sampler.get()) {
                    self.probes.insert(id, sampler.probe(id, &scope));
                }
            }
            Effect::StopProbe(id) => drop(self.probes.remove(&id)),
            Effect::Mark(_) | Effect::Finish => {}
        }
    }

    fn with_session(&self, act: impl FnOnce(&Session)) {
        if let Some(ready) = &*self.ready.borrow() {
            act(&ready.session);
        }
    }

    fn later(&mut self, event: impl Future<Output = Event> + Send + 'static) {
        let events = self.events.clone();
        self.tasks.spawn(async move {
            // Nobody listens any more once the show is over.
            let _ = events.send(event.await);
        });
        while self.tasks.try_join_next().is_some() {}
    }

    /// Runs a command as soon as there is a shell.
    fn run(&mut self, id: Id, command: String) {
        let (ready, events) = (self.ready.clone(), self.events.clone());
        let same_second = self.route_created.take();
        self.tasks.spawn(async move {
            while same_second == Some(jiff::Timestamp::now().as_second()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let Some(ready) = stands(ready).await else {
                return;
            };
            if let Err(error) = ready.session.run(id, &command) {
                let _ = events.send(Event::ClusterFailed(format!("{error:#}")));
            }
        });
    }

    fn predict(&mut self, id: Id, command: &str) {
        let Some(plain) = predict::plain_apply(command) else {
            return;
        };
        let (ready, events) = (self.ready.clone(), self.events.clone());
        self.tasks.spawn(async move {
            let Some(ready) = stands(ready).await else {
                return;
            };
            let directory = ready.session.directory();
            match predict::predict(&ready.client, &plain, &directory).await {
                Ok(changes) => drop(events.send(Event::Predicted(id, changes))),
                // The command itself will say what is wrong.
                Err(error) => tracing::info!(%error, "no prediction"),
            }
        });
    }
}

/// Waits until the world stands; none if it never will.
async fn stands(mut ready: watch::Receiver<Option<Arc<Ready>>>) -> Option<Arc<Ready>> {
    ready.wait_for(Option::is_some).await.ok()?.clone()
}

async fn build(cast: Cast, events: &UnboundedSender<Event>, stage: Stage) -> Result<Ready> {
    let cluster = EmbeddedCluster::start(cast.profile).await?;
    let target = Target {
        kubeconfig: cluster.kubeconfig().to_owned(),
    };
    let bin = stand_in::install().context("installing the stand-ins")?;
    let own = std::env::current_exe().context("finding this program's own path")?;
    let cache = bin.path().join("kube-cache");
    let mut environment = vec![
        ("SHELL".to_owned(), own.to_string_lossy().into_owned()),
        (
            "KUBECACHEDIR".to_owned(),
            cache.to_string_lossy().into_owned(),
        ),
    ];
    environment.extend(cast.environment);
    let session = Session::start(
        Setup {
            environment,
            kubeconfig: target.kubeconfig.clone(),
            bin: bin.path().to_owned(),
            input: cast.input,
            size: (stage.columns, stage.rows),
            script: cast.script,
            args: cast.args,
            directory: cast.directory,
        },
        events.clone(),
    )?;
    session.export(&[])?;
    let client = cluster::client(&target.kubeconfig).await?;
    let watches = cluster::watch::watch_all(client.clone(), events.clone()).await?;
    let gateways = cluster.gateways();
    let mut changes = gateways.changes();
    while !gateways.settled() {
        changes
            .changed()
            .await
            .context("the embedded cluster has ended")?;
    }
    Ok(Ready {
        session,
        client,
        sampler: OnceLock::new(),
        cluster,
        _watches: watches,
        _bin: bin,
    })
}

/// Tells the show the first Gateway's URL as soon as there is one, and runs the grid.
async fn follow_gateway(
    ready: &Ready,
    began: std::time::Instant,
    events: &UnboundedSender<Event>,
) -> Result<()> {
    let gateways = ready.cluster.gateways();
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
    let proxy = format!("http://{}", ready.cluster.forward_proxy());
    let api = ready.cluster.api().to_string();
    let mut variables = vec![("FOOTLIGHTS_GATEWAY_URL", url.as_str())];
    if first.address.port() != first.port {
        variables.extend([("http_proxy", proxy.as_str()), ("no_proxy", &api)]);
    }
    ready.session.export(&variables)?;
    let sampler = Sampler::new(&url, began, events.clone())?;
    let mut grid = sampler.grid();
    // Set once, here.
    let _ = ready.sampler.set(sampler);
    let _ = events.send(Event::Gateway(url));
    while grid.join_next().await.is_some() {}
    Ok(())
}
