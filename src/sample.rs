//! The sampler: real HTTP requests through the gateway, as the Faces page makes them.
//!
//! This is the only source of samples (DECISIONS.md, "Truth of traffic").

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::audience::face::Body;
use crate::audience::{Place, Reply, SIDE, Sample, place};
use crate::engine::{Event, Id};
use crate::script::expect::{Cells, Scope};

/// Each cell asks once in this time, or back to back if answers take longer.
const PERIOD: Duration = Duration::from_millis(2000);
/// Requests of an expectation in flight.
const IN_FLIGHT: usize = 128;
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

impl Sampler {
    /// For a gateway's URL; times count from `began`.
    pub fn new(gateway: &str, began: Instant, events: UnboundedSender<Event>) -> Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(IN_FLIGHT)
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

    /// Polls every cell, staggered, until dropped.
    pub fn grid(&self) -> JoinSet<()> {
        let mut cells = JoinSet::new();
        for row in 0..SIDE {
            for column in 0..SIDE {
                let sampler = self.clone();
                let number = (row * SIDE + column) as u64;
                let offset = Duration::from_millis((row * 500 + column * 125) as u64);
                cells.spawn(async move {
                    tokio::time::sleep(offset).await;
                    loop {
                        let start = Instant::now();
                        let sample = sampler.ask(number, row, column, None).await;
                        if sampler.events.send(Event::Sampled(sample)).is_err() {
                            return;
                        }
                        tokio::time::sleep(PERIOD.saturating_sub(start.elapsed())).await;
                    }
                });
            }
        }
        cells
    }

    /// Samples as fast as answers come, many at once, until dropped.
    pub fn probe(&self, id: Id, scope: &Scope) -> JoinSet<()> {
        let mut probes = JoinSet::new();
        let cells: Vec<(usize, usize)> = (0..SIDE * SIDE)
            .map(|i| (i / SIDE, i % SIDE))
            .filter(|(row, column)| match scope.cells {
                Cells::All => true,
                Cells::Center => place(*row, *column) == Place::Center,
                Cells::Edge => place(*row, *column) == Place::Edge,
            })
            .collect();
        let next = Arc::new(AtomicU64::new(0));
        for _ in 0..IN_FLIGHT {
            let (sampler, user) = (self.clone(), scope.user.clone());
            let (cells, next) = (cells.clone(), next.clone());
            probes.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let (row, column) = cells[number as usize % cells.len()];
                    let sample = sampler.ask(number, row, column, user.as_deref()).await;
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

    async fn ask(&self, number: u64, row: usize, column: usize, user: Option<&str>) -> Sample {
        let started = self.began.elapsed();
        let path = match place(row, column) {
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
            .header("x-faces-user", user.unwrap_or("unknown"))
            .header("x-custom-header", "custom");
        let reply = match request.send().await {
            Err(_) => Reply::Unreachable,
            Ok(response) => reply(response).await,
        };
        Sample {
            number,
            started,
            ended: self.began.elapsed(),
            row,
            column,
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
