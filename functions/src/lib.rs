//! gradshard-function: aggregators of gradshard's plans as functions that read and write objects of a store.
//!
//! `invocation` is the work of one aggregator as data. `aggregate` carries it out on a `bucket`, a store of objects: a
//! `directory`, or with the feature `s3` a store that speaks S3's protocol. `round` makes the invocations of a plan (`graph`), and lets `processes` carry them out.

#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod aggregate;
pub mod bucket;
pub mod checksums;
pub mod directory;
pub mod graph;
pub mod invocation;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod metered;
pub mod own_group;
pub mod place;
pub mod processes;
pub mod roof;
pub mod round;
pub mod row;
#[cfg(feature = "s3")]
pub mod s3;
pub mod tempo;
