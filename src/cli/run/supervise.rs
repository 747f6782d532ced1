//! `gradshard run --launch`: starts the job, and starts it again if it died of a cell's memory ceiling.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::anyhow;
use gradshard::ceiling::JobLauncher;
use gradshard::job::{Stop, output_path};
use gradshard::results::Running;

use super::RunArgs;
use crate::cli::{Failure, input, say};

/// Runs the job to its end. The result file then has a row for every cell. A cell that the job died of is infeasible.
pub fn run(command: &str, args: &RunArgs) -> Result<(), Failure> {
    #[cfg(feature = "mpi")]
    if gradshard::mpi::launcher().is_some() {
        return Err(input(anyhow!("--launch starts the launcher itself: call gradshard without mpirun or srun")));
    }
    let request = &args.request;
    let launcher = JobLauncher::parse(command).ok_or_else(|| input(anyhow!("--launch: names no command")))?;
    let program = std::env::current_exe()?;
    let running = Running::beside(&output_path(request).map_err(input)?);
    // A note here is from an earlier job that is not continued.
    if !request.resume {
        running.clear();
    }
    let mut resume = request.resume;
    let mut died_of = None;
    loop {
        let child = launcher.command(&program, &arguments(resume)).spawn();
        let status = child
            .and_then(|child| attended(child, &request.stop))
            .map_err(|error| input(anyhow!("--launch {}: {}", launcher.text(), launcher.not_started(&error))))?;
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
        say(&format!("the job ended ({status}) in cell {}; going on without it", left.unwrap_or_default()));
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

/// The words that this process was given, without `--launch` and its value. When the job is started again, it resumes.
fn arguments(resume: bool) -> Vec<PathBuf> {
    let mut given = std::env::args_os().skip(1);
    let mut words = Vec::new();
    while let Some(word) = given.next() {
        match word.to_string_lossy().as_ref() {
            "--launch" => drop(given.next()),
            text if text.starts_with("--launch=") || (resume && ["--force", "--resume"].contains(&text)) => {}
            _ => words.push(PathBuf::from(word)),
        }
    }
    if resume {
        words.insert(1, "--resume".into());
    }
    words
}
