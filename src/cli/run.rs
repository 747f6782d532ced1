//! `gradshard run`: carries out an experiment.

use clap::Args;
use gradshard::engine::transport::agree;
use gradshard::engine::{Transport, start_threads};
use gradshard::job::{self, Finished, JobError, Progress, Request, dry_run};
use gradshard::results::ResultFile;
use gradshard::results::row::Status;
use gradshard::results::show::{answers, table};

use super::screen::TrustArgs;
use super::{BAD_INPUT, Failure, STOPPED, columns, input, print, say, signals, tell};
use progress::Reporter;

mod progress;
mod supervise;
mod whole_run;

#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    request: Request,
    /// Start the job with this command, such as "mpirun -n 4". If an enforced ceiling kills the job in a cell, start it
    /// again without this cell
    #[arg(long, value_name = "COMMAND", conflicts_with = "threads")]
    launch: Option<String>,
    /// Play this many ranks as threads of one process, without MPI [default without a launcher: one a core]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print the cells, their predicted memory and the total, without running
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    trust: TrustArgs,
    /// Print no progress, only the results and errors
    #[arg(long, short)]
    quiet: bool,
    // The launcher's option, which is often tried here; see `run`.
    #[arg(short = 'n', hide = true, value_name = "RANKS")]
    ranks: Option<String>,
}

/// Runs the experiment over MPI if a launcher started this process, otherwise on threads.
pub fn run(mut args: RunArgs) -> Result<(), Failure> {
    if let Some(ranks) = &args.ranks {
        if super::is_silent() {
            return Err(super::after_the_first());
        }
        return Err(input(anyhow::anyhow!(
            "-n {ranks}: the launcher starts the ranks: mpirun -n {ranks} gradshard run …, or without MPI --threads {ranks}"
        )));
    }
    // Before MPI starts, so that the handlers are in place for every signal.
    args.request.stop = signals::watch()?;
    let args = &args;
    // The launcher's first process checks files for all, before MPI starts: afterwards it would be risky to start a child.
    let screened = if super::is_silent() { Ok(()) } else { args.trust.screen_run(&args.request) };
    if let Some(command) = &args.launch {
        screened.map_err(|said| input(anyhow::anyhow!(said)))?;
        return supervise::run(command, args);
    }
    signals::end_what_is_stuck()?;
    let on_rank = |transport: &mut dyn Transport| on_rank(transport, args, &screened);
    #[cfg(feature = "mpi")]
    if let Some(launcher) = gradshard::mpi::launcher() {
        if args.threads.is_none() {
            return super::under_mpi::with_mpi(on_rank);
        }
        if launcher.processes > 1 {
            return Err(if super::is_silent() {
                super::after_the_first()
            } else {
                input(anyhow::anyhow!(
                    "--threads plays ranks in one process, but {} started {}; leave --threads out, or the launcher",
                    launcher.name,
                    launcher.processes
                ))
            });
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, usize::from);
    let all = start_threads(&vec![0; threads], on_rank).map_err(|error| {
        input(anyhow::anyhow!(
            "--threads {threads}: the system has no room for so many threads: {error}; play fewer ranks"
        ))
    })?;
    // Rank 0's outcome stands for all.
    all.into_iter().next().unwrap_or(Ok(()))
}

/// Carries out one rank's part. `screened` counts on rank 0.
fn on_rank(transport: &mut dyn Transport, args: &RunArgs, screened: &Result<(), String>) -> Result<(), Failure> {
    let first = transport.rank() == 0;
    let asked = args.request.stop.asked(transport)?;
    if let Some(signal) = asked {
        return Err(failure(JobError::Stopped { signal, saved: None }, first, false));
    }
    let screened = if first { screened.clone() } else { Ok(()) };
    if let Err(said) = agree(transport, screened)? {
        return Err(failure(JobError::Input(said), first, false));
    }
    if args.dry_run {
        let text = dry_run(transport, &args.request).map_err(|error| failure(error, first, false))?;
        return if first { print(&text) } else { Ok(()) };
    }
    let is_told = first && !args.quiet;
    let mut reporter: Box<dyn Progress> = if is_told { Box::new(Reporter::new()) } else { Box::new(job::Quiet) };
    let force = args.request.force;
    let finished =
        job::run(transport, &args.request, reporter.as_mut()).map_err(|error| failure(error, first, force))?;
    let Some(Finished { results, path }) = finished else { return Ok(()) };
    // The answer stands first on the page, and last on the terminal.
    print(&format!("{}\n{}", table(&results, columns()), answers(&results, columns())))?;
    if is_told {
        tell(&format!("results in {}", path.display()));
    }
    carried_out(&results)
}

/// Returns an error, after a message, if no cell of the file was carried out.
fn carried_out(results: &ResultFile) -> Result<(), Failure> {
    if results.cells.iter().any(|cell| cell.status == Status::Ok) {
        return Ok(());
    }
    let reason = results.cells.first().map_or("there are no cells", |cell| cell.reason.as_str());
    let cells = results.cells.len();
    say(&format!("no cell was carried out, of {cells}; the reason for the first: {reason}"));
    Err(Failure::Said(1))
}

/// Converts an error and prints its message where needed. `first` tells rank 0, which alone prints the errors that all
/// ranks have in common. A rank prints an error that only it knows itself. `force` tells that the run had `--force`.
fn failure(error: JobError, first: bool, force: bool) -> Failure {
    match error {
        JobError::Input(_) if !first => Failure::Said(BAD_INPUT),
        JobError::Input(_) => input(error),
        JobError::Output(_) if !first => Failure::Said(1),
        JobError::Output(_) => {
            say(&error.to_string());
            Failure::Said(1)
        }
        JobError::Lost(_) => Failure::Other(error.into()),
        JobError::Stopped { signal, saved } => {
            let name = signals::name(signal);
            let again = if force { "--resume in the place of --force" } else { "--resume" };
            match saved {
                _ if !first => {}
                Some((path, cells)) => say(&format!(
                    "stopped by {name}: {cells} finished cells are in {}; the same command with {again} measures the rest",
                    path.display()
                )),
                None => say(&format!("stopped by {name} before anything was measured")),
            }
            Failure::Said(STOPPED)
        }
    }
}
