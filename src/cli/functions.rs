//! `gradshard functions`: starts gradshard-function, a program of its own, which carries rounds out by functions.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::anyhow;
use clap::Args;

use super::{Failure, input};

/// The program, which lies beside this one or in PATH.
const PROGRAM: &str = "gradshard-function";

#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct FunctionsCommandArgs {
    /// The experiment and options, such as --flow ranged, --store, --launch "srun -n 1", --output; --help lists them
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "EXPERIMENT")]
    arguments: Vec<OsString>,
}

/// Becomes the program, which prints a table unless the arguments ask for something else. Returns only if there is no such program.
pub fn functions(args: &FunctionsCommandArgs) -> Result<(), Failure> {
    let beside = std::env::current_exe()?.with_file_name(PROGRAM);
    let program = if beside.is_file() { beside } else { PathBuf::from(PROGRAM) };
    let error = Command::new(&program).args(["round", "--format", "text"]).args(&args.arguments).exec();
    Err(input(anyhow!(
        "{}: {error}; cargo build --release -p {PROGRAM} makes it, and it must lie beside gradshard or in PATH",
        program.display()
    )))
}
