//! Feeds gradshard what strangers may hand it: experiments, files of gradients, result files, command lines. Each generator
//! makes cases of the right structure with odd contents, and damages some. More than half of the cases must be accepted, as
//! a case that the first check refuses tests little.
//!
//! No case may panic, crash, take more than 5 s of a core or more than 1 GiB, or end with an exit code that is not documented.
//! A process of its own reads the files on which a C library may crash.
//!
//! `GRADSHARD_FUZZ_SECONDS` is the time of each generator (default 4). `GRADSHARD_FUZZ_SEED` draws other cases; without it they
//! are the same each time, so that no change fails by a fault that it did not bring. `tests/run.sh --fuzz` draws new ones.
//! `GRADSHARD_FUZZ_BATCH` begins with the batch that a failure names.

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
#[path = "fuzz/reader.rs"]
mod reader;
#[path = "fuzz/result_files.rs"]
mod result_files;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;

use campaign::campaign;
use gradshard::gradient::source::weights::Weights;
use gradshard::gradient::source::{FileKind, open_files};
use gradshard::gradient::{Dtype, Range};
use gradshard::harmless::printable;
use gradshard::job::Prepared;
use gradshard::results::consistency::consistency;
use gradshard::results::guidelines::guidelines;
use gradshard::results::{ResultFile, show};
use reader::{Outcome, Reader};

/// Elements that are read of a file at most.
const MOST_READ: u64 = 1 << 20;
/// The number of files that a reader takes for each one that gradshard itself reads too.
const EVERY: u64 = 64;

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
    read_all(kind, directory.path()).is_some()
}

/// Reads the files of a directory to their ends; None if one is refused.
fn read_all(kind: FileKind, directory: &Path) -> Option<()> {
    let source = open_files(kind, ".", directory, &Weights::Stored, None).ok()?;
    let all = source.clients() as u64 * source.elements();
    assert!(all < MOST_READ, "{all} elements of a small file");
    let mut out = vec![0; source.elements() as usize * size_of::<f64>()];
    let range = Range::new(0, source.elements());
    (0..source.clients()).try_for_each(|client| source.read_bytes(client, range, Dtype::F64, &mut out).ok())
}

#[test]
fn made_up_safetensors() {
    campaign("safetensors", 64, &arrays::safetensors(), |files| reads(FileKind::Safetensors, files));
}

#[test]
fn made_up_npy() {
    campaign("npy", 64, &arrays::npy(), |files| reads(FileKind::Npy, files));
}

/// Reads files by a process that serves many, and lets gradshard itself have every file on which that dies, and one in 64.
fn by_reader(reader: &RefCell<Reader>, number: &Cell<u64>, path: &Path, program: impl Fn() -> bool) -> bool {
    let mut outcome = reader.borrow_mut().read(path);
    if outcome == Outcome::DiedLater {
        // Another damaged file before it may be the reason. The next process is new.
        outcome = reader.borrow_mut().read(path);
    }
    assert_ne!(outcome, Outcome::DiedLater, "after the file was read");
    number.set(number.get() + 1);
    if outcome == Outcome::DiedReading {
        // Another damaged file before it may be the reason, so the program may accept it.
        program();
    } else if number.get().is_multiple_of(EVERY) {
        // A file that can be read may still lack what the program is asked for.
        assert!(!program() || outcome == Outcome::Done, "{outcome:?}, and accepted");
    }
    outcome == Outcome::Done
}

#[test]
#[ignore = "the process of made_up_hdf5_gradients that reads files"]
fn reader_of_gradients() {
    reader::serve(|path| read_all(FileKind::Hdf5, path.parent()?), drop);
}

#[test]
fn made_up_hdf5_gradients() {
    let (reader, number) = (RefCell::new(Reader::new("reader_of_gradients")), Cell::new(0));
    campaign("HDF5 gradients", 64, &hdf5_files::file(), |file| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("g.h5");
        fs::write(&path, file.bytes()).unwrap();
        let experiment = r#"{"gradients": {"source": "hdf5", "path": "g.h5"}, "strategies": "tree-central",
            "repeat": {"blocks": 1, "warmup": 0, "start": "barrier"}}"#;
        fs::write(directory.path().join("e.json"), experiment).unwrap();
        by_reader(&reader, &number, &path, || {
            program::ends_well(directory.path(), &["run", "e.json", "--threads", "1", "--no-limits"])
        })
    });
}

fn show_in_every_format(file: &ResultFile) {
    let path = Path::new("r.h5");
    let texts = [
        show::table(file, 80),
        show::answers(file, 140),
        show::csv(file),
        show::samples_csv(file),
        show::json(file, path).unwrap(),
        show::json_lines(file).unwrap(),
        consistency(file).iter().flat_map(|check| &check.faults).map(|fault| printable(fault)).collect(),
        show::scaling::scaling(file, 100),
        show::guidelines_text(path, &guidelines(file), 100),
        show::side_by_side([("one", file), ("other", file)], 100),
    ];
    let odd = |symbol: char| symbol.is_control() && symbol != '\n';
    assert!(!texts.iter().any(|text| text.contains(odd)), "{texts:?}");
}

/// The contents of result files without a file.
#[test]
fn made_up_results() {
    campaign("results", 64, &result_files::file(), |file| {
        show_in_every_format(&file.contents());
        true
    });
}

#[test]
#[ignore = "the process of made_up_result_files that reads files"]
fn reader_of_results() {
    reader::serve(|path| ResultFile::open(path).ok(), |file| show_in_every_format(&file));
}

#[test]
fn made_up_result_files() {
    let (reader, number) = (RefCell::new(Reader::new("reader_of_results")), Cell::new(0));
    campaign("result files", 64, &result_files::file(), |file| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.h5");
        fs::write(&path, file.bytes()).unwrap();
        let mut arguments = vec!["show", "r.h5"];
        arguments.extend(file.options());
        by_reader(&reader, &number, &path, || program::ends_well(directory.path(), &arguments))
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
