//! The layout of a result file: every group, dataset, attribute, column and unit.
//!
//! | object | content |
//! | --- | --- |
//! | `/` attributes | `format`, `schema_version`, `gradshard_version`, `created` |
//! | `/experiment` | scalar string: the experiment file as given, JSON; attribute `sha256`: SHA-256 of its bytes |
//! | `/environment` | scalar string: a JSON object; its top-level texts, numbers and truth values also as attributes |
//! | `/jobs` | [`JobRow`](super::job_row::JobRow), since 4: one row per job; several after resuming or merging |
//! | `/cells` | [`CellRow`](super::row::CellRow), one row per cell; one attribute per column, `[unit] meaning` |
//! | `/ratios` | [`RatioRow`](super::row::RatioRow), since 3: one row per cell that is compared with the fastest one |
//! | `/pooled_ratios` | [`PooledRow`](super::job_row::PooledRow), since 4: ratios over several jobs |
//! | `/samples` | [`Sample`](super::row::Sample), one row per timed round; one attribute per column, `[unit] meaning` |
//! | `/rank_seconds` | f64, samples × ranks: seconds that each rank took; the rows are those of `/samples` |
//! | `/blocks` | [`BlockRow`](super::row::BlockRow), since 4: one row per block, the state of the machine |
//! | `/function_rounds` | [`FunctionRow`](super::function_row::FunctionRow), since 8: one row per round that functions carried out |
//! | `/rank_start_seconds` | f64, samples × ranks, since 4: seconds from the common start to each rank's own start |
//! | `/rank_producing_seconds` | f64, samples × ranks: seconds that each rank spent producing streamed gradients |
//! | `/memory_predicted` | u64, cells × ranks × 4: predicted bytes by purpose, see [`PURPOSES`]; rows as in `/cells` |
//! | `/memory_tracked` | u64, cells × ranks × 4: bytes of gradshard's own allocations by purpose |
//! | `/memory_kernel` | u64, cells × ranks × 5: bytes that the kernel reported, see [`KERNEL`] |
//!
//! Numbers of cells and comparisons are those of the experiment. In a file of several jobs, job and cell together
//! identify a row of `/cells`.
//!
//! Strings are variable-length UTF-8. If cells have different numbers of ranks, the arrays are as wide as the largest
//! number. Places beyond a row's own ranks hold NaN (seconds) or 2^64 − 1 (bytes).
//!
//! A new column is one line in its row's table, with the next [`SCHEMA_VERSION`]. Older files stay readable:
//!
//! - Files before 5 have the column `phase` instead of `end`. `round` is read as `everywhere`. `aggregate` is read as
//!   `scattered` for the family sharded and as `root` for the family tree. The MPI library's calls (`native-…`), which
//!   those files count among the two families, are read as the family `library`.
//! - Files before 5 describe `interference` in a sentence.

/// Version of the layout. It rises with every added column or object, and readers refuse newer versions.
pub const SCHEMA_VERSION: u32 = 8;

/// Attribute of `/` that names the kind of file, and its text.
pub const FORMAT: (&str, &str) = ("format", "gradshard results");
/// Attribute of `/`: u32.
pub const SCHEMA_VERSION_NAME: &str = "schema_version";
/// Attribute of `/`: the version of the gradshard that measured.
pub const GRADSHARD_VERSION: &str = "gradshard_version";
/// Attribute of `/`: the time at which the job began, RFC 3339, UTC.
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
/// The table of rounds that functions carried out.
pub const FUNCTION_ROUNDS: &str = "function_rounds";
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
/// Array of bytes that the kernel reported, by cell, rank and figure.
pub const MEMORY_KERNEL: &str = "memory_kernel";

/// The purposes of memory, in the order of the last axis of `/memory_predicted` and `/memory_tracked`.
pub const PURPOSES: [&str; 4] = ["resident", "accumulators", "staging", "result"];
/// Attribute of these arrays that names the purposes.
pub const PURPOSES_NAME: &str = "purposes";
/// The kernel's figures, in the order of the last axis of `/memory_kernel`: the peak of the round beyond the baseline,
/// the clients' gradients, the baseline, mapped pages of neighbours, and the peak of the rank's control group.
pub const KERNEL: [&str; 5] = ["round", "resident", "baseline", "neighbours", "group_peak"];
/// Attribute of `/memory_kernel` that names the figures.
pub const KERNEL_NAME: &str = "figures";
/// Value in arrays of bytes if there is no such rank, or the number is not known. No process holds as many bytes.
pub const NO_RANK: u64 = u64::MAX;

/// Attribute of an array that names its axes.
pub const AXES: &str = "axes";
/// Attribute of an array that names its unit.
pub const UNIT: &str = "unit";
/// Attribute of an array: the value that means "no value".
pub const MISSING: &str = "missing";
