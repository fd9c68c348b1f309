//! Footlights.
pub mod audience;
pub mod cli;
pub mod diff;
pub mod embedded;
pub mod engine;
pub mod manifest;
pub mod mode;
pub mod script;
pub mod shell;
pub mod stand_in;
pub mod terminal;
