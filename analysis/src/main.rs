//! `gradshard-report`: see [`gradshard_report`].

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use gradshard::harmless::printable;
use gradshard::results::ResultFile;
use gradshard::screening::{self, read_results};
use gradshard_report::arguments::Arguments;
use gradshard_report::source::Opener;
use gradshard_report::write::write_with;

fn main() -> ExitCode {
    if let Some(code) = screening::child() {
        return code;
    }
    let arguments = Arguments::parse();
    let open: Opener =
        if arguments.trust { |path| Ok(ResultFile::open(path)?) } else { |path| Ok(read_results(path)?) };
    match write_with(&arguments, open) {
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

fn say(text: &str) {
    // If standard error is closed, the failure cannot be reported anywhere.
    let _ = std::io::stderr().write_all(format!("gradshard-report: {}\n", printable(text)).as_bytes());
}
