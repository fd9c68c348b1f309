//! The tests that drive real things: the binary, a PTY, kubectl, HTTP. One test binary links once.

mod casts;
mod cli;
mod demos;
mod harness;
mod kubectl;
mod language;
mod screens;
mod terminal;
mod tidy;
mod traffic;
