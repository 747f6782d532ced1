//! Feeds gradshard what strangers may hand it: experiments, files of gradients, result files, command lines. Each generator
//! makes cases of the right structure with odd contents, and damages some. More than half of the cases must be accepted, as
//! a case that the first check refuses tests little.
//!
//! No case may panic, crash, take more than 5 s of a core or more than 1 GiB, or end with an exit code that is not documented. Where a C
//! library may crash, each case is a process of its own.
//!
//! `GRADSHARD_FUZZ_SECONDS` is the time of each generator (default 4), and `GRADSHARD_FUZZ_SEED` repeats a run.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, unsafe_code)]

#[path = "fuzz/arguments.rs"]
mod arguments;
#[path = "fuzz/arrays.rs"]
mod arrays;
#[path = "fuzz/campaign.rs"]
mod campaign;
#[path = "fuzz/experiments.rs"]
mod experiments;
#[path = "fuzz/hdf5_files.rs"]
mod hdf5_files;
#[path = "fuzz/program.rs"]
mod program;
#[path = "fuzz/result_files.rs"]
mod result_files;

use std::fs;
use std::path::Path;

use campaign::campaign;
use gradshard::gradient::source::weights::Weights;
use gradshard::gradient::source::{FileKind, open_files};
use gradshard::gradient::{Dtype, Range};
use gradshard::job::Prepared;
use gradshard::results::guidelines::guidelines;
use gradshard::results::show;

/// Elements that are read of a file at most.
const MOST_READ: u64 = 1 << 20;

#[test]
fn made_up_experiments() {
    campaign("experiments", 64, &experiments::text(), |text| {
        Prepared::understand(text, Path::new("e.json"), &[0, 0, 1, 1]).is_ok()
    });
}

/// Writes a file for each client and reads all of them to their ends. True if all could be read.
fn reads(kind: FileKind, files: &[Vec<u8>]) -> bool {
    let directory = tempfile::tempdir().unwrap();
    for (client, bytes) in files.iter().enumerate() {
        fs::write(directory.path().join(format!("{client}.{}", kind.extensions()[0])), bytes).unwrap();
    }
    let Ok(source) = open_files(kind, ".", directory.path(), &Weights::Stored, None) else { return false };
    let all = source.clients() as u64 * source.elements();
    assert!(all < MOST_READ, "{all} elements of a small file");
    let mut out = vec![0; source.elements() as usize * size_of::<f64>()];
    (0..source.clients()).all(|client| {
        let range = Range::new(0, source.elements());
        source.read_bytes(client, range, Dtype::F64, &mut out).is_ok()
    })
}

#[test]
fn made_up_safetensors() {
    campaign("safetensors", 64, &arrays::safetensors(), |files| reads(FileKind::Safetensors, files));
}

#[test]
fn made_up_npy() {
    campaign("npy", 64, &arrays::npy(), |files| reads(FileKind::Npy, files));
}

#[test]
fn made_up_hdf5_gradients() {
    campaign("HDF5 gradients", 8, &hdf5_files::file(), |file| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("g.h5"), file.bytes()).unwrap();
        let experiment = r#"{"gradients": {"source": "hdf5", "path": "g.h5"}, "strategies": "tree-central",
            "repeat": {"blocks": 1, "warmup": 0, "start": "barrier"}}"#;
        fs::write(directory.path().join("e.json"), experiment).unwrap();
        program::ends_well(directory.path(), &["run", "e.json", "--threads", "1", "--no-limits"])
    });
}

/// The same contents without a file, which takes a thousandth of the time.
#[test]
fn made_up_results() {
    campaign("results", 64, &result_files::file(), |file| {
        let file = file.contents();
        let path = Path::new("r.h5");
        let texts = [
            show::table(&file, 80),
            show::answers(&file, 140),
            show::csv(&file),
            show::samples_csv(&file),
            show::json(&file, path).unwrap(),
            show::scaling::scaling(&file, 100),
            show::guidelines_text(path, &guidelines(&file), 100),
            show::side_by_side([("one", &file), ("other", &file)], 100),
        ];
        let odd = |symbol: char| symbol.is_control() && symbol != '\n';
        assert!(!texts.iter().any(|text| text.contains(odd)), "{texts:?}");
        true
    });
}

#[test]
fn made_up_result_files() {
    campaign("result files", 8, &result_files::file(), |file| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("r.h5"), file.bytes()).unwrap();
        let mut arguments = vec!["show", "r.h5"];
        arguments.extend(file.options());
        program::ends_well(directory.path(), &arguments)
    });
}

#[test]
fn made_up_command_lines() {
    campaign("command lines", 8, &arguments::line(), |words| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("e.json"), r#"{"models": 97, "repeat": {"blocks": 1, "warmup": 0}}"#).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        program::ends_well(directory.path(), &words)
    });
}
