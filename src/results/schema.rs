//! The layout of a result file: every group, dataset, attribute, column and unit.
//!
//! | object | what it is |
//! | --- | --- |
//! | `/` attributes | `format`, `schema_version`, `gradshard_version`, `created` |
//! | `/experiment` | scalar string: the experiment file as given, JSON; attribute `sha256`: of its bytes |
//! | `/environment` | scalar string: a JSON object; its top-level texts, numbers and truth values also as attributes |
//! | `/jobs` | [`JobTable`], since 4: one row a job; several where a run was resumed or files were merged |
//! | `/cells` | [`CellTable`], one row a cell; one attribute a column, `[unit] meaning` |
//! | `/ratios` | [`RatioTable`], since 3: one row a cell that is compared with the fastest of its comparison |
//! | `/pooled_ratios` | [`PooledTable`], since 4: ratios over several jobs; no rows where there is one |
//! | `/samples` | [`SampleTable`], one row a timed round; one attribute a column, `[unit] meaning` |
//! | `/rank_seconds` | f64, samples × ranks: seconds that each rank took; row for row as `/samples` |
//! | `/blocks` | [`BlockTable`], since 4: one row a block of a comparison, what the machine did meanwhile |
//! | `/rank_start_seconds` | f64, samples × ranks, since 4: seconds from the common start to each rank's own |
//! | `/rank_producing_seconds` | f64, samples × ranks: seconds of them spent producing streamed gradients |
//! | `/memory_predicted` | u64, cells × ranks × 4: bytes by purpose, see [`PURPOSES`]; row for row as `/cells` |
//! | `/memory_tracked` | u64, cells × ranks × 4: the same, of gradshard's own allocations |
//! | `/memory_kernel` | u64, cells × ranks × 5: what the kernel saw, see [`KERNEL`] |
//!
//! Numbers of cells and comparisons are those of the experiment: in a file of several jobs, job and cell together name a
//! row of `/cells`.
//!
//! Strings are variable-length UTF-8. Where cells have different numbers of ranks the arrays are as wide as the
//! largest; places beyond a row's own ranks hold NaN (seconds) or 2^64 − 1 (bytes).
//!
//! A new column is one line in its table, with the next [`SCHEMA_VERSION`]; older files stay readable.

use serde_json::Value;

use super::column::table;
use super::job_row::{JobRow, PooledRow};
use super::row::{BlockRow, CellRow, RatioRow, Sample, Status};

/// Version of the layout. It rises with every column or object that is added, and readers refuse newer ones.
pub const SCHEMA_VERSION: u32 = 4;

/// Attribute of `/` that says what the file is, and its text.
pub const FORMAT: (&str, &str) = ("format", "gradshard results");
/// Attribute of `/`: u32.
pub const SCHEMA_VERSION_NAME: &str = "schema_version";
/// Attribute of `/`: the version of the gradshard that measured.
pub const GRADSHARD_VERSION: &str = "gradshard_version";
/// Attribute of `/`: when the job began, RFC 3339, UTC.
pub const CREATED: &str = "created";
/// Scalar string: the experiment.
pub const EXPERIMENT: &str = "experiment";
/// Attribute of `/experiment`: SHA-256 of its bytes, hexadecimal.
pub const SHA256: &str = "sha256";
/// Scalar string: the environment.
pub const ENVIRONMENT: &str = "environment";
/// The table of jobs.
pub const JOBS: &str = "jobs";
/// The table of cells.
pub const CELLS: &str = "cells";
/// The table of ratios.
pub const RATIOS: &str = "ratios";
/// The table of blocks.
pub const BLOCKS: &str = "blocks";
/// The table of ratios over several jobs.
pub const POOLED_RATIOS: &str = "pooled_ratios";
/// The table of samples.
pub const SAMPLES: &str = "samples";
/// Array of seconds by sample and rank.
pub const RANK_SECONDS: &str = "rank_seconds";
/// Array of seconds from the common start, by sample and rank.
pub const RANK_START_SECONDS: &str = "rank_start_seconds";
/// Array of seconds spent producing, by sample and rank.
pub const RANK_PRODUCING_SECONDS: &str = "rank_producing_seconds";
/// Array of predicted bytes by cell, rank and purpose.
pub const MEMORY_PREDICTED: &str = "memory_predicted";

/// Array of tracked bytes by cell, rank and purpose.
pub const MEMORY_TRACKED: &str = "memory_tracked";
/// Array of bytes that the kernel saw, by cell and rank.
pub const MEMORY_KERNEL: &str = "memory_kernel";

/// The purposes of memory, in the order of the last axis of `/memory_predicted` and `/memory_tracked`.
pub const PURPOSES: [&str; 4] = ["resident", "accumulators", "staging", "result"];
/// Attribute of these arrays that names the purposes.
pub const PURPOSES_NAME: &str = "purposes";
/// What the kernel saw, in the order of the last axis of `/memory_kernel`: the peak of the round beyond the baseline,
/// the clients' gradients, the baseline, neighbours' pages mapped, the peak of the rank's control group.
pub const KERNEL: [&str; 5] = ["round", "resident", "baseline", "neighbours", "group_peak"];
/// Attribute of `/memory_kernel` that names them.
pub const KERNEL_NAME: &str = "figures";
/// In arrays of bytes: there is no such rank, or nothing is known. No process holds as many.
pub const NO_RANK: u64 = u64::MAX;

/// Attribute of an array that says what its axes are.
pub const AXES: &str = "axes";
/// Attribute of an array that says its unit.
pub const UNIT: &str = "unit";
/// Attribute of an array that says which value stands for none.
pub const MISSING: &str = "missing";

table! {
    /// `/cells`: one row a cell.
    CellTable: CellRow as CellRecord {
        cell: u64 = [cell], "1", since 1, "number of the cell within the experiment, from 0";
        comparison: u64 = [comparison], "1", since 1, "number of the comparison whose blocks the cell ran in";
        strategy: String = [strategy], "text", since 1, "strategy";
        family: String = [family], "text", since 1, "sharded or tree";
        model: String = [model], "text", since 1, "model";
        elements: u64 = [elements], "elements", since 1, "size of the gradient";
        dtype: String = [dtype], "text", since 1, "element type";
        clients: u64 = [clients], "1", since 1, "number of clients, N";
        shards: u64 = [shards], "1", since 1, "number of shards, M; 1 where the strategy does not shard";
        flow: String = [flow], "text", since 1, "whole, or the chunk size in bytes with its unit";
        ranks: u64 = [ranks], "1", since 1, "number of MPI ranks, or of threads";
        nodes: u64 = [nodes], "1", since 1, "number of nodes";
        roles: String = [roles], "text", since 1, "colocated or dedicated";
        intra_node: String = [intra_node], "text", since 1, "shared or messages";
        order: String = [order], "text", since 1, "order of summation: client, rotated or arrival";
        phase: String = [phase], "text", since 1, "aggregate or round";
        residency: String = [residency], "text", since 1, "resident or streamed gradients";
        samples: u64 = [samples], "1", since 1, "number of timed rounds";
        median_s: Option<f64> = [median_s], "s", since 1, "median time of a round; NaN: none was timed";
        ci_low_s: Option<f64> = [ci_low_s], "s", since 1, "lower end of the median's 95 % interval; NaN: too few samples";
        ci_high_s: Option<f64> = [ci_high_s], "s", since 1, "upper end of the median's 95 % interval; NaN: too few samples";
        gradient_bytes_per_s: Option<f64> = [gradient_bytes_per_s], "B/s", since 1, "bytes of one gradient over the median; NaN: none";
        ingest_bytes_per_s: Option<f64> = [ingest_bytes_per_s], "B/s", since 1, "bytes of all clients' gradients over the median; NaN: none";
        share_of_limit: Option<f64> = [share_of_limit], "1", since 2, "limit_seconds over the median; NaN: no limit is known, as where everything fits into the caches";
        limit_bytes: u64 = [limit_bytes], "B", since 2, "least bytes that must cross the busiest memory system or wire; 0: no limit is known";
        limit_part: String = [limit_part], "text", since 2, "which part that is: memory, reading (of memory) or wire; empty: no limit is known";
        limit_seconds: Option<f64> = [limit_seconds], "s", since 2, "limit_bytes over the part's measured bandwidth; NaN: no limit is known";
        memory_resident: u64 = [memory.resident], "B", since 1, "predicted, rank that holds most: clients' gradients kept for the round";
        memory_accumulators: u64 = [memory.accumulators], "B", since 1, "predicted, rank that holds most: sums in progress";
        memory_staging: u64 = [memory.staging], "B", since 1, "predicted, rank that holds most: pieces in flight";
        memory_result: u64 = [memory.result], "B", since 1, "predicted, rank that holds most: finished ranges";
        tracked: bool = [some tracked], "bool", since 3, "whether a round was made ready, so that allocations were tracked; if not, the tracked columns hold 2^64 - 1";
        tracked_resident: u64 = [tracked ? resident], "B", since 3, "allocated by gradshard, rank that holds most: clients' gradients";
        tracked_accumulators: u64 = [tracked ? accumulators], "B", since 3, "allocated by gradshard, rank that holds most: sums in progress";
        tracked_staging: u64 = [tracked ? staging], "B", since 3, "allocated by gradshard, rank that holds most: pieces in flight";
        tracked_result: u64 = [tracked ? result], "B", since 3, "allocated by gradshard, rank that holds most: finished ranges";
        aggregator_accumulators: u64 = [aggregator.accumulators], "B", since 3, "predicted, the one aggregator that holds most: sums in progress";
        aggregator_staging: u64 = [aggregator.staging], "B", since 3, "predicted, the one aggregator that holds most: pieces in flight";
        aggregator_result: u64 = [aggregator.result], "B", since 3, "predicted, the one aggregator that holds most: finished ranges";
        aggregating_bytes: u64 = [aggregating_bytes], "B", since 3, "predicted, without clients' gradients, the aggregating rank that holds most";
        kernel_seen: bool = [some kernel], "bool", since 3, "whether the kernel said what ranks held; if not, the kernel columns hold 2^64 - 1";
        kernel_round: u64 = [kernel ? round], "B", since 3, "seen by the kernel, aggregating rank where it is most: peak of private and own shared pages during the round, beyond the baseline and the gradients";
        kernel_resident: u64 = [kernel ? resident], "B", since 3, "seen by the kernel, that rank: what the clients' gradients took when loaded";
        kernel_baseline: u64 = [kernel ? baseline], "B", since 3, "seen by the kernel, that rank: what the process held before the round, without the gradients";
        kernel_neighbours: u64 = [kernel ? neighbours], "B", since 3, "seen by the kernel, that rank: pages of neighbours' windows mapped to be read; in none of the other figures";
        library_bytes: Option<f64> = [library_bytes], "B", since 3, "what the MPI library and the runtime took for a round, aggregating rank where it is most: seen by the kernel less tracked; NaN: not known";
        group_peak_bytes: Option<f64> = [group_peak_bytes], "B", since 3, "greatest peak of a control group that holds ranks; NaN: there is none";
        ceiling_bytes: Option<f64> = [ceiling_bytes], "B", since 3, "memory limit on one aggregator; NaN: no limit";
        enforced_by: String = [enforced_by], "text", since 3, "what enforced the ceiling on the process; empty: nothing did";
        producing_share: Option<f64> = [producing_share], "1", since 3, "of a round's time, the share in which the slowest rank produced streamed gradients; NaN: none were produced";
        verified: bool = [some verification], "bool", since 1, "whether the result was compared with the reference; if not, the verification columns hold 2^64 - 1, NaN and empty text";
        verification_differing_elements: u64 = [verification ? differing_elements], "elements", since 1, "elements that differ from the reference in any bit";
        verification_max_ulp: u64 = [verification ? max_ulp], "ulp", since 1, "largest distance from the reference";
        verification_max_relative_error_vs_exact: f64 = [verification ? max_relative_error_vs_exact], "1", since 1, "largest relative error against the exact weighted mean";
        verification_wrong_elements: u64 = [verification ? wrong_elements], "elements", since 1, "elements whose error exceeds what any order of summation can cause";
        verification_reference: String = [verification ? reference], "text", since 1, "what the result was compared with";
        stopped: String = [stopped], "text", since 3, "why no more blocks of the comparison ran: precise, budget or blocks; empty: not timed";
        looks: u64 = [looks], "1", since 3, "how often the comparison's intervals were looked at; intervals are at the level of the last look, all looks together at 95 %";
        blocks: u64 = [blocks], "1", since 3, "blocks of the comparison that ran";
        warm_up_samples: u64 = [warm_up_samples], "1", since 3, "how many of the first samples are warm-up, by MSER; left out of nothing";
        drifts: bool = [drifts], "bool", since 3, "whether the samples had not settled by the middle of them";
        lag1_autocorrelation: Option<f64> = [lag1_autocorrelation], "1", since 3, "lag-1 autocorrelation of the logarithms of the samples; NaN: fewer than 3, or all equal";
        effective_samples: Option<f64> = [effective_samples], "1", since 3, "as many independent samples would say as much about the mean; NaN: as above";
        missed_windows: u64 = [missed_windows], "1", since 4, "rounds that ran but are used for nothing, as a rank missed the window in which they began; not among samples";
        disturbed_samples: Option<f64> = [disturbed_samples], "1", since 4, "share of the samples in which some rank was off its core for more than 5 % of the round; NaN: none was timed";
        other_load: Option<f64> = [other_load], "1", since 4, "share of a node's cores that other programs took or the host stole while the comparison's blocks ran, the node where it is most; NaN: not known";
        interference: String = [interference], "text", since 4, "what disturbed the comparison too much for it to be trusted; empty: nothing did";
        status: Status = [status], "text", since 1, "ok, infeasible or failed";
        reason: String = [reason], "text", since 1, "why, where the status is not ok";
        job: u64 = [job], "1", since 4, "number of the job that measured it, a row of /jobs";
    }
}

table! {
    /// `/ratios`: one row a cell that is compared with the fastest of its comparison.
    RatioTable: RatioRow as RatioRecord {
        comparison: u64 = [comparison], "1", since 3, "number of the comparison";
        cell: u64 = [cell], "1", since 3, "number of the cell";
        baseline: u64 = [baseline], "1", since 3, "number of the cell that it is compared with, the one with the least median";
        blocks: u64 = [blocks], "1", since 3, "blocks in which both were timed";
        estimate: f64 = [estimate], "1", since 3, "Hodges-Lehmann estimate of the cell's time divided by the baseline's";
        ci_low: Option<f64> = [ci_low], "1", since 3, "lower end of the ratio's interval, by inverting the signed-rank test; NaN: too few blocks";
        ci_high: Option<f64> = [ci_high], "1", since 3, "upper end of the ratio's interval; NaN: too few blocks";
        alpha: f64 = [alpha], "1", since 3, "level of the interval: what the last look may spend of the 0.05 of all looks";
        p: f64 = [p], "1", since 3, "p-value of the two being equally fast, by the signed-rank test, alone and at this look";
        p_holm: f64 = [p_holm], "1", since 3, "the same for all looks and all pairs of cells of the comparison, by Holm's adjustment";
        p_same_holm: f64 = [p_same_holm], "1", since 3, "p-value of the ratio lying outside the margin, for all looks and pairs";
        margin: f64 = [margin], "1", since 3, "ratios between 1 / (1 + margin) and 1 + margin count as the same";
        verdict: String = [verdict], "text", since 3, "what is claimed of the cell: faster, slower, same or undecided";
        lag1_autocorrelation: Option<f64> = [lag1_autocorrelation], "1", since 3, "lag-1 autocorrelation of the log ratios; NaN: fewer than 3 blocks";
        job: u64 = [job], "1", since 4, "number of the job that measured both";
    }
}

table! {
    /// `/jobs`: one row a job.
    JobTable: JobRow as JobRecord {
        job: u64 = [job], "1", since 4, "number of the job, from 0";
        id: String = [id], "text", since 4, "tells the job from every other, 32 hexadecimal digits";
        file: String = [file], "text", since 4, "name of the file that it was merged from; empty in the file that it wrote";
        created: String = [created], "text", since 4, "when it began, RFC 3339, UTC";
        gradshard_version: String = [gradshard_version], "text", since 4, "the gradshard that measured";
        transport: String = [transport], "text", since 4, "what connected the ranks: the MPI library, or threads";
        ranks: u64 = [ranks], "1", since 4, "number of MPI ranks, or of threads";
        nodes: u64 = [nodes], "1", since 4, "number of nodes";
        hosts: String = [hosts], "text", since 4, "names of the nodes, with commas between";
        scheduler_job: String = [scheduler_job], "text", since 4, "the scheduler's number of the job; empty without one";
        environment: Value = [environment], "text", since 4, "the job's environment, JSON";
    }
}

table! {
    /// `/pooled_ratios`: one row a cell that was compared with the fastest over several jobs of one size.
    PooledTable: PooledRow as PooledRecord {
        transport: String = [transport], "text", since 4, "what connected the ranks, in all of the jobs";
        ranks: u64 = [ranks], "1", since 4, "ranks of each of the jobs";
        nodes: u64 = [nodes], "1", since 4, "nodes of each of the jobs";
        comparison: u64 = [comparison], "1", since 4, "number of the comparison";
        cell: u64 = [cell], "1", since 4, "number of the cell";
        baseline: u64 = [baseline], "1", since 4, "number of the cell that it is compared with: the one whose medians have the least geometric mean";
        jobs: u64 = [jobs], "1", since 4, "jobs in which both were timed; each gives one ratio, its Hodges-Lehmann estimate";
        estimate: f64 = [estimate], "1", since 4, "geometric mean of the jobs' ratios, the cell's time divided by the baseline's";
        ci_low: f64 = [ci_low], "1", since 4, "lower end of the ratio's 95 % interval over jobs (Student's t of the log ratios)";
        ci_high: f64 = [ci_high], "1", since 4, "upper end of the ratio's 95 % interval over jobs";
        spread: f64 = [spread], "1", since 4, "factor by which jobs typically differ: exp of the standard deviation of the log ratios";
        p: f64 = [p], "1", since 4, "p-value of the two being equally fast, by Student's t test, alone";
        p_holm: f64 = [p_holm], "1", since 4, "the same for all pairs of cells of the comparison, by Holm's adjustment";
        p_same_holm: f64 = [p_same_holm], "1", since 4, "p-value of the ratio lying outside the margin, for all pairs";
        margin: f64 = [margin], "1", since 4, "ratios between 1 / (1 + margin) and 1 + margin count as the same";
        verdict: String = [verdict], "text", since 4, "what is claimed of the cell: faster, slower, same or undecided";
    }
}

table! {
    /// `/blocks`: one row a block of a comparison.
    BlockTable: BlockRow as BlockRecord {
        job: u64 = [job], "1", since 4, "number of the job";
        comparison: u64 = [comparison], "1", since 4, "number of the comparison";
        block: u64 = [block], "1", since 4, "number of the block within its comparison, from 0";
        began_unix_s: f64 = [began_unix_s], "s", since 4, "when it began, since 1970, UTC";
        seconds: f64 = [seconds], "s", since 4, "what it took, with all that is not timed";
        start: String = [start], "text", since 4, "what began its rounds: window, barrier, or window, then barrier where one round missed too many";
        rounds: u64 = [rounds], "1", since 4, "rounds that were timed";
        missed_windows: u64 = [missed_windows], "1", since 4, "of these, rounds in which a rank missed the window; used for nothing";
        clock_residual_s: Option<f64> = [clock_residual_s], "s", since 4, "how far off the ranks' knowledge of rank 0's clock was when it was last put to the test, the worst rank; NaN: all have one clock, or it was looked at once";
        involuntary_switches: u64 = [involuntary_switches], "1", since 4, "times that the kernel took a rank's core away during timed rounds, all ranks";
        involuntary_switches_max: u64 = [involuntary_switches_max], "1", since 4, "the same of one rank, the one with most";
        minor_faults: u64 = [minor_faults], "1", since 4, "page faults during timed rounds that needed no disk, all ranks";
        major_faults: u64 = [major_faults], "1", since 4, "page faults during timed rounds that did, all ranks";
        off_core_seconds_max: f64 = [off_core_seconds_max], "s", since 4, "time of timed rounds that one rank was off its core, the one with most";
        busy_core_seconds: Option<f64> = [busy_core_seconds], "s", since 4, "time of all nodes' cores on anybody's behalf during the block, in ticks of the kernel; NaN: not known";
        own_core_seconds: f64 = [own_core_seconds], "s", since 4, "time of these that the ranks took";
        stolen_core_seconds: Option<f64> = [stolen_core_seconds], "s", since 4, "time of all nodes' cores that their hosts gave to others; NaN: not known";
        cores: u64 = [cores], "1", since 4, "cores of all nodes";
        cpu_mhz_min: Option<f64> = [cpu_mhz_min], "MHz", since 4, "frequency of the slowest core that a rank was on at the end of the block; NaN: the kernel does not say";
        cpu_mhz_max: Option<f64> = [cpu_mhz_max], "MHz", since 4, "frequency of the fastest; NaN: the kernel does not say";
    }
}

/// A sample without its ranks' times, which are rows of arrays of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleRow {
    /// The job's number.
    pub job: u64,
    /// The cell's number.
    pub cell: u64,
    /// The block's number within its comparison.
    pub block: u64,
    /// Place of the cell within the block's random order.
    pub place: u64,
    /// Seconds from the common start to the end of the last rank.
    pub seconds: f64,
    /// How many ranks' times there are.
    pub ranks: u64,
    /// Ranks that missed the window.
    pub late_ranks: u64,
    /// Times that the kernel took a rank's core away.
    pub involuntary_switches: u64,
    /// Seconds that the rank was off its core where it was most; None where nobody looked.
    pub off_core_seconds: Option<f64>,
}

impl From<&Sample> for SampleRow {
    fn from(sample: &Sample) -> Self {
        let Sample { job, cell, block, place, seconds, late_ranks, involuntary_switches, .. } = *sample;
        let ranks = sample.rank_seconds.len() as u64;
        let off_core_seconds = Some(sample.off_core_seconds);
        SampleRow { job, cell, block, place, seconds, ranks, late_ranks, involuntary_switches, off_core_seconds }
    }
}

table! {
    /// `/samples`: one row a timed round.
    SampleTable: SampleRow as SampleRecord {
        cell: u64 = [cell], "1", since 1, "number of the cell";
        block: u64 = [block], "1", since 1, "number of the block within its comparison, from 0";
        place: u64 = [place], "1", since 1, "place of the cell within the block's random order, from 0";
        seconds: f64 = [seconds], "s", since 1, "from the common start to the end of the last rank";
        ranks: u64 = [ranks], "1", since 1, "number of ranks with times in /rank_seconds and /rank_producing_seconds";
        late_ranks: u64 = [late_ranks], "1", since 4, "ranks that began more than 1 us after the window opened; with any the round had no common start and is used for nothing";
        involuntary_switches: u64 = [involuntary_switches], "1", since 4, "times that the kernel took a rank's core away during the round, all ranks";
        off_core_seconds: Option<f64> = [off_core_seconds], "s", since 4, "time that a rank was off its core during the round, the rank where it was most";
        job: u64 = [job], "1", since 4, "number of the job";
    }
}
