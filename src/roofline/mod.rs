//! The limits of the machine, measured in the same job as the strategies: the memory bandwidth of each node, the
//! latency and bandwidth between ranks, and the summing rate of one core. [`share`] derives from them the least time of
//! a cell; [`state`] measures between rounds whether they still hold.
//!
//! The probe communicates only through a [`Transport`](crate::engine::Transport). The computations on the figures are
//! pure.

pub mod describe;
pub mod figures;
mod gate;
mod gather;
mod meeting;
mod memory;
mod places;
mod probe;
pub mod share;
pub mod state;
mod sums;
mod wire;

pub use describe::describe;
pub use figures::MachineLimits;
pub use probe::probe;
