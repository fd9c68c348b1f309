//! The truth of traffic: the grid and expectations know nothing but answers from sockets.

use std::path::Path;
use std::time::Instant;

use footlights::audience::{Glyph, Polling, Reply, Sample, Smiley, face::Body};
use footlights::cluster::{self, apply};
use footlights::embedded::EmbeddedCluster;
use footlights::engine::Event;
use footlights::manifest;
use footlights::sample::Sampler;
use footlights::script::expect::{Asked, Cells};
use kube::discovery::Discovery;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::harness::{http, workshop};

struct World {
    cluster: EmbeddedCluster,
    client: kube::Client,
    discovery: Discovery,
    url: String,
    sampler: Sampler,
    samples: UnboundedReceiver<Event>,
}

impl World {
    async fn start() -> Self {
        let (cluster, url) = workshop().await;
        let client = cluster::client(&cluster::Target::of(cluster.kubeconfig()))
            .await
            .unwrap();
        let discovery = Discovery::new(client.clone())
            .run_aggregated()
            .await
            .unwrap();
        let (sender, samples) = unbounded_channel();
        let sampler = Sampler::new(&url, Instant::now(), sender).unwrap();
        World {
            cluster,
            client,
            discovery,
            url,
            sampler,
            samples,
        }
    }

    async fn apply(&self, file: &str) {
        let text = std::fs::read_to_string(Path::new("demos/tour").join(file)).unwrap();
        for document in manifest::parse(&text).unwrap() {
            apply::apply(
                &self.client,
                &self.discovery,
                &document.object,
                "default",
                apply::Mode::Store,
            )
            .await
            .unwrap();
        }
    }

    async fn delete(&self, api_version: &str, kind: &str, namespace: &str, name: &str) {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
        let (api, _) = apply::api_of(&self.client, &self.discovery, &object, namespace).unwrap();
        api.delete(name, &kube::api::DeleteParams::default())
            .await
            .unwrap();
    }

    /// So many answers of the sampler that were asked for from now on, in order of asking.
    async fn sampled(&mut self, n: usize) -> Vec<Sample> {
        let asked = Asked {
            cells: Cells::All,
            user: None,
        };
        while self.samples.try_recv().is_ok() {}
        let probe = self.sampler.probe(7, &[asked], &Polling::default(), 128);
        let mut seen: Vec<Sample> = Vec::new();
        while seen.iter().filter(|s| s.number < n as u64).count() < n {
            match self.samples.recv().await.unwrap() {
                Event::Probed(7, sample) => seen.push(sample),
                other => panic!("{other:?}"),
            }
        }
        drop(probe);
        seen.retain(|s| s.number < n as u64);
        seen
    }
}

fn hearts(samples: &[Sample]) -> f64 {
    let is_heart = |sample: &&Sample| {
        matches!(
            &sample.reply,
            Reply::Answer {
                status: 200,
                body: Body::Face {
                    smiley: Some(Glyph::Face(Smiley::HeartEyes)),
                    ..
                }
            }
        )
    };
    samples.iter().filter(is_heart).count() as f64 / samples.len() as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_requests_agree_with_the_sampler_and_an_outside_change_moves_both() {
    let mut world = World::start().await;
    assert_eq!(hearts(&world.sampled(120).await), 0.0);

    world.apply("smiley-canary-50.yaml").await;
    let sampled = hearts(&world.sampled(600).await);
    let client = http().build().unwrap();
    let requests = (0..600).map(|i| {
        let request = client.get(format!("{}/face/center/?row=1&col={i}", world.url));
        async move { request.send().await.unwrap().text().await.unwrap() }
    });
    let bodies = futures::future::join_all(requests).await;
    let plain = bodies.iter().filter(|b| b.contains("1F60D")).count() as f64 / 600.0;
    // Four standard errors of a difference of two shares of 600.
    assert!(
        (sampled - plain).abs() < 0.12,
        "sampled {sampled}, plain {plain}"
    );
    assert!((sampled - 0.5).abs() < 0.09, "{sampled}");

    world.apply("smiley-canary-100.yaml").await;
    assert_eq!(hearts(&world.sampled(200).await), 1.0);
    drop(world.cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_gateways_listener_closed_every_cell_fails() {
    // Port 80, once closed, might be another test's at once; a free port is nobody's.
    let mut kept = Vec::new();
    let mut world = World::start().await;
    while world.url.matches(':').count() < 2 {
        kept.push(std::mem::replace(&mut world, World::start().await));
    }
    world.apply("smiley-canary-100.yaml").await;
    world
        .delete(
            "gateway.networking.k8s.io/v1",
            "Gateway",
            "default",
            "ingress",
        )
        .await;
    let gateways = world.cluster.gateways();
    let mut changes = gateways.changes();
    while !gateways.list().is_empty() {
        changes.changed().await.unwrap();
    }
    let samples = world.sampled(150).await;
    assert!(
        samples.iter().all(|s| s.reply == Reply::Unreachable),
        "{:?}",
        samples[0]
    );
}

/// In-flight requests survive a change, and a scale to zero behind a weight of zero hurts nobody.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_because_of_a_change() {
    let mut world = World::start().await;
    let client = http().build().unwrap();
    let url = world.url.clone();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn(async move {
        let mut statuses = Vec::new();
        while !*stopped.borrow() {
            let burst = (0..16).map(|_| client.get(format!("{url}/face/edge/?row=0&col=0")).send());
            for answer in futures::future::join_all(burst).await {
                let answer = answer.unwrap();
                let status = answer.status().as_u16();
                statuses.push((status, answer.text().await.unwrap().contains("\"errors\"")));
            }
        }
        statuses
    });
    for file in [
        "smiley-canary-10.yaml",
        "smiley-canary-50.yaml",
        "smiley-canary-90.yaml",
        "smiley-canary-100.yaml",
    ] {
        world.apply(file).await;
        world.sampled(40).await;
    }
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment"});
    let (api, _) = apply::api_of(&world.client, &world.discovery, &deployment, "faces").unwrap();
    let patch = kube::api::Patch::Merge(json!({"spec": {"replicas": 0}}));
    api.patch("smiley", &kube::api::PatchParams::default(), &patch)
        .await
        .unwrap();
    world.sampled(80).await;
    stop.send_replace(true);
    let statuses = load.await.unwrap();
    assert!(statuses.len() > 50);
    let bad: Vec<_> = statuses.iter().filter(|s| **s != (200, false)).collect();
    assert!(
        bad.is_empty(),
        "{} of {}: {bad:?}",
        bad.len(),
        statuses.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_headers_and_missing_backends_answer_as_the_gateway_api_says() {
    let mut world = World::start().await;
    let client = http().build().unwrap();
    let route = |spec: serde_json::Value| {
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
               "metadata": {"name": "t", "namespace": "faces"},
               "spec": {"parentRefs": [{"name": "ingress", "namespace": "default"}], "rules": [spec]}})
    };
    let matching = |path: &str| json!([{"path": {"type": "Exact", "value": path}}]);
    let rules = [
        (
            json!({"matches": matching("/a"), "backendRefs": [{"name": "nope", "port": 80}]}),
            "/a",
            500,
        ),
        (
            json!({"matches": matching("/a"), "backendRefs": [{"name": "smiley", "port": 80, "weight": 0}]}),
            "/a",
            500,
        ),
        (json!({"matches": matching("/a")}), "/a", 500),
        (
            json!({"matches": [{"path": {"type": "Exact", "value": "/a"}, "method": "POST"}],
                "backendRefs": [{"name": "smiley", "port": 80}]}),
            "/a",
            404,
        ),
        (
            json!({"matches": [{"path": {"type": "Exact", "value": "/a"}, "headers": [{"name": "X-A", "value": "b"}]}],
                "backendRefs": [{"name": "smiley", "port": 80}]}),
            "/a",
            200,
        ),
        (
            json!({"matches": matching("/a"), "filters": [{"type": "RequestRedirect", "requestRedirect": {"statusCode": 301, "hostname": "x.example"}}]}),
            "/a",
            301,
        ),
        (
            json!({"matches": matching("/a"), "backendRefs": [{"name": "smiley", "port": 80}]}),
            "/b",
            404,
        ),
    ];
    let client_no_redirect = http()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    for (rule, path, status) in rules {
        let object = route(rule.clone());
        apply::apply(
            &world.client,
            &world.discovery,
            &object,
            "faces",
            apply::Mode::Store,
        )
        .await
        .unwrap();
        let answer = client_no_redirect
            .get(format!("{}{path}", world.url))
            .header("x-a", "b")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{rule}");
    }
    // DELAY_BUCKETS has one of nine values over a second, for either backend: 1 - (8/9)^2.
    let text = std::fs::read_to_string("assets/profiles/workshop.yaml").unwrap();
    let mut face = manifest::parse(&text)
        .unwrap()
        .into_iter()
        .map(|d| d.object)
        .find(|o| o["metadata"]["name"] == "face-route")
        .unwrap();
    face["spec"]["rules"][0]["timeouts"] = json!({"request": "1s"});
    apply::apply(
        &world.client,
        &world.discovery,
        &face,
        "faces",
        apply::Mode::Store,
    )
    .await
    .unwrap();
    let samples = world.sampled(600).await;
    let late = samples
        .iter()
        .filter(|s| matches!(s.reply, Reply::Answer { status: 504, .. }))
        .count();
    let share = late as f64 / 600.0;
    assert!((share - 0.21).abs() < 0.08, "{share} are 504");
    drop(client);
}
