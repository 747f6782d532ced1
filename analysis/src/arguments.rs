//! Defines the command line.

use std::path::PathBuf;

use clap::Parser;

/// Makes pictures, tables and one HTML page from result files of gradshard.
///
/// Exit codes: 0: success, even if times differ without --baseline; 1: a cell regressed against --baseline; 2: bad
/// input, or the page could not be written; 3: no cell regressed, but some are not decidable.
#[derive(Clone, Debug, Parser)]
#[command(name = "gradshard-report", version)]
pub struct Arguments {
    /// Result files of `gradshard run`, each FILE or LABEL=FILE. Files with the same label are repeated jobs: they are
    /// compared together with other labels, and share curves
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Directory for index.html, the pictures and the tables; created if necessary
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Result file that the others must not be worse than; several files are jobs of one baseline
    #[arg(long, value_name = "FILE")]
    pub baseline: Vec<String>,
    /// Relative changes of time and memory up to this margin do not count
    #[arg(long, default_value_t = 0.05, value_parser = margin)]
    pub margin: f64,
    /// With --baseline: do not count cells that only the baseline has as regressions
    #[arg(long, requires = "baseline")]
    pub subset: bool,
    /// Strategy whose times in the same blocks show how fast the machine was, for comparing one job a side; without it the
    /// bandwidth of memory and wires does, where it limits a cell
    #[arg(long, value_name = "STRATEGY")]
    pub control: Option<String>,
    /// Leave out names of hosts and of files, paths and command lines, for readers who must not know whose machine it
    /// was. Labels that you give stay
    #[arg(long)]
    pub anonymous: bool,
    /// Number of comparisons with figures of their own
    #[arg(long, value_name = "COUNT", default_value_t = 6)]
    pub comparisons: usize,
    /// Read the files at once, and not in a process of their own first. A damaged file can then crash gradshard-report
    #[arg(long)]
    pub trust: bool,
}

fn margin(text: &str) -> Result<f64, String> {
    let margin: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..10.0).contains(&margin) {
        Ok(margin)
    } else {
        Err("it must be at least 0 and below 10; 0.05 is 5 %".into())
    }
}
