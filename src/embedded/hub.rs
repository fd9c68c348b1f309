//! The cluster's state behind one lock, the route table beside it, and who is told of changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch;

use super::reconcile::{Facts, reconcile};
use super::resource::Registry;
use super::rest::{self, Reply, Request, State};
use super::routing::table::ObjectRef;
use super::routing::{self, RouteTable};
use super::status::ApiError;
use super::store::Store;
use super::watch::{Watch, WatchSpec};

/// One embedded cluster's state, shared by the API, the kubelet and the data plane.
#[derive(Debug)]
pub struct Hub {
    inner: Mutex<Inner>,
    table: RwLock<Arc<RouteTable>>,
    revision: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    facts: Facts,
}

/// Which changes the controllers look at.
#[derive(Clone, Copy)]
enum Since {
    /// Those since they last ran.
    LastTime,
    /// All: what they know besides the store has changed.
    Ever,
}

impl Hub {
    /// An empty cluster.
    pub fn new(seed: u64) -> Self {
        Hub {
            inner: Mutex::new(Inner {
                state: State {
                    store: Store::new(seed),
                    registry: Arc::new(Registry::built_in()),
                },
                facts: Facts::default(),
            }),
            table: RwLock::default(),
            revision: watch::Sender::new(0),
        }
    }

    /// Answers an API request. When a write returns, controllers have run and the route table is new.
    pub fn request(&self, request: &Request) -> Result<Reply, ApiError> {
        // Long documents are written while others have the lock.
        let registry = self.lock().state.registry.clone();
        if let Some(reply) = rest::about_the_server(&registry, request) {
            return Ok(reply);
        }
        let mut inner = self.lock();
        let now = now();
        let reply = rest::handle(&mut inner.state, request, &now)?;
        self.settle(&mut inner, Since::LastTime, &now);
        Ok(reply)
    }

    /// Changes the state as a component of the cluster does: by a function, given the time.
    pub fn change<T>(&self, change: impl FnOnce(&mut State, &str) -> T) -> T {
        let mut inner = self.lock();
        let now = now();
        let result = change(&mut inner.state, &rest::stamp(&now));
        self.settle(&mut inner, Since::LastTime, &now);
        result
    }

    /// Tells the controllers what they cannot read from the store.
    pub fn learn(&self, learn: impl FnOnce(&mut Facts)) {
        let mut inner = self.lock();
        learn(&mut inner.facts);
        let now = now();
        self.settle(&mut inner, Since::Ever, &now);
    }

    /// Where Gateways' listeners are bound.
    pub fn bound(&self) -> BTreeMap<(ObjectRef, u16), SocketAddr> {
        self.lock().facts.bound.clone()
    }

    /// Reads the state.
    pub fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock().state)
    }

    /// The route table as it is now.
    pub fn table(&self) -> Arc<RouteTable> {
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Wakes when the revision changes.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Starts a watch.
    pub fn watch(&self, spec: WatchSpec) -> (Watch, Vec<serde_json::Value>) {
        Watch::start(spec, &self.lock().state, &now())
    }

    /// The events that a watch has not told yet.
    pub fn poll(&self, watch: &mut Watch) -> Result<Vec<serde_json::Value>, ApiError> {
        watch.poll(&self.lock().state, &now())
    }

    fn settle(&self, inner: &mut Inner, since: Since, now: &jiff::Timestamp) {
        let since = match since {
            Since::LastTime => *self.revision.borrow(),
            Since::Ever => 0,
        };
        if since == inner.state.store.revision() {
            return;
        }
        let routes = reconcile(&mut inner.state, &inner.facts, since, &rest::stamp(now));
        if let Some(routes) = routes {
            let table = Arc::new(routing::compile(&inner.state.store, &routes));
            *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        }
        self.revision.send_replace(inner.state.store.revision());
    }

    /// A panic while the lock was held is a bug elsewhere; the state itself is always whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
