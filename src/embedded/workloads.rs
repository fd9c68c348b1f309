//! What pods run: images that the embedded cluster knows are served in this process.
//!
//! One more workload is one more file here and one more line in `WORKLOADS`.

mod control_plane;
pub mod echo;
pub mod faces;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use tokio::sync::watch;

use super::mesh::Mesh;
use super::serve::Protocol;

/// A container to run.
#[derive(Clone, Debug)]
pub struct Container {
    /// The image without registry: `faces-smiley`.
    pub image: String,
    /// Its tag, empty if none.
    pub tag: String,
    /// The pod's name.
    pub pod: String,
    /// The environment, references resolved.
    pub env: BTreeMap<String, String>,
    /// The pod's way to Services.
    pub mesh: Mesh,
    /// Where its log goes.
    pub log: Log,
}

impl Container {
    /// An environment variable; the empty string counts as unset.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }
}

/// Why a container ended as soon as it began.
#[derive(Debug)]
pub struct Crash(pub String);

/// A running workload: what answers on the container's ports.
pub struct Running {
    /// The versions of HTTP that it speaks.
    pub protocol: Protocol,
    /// The service.
    pub router: Router,
    /// The container port if the pod spec names none.
    pub default_port: u16,
    /// Ports that it opens besides, and what answers there.
    pub others: Vec<(u16, Protocol, Router)>,
}

/// Something that images run as.
pub trait Workload: Sync {
    /// The images that it is known by.
    fn images(&self) -> &'static [&'static str];

    /// Starts a container of one of these images.
    fn start(&self, container: &Container) -> Result<Running, Crash>;
}

const WORKLOADS: &[&dyn Workload] = &[&faces::Faces, &echo::Echo, &control_plane::ControlPlane];

/// Starts a container with the workload that knows its image, if one does.
pub fn start(container: &Container) -> Option<Result<Running, Crash>> {
    let knows = |w: &&&dyn Workload| w.images().contains(&container.image.as_str());
    WORKLOADS.iter().find(knows).map(|w| w.start(container))
}

/// The images that the embedded cluster knows, for people.
pub fn known() -> String {
    let images: Vec<&str> = WORKLOADS
        .iter()
        .flat_map(|w| w.images().iter().copied())
        .collect();
    images.join(", ")
}

/// Splits `192.168.1.94:443/demo/faces-color:2.0.0` into `faces-color` and `2.0.0`: any registry
/// will do.
pub fn split_image(image: &str) -> (String, String) {
    let last = image.rsplit('/').next().unwrap_or(image);
    let last = last.split('@').next().unwrap_or(last);
    match last.split_once(':') {
        Some((name, tag)) => (name.to_owned(), tag.to_owned()),
        None => (last.to_owned(), String::new()),
    }
}

/// Log lines kept for `kubectl logs`.
const LOG_LINES: usize = 1_000;

/// A line of a log.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was written.
    pub at: jiff::Timestamp,
    /// What it says.
    pub text: String,
}

/// A pod's log: its last lines, and a bell for who follows it.
#[derive(Clone, Debug)]
pub struct Log(Arc<LogInner>);

#[derive(Debug)]
struct LogInner {
    lines: Mutex<VecDeque<(u64, Line)>>,
    written: watch::Sender<u64>,
}

impl Log {
    /// An empty log.
    pub fn new() -> Self {
        Log(Arc::new(LogInner {
            lines: Mutex::default(),
            written: watch::Sender::new(0),
        }))
    }

    /// Appends a line.
    pub fn line(&self, text: impl Into<String>) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.0.written.borrow() + 1;
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        let line = Line {
            at: jiff::Timestamp::now(),
            text: text.into(),
        };
        lines.push_back((number, line));
        self.0.written.send_replace(number);
    }

    /// The lines after a number, and the number of the last one.
    pub fn since(&self, after: u64) -> (Vec<Line>, u64) {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let new = lines.iter().filter(|(n, _)| *n > after);
        let texts = new.map(|(_, line)| line.clone()).collect();
        (texts, lines.back().map_or(after, |(n, _)| *n))
    }

    /// Wakes when a line is written.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.0.written.subscribe()
    }
}

impl Default for Log {
    fn default() -> Self {
        Log::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_count_by_their_last_part() {
        for (image, name, tag) in [
            (
                "192.168.1.94:443/demo/faces-color:2.0.0",
                "faces-color",
                "2.0.0",
            ),
            ("ghcr.io/buoyantio/faces-smiley", "faces-smiley", ""),
            ("faces-face:1@sha256:00", "faces-face", "1"),
        ] {
            assert_eq!(
                split_image(image),
                (name.to_owned(), tag.to_owned()),
                "{image}"
            );
        }
    }
}
