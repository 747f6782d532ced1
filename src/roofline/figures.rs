//! The measured limits as they are stored in the result file. Each limit is stored with the passes from which it was
//! derived.

use serde::{Deserialize, Serialize};

use crate::gradient::Dtype;

/// The limits of the nodes and wires on which a job runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineLimits {
    /// The limits of each node, in the order of the nodes' first ranks. All nodes were measured at the same time.
    pub nodes: Vec<NodeLimits>,
    /// Messages between two ranks of one node; None if no node has two ranks.
    pub within_node: Option<PairLimits>,
    /// Messages between two ranks of different nodes; None on one node.
    pub between_nodes: Option<PairLimits>,
    /// The wires of all nodes at the same time; None on one node.
    pub wires: Option<WireLimits>,
    /// Ordered pairs of nodes. Every node is in one pair of each direction at a time. Empty on one node; with many
    /// nodes only some pairs are measured.
    #[serde(default)]
    pub node_pairs: Vec<NodePair>,
    /// Notes on limits that could not be measured, or not as they should be, with the reason.
    pub notes: Vec<String>,
    /// Duration of the measurement, seconds.
    pub seconds: f64,
}

/// The limits of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeLimits {
    /// Number of the node, from 0.
    pub node: usize,
    /// Number of ranks on the node.
    pub ranks: usize,
    /// Number of ranks that can each have a core of their own.
    pub cores: usize,
    /// Size of all last-level caches of the node together, bytes; 0 if hwloc knows none.
    pub cache_bytes: u64,
    /// Memory bandwidth, bytes/s: the best pass of a three-stream add by any number of ranks. None if it was not
    /// measured.
    pub memory_bytes_per_s: Option<f64>,
    /// Memory bandwidth of one rank while the node's other ranks sleep, bytes/s.
    pub one_rank_bytes_per_s: Option<f64>,
    /// Read bandwidth, bytes/s. It is the greater of the best pass of reading alone and the two thirds of the add's
    /// bandwidth that are reads. None if reading was not measured.
    pub read_bytes_per_s: Option<f64>,
    /// All passes over memory.
    pub memory: Vec<MemoryPasses>,
    /// Summing rate of one core for each element type.
    pub sums: Vec<SumRate>,
}

/// The work of a pass over memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// a\[i\] = b\[i\] + c\[i\], with stores that bypass the cache.
    AddStreaming,
    /// a\[i\] = b\[i\] + c\[i\], with stores through the cache.
    AddCached,
    /// Reads all three arrays, one after another, and writes nothing.
    Read,
}

/// The kind of memory that holds the arrays of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// Private memory of a rank, as the engine allocates it.
    Private,
    /// A shared window, which is where clients' gradients lie.
    Shared,
}

/// Passes with the same access, memory and number of workers, one after another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryPasses {
    /// The access.
    pub access: Access,
    /// The kind of memory.
    pub memory: MemoryKind,
    /// Number of ranks that work at the same time.
    pub workers: usize,
    /// Bytes of one pass: the three arrays of every worker. As in STREAM, this does not count the read of a line before
    /// it is overwritten (write-allocate).
    pub bytes: u64,
    /// Duration of each pass, seconds, from the first worker's start to the last worker's end. The warm-up pass is left
    /// out.
    pub seconds: Vec<f64>,
}

impl MemoryPasses {
    /// Returns the bandwidth of the fastest pass, bytes/s; None without passes.
    pub fn best(&self) -> Option<f64> {
        fastest(&self.seconds).map(|seconds| self.bytes as f64 / seconds)
    }
}

/// The rate at which one core sums two weighted inputs that lie in its first-level cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SumRate {
    /// Element type of the inputs.
    pub dtype: Dtype,
    /// Elements of the sum per second in the fastest batch. Each takes two multiplications and one addition.
    pub elements_per_s: f64,
    /// Elements of the sum that one batch computes.
    pub elements: u64,
    /// Duration of each batch, seconds.
    pub seconds: Vec<f64>,
}

/// The latency and the bandwidth of messages between two ranks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairLimits {
    /// The two ranks.
    pub ranks: [usize; 2],
    /// Half of the round-trip time of 8 bytes, seconds: the least of the batches' means.
    pub latency_s: f64,
    /// Mean half round-trip time of each batch, seconds.
    pub latency_batches_s: Vec<f64>,
    /// Bandwidth from the first rank to the second alone, bytes/s, in the best pass.
    pub one_way_bytes_per_s: f64,
    /// Bandwidth of each such pass, bytes/s.
    pub one_way: Vec<f64>,
    /// Bandwidth from the second rank to the first alone, bytes/s, in the best pass; None if it was not measured.
    pub one_way_back_bytes_per_s: Option<f64>,
    /// Bandwidth of each such pass, bytes/s.
    #[serde(default)]
    pub one_way_back: Vec<f64>,
    /// Bandwidth of each direction while both are busy, bytes/s, in the best pass.
    pub both_ways_bytes_per_s: f64,
    /// Bandwidth of the slower direction in each such pass, bytes/s.
    pub both_ways: Vec<f64>,
}

/// A stream from one node to another while every other node has one too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodePair {
    /// The sending node.
    pub from: usize,
    /// The receiving node.
    pub to: usize,
    /// Bandwidth of the best pass, bytes/s.
    pub bytes_per_s: f64,
}

/// The wires of all nodes at the same time. Each node sends to the next and receives from the one before, so every wire
/// is busy in both directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireLimits {
    /// Bandwidth into and out of each node, bytes/s, as a mean over the nodes: the best pass of either pattern.
    pub bytes_per_s: f64,
    /// The passes of each pattern.
    pub patterns: Vec<WirePasses>,
}

impl WireLimits {
    /// The bandwidth of the best pass with one sending and receiving rank on each node, bytes/s, mean over the nodes; None if
    /// there was none.
    pub fn one_stream_each(&self) -> Option<f64> {
        let single = self.patterns.iter().find(|passes| passes.ranks_per_node == 1)?;
        greatest(single.bytes_per_s.iter().map(|pass| pass.iter().sum::<f64>() / pass.len() as f64))
    }
}

/// Passes in which all nodes send and receive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WirePasses {
    /// Number of ranks of each node that send and receive.
    pub ranks_per_node: usize,
    /// For each pass, the bandwidth into each node, bytes/s.
    pub bytes_per_s: Vec<Vec<f64>>,
}

/// Returns the least of `seconds` that is above 0.
pub(super) fn fastest(seconds: &[f64]) -> Option<f64> {
    seconds.iter().copied().filter(|seconds| *seconds > 0.0).reduce(f64::min)
}

/// Returns the greatest finite number of `values`.
pub(super) fn greatest(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    values.into_iter().filter(|value| value.is_finite()).reduce(f64::max)
}

impl NodeLimits {
    /// Derives the node's limits from its passes.
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
