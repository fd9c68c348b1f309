//! The Faces demo's roles, by FACES.md: smiley, color, face, gui and load, as version 2.0.0 behaves,
//! and as its release candidates do where a tag names one.

mod color;
mod dice;
mod face;
mod gui;
mod load;
mod metrics;
mod names;
mod reply;
mod role;
mod smiley;

use super::super::serve::Protocol;
use super::{Container, Crash, Running, Workload};
use role::Role;

pub use color::{ColorRequest, ColorResponse};

/// All roles of Faces.
pub struct Faces;

/// The port that every server listens on.
const PORT: u16 = 8000;

/// Where metrics are; on every path.
const METRICS_PORT: u16 = 9090;

impl Workload for Faces {
    fn images(&self) -> &'static [&'static str] {
        &[
            "faces-smiley",
            "faces-color",
            "faces-face",
            "faces-gui",
            "faces-load",
            "faces-workload",
        ]
    }

    fn start(&self, container: &Container) -> Result<Running, Crash> {
        // `faces-workload` was one image for all roles, chosen by FACES_SERVICE.
        let name = match container.image.trim_start_matches("faces-") {
            "workload" => container.var("FACES_SERVICE").unwrap_or(""),
            role => role,
        };
        let server = |protocol, title: &'static str, router: fn(Role) -> axum::Router| {
            let role = Role::new(container, title);
            let metrics = role.metrics();
            Running {
                protocol,
                router: router(role),
                default_port: PORT,
                others: metrics
                    .map(|m| (METRICS_PORT, Protocol::Http1, m))
                    .into_iter()
                    .collect(),
            }
        };
        match name {
            "smiley" => Ok(server(Protocol::Http1, "Smiley", smiley::router)),
            "color" => Ok(server(Protocol::Http2, "Color", color::router)),
            "face" => Ok(server(Protocol::Http1, "Face", face::router)),
            "gui" => Ok(server(Protocol::Http1, "GUI", gui::router)),
            "load" => load::start(container),
            "" => Err(Crash("FACES_SERVICE is not set".to_owned())),
            other => Err(Crash(format!("FACES_SERVICE {other} is not known"))),
        }
    }
}

#[cfg(test)]
mod tests;
