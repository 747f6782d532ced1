//! The kernel's account of this process's memory, and limits that the kernel enforces.

mod group;
mod kernel;
mod limit;

pub use group::GroupPeak;
pub use kernel::{KernelMemory, Probe, Seen};
pub use limit::{Limit, RUNTIME_ROOM};
