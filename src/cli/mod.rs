//! The command line. Each command has a file, which parses the arguments, calls the library, and prints.

mod ceiling;
mod compare;
mod cost;
mod functions;
mod init;
mod machine;
mod merge;
mod models;
mod pages;
mod plan;
mod predict;
mod run;
mod schema;
mod screen;
mod show;
mod signals;
mod strategies;
mod tune;
#[cfg(feature = "mpi")]
mod under_mpi;
mod verify;
mod version;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use gradshard::harmless::printable;

/// Exit code for input that cannot be used.
const BAD_INPUT: u8 = 2;
/// Exit code of a job that a signal asked to stop. `run --resume` measures the rest.
const STOPPED: u8 = 3;
/// Exit code of `show --answer` if an answer is not established because the machine was disturbed.
const NOT_ESTABLISHED: u8 = 4;

/// Shard the gradient, or build a tree? Measures, on this machine, how fast and in how much memory strategies
/// aggregate the gradients of federated-learning clients.
#[derive(Parser)]
#[command(name = "gradshard", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  gradshard init my.json --nodes 4                    write an experiment to begin with
  mpirun -n 4 gradshard run configs/resnet18.json     measure on 4 ranks
  mpirun -n 4 gradshard run --sizes 4KiB:1GiB         measure gradients of these sizes, without a file
  gradshard run configs/digits.json --threads 4       measure on 4 threads, without MPI
  gradshard run configs/resnet18.json --dry-run       list the cells and their predicted memory
  gradshard show resnet18.h5                          print the table of results
  gradshard show resnet18.h5 --answer                 print the answer alone
  gradshard merge nodes.h5 job-*.h5                   join several jobs of one experiment
  gradshard plan --strategy tree-lambda-fl --clients 20 --elements 1000000 --ranks 4
  gradshard cost --model vgg16                        price a round on AWS Lambda; see cost --help

Data goes to standard output, everything else to standard error.

Exit codes:
  1  something failed, or no cell of an experiment could be carried out
  2  the input cannot be used
  3  a signal (SIGTERM, SIGINT, SIGUSR1) stopped the job; finished comparisons are saved, run --resume measures the rest
  4  show --answer: an answer is not established, because the machine was disturbed";

#[derive(Subcommand)]
enum Command {
    /// Carry out an experiment and write the result file
    Run(Box<run::RunArgs>),
    /// Write an experiment to begin with
    Init(init::InitArgs),
    /// Find the largest gradient that each strategy aggregates under a memory limit
    Ceiling(ceiling::CeilingArgs),
    /// Price plans, on functions and on nodes; crossovers, the best number of shards, calibration
    Cost(Box<cost::CostArgs>),
    /// Carry rounds out by functions, processes that read and write objects of a store (gradshard-function)
    Functions(functions::FunctionsCommandArgs),
    /// Show a plan, without carrying it out: who sums what, and where
    Plan(plan::PlanArgs),
    /// Predict an experiment's times on numbers of nodes that were not measured
    Predict(Box<predict::PredictArgs>),
    /// Print a result file
    Show(show::ShowArgs),
    /// Show two result files side by side
    Compare(compare::CompareArgs),
    /// Check that result files agree with themselves: figures follow from the rounds, results were right
    Verify(verify::VerifyArgs),
    /// Join the result files of several jobs of one experiment
    Merge(merge::MergeArgs),
    /// Write rules that tell the MPI library which algorithm to use, from a sweep over its algorithms
    Tune(tune::TuneArgs),
    /// List the strategies
    Strategies(strategies::StrategiesArgs),
    /// List the models of the catalogue, or the layers of one
    Models(models::ModelsArgs),
    /// Print the JSON schema of experiments, for editors, or the table of their fields
    Schema(schema::SchemaArgs),
    /// Describe the machine: MPI library, nodes, topology, binding, memory
    Machine(machine::MachineArgs),
    /// Print the script that completes commands and options in a shell
    Completions(pages::CompletionsArgs),
    /// Print the manual page of gradshard or of a command, for man
    Man(pages::ManArgs),
}

/// The reason why a command ended early, which decides the exit code.
enum Failure {
    /// The input cannot be used; exit code [`BAD_INPUT`].
    Input(anyhow::Error),
    /// Something else went wrong; exit code 1.
    Other(anyhow::Error),
    /// This rank or another has already printed the message; the field is the exit code.
    Said(u8),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Other(error.into())
    }
}

fn input(error: impl Into<anyhow::Error>) -> Failure {
    Failure::Input(error.into())
}

/// Prints the line `text` on standard error in one write, as launchers insert their own lines between two writes. Names in it
/// may be a stranger's, so they are made harmless.
fn tell(text: &str) {
    use std::io::Write;
    // A reader that has closed standard error must not cost the measurement, and the failure cannot be reported anywhere.
    let _ = std::io::stderr().write_all(format!("{}\n", printable(text)).as_bytes());
}

/// Prints a message of gradshard's own on standard error.
fn say(text: &str) {
    tell(&format!("gradshard: {text}"));
}

/// True if a launcher started this process and it is not the first one, which prints the messages for all.
fn is_silent() -> bool {
    #[cfg(feature = "mpi")]
    return gradshard::mpi::launcher().is_some_and(|launcher| launcher.rank > 0);
    #[cfg(not(feature = "mpi"))]
    false
}

/// The failure of a process that leaves the message to the launcher's first process, when MPI does not connect the
/// two. It is delayed by a second: launchers end all processes as soon as one fails, and the first process must have
/// printed its message by then.
fn after_the_first() -> Failure {
    std::thread::sleep(std::time::Duration::from_secs(1));
    Failure::Said(BAD_INPUT)
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    if let Some(code) = gradshard::screening::child() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(_) if is_silent() => {
            after_the_first();
            return ExitCode::from(BAD_INPUT);
        }
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayVersion => {
            let _ = print(&version::version());
            return ExitCode::SUCCESS;
        }
        Err(error) => error.exit(),
    };
    let done = match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Init(args) => init::init(&args),
        Command::Ceiling(args) => ceiling::ceiling(&args),
        Command::Cost(args) => cost::cost(&args),
        Command::Functions(args) => functions::functions(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Show(args) => show::show(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Merge(args) => merge::merge(&args),
        Command::Tune(args) => tune::tune(&args),
        Command::Strategies(args) => strategies::strategies(&args),
        Command::Models(args) => models::models(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Machine(args) => machine::machine(&args),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
    };
    let (error, code) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Input(error)) => (error, BAD_INPUT),
        Err(Failure::Other(error)) => (error, 1),
        Err(Failure::Said(code)) => return ExitCode::from(code),
    };
    say(&format!("{error:#}"));
    ExitCode::from(code)
}

/// Prints to standard output. A closed pipe is not an error.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done.context("standard output")?),
    }
}

/// Columns for tables on standard output: those of the terminal, or the usual number for a pipe or a file.
fn columns() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    terminal.map_or(gradshard::results::show::WIDTH, |(terminal_size::Width(columns), _)| usize::from(columns))
}

/// A parser for the values of `T` by name; the help lists the names.
fn named<T>() -> impl clap::builder::TypedValueParser<Value = T>
where
    T: strum::VariantArray
        + Copy
        + Into<&'static str>
        + std::str::FromStr<Err: std::error::Error + Send + Sync>
        + Send
        + Sync
        + 'static,
{
    use clap::builder::TypedValueParser;
    let names = T::VARIANTS.iter().map(|value| Into::<&'static str>::into(*value));
    clap::builder::PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

/// How tables are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TableFormat {
    /// For a person.
    Text,
    /// For a program: one object.
    Json,
    /// For a plot: one table.
    Csv,
}

/// How lists are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ListFormat {
    /// For a person.
    Text,
    /// For a program.
    Json,
}
