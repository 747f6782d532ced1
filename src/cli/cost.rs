//! `gradshard cost`: prices aggregation on cloud functions and on nodes. Needs no MPI.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use gradshard::cost::Sheet;
use gradshard::harmless::json_text;
use serde_json::{Map, Value};

use super::{Failure, TableFormat, input, print};

mod asked;
mod best_shards;
mod calibrate;
mod crossover;
mod estimate;
mod measured;
mod tables;

pub use asked::{model, nodes, number, strategy};

const EXAMPLES: &str = "\
Examples:
  gradshard cost --model vgg16                              GradsSharding, λ-FL and LIFL on AWS Lambda, N = 20, M = 4
  gradshard cost --model vgg16 --flow whole,64MiB --shards 1,4,16 --strategy sharded-direct,tree-lambda-fl
  gradshard cost --model vgg16 --ranks 20 --nodes 5 --platform configs/platforms/cluster-c5.json
  gradshard cost tables                                     the published measurements beside our estimates
  gradshard cost crossover --clients 5,20,100 --shards 2,4,8
  gradshard cost best-shards --model gpt2-large --clients 20
  gradshard cost calibrate                                  the model of time, its residuals and leave-one-out errors
  gradshard cost resnet18.h5 --train-seconds 60             measured rounds, priced by the node-hour

Dollars are for a thousand rounds unless a column says otherwise. COST.md explains what is
counted, and gives the sources of constants.";

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct CostArgs {
    #[command(subcommand)]
    what: Option<CostCommand>,
    /// A result file whose measured rounds are priced. Without a file and a command, plans are priced
    #[arg(conflicts_with_all = ["strategy", "model", "clients", "shards", "flow", "dtype", "ranks", "nodes",
                                "memory", "limit", "cold_start", "throughput", "without_clients", "levels"])]
    result: Option<PathBuf>,
    #[command(flatten)]
    measured: measured::MeasuredArgs,
    #[command(flatten)]
    estimate: estimate::EstimateArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum CostCommand {
    /// Compare the published tables with our estimates, and explain the differences
    Tables(asked::CalibrationArgs),
    /// Find the gradient sizes from which sharding is cheaper and faster, with intervals
    Crossover(crossover::CrossoverArgs),
    /// Find the numbers of shards with the lowest cost and the lowest latency, and the Pareto frontier between them
    BestShards(best_shards::BestShardsArgs),
    /// Fit the model of time to measurements; print parameters, residuals and leave-one-out errors
    Calibrate(asked::CalibrationArgs),
}

// Options for printing tables. (A doc comment would become the help of the commands that flatten this struct.)
#[derive(Args, Clone)]
pub struct OutputArgs {
    /// How to print
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub format: TableFormat,
    /// Print only this table; needed for CSV if there are several
    #[arg(long, global = true, value_name = "NAME")]
    pub table: Option<String>,
}

/// Runs the subcommand, or prices a result file or plans, and prints the tables.
pub fn cost(args: &CostArgs) -> Result<(), Failure> {
    let sheets = match (&args.what, &args.result) {
        (Some(CostCommand::Tables(args)), _) => tables::sheets(args)?,
        (Some(CostCommand::Crossover(args)), _) => crossover::sheets(args)?,
        (Some(CostCommand::BestShards(args)), _) => best_shards::sheets(args)?,
        (Some(CostCommand::Calibrate(args)), _) => calibrate::sheets(args)?,
        (None, Some(file)) => measured::sheets(file, &args.measured, &args.estimate)?,
        (None, None) => estimate::sheets(&args.estimate)?,
    };
    out(&sheets, &args.output)
}

/// Prints the tables that the options choose.
pub fn out(sheets: &[Sheet], output: &OutputArgs) -> Result<(), Failure> {
    let names = || sheets.iter().map(|sheet| sheet.name).collect::<Vec<_>>().join(", ");
    let chosen: Vec<&Sheet> = match &output.table {
        None => sheets.iter().collect(),
        Some(name) => {
            let found = sheets.iter().find(|sheet| sheet.name == name);
            vec![
                found
                    .ok_or_else(|| input(anyhow!("--table: there is no table {name:?} here; there are {}", names())))?,
            ]
        }
    };
    let text = match output.format {
        TableFormat::Text => chosen.iter().map(|sheet| sheet.text()).collect::<Vec<_>>().join("\n"),
        TableFormat::Json => {
            let tables: Map<String, Value> = chosen.iter().map(|s| (s.name.to_owned(), s.json())).collect();
            json_text(&format!("{:#}\n", Value::Object(tables)))
        }
        TableFormat::Csv => match chosen.as_slice() {
            [one] => one.csv(),
            _ => return Err(input(anyhow!("--format csv: name one table with --table; there are {}", names()))),
        },
    };
    print(&text)
}
