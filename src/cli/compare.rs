//! `gradshard compare`: shows two result files side by side.

use std::path::PathBuf;

use clap::Args;
use gradshard::results::show::side_by_side;

use super::screen::TrustArgs;
use super::{Failure, columns, input, print};

#[derive(Args)]
pub struct CompareArgs {
    /// A result file
    first: PathBuf,
    /// Another result file, whose times are divided by those of the first
    second: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Prints the answers of both files and the medians of the cells that both have.
pub fn compare(args: &CompareArgs) -> Result<(), Failure> {
    let [one, other] = [&args.first, &args.second];
    let (first, second) = (args.trust.open(one).map_err(input)?, args.trust.open(other).map_err(input)?);
    let [one, other] = [one, other].map(|path| path.to_string_lossy());
    print(&side_by_side([(&*one, &first), (&*other, &second)], columns()))
}
