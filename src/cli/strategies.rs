//! `gradshard strategies`: lists them.

use clap::Args;
use gradshard::plan::strategies::all;
use serde_json::json;

use super::{Failure, ListFormat, print};

#[derive(Args)]
pub struct StrategiesArgs {
    /// How to print the list
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
}

/// Prints the list.
pub fn strategies(args: &StrategiesArgs) -> Result<(), Failure> {
    match args.format {
        ListFormat::Text => {
            let widest = all().iter().map(|s| s.name().len()).max().unwrap_or(0);
            let lines =
                all().iter().map(|s| format!("{:<8} {:<widest$}  {}\n", s.family().name(), s.name(), s.about()));
            print(&lines.collect::<String>())
        }
        ListFormat::Json => {
            let list: Vec<_> = all()
                .iter()
                .map(|s| {
                    json!({"name": s.name(), "family": s.family().name(), "about": s.about(),
                           "needs_mpi": s.needs_mpi(), "heeds_shards": s.knobs().shards, "heeds_flow": s.knobs().flow})
                })
                .collect();
            print(&format!("{:#}\n", serde_json::Value::from(list)))
        }
    }
}
