//! The clock of a node.

/// Reads CLOCK_MONOTONIC, ns. All processes of a node share this clock, so that their readings are comparable.
pub fn node_clock() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid clock and a valid pointer, with which the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_runs_forward() {
        let before = node_clock();
        assert!(node_clock() >= before && before > 0);
    }
}
