//! `gradshard cost crossover`: finds the gradient size from which sharding wins.

use std::path::PathBuf;

use clap::Args;
use gradshard::cost::crossover::{Crossing, Quantity, Question};
use gradshard::cost::workload::MIB;
use gradshard::cost::{Case, Field, Functions, ObjectFlow, Sheet, Usd, calibrate};
use strum::VariantArray;

use super::asked::{self, above_zero, affordable, count};
use crate::cli::{Failure, input};

/// Range of gradient sizes in which a crossing is searched, MiB.
const SIZES_MIB: (f64, f64) = (0.0625, 16384.0);
/// Upper end of the search for the largest feasible gradient, MiB.
const MOST_MIB: f64 = 1_048_576.0;

#[derive(Args)]
pub struct CrossoverArgs {
    /// The sharded strategy
    #[arg(long, default_value = "sharded-direct")]
    strategy: String,
    /// Trees to compare it with
    #[arg(long, value_delimiter = ',', default_value = "tree-lambda-fl,tree-lifl")]
    against: Vec<String>,
    /// Clients N
    #[arg(long, value_delimiter = ',', default_value = "20", value_parser = count)]
    clients: Vec<u64>,
    /// Shards M
    #[arg(long, value_delimiter = ',', default_value = "4", value_parser = count)]
    shards: Vec<u64>,
    /// Flow of both strategies; a tree reads whole objects, so that `ranged` changes only the sharded strategy
    #[arg(long, value_delimiter = ',', default_value = "whole")]
    flow: Vec<ObjectFlow>,
    /// Factors by which the store is faster than measured
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = above_zero)]
    throughput: Vec<f64>,
    /// Factors on the price of requests
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = above_zero)]
    request_price: Vec<f64>,
    /// Factors on the price of the functions' memory
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = above_zero)]
    memory_price: Vec<f64>,
    /// Memory limits, MiB [default: the platform's]
    #[arg(long, value_delimiter = ',', value_name = "MIB", value_parser = count)]
    limit: Option<Vec<u64>>,
    /// Platform of functions, JSON [default: AWS Lambda with S3]
    #[arg(long, value_name = "FILE")]
    platform: Option<PathBuf>,
    /// Measurements from which speed and uncertainty are taken, JSON [default: those of Barrak 2026]
    #[arg(long, value_name = "FILE")]
    measurements: Option<PathBuf>,
}

/// Makes a table with one row for each combination of the arguments and each quantity: cost with the clients' own
/// requests, cost without them, and latency.
pub fn sheets(args: &CrossoverArgs) -> Result<Vec<Sheet>, Failure> {
    let platform = asked::functions(args.platform.as_deref())?;
    let measurements = asked::measurements(args.measurements.as_deref())?;
    let calibration = calibrate(&measurements, &platform).map_err(input)?;
    let sharded = asked::strategy(&args.strategy)?;
    let trees = asked::strategies(&args.against)?;
    let title = format!("Gradient size from which {} wins, {}", sharded.name(), platform.name);
    let mut rows = Vec::new();
    let mut priced_inputs = 0u64;
    let limits = args.limit.clone().unwrap_or_else(|| vec![platform.memory.limit_mib.value]);
    for tree in trees {
        for (clients, shards) in pairs(&args.clients, &args.shards) {
            for (flow, limit) in pairs(&args.flow, &limits) {
                for (throughput, (requests, memory)) in
                    pairs(&args.throughput, &pairs(&args.request_price, &args.memory_price))
                {
                    let changed = priced(&platform, limit, requests, memory);
                    let case = |strategy, shards| Case {
                        flow,
                        dtype: measurements.dtype,
                        ..Case::new(strategy, 1, clients, shards)
                    };
                    for quantity in Quantity::VARIANTS.iter().copied() {
                        let sizes = (SIZES_MIB.0 * MIB, SIZES_MIB.1 * MIB);
                        let question =
                            Question { sharded: case(sharded, shards), tree: case(tree, 1), quantity, sizes };
                        priced_inputs = question.most_inputs(&calibration).saturating_add(priced_inputs);
                        affordable(priced_inputs)?;
                        let found = question.answer(&changed, &calibration, throughput).map_err(input)?;
                        let most =
                            |case: &Case| question.largest_feasible(case, &changed, MOST_MIB * MIB).map_err(input);
                        let up_to = [most(&question.tree)?, most(&question.sharded)?];
                        rows.push((question, limit, throughput, requests, memory, found, up_to));
                    }
                }
            }
        }
    }
    let mut sheet = Sheet::new("crossover", title);
    sheet.column("tree", &rows, |(question, ..)| question.tree.strategy.name());
    sheet.column("clients", &rows, |(question, ..)| question.sharded.clients);
    sheet.column("shards", &rows, |(question, ..)| question.sharded.shards);
    sheet.column("flow", &rows, |(question, ..)| question.sharded.flow.to_string());
    sheet.column("limit_mib", &rows, |(_, limit, ..)| *limit);
    sheet.column("throughput", &rows, |(_, _, throughput, ..)| *throughput);
    sheet.column("request_price", &rows, |(_, _, _, requests, ..)| *requests);
    sheet.column("memory_price", &rows, |(_, _, _, _, memory, ..)| *memory);
    sheet.column("of", &rows, |(question, ..)| <&str>::from(question.quantity));
    sheet.column("wins_from_mib", &rows, |(.., found, _)| size(found.crossing));
    sheet.column("fit_low_mib", &rows, |(.., found, _)| found.fit.0 / MIB);
    sheet.column("fit_high_mib", &rows, |(.., found, _)| found.fit.1 / MIB);
    sheet.column("single_low_mib", &rows, |(.., found, _)| found.single.0 / MIB);
    sheet.column("single_high_mib", &rows, |(.., found, _)| found.single.1 / MIB);
    sheet.column("tree_up_to_mib", &rows, |(.., up_to)| up_to[0].map(|bytes| bytes / MIB));
    sheet.column("sharded_up_to_mib", &rows, |(.., up_to)| up_to[1].map(|bytes| bytes / MIB));
    sheet.note(format!("0: wins at every size from {} MiB; -: at no size up to {} MiB.", SIZES_MIB.0, SIZES_MIB.1));
    sheet.note("fit: 95 % interval of the expected crossing, jackknife over the measured deployments.");
    sheet.note("single: 95 % prediction interval of the crossing in a single deployment of each strategy.");
    sheet.note("up_to: the largest gradient that fits the memory limit and the time limit of a function.");
    Ok(vec![sheet])
}

fn pairs<A: Copy, B: Copy>(first: &[A], second: &[B]) -> Vec<(A, B)> {
    first.iter().flat_map(|a| second.iter().map(|b| (*a, *b))).collect()
}

fn size(crossing: Crossing) -> Field {
    match crossing {
        Crossing::From(bytes) => (bytes / MIB).into(),
        Crossing::Always => 0.0.into(),
        Crossing::Never => Field::Null,
    }
}

fn priced(platform: &Functions, limit: u64, requests: f64, memory: f64) -> Functions {
    let mut changed = platform.clone();
    changed.memory.limit_mib.value = limit;
    let times = |usd: &mut Usd, factor: f64| *usd = usd.for_amount(factor);
    times(&mut changed.prices.put_usd_per_1000.value, requests);
    times(&mut changed.prices.get_usd_per_1000.value, requests);
    times(&mut changed.prices.gib_second_usd.value, memory);
    changed
}
