//! The tests that drive real things: the binary, a PTY, kubectl, HTTP. One test binary links once.

mod apiserver;
mod casts;
mod cli;
mod contexts;
mod dataplane;
mod demos;
mod harness;
mod kubectl;
mod language;
mod scenes;
mod screens;
mod terminal;
mod tidy;
mod traffic;
mod watches;
mod workshop;
