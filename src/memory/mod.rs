//! What the kernel says a process holds, and limits that it enforces.

mod group;
mod kernel;

pub use group::GroupPeak;
pub use kernel::{KernelMemory, Probe, Seen};
