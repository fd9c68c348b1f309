//! Connections to pods: pooled for HTTP/1.1, one a pod for HTTP/2.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::embedded::body::{Body, BoxError, boxed};

type Slot = Arc<tokio::sync::Mutex<Option<SendRequest<Body>>>>;

/// The clients.
#[derive(Clone, Debug)]
pub struct Upstream {
    http1: Client<HttpConnector, Body>,
    http2: Arc<Mutex<HashMap<SocketAddr, Slot>>>,
}

impl Upstream {
    /// With no connections.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        Upstream {
            http1: builder.build(connector),
            http2: Arc::default(),
        }
    }

    /// Sends a request whose URI names the pod's address.
    pub async fn over_http1(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let response = self.http1.request(request).await?;
        Ok(response.map(boxed))
    }

    /// Sends a request over the pod's one connection; its URI has the client's authority.
    pub async fn over_http2(
        &self,
        to: SocketAddr,
        request: Request<Body>,
    ) -> Result<Response<Body>, BoxError> {
        let mut sender = self.connection(to).await?;
        sender.ready().await?;
        Ok(sender.send_request(request).await?.map(boxed))
    }

    async fn connection(&self, to: SocketAddr) -> Result<SendRequest<Body>, BoxError> {
        let slot = {
            let mut slots = self.http2.lock().unwrap_or_else(PoisonError::into_inner);
            // Pods go; nobody else tidies up after them.
            slots.retain(|at, slot| {
                let used = *at == to || Arc::strong_count(slot) > 1;
                used || slot
                    .try_lock()
                    .is_ok_and(|s| s.as_ref().is_some_and(|s| !s.is_closed()))
            });
            slots.entry(to).or_default().clone()
        };
        let mut slot = slot.lock().await;
        if let Some(open) = slot.as_ref().filter(|s| !s.is_closed()) {
            return Ok(open.clone());
        }
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            // A pod that goes away in the middle is seen by the requests under way.
            let _ = connection.await;
        });
        *slot = Some(sender.clone());
        Ok(sender)
    }
}
