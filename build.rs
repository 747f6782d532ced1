//! Bakes into the binary what it was built from and with, so that every result file can say it. Missing git, or a
//! source tree that is no repository, is said as `unknown` and never fails the build.

use std::env;
use std::path::Path;
use std::process::Command;

/// The files that go into the binary. Only changes to these make it differ from its revision.
const INPUTS: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];

fn main() {
    for input in INPUTS {
        println!("cargo:rerun-if-changed={input}");
    }
    // Where HEAD moves to another commit, one of these changes. A path that is not there would rerun this every time.
    let mut head_files = vec!["HEAD".to_owned(), "logs/HEAD".to_owned(), "packed-refs".to_owned()];
    head_files.extend(git(&["symbolic-ref", "-q", "HEAD"]));
    for file in head_files {
        if let Some(path) = git(&["rev-parse", "--git-path", &file]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }

    // An unpacked archive may lie inside some other repository; that one's revision is not ours.
    let ours = git(&["ls-files", "--error-unmatch", "Cargo.toml"]).is_some();
    let revision = if ours { git(&["rev-parse", "HEAD"]) } else { None };
    let changed = revision.as_ref().and_then(|_| {
        let mut status = vec!["status", "--porcelain", "--"];
        status.extend(INPUTS);
        git(&status).map(|lines| !lines.is_empty())
    });
    let changed = match changed {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    };
    bake("GIT_REVISION", revision.as_deref().unwrap_or("unknown"));
    bake("GIT_CHANGED", changed);

    let rustc = env::var("RUSTC").ok().and_then(|rustc| run(Command::new(rustc).arg("--version")));
    bake("RUSTC", rustc.as_deref().unwrap_or("unknown"));
    bake("RUSTFLAGS", &env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().replace('\x1f', " "));
    for (name, variable) in [
        ("TARGET", "TARGET"),
        ("TARGET_FEATURES", "CARGO_CFG_TARGET_FEATURE"),
        ("PROFILE", "PROFILE"),
        ("OPT_LEVEL", "OPT_LEVEL"),
    ] {
        bake(name, &env::var(variable).unwrap_or_else(|_| "unknown".to_owned()));
    }
}

/// Makes `value` readable as `env!("GRADSHARD_BUILD_<name>")`.
fn bake(name: &str, value: &str) {
    println!("cargo:rustc-env=GRADSHARD_BUILD_{name}={}", value.replace('\n', " "));
}

/// Returns the output of git, trimmed; None where it fails or is missing.
fn git(arguments: &[&str]) -> Option<String> {
    run(Command::new("git").args(arguments))
}

fn run(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
