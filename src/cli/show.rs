//! `gradshard show`: prints a result file.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use gradshard::harmless::json_text;
use gradshard::results::ResultFile;
use gradshard::results::advice::Advice;
use gradshard::results::guidelines::{Findings, guidelines};
use gradshard::results::show::{
    advice_of, answers, csv, guidelines_json, guidelines_text, json, json_lines, samples_csv, scaling, table,
};
use serde_json::Value;

use super::screen::TrustArgs;
use super::{Failure, NOT_ESTABLISHED, columns, input, print};

/// Print a result file.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// A result file that `gradshard run` or `gradshard merge` wrote; several with --guidelines
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: ShowFormat,
    /// Print the answer alone. The exit code is 4 if it is not established, because the machine was disturbed
    #[arg(long, conflicts_with_all = ["scaling", "guidelines", "samples", "format"])]
    answer: bool,
    /// Print the experiment as it was carried out, JSON. Control characters in it are escaped
    #[arg(long, conflicts_with_all = ["answer", "samples", "scaling", "guidelines", "format"])]
    experiment: bool,
    /// Print the timed rounds as CSV instead of the cells
    #[arg(long, conflicts_with_all = ["scaling", "guidelines", "format"])]
    samples: bool,
    /// Columns of the text [default: as many as the terminal has, or 100]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(60..=1000))]
    width: Option<u16>,
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

/// How a result file is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ShowFormat {
    /// For a person.
    Text,
    /// For a program: one object.
    Json,
    /// For a service that follows figures over time: an object a line, each with one figure of one cell.
    Jsonl,
    /// For a plot: one table.
    Csv,
}

/// Prints the file, or the part of it that the arguments ask for.
pub fn show(args: &ShowArgs) -> Result<(), Failure> {
    let width = args.width.map_or_else(columns, usize::from);
    if args.guidelines {
        return print(&tested(args, width).map_err(input)?);
    }
    let [path] = args.files.as_slice() else {
        let files = args.files.len();
        return Err(input(anyhow!("{files} files are given, but one is shown at a time; gradshard merge joins them")));
    };
    let file = args.trust.open(path).map_err(input)?;
    if args.answer {
        let advice = advice_of(&file);
        if advice.is_empty() {
            return Err(input(anyhow!("{}: it holds no cells, so there is no answer", path.display())));
        }
        print(&answers(&file, width))?;
        let is_open = advice.contains(&Advice::NotEstablished);
        return if is_open { Err(Failure::Said(NOT_ESTABLISHED)) } else { Ok(()) };
    }
    print(&whole(args, path, &file, width).map_err(input)?)
}

/// The text of the file in the format that the arguments ask for.
fn whole(args: &ShowArgs, path: &Path, file: &ResultFile, width: usize) -> anyhow::Result<String> {
    Ok(match args.format {
        _ if args.samples => samples_csv(file),
        _ if args.experiment => experiment(&file.experiment_json),
        ShowFormat::Text if args.scaling => scaling::scaling(file, width),
        ShowFormat::Json if args.scaling => json_text(&(serde_json::to_string_pretty(&scaling::series(file))? + "\n")),
        ShowFormat::Csv | ShowFormat::Jsonl if args.scaling => anyhow::bail!("--scaling is printed as text or json"),
        ShowFormat::Text => table(file, width),
        ShowFormat::Json => json(file, path)?,
        ShowFormat::Csv => csv(file),
        ShowFormat::Jsonl => json_lines(file)?,
    })
}

/// The experiment's text for a terminal. Tabs and carriage returns stand between JSON's values only, where spaces may.
fn experiment(text: &str) -> String {
    format!("{}\n", json_text(text.trim().replace('\t', "    ").replace('\r', "").as_str()))
}

/// The outcome of the guidelines in all files, as text or JSON.
///
/// # Errors
/// No file has the cells that a guideline compares.
fn tested(args: &ShowArgs, width: usize) -> anyhow::Result<String> {
    let mut found: Vec<(&Path, Findings)> = Vec::new();
    for path in &args.files {
        found.push((path, guidelines(&args.trust.open(path)?)));
    }
    if let ([(first, _), others @ ..], true) = (found.as_slice(), found.iter().all(|(_, of)| of.tested.is_empty())) {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        anyhow::bail!(
            "{}{more}: no guideline can be tested: no comparison has a collective of the library and its replacement, \
             both timed; configs/guidelines.json measures them all",
            first.display()
        );
    }
    Ok(match args.format {
        ShowFormat::Text => found.iter().map(|(path, of)| guidelines_text(path, of, width)).collect(),
        ShowFormat::Json => {
            let all = found.iter().map(|(path, of)| guidelines_json(path, of));
            json_text(&format!("{:#}\n", Value::Array(all.collect::<serde_json::Result<_>>()?)))
        }
        ShowFormat::Csv | ShowFormat::Jsonl => anyhow::bail!("--guidelines is printed as text or json"),
    })
}
