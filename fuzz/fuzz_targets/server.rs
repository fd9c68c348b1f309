//! An API server without sockets: what it stores, and its controllers after each request.

use std::sync::{Arc, LazyLock};

use footlights::embedded::reconcile::{Facts, reconcile};
use footlights::embedded::resource::Registry;
use footlights::embedded::rest::{self, Reply, Request, State};
use footlights::embedded::store::{Key, Store};
use serde_json::Value;

/// Compiling the kinds takes longer than most cases.
static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(|| Registry::built_in().into());

pub struct Server(pub State);

#[allow(dead_code, reason = "each target uses a part of it")]
impl Server {
    pub fn new() -> Self {
        Server(State {
            store: Store::new(1),
            registry: REGISTRY.clone(),
        })
    }

    /// Sends a request; the document of its answer.
    pub fn send(&mut self, request: &Request) -> Option<Value> {
        let before = self.0.store.revision();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let reply = rest::handle(&mut self.0, request, &now);
        if self.0.store.revision() != before {
            reconcile(&mut self.0, &Facts::default(), before, &rest::stamp(&now));
        }
        match reply {
            Ok(Reply::Json { body, .. }) => Some(body),
            _ => None,
        }
    }

    pub fn write(&mut self, method: &str, path: &str, kind: &str, body: &Value) -> Option<Value> {
        self.send(&Request {
            method: method.to_owned(),
            path: path.to_owned(),
            content_type: kind.to_owned(),
            body: body.to_string().into_bytes(),
            ..Request::default()
        })
    }

    /// Stores an object that no admission has seen.
    pub fn put(&mut self, key: Key, object: Value) {
        let before = self.0.store.revision();
        self.0.store.put(key, object, "2026-01-01T00:00:00Z");
        reconcile(&mut self.0, &Facts::default(), before, "2026-01-01T00:00:00Z");
    }
}
