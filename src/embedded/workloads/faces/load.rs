//! The load role: one GET after another at a constant rate, for as long as its pod runs.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use http::Request;
use tokio::time::MissedTickBehavior;

use super::super::super::body::full;
use super::super::super::mesh::Mesh;
use super::super::super::serve::Protocol;
use super::super::{Container, Crash, Log, Running};
use super::METRICS_PORT;
use super::metrics::Metrics;
use super::role::{Edition, Role, log};

/// Starts the generator; without a target and a rate it ends at once.
pub fn start(container: &Container) -> Result<Running, Crash> {
    let (Some(target), Some(rate)) = (container.var("LOAD_TARGET"), container.var("LOAD_RPS"))
    else {
        return Err(Crash("LOAD_TARGET and LOAD_RPS must be set".to_owned()));
    };
    let rate: i64 = rate
        .parse()
        .map_err(|_| Crash(format!("LOAD_RPS {rate} is no number")))?;
    if rate <= 0 {
        return Err(Crash(format!("panic: LOAD_RPS {rate} is not positive")));
    }
    // A clock ticks each millisecond at the most.
    let pause = Duration::from_secs_f64(1.0 / rate as f64).max(Duration::from_millis(1));
    let role = Role::new(container, "load");
    role.log(&format!("{rate} requests a second to http://{target}/"));
    let metrics = Arc::new(Metrics::of_load(container.var("HOSTNAME").unwrap_or("")));
    let generator = Generator {
        metrics: Arc::downgrade(&metrics),
        mesh: role.mesh(),
        target: target.to_owned(),
        pause,
        log: role
            .flag("LOAD_DEBUG", false)
            .then(|| container.log.clone()),
        edition: role.edition,
    };
    tokio::spawn(generator.run());
    Ok(Running {
        protocol: Protocol::Http1,
        router: metrics.router(),
        default_port: METRICS_PORT,
        others: Vec::new(),
    })
}

struct Generator {
    /// Gone with the pod.
    metrics: Weak<Metrics>,
    mesh: Mesh,
    target: String,
    pause: Duration,
    log: Option<Log>,
    edition: Edition,
}

impl Generator {
    async fn run(self) {
        let mut ticks = tokio::time::interval(self.pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let Some(metrics) = self.metrics.upgrade() else {
                return;
            };
            let start = Instant::now();
            let request = Request::get(format!("http://{}/", self.target)).body(full(""));
            let Ok(request) = request else {
                metrics.count_error(&self.target);
                continue;
            };
            let status = self.mesh.send(request).await.status().as_u16();
            metrics.count(&self.target, status, start.elapsed());
            if let Some(out) = &self.log {
                let text = format!("GET http://{}/: {status}", self.target);
                log(out, self.edition, "load", "DEBUG", &text);
            }
        }
    }
}
