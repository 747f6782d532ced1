//! `gradshard-function`: see [`gradshard_function`].

mod rounds;

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{Parser, Subcommand};
use gradshard::experiment::parse::json;
use gradshard::harmless::{json_text, printable};
use gradshard::screening;
use gradshard_function::aggregate::aggregate;
use gradshard_function::place;

/// Carries out aggregators as functions that read and write objects of a store.
///
/// Data goes to standard output, everything else to standard error. Exit codes: 1: a function or a round failed; 2: bad input,
/// such as an object that is cut off or has another checksum than was written; 3: SIGINT or SIGTERM stopped the rounds, when the
/// functions that ran had ended.
#[derive(Parser)]
#[command(name = "gradshard-function", version, max_term_width = 100)]
struct Program {
    #[command(subcommand)]
    work: FunctionCommand,
}

#[derive(Subcommand)]
enum FunctionCommand {
    /// Carry out one invocation: JSON on standard input, the function's account as JSON on standard output
    Invoke {
        /// The store: a directory, or with the feature s3 such as s3://bucket/prefix
        #[arg(long, value_name = "STORE")]
        store: String,
    },
    /// Carry out the invocations that AWS Lambda's Runtime API has, one after another
    #[cfg(feature = "lambda")]
    Lambda {
        /// The store, such as s3://bucket/prefix
        #[arg(long, value_name = "STORE")]
        store: String,
    },
    /// Carry out rounds of an experiment's sharded strategies and trees, one process an invocation
    Round(Box<rounds::RoundArgs>),
}

fn main() -> ExitCode {
    let begin = Instant::now();
    if let Some(code) = screening::child() {
        return code;
    }
    let ended = match Program::parse().work {
        FunctionCommand::Invoke { store } => invoke(&store, begin),
        #[cfg(feature = "lambda")]
        FunctionCommand::Lambda { store } => gradshard_function::lambda::serve(&store)
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| anyhow::anyhow!("{error}")),
        FunctionCommand::Round(args) => rounds::rounds(&args),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Carries out the invocation on standard input. An error is bad input.
fn invoke(store: &str, begin: Instant) -> anyhow::Result<ExitCode> {
    let bucket = place::open(store).with_context(|| format!("--store {store}"))?;
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("the invocation")?;
    match aggregate(&json(&text, Path::new("the invocation"))?, bucket.as_ref(), begin) {
        Ok(account) => {
            print(&account)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if error.is_bad_input() => Err(error.into()),
        Err(error) => {
            say(&error.to_string());
            Ok(ExitCode::from(1))
        }
    }
}

/// Prints one line of JSON.
fn print(data: &impl serde::Serialize) -> anyhow::Result<()> {
    print_text(&(json_text(&serde_json::to_string(data)?) + "\n"))
}

fn print_text(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        // The reader needs no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("standard output"),
    }
}

fn say(text: &str) {
    // If standard error is closed, the failure cannot be reported anywhere.
    let _ = io::stderr().write_all(format!("gradshard-function: {}\n", printable(text)).as_bytes());
}
