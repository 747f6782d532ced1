//! One row of the result table: a cell, what it measured, and what became of it.

use serde::{Deserialize, Serialize};

use crate::memory::KernelMemory;

/// What became of a cell. The default is `failed`: a cell that nobody spoke for did not succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Measured and verified.
    Ok,
    /// Cannot be carried out on this layout or under this limit; the reason says why.
    Infeasible,
    /// Went wrong, or its result is wrong; the reason says how.
    #[default]
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 3] = [Status::Ok, Status::Infeasible, Status::Failed];

    /// The name used in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Infeasible => "infeasible",
            Status::Failed => "failed",
        }
    }

    /// The status with this name; None for any other word.
    pub fn from_name(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// Bytes that one rank holds at the peak of a round, by purpose. In a cell's row: of the rank that holds most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryRow {
    /// Clients' gradients kept for the round.
    pub resident: u64,
    /// Sums in progress.
    pub accumulators: u64,
    /// Pieces in flight, received or produced.
    pub staging: u64,
    /// Finished ranges.
    pub result: u64,
}

impl MemoryRow {
    /// All purposes together.
    pub fn total(&self) -> u64 {
        self.resident + self.accumulators + self.staging + self.result
    }
}

/// Memory of one rank in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RankMemory {
    /// From the plan and the flow alone.
    pub predicted: MemoryRow,
    /// What gradshard's own code allocated; None where no round was made ready.
    pub tracked: Option<MemoryRow>,
    /// What the kernel saw, the round in which it was most; None where ranks share a process or the kernel is silent.
    pub kernel: Option<KernelMemory>,
    /// Peak of the control group that holds the rank: of the rounds where it can be reset, else of its life; None without
    /// one.
    pub group_peak: Option<u64>,
}

impl RankMemory {
    /// What the MPI library and the runtime took for the round: what the kernel saw beyond what was tracked. Negative
    /// where a small buffer lay in memory that was there before.
    pub fn surplus(&self) -> Option<i64> {
        let (kernel, tracked) = (self.kernel?, self.tracked?);
        Some(kernel.round as i64 - (tracked.total() - tracked.resident) as i64)
    }
}

/// How a cell's result compares with the reference: the flat server that sums in client order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VerificationRow {
    /// Elements that differ from the reference in any bit.
    pub differing_elements: u64,
    /// Largest distance from the reference in units in the last place.
    pub max_ulp: u64,
    /// Largest relative error against the exact weighted mean.
    pub max_relative_error_vs_exact: f64,
    /// Elements whose error exceeds what any order of summation can cause. One is enough to fail the cell.
    pub wrong_elements: u64,
    /// What the result was compared with.
    pub reference: String,
}

/// A cell of an experiment with its outcome. Names are those of the result file and of `show --format json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellRow {
    /// Number of the job that measured it.
    pub job: u64,
    /// Number of the cell within the experiment, from 0.
    pub cell: u64,
    /// Number of the comparison whose blocks the cell ran in: cells of one comparison were interleaved.
    pub comparison: u64,
    /// Strategy.
    pub strategy: String,
    /// `sharded` or `tree`.
    pub family: String,
    /// Model.
    pub model: String,
    /// |θ|.
    pub elements: u64,
    /// Element type.
    pub dtype: String,
    /// N.
    pub clients: u64,
    /// M; 1 for strategies that do not shard.
    pub shards: u64,
    /// `whole`, or the chunk size in bytes with its unit.
    pub flow: String,
    /// MPI ranks, or threads.
    pub ranks: u64,
    /// Nodes.
    pub nodes: u64,
    /// `colocated` or `dedicated`.
    pub roles: String,
    /// `shared` or `messages`.
    pub intra_node: String,
    /// `client`, `rotated` or `arrival`.
    pub order: String,
    /// `aggregate` or `round`.
    pub phase: String,
    /// `resident` or `streamed`.
    pub residency: String,
    /// Timed samples.
    pub samples: u64,
    /// Median of the samples, seconds.
    pub median_s: Option<f64>,
    /// Lower end of the 95 % interval of the median, seconds; None with too few samples.
    pub ci_low_s: Option<f64>,
    /// Upper end of the 95 % interval of the median, seconds; None with too few samples.
    pub ci_high_s: Option<f64>,
    /// |θ| bytes over the median.
    pub gradient_bytes_per_s: Option<f64>,
    /// N·|θ| bytes over the median.
    pub ingest_bytes_per_s: Option<f64>,
    /// The least time that the busiest memory system or wire allows, over the median; None where no limit is known.
    pub share_of_limit: Option<f64>,
    /// Bytes that must at least cross that part; 0 where no limit is known.
    pub limit_bytes: u64,
    /// `memory` or `wire`; empty where no limit is known.
    pub limit_part: String,
    /// Those bytes over the part's measured bandwidth, seconds.
    pub limit_seconds: Option<f64>,
    /// Predicted from the plan and the flow alone: the rank that holds most.
    pub memory: MemoryRow,
    /// Allocated by gradshard's own code: the rank that holds most. None where no round was made ready.
    pub tracked: Option<MemoryRow>,
    /// Predicted for the one aggregator that holds most: what a ceiling is compared with.
    pub aggregator: MemoryRow,
    /// Predicted for a rank that aggregates, without clients' gradients, bytes: the rank where it is most.
    pub aggregating_bytes: u64,
    /// What the kernel saw: of the ranks that aggregate, the one whose round took most. None where it did not say.
    pub kernel: Option<KernelMemory>,
    /// What the MPI library and the runtime took for a round, bytes: the aggregating rank where it is most.
    pub library_bytes: Option<f64>,
    /// Memory limit on one aggregator, bytes; None: no limit.
    pub ceiling_bytes: Option<f64>,
    /// What enforced it; empty where nothing did.
    pub enforced_by: String,
    /// Of a round's time, the share in which the slowest rank produced streamed gradients; None where none were.
    pub producing_share: Option<f64>,
    /// Peak of a control group that holds ranks, bytes: the greatest.
    pub group_peak_bytes: Option<f64>,
    /// Why no more blocks of its comparison ran: `precise`, `budget` or `blocks`; empty where it was not timed.
    pub stopped: String,
    /// How often its comparison's intervals were looked at. Each look spent a part of the 5 % of all.
    pub looks: u64,
    /// Blocks of its comparison that ran.
    pub blocks: u64,
    /// How many of the first samples are warm-up; none of them is left out of anything for it.
    pub warm_up_samples: u64,
    /// True if the samples had not settled by the middle of them.
    pub drifts: bool,
    /// Lag-1 autocorrelation of the logarithms of the samples; None with fewer than 3.
    pub lag1_autocorrelation: Option<f64>,
    /// As many independent samples would say as much about the mean.
    pub effective_samples: Option<f64>,
    /// Rounds that ran but count for nothing, as a rank missed the window in which they began.
    pub missed_windows: u64,
    /// Of the samples, the share in which some rank was off its core for more than 5 % of the round; None without any.
    pub disturbed_samples: Option<f64>,
    /// Of a node's cores, the share that other programs took or the host stole while the comparison's blocks ran; the node
    /// where it is most. None where the kernel does not say.
    pub other_load: Option<f64>,
    /// What disturbed the comparison too much for it to be trusted; empty where nothing did.
    pub interference: String,
    /// None where the cell did not run.
    pub verification: Option<VerificationRow>,
    /// What became of it.
    pub status: Status,
    /// Why, where it is not ok; empty otherwise.
    pub reason: String,
}

/// A cell compared, block by block, with the fastest of its comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RatioRow {
    /// Number of the job that measured both.
    pub job: u64,
    /// The comparison's number.
    pub comparison: u64,
    /// The cell's number.
    pub cell: u64,
    /// The number of the cell that it is compared with: the one with the least median.
    pub baseline: u64,
    /// Blocks in which both were timed.
    pub blocks: u64,
    /// Hodges-Lehmann estimate of the cell's time divided by the baseline's.
    pub estimate: f64,
    /// Lower end of the ratio's interval; None with too few blocks.
    pub ci_low: Option<f64>,
    /// Upper end of the ratio's interval; None with too few blocks.
    pub ci_high: Option<f64>,
    /// Level of the interval: what the last look may spend of the 0.05 of all looks.
    pub alpha: f64,
    /// p-value of the two being equally fast, by the signed-rank test, alone and at this look.
    pub p: f64,
    /// The same for all looks and all pairs of the comparison, by Holm's adjustment.
    pub p_holm: f64,
    /// p-value of the ratio lying outside the margin, for all looks and all pairs of the comparison.
    pub p_same_holm: f64,
    /// Ratios between 1 / (1 + margin) and 1 + margin count as the same.
    pub margin: f64,
    /// What is claimed of the cell: `faster`, `slower`, `same` or `undecided`.
    pub verdict: String,
    /// Lag-1 autocorrelation of the log ratios; None with fewer than 3 blocks.
    pub lag1_autocorrelation: Option<f64>,
}

/// One timed round: every rank's own duration is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Number of the job that measured it.
    pub job: u64,
    /// The cell's number.
    pub cell: u64,
    /// The block's number within its comparison, from 0.
    pub block: u64,
    /// Place of the cell within the block's random order, from 0.
    pub place: u64,
    /// Seconds from the common start to the last rank's end. Where a barrier began the round: from the first rank's start to
    /// the last one's end on a node; of the nodes, the longest.
    pub seconds: f64,
    /// Ranks that missed the window. With any, the round had no common start and the sample is used for nothing.
    pub late_ranks: u64,
    /// Times that the kernel took a rank's core away during the round, all ranks together.
    pub involuntary_switches: u64,
    /// Seconds that a rank was off its core during the round: the rank where it was most.
    pub off_core_seconds: f64,
    /// Seconds from the common start to each rank's own: from the window's opening; behind a barrier, from the first start
    /// on the rank's node.
    pub rank_start_seconds: Vec<f64>,
    /// Seconds that each rank took, in rank order.
    pub rank_seconds: Vec<f64>,
    /// Seconds that each rank spent producing streamed gradients, in rank order; zeros where they are resident.
    pub rank_producing_seconds: Vec<f64>,
}

/// Limits are the best of a few seconds; a cell may exceed them by as much without anything being wrong.
const LIMIT_SPREAD: f64 = 0.05;

impl CellRow {
    /// True if the cell was faster than its limit allows: the limits were measured before it, and the machine has given
    /// more since, so that its share of the limit says nothing.
    pub fn beats_its_limit(&self) -> bool {
        self.share_of_limit.is_some_and(|share| share > 1.0 + LIMIT_SPREAD)
    }
}

impl Sample {
    /// True if every rank began in time. What is not valid is kept, and used for nothing.
    pub fn is_valid(&self) -> bool {
        self.late_ranks == 0
    }
}

/// What the machine did while a block ran. Sums are over ranks and timed rounds, missed ones included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockRow {
    /// The number of the job.
    pub job: u64,
    /// The comparison's number.
    pub comparison: u64,
    /// The block's number within its comparison, from 0.
    pub block: u64,
    /// When it began, seconds since 1970, UTC.
    pub began_unix_s: f64,
    /// Seconds that it took, with all that is not timed.
    pub seconds: f64,
    /// What began its rounds: `window` or `barrier`.
    pub start: String,
    /// Rounds that were timed.
    pub rounds: u64,
    /// Of these, rounds in which a rank missed the window.
    pub missed_windows: u64,
    /// How far off the ranks' knowledge of rank 0's clock was when it was last put to the test, the worst rank; None where
    /// all have one clock, or before a second look.
    pub clock_residual_s: Option<f64>,
    /// Times that the kernel took a rank's core away during a timed round.
    pub involuntary_switches: u64,
    /// The same of one rank: the one with most.
    pub involuntary_switches_max: u64,
    /// Page faults in timed rounds that needed no disk.
    pub minor_faults: u64,
    /// Page faults in timed rounds that did.
    pub major_faults: u64,
    /// Seconds of timed rounds that one rank was off its core: the one with most.
    pub off_core_seconds_max: f64,
    /// Seconds of all nodes' cores on anybody's behalf, from the beginning to the end of the block; None where a node's
    /// kernel does not say.
    pub busy_core_seconds: Option<f64>,
    /// Seconds of these that the ranks took.
    pub own_core_seconds: f64,
    /// Seconds of all nodes' cores that their hosts gave to others.
    pub stolen_core_seconds: Option<f64>,
    /// Cores of all nodes.
    pub cores: u64,
    /// MHz of the slowest core that a rank was on at the end of the block; None where the kernel does not say.
    pub cpu_mhz_min: Option<f64>,
    /// MHz of the fastest.
    pub cpu_mhz_max: Option<f64>,
}
