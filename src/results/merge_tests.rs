//! Tests that files of one experiment are merged, and that others are refused with the difference.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::results::row::{RankMemory, Status};

/// Writes the file of a job with two cells on this number of nodes.
fn job(place: &Path, name: &str, experiment: &str, nodes: u64, times: [f64; 2]) -> PathBuf {
    let environment =
        json!({"transport": "a library", "ranks": 2 * nodes, "nodes": nodes, "binding": "core", "own": name});
    let mut file = ResultFile::new(experiment.into(), Environment::of(&environment).unwrap());
    for (cell, seconds) in (0..).zip(times) {
        add_cell(&mut file, cell, nodes, seconds);
    }
    let estimate = times[1] / times[0];
    file.push_ratios(vec![RatioRow { cell: 1, estimate, margin: 0.02, ..RatioRow::default() }]);
    save(&place.join(name), &file)
}

fn add_cell(file: &mut ResultFile, cell: u64, nodes: u64, seconds: f64) {
    let (median_s, status) = (Some(seconds), Status::Ok);
    let row = CellRow { cell, ranks: 2 * nodes, nodes, median_s, status, samples: 20, ..CellRow::default() };
    let sample = |block| Sample {
        cell,
        block,
        seconds,
        rank_seconds: vec![seconds],
        rank_producing_seconds: vec![0.0],
        rank_start_seconds: vec![0.0],
        ..Sample::default()
    };
    file.push(row, (0..20).map(sample).collect(), vec![RankMemory::default()]);
}

fn save(path: &Path, file: &ResultFile) -> PathBuf {
    Output::create(path, true).unwrap().save(file).unwrap();
    path.to_path_buf()
}

const EXPERIMENT: &str = r#"{"name": "sweep", "repeat": {"blocks": 20}, "shards": [1, 4]}"#;

fn three_jobs() -> (TempDir, [PathBuf; 3]) {
    let place = tempfile::tempdir().unwrap();
    let files = [("a.h5", 1, [1.0, 2.0]), ("b.h5", 1, [1.5, 4.5]), ("c.h5", 2, [0.5, 2.0])]
        .map(|(name, nodes, times)| job(place.path(), name, EXPERIMENT, nodes, times));
    (place, files)
}

#[test]
fn everything_is_kept_and_told_by_its_job() {
    let (place, files) = three_jobs();
    let output = place.path().join("all.h5");
    let (contents, notes) = merge(&output, &files).unwrap();
    assert_eq!(ResultFile::open(&output).unwrap(), contents);
    assert!(contents.is_merged() && contents.experiment_json == EXPERIMENT);
    let files: Vec<(&str, u64)> = contents.jobs.iter().map(|job| (job.file.as_str(), job.nodes)).collect();
    assert_eq!(files, [("a.h5", 1), ("b.h5", 1), ("c.h5", 2)]);
    let cells: Vec<(u64, u64, Option<f64>)> = contents.cells.iter().map(|c| (c.job, c.cell, c.median_s)).collect();
    let expected = [(0, 0, 1.0), (0, 1, 2.0), (1, 0, 1.5), (1, 1, 4.5), (2, 0, 0.5), (2, 1, 2.0)];
    assert_eq!(cells, expected.map(|(job, cell, seconds)| (job, cell, Some(seconds))));
    assert_eq!(contents.samples.len(), 3 * 2 * 20);
    for sample in &contents.samples {
        assert!(expected.contains(&(sample.job, sample.cell, sample.seconds)), "{sample:?}");
    }
    assert_eq!(
        contents.ratios.iter().map(|ratio| (ratio.job, ratio.estimate)).collect::<Vec<_>>(),
        [(0, 2.0), (1, 3.0), (2, 4.0)]
    );
    // Two jobs ran on one node: √(2 · 3). The job on two nodes is not pooled.
    assert_eq!(contents.pooled_ratios.len(), 1);
    let pooled = &contents.pooled_ratios[0];
    assert!((pooled.estimate - 6f64.sqrt()).abs() < 1e-12 && (pooled.jobs, pooled.nodes) == (2, 1), "{pooled:?}");
    assert_eq!(contents.environment.to_string(), r#"{"transport":"a library","binding":"core"}"#);
    assert!(notes.iter().any(|note| note.contains("b.h5: job 1, begun ") && note.ends_with("2 cells")), "{notes:?}");
    assert!(notes.last().unwrap().ends_with("all.h5: 3 jobs, 6 cells"), "{notes:?}");
}

#[test]
fn a_job_is_merged_once_however_often_it_is_given() {
    let (place, files) = three_jobs();
    let output = place.path().join("all.h5");
    let (once, _) = merge(&output, &files).unwrap();
    let (again, notes) = merge(&output, &files[1..]).unwrap();
    assert_eq!(again, once);
    assert_eq!(notes.iter().filter(|note| note.contains("is there already; left out")).count(), 2, "{notes:?}");
    // The same job comes twice in one call, as the file and as its copy.
    let copy = place.path().join("copy.h5");
    fs::copy(&files[0], &copy).unwrap();
    let (contents, _) = merge(&place.path().join("new.h5"), &[files[0].clone(), copy]).unwrap();
    assert_eq!((contents.jobs.len(), contents.cells.len(), contents.samples.len()), (1, 2, 40));
}

#[test]
fn merged_files_are_merged_again_and_one_by_one_is_the_same_as_at_once() {
    let (place, files) = three_jobs();
    let at_once = merge(&place.path().join("at-once.h5"), &files).unwrap().0;
    let output = place.path().join("one-by-one.h5");
    for file in &files {
        merge(&output, std::slice::from_ref(file)).unwrap();
    }
    let one_by_one = ResultFile::open(&output).unwrap();
    assert_eq!(ResultFile { created: at_once.created.clone(), ..one_by_one }, at_once);
    let part = place.path().join("part.h5");
    merge(&part, &files[1..]).unwrap();
    let (contents, _) = merge(&place.path().join("whole.h5"), &[files[0].clone(), part]).unwrap();
    assert_eq!(ResultFile { created: at_once.created.clone(), ..contents }, at_once);
}

/// A file is merged, its run is resumed, and it is merged again.
#[test]
fn cells_that_a_job_measured_since_are_added() {
    let (place, files) = three_jobs();
    let output = place.path().join("all.h5");
    merge(&output, &files).unwrap();
    let mut longer = ResultFile::open(&files[0]).unwrap();
    longer.resumed(&Environment::of(&json!({"transport": "a library", "ranks": 2, "nodes": 1})).unwrap());
    add_cell(&mut longer, 2, 1, 7.0);
    save(&files[0], &longer);
    let (contents, notes) = merge(&output, &files[..1]).unwrap();
    assert_eq!((contents.jobs.len(), contents.cells.len(), contents.samples.len()), (4, 7, 140));
    let added = contents.cells.last().unwrap();
    assert_eq!((added.job, added.cell), (3, 2));
    assert_eq!(contents.jobs[3].file, "a.h5");
    assert_eq!(notes.iter().filter(|note| note.contains("left out")).count(), 1, "{notes:?}");
}

fn refused(output: &Path, files: &[PathBuf], words: &[&str]) {
    let error = merge(output, files).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
}

#[test]
fn what_does_not_belong_together_is_refused_with_what_differs() {
    let (place, files) = three_jobs();
    let output = place.path().join("all.h5");
    let other = |name: &str, experiment: &str| job(place.path(), name, experiment, 1, [1.0, 2.0]);
    let differs = |experiment: &str, what: &str| {
        refused(
            &output,
            &[files[0].clone(), other("other.h5", experiment)],
            &["other.h5: holds another experiment than", "a.h5", what],
        );
        assert!(!output.exists());
    };
    differs(&EXPERIMENT.replace("20", "40"), "repeat.blocks is 40, not 20");
    differs(&EXPERIMENT.replace("[1, 4]", "[1, 8]"), "shards[1] is 8, not 4");
    differs(&EXPERIMENT.replace("[1, 4]", "[1]"), "shards is [1], not [1,4]");
    differs(r#"{"name": "sweep", "shards": [1, 4]}"#, "repeat is missing, not {\"blocks\":20}");
    differs(&EXPERIMENT.replace(": ", ":"), "in the order of fields or in blanks alone");
    // Another experiment is also refused if the merged file holds the first.
    merge(&output, &files).unwrap();
    let before = fs::read(&output).unwrap();
    refused(&output, &[other("later.h5", "{}")], &["later.h5", "all.h5", "name is missing, not \"sweep\""]);
    assert_eq!(fs::read(&output).unwrap(), before);
    refused(&output, &[place.path().join("none.h5")], &["none.h5: no such file"]);
    refused(&output, std::slice::from_ref(&output), &["both the output and an input"]);
    refused(&files[0], &files[1..], &["a.h5: is the file of a job, not a merged one"]);
}

#[test]
fn a_cell_of_one_job_that_two_files_tell_differently_is_refused() {
    let (place, files) = three_jobs();
    let mut altered = ResultFile::open(&files[0]).unwrap();
    altered.cells[1].median_s = Some(0.1);
    let copy = save(&place.path().join("altered.h5"), &altered);
    refused(
        &place.path().join("all.h5"),
        &[files[0].clone(), copy],
        &["altered.h5: cell 1 of the job begun", "differs"],
    );
}

#[test]
fn an_older_layout_is_refused_by_its_number() {
    let (place, files) = three_jobs();
    let older = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schema-4.h5");
    std::fs::copy(older, &files[0]).unwrap();
    refused(&place.path().join("all.h5"), &files, &["a.h5: schema version 4, but files of version 8"]);
}

#[test]
fn conditions_that_differ_between_pooled_jobs_are_told() {
    let (place, files) = three_jobs();
    for (file, binding) in [(&files[1], "none"), (&files[2], "other")] {
        let mut contents = ResultFile::open(file).unwrap();
        let mut environment = serde_json::to_value(&contents.jobs[0].environment).unwrap();
        environment["binding"] = json!(binding);
        environment["cores_shared"] = json!(binding == "other");
        contents.jobs[0].environment = Environment::of(&environment).unwrap();
        save(file, &contents);
    }
    let (contents, notes) = merge(&place.path().join("all.h5"), &files).unwrap();
    let told: Vec<&String> = notes.iter().filter(|note| note.contains("differs")).collect();
    assert_eq!(told.len(), 2, "{notes:?}");
    assert!(told[0].contains(
        "jobs of 2 ranks on 1 nodes are pooled, but their binding differs: \"core\" in job 0, \"none\" in job 1"
    ));
    assert!(told[1].contains("shared cores differs: unknown in job 0, false in job 1"), "{told:?}");
    // One job that shared cores is enough for a warning.
    assert_eq!(contents.environment["cores_shared"], true);
}

#[test]
fn a_merged_file_is_not_gone_on_with() {
    let (place, files) = three_jobs();
    let output = place.path().join("all.h5");
    merge(&output, &files).unwrap();
    let error = Output::resume(&output, EXPERIMENT).unwrap_err();
    assert!(matches!(error.problem, FileProblem::Merged), "{error}");
}
