//! The Faces demo's roles, by FACES.md: smiley, color, face and gui, as version 2.0.0 behaves.

mod color;
mod dice;
mod face;
mod gui;
mod names;
mod reply;
mod smiley;

use super::super::serve::Protocol;
use super::{Container, Running, Workload};

pub use color::{ColorRequest, ColorResponse};

/// All roles of Faces.
pub struct Faces;

/// The port that every role listens on.
const PORT: u16 = 8000;

impl Workload for Faces {
    fn images(&self) -> &'static [&'static str] {
        &[
            "faces-smiley",
            "faces-color",
            "faces-face",
            "faces-gui",
            "faces-workload",
        ]
    }

    fn start(&self, container: &Container) -> Option<Running> {
        // `faces-workload` was one image for all roles, chosen by FACES_SERVICE.
        let role = match container.image.strip_prefix("faces-")? {
            "workload" => container.var("FACES_SERVICE")?,
            role => role,
        };
        let (protocol, router) = match role {
            "smiley" => (Protocol::Http1, smiley::router(container)),
            "color" => (Protocol::Http2, color::router(container)),
            "face" => (Protocol::Http1, face::router(container)),
            "gui" => (Protocol::Http1, gui::router(container)),
            _ => return None,
        };
        Some(Running {
            protocol,
            router,
            default_port: PORT,
        })
    }
}

/// One start-up line in the shape of slog's text handler, as the 2.0.0 images write it.
fn log(container: &Container, role: &str, text: &str) {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
    container.log.line(format!(
        "time={now} level=INFO msg=\"{role}: {text}\" provider={role}Provider"
    ));
}
