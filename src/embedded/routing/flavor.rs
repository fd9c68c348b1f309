//! Whose behaviour is shown: the specification's own, or that of what a script installed.
//!
//! A Gateway follows its class's controller, calls between workloads the mesh that is installed
//! (GATEWAY.md 9, 10 and 12).

use std::collections::BTreeSet;

use serde_json::Value;

use super::attach::GATEWAY_CLASSES;
use crate::embedded::store::{Key, Store};

/// An implementation of the Gateway API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavor {
    /// The specification's own behaviour.
    #[default]
    Spec,
    /// Istio 1.24.
    Istio,
    /// Linkerd edge-24.10.
    Linkerd,
    /// Envoy Gateway 1.1.
    EnvoyGateway,
}

impl Flavor {
    /// The name that it writes into status.
    pub fn controller(self) -> &'static str {
        match self {
            Flavor::Spec => "footlights.dev/gateway-controller",
            Flavor::Istio => "istio.io/gateway-controller",
            Flavor::Linkerd => "linkerd.io/policy-controller",
            Flavor::EnvoyGateway => "gateway.envoyproxy.io/gatewayclass-controller",
        }
    }

    /// The one whose Gateways a controller name handles. Linkerd has none.
    fn of_controller(name: &str) -> Option<Self> {
        [Flavor::Spec, Flavor::Istio, Flavor::EnvoyGateway]
            .into_iter()
            .find(|f| f.controller() == name)
    }

    /// Of the Gateways of a class, if the class is one that is handled here.
    pub fn of_class(store: &Store, class: &str) -> Option<Self> {
        let class = store.get(&Key::new(GATEWAY_CLASSES, "", class))?;
        Flavor::of_controller(class["spec"]["controllerName"].as_str()?)
    }

    /// Of a Gateway, if it is handled here.
    pub fn of_gateway(store: &Store, gateway: &Value) -> Option<Self> {
        Flavor::of_class(store, gateway["spec"]["gatewayClassName"].as_str()?)
    }

    /// Of the mesh: by the control plane that stands in its namespace.
    pub fn of_mesh(store: &Store) -> Self {
        let stands = |namespace: &str, name: &str| {
            let key = Key::new("deployments.apps", namespace, name);
            store.get(&key).is_some()
        };
        if stands("linkerd", "linkerd-destination") {
            Flavor::Linkerd
        } else if stands("istio-system", "istiod") {
            Flavor::Istio
        } else {
            Flavor::Spec
        }
    }

    /// HTTPRoutes and GRPCRoutes of one parent live side by side; otherwise one kind gives way.
    pub fn merges_kinds(self) -> bool {
        self == Flavor::Istio
    }

    /// `backendRequest` takes the place of `request` instead of standing beside it.
    pub fn backend_timeout_replaces(self) -> bool {
        matches!(self, Flavor::Istio | Flavor::EnvoyGateway)
    }
}

/// The namespaces whose pods are in the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Members {
    /// All: nobody said which.
    #[default]
    All,
    /// Those that are marked for injection.
    Only(BTreeSet<String>),
}

impl Members {
    /// By the marks of the mesh that is installed.
    pub fn of(store: &Store, mesh: Flavor) -> Self {
        let marked = |namespace: &Value| match mesh {
            Flavor::Istio => {
                let labels = &namespace["metadata"]["labels"];
                labels["istio-injection"] == "enabled"
                    || labels["istio.io/dataplane-mode"] == "ambient"
            }
            _ => {
                let annotations = &namespace["metadata"]["annotations"];
                annotations["linkerd.io/inject"] == "enabled"
            }
        };
        match mesh {
            Flavor::Spec | Flavor::EnvoyGateway => Members::All,
            Flavor::Istio | Flavor::Linkerd => Members::Only(
                store
                    .list("namespaces", None)
                    .filter(|(_, n)| marked(n))
                    .map(|(key, _)| key.name.clone())
                    .collect(),
            ),
        }
    }

    /// True if a namespace's pods are.
    pub fn contain(&self, namespace: &str) -> bool {
        match self {
            Members::All => true,
            Members::Only(names) => names.contains(namespace),
        }
    }
}
