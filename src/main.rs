//! The command line of gradshard.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
