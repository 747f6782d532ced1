//! Tests that a file is read exactly as it was written.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::json;
use strum::VariantArray;
use tempfile::TempDir;

use super::error::FileProblem;
use super::function_row::{FunctionBill, FunctionRow};
use super::job_row::PooledRow;
use super::row::{
    BlockRow, BlockStart, CellRow, Hosting, MemoryRow, RankMemory, RatioRow, Sample, Status, VerificationRow,
};
use super::{Environment, Output, ResultFile};
use crate::gradient::Dtype;
use crate::memory::KernelMemory;
use crate::plan::Family;
use crate::plan::{End, IntraNode, Order, Residency};
use crate::roofline::share::Bottleneck;
use crate::stats::interference::Interference;
use crate::stats::{StopReason, Verdict};

pub(super) fn empty() -> ResultFile {
    ResultFile::new(r#"{"name": "first-look"}"#.into(), Environment::default())
}

pub(super) fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("results.h5");
    (directory, path)
}

pub(super) fn saved(contents: &ResultFile) -> (TempDir, PathBuf) {
    let (directory, path) = place();
    Output::create(&path, false).unwrap().save(contents).unwrap();
    (directory, path)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("θ, \"quoted\"\n𝛼 trailing ".to_owned()),
        any::<String>().prop_map(|text| text.replace('\0', ""))
    ]
}

/// Any number except NaN, which does not equal itself. NaN has a test of its own.
fn any_number() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_map(|value| if value.is_nan() { f64::NEG_INFINITY } else { value })
}

fn any_memory() -> impl Strategy<Value = MemoryRow> {
    let bytes = || 0..=u64::MAX / 8;
    (bytes(), bytes(), bytes(), bytes()).prop_map(|(resident, accumulators, staging, result)| MemoryRow {
        resident,
        accumulators,
        staging,
        result,
    })
}

fn any_kernel() -> impl Strategy<Value = Option<KernelMemory>> {
    let bytes = || 0..=u64::MAX / 8;
    let seen = (bytes(), bytes(), bytes(), bytes());
    proptest::option::of(seen.prop_map(|(round, resident, baseline, neighbours)| KernelMemory {
        round,
        resident,
        baseline,
        neighbours,
    }))
}

fn any_rank_memory() -> impl Strategy<Value = RankMemory> {
    let tracked = proptest::option::of(any_memory());
    (any_memory(), tracked, any_kernel(), proptest::option::of(0..=u64::MAX / 8))
        .prop_map(|(predicted, tracked, kernel, group_peak)| RankMemory { predicted, tracked, kernel, group_peak })
}

fn any_verification() -> impl Strategy<Value = Option<VerificationRow>> {
    proptest::option::of((any::<[u64; 3]>(), any_number(), any_text()).prop_map(
        |([differing_elements, max_ulp, wrong_elements], max_relative_error_vs_exact, reference)| VerificationRow {
            differing_elements,
            max_ulp,
            max_relative_error_vs_exact,
            max_backward_error: Some(max_ulp as f64),
            wrong_elements,
            reference,
        },
    ))
}

/// A row whose enum fields are chosen by `words`.
fn any_words(words: usize) -> CellRow {
    CellRow {
        family: [Family::Sharded, Family::Tree, Family::Library][words % 3],
        dtype: Dtype::ALL[words % 4],
        roles: [Hosting::Colocated, Hosting::Dedicated][words % 2],
        intra_node: [IntraNode::Shared, IntraNode::Messages][words / 2 % 2],
        order: [Order::Client, Order::Rotated, Order::Arrival][words % 3],
        end: End::VARIANTS[words / 3 % 3],
        residency: [Residency::Resident, Residency::Streamed][words / 4 % 2],
        limit_part: [None, Some(Bottleneck::Memory), Some(Bottleneck::Reading), Some(Bottleneck::Wire)][words % 4],
        stopped: [None, Some(StopReason::Precise), Some(StopReason::Budget), Some(StopReason::Blocks)][words / 4 % 4],
        interference: Interference::VARIANTS.get(words % 4).copied(),
        status: Status::VARIANTS[words / 5 % 3],
        ..CellRow::default()
    }
}

fn any_cell() -> impl Strategy<Value = CellRow> {
    let texts = proptest::collection::vec(any_text(), 5);
    let times = proptest::collection::vec(proptest::option::of(any_number()), 15);
    let watched = (any_memory(), proptest::option::of(any_memory()), any_kernel());
    let words = any::<usize>();
    (any::<[u64; 12]>(), texts, times, any_memory(), watched, any_verification(), words).prop_map(
        |(numbers, texts, times, memory, (aggregator, tracked, kernel), verification, words)| {
            let [
                cell,
                comparison,
                elements,
                clients,
                shards,
                ranks,
                nodes,
                samples,
                limit_bytes,
                looks,
                blocks,
                warm_up_samples,
            ] = numbers;
            let mut texts = texts.into_iter();
            let mut text = || texts.next().unwrap();
            CellRow {
                job: 0,
                cell,
                comparison,
                strategy: text(),
                model: text(),
                elements,
                clients,
                shards,
                flow: text(),
                ranks,
                nodes,
                samples,
                median_s: times[0],
                ci_low_s: times[1],
                ci_high_s: times[2],
                gradient_bytes_per_s: times[3],
                ingest_bytes_per_s: times[4],
                share_of_limit: times[5],
                share_low: times[7],
                share_high: times[8],
                limit_bytes,
                limit_seconds: times[6],
                memory,
                tracked,
                kernel,
                aggregator: MemoryRow { resident: 0, ..aggregator },
                aggregating_bytes: samples ^ nodes,
                library_bytes: times[7],
                group_peak_bytes: times[8],
                messages_max: cell ^ looks,
                messages_total: cell ^ blocks,
                message_bytes_max: looks,
                looks,
                blocks,
                warm_up_samples,
                drifts: cell % 2 == 0,
                lag1_autocorrelation: times[11],
                effective_samples: times[12],
                missed_windows: looks ^ blocks,
                disturbed_samples: times[13],
                other_load: times[14],
                ceiling_bytes: times[9],
                enforced_by: text(),
                producing_share: times[10],
                verification,
                reason: text(),
                ..any_words(words)
            }
        },
    )
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let ranks = proptest::collection::vec((any_number(), any_number(), any_number()), 0..5);
    (any::<[u64; 5]>(), any_number(), any_number(), ranks).prop_map(
        |([cell, block, place, late_ranks, involuntary_switches], seconds, off_core_seconds, ranks)| Sample {
            job: 0,
            cell,
            block,
            place,
            seconds,
            late_ranks,
            superseded: late_ranks % 2,
            involuntary_switches,
            off_core_seconds,
            rank_start_seconds: ranks.iter().map(|(start, ..)| *start).collect(),
            rank_seconds: ranks.iter().map(|(_, own, _)| *own).collect(),
            rank_producing_seconds: ranks.iter().map(|(.., producing)| *producing).collect(),
        },
    )
}

fn any_ratio() -> impl Strategy<Value = RatioRow> {
    let numbers = proptest::collection::vec(any_number(), 6);
    let times = proptest::collection::vec(proptest::option::of(any_number()), 3);
    (any::<[u64; 4]>(), numbers, times, proptest::sample::select(Verdict::VARIANTS)).prop_map(
        |(counts, numbers, optional, verdict)| {
            let [comparison, cell, baseline, blocks] = counts;
            RatioRow {
                job: blocks ^ cell,
                comparison,
                cell,
                baseline,
                blocks,
                estimate: numbers[0],
                ci_low: optional[0],
                ci_high: optional[1],
                alpha: numbers[1],
                p: numbers[2],
                p_holm: numbers[3],
                p_same_holm: numbers[4],
                margin: numbers[5],
                verdict,
                lag1_autocorrelation: optional[2],
            }
        },
    )
}

fn any_block() -> impl Strategy<Value = BlockRow> {
    let numbers = proptest::collection::vec(any_number(), 4);
    let known = proptest::collection::vec(proptest::option::of(any_number()), 8);
    (any::<[u64; 9]>(), numbers, known, proptest::sample::select(BlockStart::VARIANTS)).prop_map(
        |(counts, numbers, known, start)| BlockRow {
            job: 0,
            comparison: counts[0],
            block: counts[1],
            began_unix_s: numbers[0],
            seconds: numbers[1],
            start,
            rounds: counts[2],
            missed_windows: counts[3],
            clock_residual_s: known[0],
            involuntary_switches: counts[4],
            involuntary_switches_max: counts[5],
            minor_faults: counts[6],
            major_faults: counts[7],
            off_core_seconds_max: numbers[2],
            busy_core_seconds: known[1],
            own_core_seconds: numbers[3],
            stolen_core_seconds: known[2],
            cores: counts[8],
            cpu_mhz_min: known[3],
            cpu_mhz_max: known[4],
            memory_bytes_per_s: known[5],
            reading_bytes_per_s: known[6],
            wire_bytes_per_s: known[7],
        },
    )
}

fn any_pooled() -> impl Strategy<Value = PooledRow> {
    (
        any::<[u64; 6]>(),
        proptest::collection::vec(any_number(), 8),
        any_text(),
        proptest::sample::select(Verdict::VARIANTS),
    )
        .prop_map(|([ranks, nodes, comparison, cell, baseline, jobs], numbers, transport, verdict)| PooledRow {
            transport,
            ranks,
            nodes,
            comparison,
            cell,
            baseline,
            jobs,
            estimate: numbers[0],
            ci_low: numbers[1],
            ci_high: numbers[2],
            spread: numbers[3],
            p: numbers[4],
            p_holm: numbers[5],
            p_same_holm: numbers[6],
            margin: numbers[7],
            verdict,
        })
}

fn any_bill() -> impl Strategy<Value = FunctionBill> {
    (any::<[u64; 5]>(), any_number(), any_number(), proptest::option::of(any_number())).prop_map(
        |([invocations, gets, puts, client_gets, client_puts], latency_s, function_s, usd_per_1000_rounds)| {
            FunctionBill {
                invocations,
                gets,
                puts,
                client_gets,
                client_puts,
                latency_s,
                function_s,
                usd_per_1000_rounds,
            }
        },
    )
}

fn any_function_round() -> impl Strategy<Value = FunctionRow> {
    let known = proptest::collection::vec(proptest::option::of(any_number()), 5);
    let bills = (any_bill(), proptest::option::of(any_bill()), any_verification());
    let texts = proptest::collection::vec(any_text(), 8);
    (any::<[u64; 7]>(), texts, known, bills, any::<usize>()).prop_map(
        |(numbers, texts, known, (calculated, measured, verification), words)| {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().unwrap();
            FunctionRow {
                strategy: text(),
                model: text(),
                elements: numbers[0],
                dtype: Dtype::ALL[words % 4],
                clients: numbers[1],
                shards: numbers[2],
                flow: text(),
                platform: text(),
                store: text(),
                kept: text(),
                cold_start_s: numbers[3] as f64,
                memory_mib: numbers[3],
                killed: numbers[4],
                limited_by: text(),
                limit_bytes: numbers[5],
                sum_bytes: numbers[6],
                seen_bytes: known[0],
                group_peak_bytes: known[1],
                read_bytes_per_s: known[2],
                roof_bytes_per_s: known[3],
                needed_bytes_per_s: known[4],
                status: Status::VARIANTS[words / 5 % 3],
                reason: text(),
                calculated,
                measured,
                verification,
                ..FunctionRow::default()
            }
        },
    )
}

fn any_file() -> impl Strategy<Value = ResultFile> {
    let rows = proptest::collection::vec((any_cell(), proptest::collection::vec(any_rank_memory(), 0..4)), 0..4);
    let tables = (
        proptest::collection::vec(any_ratio(), 0..4),
        proptest::collection::vec(any_block(), 0..4),
        proptest::collection::vec(any_sample(), 0..6),
    );
    let carried = proptest::collection::vec(any_function_round(), 0..3);
    let jobs = (any::<bool>(), proptest::collection::vec(any_pooled(), 0..3), carried);
    (any_text(), any_text(), rows, tables, jobs).prop_map(
        |(experiment, entry, rows, (ratios, blocks, samples), (resumed, pooled, carried))| {
            let environment = json!({
                "text": entry, "count": u64::MAX, "below": -3, "rate": 0.5, "yes": true, "none": null, "": "no name",
                "list": [1, {"deep": "θ"}],
            });
            let mut file = ResultFile::new(experiment, Environment::of(&environment).unwrap());
            for (cell, memory) in rows {
                file.push(cell, vec![], memory);
            }
            file.ratios = ratios;
            file.blocks = blocks;
            file.pooled_ratios = pooled;
            carried.into_iter().for_each(|round| file.push_function_round(round));
            file.samples = samples;
            if resumed {
                let number = file.cells.len() as u64;
                file.resumed(&Environment::of(&json!({"job": number, "deep": [1, null, {"θ": 0.1}]})).unwrap());
                file.push(
                    CellRow { cell: number, ..CellRow::default() },
                    vec![Sample { cell: number, ..Sample::default() }],
                    vec![],
                );
                file.jobs[1].file = "θ.h5".into();
            }
            file
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The files include some without cells, samples or ranks, and some whose rows have different numbers of ranks.
    #[test]
    fn reads_exactly_what_was_written(contents in any_file()) {
        let (_directory, path) = saved(&contents);
        let read = ResultFile::open(&path).unwrap();
        prop_assert_eq!(&read, &contents);
        // `==` does not distinguish 0 from -0.
        for (read, written) in read.samples.iter().zip(&contents.samples) {
            prop_assert_eq!(read.seconds.to_bits(), written.seconds.to_bits());
        }
    }
}

#[test]
fn nan_survives_where_it_is_a_measurement() {
    let mut contents = empty();
    let verification = VerificationRow { max_relative_error_vs_exact: f64::NAN, ..VerificationRow::default() };
    contents.push(CellRow { verification: Some(verification), ..CellRow::default() }, vec![], vec![]);
    let times = vec![1.0, f64::NAN];
    let rank_producing_seconds = vec![f64::NAN, 0.0];
    let (seconds, rank_start_seconds) = (f64::NAN, vec![0.0, f64::NAN]);
    let sample =
        Sample { seconds, rank_seconds: times, rank_start_seconds, rank_producing_seconds, ..Sample::default() };
    contents.samples.push(sample);
    let (_directory, path) = saved(&contents);
    let read = ResultFile::open(&path).unwrap();
    assert!(read.cells[0].verification.as_ref().unwrap().max_relative_error_vs_exact.is_nan());
    assert_eq!(read.samples[0].rank_seconds.len(), 2);
    assert!(read.samples[0].rank_seconds[1].is_nan() && read.samples[0].rank_producing_seconds[0].is_nan());
}

/// HDF5 strings end at a NUL. The rest of a reason must not be lost.
#[test]
fn a_nul_in_a_text_becomes_its_picture() {
    let mut contents = empty();
    contents.push(CellRow { reason: "before\0after".into(), ..CellRow::default() }, vec![], vec![]);
    let (_directory, path) = saved(&contents);
    assert_eq!(ResultFile::open(&path).unwrap().cells[0].reason, "before␀after");
}

/// The array has more elements than one chunk holds, so the last chunk is partly filled.
#[test]
fn arrays_larger_than_a_chunk_are_whole() {
    let mut contents = empty();
    for block in 0..301 {
        let rank_seconds: Vec<f64> = (0..1009).map(|rank| (block * 1009 + rank) as f64).collect();
        let (rank_start_seconds, rank_producing_seconds) = (vec![0.5; 1009], vec![0.0; 1009]);
        let sample = Sample { block, rank_seconds, rank_start_seconds, rank_producing_seconds, ..Sample::default() };
        contents.samples.push(sample);
    }
    let (_directory, path) = saved(&contents);
    assert!(ResultFile::open(&path).unwrap() == contents);
}

#[test]
fn contents_that_contradict_themselves_are_refused() {
    let (directory, path) = place();
    let mut output = Output::create(&path, false).unwrap();
    let mut short = empty();
    short.cells.push(CellRow::default());
    let mut uneven = empty();
    uneven.samples.push(Sample {
        seconds: 1.0,
        rank_seconds: vec![1.0],
        rank_start_seconds: vec![1.0],
        ..Sample::default()
    });
    let mut jobless = empty();
    jobless.push(CellRow::default(), vec![], vec![]);
    jobless.cells[0].job = 1;
    let mut lost = empty();
    lost.function_rounds.push(FunctionRow { job: 1, ..FunctionRow::default() });
    for (contents, part) in
        [(short, "memory_ranks"), (uneven, "rank_producing_seconds"), (jobless, "jobs"), (lost, "jobs")]
    {
        let error = output.save(&contents).unwrap_err();
        assert!(matches!(&error.problem, FileProblem::Inconsistent { field, .. } if *field == part), "{error}");
    }
    assert_eq!(names(directory.path()), [".results.h5.lock"]);
}
