//! What all roles have in common: who they are, which release they play, their log and metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use super::super::super::mesh::Mesh;
use super::super::{Container, Log};
use super::dice::Dice;
use super::metrics::Metrics;

/// The release whose behaviour is played (FACES.md 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// 2.0.0-rc.0 to rc.2.
    Candidate,
    /// 2.0.0.
    Release,
}

impl Edition {
    /// By an image's tag; 2.0.0 unless it names an early release candidate.
    pub fn of(tag: &str) -> Self {
        match tag.trim_start_matches('v') {
            "2.0.0-rc.0" | "2.0.0-rc.1" | "2.0.0-rc.2" => Edition::Candidate,
            _ => Edition::Release,
        }
    }
}

/// A started role.
#[derive(Clone, Debug)]
pub struct Role {
    container: Container,
    title: &'static str,
    /// The release that it plays.
    pub edition: Edition,
    /// `X-Faces-Pod`.
    pub pod: String,
    /// The header that carries the user.
    pub user_header: String,
    metrics: Arc<Metrics>,
    debug: bool,
}

impl Role {
    /// From a container's environment.
    pub fn new(container: &Container, title: &'static str) -> Self {
        let edition = Edition::of(&container.tag);
        let pod = container
            .var("HOST_IP")
            .or_else(|| container.var("HOSTNAME"));
        let header = container.var("USER_HEADER_NAME").unwrap_or("X-Faces-User");
        let metrics = Metrics::new(title, container.var("HOSTNAME").unwrap_or("unknown"));
        let role = Role {
            container: container.clone(),
            title,
            edition,
            pod: pod.unwrap_or("unknown").to_owned(),
            user_header: header.to_owned(),
            metrics: Arc::new(metrics),
            // The candidates' color tells of every request.
            debug: flag(container, "DEBUG_ENABLED", false)
                || (edition == Edition::Candidate && title == "Color"),
        };
        role.log(&format!(
            "pod {}, user header {}, debug {}",
            role.pod, role.user_header, role.debug
        ));
        role
    }

    /// An environment variable; the empty string counts as unset.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.container.var(name)
    }

    /// An environment variable that is true or false.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        flag(&self.container, name, default)
    }

    /// The pod's way to Services.
    pub fn mesh(&self) -> Mesh {
        self.container.mesh.clone()
    }

    /// The role's misbehaviour, told in its log.
    pub fn dice(&self) -> Dice {
        let dice = Dice::new(self.title, &self.container, self.edition);
        self.log(&dice.describe());
        dice
    }

    /// The router of the metrics' port; the candidates have none.
    pub fn metrics(&self) -> Option<Router> {
        (self.edition == Edition::Release).then(|| self.metrics.clone().router())
    }

    /// One line of the log.
    pub fn log(&self, text: &str) {
        log(&self.container.log, self.edition, self.title, "INFO", text);
    }

    /// A request that was answered: counted, and told in the log of who debugs.
    pub fn answered(&self, key: &str, status: u16, took: Duration, what: &str) {
        self.metrics.count(key, status, took);
        if self.debug {
            let text = format!("{what}: {status}");
            log(
                &self.container.log,
                self.edition,
                self.title,
                "DEBUG",
                &text,
            );
        }
    }
}

/// Go's booleans; anything else is as if unset.
fn flag(container: &Container, name: &str, default: bool) -> bool {
    match container.var(name) {
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => true,
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => false,
        _ => default,
    }
}

/// A line in the shape of slog's text handler; the candidates' lines are plain.
pub fn log(log: &Log, edition: Edition, title: &str, level: &str, text: &str) {
    let now = jiff::Timestamp::now();
    log.line(match edition {
        Edition::Candidate => format!(
            "{} {title}Server: {text}",
            now.strftime("%Y-%m-%dT%H:%M:%SZ")
        ),
        Edition::Release => {
            let now = now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
            format!("time={now} level={level} msg=\"{title}: {text}\" provider={title}Provider")
        }
    });
}
