//! The figures of a machine from which rounds are predicted, and their spread, taken from the limits and blocks of measured
//! jobs.

use std::collections::BTreeMap;

use crate::gradient::Dtype;
use crate::results::ResultFile;
use crate::results::row::BlockRow;
use crate::roofline::MachineLimits;
use crate::roofline::figures::{Access, MemoryPasses, PairLimits};

/// The longest message inside a node that does not wait for a receive, bytes: `btl_vader_eager_limit` of Open MPI. MPICH
/// waits from 16 KiB on.
const EAGER_WITHIN: u64 = 4 << 10;
/// The part of the latency that the cores of both ends take together, where nothing else is known.
const CORES_PART: f64 = 0.5;
/// The parts of the measured values below which the slow and the fast figures lie.
const SLOW: f64 = 0.05;
const FAST: f64 = 0.95;

/// A machine of equal nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Bandwidth of a node's network card in each direction, bytes/s.
    pub card: f64,
    /// Bandwidth of one rank to ranks of other nodes in each direction, bytes/s.
    pub port: f64,
    /// Bandwidth of messages between two ranks of a node, bytes/s.
    pub within: f64,
    /// Half of the round-trip time of a short message between nodes, seconds.
    pub half_trip_between: f64,
    /// The same inside a node.
    pub half_trip_within: f64,
    /// Time of a core for a message, at each end, seconds.
    pub overhead: f64,
    /// Bandwidth of a node's memory, bytes/s.
    pub memory: f64,
    /// Bandwidth of the memory to one rank alone, bytes/s.
    pub one_rank: f64,
    /// Elements of a sum of two inputs a second on one core, by element type.
    pub sums: Vec<(Dtype, f64)>,
    /// Cores of a node, for its ranks.
    pub cores: usize,
    /// Last-level cache of a node, bytes.
    pub cache: u64,
    /// Longest message inside a node that does not wait for a receive, bytes.
    pub eager_within: u64,
}

impl Parameters {
    /// Elements of a sum of two inputs a second on one core; as of f32 for a type that was not measured.
    pub fn sums_per_s(&self, dtype: Dtype) -> f64 {
        let of = |wanted: Dtype| self.sums.iter().find(|(known, _)| *known == wanted).map(|(_, rate)| *rate);
        of(dtype).or_else(|| of(Dtype::F32)).unwrap_or(f64::INFINITY)
    }

    /// The part of a message's way between nodes that occupies no core, seconds.
    pub fn latency_between(&self) -> f64 {
        (self.half_trip_between - 2.0 * self.overhead).max(0.0)
    }

    /// The same inside a node.
    pub fn latency_within(&self) -> f64 {
        (self.half_trip_within - 2.0 * self.overhead).max(0.0)
    }
}

/// A machine as it was measured: its usual figures, and those while everything was slow or fast.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineModel {
    /// All figures at their medians.
    pub typical: Parameters,
    /// All figures at the slow end of what was measured (5 %).
    pub slow: Parameters,
    /// All figures at the fast end of what was measured (95 %).
    pub fast: Parameters,
    /// Greatest number of nodes among the jobs that were measured.
    pub nodes: u64,
}

/// Why a file does not describe a machine.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParametersError {
    /// A limit is missing.
    #[error("{0}: the file has no such limit; measure it with `gradshard run` without --no-limits, on 2 or more nodes")]
    Missing(&'static str),
    /// The limits cannot be read.
    #[error("limits of job {job}: {problem}")]
    Unreadable {
        /// The job.
        job: u64,
        /// The problem.
        problem: String,
    },
}

/// The measured values of one figure, ascending.
#[derive(Default)]
struct Values(Vec<f64>);

impl Values {
    fn add(&mut self, values: impl IntoIterator<Item = f64>) {
        self.0.extend(values.into_iter().filter(|value| value.is_finite() && *value > 0.0));
        self.0.sort_by(f64::total_cmp);
    }

    /// The value below which this part of the values lies.
    fn at(&self, part: f64) -> Option<f64> {
        let last = self.0.len().checked_sub(1)?;
        self.0.get((last as f64 * part).round() as usize).copied()
    }
}

/// The measured values of all figures.
#[derive(Default)]
struct Collected {
    card: Values,
    port: Values,
    within: Values,
    half_trip_between: Values,
    half_trip_within: Values,
    memory: Values,
    one_rank: Values,
    sums: BTreeMap<&'static str, (Option<Dtype>, Values)>,
    cores: Option<usize>,
    cache: Option<u64>,
}

impl MachineModel {
    /// The machine on which jobs with any of these numbers of nodes ran.
    ///
    /// # Errors
    /// If the file has no limits for them.
    pub fn of_file(file: &ResultFile, nodes: &[u64]) -> Result<MachineModel, ParametersError> {
        let mut collected = Collected::default();
        for job in &file.jobs {
            for &count in nodes {
                let on_nodes = &job.environment["limits_on_nodes"][count.to_string()];
                let limits =
                    if on_nodes.is_null() && job.nodes == count { &job.environment["limits"] } else { on_nodes };
                if limits.is_null() {
                    continue;
                }
                let limits: MachineLimits = serde_json::from_value(limits.clone())
                    .map_err(|error| ParametersError::Unreadable { job: job.job, problem: error.to_string() })?;
                collected.add_limits(&limits);
                let on_these = |block: &&BlockRow| {
                    let mut cells =
                        file.cells.iter().filter(|cell| (cell.job, cell.comparison) == (block.job, block.comparison));
                    block.job == job.job && cells.any(|cell| cell.nodes == count)
                };
                collected
                    .add_blocks(file.blocks.iter().filter(on_these), limits.nodes.iter().all(|node| node.ranks == 1));
            }
        }
        let at = |part: f64| collected.parameters(part);
        let nodes = nodes.iter().copied().max().unwrap_or(0);
        Ok(MachineModel { typical: at(0.5)?, slow: at(SLOW)?, fast: at(FAST)?, nodes })
    }

    /// The same machine with another time of a core for a message.
    #[must_use]
    pub fn with_overhead(&self, overhead: f64) -> MachineModel {
        self.with(|parameters| Parameters { overhead, ..parameters })
    }

    /// The same machine with other network cards, of this bandwidth in bytes/s.
    #[must_use]
    pub fn with_card(&self, card: f64) -> MachineModel {
        self.with(|parameters| Parameters { card, port: parameters.port.max(card), ..parameters })
    }

    fn with(&self, change: impl Fn(Parameters) -> Parameters) -> MachineModel {
        let of = |parameters: &Parameters| change(parameters.clone());
        MachineModel { typical: of(&self.typical), slow: of(&self.slow), fast: of(&self.fast), nodes: self.nodes }
    }
}

impl Collected {
    fn add_limits(&mut self, limits: &MachineLimits) {
        for node in &limits.nodes {
            let adds = || node.memory.iter().filter(|passes| passes.access != Access::Read);
            let most = adds().map(|passes| passes.workers).max().unwrap_or(0);
            let rates = |passes: &MemoryPasses| {
                let bytes = passes.bytes as f64;
                passes.seconds.iter().map(move |seconds| bytes / seconds).collect::<Vec<f64>>()
            };
            self.memory.add(adds().filter(|passes| passes.workers == most).flat_map(rates));
            self.one_rank.add(adds().filter(|passes| passes.workers == 1).flat_map(rates));
            for sums in &node.sums {
                let (dtype, values) = self.sums.entry(sums.dtype.into()).or_default();
                *dtype = Some(sums.dtype);
                values.add(sums.seconds.iter().map(|seconds| sums.elements as f64 / seconds));
            }
            self.cores = Some(self.cores.map_or(node.cores, |cores| cores.min(node.cores)));
            self.cache = Some(self.cache.map_or(node.cache_bytes, |cache| cache.min(node.cache_bytes)));
        }
        let both = |pair: &PairLimits| pair.both_ways.clone();
        self.within.add(limits.within_node.iter().flat_map(both));
        self.port.add(limits.between_nodes.iter().flat_map(both));
        let batches = |pair: &PairLimits| pair.latency_batches_s.clone();
        self.half_trip_within.add(limits.within_node.iter().flat_map(batches));
        self.half_trip_between.add(limits.between_nodes.iter().flat_map(batches));
        let Some(wires) = &limits.wires else { return };
        let most = wires.patterns.iter().map(|pattern| pattern.ranks_per_node).max().unwrap_or(0);
        for pattern in wires.patterns.iter().filter(|pattern| pattern.ranks_per_node == most) {
            self.card.add(pattern.bytes_per_s.iter().flatten().copied());
        }
    }

    /// Adds the passes between rounds. Those over the wires have one stream a node, which fills the card where a node has
    /// one rank.
    fn add_blocks<'b>(&mut self, blocks: impl Iterator<Item = &'b BlockRow>, one_rank_each: bool) {
        for block in blocks {
            let wires = if one_rank_each { &mut self.card } else { &mut self.port };
            wires.add(block.wire_bytes_per_s);
            self.memory.add(block.memory_bytes_per_s);
        }
    }

    /// The figures at this part of what was measured, from the slow end.
    fn parameters(&self, part: f64) -> Result<Parameters, ParametersError> {
        let rate = |values: &Values, name| values.at(part).ok_or(ParametersError::Missing(name));
        let one_rank = rate(&self.one_rank, "bandwidth of memory to one rank")?;
        let card = rate(&self.card, "bandwidth of the wires between nodes")?;
        let half_trip_between = self.half_trip_between.at(1.0 - part).ok_or(ParametersError::Missing("latency"))?;
        let sums = self.sums.values().filter_map(|(dtype, values)| (*dtype).zip(values.at(part)));
        Ok(Parameters {
            card,
            port: self.port.at(part).unwrap_or(card),
            within: self.within.at(part).unwrap_or(one_rank / 2.0),
            half_trip_between,
            half_trip_within: self.half_trip_within.at(1.0 - part).unwrap_or(0.0),
            overhead: half_trip_between * CORES_PART / 2.0,
            memory: rate(&self.memory, "bandwidth of memory")?,
            one_rank,
            sums: sums.collect(),
            cores: self.cores.unwrap_or(1).max(1),
            cache: self.cache.unwrap_or(0),
            eager_within: EAGER_WITHIN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_lie_between_the_slow_and_the_fast_end() {
        let mut values = Values::default();
        values.add((0..=100).map(f64::from));
        values.add([f64::NAN, -3.0]);
        // 1 to 100: zero is no measurement.
        assert_eq!((values.0.len(), values.at(0.0), values.at(1.0)), (100, Some(1.0), Some(100.0)));
        let (slow, middle, fast) = (values.at(SLOW), values.at(0.5), values.at(FAST));
        assert_eq!((slow, middle, fast), (Some(6.0), Some(51.0), Some(95.0)));
        assert_eq!(Values::default().at(0.5), None);
    }

    #[test]
    fn a_file_without_limits_is_refused_with_the_limit() {
        let file = ResultFile::open("tests/data/schema-4.h5").expect("a file of the repository");
        let error = MachineModel::of_file(&file, &[77]).expect_err("no job on 77 nodes");
        assert_eq!(error, ParametersError::Missing("bandwidth of memory to one rank"));
    }
}
