//! What a round took, from the readings of its ranks' clocks.

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

/// How late a rank may be in a window, ns: what a look at the clock takes, many times over. Whoever is later was not
/// waiting for it, and the round had no common start.
pub const LATE: u64 = 1_000;

/// What became of a round's common start.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Seconds from the common start to the last rank's end.
    pub seconds: f64,
    /// Seconds from the common start to each rank's.
    pub starts: Vec<f64>,
    /// Ranks that missed it.
    pub late: u64,
}

impl Course {
    /// Of a round that began with a window: every rank's start and end in ns since it opened.
    pub fn from_window(starts: &[u64], ends: &[u64]) -> Course {
        Course {
            seconds: ends.iter().copied().max().unwrap_or(0) as f64 / 1e9,
            starts: starts.iter().map(|start| *start as f64 / 1e9).collect(),
            late: starts.iter().filter(|start| **start > LATE).count() as u64,
        }
    }

    /// Of a round that a barrier began: every rank's start and end on its node's clock, ns. Nobody can be late.
    pub fn from_barrier(node_of: &[usize], starts: &[u64], ends: &[u64]) -> Course {
        let first = |node: usize| {
            let on_node = node_of.iter().zip(starts).filter(|(of, _)| **of == node);
            on_node.map(|(_, start)| *start).min().unwrap_or(0)
        };
        let since = |(node, start): (&usize, &u64)| (start - first(*node)) as f64 / 1e9;
        let starts_since = node_of.iter().zip(starts).map(since).collect();
        Course { seconds: span(node_of, starts, ends), starts: starts_since, late: 0 }
    }
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

    #[test]
    fn a_window_opens_for_all() {
        // The second rank's 1,001 ns are too late; the third is the last to end.
        let course = Course::from_window(&[40, 1_001, 1_000], &[2_000, 2_500, 3_000]);
        assert_eq!(course, Course { seconds: 3e-6, starts: vec![40e-9, 1_001e-9, 1_000e-9], late: 1 });
    }

    #[test]
    fn behind_a_barrier_starts_are_those_of_the_node() {
        let course = Course::from_barrier(&[0, 7, 0, 7], &[115, 9_000, 100, 9_010], &[125, 9_030, 110, 9_020]);
        assert_eq!(course, Course { seconds: 30e-9, starts: vec![15e-9, 0.0, 0.0, 10e-9], late: 0 });
    }
}
