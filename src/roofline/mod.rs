//! The limits of the machine, measured in the same job as the strategies: memory bandwidth of each node, latency and
//! bandwidth between ranks, the rate at which one core sums. [`share`] turns them into the least time of a cell.
//!
//! Measuring talks only through a [`Transport`](crate::engine::Transport); what is computed from the figures is pure.

pub mod describe;
pub mod figures;
mod gate;
mod meeting;
mod memory;
mod places;
mod probe;
pub mod share;
mod sums;
mod wire;

pub use describe::describe;
pub use figures::MachineLimits;
pub use probe::probe;
