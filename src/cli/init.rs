//! `gradshard init`: writes an experiment to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use gradshard::experiment::starter::starter;
use serde_json::{Value, json};

use super::cost::model;
use super::{Failure, input, say};

#[derive(Args)]
pub struct InitArgs {
    /// The file to write; an existing file is not replaced
    #[arg(default_value = "experiment.json")]
    file: PathBuf,
    /// Nodes of the job. The experiment measures on 1, 2, 4 … of them, up to all
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4096))]
    nodes: u64,
    /// Model of the catalogue, or a number of elements
    #[arg(long, default_value = "resnet18")]
    model: String,
    /// Clients N
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=4096))]
    clients: u64,
}

/// Writes the file, and tells how to go on.
pub fn init(args: &InitArgs) -> Result<(), Failure> {
    let text = format!("{:#}\n", experiment(args)?);
    let path = args.file.display();
    let mut file = OpenOptions::new().write(true).create_new(true).open(&args.file).map_err(|error| {
        input(match error.kind() {
            ErrorKind::AlreadyExists => anyhow!("{path}: exists already; name another file, or remove it"),
            _ => anyhow!("{path}: {error}"),
        })
    })?;
    file.write_all(text.as_bytes()).with_context(|| path.to_string())?;
    let launcher = if args.nodes > 1 { format!("srun -N {}", args.nodes) } else { "mpirun -n 4".to_owned() };
    say(&format!(
        "wrote {path}; see what it would do: gradshard run {path} --dry-run; measure: {launcher} gradshard run {path}"
    ));
    Ok(())
}

/// The experiment, with a list of nodes if there are several.
fn experiment(args: &InitArgs) -> Result<Value, Failure> {
    // A name is checked here, so that the file is one that runs.
    let (name, elements) = model(&args.model)?;
    let models = if name == args.model && args.model.parse::<u64>().is_ok() { json!(elements) } else { json!(name) };
    let mut experiment = starter(json!([models]), json!([args.clients]), 60);
    if args.nodes > 1 {
        let mut nodes: Vec<u64> =
            std::iter::successors(Some(1), |nodes| Some(2 * nodes)).take_while(|k| *k < args.nodes).collect();
        nodes.push(args.nodes);
        experiment["nodes"] = json!(nodes);
    }
    Ok(experiment)
}
