//! A rank's own clock, and which clock that is.

use crate::engine::node_clock::node_clock;

/// A clock that only this rank reads, or that others on its node read too.
pub struct LocalClock {
    /// Two clocks with different names are different ones. The same name says that they are one only together with
    /// readings that allow it.
    pub name: String,
    now: Box<dyn Fn() -> u64>,
}

impl LocalClock {
    /// CLOCK_MONOTONIC, named by the boot that it counts from and by the time namespace that may shift it.
    pub fn of_node() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
        LocalClock { name: format!("{} {}", boot.trim(), namespace.display()), now: Box::new(node_clock) }
    }

    /// Any clock that counts nanoseconds.
    pub fn new(name: String, now: impl Fn() -> u64 + 'static) -> Self {
        LocalClock { name, now: Box::new(now) }
    }

    /// Its reading, ns.
    pub fn now(&self) -> u64 {
        (self.now)()
    }
}
