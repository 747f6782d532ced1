//! `gradshard show`: prints a result file.

use std::path::PathBuf;

use clap::Args;
use gradshard::results::ResultFile;
use gradshard::results::guidelines::guidelines;
use gradshard::results::show::{csv, guidelines_json, guidelines_text, json, scaling, table};
use serde_json::Value;

use super::TableFormat;
use super::screen::TrustArgs;

/// Print a result file.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// A result file that `gradshard run` or `gradshard merge` wrote; several with --guidelines
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: TableFormat,
    /// Print how each strategy scales with the number of nodes: parallel efficiency, share of the limit
    #[arg(long)]
    pub scaling: bool,
    /// Test the MPI library's performance guidelines, for example that MPI_Reduce_scatter is not slower than MPI_Reduce
    /// and MPI_Scatterv (configs/guidelines.json measures the cells for it)
    #[arg(long)]
    pub guidelines: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

/// The text to print.
///
/// # Errors
/// The errors of [`ResultFile::open`]; a file that a process of its own could not read.
pub fn show(args: &ShowArgs) -> anyhow::Result<String> {
    if args.guidelines {
        return tested(args);
    }
    let [path] = args.files.as_slice() else {
        anyhow::bail!("{} files are given, but one is shown at a time; gradshard merge joins them", args.files.len());
    };
    args.trust.screen([path.as_path()])?;
    let file = ResultFile::open(path)?;
    Ok(match args.format {
        TableFormat::Text if args.scaling => scaling::scaling(&file),
        TableFormat::Json if args.scaling => serde_json::to_string_pretty(&scaling::series(&file))? + "\n",
        TableFormat::Csv if args.scaling => anyhow::bail!("--scaling is printed as text or json"),
        TableFormat::Text => table(&file),
        TableFormat::Json => json(&file, path)?,
        TableFormat::Csv => csv(&file),
    })
}

/// The outcome of the guidelines in all files, as text or JSON.
fn tested(args: &ShowArgs) -> anyhow::Result<String> {
    args.trust.screen(args.files.iter().map(PathBuf::as_path))?;
    let mut text = String::new();
    let mut all = Vec::new();
    for path in &args.files {
        let findings = guidelines(&ResultFile::open(path)?);
        match args.format {
            TableFormat::Text => text += &guidelines_text(path, &findings),
            TableFormat::Json => all.push(guidelines_json(path, &findings)?),
            TableFormat::Csv => anyhow::bail!("--guidelines is printed as text or json, not as csv"),
        }
    }
    Ok(if args.format == TableFormat::Json { format!("{:#}\n", Value::Array(all)) } else { text })
}
