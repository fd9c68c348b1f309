//! The charts that the stand-in for helm knows, quirks included (FACES.md 1.3).

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::embedded::profile::GATEWAY_API;
use crate::manifest;
use crate::stand_in::here::control_plane;

/// A chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chart {
    /// Faces, of this version.
    Faces(String),
    /// Envoy Gateway, of this version.
    EnvoyGateway(String),
}

const DELAYS: &str = "0,5,10,15,20,50,200,500,1500";

impl Chart {
    /// By the last part of its OCI name.
    pub fn find(name: &str, version: Option<&str>) -> Result<Self> {
        let last = name.rsplit('/').next().unwrap_or(name);
        let (last, tag) = last.split_once(':').unwrap_or((last, ""));
        let version = version.unwrap_or(tag).trim_start_matches('v').to_owned();
        let or = |default: &str| {
            if version.is_empty() {
                default.to_owned()
            } else {
                version.clone()
            }
        };
        Ok(match last {
            "faces-chart" | "faces" => Chart::Faces(or("2.0.0")),
            "gateway-helm" => Chart::EnvoyGateway(or("1.1.2")),
            other => bail!(
                "the stand-in for helm does not know the chart {other}: it has faces-chart and \
                 gateway-helm, by their OCI names"
            ),
        })
    }

    /// `faces-2.0.0`.
    pub fn label(&self) -> String {
        match self {
            Chart::Faces(version) => format!("faces-{version}"),
            Chart::EnvoyGateway(version) => format!("gateway-helm-v{version}"),
        }
    }

    /// The version of what it installs.
    pub fn app_version(&self) -> &str {
        match self {
            Chart::Faces(version) | Chart::EnvoyGateway(version) => version,
        }
    }

    /// Its default values.
    pub fn defaults(&self) -> Value {
        match self {
            Chart::Faces(_) => json!({
                "face": {"errorFraction": "20"},
                "backend": {"errorFraction": "20", "delayBuckets": DELAYS},
                "smiley": {}, "color": {}, "gui": {},
                "smiley2": {"enabled": false, "smiley": "HeartEyes"},
                "smiley3": {"enabled": false, "smiley": "RollingEyes"},
                "color2": {"enabled": false, "color": "green"},
                "color3": {"enabled": false, "color": "darkblue"},
            }),
            Chart::EnvoyGateway(_) => json!({}),
        }
    }

    /// Its CRDs, which helm installs where they are missing, and never changes or deletes.
    pub fn crds(&self) -> Vec<Value> {
        match self {
            Chart::Faces(_) => Vec::new(),
            Chart::EnvoyGateway(_) => {
                let crds = manifest::parse(GATEWAY_API).unwrap_or_default();
                crds.into_iter().map(|d| d.object).collect()
            }
        }
    }

    /// The objects that it makes of values.
    pub fn render(&self, values: &Value, namespace: &str) -> Vec<Value> {
        match self {
            Chart::Faces(version) => faces(version, values, namespace),
            Chart::EnvoyGateway(version) => envoy_gateway(version, namespace),
        }
    }
}

fn envoy_gateway(version: &str, namespace: &str) -> Vec<Value> {
    let image = format!("docker.io/envoyproxy/gateway:v{version}");
    vec![control_plane(namespace, "envoy-gateway", &image)]
}

fn faces(version: &str, values: &Value, namespace: &str) -> Vec<Value> {
    let old = version.starts_with("2.0.0-rc.1") || version.starts_with("2.0.0-rc.2");
    let mut objects = Vec::new();
    for name in [
        "faces-gui",
        "face",
        "smiley",
        "smiley2",
        "smiley3",
        "color",
        "color2",
        "color3",
    ] {
        let key = if name == "faces-gui" { "gui" } else { name };
        let optional = name.ends_with(['2', '3']);
        if optional && !truthy(&values[key]["enabled"]) {
            continue;
        }
        let workload = Workload {
            name,
            role: name
                .trim_end_matches(['2', '3'])
                .trim_start_matches("faces-"),
            own: &values[key],
            backend: &values["backend"],
            version,
            old,
        };
        objects.push(workload.service(namespace));
        objects.push(workload.deployment(namespace));
    }
    objects
}

/// Helm's truth: zero, the empty string and nothing are false.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}

struct Workload<'a> {
    name: &'a str,
    role: &'a str,
    own: &'a Value,
    backend: &'a Value,
    version: &'a str,
    /// rc.1 and rc.2: one image for most roles, one label.
    old: bool,
}

impl Workload<'_> {
    fn is_backend(&self) -> bool {
        ["smiley", "color"].contains(&self.role)
    }

    fn labels(&self) -> Value {
        if self.old {
            return json!({"service": self.name});
        }
        let kind = match self.role {
            "gui" => "frontend",
            "face" => "edge",
            _ => "backend",
        };
        json!({"buoyant.io/application": "faces", "faces.buoyant.io/component-type": kind,
               "faces.buoyant.io/component": self.name})
    }

    fn image(&self) -> String {
        let shared = self.old && ["face", "smiley"].contains(&self.role);
        let name = if shared { "workload" } else { self.role };
        format!("ghcr.io/buoyantio/faces-{name}:{}", self.version)
    }

    /// A backend's setting is looked up on the workload, then on `backend`; face has no such
    /// fallback. What is not true in Helm's sense is left out, so that a 0 falls through.
    fn setting(&self, field: &str) -> Option<String> {
        let places = [
            Some(self.own),
            Some(self.backend).filter(|_| self.is_backend()),
        ];
        let found = places
            .into_iter()
            .flatten()
            .map(|p| &p[field])
            .find(|v| truthy(v))?;
        Some(
            found
                .as_str()
                .map_or_else(|| found.to_string(), str::to_owned),
        )
    }

    fn env(&self) -> Vec<Value> {
        let mut env = Vec::new();
        let mut add = |name: &str, value: String| env.push(json!({"name": name, "value": value}));
        if self.old || self.role != "load" {
            add("FACES_SERVICE", self.role.to_owned());
        }
        add("USER_HEADER_NAME", "X-Faces-User".to_owned());
        if self.role != "gui" {
            for (name, field) in [
                ("ERROR_FRACTION", "errorFraction"),
                ("DELAY_BUCKETS", "delayBuckets"),
            ] {
                if let Some(value) = self.setting(field) {
                    add(name, value);
                }
            }
        }
        if self.role == "face" && !self.old {
            add("SMILEY_SERVICE", "smiley".to_owned());
            add("COLOR_SERVICE", "color".to_owned());
        }
        for (name, field) in [("SMILEY", "smiley"), ("COLOR", "color")] {
            if self.role == field && truthy(&self.own[field]) {
                let value = self.own[field].as_str().unwrap_or("");
                // The chart writes the value without quotes: a # begins a comment.
                let value = if value.starts_with('#') { "" } else { value };
                add(name, value.to_owned());
            }
        }
        env
    }

    fn service(&self, namespace: &str) -> Value {
        let mut port = json!({"port": 80, "targetPort": "http"});
        if !self.old {
            port["name"] = json!(if self.role == "color" {
                "http2"
            } else {
                "http"
            });
        }
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": self.name, "namespace": namespace, "labels": self.labels()},
            "spec": {"type": "ClusterIP", "selector": self.labels(), "ports": [port]},
        })
    }

    fn deployment(&self, namespace: &str) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": self.name, "namespace": namespace, "labels": self.labels()},
            "spec": {"replicas": 1, "selector": {"matchLabels": self.labels()}, "template": {
                "metadata": {"labels": self.labels()},
                "spec": {"containers": [{
                    "name": if self.role == "gui" { "faces-gui" } else { self.name },
                    "image": self.image(), "env": self.env(),
                    "ports": [{"name": "http", "containerPort": 8000}]}]}}},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The workshop's values, and the environment that FACES.md 1.3 derives from them.
    #[test]
    fn the_workshops_values_make_the_workshops_environment() {
        let chart = Chart::find("oci://ghcr.io/buoyantio/faces-chart", Some("2.0.0-rc.1")).unwrap();
        let mut values = chart.defaults();
        let workshop = json!({"face": {"errorFraction": 0}, "backend": {"errorFraction": 0},
            "smiley2": {"enabled": true}, "smiley3": {"enabled": true, "errorFraction": 50},
            "color2": {"enabled": true}, "color3": {"enabled": true, "color": "#073359"}});
        json_patch::merge(&mut values, &workshop);
        let objects = chart.render(&values, "faces");
        assert_eq!(objects.len(), 16);
        let env = |name: &str, variable: &str| -> Value {
            let deployment = objects
                .iter()
                .find(|o| o["kind"] == "Deployment" && o["metadata"]["name"] == name)
                .unwrap();
            let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
                .as_array()
                .unwrap();
            env.iter()
                .find(|e| e["name"] == variable)
                .map_or(Value::Null, |e| e["value"].clone())
        };
        assert_eq!(env("face", "ERROR_FRACTION"), Value::Null);
        assert_eq!(env("face", "DELAY_BUCKETS"), Value::Null);
        assert_eq!(env("smiley", "SMILEY"), Value::Null);
        assert_eq!(env("smiley", "DELAY_BUCKETS"), DELAYS);
        assert_eq!(env("smiley2", "SMILEY"), "HeartEyes");
        assert_eq!(env("smiley3", "ERROR_FRACTION"), "50");
        assert_eq!(env("color2", "COLOR"), "green");
        assert_eq!(env("color3", "COLOR"), "", "a hex colour becomes a comment");
        let image = &objects[3]["spec"]["template"]["spec"]["containers"][0]["image"];
        assert_eq!(image, "ghcr.io/buoyantio/faces-workload:2.0.0-rc.1");
    }
}
