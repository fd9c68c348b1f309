//! What effects are performed on: the shell, the cluster, the sampler, timers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use kube::discovery::Discovery;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::afterwards::{Afterwards, Created};
use super::ready::{Ready, lock};
use crate::audience::Polling;
use crate::clock::Clock;
use crate::cluster::{Target, kinds, predict, server_side};
use crate::diff::{Change, Verb};
use crate::embedded::profile::Profile;
use crate::engine::{Effect, Event, Exit, Id};
use crate::load::Extras;
use crate::script::Manifest;
use crate::script::expect::Condition;
use crate::shell::{Input, Session};
use crate::terminal::Terminal;

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
    /// A real one, and its gateway's URL, if that is given.
    Context(Target, Option<String>),
}

/// A step that is to be cleaned up waits this long for its prediction.
const PREDICTION: Duration = Duration::from_secs(5);

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
    /// What becomes of the cluster at the end.
    pub afterwards: Afterwards,
}

/// The world that a show acts on.
pub struct World {
    clock: Clock,
    events: UnboundedSender<Event>,
    ready: watch::Receiver<Option<Arc<Ready>>>,
    /// Probes, watches and applies that are under way.
    probes: HashMap<Id, JoinSet<()>>,
    polling: watch::Sender<Polling>,
    afterwards: Afterwards,
    created: Created,
    /// Closes when the next step's changes have been predicted.
    predicted: Option<oneshot::Receiver<Infallible>>,
    /// Typed before there was a shell.
    early: Arc<Mutex<Vec<u8>>>,
    tasks: JoinSet<()>,
    /// The wall second in which a route was last created.
    route_created: Option<i64>,
}

impl World {
    /// Begins to build the world; `ClusterReady` comes when it stands.
    pub fn new(cast: Cast, clock: Clock, events: UnboundedSender<Event>, stage: Stage) -> Self {
        let (stands, ready) = watch::channel(None);
        let (polling, shown) = watch::channel(Polling::default());
        let afterwards = cast.afterwards;
        let mut tasks = JoinSet::new();
        let (sender, began) = (events.clone(), clock.began());
        tasks.spawn(async move {
            match Ready::build(cast, &sender, stage, began).await {
                Err(error) => drop(sender.send(Event::ClusterFailed(format!("{error:#}")))),
                Ok(built) => {
                    let built = Arc::new(built);
                    stands.send_replace(Some(built.clone()));
                    let _ = sender.send(Event::ClusterReady);
                    if let Err(error) = built.follow_gateway(shown).await {
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
            polling,
            afterwards,
            created: Created::default(),
            predicted: None,
            early: Arc::default(),
            tasks,
            route_created: None,
        }
    }

    /// Hears the end of what is going on, where what came is cleaned up: a server is told of a step's
    /// objects before their watches tell of them.
    pub async fn hear_out(&mut self, events: &mut UnboundedReceiver<Event>) {
        if self.afterwards != Afterwards::CleanUp {
            return;
        }
        let until = tokio::time::Instant::now() + PREDICTION;
        while let Ok(event) = events.try_recv() {
            self.notice(&event);
        }
        while self.created.waits()
            && let Ok(Some(event)) = tokio::time::timeout_at(until, events.recv()).await
        {
            self.notice(&event);
        }
    }

    /// Does with the cluster what is to be done at the end.
    pub async fn wind_up(&mut self) {
        let Some(ready) = self.ready.borrow().clone() else {
            return;
        };
        match self.afterwards {
            Afterwards::CleanUp if ready.is_foreign() => {
                if let Err(error) = self.created.delete(&ready.client).await {
                    eprintln!("footlights: cleaning up: {error:#}");
                }
            }
            Afterwards::Stay if !ready.is_foreign() => {
                let kubeconfig = ready.kubeconfig().display();
                eprintln!("footlights: the cluster runs on until Ctrl-C: KUBECONFIG={kubeconfig}");
                crate::mode::terminated().await;
            }
            _ => {}
        }
    }

    /// Ends everything: probes, watches, the shell and its children, the cluster and its files.
    pub async fn close(mut self) {
        // They hold what stands: it must be dropped here and not by them.
        for tasks in self.probes.values_mut() {
            tasks.shutdown().await;
        }
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
        self.created.notice(event);
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
            Effect::Interrupt(id) | Effect::Kill(id) if self.probes.contains_key(&id) => {
                self.stop_applying(id);
            }
            Effect::Interrupt(id) => self.with_session(|session| session.interrupt(id)),
            Effect::Kill(id) => self.with_session(|session| session.kill(id)),
            Effect::Apply { id, manifest } => self.apply(id, manifest),
            Effect::PredictApply { id, manifest } => self.predict_apply(id, manifest),
            Effect::Grid(polling) => drop(self.polling.send_replace(polling)),
            Effect::WatchObject { id, condition } => self.watch_object(id, condition),
            Effect::Type(bytes) => self.type_in(bytes),
            Effect::Predict { id, command } => self.predict(id, &command),
            Effect::Probe { id, asked, at_once } => {
                let (ready, polling) = (self.ready.clone(), self.polling.borrow().clone());
                self.beside(id, async move {
                    let Some(ready) = stands(ready).await else {
                        return;
                    };
                    let mut sampler = ready.sampler.subscribe();
                    // A Gateway may be on its way.
                    let Ok(sampler) = sampler.wait_for(Option::is_some).await.map(|s| s.clone())
                    else {
                        return;
                    };
                    if let Some(sampler) = sampler {
                        let mut probe = sampler.probe(id, &asked, &polling, at_once);
                        while probe.join_next().await.is_some() {}
                    }
                });
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

    /// Does what can be stopped by its number.
    fn beside(&mut self, id: Id, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        self.probes.insert(id, tasks);
    }

    /// A route that was just created makes the next step wait for the next wall second.
    fn next_second(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let same_second = self.route_created.take();
        async move {
            while same_second == Some(jiff::Timestamp::now().as_second()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// What a show creates on a real cluster is known by what it was predicted to create: a step that
    /// is to be cleaned up begins after its prediction.
    fn prediction(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let predicted = self.predicted.take();
        let predicted = predicted.filter(|_| self.afterwards == Afterwards::CleanUp);
        async move {
            if let Some(predicted) = predicted {
                let _ = tokio::time::timeout(PREDICTION, predicted).await;
            }
        }
    }

    /// Runs a step as soon as there is a shell.
    fn run(&mut self, id: Id, step: impl FnOnce(&Session) -> Result<()> + Send + 'static) {
        let (ready, events) = (self.ready.clone(), self.events.clone());
        let (next_second, prediction) = (self.next_second(), self.prediction());
        self.tasks.spawn(async move {
            next_second.await;
            let Some(ready) = stands(ready).await else {
                return;
            };
            if ready.is_foreign() {
                prediction.await;
            }
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

    /// Applies a manifest; what it says is shown as a command's output is.
    fn apply(&mut self, id: Id, manifest: Manifest) {
        let (ready, events) = (self.ready.clone(), self.events.clone());
        let (next_second, prediction) = (self.next_second(), self.prediction());
        self.beside(id, async move {
            next_second.await;
            let Some(ready) = stands(ready).await else {
                return;
            };
            if ready.is_foreign() {
                prediction.await;
            }
            let session = ready.session();
            let mut screen = Terminal::new(session.size().0, session.size().1);
            let mut tell = |line: String| {
                screen.take(format!("{}\r\n", line.replace('\n', "\r\n")).as_bytes());
                let _ = events.send(Event::Output(id, Arc::new(screen.transcript())));
            };
            let applied = async {
                let text = text_of(&manifest, &session.directory()).await?;
                server_side::apply_all(&ready.client, &text, &mut tell).await
            };
            let status = match applied.await {
                Ok(()) => 0,
                Err(error) => {
                    tell(format!("error: {error:#}"));
                    1
                }
            };
            let exit = Exit {
                status,
                ..Exit::default()
            };
            let _ = events.send(Event::Exited(id, exit));
        });
    }

    fn stop_applying(&mut self, id: Id) {
        drop(self.probes.remove(&id));
        let exit = Exit {
            status: 130,
            ..Exit::default()
        };
        let _ = self.events.send(Event::Exited(id, exit));
    }

    fn predict_apply(&mut self, id: Id, manifest: Manifest) {
        self.tell_prediction(id, async move |ready| {
            let text = text_of(&manifest, &ready.session().directory()).await?;
            server_side::predict(&ready.client, &text).await
        });
    }

    /// Tells the object that has a condition, and whenever it is another.
    fn watch_object(&mut self, id: Id, condition: Condition) {
        let (ready, events) = (self.ready.clone(), self.events.clone());
        self.beside(id, async move {
            let Some(ready) = stands(ready).await else {
                return;
            };
            let tell = |object| events.send(Event::Object(id, object)).is_ok();
            loop {
                let watched = watch_object(&ready.client, &condition, &tell).await;
                // A kind that is not there may be on its way, and so may the server.
                if let Err(error) = watched
                    && !tell(Err(format!("{error:#}")))
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    fn predict(&mut self, id: Id, command: &str) {
        let Some(plain) = predict::plain(command) else {
            return;
        };
        self.tell_prediction(id, async move |ready| {
            predict::predict(&ready.client, &plain, &ready.session().directory()).await
        });
    }

    fn tell_prediction<F>(&mut self, id: Id, predict: impl FnOnce(Arc<Ready>) -> F + Send + 'static)
    where
        F: Future<Output = Result<Vec<Change>>> + Send,
    {
        let (ready, events) = (self.ready.clone(), self.events.clone());
        let (told, predicted) = oneshot::channel();
        self.predicted = Some(predicted);
        self.tasks.spawn(async move {
            // Closes the channel, whatever comes.
            let _told = told;
            let Some(ready) = stands(ready).await else {
                return;
            };
            match predict(ready).await {
                Ok(changes) => drop(events.send(Event::Predicted(id, changes))),
                // The step itself will say what is wrong.
                Err(error) => tracing::info!(%error, "no prediction"),
            }
        });
    }
}

/// What a manifest says.
async fn text_of(manifest: &Manifest, directory: &Path) -> Result<String> {
    match manifest {
        Manifest::Fence { yaml, line, .. } => {
            // Errors name lines of the script.
            Ok("\n".repeat(line.saturating_sub(1)) + yaml)
        }
        Manifest::File(file) => {
            let path = directory.join(file);
            let text = tokio::fs::read_to_string(&path).await;
            text.with_context(|| format!("reading {}", path.display()))
        }
    }
}

async fn watch_object(
    client: &kube::Client,
    condition: &Condition,
    tell: &impl Fn(Result<Option<Value>, String>) -> bool,
) -> Result<()> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let kind = kinds::find(&discovery, &condition.kind)?;
    let namespace = condition.namespace.as_deref();
    let namespace = namespace.unwrap_or(client.default_namespace());
    let api = kinds::api(client, &kind, namespace);
    let stream = watcher::watch_object(api, &condition.name).default_backoff();
    let mut stream = std::pin::pin!(stream);
    while let Some(object) = stream.try_next().await? {
        let object = object.map(serde_json::to_value).transpose()?;
        if !tell(Ok(object)) {
            break;
        }
    }
    Ok(())
}

/// Waits until the world stands; none if it never will.
async fn stands(mut ready: watch::Receiver<Option<Arc<Ready>>>) -> Option<Arc<Ready>> {
    ready.wait_for(Option::is_some).await.ok()?.clone()
}
