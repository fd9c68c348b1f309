//! Routing by the Gateway API: an immutable compiled table and pure functions over it.
//!
//! `compile` turns objects into a [`RouteTable`]; `decide` turns a request's head into a
//! [`Decision`]; the data plane does what the decision says. The table is swapped in whole, so no
//! request sees half a change.

pub mod attach;
pub mod compile;
pub mod decide;
pub mod duration;
pub mod hostname;
pub mod matching;
pub mod rewrite;
pub mod table;

pub use compile::compile;
pub use decide::{Decision, RequestHead};
pub use table::RouteTable;

#[cfg(test)]
mod tests;
