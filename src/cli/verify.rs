//! `gradshard verify`: checks that result files agree with themselves.

use std::path::PathBuf;

use clap::Args;
use gradshard::results::consistency::consistency;

use super::screen::TrustArgs;
use super::{Failure, input, print, printable};

#[derive(Args)]
pub struct VerifyArgs {
    /// Result files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Prints a line for each claim and each fault. The exit code is 1 if there is a fault.
pub fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let mut faults = 0;
    for path in &args.files {
        let file = args.trust.open(path).map_err(input)?;
        let path = printable(&path.to_string_lossy());
        let mut text = format!("{path}: {} cells, {} timed rounds\n", file.cells.len(), file.samples.len());
        for check in consistency(&file) {
            let count = check.faults.len();
            let verdict = if count == 0 { "ok   " } else { "WRONG" };
            text += &format!(
                "  {verdict}  {} ({} of {})\n",
                check.claim,
                check.checked.saturating_sub(count),
                check.checked
            );
            text.extend(check.faults.iter().map(|fault| format!("         {}\n", printable(fault))));
            faults += count;
        }
        print(&text)?;
    }
    if faults > 0 { Err(Failure::Said(1)) } else { Ok(()) }
}
