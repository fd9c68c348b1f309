//! The node: runs each pod's workload, and writes what became of it into the pod's status.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::Service as _;

use super::body::boxed;
use super::hub::Hub;
use super::mesh::Mesh;
use super::proxy::Proxy;
use super::reconcile::events::{Happening, tell};
use super::rest::State;
use super::routing::compile::PORTS_ANNOTATION;
use super::serve::{Protocol, Stop, Stopped, Transport, serve, stop};
use super::store::{Key, Object};
use super::workloads::{self, Container, Crash, Log};
use crate::embedded::list::items;

/// How long a pod that ends still takes requests that were decided on before.
const LAST_ARRIVALS: Duration = Duration::from_millis(50);

/// The logs of running pods, by uid.
pub type Logs = Arc<Mutex<BTreeMap<String, Log>>>;

/// Starts and stops pods as they come and go, until stopped.
pub async fn run(hub: Arc<Hub>, proxy: Proxy, logs: Logs, mut stopped: Stopped) {
    let mut revisions = hub.revisions();
    let mut running: BTreeMap<String, Vec<Stop>> = BTreeMap::new();
    let mut ending: BTreeSet<String> = BTreeSet::new();
    let mut started: u32 = 0;
    loop {
        let (cordoned, pods): (bool, Vec<(Key, Object)>) = hub.read(|state| {
            let node = state.store.list("nodes", None).next();
            let cordoned = node.is_some_and(|(_, n)| n["spec"]["unschedulable"] == true);
            let pods = state.store.list("pods", None);
            let pods = pods.map(|(k, o)| (k.clone(), o.clone())).collect();
            (cordoned, pods)
        });
        let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap_or("").to_owned();
        let alive: HashSet<String> = pods.iter().map(|(_, p)| uid(p)).collect();
        running.retain(|u, _| alive.contains(u));
        ending.retain(|u| alive.contains(u));
        lock(&logs).retain(|u, _| alive.contains(u));
        for (key, pod) in pods {
            if pod["metadata"]["deletionTimestamp"].is_string() {
                // No new request is sent to it; those just decided on still arrive, and those under
                // way are finished by their connections.
                let stops = running.remove(&uid(&pod));
                if ending.insert(uid(&pod)) {
                    let (hub, key, uid) = (hub.clone(), key.clone(), uid(&pod));
                    tokio::spawn(async move {
                        if stops.as_ref().is_some_and(|s| !s.is_empty()) {
                            tokio::time::sleep(LAST_ARRIVALS).await;
                        }
                        drop(stops);
                        hub.change(|state, now| end(state, &key, &uid, now));
                    });
                }
                continue;
            }
            // There is one node: what it does not take stays pending.
            if cordoned || running.contains_key(&uid(&pod)) {
                continue;
            }
            let log = Log::new();
            lock(&logs).insert(uid(&pod), log.clone());
            started += 1;
            let ip = format!("10.42.{}.{}", (started >> 8) & 0xff, started & 0xff);
            let stops = start(&hub, &proxy, &key, &pod, &ip, log).await;
            running.insert(uid(&pod), stops);
        }
        tokio::select! {
            changed = revisions.changed() => if changed.is_err() { return },
            () = stopped.wait() => return,
        }
    }
}

/// A pod whose containers have ended goes, unless a finalizer holds it: then it goes with that.
fn end(state: &mut State, key: &Key, uid: &str, now: &str) {
    let Some(pod) = state.store.get(key).cloned() else {
        return;
    };
    // Another pod may have its name by now.
    if pod["metadata"]["uid"] != uid {
        return;
    }
    let held = pod["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|f| !f.is_empty());
    if held {
        state.store.update(key, now, |o| {
            o["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            o["status"]["phase"] = json!("Succeeded");
        });
    } else {
        state.store.delete(key);
    }
}

/// The lock is held for single calls only, so a poisoned one holds whole data.
pub fn lock(logs: &Logs) -> std::sync::MutexGuard<'_, BTreeMap<String, Log>> {
    logs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a pod has opened.
#[derive(Default)]
struct Opened {
    stops: Vec<Stop>,
    /// Each container port and where it is bound, as [`PORTS_ANNOTATION`] has them.
    ports: Vec<String>,
}

impl Opened {
    /// Serves a container port.
    async fn open(&mut self, port: u16, protocol: Protocol, router: Router) -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        self.ports
            .push(format!("{port}={}", listener.local_addr()?));
        let (stop, stopped) = stop();
        let serving = serve(listener, Transport::Plain, protocol, stopped, move |peer| {
            let mut router = router.clone();
            tower::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(peer.address);
                let answer = router.call(request.map(axum::body::Body::new));
                async move { answer.await.map(|response| response.map(boxed)) }
            })
        });
        tokio::spawn(serving);
        self.stops.push(stop);
        Ok(())
    }
}

/// Why a container waits: a reason, and what people are told.
struct Waiting {
    reason: &'static str,
    message: String,
    /// What its Event says.
    event: String,
}

async fn start(
    hub: &Arc<Hub>,
    proxy: &Proxy,
    key: &Key,
    pod: &Value,
    ip: &str,
    log: Log,
) -> Vec<Stop> {
    let mut opened = Opened::default();
    let mut statuses = Vec::new();
    for spec in items(&pod["spec"]["containers"]) {
        let image = spec["image"].as_str().unwrap_or("");
        let (name, tag) = workloads::split_image(image);
        let container = Container {
            image: name,
            tag,
            pod: key.name.clone(),
            env: environment(spec, pod, ip),
            mesh: Mesh::new(hub.clone(), proxy.clone(), &key.namespace),
            log: log.clone(),
        };
        let outcome = start_container(&container, spec, &mut opened).await;
        if let Err(waiting) = &outcome {
            report(hub, pod, &waiting.event);
        }
        statuses.push(container_status(spec, outcome));
    }
    let uid = pod["metadata"]["uid"].clone();
    hub.change(|state, now| {
        state.store.update(key, now, |o| {
            if o["metadata"]["uid"] == uid {
                o["metadata"]["annotations"][PORTS_ANNOTATION] = json!(opened.ports.join(","));
                let start = o["metadata"]["creationTimestamp"].clone();
                o["status"] = pod_status(&statuses, ip, &start, qos_class(&o["spec"]), now);
            }
        });
    });
    opened.stops
}

async fn start_container(
    container: &Container,
    spec: &Value,
    opened: &mut Opened,
) -> Result<(), Waiting> {
    let image = spec["image"].as_str().unwrap_or("");
    let Some(started) = workloads::start(container) else {
        let known = workloads::known();
        return Err(Waiting {
            event: format!(
                "Failed to pull image \"{image}\": the embedded cluster has no such image; it runs \
                 {known}"
            ),
            reason: "ImagePullBackOff",
            message: format!("the embedded cluster has no image {image}"),
        });
    };
    let running = started.map_err(|Crash(message)| {
        container.log.line(message.clone());
        Waiting {
            event: format!("Back-off restarting failed container: {message}"),
            reason: "CrashLoopBackOff",
            message,
        }
    })?;
    let declared = items(&spec["ports"]);
    let mut ports: Vec<u16> = declared
        .filter_map(|p| u16::try_from(p["containerPort"].as_u64()?).ok())
        .collect();
    let others = running.others;
    ports.retain(|port| !others.iter().any(|(other, ..)| other == port));
    if ports.is_empty() {
        ports.push(running.default_port);
    }
    let own = ports
        .iter()
        .map(|p| (*p, running.protocol, running.router.clone()));
    for (port, protocol, router) in own.chain(others) {
        opened.open(port, protocol, router).await.map_err(|error| {
            let message = format!("cannot listen for port {port}: {error}");
            Waiting {
                reason: "CreateContainerError",
                event: message.clone(),
                message,
            }
        })?;
    }
    Ok(())
}

/// The container's environment, with `fieldRef`s resolved and what the container runtime adds.
fn environment(spec: &Value, pod: &Value, ip: &str) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let name = pod["metadata"]["name"].as_str().unwrap_or("");
    env.insert("HOSTNAME".to_owned(), name.to_owned());
    for variable in items(&spec["env"]) {
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("status.podIP") => ip.to_owned(),
            Some("spec.nodeName") => "footlights".to_owned(),
            Some(path) => {
                let pointer = format!("/{}", path.replace('.', "/"));
                let value = pod.pointer(&pointer).and_then(Value::as_str);
                value.unwrap_or("").to_owned()
            }
            None => variable["value"].as_str().unwrap_or("").to_owned(),
        };
        if let Some(name) = variable["name"].as_str() {
            env.insert(name.to_owned(), value);
        }
    }
    env
}

/// The status of a container that runs, or waits for a reason.
fn container_status(spec: &Value, outcome: Result<(), Waiting>) -> Value {
    let runs = outcome.is_ok();
    let state = match outcome {
        Ok(()) => json!({"running": {}}),
        Err(why) => json!({"waiting": {"reason": why.reason, "message": why.message}}),
    };
    let image = &spec["image"];
    json!({"name": spec["name"], "image": image, "imageID": image, "ready": runs,
           "started": runs, "restartCount": 0, "state": state, "lastState": {}})
}

/// Guaranteed pods, whose every limit is its request, are not told apart.
fn qos_class(spec: &Value) -> &'static str {
    let containers = items(&spec["containers"]);
    let mut asked = containers.flat_map(|c| ["limits", "requests"].map(|f| &c["resources"][f]));
    if asked.any(|r| r.as_object().is_some_and(|r| !r.is_empty())) {
        "Burstable"
    } else {
        "BestEffort"
    }
}

fn pod_status(containers: &[Value], ip: &str, start: &Value, qos: &str, now: &str) -> Value {
    let ready = containers.iter().all(|c| c["ready"] == true);
    let flag = if ready { "True" } else { "False" };
    let condition = |kind: &str, status: &str| {
        let mut condition = json!({"type": kind, "status": status, "lastProbeTime": null,
                                   "lastTransitionTime": now});
        if status == "False" {
            condition["reason"] = json!("ContainersNotReady");
        }
        condition
    };
    let mut containers = containers.to_vec();
    for container in &mut containers {
        if container["state"]["running"].is_object() {
            container["state"]["running"]["startedAt"] = json!(now);
        }
    }
    json!({
        "phase": if ready { "Running" } else { "Pending" },
        "conditions": [condition("Initialized", "True"), condition("Ready", flag),
                       condition("ContainersReady", flag), condition("PodScheduled", "True")],
        "containerStatuses": containers, "hostIP": "127.0.0.1", "podIP": ip,
        "podIPs": [{"ip": ip}], "qosClass": qos, "startTime": start,
    })
}

fn report(hub: &Hub, pod: &Value, message: &str) {
    hub.change(|state, now| {
        let happening = Happening {
            kind: "Warning",
            reason: "Failed",
            message,
            component: "kubelet",
        };
        tell(state, pod, happening, now);
    });
}
