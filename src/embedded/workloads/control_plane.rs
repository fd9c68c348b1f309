//! Control planes that a script installs: what Istio, Linkerd and Envoy Gateway would do, the cluster
//! does by itself, so their pods only stand there and answer probes.

use axum::Router;

use super::super::serve::Protocol;
use super::{Container, Crash, Running, Workload};

/// The workload.
pub struct ControlPlane;

/// `istio/pilot`, `linkerd/controller`, `linkerd/policy-controller`, `envoyproxy/gateway`.
const IMAGES: &[&str] = &["pilot", "controller", "policy-controller", "gateway"];

impl Workload for ControlPlane {
    fn images(&self) -> &'static [&'static str] {
        IMAGES
    }

    fn start(&self, container: &Container) -> Result<Running, Crash> {
        container.log.line(format!(
            "{} stands here; its work is done by the embedded cluster",
            container.image
        ));
        Ok(Running {
            protocol: Protocol::Either,
            router: Router::new().fallback(async || "ok"),
            default_port: 8080,
            others: Vec::new(),
        })
    }
}
