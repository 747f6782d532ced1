//! Tests the page with a browser, and what an anonymous report tells.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::too_many_lines)]

use std::fs;
use std::io::Write;
use std::process::Command;

use gradshard::results::function_row::{FunctionBill, FunctionRow};
use gradshard::results::row::Status;
use gradshard::results::{Environment, ResultFile};

mod made;

use made::{made, run, save};

/// Chromium opens the page, points at a mark and reads its value, filters, sorts and zooms, on a desk and on a phone.
#[test]
fn the_page_answers_in_a_browser() {
    let directory = tempfile::tempdir().unwrap();
    let path = save(directory.path(), "made.h5", &made(2, 3, 12, 1.0));
    let base = save(directory.path(), "base.h5", &made(2, 3, 12, 1.2));
    let out = directory.path().join("out");
    let named = [&path, &base, &out].map(|path| path.to_str().unwrap());
    let finished = run(&[named[0], "--baseline", named[1], "--out", named[2]]);
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    let python = std::env::var("GRADSHARD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = format!("{}/tests/python/open_page.py", env!("CARGO_MANIFEST_DIR"));
    let opened = Command::new(&python).arg(script).arg(out.join("index.html")).output();
    let skipped = match &opened {
        Err(error) => Some(format!("{python}: {error}")),
        Ok(done) if done.status.code() == Some(77) => Some(String::from_utf8_lossy(&done.stdout).trim().to_owned()),
        Ok(_) => None,
    };
    if let Some(reason) = skipped {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "a browser is needed in CI: {reason}");
        let _ = writeln!(std::io::stderr(), "SKIPPED: the page was not opened in a browser: {reason}");
        return;
    }
    let opened = opened.unwrap();
    let said = [&opened.stdout, &opened.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    assert!(opened.status.success(), "{said}");
}

/// The page of a file that has only rounds on functions: calculated beside measured, and the reason of one that failed.
#[test]
fn rounds_on_functions_have_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = ResultFile::new("{}".into(), Environment::default());
    let bill = |latency_s| FunctionBill { latency_s, ..FunctionBill::default() };
    let row = FunctionRow { strategy: "tree-central".into(), calculated: bill(7.25), ..FunctionRow::default() };
    file.push_function_round(FunctionRow { measured: Some(bill(8.5)), status: Status::Ok, ..row.clone() });
    file.push_function_round(FunctionRow { reason: "object sum-0-0 is lost in /home/anna/x".into(), ..row });
    let path = save(directory.path(), "functions.h5", &file);
    let out = directory.path().join("out");
    let finished = run(&["--anonymous", path.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    for text in ["Rounds on functions", "8.500 s", "7.250 s", "object sum-0-0 is lost"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("anna"));
    let table = fs::read_to_string(out.join("function-rounds.csv")).unwrap();
    assert!(table.starts_with("label,job,round,strategy,") && table.lines().count() == 3, "{table}");
}

#[test]
fn an_anonymous_report_has_no_host_and_no_path() {
    let secrets = ["quokka7", "anna", "scratch", "weights.npz", "private.h5", "SLURM", "mpirun", "secretfile"];
    let mut file = made(2, 2, 12, 1.0);
    let environment = serde_json::json!({
        "transport": "Open MPI v4.1.4", "ranks": 4, "nodes": 2, "command": "mpirun -n 4 gradshard run /home/anna/x.json",
        "binding": "rank 0 on quokka7 is not bound", "spread_doubts": ["see /scratch/anna/log"],
        "machines": [{"rank": 0, "environment": {
            "hostname": "quokka7.cluster.org", "kernel": "Linux 6.1", "launcher": {"job": {"SLURM_JOB_ID": "1"}},
            "parameter_files": {"/home/anna/.openmpi/mca-params.conf": ["btl = self"]},
        }}],
    });
    file.environment = Environment::of(&environment).unwrap();
    file.jobs[0].environment = file.environment.clone();
    file.jobs[0].hosts = "quokka7.cluster.org,quokka7".into();
    let experiment = serde_json::json!({
        "name": "made", "$schema": "/home/anna/schema.json",
        "gradients": {"source": "npz", "path": "../scratch/weights.npz", "dataset": "private.h5"},
    });
    let with_experiment = ResultFile::new(experiment.to_string(), Environment::default());
    (file.experiment_json, file.experiment_sha256) =
        (with_experiment.experiment_json, with_experiment.experiment_sha256);
    let failed = file.cells.last_mut().unwrap();
    failed.status = gradshard::results::row::Status::Failed;
    failed.reason = "quokka7: no space left in /scratch/anna/out".into();
    let directory = tempfile::tempdir().unwrap();
    let path = save(directory.path(), "secretfile.h5", &file);
    let found = |options: &[&str]| {
        let out = directory.path().join(format!("out{}", options.len()));
        let finished = run(&[&[path.to_str().unwrap(), "--out", out.to_str().unwrap()], options].concat());
        assert_eq!(finished.status.code(), Some(0), "{finished:?}");
        let mut found = Vec::new();
        for entry in fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()) {
            let text = String::from_utf8_lossy(&fs::read(&entry).unwrap()).into_owned();
            let place = |secret: &str| text.contains(secret).then(|| format!("{secret} in {}", entry.display()));
            found.extend(secrets.iter().filter_map(|secret| place(secret)));
        }
        found
    };
    assert!(found(&[]).len() > secrets.len(), "without the option they are there");
    assert_eq!(found(&["--anonymous"]), Vec::<String>::new());
    let page = fs::read_to_string(directory.path().join("out1/index.html")).unwrap();
    assert!(page.contains("Open MPI v4.1.4") && page.contains("Linux 6.1") && page.contains("file 1"));
}
