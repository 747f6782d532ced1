//! What was measured, as it goes into the result file. Every figure stands beside the passes that it was taken from.

use serde::{Deserialize, Serialize};

use crate::gradient::Dtype;

/// The limits of the nodes and wires that a job runs on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineLimits {
    /// Each node, in the order of its first rank. All nodes were measured at once.
    pub nodes: Vec<NodeLimits>,
    /// Two ranks of one node, by messages; None where no node has two.
    pub within_node: Option<PairLimits>,
    /// Two ranks of different nodes; None on one node.
    pub between_nodes: Option<PairLimits>,
    /// All nodes' wires at once; None on one node.
    pub wires: Option<WireLimits>,
    /// Ordered pairs of nodes, every node in one pair of each direction at a time; empty on one node, and of many nodes
    /// only some.
    #[serde(default)]
    pub node_pairs: Vec<NodePair>,
    /// What could not be measured, or not as it should be, and why.
    pub notes: Vec<String>,
    /// How long measuring took, seconds.
    pub seconds: f64,
}

/// The limits of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeLimits {
    /// The node, from 0.
    pub node: usize,
    /// Ranks on it.
    pub ranks: usize,
    /// Ranks of them that can each have a core of their own.
    pub cores: usize,
    /// Bytes of all its last-level caches together; 0 where hwloc knows none.
    pub cache_bytes: u64,
    /// Memory bandwidth, bytes/s: the best pass of a three-stream add, whoever made it. None where nothing was measured.
    pub memory_bytes_per_s: Option<f64>,
    /// The same by one rank, while the node's others sleep.
    pub one_rank_bytes_per_s: Option<f64>,
    /// Bytes/s that are read at most: the best pass of reading alone, or the two of three streams that the add reads where
    /// that is more. None where reading was not measured.
    #[serde(default)]
    pub read_bytes_per_s: Option<f64>,
    /// Every pass.
    pub memory: Vec<MemoryPasses>,
    /// Rate of one core, by element type.
    pub sums: Vec<SumRate>,
}

/// What a pass over memory does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// a\[i\] = b\[i\] + c\[i\], written past the cache.
    AddStreaming,
    /// a\[i\] = b\[i\] + c\[i\], written through the cache.
    AddCached,
    /// All three arrays are read, one after another, and nothing is written.
    Read,
}

/// Where the arrays of a pass lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// Memory of the rank's own, as the engine allocates it.
    Private,
    /// A shared window, where clients' gradients lie.
    Shared,
}

/// Passes of one kind, one after another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryPasses {
    /// What was done.
    pub access: Access,
    /// Where.
    pub memory: MemoryKind,
    /// By how many ranks at once.
    pub workers: usize,
    /// Bytes of one pass: three arrays of each worker. What the processor reads of a line before it overwrites it
    /// (write-allocate) is not counted, as in STREAM.
    pub bytes: u64,
    /// From the first worker's start to the last one's end, seconds, pass by pass. The warm-up pass is left out.
    pub seconds: Vec<f64>,
}

impl MemoryPasses {
    /// Bytes/s of the fastest pass; None without passes.
    pub fn best(&self) -> Option<f64> {
        fastest(&self.seconds).map(|seconds| self.bytes as f64 / seconds)
    }
}

/// How fast one core sums two weighted inputs that lie in its first-level cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SumRate {
    /// Element type of the inputs.
    pub dtype: Dtype,
    /// Elements of the sum per second, in the fastest batch; each takes two products and one addition.
    pub elements_per_s: f64,
    /// Elements of the sum that one batch formed.
    pub elements: u64,
    /// Seconds of each batch.
    pub seconds: Vec<f64>,
}

/// Messages between two ranks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairLimits {
    /// The two ranks.
    pub ranks: [usize; 2],
    /// Half a round trip of 8 bytes, seconds: the least of the batches' means.
    pub latency_s: f64,
    /// Mean half round trip of each batch, seconds.
    pub latency_batches_s: Vec<f64>,
    /// From the first rank to the second alone, bytes/s, the best pass.
    pub one_way_bytes_per_s: f64,
    /// Each pass of it.
    pub one_way: Vec<f64>,
    /// From the second rank to the first alone, bytes/s, the best pass; None where it was not measured.
    #[serde(default)]
    pub one_way_back_bytes_per_s: Option<f64>,
    /// Each pass of it.
    #[serde(default)]
    pub one_way_back: Vec<f64>,
    /// Both ways at once, bytes/s in each direction, the best pass.
    pub both_ways_bytes_per_s: f64,
    /// The slower direction of each pass.
    pub both_ways: Vec<f64>,
}

/// One stream from a node to another, while every other node has one too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodePair {
    /// The node that sends.
    pub from: usize,
    /// The node that receives.
    pub to: usize,
    /// Bytes/s, the best pass.
    pub bytes_per_s: f64,
}

/// All nodes at once: each sends to the next and receives from the one before, so that every wire is full both ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireLimits {
    /// Bytes/s into and out of each node, mean over the nodes: the best pass of either pattern.
    pub bytes_per_s: f64,
    /// Each pattern's passes.
    pub patterns: Vec<WirePasses>,
}

/// Passes of all nodes at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WirePasses {
    /// Ranks of each node that send and receive.
    pub ranks_per_node: usize,
    /// For each pass, bytes/s into each node.
    pub bytes_per_s: Vec<Vec<f64>>,
}

/// The least of `seconds` that is more than 0.
pub(super) fn fastest(seconds: &[f64]) -> Option<f64> {
    seconds.iter().copied().filter(|seconds| *seconds > 0.0).reduce(f64::min)
}

/// The greatest of finite numbers.
pub(super) fn greatest(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    values.into_iter().filter(|value| value.is_finite()).reduce(f64::max)
}

impl NodeLimits {
    /// Derives the figures from the passes.
    pub(super) fn conclude(&mut self) {
        let best = |wanted: &dyn Fn(&MemoryPasses) -> bool| {
            greatest(self.memory.iter().filter(|passes| wanted(passes)).filter_map(MemoryPasses::best))
        };
        let adds = |passes: &MemoryPasses| passes.access != Access::Read;
        self.memory_bytes_per_s = best(&adds);
        self.one_rank_bytes_per_s = best(&|passes| adds(passes) && passes.workers == 1);
        let read_by_adding = self.memory_bytes_per_s.map(|rate| rate * 2.0 / 3.0);
        self.read_bytes_per_s = best(&|passes| !adds(passes)).map(|rate| rate.max(read_by_adding.unwrap_or(0.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(access: Access, workers: usize, bytes: u64, seconds: &[f64]) -> MemoryPasses {
        MemoryPasses { access, memory: MemoryKind::Private, workers, bytes, seconds: seconds.to_vec() }
    }

    #[test]
    fn the_limit_is_the_best_pass_of_anyone() {
        let mut node = NodeLimits {
            memory: vec![
                passes(Access::AddStreaming, 1, 600, &[6.0, 3.0]),
                passes(Access::AddCached, 1, 600, &[2.5]),
                passes(Access::AddStreaming, 2, 1200, &[5.0, 4.0, 8.0]),
                passes(Access::AddCached, 2, 1200, &[]),
                passes(Access::Read, 2, 1200, &[8.0, 5.0]),
            ],
            ..NodeLimits::default()
        };
        node.conclude();
        // 1200 / 4; 600 / 2.5.
        assert_eq!(node.memory_bytes_per_s, Some(300.0));
        assert_eq!(node.one_rank_bytes_per_s, Some(240.0));
        // 1200 / 5, which is more than two thirds of 300.
        assert_eq!(node.read_bytes_per_s, Some(240.0));
        node.memory[4].seconds = vec![10.0];
        node.conclude();
        assert_eq!(node.read_bytes_per_s, Some(200.0));
        let mut nothing = NodeLimits::default();
        nothing.conclude();
        assert_eq!(nothing.memory_bytes_per_s, None);
    }

    #[test]
    fn a_clock_that_stood_still_is_no_pass() {
        assert_eq!(fastest(&[0.0, 2.0]), Some(2.0));
        assert_eq!(fastest(&[0.0]), None);
    }
}
