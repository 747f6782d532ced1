//! The rows of the result file's tables. Each column is defined here once: name, type, unit, schema version and
//! meaning.

use serde::{Deserialize, Serialize};
use strum::{Display, VariantArray};

use super::column::{Word, table, word};
use crate::gradient::Dtype;
use crate::memory::KernelMemory;
use crate::plan::form::LEAST_RADIX;
pub use crate::plan::memory::Memory as MemoryRow;
use crate::plan::{
    Algorithm, Caches, Closing, End, Family, Form, IntraNode, LibraryName, Order, Ready, Residency, Way,
};
use crate::roofline::share::Bottleneck;
use crate::stats::interference::{Interference, overwhelms};
use crate::stats::{StopReason, Verdict};

/// The outcome of a cell. The default is `failed`: a cell without an outcome did not succeed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Display, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Status {
    /// The cell was measured and verified.
    Ok,
    /// The cell cannot be carried out on this layout or under this limit; the reason says why.
    Infeasible,
    /// The cell ended with an error, or its result is wrong; the reason says how.
    #[default]
    Failed,
}

/// The kind of ranks that host aggregators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Hosting {
    /// Every rank hosts clients and aggregators.
    #[default]
    Colocated,
    /// Some ranks only aggregate; the others only host clients.
    Dedicated,
}

/// A property by which a chosen algorithm or component of the MPI library is told from the library's own choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Fingerprint {
    /// Bytes through the busiest node's interfaces.
    Wire,
    /// The library's memory.
    Memory,
    /// The time of a round.
    Time,
    /// Nothing was seen to differ.
    #[default]
    None,
}

/// The way in which the ranks begin each round of a block together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "kebab-case")]
pub enum BlockStart {
    /// At a set time on a clock that all ranks share (window).
    #[default]
    Window,
    /// After a barrier.
    Barrier,
    /// At windows at first; after a barrier once a round had missed too many of them.
    #[serde(alias = "window, then barrier")]
    WindowThenBarrier,
}

macro_rules! stored_as_words {
    ($($type:ty),+ $(,)?) => { $(impl Word for $type {})+ };
}

stored_as_words!(
    Status,
    Family,
    Dtype,
    Hosting,
    IntraNode,
    Order,
    Caches,
    Ready,
    Residency,
    End,
    Way,
    Closing,
    Algorithm,
    LibraryName,
    Fingerprint
);
stored_as_words!(Verdict, BlockStart, Bottleneck, StopReason);

impl Word for Interference {
    /// Converts the sentence in which files before schema version 5 describe a disturbance to a word. Keeps a word.
    fn of_older(text: String) -> String {
        let (others, off_core) = (text.starts_with("other programs"), text.ends_with("was put off its core"));
        match (others, off_core) {
            (true, true) => word(&Interference::OtherLoadAndOffCore),
            (true, false) => word(&Interference::OtherLoad),
            (false, true) => word(&Interference::OffCore),
            (false, false) => text,
        }
    }
}

/// Memory of one rank in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RankMemory {
    /// Predicted from the plan and the flow alone.
    pub predicted: MemoryRow,
    /// Allocations of gradshard's own code; None if no round was prepared.
    pub tracked: Option<MemoryRow>,
    /// Memory that the kernel reported, in the round with the most; None if ranks share a process or the kernel reports
    /// nothing.
    pub kernel: Option<KernelMemory>,
    /// Peak of the rank's control group in bytes: over the rounds if the peak can be reset, otherwise over the group's
    /// life. None without a group.
    pub group_peak: Option<u64>,
}

impl RankMemory {
    /// Bytes that the MPI library and the runtime took for the round: the kernel's figure less the tracked bytes.
    /// Negative if a small buffer reused memory that the process already held.
    pub fn surplus(&self) -> Option<i64> {
        let (kernel, tracked) = (self.kernel?, self.tracked?);
        Some(kernel.round as i64 - (tracked.total() - tracked.resident) as i64)
    }
}

/// A cell's result compared with the reference, the flat server that sums in client order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VerificationRow {
    /// Elements that differ from the reference in any bit.
    pub differing_elements: u64,
    /// Largest distance from the reference in units in the last place.
    pub max_ulp: u64,
    /// Largest relative error against the exact weighted mean.
    pub max_relative_error_vs_exact: f64,
    /// Largest error against the exact weighted mean, relative to Σ|wₖgₖ| / Σwₖ; None in files before schema version 7.
    pub max_backward_error: Option<f64>,
    /// Elements whose error exceeds the bound for any order of summation. The cell fails if there is one.
    pub wrong_elements: u64,
    /// Name of the reference.
    pub reference: String,
}

table! {
    /// A row of `/cells`: a cell of an experiment with its outcome.
    CellRow {
        job: u64, "1", since 4, "number of the job that measured it, a row of /jobs";
        cell: u64, "1", since 1, "number of the cell within the experiment, from 0";
        comparison: u64, "1", since 1, "number of the comparison whose blocks the cell ran in";
        strategy: String, "text", since 1, "strategy";
        family: Family, "text", since 1, "sharded, tree, or library: a call of the MPI library";
        model: String, "text", since 1, "model";
        elements: u64, "elements", since 1, "size of the gradient";
        dtype: Dtype, "text", since 1, "element type";
        clients: u64, "1", since 1, "number of clients, N";
        across: Way, "text", since 5, "way of sums between nodes, for strategies that have several; otherwise direct";
        radix: u64, "1", since 5, "base of the number system in which distances between ranks are written; 2 where the strategy writes none";
        closing: Closing, "text", since 5, "way of finished ranges to the ranks that want them; back: along the way of the sums, to the root straight";
        algorithm: Algorithm, "text", since 6, "algorithm of the MPI library for the reducing call, by the library's own name; default: the library chose, or there is no call";
        component: LibraryName, "text", since 8, "component of the MPI library that its calls prefer, by the library's own name; default: the library chose, or there is no call";
        fingerprint: Option<Fingerprint>, "text", since 8, "the proof that the chosen algorithm or component took effect: what differs from the library's own choice, timed in the same blocks: wire (bytes of the busiest node by more than a tenth), memory (library_bytes by more than 1 MiB and a tenth) or time (by more than 2 %, with interval); none: nothing does; empty: nothing was chosen, or there is nothing to compare with";
        shards: u64, "1", since 1, "number of shards, M; 1 where the strategy does not shard";
        flow: String, "text", since 1, "whole, or the chunk size in bytes with its unit";
        ranks: u64, "1", since 1, "number of MPI ranks, or of threads";
        nodes: u64, "1", since 1, "number of nodes";
        roles: Hosting, "text", since 1, "colocated or dedicated";
        intra_node: IntraNode, "text", since 1, "shared or messages";
        order: Order, "text", since 1, "order of summation: client, rotated or arrival";
        ready: Ready, "text", since 6, "whether ranks know that their neighbours' gradients are there (assumed) or read a flag a client inside the clock (checked)";
        caches: Caches, "text", since 6, "memory as rounds find it: warm, as the rounds before left it, or cold: no gradient in a cache, and pages of large buffers, sums and finished ranges not touched";
        end: End, "text", since 5, "state in which a round ends: scattered, root or everywhere";
        residency: Residency, "text", since 1, "resident or streamed gradients";
        samples: u64, "1", since 1, "number of timed rounds";
        median_s: Option<f64>, "s", since 1, "median time of a round; NaN: none was timed";
        ci_low_s: Option<f64>, "s", since 1, "lower end of the median's 95 % interval; NaN: too few samples";
        ci_high_s: Option<f64>, "s", since 1, "upper end of the median's 95 % interval; NaN: too few samples";
        gradient_bytes_per_s: Option<f64>, "B/s", since 1, "bytes of one gradient over the median; NaN: none";
        ingest_bytes_per_s: Option<f64>, "B/s", since 1, "bytes of all clients' gradients over the median; NaN: none";
        share_of_limit: Option<f64>, "1", since 2, "limit_seconds over the time of a round: paired by block with the bandwidth of limit_part in /blocks, or where no block has one (and before schema 6) at the limits over the median; NaN: no limit is known, as where everything fits into the caches";
        share_low: Option<f64>, "1", since 6, "lower end of the 95 % interval of share_of_limit; NaN: fewer than 6 blocks have the bandwidth of limit_part";
        share_high: Option<f64>, "1", since 6, "upper end of the 95 % interval of share_of_limit; NaN: fewer than 6 blocks have the bandwidth of limit_part";
        limit_bytes: u64, "B", since 2, "least bytes that must cross the busiest memory system or wire; 0: no limit is known";
        limit_part: Option<Bottleneck>, "text", since 2, "the part that limit_bytes must cross: memory, reading (of memory) or wire; empty: no limit is known";
        limit_seconds: Option<f64>, "s", since 2, "limit_bytes over the part's measured bandwidth; NaN: no limit is known";
        own_limit_seconds: Option<f64>, "s", since 5, "least time of the strategy's own algorithm: the longest of limit_seconds, of its bytes over the busiest wire, and of its bytes through the memory of the busiest node or rank; NaN: not known";
        share_of_own_limit: Option<f64>, "1", since 5, "own_limit_seconds over the time of a round, as share_of_limit; NaN: not known";
        aggregating_bytes: u64, "B", since 3, "predicted, without clients' gradients, the aggregating rank that holds most";
        library_bytes: Option<f64>, "B", since 3, "memory that the MPI library and the runtime took for a round, the aggregating rank where it is most: seen by the kernel less tracked; NaN: not known";
        group_peak_bytes: Option<f64>, "B", since 3, "greatest peak of a control group that holds ranks; NaN: there is none";
        ceiling_bytes: Option<f64>, "B", since 3, "memory limit on one aggregator; NaN: no limit";
        enforced_by: String, "text", since 3, "mechanism that enforced the ceiling on the process; empty: none";
        producing_share: Option<f64>, "1", since 3, "share of a round's time in which the slowest rank produced streamed gradients; NaN: none were produced";
        messages_max: u64, "1", since 5, "messages that a rank sends in a round, the rank that sends most";
        messages_total: u64, "1", since 5, "messages that all ranks send in a round";
        message_bytes_max: u64, "B", since 5, "bytes that a rank sends in messages in a round, the rank that sends most";
        wire_bytes: Option<f64>, "B", since 5, "predicted: bytes of messages of a round in the busier direction of the busiest node's wire; NaN: the library's algorithm moves them";
        wire_bytes_seen: Option<f64>, "B", since 5, "counted by the network interfaces, envelopes and other programs' traffic included: bytes of a round in the busier direction of the busiest node, mean of the rounds; NaN: one node, or no counters";
        rack_bytes: Option<f64>, "B", since 5, "predicted: bytes of messages of a round in the busier direction of the busiest rack's links to others; NaN: one rack, or the library's algorithm moves them";
        stopped: Option<StopReason>, "text", since 3, "reason that no more blocks of the comparison ran: precise (intervals narrow enough), budget (time is up) or blocks (as many as allowed); empty: not timed";
        looks: u64, "1", since 3, "number of looks at the comparison's intervals; intervals are at the level of the last look, all looks together at 95 %";
        blocks: u64, "1", since 3, "blocks of the comparison that ran";
        warm_up_samples: u64, "1", since 3, "number of the first samples that are warm-up, by MSER; they count like all others";
        drifts: bool, "bool", since 3, "whether the samples had not settled by the middle of them";
        lag1_autocorrelation: Option<f64>, "1", since 3, "lag-1 autocorrelation of the logarithms of the samples; NaN: fewer than 3, or all equal";
        effective_samples: Option<f64>, "1", since 3, "number of independent samples that would say as much about the mean; NaN: fewer than 3, or all equal";
        missed_windows: u64, "1", since 4, "rounds that ran but are used for nothing, as a rank missed the window in which they began; not among samples";
        disturbed_samples: Option<f64>, "1", since 4, "share of the samples in which some rank was off its core for more than 5 % of the round; NaN: none was timed";
        other_load: Option<f64>, "1", since 4, "share of a node's cores that other programs took or the host stole while the comparison's blocks ran, the node where it is most; NaN: not known";
        interference: Option<Interference>, "text", since 4, "the disturbance that makes the times unreliable: other-load, off-core or other-load-and-off-core; empty: none";
        status: Status, "text", since 1, "ok, infeasible or failed";
        reason: String, "text", since 1, "reason, where the status is not ok";
    }
    parts {
        memory: MemoryRow, "Predicted memory of the rank that holds most, from the plan and the flow alone." {
            memory_resident = resident: u64, "B", since 1, "predicted, rank that holds most: clients' gradients kept for the round";
            memory_accumulators = accumulators: u64, "B", since 1, "predicted, rank that holds most: sums in progress";
            memory_staging = staging: u64, "B", since 1, "predicted, rank that holds most: pieces in flight";
            memory_result = result: u64, "B", since 1, "predicted, rank that holds most: finished ranges";
        }
        aggregator: MemoryRow, "Predicted memory of the aggregator that holds most, which is compared with a ceiling." {
            aggregator_accumulators = accumulators: u64, "B", since 3, "predicted, the one aggregator that holds most: sums in progress";
            aggregator_staging = staging: u64, "B", since 3, "predicted, the one aggregator that holds most: pieces in flight";
            aggregator_result = result: u64, "B", since 3, "predicted, the one aggregator that holds most: finished ranges";
        }
    }
    optional {
        tracked: MemoryRow, if tracked, since 3, "whether a round was made ready, so that allocations were tracked; if not, the tracked columns hold 2^64 - 1" {
            tracked_resident = resident: u64, "B", since 3, "allocated by gradshard, rank that holds most: clients' gradients";
            tracked_accumulators = accumulators: u64, "B", since 3, "allocated by gradshard, rank that holds most: sums in progress";
            tracked_staging = staging: u64, "B", since 3, "allocated by gradshard, rank that holds most: pieces in flight";
            tracked_result = result: u64, "B", since 3, "allocated by gradshard, rank that holds most: finished ranges";
        }
        kernel: KernelMemory, if kernel_seen, since 3, "whether the kernel said what ranks held; if not, the kernel columns hold 2^64 - 1" {
            kernel_round = round: u64, "B", since 3, "seen by the kernel, aggregating rank where it is most: peak of private and own shared pages during the round, beyond the baseline and the gradients";
            kernel_resident = resident: u64, "B", since 3, "seen by the kernel, that rank: bytes that the clients' gradients took when loaded";
            kernel_baseline = baseline: u64, "B", since 3, "seen by the kernel, that rank: bytes that the process held before the round, without the gradients";
            kernel_neighbours = neighbours: u64, "B", since 3, "seen by the kernel, that rank: pages of neighbours' windows mapped to be read; in none of the other figures";
        }
        verification: VerificationRow, if verified, since 1, "whether the result was compared with the reference; if not, the verification columns hold 2^64 - 1, NaN and empty text" {
            verification_differing_elements = differing_elements: u64, "elements", since 1, "elements that differ from the reference in any bit";
            verification_max_ulp = max_ulp: u64, "ulp", since 1, "largest distance from the reference";
            verification_max_relative_error_vs_exact = max_relative_error_vs_exact: f64, "1", since 1, "largest relative error against the exact weighted mean";
            verification_max_backward_error = max_backward_error: Option<f64>, "1", since 7, "largest error against the exact weighted mean, relative to the weighted mean of the gradients' absolute values, which clients that nearly cancel each other do not inflate; NaN: not verified";
            verification_wrong_elements = wrong_elements: u64, "elements", since 1, "elements whose error exceeds what any order of summation can cause";
            verification_reference = reference: String, "text", since 1, "name of the reference";
        }
    }
}

table! {
    /// A row of `/ratios`: a cell compared, block by block, with the fastest of its comparison.
    RatioRow {
        job: u64, "1", since 4, "number of the job that measured both";
        comparison: u64, "1", since 3, "number of the comparison";
        cell: u64, "1", since 3, "number of the cell";
        baseline: u64, "1", since 3, "number of the cell that it is compared with, the one with the least median";
        blocks: u64, "1", since 3, "blocks in which both were timed";
        estimate: f64, "1", since 3, "Hodges-Lehmann estimate of the cell's time divided by the baseline's";
        ci_low: Option<f64>, "1", since 3, "lower end of the ratio's interval, by inverting the signed-rank test; NaN: too few blocks";
        ci_high: Option<f64>, "1", since 3, "upper end of the ratio's interval; NaN: too few blocks";
        alpha: f64, "1", since 3, "level of the interval: the part of the 0.05 of all looks that the last look may spend, divided by the pairs of cells";
        p: f64, "1", since 3, "p-value of the two being equally fast, by the signed-rank test, alone and at this look";
        p_holm: f64, "1", since 3, "the same for all looks and all pairs of cells of the comparison, by Holm's adjustment";
        p_same_holm: f64, "1", since 3, "p-value of the ratio lying outside the margin, for all looks and pairs";
        margin: f64, "1", since 3, "ratios between 1 / (1 + margin) and 1 + margin count as the same";
        verdict: Verdict, "text", since 3, "claim about the cell: faster, slower, same or undecided";
        lag1_autocorrelation: Option<f64>, "1", since 3, "lag-1 autocorrelation of the log ratios; NaN: fewer than 3 blocks";
    }
}

table! {
    /// A row of `/samples`: one timed round. The times of its ranks are rows of arrays of their own, in rank order.
    Sample {
        job: u64, "1", since 4, "number of the job";
        cell: u64, "1", since 1, "number of the cell";
        block: u64, "1", since 1, "number of the block within its comparison, from 0";
        place: u64, "1", since 1, "place of the cell within the block's random order, from 0";
        seconds: f64, "s", since 1, "time from the common start to the end of the last rank; behind a barrier, from the first start to the last end (before schema 6 on a node, of the nodes the longest)";
        late_ranks: u64, "1", since 4, "ranks that began more than 1 us after the window opened; with any the round had no common start and is used for nothing";
        superseded: u64, "1", since 6, "1: begun by a window, before its comparison went over to barriers, and used for nothing; otherwise 0";
        involuntary_switches: u64, "1", since 4, "times that the kernel took a rank's core away during the round, all ranks";
        off_core_seconds: f64, "s", since 4, "time that a rank was off its core during the round, the rank where it was most";
    }
    beside {
        rank_start_seconds: Vec<f64>, "Seconds from the common start to each rank's start. The common start is the window's opening, or with a barrier the first start (before schema 6 that on the rank's node).";
        rank_seconds: Vec<f64>, "Seconds that each rank took.";
        rank_producing_seconds: Vec<f64>, "Seconds that each rank spent producing streamed gradients; zeros where they are resident.";
    }
    lengths {
        ranks of rank_seconds, "1", since 1, "number of ranks with times in /rank_seconds and /rank_producing_seconds";
    }
}

table! {
    /// A row of `/blocks`: the state of the machine while a block ran. Sums are over ranks and timed rounds, missed
    /// ones included.
    BlockRow {
        job: u64, "1", since 4, "number of the job";
        comparison: u64, "1", since 4, "number of the comparison";
        block: u64, "1", since 4, "number of the block within its comparison, from 0";
        began_unix_s: f64, "s", since 4, "time at which it began, since 1970, UTC";
        seconds: f64, "s", since 4, "duration, with everything that is not timed";
        start: BlockStart, "text", since 4, "how its rounds began together: window, barrier, or window-then-barrier where one round missed too many windows";
        rounds: u64, "1", since 4, "rounds that were timed";
        missed_windows: u64, "1", since 4, "timed rounds in which a rank missed the window; used for nothing";
        clock_residual_s: Option<f64>, "s", since 4, "error of the ranks' estimate of rank 0's clock at its last check, the worst rank; NaN: all have one clock, or it was checked once";
        involuntary_switches: u64, "1", since 4, "times that the kernel took a rank's core away during timed rounds, all ranks";
        involuntary_switches_max: u64, "1", since 4, "times that the kernel took the core away from one rank during timed rounds, the rank with most";
        minor_faults: u64, "1", since 4, "page faults during timed rounds that needed no disk, all ranks";
        major_faults: u64, "1", since 4, "page faults during timed rounds that needed a disk, all ranks";
        off_core_seconds_max: f64, "s", since 4, "time of timed rounds that one rank was off its core, the one with most";
        busy_core_seconds: Option<f64>, "s", since 4, "time of all nodes' cores on anybody's behalf during the block, in ticks of the kernel; NaN: not known";
        own_core_seconds: f64, "s", since 4, "time of all nodes' cores that the ranks took";
        stolen_core_seconds: Option<f64>, "s", since 4, "time of all nodes' cores that their hosts gave to others; NaN: not known";
        cores: u64, "1", since 4, "cores of all nodes";
        cpu_mhz_min: Option<f64>, "MHz", since 4, "frequency of the slowest core that a rank was on at the end of the block; NaN: the kernel does not say";
        cpu_mhz_max: Option<f64>, "MHz", since 4, "frequency of the fastest core that a rank was on at the end of the block; NaN: the kernel does not say";
        memory_bytes_per_s: Option<f64>, "B/s", since 6, "bandwidth of a three-stream add by all cores of a node at a random place of the block, the slowest node; NaN: not measured";
        reading_bytes_per_s: Option<f64>, "B/s", since 6, "the same for reading alone";
        wire_bytes_per_s: Option<f64>, "B/s", since 6, "bandwidth into each node while all send to the next one at a random place of the block, mean over the nodes; NaN: not measured, as in most blocks where they are short";
    }
}

/// Relative amount by which a cell may exceed its limit without a warning, where its share has no interval. Limits are
/// measured in a few seconds and vary.
const LIMIT_SPREAD: f64 = 0.05;
/// The same for the lower end of a share's interval.
const PAIRED_SPREAD: f64 = 0.02;

impl CellRow {
    /// True if the cell was faster than its limit allows, so that its share of the limit is meaningless. Limits that are
    /// measured before the cells only, not in their blocks, are beaten where the machine becomes faster later.
    pub fn beats_its_limit(&self) -> bool {
        match self.share_low {
            Some(low) => low > 1.0 + PAIRED_SPREAD,
            None => self.share_of_limit.is_some_and(|share| share > 1.0 + LIMIT_SPREAD),
        }
    }

    /// The strategy with the choices of its plan that differ from the defaults: `sharded-radix, radix 4`.
    pub fn formed(&self) -> String {
        let form = Form {
            radix: self.radix.max(LEAST_RADIX),
            across: self.across,
            closing: self.closing,
            algorithm: self.algorithm,
            component: self.component,
        };
        format!("{}{form}", self.strategy)
    }

    /// True if the MPI library chose how to carry out its calls, or there are none.
    pub fn is_the_librarys_choice(&self) -> bool {
        self.algorithm.is_default() && self.component.is_default()
    }

    /// Bytes of one gradient.
    pub fn gradient_bytes(&self) -> u64 {
        self.elements.saturating_mul(self.dtype.size() as u64)
    }

    /// The median time in seconds, if the cell was measured and verified.
    pub fn timed(&self) -> Option<f64> {
        self.median_s.filter(|_| self.status == Status::Ok)
    }

    /// The greatest share that makes the times unreliable: of a node's cores that others took, or of the samples in which a
    /// rank was off its core. 0 if the times are reliable.
    pub fn disturbed_share(&self) -> f64 {
        let Some(interference) = self.interference else { return 0.0 };
        let others = self.other_load.filter(|_| interference.is_other_load());
        let off_core = self.disturbed_samples.filter(|_| interference.is_off_core());
        others.unwrap_or(0.0).max(off_core.unwrap_or(0.0))
    }

    /// The disturbance in words if it makes the ratio of two cells of one comparison worthless; None if the ratio stands,
    /// though either may have been disturbed mildly.
    pub fn overwhelming_disturbance(one: &CellRow, other: &CellRow) -> Option<String> {
        let is = |which: fn(Interference) -> bool| [one, other].iter().any(|cell| cell.interference.is_some_and(which));
        let most = |share: fn(&CellRow) -> Option<f64>| share(one).into_iter().chain(share(other)).fold(0.0, f64::max);
        let others = if is(Interference::is_other_load) { most(|cell| cell.other_load) } else { 0.0 };
        let samples = |cell: &CellRow| cell.disturbed_samples.unwrap_or(0.0);
        // Where ranks share cores no cell is called off its core, and these shares mean nothing.
        let off_core = if is(Interference::is_off_core) { [one, other].map(samples) } else { [0.0; 2] };
        if !overwhelms(others, off_core) {
            return None;
        }
        let worst = if one.disturbed_share() >= other.disturbed_share() { one } else { other };
        worst.disturbance()
    }

    /// The disturbance of the cell in words, with the measured shares; None if its times are reliable.
    pub fn disturbance(&self) -> Option<String> {
        let percent = |share: Option<f64>| format!("{:.0} %", share.unwrap_or(f64::NAN) * 100.0);
        let others = || format!("other programs or the host took {} of a node's cores", percent(self.other_load));
        let off_core = || format!("in {} of the samples a rank was put off its core", percent(self.disturbed_samples));
        Some(match self.interference? {
            Interference::OtherLoad => others(),
            Interference::OffCore => off_core(),
            Interference::OtherLoadAndOffCore => format!("{}; {}", others(), off_core()),
        })
    }
}

impl BlockRow {
    /// The bandwidth of `part` during the block, bytes/s; None if it was not measured.
    pub fn bandwidth(&self, part: Bottleneck) -> Option<f64> {
        match part {
            Bottleneck::Memory => self.memory_bytes_per_s,
            Bottleneck::Reading => self.reading_bytes_per_s,
            Bottleneck::Wire => self.wire_bytes_per_s,
        }
    }
}

impl Sample {
    /// True if every rank began in time, as in the samples that count beside it. Invalid samples stay in the file, but no result uses them.
    pub fn is_valid(&self) -> bool {
        self.late_ranks == 0 && self.superseded == 0
    }
}
