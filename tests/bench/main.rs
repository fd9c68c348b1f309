//! The figures of docs/performance.md, measured in one run: `just bench`.

mod gateway;
mod script;

use std::io::Read;
use std::time::{Duration, Instant};

use footlights::cluster::{self, apply};
use footlights::embedded::EmbeddedCluster;
use footlights::embedded::profile::Profile;
use kube::discovery::Discovery;
use serde_json::json;

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    // `cargo bench --bench figures -- soak 600`; cargo adds `--bench` itself.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["soak", seconds] => return runtime.block_on(gateway::soak(seconds.parse().unwrap())),
        ["gateway"] => return runtime.block_on(gateway::rows()),
        _ => {}
    }
    row(
        "start to first frame",
        &mut (0..20).map(|_| first_frame()).collect::<Vec<_>>(),
    );
    let mut starts = Vec::new();
    for _ in 0..10 {
        starts.push(runtime.block_on(first_answer()));
    }
    row(
        "embedded cluster started to first 200 through its gateway",
        &mut starts,
    );
    row(
        "apply returned to first answer by the new route",
        &mut runtime.block_on(apply_to_live()),
    );
    let (requests, seconds) = runtime.block_on(throughput());
    println!(
        "requests through the gateway                                {:>8.0} a second, client on the same machine",
        requests as f64 / seconds
    );
    runtime.block_on(gateway::rows());
    // Last: a process that has grown is slow to fork.
    script::rows();
}

fn row(what: &str, times: &mut [Duration]) {
    times.sort();
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let at = |q: f64| ms(times[((times.len() - 1) as f64 * q).round() as usize]);
    println!(
        "{what:<60} median {:>7.2} ms  p99 {:>7.2} ms  n={}",
        at(0.5),
        at(0.99),
        times.len()
    );
}

/// From spawning the binary in a terminal to the title on its screen.
fn first_frame() -> Duration {
    let (pty, pts) = pty_process::blocking::open().unwrap();
    pty.resize(pty_process::Size::new(24, 80)).unwrap();
    let start = Instant::now();
    let mut child = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_footlights"))
        .env("TERM", "xterm-256color")
        .spawn(pts)
        .unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let title = b"EMBEDDED";
    while !seen.windows(title.len()).any(|w| w == title) {
        let length = (&pty).read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..length]);
    }
    let took = start.elapsed();
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    // The rest of its screen has to be read for it to end.
    while matches!((&pty).read(&mut buffer), Ok(1..)) {}
    child.wait().unwrap();
    took
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn first_answer() -> Duration {
    let client = http();
    let start = Instant::now();
    let cluster = EmbeddedCluster::start(Profile::Workshop.into())
        .await
        .unwrap();
    let gateways = cluster.gateways();
    let mut changes = gateways.changes();
    loop {
        if let Some(first) = gateways.list().into_iter().next() {
            let answer = client.get(format!("{}/gui/", first.url())).send().await;
            if answer.is_ok_and(|a| a.status() == 200) {
                return start.elapsed();
            }
        }
        changes.changed().await.unwrap();
    }
}

async fn settled() -> (EmbeddedCluster, String) {
    let cluster = EmbeddedCluster::start(Profile::Workshop.into())
        .await
        .unwrap();
    let gateways = cluster.gateways();
    let mut changes = gateways.changes();
    while !gateways.settled() {
        changes.changed().await.unwrap();
    }
    let url = gateways.list()[0].url();
    (cluster, url)
}

/// Each round sets another response header by a filter; the answer that has it is live.
async fn apply_to_live() -> Vec<Duration> {
    let (cluster, url) = settled().await;
    let client = cluster::client(&cluster::Target::of(cluster.kubeconfig()))
        .await
        .unwrap();
    let discovery = Discovery::new(client.clone())
        .run_aggregated()
        .await
        .unwrap();
    let http = http();
    let mut times = Vec::new();
    for round in 0..200 {
        let version = round.to_string();
        let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "live", "namespace": "faces"},
            "spec": {"parentRefs": [{"name": "ingress", "namespace": "default"}], "rules": [{
                "matches": [{"path": {"value": "/live"}}],
                "filters": [
                    {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/ready"}}},
                    {"type": "ResponseHeaderModifier",
                     "responseHeaderModifier": {"set": [{"name": "x-round", "value": version}]}}],
                "backendRefs": [{"name": "faces-gui", "port": 80}]}]}});
        apply::apply(&client, &discovery, &route, "faces", apply::Mode::Store)
            .await
            .unwrap();
        let start = Instant::now();
        loop {
            let answer = http.get(format!("{url}/live")).send().await.unwrap();
            if answer
                .headers()
                .get("x-round")
                .is_some_and(|v| v == version.as_str())
            {
                break;
            }
        }
        times.push(start.elapsed());
    }
    times
}

async fn throughput() -> (usize, f64) {
    let (_cluster, url) = settled().await;
    let end = Instant::now() + Duration::from_secs(4);
    let start = Instant::now();
    let client = http();
    let workers = (0..32).map(|_| {
        let (client, url) = (client.clone(), format!("{url}/gui/"));
        tokio::spawn(async move {
            let mut done = 0;
            while Instant::now() < end {
                let answer = client.get(&url).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                answer.bytes().await.unwrap();
                done += 1;
            }
            done
        })
    });
    let mut requests = 0;
    for worker in workers.collect::<Vec<_>>() {
        requests += worker.await.unwrap();
    }
    (requests, start.elapsed().as_secs_f64())
}
