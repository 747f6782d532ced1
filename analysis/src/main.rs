//! `gradshard-report`: see [`gradshard_report`].

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use gradshard::harmless::printable;
use gradshard::screening::{self, Unchecked, screen};
use gradshard_report::arguments::Arguments;
use gradshard_report::source::label_and_path;
use gradshard_report::write::write;

fn main() -> ExitCode {
    if let Some(code) = screening::child() {
        return code;
    }
    let arguments = Arguments::parse();
    match screened(&arguments).and_then(|()| write(&arguments)) {
        Ok(written) => {
            let page = arguments.out.join("index.html");
            let lines = written.answers.iter().cloned().chain([page.display().to_string()]);
            let text: String = lines.map(|line| printable(&line) + "\n").collect();
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

/// Lets a process of its own read the files first, unless they are trusted.
fn screened(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.trust {
        return Ok(());
    }
    let files = arguments.files.iter().chain(&arguments.baseline);
    Ok(files.map(|argument| label_and_path(argument).1).try_for_each(|path| screen(Unchecked::Results(&path)))?)
}

fn say(text: &str) {
    // If standard error is closed, the failure cannot be reported anywhere.
    let _ = std::io::stderr().write_all(format!("gradshard-report: {}\n", printable(text)).as_bytes());
}
