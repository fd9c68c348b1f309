//! Calls between workloads: what a sidecar would do, by the mesh's routes.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};

use super::body::{Body, boxed};
use super::hub::Hub;
use super::proxy::Proxy;
use super::routing::decision::Refusal;
use super::routing::table::ObjectRef;
use super::routing::{Decision, RequestHead};

/// A pod's way to Services.
#[derive(Clone, Debug)]
pub struct Mesh {
    hub: Arc<Hub>,
    proxy: Proxy,
    namespace: String,
}

impl Mesh {
    /// For a pod of a namespace.
    pub fn new(hub: Arc<Hub>, proxy: Proxy, namespace: &str) -> Self {
        Mesh {
            hub,
            proxy,
            namespace: namespace.to_owned(),
        }
    }

    /// Sends a request whose URI names a Service: `http://smiley/edge/`, `http://color.faces:80/…`.
    pub async fn send(&self, request: Request<Body>) -> Response<Body> {
        let table = self.hub.table();
        let authority = request.uri().authority().cloned();
        let decide = |head: &RequestHead<'_>| {
            let Some(authority) = &authority else {
                let why = "the request names no Service";
                return Decision::Answer(Refusal::new(502, why));
            };
            let (service, port) = self.service(authority);
            table.in_mesh(
                &self.namespace,
                &service,
                port,
                head,
                &mut fastrand::Rng::new(),
            )
        };
        self.proxy.handle(request, decide).await
    }

    /// True if an authority names a Service.
    pub fn knows(&self, authority: &http::uri::Authority) -> bool {
        let (service, _) = self.service(authority);
        self.hub.table().services.contains_key(&service)
    }

    /// `smiley`, `smiley.faces`, `smiley.faces.svc.cluster.local`: DNS as a pod sees it.
    fn service(&self, authority: &http::uri::Authority) -> (ObjectRef, u16) {
        let (name, rest) = authority
            .host()
            .split_once('.')
            .unwrap_or((authority.host(), ""));
        let within = rest
            .strip_suffix(".svc.cluster.local")
            .or_else(|| rest.strip_suffix(".svc"))
            .unwrap_or(rest);
        // A name with more labels is nobody's here.
        let namespace = match within {
            "" => &self.namespace,
            other => other,
        };
        (
            ObjectRef::new(namespace, name),
            authority.port_u16().unwrap_or(80),
        )
    }
}

/// As the channel of a gRPC client.
impl tower::Service<Request<tonic::body::Body>> for Mesh {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let mesh = self.clone();
        async move { Ok(mesh.send(request.map(boxed)).await) }.boxed()
    }
}
