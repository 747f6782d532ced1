//! The bytes that nodes' interfaces carry in the rounds of one cell.

use std::collections::BTreeMap;

/// Encodes a missing value.
pub const NONE: u64 = u64::MAX;

/// Sums over the rounds of a cell so far; on rank 0.
#[derive(Clone, Debug, Default)]
pub struct CarriedBytes {
    /// For each node, rounds that were counted, and bytes in and out in these.
    nodes: BTreeMap<usize, (u64, u64, u64)>,
}

impl CarriedBytes {
    /// Adds a round. `into` and `out` have the bytes of each rank's node, or [`NONE`].
    pub fn add(&mut self, node_of: &[usize], into: &[u64], out: &[u64]) {
        for ((node, &into), &out) in node_of.iter().zip(into).zip(out) {
            if into != NONE && out != NONE {
                let sums = self.nodes.entry(*node).or_default();
                *sums = (sums.0 + 1, sums.1 + into, sums.2 + out);
            }
        }
    }

    /// Returns the mean bytes of a round in the busier direction of the busiest node. None if nothing was counted.
    pub fn busiest(&self) -> Option<f64> {
        let means = self.nodes.values().map(|(rounds, into, out)| *into.max(out) as f64 / *rounds as f64);
        means.reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_node_counts() {
        let mut carried = CarriedBytes::default();
        assert_eq!(carried.busiest(), None);
        carried.add(&[0, 0, 1], &[10, NONE, 40], &[30, NONE, 5]);
        carried.add(&[0, 0, 1], &[20, NONE, 42], &[60, NONE, 5]);
        assert_eq!(carried.busiest(), Some(45.0));
    }
}
