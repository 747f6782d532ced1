//! Tests that a path is claimed early, replaced only by its owner, and never left half written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::error::FileProblem;
use super::row::CellRow;
use super::{Environment, Output, ResultFile};

fn contents(name: &str, cells: usize) -> ResultFile {
    let mut file = ResultFile::new(format!("{{\"name\": \"{name}\"}}"), Environment::default());
    for _ in 0..cells {
        file.push(CellRow::default(), vec![], vec![]);
    }
    file
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("results.h5");
    (directory, path)
}

/// Names of the files in a directory, without the lock, which exists as long as a path is claimed.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != ".results.h5.lock").collect()
}

fn name_in(path: &Path) -> String {
    ResultFile::open(path).unwrap().experiment_name().unwrap()
}

#[test]
fn claiming_leaves_nothing_and_saving_leaves_one_file() {
    let (directory, path) = place();
    let mut output = Output::create(&path, false).unwrap();
    assert_eq!(names(directory.path()), [] as [&str; 0]);
    for cells in 0..3 {
        output.save(&contents("mine", cells)).unwrap();
        assert_eq!(names(directory.path()), ["results.h5"]);
        assert_eq!(ResultFile::open(&path).unwrap().cells.len(), cells);
    }
}

#[test]
fn an_existing_file_needs_force() {
    let (_directory, path) = place();
    fs::write(&path, "precious").unwrap();
    let error = Output::create(&path, false).unwrap_err();
    let right = format!("{}: already exists; pass --force to replace it, or another --output", path.display());
    assert_eq!(error.to_string(), right);
    // `force` replaces the file only at the first save.
    let mut output = Output::create(&path, true).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    output.save(&contents("mine", 0)).unwrap();
    output.save(&contents("mine", 1)).unwrap();
    assert_eq!(name_in(&path), "mine");
}

#[test]
fn a_second_run_is_refused_and_the_first_goes_on() {
    let (directory, path) = place();
    let mut first = Output::create(&path, false).unwrap();
    for force in [false, true] {
        let error = Output::create(&path, force).unwrap_err();
        assert!(matches!(error.problem, FileProblem::Busy), "{error}");
    }
    first.save(&contents("first", 1)).unwrap();
    assert_eq!(name_in(&path), "first");
    assert_eq!(names(directory.path()), ["results.h5"]);
    drop(first);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    Output::create(&path, true).unwrap();
}

/// The check before each save finds the other file, as it must on file systems without locks.
#[test]
fn a_file_that_somebody_else_put_there_is_left_alone() {
    let (directory, path) = place();
    let theirs = directory.path().join("theirs.h5");
    Output::create(&theirs, false).unwrap().save(&contents("theirs", 0)).unwrap();
    let mut output = Output::create(&path, false).unwrap();
    fs::rename(&theirs, &path).unwrap();
    assert!(matches!(output.save(&contents("mine", 0)).unwrap_err().problem, FileProblem::Taken));
    assert_eq!(name_in(&path), "theirs");
}

#[test]
fn force_covers_the_file_that_was_there_and_no_later_one() {
    let (directory, path) = place();
    fs::write(&path, "old").unwrap();
    let later = directory.path().join("later.h5");
    Output::create(&later, false).unwrap().save(&contents("later", 0)).unwrap();
    let mut output = Output::create(&path, true).unwrap();
    fs::rename(&later, &path).unwrap();
    assert!(matches!(output.save(&contents("mine", 0)).unwrap_err().problem, FileProblem::Taken));
    assert_eq!(name_in(&path), "later");
}

#[test]
fn a_file_is_gone_on_with_where_the_experiment_is_the_same() {
    let (_directory, path) = place();
    let same = contents("mine", 0).experiment_json;
    let (mut output, found) = Output::resume(&path, &same).unwrap();
    assert!(found.is_none());
    output.save(&contents("mine", 2)).unwrap();
    drop(output);
    let (mut output, found) = Output::resume(&path, &same).unwrap();
    let mut found = found.unwrap();
    assert_eq!(found.cells.len(), 2);
    found.push(CellRow::default(), vec![], vec![]);
    found.resumed(&Environment::of(&json!({"transport": "later"})).unwrap());
    found.push(CellRow::default(), vec![], vec![]);
    output.save(&found).unwrap();
    drop(output);
    let read = ResultFile::open(&path).unwrap();
    assert_eq!(read.cells.iter().map(|cell| cell.job).collect::<Vec<_>>(), [0, 0, 0, 1]);
    assert_eq!(read.jobs[1].transport.as_str(), "later");
    let error = Output::resume(&path, "{}").unwrap_err();
    assert!(matches!(error.problem, FileProblem::OtherExperiment { .. }), "{error}");
}

#[test]
fn a_file_that_was_moved_away_is_written_anew() {
    let (directory, path) = place();
    let mut output = Output::create(&path, false).unwrap();
    output.save(&contents("mine", 1)).unwrap();
    fs::rename(&path, directory.path().join("kept.h5")).unwrap();
    output.save(&contents("mine", 2)).unwrap();
    assert_eq!(ResultFile::open(&path).unwrap().cells.len(), 2);
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_measured() {
    let (directory, path) = place();
    let missing = directory.path().join("none/results.h5");
    let error = Output::create(&missing, false).unwrap_err();
    assert!(matches!(&error.problem, FileProblem::NoDirectory(directory) if directory.ends_with("none")), "{error}");
    fs::write(&path, "").unwrap();
    let below = path.join("results.h5");
    assert!(matches!(Output::create(&below, true).unwrap_err().problem, FileProblem::NoDirectory(_)));
    let error = Output::create(directory.path(), true).unwrap_err();
    assert!(error.to_string().contains("is a directory, not a regular file"), "{error}");
    let link = directory.path().join("link.h5");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    assert!(matches!(Output::create(&link, false).unwrap_err().problem, FileProblem::Exists));
    let error = Output::create(&link, true).unwrap_err();
    assert!(error.to_string().contains("is a symbolic link"), "{error}");
    for path in ["", "/", "..", "results/"] {
        assert!(matches!(Output::create(path, true).unwrap_err().problem, FileProblem::BadPath(_)), "{path:?}");
    }
    // Nobody can create files in /proc.
    let error = Output::create("/proc/results.h5", false).unwrap_err();
    assert!(matches!(error.problem, FileProblem::NotWritable { .. }), "{error}");
}

#[test]
fn results_are_as_readable_as_other_new_files() {
    let (directory, path) = place();
    Output::create(&path, false).unwrap().save(&contents("mine", 0)).unwrap();
    let other = directory.path().join("other");
    fs::write(&other, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&other));
}

/// A save never writes to the file that it replaces, so a process that has it open can read all of it.
#[test]
fn a_save_leaves_the_previous_file_whole() {
    let (directory, path) = place();
    let mut output = Output::create(&path, false).unwrap();
    output.save(&contents("mine", 1)).unwrap();
    let previous = directory.path().join("previous.h5");
    fs::hard_link(&path, &previous).unwrap();
    let before = fs::read(&previous).unwrap();
    output.save(&contents("mine", 5)).unwrap();
    assert_eq!(fs::read(&previous).unwrap(), before);
    assert_eq!(ResultFile::open(&path).unwrap().cells.len(), 5);
}

/// Temporary files that a killed job left are removed. Those of a result file whose name begins with the same name stay.
#[test]
fn temporary_files_of_other_results_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let (ours, others) =
        (directory.path().join(".a.h5.Xy12Zq.partial"), directory.path().join(".a.h5.b.Xy12Zq.partial"));
    for file in [&ours, &others] {
        std::fs::write(file, "partial").expect("written");
    }
    drop(Output::create(directory.path().join("a.h5"), false).expect("claimed"));
    assert!(!ours.exists() && others.exists());
}
