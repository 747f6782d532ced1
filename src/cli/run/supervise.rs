//! `gradshard run --launch`: starts the job, and starts it again if it died of a cell's memory ceiling.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::anyhow;
use clap::ValueEnum;
use gradshard::ceiling::JobLauncher;
use gradshard::job::{Stop, output_path};
use gradshard::results::Running;

use super::RunArgs;
use crate::cli::{Failure, input};

/// Runs the job to its end. The result file then has a row for every cell. A cell that the job died of is infeasible.
pub fn run(command: &str, args: &RunArgs) -> Result<(), Failure> {
    #[cfg(feature = "mpi")]
    if gradshard::mpi::launcher().is_some() {
        return Err(input(anyhow!("--launch starts the launcher itself: call gradshard without mpirun or srun")));
    }
    let request = &args.request;
    let launcher = JobLauncher::parse(command).ok_or_else(|| input(anyhow!("--launch: names no command")))?;
    let program = std::env::current_exe()?;
    let output = match &request.output {
        Some(output) => output.clone(),
        None => output_path(&request.experiment).map_err(input)?,
    };
    let running = Running::beside(&output);
    // A note here is from an earlier job that is not continued.
    if !request.resume {
        running.clear();
    }
    let mut resume = request.resume;
    let mut died_of = None;
    loop {
        let child = launcher.command(&program, &arguments(args, &output, resume)).spawn();
        let status = child
            .and_then(|child| attended(child, &request.stop))
            .map_err(|error| input(anyhow!("--launch {}: {error}", launcher.text())))?;
        let left = running.left();
        if status.success() {
            return Ok(());
        }
        let stopped = request.stop.flag().load(Ordering::Relaxed) != 0;
        // A job that dies twice in the same cell would do so for ever.
        if left.is_none() || left == died_of || stopped {
            let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
            return Err(Failure::Said(code.unwrap_or(1)));
        }
        eprintln!("gradshard: the job ended ({status}) in cell {}; going on without it", left.unwrap_or_default());
        died_of = left;
        resume = true;
    }
}

/// Waits for the launcher. Passes the signal that asks this process to stop on to it, once.
fn attended(mut child: Child, stop: &Stop) -> io::Result<ExitStatus> {
    let mut passed_on = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let signal = stop.flag().load(Ordering::Relaxed);
        if signal != 0 && !passed_on {
            passed_on = true;
            // The program `kill`, as the system call would need unsafe code.
            Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn arguments(args: &RunArgs, output: &std::path::Path, resume: bool) -> Vec<PathBuf> {
    let request = &args.request;
    let mut words: Vec<PathBuf> =
        vec!["run".into(), request.experiment.clone(), "--output".into(), output.to_path_buf()];
    let flags = [
        (request.force && !resume, "--force"),
        (resume, "--resume"),
        (request.no_limits, "--no-limits"),
        (request.ignore_prediction, "--ignore-prediction"),
        (args.dry_run, "--dry-run"),
        (args.trust.trust, "--trust"),
    ];
    words.extend(flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| PathBuf::from(flag)));
    if let Some(rounds) = request.watch.to_possible_value() {
        words.extend(["--watch".into(), PathBuf::from(rounds.get_name())]);
    }
    if let Some(nodes) = &request.nodes {
        let nodes: Vec<String> = nodes.iter().map(u64::to_string).collect();
        words.extend(["--nodes".into(), nodes.join(",").into()]);
    }
    if let Some(directory) = &request.keep_result {
        words.extend(["--keep-result".into(), directory.clone()]);
    }
    words
}
