//! `gradshard-function round`: carries out the rounds of an experiment, and writes their rows.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use clap::Args;
use gradshard::ceiling::JobLauncher;
use gradshard::cost::platform::{AWS_LAMBDA_S3, Platform};
use gradshard::cost::workload::MIB;
use gradshard::cost::{Case, Functions, ObjectFlow};
use gradshard::experiment::Size;
use gradshard::gradient::Source;
use gradshard::job::Prepared;
use gradshard::machine::rank::RankMachine;
use gradshard::results::function_row::FunctionRow;
use gradshard::results::row::Status;
use gradshard::results::show::{WIDTH, table};
use gradshard::results::{Environment, Output, ResultFile};
use gradshard::screening::{Unchecked, screen};
use gradshard_function::invocation::LimitBy;
use gradshard_function::place::{RoundPlace, kind};
use gradshard_function::processes::Processes;
use gradshard_function::roof;
use gradshard_function::round::Setting;
use gradshard_function::row::{fill, row_of};
use gradshard_function::tempo::{KeptTime, PlatformPart};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{print, print_text, say};

#[derive(Args)]
pub struct RoundArgs {
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
    /// Result file, HDF5, to which each round adds a row; `gradshard show` and `gradshard-report` read it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the result file
    #[arg(long, requires = "output")]
    force: bool,
    /// How to print the rounds: a line of JSON each, or a table
    #[arg(long, value_enum, default_value = "json", overrides_with = "format")]
    format: RowFormat,
    /// Platform of functions, JSON: prices, memory rule, functions at the same time [default: AWS Lambda with S3]
    #[arg(long, value_name = "FILE")]
    platform: Option<PathBuf>,
    /// Let rounds take as long as on the platform, in all of these parts or in those that are named
    #[arg(
        long,
        value_enum,
        value_name = "PARTS",
        value_delimiter = ',',
        num_args = 0..=1,
        require_equals = true,
        default_missing_values = ["bandwidth", "cpu", "delay"]
    )]
    keep_time: Vec<PlatformPart>,
    /// Delay before each function begins, which is paid: a cold start as configured here
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    cold_start: f64,
    /// Memory that a sum may have, enforced by the kernel [default: as predicted]
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// How the kernel enforces it
    #[arg(long, value_enum, default_value = "any")]
    limit_by: LimitBy,
    /// Start each function by this command, such as "srun -n 1", on a node that reaches the store
    #[arg(long, value_name = "COMMAND", requires = "store")]
    launch: Option<String>,
    /// Attempts at a function that is killed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    attempts: u64,
    /// Read HDF5 files of gradients at once, and not in a process of their own first
    #[arg(long)]
    trust: bool,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum RowFormat {
    /// For a program: one object a line, as soon as a round has ended
    Json,
    /// For a person: the tables of `gradshard show`, in the end
    Text,
}

/// A platform with what rounds keep to of it, and a flag that asks them to stop.
struct Conditions {
    platform: Functions,
    pace: KeptTime,
    stop: Arc<AtomicBool>,
}

/// The rows of this job, and the file that keeps them.
struct JobRows {
    contents: ResultFile,
    output: Option<Output>,
}

impl JobRows {
    fn save(&mut self) -> anyhow::Result<()> {
        Ok(self.output.as_mut().map_or(Ok(()), |output| output.save(&self.contents))?)
    }
}

/// Carries out the rounds of an experiment. An error is bad input.
pub fn rounds(args: &RoundArgs) -> anyhow::Result<ExitCode> {
    let conditions = conditions(args)?;
    let file = &args.experiment;
    if !args.trust {
        screen(Unchecked::Gradients(file)).with_context(|| format!("{}: gradients", file.display()))?;
    }
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let prepared = Prepared::understand(&text, file, &[0])?;
    let output = args.output.as_ref().map(|path| Output::create(path, args.force)).transpose()?;
    let mut record = JobRows { contents: ResultFile::new(text, environment(args)?), output };
    record.save()?;
    let (mut done, mut failed) = (Vec::new(), false);
    for (comparison, cell) in prepared.experiment.cells() {
        let strategy = prepared.strategy(&cell.strategy)?;
        for flow in args.flow.iter().copied().filter(|_| !strategy.needs_mpi()) {
            let case = Case::new(strategy, comparison.elements, comparison.clients, cell.shards);
            let case = Case { dtype: comparison.dtype, flow, ..case };
            let mut row = row_of(&comparison.model, &case, &conditions.platform, &conditions.pace)?;
            // Cells that differ only in settings of ranks are one round here.
            if done.contains(&row) {
                continue;
            }
            done.push(row.clone());
            carry_out(&case, prepared.source(comparison)?.as_ref(), &conditions, args, &mut row)?;
            if conditions.stop.load(Ordering::Relaxed) {
                say("stopped by a signal; the round under way is given up");
                return Ok(ExitCode::from(3));
            }
            failed |= row.status != Status::Ok;
            record.contents.push_function_round(row);
            if let Err(error) = record.save() {
                say(&format!("{error:#}"));
                return Ok(ExitCode::from(1));
            }
            if let (RowFormat::Json, Some(row)) = (args.format, record.contents.function_rounds.last()) {
                print(row)?;
            }
        }
    }
    if done.is_empty() {
        return Err(anyhow!(
            "{}: strategies: none is gradshard's own; name some, such as sharded-direct",
            file.display()
        ));
    }
    if args.format == RowFormat::Text {
        print_text(&table(&record.contents, WIDTH))?;
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// Understands the platform and the parts of its time, and lets signals set the flag.
fn conditions(args: &RoundArgs) -> anyhow::Result<Conditions> {
    let platform = platform(args.platform.as_deref())?;
    if !(args.cold_start >= 0.0 && args.cold_start.is_finite()) {
        return Err(anyhow!("--cold-start {}: write seconds of 0 or more", args.cold_start));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let pace = KeptTime { kept: args.keep_time.iter().copied().collect(), cold_start_s: args.cold_start };
    Ok(Conditions { platform, pace, stop })
}

/// Describes this job. Of commands only the launcher's name is kept, as others could hold credentials.
fn environment(args: &RoundArgs) -> anyhow::Result<Environment> {
    let launched_by = args.launch.as_deref().and_then(|command| command.split_whitespace().next());
    let machines = [RankMachine::here(0, "functions")];
    let described = json!({
        "transport": "functions", "ranks": 1, "nodes": 1, "launched_by": launched_by, "machines": machines,
    });
    Ok(Environment::of(&described)?)
}

/// Carries out one round in a place of its own, and fills its row.
fn carry_out(
    case: &Case,
    source: &dyn Source,
    conditions: &Conditions,
    args: &RoundArgs,
    row: &mut FunctionRow,
) -> anyhow::Result<()> {
    let Conditions { platform, pace, stop } = conditions;
    let place = RoundPlace::new(args.store.as_deref())?;
    row.store = kind(&place.store).to_owned();
    let launcher = args.launch.as_deref().map(|command| JobLauncher::parse(command).ok_or("names no command"));
    let launcher = launcher.transpose().map_err(|fault| anyhow!("--launch: {fault}"))?;
    let processes = Processes {
        program: std::env::current_exe()?,
        arguments: ["invoke", "--store", &place.store].map(PathBuf::from).to_vec(),
        launcher,
        concurrent: platform.limits.concurrent.value.max(1),
        attempts: args.attempts,
        stop: Arc::clone(stop),
    };
    if pace.keeps(PlatformPart::Bandwidth) {
        let together = processes.concurrent.min(row.calculated.invocations).max(1);
        row.needed_bytes_per_s = Some(together as f64 * platform.speed.read_mib_per_s.get() * MIB);
        let roof = roof::measure(&place.store, together).with_context(|| format!("--store {}", place.store))?;
        row.roof_bytes_per_s = Some(roof);
    }
    let setting = Setting {
        case,
        source,
        platform,
        bucket: place.bucket.as_ref(),
        processes: &processes,
        memory_bytes: args.memory.map(Size::bytes),
        limit_by: args.limit_by,
        pace,
    };
    match setting.carry_out() {
        Ok(carried) => fill(row, &carried, platform),
        Err(error) => {
            row.limited_by = error.limited_by().to_owned();
            row.limit_bytes = args.memory.map_or(0, Size::bytes);
            row.reason = error.to_string();
        }
    }
    if args.keep {
        place.keep();
        return Ok(());
    }
    let store = place.store.clone();
    match place.remove() {
        Err(error) if row.status == Status::Ok => Err(error).with_context(|| format!("--store {store}")),
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
