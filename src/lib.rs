//! Footlights: live terminal demos of Kubernetes and the Gateway API.
//!
//! One engine plays annotated scripts in three modes: `present`, `rehearse`, `record`.
//!
//! ```text
//! script text ──script::parse──> Script ──┐
//! keys / autopilot ───────────── Intent ──┤
//! shell output, exits ────────────────────┤──> Event ──> Engine::handle ──> [Effect] ──> drive performs them ──┐
//! cluster changes ────────────────────────┤                   │                                               │
//! samples, probes, timers ────────────────┘                   └──> &State ──> view ──> outputs: screen, cast, report
//!         ^───────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! ARCHITECTURE.md says what is where. `tests/tidy.rs` holds the pure modules to being pure.

pub mod audience;
pub mod cast;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod condition;
pub mod diff;
pub mod drive;
pub mod embedded;
pub mod engine;
pub mod input;
pub mod load;
pub mod log;
pub mod manifest;
pub mod mode;
pub mod plan;
mod private;
pub mod report;
pub mod sample;
pub mod script;
pub mod shell;
pub mod stand_in;
mod svg;
pub mod terminal;
pub mod theme;
pub mod view;
mod xml;
