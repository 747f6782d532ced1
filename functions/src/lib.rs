//! gradshard-function: aggregators of gradshard's plans as functions that read and write objects of a store.
//!
//! `invocation` is the work of one aggregator as data. `aggregate` carries it out on a `bucket`, a store of objects such as a
//! `directory`. `round` makes the invocations of a plan (`graph`), and lets `processes` carry them out.

#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod aggregate;
pub mod bucket;
pub mod checksums;
pub mod directory;
pub mod graph;
pub mod invocation;
pub mod metered;
pub mod processes;
pub mod round;
pub mod row;
pub mod tempo;
