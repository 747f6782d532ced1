//! The bytes that nodes' interfaces carry in the rounds of one cell.

use std::collections::BTreeMap;

use crate::machine::Carried;

/// Encodes a missing value.
pub const NONE: Carried = Carried { into: u64::MAX, out: u64::MAX };

/// Sums over the rounds of a cell so far; on rank 0.
#[derive(Clone, Debug, Default)]
pub struct CarriedBytes {
    /// For each node, rounds that were counted, and bytes in and out in these.
    nodes: BTreeMap<usize, (u64, u64, u64)>,
}

impl CarriedBytes {
    /// Adds a round. `carried` has the bytes of each rank's node, or [`NONE`].
    pub fn add(&mut self, node_of: &[usize], carried: impl Iterator<Item = Carried>) {
        for (node, carried) in node_of.iter().zip(carried).filter(|(_, carried)| *carried != NONE) {
            let sums = self.nodes.entry(*node).or_default();
            *sums = (sums.0 + 1, sums.1 + carried.into, sums.2 + carried.out);
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
        let of = |into, out| Carried { into, out };
        carried.add(&[0, 0, 1], [of(10, 30), NONE, of(40, 5)].into_iter());
        carried.add(&[0, 0, 1], [of(20, 60), NONE, of(42, 5)].into_iter());
        assert_eq!(carried.busiest(), Some(45.0));
    }
}
