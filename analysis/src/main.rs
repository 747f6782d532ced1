//! `gradshard-report`: see [`gradshard_report`].

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use gradshard_report::arguments::Arguments;
use gradshard_report::write::write;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match write(&arguments) {
        Ok(written) => {
            let page = arguments.out.join("index.html");
            let text = format!("{}\n{}\n", written.answers.join("\n"), page.display());
            // A closed pipe is not an error.
            let _ = std::io::stdout().write_all(text.as_bytes());
            if written.regressions > 0 {
                say(&format!("{} of the baseline's cells regressed", written.regressions));
                return ExitCode::from(1);
            }
            if written.undecidable > 0 {
                say(&format!("{} of the baseline's cells are not decidable", written.undecidable));
                return ExitCode::from(3);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn say(text: &str) {
    // If standard error is closed, the failure cannot be reported anywhere.
    let _ = std::io::stderr().write_all(format!("gradshard-report: {text}\n").as_bytes());
}
