//! Routing by the Gateway API: an immutable compiled table and pure functions over it.
//!
//! `compile` turns objects into a [`RouteTable`]; `decide` turns a request's head into a
//! [`Decision`]; the data plane does what the decision says. The table is swapped in whole, so no
//! request sees half a change.

pub mod action;
pub mod attach;
pub mod compile;
mod conflicts;
pub mod decide;
pub mod decision;
pub mod duration;
pub mod flavor;
pub mod grant;
pub mod hostname;
pub mod index;
pub mod matching;
pub mod rewrite;
pub mod table;

pub use compile::compile;
pub use decision::{Decision, RequestHead};
pub use table::RouteTable;

use serde_json::Value;

use super::list::items;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|p| u16::try_from(p).ok())
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
