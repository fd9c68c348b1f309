//! Control planes that a script installs: what Istio, Linkerd and Envoy Gateway would do, the cluster
//! does by itself, so their pods only stand there and answer probes.

use axum::Router;

use super::super::serve::Protocol;
use super::{Container, Running, Workload};

/// The workload.
pub struct ControlPlane;

/// `istio/pilot`, `linkerd/controller`, `linkerd/policy-controller`, `envoyproxy/gateway`.
const IMAGES: &[&str] = &["pilot", "controller", "policy-controller", "gateway"];

impl Workload for ControlPlane {
    fn images(&self) -> &'static [&'static str] {
        IMAGES
    }

    fn start(&self, container: &Container) -> Option<Running> {
        if !IMAGES.contains(&container.image.as_str()) {
            return None;
        }
        container.log.line(format!(
            "{} stands here; its work is done by the embedded cluster",
            container.image
        ));
        Some(Running {
            protocol: Protocol::Either,
            router: Router::new().fallback(async || "ok"),
            default_port: 8080,
        })
    }
}
