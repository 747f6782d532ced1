//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Pictures, tables and one HTML page from result files of gradshard.
///
/// Exit codes: 0, also where times differ without --baseline; 1 where a cell regressed against --baseline; 2 for bad
/// input or a page that could not be written.
#[derive(Clone, Debug, Parser)]
#[command(name = "gradshard-report", version)]
pub struct Arguments {
    /// Result files of `gradshard run`, each FILE or LABEL=FILE. Files with the same label are jobs of one thing: they
    /// are compared as such with other labels, and lie in the same curves
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Directory for index.html, the pictures and the tables; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Result file that the others must not be worse than; several are several jobs of one baseline
    #[arg(long, value_name = "FILE")]
    pub baseline: Vec<String>,
    /// Changes of time and memory within this part of 1 do not count
    #[arg(long, default_value_t = 0.05, value_parser = margin)]
    pub margin: f64,
    /// With --baseline: cells that only the baseline has are no regression
    #[arg(long, requires = "baseline")]
    pub subset: bool,
    /// Comparisons that get figures of their own
    #[arg(long, value_name = "COUNT", default_value_t = 6)]
    pub comparisons: usize,
}

fn margin(text: &str) -> Result<f64, String> {
    let margin: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..10.0).contains(&margin) {
        Ok(margin)
    } else {
        Err("it must be at least 0 and below 10; 0.05 is 5 %".into())
    }
}
