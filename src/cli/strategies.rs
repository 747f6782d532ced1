//! `gradshard strategies`: lists the strategies.

use clap::{Args, ValueEnum};
use gradshard::plan::End;
use gradshard::plan::strategies::{Strategy, all, usual_family};
use serde_json::json;

use super::{Failure, print};

/// The format of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StrategyFormat {
    /// For a person
    Text,
    /// For a program
    Json,
    /// The table of the documentation
    Markdown,
}

#[derive(Args)]
pub struct StrategiesArgs {
    /// How to print the list
    #[arg(long, value_enum, default_value = "text")]
    format: StrategyFormat,
}

/// The family of a strategy, as a word.
fn family(strategy: &dyn Strategy) -> String {
    usual_family(strategy).map_or_else(String::new, |family| family.to_string())
}

/// Prints the list.
pub fn strategies(args: &StrategiesArgs) -> Result<(), Failure> {
    match args.format {
        StrategyFormat::Text => {
            let widest = all().iter().map(|s| s.name().len()).max().unwrap_or(0);
            let lines = all().iter().map(|s| format!("{:<8} {:<widest$}  {}\n", family(*s), s.name(), s.about()));
            print(&lines.collect::<String>())
        }
        StrategyFormat::Markdown => {
            let rows = all().iter().map(|s| format!("| `{}` | {} | {} |\n", s.name(), family(*s), s.about()));
            print(&format!("| strategy | family | algorithm |\n| --- | --- | --- |\n{}", rows.collect::<String>()))
        }
        StrategyFormat::Json => {
            let list: Vec<_> = all()
                .iter()
                .map(|s| {
                    json!({"name": s.name(), "family": family(*s), "about": s.about(),
                           "needs_mpi": s.needs_mpi(), "heeds_shards": s.knobs().heeds_shards(End::Scattered), "heeds_flow": s.knobs().flow})
                })
                .collect();
            print(&format!("{:#}\n", serde_json::Value::from(list)))
        }
    }
}
