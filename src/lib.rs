//! Footlights.
pub mod audience;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod diff;
pub mod drive;
pub mod embedded;
pub mod engine;
pub mod input;
pub mod manifest;
pub mod mode;
pub mod sample;
pub mod script;
pub mod shell;
pub mod stand_in;
pub mod terminal;
