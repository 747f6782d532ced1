//! What the kernel says a process holds, and limits that it enforces.

mod group;
mod kernel;
mod limit;

pub use group::GroupPeak;
pub use kernel::{KernelMemory, Probe, Seen};
pub use limit::{Limit, RUNTIME_ROOM};
