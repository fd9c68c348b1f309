//! What effects are performed on: the shell, the cluster, the sampler, timers.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
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
use crate::engine::{Effect, Event, Id, Nested};
use crate::load::{self, Extras};
use crate::sample::Sampler;
use crate::script::load::Place;
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

/// The cluster that a show is played on.
#[derive(Clone, Debug)]
pub enum Stand {
    /// One of its own.
    Embedded(Profile),
    /// That of the show which runs this program, and its gateway's URL.
    Outer(Target, Option<String>),
}

/// Who and what a show is played with.
#[derive(Clone, Debug)]
pub struct Cast {
    /// The cluster that it is played on.
    pub stand: Stand,
    /// Where commands read from.
    pub input: Input,
    /// The script's path, absolute: `$0` of commands.
    pub script: PathBuf,
    /// Its arguments: `$1` …
    pub args: Vec<String>,
    /// Where commands start.
    pub directory: PathBuf,
    /// Variables of every command, besides those of this process.
    pub environment: Vec<(String, String)>,
    /// What each shell evaluates first: the functions of hooks.
    pub prologue: Vec<String>,
    /// What is read besides scripts that scripts play.
    pub extras: Extras,
}

/// The world that a show acts on.
pub struct World {
    clock: Clock,
    events: UnboundedSender<Event>,
    ready: watch::Receiver<Option<Arc<Ready>>>,
    probes: HashMap<Id, JoinSet<()>>,
    /// Typed before there was a shell.
    early: Arc<Mutex<Vec<u8>>>,
    tasks: JoinSet<()>,
    /// The wall second in which a route was last created.
    route_created: Option<i64>,
}

/// What is there once the cluster is.
struct Ready {
    /// The shells of the scripts that are being played, the outermost first.
    sessions: Mutex<Vec<Arc<Session>>>,
    /// Shells of scripts that are over: what they left running runs on until the show ends.
    retired: Mutex<Vec<Arc<Session>>>,
    /// Variables that every shell has to have by now.
    exported: Mutex<Vec<(String, String)>>,
    setup: Setup,
    extras: Extras,
    events: UnboundedSender<Event>,
    client: kube::Client,
    sampler: OnceLock<Sampler>,
    /// None when the show runs on that of another.
    cluster: Option<EmbeddedCluster>,
    /// Ended with the show.
    _watches: JoinSet<()>,
    _bin: tempfile::TempDir,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics with one of these held; a poisoned one is as good as any.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ready {
    /// The shell of the innermost script.
    fn session(&self) -> Arc<Session> {
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
    fn nest(&self) -> Result<Nested> {
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
}

impl World {
    /// Begins to build the world; `ClusterReady` comes when it stands.
    pub fn new(cast: Cast, clock: Clock, events: UnboundedSender<Event>, stage: Stage) -> Self {
        let (stands, ready) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let (sender, began) = (events.clone(), clock.began());
        tasks.spawn(async move {
            match build(cast, &sender, stage, began).await {
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
            early: Arc::default(),
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
        if let Some(ready) = &*self.ready.borrow() {
            for session in lock(&ready.sessions).iter() {
                session.resize(stage.columns, stage.rows);
            }
        }
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
            Effect::Run { id, command } => self.run(id, move |session| session.run(id, &command)),
            Effect::RunIfKnown { id, command } => {
                self.run(id, move |session| session.run_if_known(id, &command));
            }
            Effect::Expand { id, words } => {
                self.run(id, move |session| session.expand(id, &words));
            }
            Effect::Nest { id } => self.nest(id),
            Effect::LeaveNested => self.leave_nested(),
            Effect::Log(line) => tracing::warn!("{line}"),
            Effect::Interrupt(id) => self.with_session(|session| session.interrupt(id)),
            Effect::Kill(id) => self.with_session(|session| session.kill(id)),
            Effect::Type(bytes) => self.type_in(bytes),
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

    /// What is typed before there is a shell waits for it, in order.
    fn type_in(&mut self, bytes: Vec<u8>) {
        if self.ready.borrow().is_some() {
            return self.with_session(|session| session.type_bytes(&bytes));
        }
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = !early.is_empty();
        early.extend(bytes);
        drop(early);
        if waits {
            return;
        }
        let (ready, early) = (self.ready.clone(), self.early.clone());
        self.tasks.spawn(async move {
            if let Some(ready) = stands(ready).await {
                let mut early = early.lock().unwrap_or_else(PoisonError::into_inner);
                ready.session().type_bytes(&std::mem::take(&mut *early));
            }
        });
    }

    fn with_session(&self, act: impl FnOnce(&Session)) {
        if let Some(ready) = &*self.ready.borrow() {
            act(&ready.session());
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

    /// Runs a step as soon as there is a shell.
    fn run(&mut self, id: Id, step: impl FnOnce(&Session) -> Result<()> + Send + 'static) {
        let (ready, events) = (self.ready.clone(), self.events.clone());
        let same_second = self.route_created.take();
        self.tasks.spawn(async move {
            while same_second == Some(jiff::Timestamp::now().as_second()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let Some(ready) = stands(ready).await else {
                return;
            };
            if let Err(error) = step(&ready.session()) {
                tracing::error!(id, %error, "a step could not be run");
                let _ = events.send(Event::ClusterFailed(format!("{error:#}")));
            }
        });
    }

    /// Reading and starting take a moment, so they happen beside the loop.
    fn nest(&mut self, id: Id) {
        let (ready, events) = (self.ready.clone(), self.events.clone());
        self.tasks.spawn_blocking(move || {
            let Some(ready) = ready.borrow().clone() else {
                return;
            };
            let nested = ready.nest().map_err(|error| format!("{error:#}"));
            let _ = events.send(Event::Nested(id, nested));
        });
    }

    /// The innermost script is over. A port that it forwards in the background stays forwarded.
    fn leave_nested(&self) {
        let Some(ready) = self.ready.borrow().clone() else {
            return;
        };
        let mut sessions = lock(&ready.sessions);
        if sessions.len() > 1 {
            lock(&ready.retired).extend(sessions.pop());
        }
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
            let directory = ready.session().directory();
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

async fn build(
    cast: Cast,
    events: &UnboundedSender<Event>,
    stage: Stage,
    began: std::time::Instant,
) -> Result<Ready> {
    let (cluster, target, gateway) = match cast.stand {
        Stand::Embedded(profile) => {
            let cluster = EmbeddedCluster::start(profile.into()).await?;
            let target = Target {
                kubeconfig: cluster.kubeconfig().to_owned(),
            };
            (Some(cluster), target, None)
        }
        Stand::Outer(target, gateway) => (None, target, gateway),
    };
    let bin = stand_in::install().context("installing the stand-ins")?;
    let own = std::env::current_exe().context("finding this program's own path")?;
    let cache = bin.path().join("kube-cache");
    let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    environment.push(("SHELL".into(), own.into()));
    environment.push(("KUBECACHEDIR".into(), cache.into()));
    if let Some(cluster) = &cluster {
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
    let client = cluster::client(&target.kubeconfig).await?;
    let watches = cluster::watch::watch_all(client.clone(), events.clone()).await?;
    if let Some(cluster) = &cluster {
        let gateways = cluster.gateways();
        let mut changes = gateways.changes();
        while !gateways.settled() {
            changes
                .changed()
                .await
                .context("the embedded cluster has ended")?;
        }
    }
    let sampler = OnceLock::new();
    if let Some(url) = gateway {
        // Set once, here; the grid is the outer show's.
        let _ = sampler.set(Sampler::new(&url, began, events.clone())?);
        let _ = events.send(Event::Gateway(url));
    }
    Ok(Ready {
        sessions: Mutex::new(vec![Arc::new(session)]),
        retired: Mutex::default(),
        exported: Mutex::default(),
        setup,
        extras: cast.extras,
        events: events.clone(),
        client,
        sampler,
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
    let Some(cluster) = &ready.cluster else {
        return Ok(());
    };
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
    ready.export(&variables)?;
    let sampler = Sampler::new(&url, began, events.clone())?;
    let mut grid = sampler.grid();
    // Set once, here.
    let _ = ready.sampler.set(sampler);
    let _ = events.send(Event::Gateway(url));
    while grid.join_next().await.is_some() {}
    Ok(())
}
