//! `gradshard show`: prints a result file.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use gradshard::results::ResultFile;
use gradshard::results::show::scaling;
pub use gradshard::results::show::{csv, json, table};

/// How to print a result file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A text table for a terminal of 100 columns.
    Text,
    /// One JSON object.
    Json,
    /// One row a cell, names as in the file.
    Csv,
}

/// Print a result file.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// A result file that `gradshard run` wrote.
    pub file: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// How each strategy fares on more and more nodes instead: parallel efficiency, share of the limit
    #[arg(long)]
    pub scaling: bool,
}

/// Prints the file to standard output.
///
/// # Errors
/// Those of [`ResultFile::open`], and of writing; a reader that has seen enough and closed the pipe is none.
pub fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let file = ResultFile::open(&args.file)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = match args.format {
        Format::Text if args.scaling => out.write_all(scaling::scaling(&file).as_bytes()),
        Format::Json if args.scaling => serde_json::to_writer_pretty(&mut out, &scaling::series(&file))
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
        Format::Csv if args.scaling => anyhow::bail!("--scaling is printed as text or json"),
        Format::Text => out.write_all(table(&file).as_bytes()),
        Format::Json => json(&file, &args.file, &mut out),
        Format::Csv => csv(&file, &mut out),
    };
    match printed.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("standard output"),
    }
}
