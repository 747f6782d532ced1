//! A disk that fills up while a job runs: the file is as the last complete save left it, the message says which file and
//! what to do, what was measured is kept elsewhere, and no rank waits for ever.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use std::path::Path;
use std::process::Command;

use gradshard::results::ResultFile;
use harness::{Finished, Place, available, launcher};
use serde_json::json;

const COMPARISONS: usize = 8;

/// Comparisons of so many rounds that each adds tens of kilobytes to the file.
fn experiment(place: &Place) {
    let models: Vec<_> = (0..COMPARISONS).map(|m| json!({"name": format!("m{m}"), "elements": 10 + m})).collect();
    let experiment = json!({
        "models": models,
        "clients": 2,
        "strategies": ["sharded-direct", "tree-central"],
        "repeat": {"precision": 1e-9, "blocks": 200, "warmup": 0}
    });
    place.write("e.json", experiment.to_string());
}

/// Bytes of the file before anything was measured, and when all was.
fn sizes() -> (u64, u64) {
    let place = Place::new();
    experiment(&place);
    place.gradshard().args(["run", "e.json", "--threads", "2", "--no-limits", "--output", "e.h5"]).run().success();
    let whole = place.path("e.h5").metadata().unwrap().len();
    place.write("none.json", r#"{"models": 1, "clients": 2, "repeat": {"blocks": 1}}"#);
    place
        .gradshard()
        .args(["run", "none.json", "--threads", "2", "--no-limits", "--output", "none.h5"])
        .run()
        .success();
    (place.path("none.h5").metadata().unwrap().len(), whole)
}

/// What must hold after a job whose file at `output` could not be saved any more.
fn assert_told_and_kept(ended: &Finished, output: &Path, rescue: &Path) {
    assert!(!ended.status.success() && ended.seconds < 60.0 && ended.left_behind == 0, "{ended:#?}");
    assert_ne!(ended.status.code(), Some(2), "{ended:#?}");
    let messages = ended.messages();
    assert_eq!(messages.len(), 1, "{ended:#?}");
    for part in ["e.h5", "could not", "--resume", "free"] {
        assert!(messages[0].contains(part), "{part:?} is not in {:?}", messages[0]);
    }
    let file = ResultFile::open(output).unwrap();
    assert!(file.cells.len() < 2 * COMPARISONS, "{}", file.cells.len());
    let kept: Vec<_> = std::fs::read_dir(rescue).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}: {ended:#?}") };
    assert!(messages[0].contains(kept.file_name().unwrap().to_str().unwrap()), "{messages:?} {kept:?}");
    let kept = ResultFile::open(kept).unwrap();
    assert_eq!(kept.cells.len(), file.cells.len() + 2, "the comparison that could not be saved is kept");
    assert_eq!(kept.cells[..file.cells.len()], file.cells[..]);
}

/// The shell's limit on the size of files stands for a quota: writes beyond it fail, with EFBIG.
#[test]
fn a_file_that_may_not_grow_is_left_whole() {
    let (empty, whole) = sizes();
    let place = Place::new();
    experiment(&place);
    let rescue = tempfile::tempdir().unwrap();
    // In the middle: some saves succeed, the last cannot.
    let blocks = (empty + whole) / 2 / 1024;
    let run = format!(
        "ulimit -f {blocks}; exec {} run e.json --threads 2 --no-limits --output e.h5",
        env!("CARGO_BIN_EXE_gradshard")
    );
    // The rescue goes where files may grow as little: its own failure is told, too.
    let ended = place.shell(&run).env("TMPDIR", rescue.path().to_str().unwrap()).run();
    assert!(!ended.status.success() && ended.left_behind == 0, "{ended:#?}");
    let messages = ended.messages();
    assert!(messages.len() == 1 && messages[0].contains("e.h5"), "{ended:#?}");
    assert!(messages[0].contains("could not be kept in") && messages[0].contains("File too large"), "{messages:?}");
    let file = ResultFile::open(place.path("e.h5")).unwrap();
    assert!((file.cells.len()) < 2 * COMPARISONS, "{}", file.cells.len());
    // Where there is room again, the rest is measured.
    let arguments = ["run", "e.json", "--threads", "2", "--no-limits", "--output", "e.h5", "--resume"];
    place.gradshard().args(arguments).run().success();
    assert_eq!(ResultFile::open(place.path("e.h5")).unwrap().cells.len(), 2 * COMPARISONS);
}

/// A file system of a few hundred kilobytes, in a mount namespace of its own: two ranks, ENOSPC.
#[test]
fn a_full_disk_ends_the_job_and_keeps_what_was_measured() {
    let mounts = |options: &str| {
        let mut probe = Command::new("unshare");
        probe.args([options, "sh", "-c", "d=$(mktemp -d) && mount -t tmpfs none $d && umount $d && rmdir $d"]);
        probe
    };
    // Root needs no user namespace, and may not be allowed one.
    let options = if mounts("-m").output().is_ok_and(|done| done.status.success()) { "-m" } else { "-rm" };
    if !available("a namespace in which a file system can be mounted", &mut mounts(options)) {
        return;
    }
    let (empty, whole) = sizes();
    let place = Place::new();
    experiment(&place);
    std::fs::create_dir(place.path("disk")).unwrap();
    let rescue = tempfile::tempdir().unwrap();
    // The old file and the new one must fit beside each other: the first saves do, the last does not.
    let bytes = (empty + whole) / 4096 * 4096;
    // The namespace, and the disk with it, go with the shell: what is left on it is copied out.
    let run = format!(
        "mount -t tmpfs -o size={bytes} none disk && TMPDIR={} {} -n 2 {} run e.json --no-limits --output disk/e.h5; \
         code=$?; cp -a disk/. out; exit $code",
        rescue.path().display(),
        launcher(),
        env!("CARGO_BIN_EXE_gradshard")
    );
    std::fs::create_dir(place.path("out")).unwrap();
    let ended = place.within("unshare", &[options, "sh", "-c", &run]).limit(120).run();
    // MPI libraries put their own directories there, and take them away again.
    assert_told_and_kept(&ended, &place.path("out/e.h5"), rescue.path());
    let left: Vec<_> = std::fs::read_dir(place.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["e.h5"], "no partial file and no lock is left");
}
