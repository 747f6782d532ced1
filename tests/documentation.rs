//! Runs the commands of the documentation as printed and in order, in a copy of the repository's files.
//!
//! Every indented paragraph of every Markdown file is commands, Python, an experiment, or listed in `OTHER`. A command runs
//! if its program is in `RUN`, unless `NOT_RUN` has the reason why it does not. Anything else fails the test, and so does an
//! entry of a list that matches nothing.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

mod harness;

use harness::{Finished, Place, available, launcher, python, repository};

/// The documents in the order in which a reader meets them. Files that one leaves are there for the next.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "configs/README.md",
    "jobs/README.md",
    "jobs/MEASURING.md",
    "analysis/README.md",
    "examples/README.md",
    "packaging/README.md",
    "tests/cluster/README.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    "PERFORMANCE.md",
    "MEMORY.md",
    "PREDICTION.md",
    "COST.md",
    "functions/README.md",
    "CHANGELOG.md",
];

/// Programs whose commands run.
const RUN: &[&str] = &[
    "echo",
    "export",
    "gradshard",
    "gradshard-report",
    "jobs/submit.sh",
    "mpirun",
    "python3",
    "target/release/gradshard",
    "target/release/gradshard-report",
    "target/release/gradshard-function",
    "./tests/run.sh",
];

/// Beginnings of commands that do not run, and the reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("./jobs/local.sh  ", "minutes; installs and builds"),
    ("./tests/run.sh  ", "minutes; it runs this test"),
    ("cargo build", "a build; this test has built the program"),
    ("cargo run --locked --example", "a build; tests/run.sh runs it"),
    ("cargo test", "a build; tests/run.sh runs all tests"),
    ("cargo install", "a build"),
    ("cargo vendor", "needs a network"),
    ("docker ", "needs a container engine and a network"),
    ("apptainer ", "needs Apptainer and a network"),
    ("spack ", "needs Spack and a network"),
    ("rattler-build ", "needs rattler-build and a network"),
    ("python3 -m pip install", "needs a network; PYTHONPATH stands for it"),
    ("MIRIFLAGS=", "needs a nightly toolchain"),
    ("mpirun -n 2 target/release/gradshard run configs/library-algorithms.json", "minutes"),
    ("target/release/gradshard tune", "needs the file of the command before, and launches jobs for minutes"),
    ("eval \"$(jobs/store.sh start)\"", "a build of Garage"),
    ("gradshard functions configs/digits.json --store", "needs the store of the command before"),
    ("gradshard functions configs/resnet18.json", "needs Garage"),
    ("jobs/store.sh stop", "ends the store of the command before"),
    ("tar ", "needs the vendored crates"),
    ("mkdir -p .cargo", "needs the vendored crates"),
    ("gradshard ceiling", "minutes; tests/memory_limits.rs has smaller ones"),
    ("gradshard predict", "needs a file measured on several nodes; tests/predict.rs has one"),
    ("jobs/submit.sh configs/scaling/strong.json --nodes 1,2,4,8 --ranks-per-node 4 --time", "needs Slurm"),
    ("sbatch", "needs Slurm; tests/cluster/test-jobs.sh submits"),
    ("SLURM=1 tests/cluster/up.sh", "needs root and Slurm"),
    ("RATE=1gbit tests/cluster/up.sh", "needs root"),
    ("RACKS=", "needs root; tests/cluster/test-racks.sh has racks"),
    ("tests/cluster/", "needs root; tests/cluster/test-jobs.sh uses it"),
    ("jobs/targets.sh", "twenty minutes"),
    ("analysis/targets.py", "needs the files of jobs/targets.sh"),
    ("jobs/memory.sh", "minutes, and memory"),
];

/// Beginnings of paragraphs that are no commands.
const OTHER: &[(&str, &str)] = &[
    ("resnet18, end everywhere", "what `show` printed"),
    ("  strategy ", "what `show` printed"),
    ("FROM debian", "a recipe of an image"),
    ("#!/bin/bash", "a template for a scheduler"),
    ("from gradshard.flower", "lines of a server; tests/python/package.py has them"),
    ("Step {", "a type"),
    ("strategy ──> plan", "a drawing"),
    ("t = gets", "a formula"),
];

/// Result files that a guide takes for granted, and the ranks that they are measured on.
const GIVEN: &[(&str, usize)] = &[
    ("resnet18.h5", 1),
    ("nodes-1.h5", 1),
    ("nodes-2.h5", 2),
    ("nodes-4.h5", 1),
    ("results/strong-20250131-174500-4711.h5", 2),
    ("a1.h5", 1),
    ("a2.h5", 1),
    ("b1.h5", 2),
    ("b2.h5", 2),
    ("new.h5", 1),
    ("accepted.h5", 1),
];

/// Programs of the workspace that the tests of this package do not build.
const BESIDE: &[&str] = &["gradshard-report", "gradshard-function"];

/// Seconds that one command may take. On idle cores none needs a tenth of that.
const LIMIT: u64 = 150;

/// Returns the indented paragraphs of a document, without their indentation.
fn paragraphs(text: &str) -> Vec<Vec<&str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    let (mut inside, mut after_blank) = (false, true);
    for line in text.lines() {
        match line.strip_prefix("    ") {
            // In a list, commands are indented further.
            Some(code) if inside => found.last_mut().unwrap().push(code.strip_prefix("   ").unwrap_or(code)),
            Some(code) if after_blank => {
                found.push(vec![code.strip_prefix("   ").unwrap_or(code)]);
                inside = true;
            }
            _ => inside = false,
        }
        // A heading needs no blank line before what it heads.
        after_blank = line.trim().is_empty() || line.starts_with('#');
    }
    found
}

/// Returns a command without its comment.
fn uncommented(command: &str) -> &str {
    command.split(" # ").next().unwrap().trim_end()
}

/// Joins lines to commands: one ends where its single quotes are closed.
fn commands(lines: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in lines {
        match found.last_mut() {
            Some(open) if uncommented(open).matches('\'').count() % 2 == 1 => {
                open.push('\n');
                open.push_str(line);
            }
            _ => found.push((*line).to_owned()),
        }
    }
    found.retain(|command| !command.trim_start().starts_with('#'));
    found
}

fn program(command: &str) -> &str {
    let is_setting =
        |word: &&str| word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase()));
    command.split_whitespace().find(|word| !is_setting(word)).unwrap_or_default()
}

fn listed(list: &'static [(&str, &str)], text: &str) -> Option<&'static (&'static str, &'static str)> {
    list.iter().find(|(beginning, _)| text.starts_with(beginning))
}

/// A copy of the repository's files, as a clone has them after the build.
fn clone() -> Place {
    let place = Place::new();
    for name in ["configs", "jobs", "analysis", "tests", "examples", "Cargo.toml"] {
        let copied = Command::new("cp").arg("-r").arg(repository().join(name)).arg(place.path("")).status();
        assert!(copied.unwrap().success(), "{name} was not copied");
    }
    let built = Path::new(env!("CARGO_BIN_EXE_gradshard"));
    let release = place.path("target/release");
    fs::create_dir_all(&release).unwrap();
    symlink(built, release.join("gradshard")).unwrap();
    for name in BESIDE {
        let program = built.with_file_name(name);
        if available(&format!("{name} (cargo build -p {name})"), Command::new(&program).arg("--help")) {
            symlink(&program, release.join(name)).unwrap();
        }
    }
    let python = std::env::var("GRADSHARD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    // Scripts, as a link to a Python of a virtual environment would be another Python.
    for (name, program) in [("mpirun", launcher()), ("python3", python)] {
        let script = place.write(format!("programs/{name}").as_str(), format!("#!/bin/sh\nexec {program} \"$@\"\n"));
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    }
    place
}

fn run(place: &Place, program: &str, arguments: &[&str]) -> Finished {
    let before = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{before}", place.path("target/release").display(), place.path("programs").display());
    let package = place.path("analysis/python");
    place.within(program, arguments).env("PATH", &path).env("PYTHONPATH", package.to_str().unwrap()).limit(LIMIT).run()
}

/// Makes what guides take for granted.
fn give(place: &Place, has_python: bool) {
    let experiment =
        r#"{"models": 1000, "clients": 4, "strategies": ["sharded-direct", "tree-two"], "repeat": {"blocks": 10}}"#;
    place.write("given.json", experiment);
    fs::create_dir_all(place.path("results")).unwrap();
    for (name, ranks) in GIVEN {
        let line = format!("gradshard run given.json --quiet --no-limits --threads {ranks} --output {name}");
        run(place, "bash", &["-c", &line]).success();
    }
    if has_python {
        fs::create_dir_all(place.path("updates")).unwrap();
        let archive = "import numpy; numpy.savez('updates/client-0.npz', layer=numpy.ones(9, 'f4'), num_samples=5)";
        run(place, "python3", &["-c", archive]).success();
        place.write("converted.json", r#"{"gradients": {"source": "safetensors", "path": "converted"}}"#);
    }
}

#[test]
fn every_document_is_read() {
    let tracked = Command::new("git").args(["ls-files", "*.md"]).current_dir(repository()).output().unwrap();
    let tracked = String::from_utf8(tracked.stdout).unwrap();
    let missing: Vec<&str> = tracked.lines().filter(|name| !DOCUMENTS.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "documents that DOCUMENTS lacks");
    for name in DOCUMENTS {
        let text = fs::read_to_string(repository().join(name)).unwrap();
        assert!(!text.contains("```"), "{name}: indent commands; this test reads no fences");
        for link in text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
            let file = repository().join(name).with_file_name(link);
            assert!(link.starts_with("http") || file.exists(), "{name}: {link} is not there");
        }
    }
}

#[test]
fn commands_run_as_printed() {
    let place = clone();
    let has_python = python("h5py, pandas, safetensors.numpy").is_some();
    give(&place, has_python);
    let (mut used, mut wrong, mut said) = (BTreeSet::new(), Vec::new(), String::new());
    for document in DOCUMENTS {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        for paragraph in paragraphs(&text) {
            let whole = paragraph.join("\n");
            if let Some((beginning, _)) = listed(OTHER, &whole) {
                used.insert(*beginning);
                continue;
            }
            if whole.starts_with("import ") {
                if has_python {
                    check(run(&place, "python3", &["-c", &whole, "mine.h5"]), document, paragraph[0], &mut wrong);
                }
                continue;
            }
            if whole.starts_with('{') {
                place.write("printed.json", &whole);
                let finished = run(&place, "bash", &["-c", "gradshard run printed.json --dry-run --threads 2"]);
                check(finished, document, paragraph[0], &mut wrong);
                continue;
            }
            for command in commands(&paragraph) {
                if let Some((beginning, reason)) = listed(NOT_RUN, &command) {
                    used.insert(*beginning);
                    said.push_str(&format!("  not run: {document}: {}: {reason}\n", uncommented(&command)));
                } else if let Some(name) = BESIDE
                    .iter()
                    // `gradshard functions` is gradshard-function too.
                    .find(|name| {
                        command.replace("d functions", "d-function").contains(**name)
                            && !place.path("target/release").join(name).exists()
                    })
                {
                    said.push_str(&format!("  not run: {document}: {command}: {name} is not built\n"));
                } else if command.contains("converted") && !has_python {
                    said.push_str(&format!("  not run: {document}: {command}: Python lacks a module\n"));
                } else if RUN.contains(&program(&command)) {
                    let begun = Instant::now();
                    check(run(&place, "bash", &["-c", &command]), document, &command, &mut wrong);
                    let seconds = begun.elapsed().as_secs_f64();
                    said.push_str(&format!("  {seconds:4.1} s {document}: {}\n", uncommented(&command)));
                } else {
                    wrong.push(format!("{document}: no list knows: {command}"));
                }
            }
        }
    }
    // println would not be seen, as the test harness captures it.
    let _ = write!(std::io::stderr(), "\n{said}");
    let stale =
        NOT_RUN.iter().chain(OTHER).map(|(beginning, _)| *beginning).filter(|beginning| !used.contains(beginning));
    wrong.extend(stale.map(|beginning| format!("no document has: {beginning}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Notes a command that failed. A comparison of files may find that one is worse.
fn check(finished: Finished, document: &str, command: &str, wrong: &mut Vec<String>) {
    let code = finished.status.code();
    let is_right = code == Some(0) || command.contains("--baseline") && matches!(code, Some(1 | 3));
    if !is_right || finished.left_behind > 0 {
        wrong.push(format!("{document}: {command}\n  {:?}: {}{}", code, finished.stdout, finished.stderr));
    }
}
