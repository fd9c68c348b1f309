//! The sampler: real HTTP requests through the gateway, as the Faces page makes them.
//!
//! This is the only source of samples (DECISIONS.md, "Truth of traffic").

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::audience::face::Body;
use crate::audience::{Place, Polling, Reply, Sample, Shape};
use crate::engine::{Event, Id};
use crate::script::expect::Asked;

/// Connections that are kept.
const IDLE: usize = 128;
/// An answer that takes longer is none.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A body longer than this is no face.
const MAX_BODY: usize = 64 * 1024;

/// Asks the gateway.
#[derive(Clone, Debug)]
pub struct Sampler {
    client: reqwest::Client,
    gateway: String,
    began: Instant,
    events: UnboundedSender<Event>,
}

/// Whose requests for which cells, one cell after the other.
struct Turn {
    user: Option<Arc<str>>,
    cells: Vec<(usize, usize)>,
}

impl Sampler {
    /// For a gateway's URL; times count from `began`.
    pub fn new(gateway: &str, began: Instant, events: UnboundedSender<Event>) -> Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(IDLE)
            .user_agent(concat!("footlights/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("setting up the sampler's HTTP client")?;
        Ok(Sampler {
            client,
            gateway: gateway.trim_end_matches('/').to_owned(),
            began,
            events,
        })
    }

    /// Polls every cell of each user's grid, staggered over their period, until dropped.
    pub fn grid(&self, polling: &Polling) -> JoinSet<()> {
        let (shape, period) = (polling.shape, polling.period());
        let stagger = period / (shape.rows * shape.columns) as u32;
        let mut cells = JoinSet::new();
        for (index, user) in (0..).zip(&polling.users) {
            let shift = stagger * index / polling.users.len() as u32;
            for (number, cell) in (0..).zip(shape.cells()) {
                let (sampler, user) = (self.clone(), user.clone());
                cells.spawn(async move {
                    tokio::time::sleep(stagger * number + shift).await;
                    sampler.poll(shape, cell, user, period).await;
                });
            }
        }
        cells
    }

    /// Asks for one cell once in a period, or back to back if answers take longer.
    async fn poll(
        self,
        shape: Shape,
        cell: (usize, usize),
        user: Option<Arc<str>>,
        period: Duration,
    ) {
        loop {
            let start = Instant::now();
            let sample = self.ask(0, shape, cell, user.clone()).await;
            if self.events.send(Event::Sampled(sample)).is_err() {
                return;
            }
            tokio::time::sleep(period.saturating_sub(start.elapsed())).await;
        }
    }

    /// Samples as fast as answers come, but for a bound, many at once, until dropped.
    pub fn probe(&self, id: Id, asked: &[Asked], polling: &Polling, at_once: usize) -> JoinSet<()> {
        let mut probes = JoinSet::new();
        let (shape, rate) = (polling.shape, polling.probes_per_second());
        let turns: Arc<[Turn]> = asked
            .iter()
            .map(|asked| {
                let there = |&(row, column): &_| asked.cells.contain(shape.place(row, column));
                Turn {
                    user: asked.user.clone(),
                    cells: shape.cells().filter(there).collect(),
                }
            })
            .collect();
        // The next request's number, and when it may begin: what slow answers delay is not made up for.
        let next = Arc::new(Mutex::new((0, tokio::time::Instant::now())));
        let gap = Duration::from_secs_f64(1.0 / rate);
        for _ in 0..at_once {
            let (sampler, turns, next) = (self.clone(), turns.clone(), next.clone());
            probes.spawn(async move {
                loop {
                    let (number, at) = {
                        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                        let at = next.1.max(tokio::time::Instant::now());
                        let number = next.0;
                        *next = (number + 1, at + gap);
                        (number, at)
                    };
                    let (round, turn) =
                        (number as usize / turns.len(), number as usize % turns.len());
                    tokio::time::sleep_until(at).await;
                    let Turn { user, cells } = &turns[turn];
                    let cell = cells[round % cells.len()];
                    let sample = sampler.ask(number, shape, cell, user.clone()).await;
                    let failed = sample.reply == Reply::Unreachable;
                    if sampler.events.send(Event::Probed(id, sample)).is_err() {
                        return;
                    }
                    // A gateway that refuses at once must not be asked a million times.
                    if failed {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            });
        }
        probes
    }

    async fn ask(
        &self,
        number: u64,
        shape: Shape,
        (row, column): (usize, usize),
        user: Option<Arc<str>>,
    ) -> Sample {
        let started = self.began.elapsed();
        let place = shape.place(row, column);
        let path = match place {
            Place::Center => "center",
            Place::Edge => "edge",
        };
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
        let url = format!(
            "{}/face/{path}/?row={row}&col={column}&now={now}",
            self.gateway
        );
        let request = self
            .client
            .get(url)
            .header("cache-control", "no-cache, no-store, max-age=0")
            .header("x-faces-user", user.as_deref().unwrap_or("unknown"))
            .header("x-custom-header", "custom");
        let (pod, reply) = match request.send().await {
            Err(_) => (None, Reply::Unreachable),
            Ok(response) => {
                let pod = response.headers().get("x-faces-pod");
                let pod = pod.and_then(|pod| pod.to_str().ok()).map(str::to_owned);
                (pod, reply(response).await)
            }
        };
        Sample {
            number,
            user,
            started,
            ended: self.began.elapsed(),
            row,
            column,
            place,
            pod,
            reply,
        }
    }
}

async fn reply(mut response: reqwest::Response) -> Reply {
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_BODY => bytes.extend(chunk),
            Ok(Some(_)) => break,
            Ok(None) => break,
            Err(_) => return Reply::Unreachable,
        }
    }
    Reply::Answer {
        status,
        body: Body::parse(&bytes),
    }
}
