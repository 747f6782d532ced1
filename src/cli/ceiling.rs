//! `gradshard ceiling`: finds by trial the largest gradient that each strategy aggregates under a memory limit.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use gradshard::ceiling::{self, Ceiling, CeilingRequest, JobLauncher, TrialOutcome, Watcher};
use gradshard::experiment::Size;
use gradshard::harmless::printable;
use gradshard::job::JobError;
use serde_json::json;

use super::cost::number;
use super::{Failure, ListFormat, input, print};

#[derive(Args)]
pub struct CeilingArgs {
    /// The experiment that gives the strategies, shards, flows and clients; its models are ignored
    experiment: PathBuf,
    /// Bytes that one aggregator may hold, such as 256MiB
    #[arg(long, value_parser = size)]
    limit: u64,
    /// Try only these strategies of the experiment
    #[arg(long, value_delimiter = ',', value_name = "STRATEGY")]
    strategies: Option<Vec<String>>,
    /// Ranks of each job. If the experiment names no roles, one rank plays the clients and the others aggregate
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(2..=4096))]
    ranks: u16,
    /// Nodes over which the ranks are spread
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    nodes: u16,
    /// The command that starts a job, such as "srun -n 9" [default: srun in an allocation of Slurm, else mpirun]
    #[arg(long, value_name = "COMMAND")]
    launch: Option<String>,
    /// Time limit of one job in seconds
    #[arg(long, default_value_t = 600.0, value_name = "SECONDS", value_parser = seconds)]
    patience: f64,
    /// How to print the outcome
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    format: ListFormat,
}

fn size(text: &str) -> Result<u64, String> {
    match text.parse::<Size>() {
        Ok(Size(0)) => Err("write a size above 0".to_owned()),
        Ok(Size(bytes)) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    number(text, |seconds| *seconds > 0.0 && *seconds <= 1e6, "write seconds above 0, such as 600")
}

/// Prints the progress of the search on standard error.
struct Lines;

impl Watcher for Lines {
    fn begins(&mut self, at: usize, of: usize, what: &str, predicted: Option<u64>) {
        let predicted = predicted
            .map_or("no plan for these ranks".to_owned(), |bytes| format!("predicted {} MiB", mebibytes(bytes)));
        eprintln!("[{}/{of}] {}: {predicted}", at + 1, printable(what));
    }

    fn tried(&mut self, bytes: u64, outcome: &TrialOutcome) {
        eprintln!("  {} MiB: {}", mebibytes(bytes), printable(&outcome.to_string()));
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// Runs the search and prints the largest gradients found.
pub fn ceiling(args: &CeilingArgs) -> Result<(), Failure> {
    #[cfg(feature = "mpi")]
    if gradshard::mpi::launcher().is_some_and(|launcher| launcher.processes > 1) {
        return Err(input(anyhow!("ceiling starts its jobs itself: call it without mpirun or srun")));
    }
    let ranks = usize::from(args.ranks);
    let nodes = usize::from(args.nodes);
    if nodes > ranks {
        return Err(input(anyhow!("--nodes {nodes}: there are only {ranks} ranks")));
    }
    let launcher = match &args.launch {
        Some(text) => JobLauncher::parse(text).ok_or_else(|| input(anyhow!("--launch: names no command")))?,
        None => JobLauncher::usual(ranks),
    };
    let request = CeilingRequest {
        experiment: args.experiment.clone(),
        limit: args.limit,
        strategies: args.strategies.clone(),
        launcher,
        ranks,
        nodes,
        patience: Duration::from_secs_f64(args.patience),
    };
    let found = ceiling::find(&request, &mut Lines).map_err(|error| match error {
        JobError::Input(_) => input(error),
        error => Failure::Other(error.into()),
    })?;
    print(&match args.format {
        ListFormat::Text => table(&found, &request),
        ListFormat::Json => {
            let object = json!({
                "limit_bytes": request.limit,
                "ranks": ranks,
                "nodes": nodes,
                "launcher": request.launcher.text(),
                "resolution": ceiling::RESOLUTION,
                "enforced_by": "RLIMIT_DATA",
                "cells": found,
            });
            format!("{}\n", serde_json::to_string_pretty(&object)?)
        }
    })
}

fn table(found: &[Ceiling], request: &CeilingRequest) -> String {
    let mut text = format!(
        "largest gradient with {} for an aggregator (RLIMIT_DATA), {} ranks; elements, and MiB\n\n{:<28} {:>3} {:>8} {:>14} \
         {:>9} {:>14} {:>9} {:>7} {:>5}\n",
        Size(request.limit),
        request.ranks,
        "strategy",
        "M",
        "flow",
        "predicted",
        "MiB",
        "found",
        "MiB",
        "ratio",
        "tries"
    );
    let dash = || "-".to_owned();
    for row in found {
        let mib =
            |elements: Option<u64>| elements.map_or_else(dash, |elements| mebibytes(elements * row.element_bytes));
        let count = |elements: Option<u64>| elements.map_or_else(dash, |elements| elements.to_string());
        text += &format!(
            "{:<28} {:>3} {:>8} {:>14} {:>9} {:>14} {:>9} {:>7} {:>5}\n",
            row.strategy,
            row.shards,
            row.flow,
            count(row.predicted_elements),
            mib(row.predicted_elements),
            count(row.largest_elements),
            mib(row.largest_elements),
            row.measured_over_predicted.map_or_else(dash, |ratio| format!("{ratio:.3}")),
            row.tries.len()
        );
    }
    text.push('\n');
    for row in found.iter().filter(|row| !row.refused_because.is_empty()) {
        let refused = row.refused_elements.unwrap_or_default();
        text += &format!("{}, {}: {refused} elements {}\n", row.strategy, row.flow, row.refused_because);
    }
    text
}
