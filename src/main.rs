//! The command line of gradshard.

// The macros that print panic where the reader has closed the stream; `cli` has functions that do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
