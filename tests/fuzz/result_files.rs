//! Result files with odd contents, written by gradshard's own writer and some of them damaged.

use gradshard::gradient::Dtype;
use gradshard::memory::KernelMemory;
use gradshard::plan::{End, Family};
use gradshard::results::row::{BlockRow, CellRow, MemoryRow, RankMemory, RatioRow, Sample, Status, VerificationRow};
use gradshard::results::{Environment, Output, ResultFile};
use gradshard::stats::Verdict;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use strum::VariantArray;

use crate::arrays::{Damage, damage, damaged};

/// Options of `show`.
const OPTIONS: [&[&str]; 8] = [
    &[],
    &["--format", "jsonl"],
    &["--experiment"],
    &["--format", "json"],
    &["--format", "csv"],
    &["--scaling"],
    &["--scaling", "--format", "json"],
    &["--guidelines"],
];

/// A file, its damage, and how it is shown.
#[derive(Clone, Debug)]
pub struct ShownFile {
    cells: Vec<(CellRow, Vec<f64>)>,
    ratios: Vec<RatioRow>,
    blocks: Vec<BlockRow>,
    environment: Value,
    jobs: usize,
    damage: Option<Damage>,
    options: usize,
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["sharded-direct", "tree-central", "tree-chain", "native-reduce", "resnet18", "whole", "1MiB"])
            .prop_map(str::to_owned),
        1 => Just(String::new()),
        1 => Just("=1+1\u{1b}[2J\u{202e}\n,\"x\"".to_owned()),
        1 => any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..100u64, 6 => 0..1_000_000_000u64, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn seconds() -> impl Strategy<Value = f64> {
    prop_oneof![30 => 1e-7..10.0f64, 1 => Just(0.0), 1 => Just(f64::INFINITY), 1 => Just(-1.0), 1 => any::<f64>()]
}

fn memory() -> impl Strategy<Value = MemoryRow> {
    [count(), count(), count(), count()].prop_map(|[resident, accumulators, staging, result]| MemoryRow {
        resident,
        accumulators,
        staging,
        result,
    })
}

fn cell() -> impl Strategy<Value = (CellRow, Vec<f64>)> {
    let texts = [any_text(), any_text(), any_text(), any_text()];
    let numbers = [count(), count(), count(), count(), count(), count()];
    let times = vec(proptest::option::of(seconds()), 8);
    (texts, numbers, times, memory(), any::<[u8; 6]>(), vec(seconds(), 0..30)).prop_map(
        |([strategy, model, flow, reason], numbers, times, memory, words, samples)| {
            let [elements, clients, shards, ranks, nodes, blocks] = numbers;
            let pick = |word: u8, of: usize| usize::from(word) % of;
            let verification = VerificationRow {
                differing_elements: elements,
                max_ulp: blocks,
                max_backward_error: times[6],
                max_relative_error_vs_exact: times[7].unwrap_or(0.0),
                wrong_elements: u64::from(words[4] % 2),
                reference: "flat server".into(),
            };
            let row = CellRow {
                comparison: u64::from(words[0] % 3),
                strategy,
                family: [Family::Sharded, Family::Tree, Family::Library, Family::Server][pick(words[1], 4)],
                model,
                elements,
                dtype: Dtype::ALL[pick(words[2], 4)],
                clients,
                shards,
                flow,
                ranks,
                nodes,
                blocks,
                end: End::VARIANTS[pick(words[3], 3)],
                samples: samples.len() as u64,
                median_s: times[0],
                ci_low_s: times[1],
                ci_high_s: times[2],
                gradient_bytes_per_s: times[3],
                share_of_limit: times[4],
                lag1_autocorrelation: times[5],
                library_bytes: times[6],
                disturbed_samples: times[6],
                warm_up_samples: shards,
                memory,
                aggregator: memory,
                aggregating_bytes: elements,
                kernel: (words[4] > 100).then_some(KernelMemory { round: clients, ..KernelMemory::default() }),
                verification: (words[5] > 50).then_some(verification),
                status: if words[5] > 40 { Status::Ok } else { Status::VARIANTS[pick(words[4], 3)] },
                reason,
                ..CellRow::default()
            };
            (row, samples)
        },
    )
}

pub fn file() -> impl Strategy<Value = ShownFile> {
    let ratio =
        (0..6u64, 0..6u64, vec(seconds(), 3), any::<u8>()).prop_map(|(cell, baseline, numbers, word)| RatioRow {
            comparison: u64::from(word % 3),
            cell,
            baseline,
            blocks: 20,
            estimate: numbers[0],
            ci_low: Some(numbers[1]),
            ci_high: Some(numbers[2]),
            alpha: [0.05, 1e-9, 0.0, f64::NAN][usize::from(word) % 4],
            verdict: Verdict::VARIANTS[usize::from(word) % Verdict::VARIANTS.len()],
            ..RatioRow::default()
        });
    let block = (0..3u64, 0..30u64, seconds(), proptest::option::of(seconds())).prop_map(
        |(comparison, block, seconds, memory_bytes_per_s)| BlockRow {
            comparison,
            block,
            seconds,
            memory_bytes_per_s,
            ..BlockRow::default()
        },
    );
    let environment = (any_text(), count(), any::<bool>()).prop_map(|(text, number, truth)| {
        json!({"transport": text, "ranks": number, "nodes": text, "cores_shared": truth, "machines": [{"environment": {"hostname": text}}]})
    });
    (vec(cell(), 0..6), vec(ratio, 0..6), vec(block, 0..40), environment, 1..4usize, damage(3), 0..OPTIONS.len())
        .prop_map(|(cells, ratios, blocks, environment, jobs, damage, options)| ShownFile {
            cells,
            ratios,
            blocks,
            environment,
            jobs,
            damage,
            options,
        })
}

impl ShownFile {
    /// The options with which it is shown.
    pub fn options(&self) -> &'static [&'static str] {
        OPTIONS[self.options]
    }

    /// The contents, undamaged.
    pub fn contents(&self) -> ResultFile {
        let environment = Environment::of(&self.environment).unwrap();
        let mut file = ResultFile::new("{\"name\": \"fuzz\"}".into(), environment.clone());
        for job in 0..self.jobs {
            if job > 0 {
                file.resumed(&environment);
            }
            for (number, (row, times)) in (0..).zip(&self.cells) {
                let row = CellRow { cell: number, ..row.clone() };
                let samples = (0..).zip(times).map(|(block, seconds)| Sample {
                    cell: number,
                    block,
                    seconds: *seconds,
                    rank_seconds: vec![*seconds; 2],
                    rank_producing_seconds: vec![0.0; 2],
                    rank_start_seconds: vec![0.0; 2],
                    ..Sample::default()
                });
                let predicted = row.memory;
                let ranks = vec![RankMemory { predicted, tracked: Some(predicted), ..RankMemory::default() }; 2];
                file.push(row, samples.collect(), ranks);
            }
            file.push_ratios(self.ratios.clone());
            file.push_blocks(self.blocks.clone());
        }
        file
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.h5");
        Output::create(&path, false).unwrap().save(&self.contents()).unwrap();
        damaged(std::fs::read(&path).unwrap(), &self.damage)
    }
}
