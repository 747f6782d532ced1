//! `gradshard merge`: joins the result files of several jobs.

use std::path::PathBuf;

use clap::Args;
use gradshard::results::ResultError;
use gradshard::results::error::FileProblem;
use gradshard::results::merge::merge_with;

use super::screen::TrustArgs;
use super::{Failure, input, say};

#[derive(Args, Clone, Debug)]
pub struct MergeArgs {
    /// The merged file; if it exists, jobs are added to it
    output: PathBuf,
    /// Result files of jobs of one experiment, or merged files
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Merges the files. Reports on standard error what was added, what was there already, and how the jobs differ.
pub fn merge(args: &MergeArgs) -> Result<(), Failure> {
    args.trust.screen([args.output.as_path()]).map_err(input)?;
    let merged = merge_with(&args.output, &args.inputs, |path| args.trust.open(path));
    let (_, notes) = merged.map_err(|error| match error.downcast_ref::<ResultError>().map(|error| &error.problem) {
        // The input is valid, but the operating system refused to write.
        Some(FileProblem::Save { .. } | FileProblem::Write(_)) => Failure::Other(error),
        _ => input(error),
    })?;
    notes.iter().for_each(|note| say(note));
    Ok(())
}
