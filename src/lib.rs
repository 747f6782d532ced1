//! gradshard: shard the gradient, or build a tree? The same round of federated aggregation, carried out by many
//! strategies over threads or MPI, timed, verified and recorded.

// The macros that print panic where the reader has closed the stream.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod ceiling;
pub mod cost;
#[allow(unsafe_code)]
pub mod engine;
pub mod experiment;
pub mod gradient;
pub mod harmless;

pub mod job;
pub mod machine;
#[allow(unsafe_code)]
pub mod memory;
#[cfg(feature = "mpi")]
#[allow(unsafe_code)]
pub mod mpi;

pub mod plan;
pub mod predict;
pub mod results;
#[allow(unsafe_code)]
pub mod roofline;
pub mod screening;
pub mod stats;
pub mod sync;
pub mod tune;
pub mod utc;
