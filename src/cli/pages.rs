//! `gradshard completions` and `gradshard man`: files for shells and for man, made from the same definitions as the help.

use anyhow::anyhow;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure, input, print};

#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Args)]
pub struct ManArgs {
    /// The command whose page is printed [default: the page of gradshard itself]
    command: Option<String>,
}

/// Prints the script that completes commands and options in a shell.
pub fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gradshard", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints a manual page in roff.
pub fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut program = Cli::command();
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| input(anyhow!("there is no command {name:?}; gradshard --help lists the commands")))?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print(&String::from_utf8_lossy(&text))
}
