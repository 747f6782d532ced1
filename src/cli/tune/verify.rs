//! Launches jobs without and with rules, in turn.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail};
use gradshard::ceiling::JobLauncher;
use gradshard::plan::{Algorithm, End};
use gradshard::results::ResultFile;
use gradshard::tune::Finding;
use serde_json::{Value, json};

use super::LibraryRules;
use crate::cli::{Failure, input, say};

/// The results of launches; launch i without rules came right before launch i with them.
pub struct Launches {
    /// Without rules.
    pub plain: Vec<ResultFile>,
    /// With rules.
    pub ruled: Vec<ResultFile>,
}

/// Runs the experiment of the first file with the library's default algorithms, `launches` times without and with the rules
/// in `path`. Files are made beside `path`, so that ranks on other nodes see what they need.
pub fn launched(
    command: &str,
    launches: u8,
    files: &[ResultFile],
    findings: &[Finding],
    written: &LibraryRules,
    path: &Path,
) -> Result<Launches, Failure> {
    let launcher = JobLauncher::parse(command).ok_or_else(|| input(anyhow!("--verify: names no command")))?;
    let [file] = files else {
        return Err(input(anyhow!(
            "--verify repeats the experiment of one result file, and {} are given",
            files.len()
        )));
    };
    let path = std::path::absolute(path)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let place = tempfile::Builder::new().prefix(".gradshard-tune-").tempdir_in(directory)?;
    let experiment = place.path().join("experiment.json");
    std::fs::write(&experiment, of_defaults(&file.experiment_json, findings).map_err(input)?)?;
    let program = std::env::current_exe()?;
    let output = place.path().join("launch.h5");
    let arguments: Vec<PathBuf> = ["run", "--force", "--no-limits", "--output"]
        .iter()
        .map(PathBuf::from)
        .chain([output.clone(), experiment])
        .collect();
    let run = |rules: bool| -> Result<ResultFile, Failure> {
        let mut job = launcher.command(&program, &arguments);
        if rules {
            set(&mut job, written, &path);
        }
        let ended = job.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
        let ended = ended.with_context(|| format!("--verify {}", launcher.text())).map_err(input)?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            let last = said.lines().rev().find(|line| line.starts_with("gradshard: ")).unwrap_or("nothing was said");
            return Err(Failure::Other(anyhow!("{}: {}; {last}", launcher.text(), ended.status)));
        }
        Ok(ResultFile::open(&output)?)
    };
    let mut done = Launches { plain: Vec::new(), ruled: Vec::new() };
    for launch in 1..=launches {
        say(&format!("launch {launch} of {launches}, without and with the rules"));
        done.plain.push(run(false)?);
        done.ruled.push(run(true)?);
    }
    Ok(done)
}

/// Gives a job the rules.
fn set(job: &mut Command, written: &LibraryRules, path: &Path) {
    match written {
        LibraryRules::OpenMpi(_) => {
            job.env("OMPI_MCA_coll_tuned_use_dynamic_rules", "1");
            job.env("OMPI_MCA_coll_tuned_dynamic_rules_filename", path);
        }
        LibraryRules::Mpich(variables) => {
            job.envs(variables.iter().map(|(variable, algorithm)| (variable, algorithm.name())));
        }
    }
}

/// The experiment reduced to the calls that rules are made for, by the library's default algorithms.
fn of_defaults(experiment: &str, findings: &[Finding]) -> anyhow::Result<String> {
    let mut experiment: Value = serde_json::from_str(experiment).context("the file's experiment")?;
    let synthetic = experiment.pointer("/gradients/source").is_none_or(|source| source == "synthetic");
    if !synthetic {
        bail!("--verify: the file's experiment reads gradients from files; verify with one of synthetic gradients");
    }
    let calls: Vec<(&str, End)> = findings.iter().map(|finding| finding.collective.timing()).collect();
    let strategies: BTreeSet<&str> = calls.iter().map(|(strategy, _)| *strategy).collect();
    let ends: BTreeSet<String> = calls.iter().map(|(_, end)| end.to_string()).collect();
    experiment["strategies"] = json!(strategies);
    experiment["end"] = json!(ends);
    experiment["native"] = json!({"algorithm": Algorithm::DEFAULT});
    Ok(experiment.to_string())
}
