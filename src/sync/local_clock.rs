//! A rank's own clock and its identity.

use crate::engine::node_clock::node_clock;

/// A clock read by this rank, possibly shared with other ranks of its node.
pub struct LocalClock {
    /// Identifies the clock. Clocks with different names are different. Clocks with the same name are one only if
    /// readings allow it.
    pub name: String,
    now: Box<dyn Fn() -> u64>,
}

impl LocalClock {
    /// Returns CLOCK_MONOTONIC, named by the boot that it counts from and by the time namespace, which may shift it.
    pub fn of_node() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
        LocalClock { name: format!("{} {}", boot.trim(), namespace.display()), now: Box::new(node_clock) }
    }

    /// Makes a clock of any function that returns nanoseconds.
    pub fn new(name: String, now: impl Fn() -> u64 + 'static) -> Self {
        LocalClock { name, now: Box::new(now) }
    }

    /// Reads the clock, ns.
    pub fn now(&self) -> u64 {
        (self.now)()
    }
}
