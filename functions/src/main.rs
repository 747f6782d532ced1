//! `gradshard-function`: see [`gradshard_function`].

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::{Args, Parser, Subcommand};
use gradshard::cost::platform::{AWS_LAMBDA_S3, Platform};
use gradshard::cost::{Case, Functions, ObjectFlow};
use gradshard::experiment::{Size, parse::json};
use gradshard::harmless::printable;
use gradshard::job::Prepared;
use gradshard::screening::{self, Unchecked, screen};
use gradshard_function::aggregate::aggregate;
use gradshard_function::place::{self, RoundPlace};
use gradshard_function::processes::Processes;
use gradshard_function::round::Setting;
use gradshard_function::row::RoundRow;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Carries out aggregators as functions that read and write objects of a store.
///
/// Data goes to standard output, everything else to standard error. Exit codes: 1: a function or a round failed; 2: bad input,
/// such as an object that is cut off or has another checksum than was written; 3: SIGINT or SIGTERM stopped the rounds, when the
/// functions that ran had ended.
#[derive(Parser)]
#[command(name = "gradshard-function", version, max_term_width = 100)]
struct Program {
    #[command(subcommand)]
    work: FunctionCommand,
}

#[derive(Subcommand)]
enum FunctionCommand {
    /// Carry out one invocation: JSON on standard input, the function's account as JSON on standard output
    Invoke {
        /// The store: a directory, or with the feature s3 such as s3://bucket/prefix
        #[arg(long, value_name = "STORE")]
        store: String,
    },
    /// Carry out rounds of an experiment's sharded strategies and trees, one process an invocation; one line of JSON a round
    Round(RoundArgs),
}

#[derive(Args)]
struct RoundArgs {
    /// The experiment, JSON. Its models, clients, element types, gradients, strategies and shards count
    experiment: PathBuf,
    /// How objects are read: whole, ranged, a size of chunks such as 64MiB, or ranged:64MiB, as `gradshard cost` has them
    #[arg(long, value_delimiter = ',', default_value = "whole")]
    flow: Vec<ObjectFlow>,
    /// The store, in which each round has a place of its own: a directory, or with the feature s3 such as s3://bucket/prefix
    /// [default: the system's directory for temporary files]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Keep the objects of the rounds
    #[arg(long)]
    keep: bool,
    /// Platform of functions, JSON: prices, memory rule, functions at the same time [default: AWS Lambda with S3]
    #[arg(long, value_name = "FILE")]
    platform: Option<PathBuf>,
    /// Let requests and sums take as long as on the platform, and levels begin as late
    #[arg(long)]
    keep_time: bool,
    /// Memory that a sum may have, enforced by RLIMIT_DATA [default: as predicted]
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// Attempts at a function that is killed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    attempts: u64,
    /// Read HDF5 files of gradients at once, and not in a process of their own first
    #[arg(long)]
    trust: bool,
}

fn main() -> ExitCode {
    let begin = Instant::now();
    if let Some(code) = screening::child() {
        return code;
    }
    let ended = match Program::parse().work {
        FunctionCommand::Invoke { store } => invoke(&store, begin),
        FunctionCommand::Round(args) => rounds(&args),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Carries out the invocation on standard input. An error is bad input.
fn invoke(store: &str, begin: Instant) -> anyhow::Result<ExitCode> {
    let bucket = place::open(store).with_context(|| format!("--store {store}"))?;
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("the invocation")?;
    match aggregate(&json(&text, Path::new("the invocation"))?, bucket.as_ref(), begin) {
        Ok(account) => {
            print(&account)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if error.is_bad_input() => Err(error.into()),
        Err(error) => {
            say(&error.to_string());
            Ok(ExitCode::from(1))
        }
    }
}

/// Carries out the rounds of an experiment. An error is bad input.
fn rounds(args: &RoundArgs) -> anyhow::Result<ExitCode> {
    let platform = platform(args.platform.as_deref())?;
    let file = &args.experiment;
    if !args.trust {
        screen(Unchecked::Gradients(file)).with_context(|| format!("{}: gradients", file.display()))?;
    }
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let prepared = Prepared::understand(&text, file, &[0])?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let (mut done, mut failed) = (Vec::new(), false);
    for (comparison, cell) in prepared.experiment.cells() {
        let strategy = prepared.strategy(&cell.strategy)?;
        for flow in args.flow.iter().copied().filter(|_| !strategy.needs_mpi()) {
            let case = Case::new(strategy, comparison.elements, comparison.clients, cell.shards);
            let case = Case { dtype: comparison.dtype, flow, ..case };
            let mut row = RoundRow::new(&comparison.model, &case, &platform, args.keep_time)?;
            // Cells that differ only in settings of ranks are one round here.
            if done.contains(&row) {
                continue;
            }
            done.push(row.clone());
            carry_out(&case, prepared.source(comparison)?.as_ref(), (&platform, &stop), args, &mut row)?;
            if stop.load(Ordering::Relaxed) {
                say("stopped by a signal; the round under way is given up");
                return Ok(ExitCode::from(3));
            }
            failed |= row.status != "ok";
            print(&row)?;
        }
    }
    if done.is_empty() {
        return Err(anyhow!(
            "{}: strategies: none is gradshard's own; name some, such as sharded-direct",
            file.display()
        ));
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// Carries out one round in a directory of its own, and fills its row.
fn carry_out(
    case: &Case,
    source: &dyn gradshard::gradient::Source,
    (platform, stop): (&Functions, &Arc<AtomicBool>),
    args: &RoundArgs,
    row: &mut RoundRow,
) -> anyhow::Result<()> {
    let place = RoundPlace::new(args.store.as_deref())?;
    let processes = Processes {
        program: std::env::current_exe()?,
        arguments: ["invoke", "--store", &place.store].map(str::to_owned).to_vec(),
        concurrent: platform.limits.concurrent.value.max(1),
        attempts: args.attempts,
        stop: Arc::clone(stop),
    };
    let setting = Setting {
        case,
        source,
        platform,
        bucket: place.bucket.as_ref(),
        processes: &processes,
        memory_bytes: args.memory.map(Size::bytes),
        keeps_time: args.keep_time,
    };
    match setting.carry_out() {
        Ok(carried) => row.fill(&carried, platform),
        Err(error) => row.reason = Some(error.to_string()),
    }
    if args.keep {
        place.keep();
        return Ok(());
    }
    let store = place.store.clone();
    match place.remove() {
        Err(error) if row.status == "ok" => Err(error).with_context(|| format!("--store {store}")),
        // A store that failed in the round fails again.
        _ => Ok(()),
    }
}

fn platform(file: Option<&Path>) -> anyhow::Result<Functions> {
    let default = Path::new("configs/platforms/aws-lambda-s3.json");
    let text = file.map_or_else(|| Ok(AWS_LAMBDA_S3.to_owned()), std::fs::read_to_string);
    let file = file.unwrap_or(default);
    match Platform::parse(&text.with_context(|| file.display().to_string())?, file)? {
        Platform::Functions(functions) => Ok(*functions),
        Platform::Nodes(nodes) => Err(anyhow!("--platform: {} consists of nodes; functions are needed", nodes.name)),
    }
}

/// Prints one line of JSON.
fn print(data: &impl serde::Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(data)? + "\n";
    match io::stdout().write_all(line.as_bytes()).and_then(|()| io::stdout().flush()) {
        // The reader needs no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("standard output"),
    }
}

fn say(text: &str) {
    // If standard error is closed, the failure cannot be reported anywhere.
    let _ = io::stderr().write_all(format!("gradshard-function: {}\n", printable(text)).as_bytes());
}
