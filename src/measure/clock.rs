//! What a round took, from the readings of its nodes' clocks.

/// Seconds that a round took, from every rank's start and end on its node's clock: on each node from the first start
/// to the last end, of the nodes the longest.
///
/// Where ranks outnumber cores they start one after another; the longest of their own times would then leave out what
/// each waited for a core.
pub fn span(node_of: &[usize], starts: &[u64], ends: &[u64]) -> f64 {
    let nodes: std::collections::BTreeSet<usize> = node_of.iter().copied().collect();
    let on = |node: usize, times: &[u64]| -> Vec<u64> {
        node_of.iter().zip(times).filter(|(n, _)| **n == node).map(|(_, time)| *time).collect()
    };
    let of_node = |node: usize| {
        let first = on(node, starts).into_iter().min().unwrap_or(0);
        let last = on(node, ends).into_iter().max().unwrap_or(0);
        last.saturating_sub(first)
    };
    nodes.into_iter().map(of_node).max().unwrap_or(0) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_spans_from_its_first_start_to_its_last_end() {
        // Two ranks one after another on one node: 10 ns each, 25 ns together.
        assert_eq!(span(&[0, 0], &[100, 115], &[110, 125]), 25e-9);
        // Nodes' clocks do not compare: each for itself, the longer counts.
        assert_eq!(span(&[0, 1], &[100, 9_000], &[110, 9_030]), 30e-9);
        assert_eq!(span(&[], &[], &[]), 0.0);
    }
}
