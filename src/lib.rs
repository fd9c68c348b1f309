//! Footlights.
pub mod cli;
pub mod embedded;
pub mod manifest;
pub mod mode;
pub mod stand_in;
