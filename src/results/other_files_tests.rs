//! Tests that damaged files and files that are no result files are refused with a fitting message, and that older ones are read.

use std::fs;
use std::path::Path;

use super::ResultFile;
use super::error::FileProblem;
use super::file_tests::{empty, place, saved};
use super::row::{CellRow, MemoryRow, RankMemory};
use crate::plan::{End, Family};
use crate::stats::StopReason;
use crate::stats::interference::Interference;

fn message(path: &Path) -> String {
    ResultFile::open(path).unwrap_err().to_string()
}

#[test]
fn what_is_not_a_result_file_is_told_apart() {
    let (directory, path) = place();
    assert!(message(&path).ends_with("results.h5: no such file"));
    assert!(message(directory.path()).contains("is not an HDF5 file but a directory"));
    fs::write(&path, "").unwrap();
    assert!(message(&path).contains("is not an HDF5 file; it is empty"));
    fs::write(&path, "name,value\n").unwrap();
    assert!(message(&path).contains("is not an HDF5 file; give a file that `gradshard run` wrote"));
    hdf5::File::create(&path).unwrap().close().unwrap();
    assert!(matches!(ResultFile::open(&path).unwrap_err().problem, FileProblem::NotAResultFile(_)));
}

#[test]
fn a_newer_schema_is_refused_by_number() {
    let (_directory, path) = saved(&empty());
    let file = hdf5::File::open_rw(&path).unwrap();
    file.attr("schema_version").unwrap().write_scalar(&9u32).unwrap();
    file.close().unwrap();
    let error = ResultFile::open(&path).unwrap_err();
    assert!(matches!(error.problem, FileProblem::Version { found: 9, .. }), "{error}");
}

#[test]
fn an_experiment_that_was_altered_is_noticed() {
    let (_directory, path) = saved(&empty());
    let file = hdf5::File::open_rw(&path).unwrap();
    let other: hdf5::types::VarLenUnicode = r#"{"name": "other"}"#.parse().unwrap();
    file.dataset("experiment").unwrap().write_scalar(&other).unwrap();
    file.close().unwrap();
    let error = message(&path);
    assert!(error.contains("damaged or incomplete at /experiment: its SHA-256 is"), "{error}");
}

#[test]
fn a_missing_part_is_named() {
    for name in [
        "experiment",
        "environment",
        "cells",
        "jobs",
        "ratios",
        "blocks",
        "pooled_ratios",
        "samples",
        "rank_seconds",
        "rank_start_seconds",
        "memory_predicted",
        "memory_tracked",
        "memory_kernel",
    ] {
        let (_directory, path) = saved(&empty());
        let file = hdf5::File::open_rw(&path).unwrap();
        file.unlink(name).unwrap();
        file.close().unwrap();
        let error = message(&path);
        assert!(error.contains(&format!("damaged or incomplete at /{name}: ")), "{error}");
    }
}

/// Another byte in a `bool` of Rust would be undefined behaviour.
#[test]
fn a_truth_that_is_neither_0_nor_1_is_refused() {
    let mut contents = empty();
    contents.push(CellRow { drifts: true, ..CellRow::default() }, vec![], vec![]);
    let (_directory, path) = saved(&contents);
    let file = hdf5::File::open(&path).unwrap();
    let table = file.dataset("cells").unwrap();
    let hdf5::types::TypeDescriptor::Compound(record) = table.dtype().unwrap().to_descriptor().unwrap() else {
        panic!()
    };
    let before = record.fields.iter().position(|field| field.name == "drifts").unwrap();
    let (others, field) = (&record.fields[..before], &record.fields[before]);
    assert_eq!(field.ty, hdf5::types::TypeDescriptor::Boolean);
    // A text is a pointer in memory, and takes 8 bytes more in the file.
    let texts = others.iter().filter(|field| field.ty == hdf5::types::TypeDescriptor::VarLenUnicode).count();
    let at = table.offset().unwrap() as usize + field.offset + 8 * texts;
    file.close().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(std::mem::replace(&mut bytes[at], 20), 1);
    fs::write(&path, bytes).unwrap();
    let error = message(&path);
    assert!(error.contains("/cells: column drifts, row 0: 20 is neither 0 nor 1"), "{error}");
}

/// Chunked datasets claim more than a file of their length can hold. Reading them would take memory without end.
#[test]
fn a_shape_beyond_the_file_is_refused() {
    let (_directory, path) = saved(&empty());
    let whole = fs::read(&path).unwrap();
    for (name, shape) in
        [("memory_predicted", vec![0, 1 << 58, 5]), ("rank_seconds", vec![1 << 40, 1]), ("jobs", vec![1 << 40])]
    {
        fs::write(&path, &whole).unwrap();
        let file = hdf5::File::open_rw(&path).unwrap();
        let compound = file.dataset("jobs").unwrap().dtype().unwrap().to_descriptor().unwrap();
        file.unlink(name).unwrap();
        let kind =
            if name == "jobs" { compound } else { hdf5::types::TypeDescriptor::Unsigned(hdf5::types::IntSize::U8) };
        let shape: Vec<usize> = if shape[0] == 0 { vec![1, shape[1], shape[2]] } else { shape };
        let chunk: Vec<usize> = shape.iter().map(|length| (*length).min(8)).collect();
        file.new_dataset_builder().empty_as(&kind).shape(shape).chunk(chunk).create(name).unwrap();
        file.close().unwrap();
        let error = message(&path);
        assert!(error.contains(&format!("damaged or incomplete at /{name}: its shape")), "{error}");
    }
}

/// A file cut off at any length yields an error. It never crashes, and part of a table is never taken for the whole.
#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let mut contents = empty();
    let memory = MemoryRow { resident: 1, accumulators: 2, staging: 3, result: 4 };
    contents.push(
        CellRow { strategy: "tree-central".into(), ..CellRow::default() },
        vec![],
        vec![RankMemory { predicted: memory, ..RankMemory::default() }; 3],
    );
    let (_directory, path) = saved(&contents);
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(ResultFile::open(&path).is_err(), "{length} of {} bytes", whole.len());
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(ResultFile::open(&path).unwrap(), contents);
}

#[test]
fn a_status_of_no_meaning_is_an_error_with_its_row() {
    let mut contents = empty();
    contents.push(CellRow::default(), vec![], vec![]);
    let (_directory, path) = saved(&contents);
    let bytes = fs::read(&path).unwrap();
    // The zeros distinguish the value from the word in the column's meaning.
    let at = 2 + bytes.windows(10).position(|window| window == b"\0\0failed\0\0").unwrap();
    let altered = [&bytes[..at], b"maybe?", &bytes[at + 6..]].concat();
    fs::write(&path, altered).unwrap();
    let error = message(&path);
    assert!(
        error.contains(
            "/cells: column status, row 0: \"maybe?\" is not known here: expected one of `ok`, `infeasible`, `failed`"
        ),
        "{error}"
    );
}

/// The file was written before schema version 5, on two ranks under Open MPI. It holds two comparisons of four
/// strategies.
#[test]
fn a_file_of_schema_4_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schema-4.h5");
    let file = ResultFile::open(&path).unwrap();
    assert_eq!((file.schema_version, file.cells.len(), file.samples.len()), (4, 8, 24));
    let cells = file.cells.iter().map(|cell| (cell.strategy.as_str(), cell.family, cell.end));
    let of_phase = |scattered, root| {
        [
            ("sharded-direct", Family::Sharded, scattered),
            ("tree-central", Family::Tree, root),
            ("native-reduce", Family::Library, root),
            ("native-reduce-scatter", Family::Library, scattered),
        ]
    };
    let everywhere = of_phase(End::Everywhere, End::Everywhere);
    let expected = [of_phase(End::Scattered, End::Root), everywhere].concat();
    assert_eq!(cells.collect::<Vec<_>>(), expected);
    // The file describes these in sentences.
    assert_eq!(file.cells[2].interference, Some(Interference::OffCore));
    assert_eq!(file.cells[7].interference, Some(Interference::OtherLoadAndOffCore));
    assert_eq!(file.cells[0].interference, None);
    assert_eq!((file.cells[0].stopped, file.cells[0].limit_part), (Some(StopReason::Blocks), None));
    assert_eq!(file.cells[0].messages_total, 0);
    assert!(file.samples.iter().all(|sample| sample.rank_seconds.len() == 2 && sample.rank_seconds[0] > 0.0));
    // Cells of different ends are not compared: the first comparison is two contests, the second is one.
    let contests = super::contest::contests(&file);
    let found = contests.iter().map(|contest| (contest.number, contest.cells.len(), contest.ratios.len()));
    assert_eq!(found.collect::<Vec<_>>(), [(0, 2, 0), (0, 2, 1), (1, 4, 3)]);
    assert!(contests.iter().all(|contest| contest.facts.iter().any(|fact| fact.starts_with("end "))));
}
