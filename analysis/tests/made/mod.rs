//! Makes result files with any number of comparisons through the library's writer, and runs gradshard-report.

use std::path::{Path, PathBuf};
use std::process::{Command, Output as Finished};
use std::sync::{Mutex, PoisonError};

use gradshard::gradient::Dtype;
use gradshard::memory::KernelMemory;
use gradshard::plan::Family;
use gradshard::results::row::{BlockRow, CellRow, MemoryRow, RankMemory, RatioRow, Sample, Status, VerificationRow};
use gradshard::results::{Environment, Output, ResultFile};
use gradshard::roofline::share::Bottleneck;
use gradshard::stats::{StopReason, Verdict};

const STRATEGIES: [(&str, Family); 5] = [
    ("sharded-direct", Family::Sharded),
    ("sharded-ring", Family::Sharded),
    ("tree-central", Family::Tree),
    ("tree-lambda-fl", Family::Tree),
    ("native-reduce", Family::Library),
];

/// A reproducible number between 0 and 1, from a linear congruential generator with Knuth's constants.
fn noise(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 40) as f64 / (1u64 << 24) as f64
}

/// A file of comparisons with gradients of 2^16, 2^17 … elements. The sharded strategies have `variants` different M.
/// `slower` multiplies the time of sharded-direct.
pub fn made(comparisons: u64, variants: u64, blocks: u64, slower: f64) -> ResultFile {
    let environment = serde_json::json!({"transport": "Made <up> & \"quoted\"", "cores_shared": true});
    let mut file = ResultFile::new("{\"name\": \"made\"}".into(), Environment::of(&environment).expect("an object"));
    let mut seed = 1;
    let mut number = 0;
    for comparison in 0..comparisons {
        let elements = 1 << (16 + comparison % 8);
        let mut baseline: Option<u64> = None;
        let memory_bytes_per_s = Some(40e9);
        file.blocks.extend((0..blocks).map(|block| BlockRow {
            comparison,
            block,
            memory_bytes_per_s,
            ..BlockRow::default()
        }));
        for (index, (strategy, family)) in STRATEGIES.into_iter().enumerate() {
            for variant in 0..if family == Family::Sharded { variants } else { 1 } {
                let shards = if family == Family::Sharded { 1 << variant } else { 1 };
                let factor = if strategy == "sharded-direct" { slower } else { 1.0 };
                let base = elements as f64 * 1e-9 * (1.0 + index as f64 * 0.5 + variant as f64 * 0.05) * factor;
                let mut times: Vec<f64> = (0..blocks).map(|_| base * (1.0 + 0.05 * noise(&mut seed))).collect();
                let samples = (0..).zip(&times).map(|(block, seconds)| Sample {
                    cell: number,
                    block,
                    seconds: *seconds,
                    rank_seconds: vec![*seconds, seconds * 0.9, seconds * 0.8, seconds * 0.7],
                    rank_producing_seconds: vec![0.0; 4],
                    rank_start_seconds: vec![0.0, 1e-6, 2e-6, 3e-6],
                    ..Sample::default()
                });
                let samples: Vec<Sample> = samples.collect();
                times.sort_by(f64::total_cmp);
                let median = times[times.len() / 2];
                let held = elements * 4 / shards;
                let memory = MemoryRow { accumulators: held, ..MemoryRow::default() };
                let infeasible = strategy == "native-reduce" && elements > 1 << 20;
                let mut cell = CellRow {
                    cell: number,
                    comparison,
                    strategy: strategy.into(),
                    family,
                    model: format!("m{comparison}<&>"),
                    elements,
                    dtype: Dtype::F32,
                    clients: 20,
                    shards,
                    flow: "whole".into(),
                    ranks: 4,
                    nodes: 2,
                    samples: blocks,
                    median_s: Some(median),
                    ci_low_s: Some(times[0]),
                    ci_high_s: times.last().copied(),
                    gradient_bytes_per_s: Some(elements as f64 * 4.0 / median),
                    ingest_bytes_per_s: Some(elements as f64 * 80.0 / median),
                    share_of_limit: Some(elements as f64 * 0.5e-9 / median),
                    limit_bytes: elements * 84,
                    limit_part: Some(Bottleneck::Memory),
                    limit_seconds: Some(elements as f64 * 0.5e-9),
                    aggregator: memory,
                    aggregating_bytes: held,
                    kernel: Some(KernelMemory { round: held + 4096, ..KernelMemory::default() }),
                    library_bytes: Some(4096.0),
                    ceiling_bytes: Some(16.0 * 1048576.0),
                    stopped: Some(StopReason::Blocks),
                    blocks,
                    looks: 1,
                    verification: Some(VerificationRow {
                        differing_elements: if family == Family::Sharded { 0 } else { elements / 4 },
                        max_ulp: 3,
                        max_relative_error_vs_exact: 1e-6,
                        max_backward_error: Some(6e-8),
                        wrong_elements: 0,
                        reference: "flat server, client order".into(),
                    }),
                    status: Status::Ok,
                    ..CellRow::default()
                };
                if infeasible {
                    cell.status = Status::Infeasible;
                    cell.reason = "needs more than the ceiling".into();
                    (cell.median_s, cell.samples, cell.verification) = (None, 0, None);
                }
                if let (Some(baseline), false) = (baseline, infeasible) {
                    let of = |cell: u64| file.cells.iter().find(|row| row.cell == cell).and_then(|row| row.median_s);
                    let estimate = median / of(baseline).unwrap_or(1.0);
                    file.ratios.push(RatioRow {
                        comparison,
                        cell: number,
                        baseline,
                        blocks,
                        estimate,
                        ci_low: Some(estimate * 0.98),
                        ci_high: Some(estimate * 1.02),
                        margin: 0.01,
                        verdict: if estimate > 1.0 { Verdict::Slower } else { Verdict::Faster },
                        ..RatioRow::default()
                    });
                }
                baseline.get_or_insert(number);
                let ranks = vec![RankMemory { predicted: memory, ..RankMemory::default() }; 4];
                file.push(cell, if infeasible { vec![] } else { samples }, ranks);
                number += 1;
            }
        }
    }
    file
}

/// Serialises writing and running. HDF5 locks a file while it is open, and a child process that another test forks
/// meanwhile inherits the lock until it executes its program.
static ONE: Mutex<()> = Mutex::new(());

/// Saves a file.
pub fn save(directory: &Path, name: &str, file: &ResultFile) -> PathBuf {
    let _turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = directory.join(name);
    Output::create(&path, true).unwrap().save(file).unwrap();
    path
}

/// Runs gradshard-report.
pub fn run(arguments: &[&str]) -> Finished {
    let _turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_gradshard-report")).args(arguments).output().unwrap()
}
