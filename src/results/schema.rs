//! The layout of a result file: every group, dataset, attribute, column and unit.
//!
//! | object | what it is |
//! | --- | --- |
//! | `/` attributes | `format`, `schema_version`, `gradshard_version`, `created` |
//! | `/experiment` | scalar string: the experiment file as given, JSON; attribute `sha256`: of its bytes |
//! | `/environment` | scalar string: a JSON object; its top-level texts, numbers and truth values also as attributes |
//! | `/cells` | [`CellTable`], one row a cell; one attribute a column, `[unit] meaning` |
//! | `/samples` | [`SampleTable`], one row a timed round; one attribute a column, `[unit] meaning` |
//! | `/rank_seconds` | f64, samples × ranks: seconds that each rank took; row for row as `/samples` |
//! | `/rank_producing_seconds` | f64, samples × ranks: seconds of them spent producing streamed gradients |
//! | `/memory_predicted` | u64, cells × ranks × 4: bytes by purpose, see [`PURPOSES`]; row for row as `/cells` |
//!
//! Strings are variable-length UTF-8. Where cells have different numbers of ranks the arrays are as wide as the
//! largest; places beyond a row's own ranks hold NaN (seconds) or 2^64 − 1 (bytes).
//!
//! A new column is one line in its table, with the next [`SCHEMA_VERSION`]; older files stay readable.

use super::column::table;
use super::row::{CellRow, Sample, Status};

/// Version of the layout. It rises with every column or object that is added, and readers refuse newer ones.
pub const SCHEMA_VERSION: u32 = 2;

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
/// The table of cells.
pub const CELLS: &str = "cells";
/// The table of samples.
pub const SAMPLES: &str = "samples";
/// Array of seconds by sample and rank.
pub const RANK_SECONDS: &str = "rank_seconds";
/// Array of seconds spent producing, by sample and rank.
pub const RANK_PRODUCING_SECONDS: &str = "rank_producing_seconds";
/// Array of predicted bytes by cell, rank and purpose.
pub const MEMORY_PREDICTED: &str = "memory_predicted";

/// The purposes of memory, in the order of the last axis of `/memory_predicted`.
pub const PURPOSES: [&str; 4] = ["resident", "accumulators", "staging", "result"];
/// Attribute of `/memory_predicted` that names the purposes.
pub const PURPOSES_NAME: &str = "purposes";
/// In `/memory_predicted`: there is no such rank, or nothing was predicted. No process holds as many bytes.
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
        limit_part: String = [limit_part], "text", since 2, "which part that is: memory or wire; empty: no limit is known";
        limit_seconds: Option<f64> = [limit_seconds], "s", since 2, "limit_bytes over the part's measured bandwidth; NaN: no limit is known";
        memory_resident: u64 = [memory.resident], "B", since 1, "predicted, rank that holds most: clients' gradients kept for the round";
        memory_accumulators: u64 = [memory.accumulators], "B", since 1, "predicted, rank that holds most: sums in progress";
        memory_staging: u64 = [memory.staging], "B", since 1, "predicted, rank that holds most: pieces in flight";
        memory_result: u64 = [memory.result], "B", since 1, "predicted, rank that holds most: finished ranges";
        verified: bool = [some verification], "bool", since 1, "whether the result was compared with the reference; if not, the verification columns hold 2^64 - 1, NaN and empty text";
        verification_differing_elements: u64 = [verification ? differing_elements], "elements", since 1, "elements that differ from the reference in any bit";
        verification_max_ulp: u64 = [verification ? max_ulp], "ulp", since 1, "largest distance from the reference";
        verification_max_relative_error_vs_exact: f64 = [verification ? max_relative_error_vs_exact], "1", since 1, "largest relative error against the exact weighted mean";
        verification_wrong_elements: u64 = [verification ? wrong_elements], "elements", since 1, "elements whose error exceeds what any order of summation can cause";
        verification_reference: String = [verification ? reference], "text", since 1, "what the result was compared with";
        status: Status = [status], "text", since 1, "ok, infeasible or failed";
        reason: String = [reason], "text", since 1, "why, where the status is not ok";
    }
}

/// A sample without its ranks' times, which are rows of arrays of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleRow {
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
}

impl From<&Sample> for SampleRow {
    fn from(sample: &Sample) -> Self {
        let Sample { cell, block, place, seconds, ref rank_seconds, .. } = *sample;
        SampleRow { cell, block, place, seconds, ranks: rank_seconds.len() as u64 }
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
    }
}
