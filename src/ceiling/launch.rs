//! Starts a job under an MPI launcher and ends it if it takes too long.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// Seconds between the request that a job end and its being killed.
const GRACE: u32 = 10;
/// Exit codes of timeout(1) after it ended its command: 124, or 137 (128 + SIGKILL) if the command had to be killed.
const TIMED_OUT: [i32; 2] = [124, 137];

/// A command that starts ranks, such as `mpirun -n 4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLauncher {
    words: Vec<String>,
}

impl JobLauncher {
    /// Splits a command line at blanks, without quoting rules. None if it has no words.
    pub fn parse(text: &str) -> Option<JobLauncher> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(JobLauncher { words })
    }

    /// Returns the default launcher for `ranks` ranks: `GRADSHARD_MPIRUN`, else `srun` inside a Slurm allocation, else
    /// `mpirun`.
    pub fn usual(ranks: usize) -> JobLauncher {
        let program = match std::env::var("GRADSHARD_MPIRUN") {
            Ok(program) if !program.is_empty() => program,
            _ if std::env::var_os("SLURM_JOB_ID").is_some() => "srun".to_owned(),
            _ => "mpirun".to_owned(),
        };
        JobLauncher { words: vec![program, "-n".to_owned(), ranks.to_string()] }
    }

    /// Returns the command that starts `program` with `arguments`.
    pub fn command(&self, program: &Path, arguments: &[PathBuf]) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).arg(program).args(arguments);
        command
    }

    /// Runs a job without standard input or output; its standard error goes to the file `said`. None if the job
    /// exceeded its time limit and was ended.
    ///
    /// timeout(1) keeps the time limit, so the job ends within it even if this process is killed.
    ///
    /// # Errors
    /// If `said` or timeout(1) cannot be used.
    pub fn run_within(
        &self,
        patience: Duration,
        program: &Path,
        arguments: &[PathBuf],
        said: &Path,
    ) -> std::io::Result<Option<ExitStatus>> {
        let mut command = Command::new("timeout");
        command.arg("--foreground").arg(format!("--kill-after={GRACE}")).arg(format!("{:.3}", patience.as_secs_f64()));
        command.args(&self.words).arg(program).args(arguments);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(said)?).status()?;
        let timed_out = status.code().is_some_and(|code| TIMED_OUT.contains(&code));
        Ok((!timed_out).then_some(status))
    }

    /// Explains why the launcher cannot be started.
    pub fn not_started(&self, error: &std::io::Error) -> String {
        match error.kind() {
            std::io::ErrorKind::NotFound => format!(
                "there is no {} in PATH; load the module of the MPI library, name the launcher with its path, or play ranks \
                 as threads without MPI: gradshard run … --threads 4",
                self.words[0]
            ),
            _ => error.to_string(),
        }
    }

    /// Returns the command line without the program.
    pub fn text(&self) -> String {
        self.words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_blanks() {
        let launcher = JobLauncher::parse("  mpirun -n  4 ").map(|launcher| launcher.text());
        assert_eq!(launcher.as_deref(), Some("mpirun -n 4"));
        assert_eq!(JobLauncher::parse(" "), None);
    }

    #[test]
    fn what_takes_too_long_is_ended() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let said = directory.path().join("said");
        let Some(launcher) = JobLauncher::parse("env") else { return Err("no launcher".into()) };
        let (patience, sleep) = (Duration::from_millis(200), Path::new("sleep"));
        let ended = launcher.run_within(patience, sleep, &["60".into()], &said)?;
        assert_eq!(ended, None);
        let ended = launcher.run_within(Duration::from_secs(60), Path::new("false"), &[], &said)?;
        assert_eq!(ended.and_then(|status| status.code()), Some(1));
        Ok(())
    }
}
