//! Tests a disk that fills up while a job runs. The file is the last complete save, the message names the file and the
//! remedy, the results are kept elsewhere, and no rank waits for ever.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use std::path::Path;
use std::process::Command;

use gradshard::results::ResultFile;
use harness::{Finished, Place, available, launcher};
use serde_json::json;

const COMPARISONS: usize = 8;

/// Writes an experiment in which every comparison adds tens of kilobytes to the file.
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

/// Sizes of the file in bytes, before the first measurement and after the last.
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

/// Asserts the outcome of a job whose file at `output` could not be saved: messages, last save, and rescued results.
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

/// The shell's limit on file sizes acts like a quota: writes beyond it fail with EFBIG.
#[test]
fn a_file_that_may_not_grow_is_left_whole() {
    let (empty, whole) = sizes();
    let place = Place::new();
    experiment(&place);
    let rescue = tempfile::tempdir().unwrap();
    // With this limit some saves succeed, and the last one fails.
    let blocks = (empty + whole) / 2 / 1024;
    let run = format!(
        "ulimit -f {blocks}; exec {} run e.json --threads 2 --no-limits --output e.h5",
        env!("CARGO_BIN_EXE_gradshard")
    );
    // The limit also holds for the rescue file, so its failure is reported, too.
    let ended = place.shell(&run).env("TMPDIR", rescue.path().to_str().unwrap()).run();
    assert!(!ended.status.success() && ended.left_behind == 0, "{ended:#?}");
    let messages = ended.messages();
    assert!(messages.len() == 1 && messages[0].contains("e.h5"), "{ended:#?}");
    assert!(messages[0].contains("could not be kept in") && messages[0].contains("File too large"), "{messages:?}");
    let file = ResultFile::open(place.path("e.h5")).unwrap();
    assert!((file.cells.len()) < 2 * COMPARISONS, "{}", file.cells.len());
    // Without the limit, the rest is measured.
    let arguments = ["run", "e.json", "--threads", "2", "--no-limits", "--output", "e.h5", "--resume"];
    place.gradshard().args(arguments).run().success();
    assert_eq!(ResultFile::open(place.path("e.h5")).unwrap().cells.len(), 2 * COMPARISONS);
}

/// Two ranks write to a file system of some hundred kilobytes in a mount namespace. Writes fail with ENOSPC.
#[test]
fn a_full_disk_ends_the_job_and_keeps_what_was_measured() {
    let mounts = |options: &str| {
        let mut probe = Command::new("unshare");
        probe.args([options, "sh", "-c", "d=$(mktemp -d) && mount -t tmpfs none $d && umount $d && rmdir $d"]);
        probe
    };
    // Root needs no user namespace, and may not be allowed to create one.
    let options = if mounts("-m").output().is_ok_and(|done| done.status.success()) { "-m" } else { "-rm" };
    if !available("a namespace in which a file system can be mounted", &mut mounts(options)) {
        return;
    }
    let (empty, whole) = sizes();
    let place = Place::new();
    experiment(&place);
    std::fs::create_dir(place.path("disk")).unwrap();
    let rescue = tempfile::tempdir().unwrap();
    // The old and the new file must both fit during a save. The first saves succeed, and the last one does not.
    let bytes = (empty + whole) / 4096 * 4096;
    // The namespace and its disk end with the shell, so the remaining files are copied out.
    let run = format!(
        "mount -t tmpfs -o size={bytes} none disk && TMPDIR={} {} -n 2 {} run e.json --no-limits --output disk/e.h5; \
         code=$?; cp -a disk/. out; exit $code",
        rescue.path().display(),
        launcher(),
        env!("CARGO_BIN_EXE_gradshard")
    );
    std::fs::create_dir(place.path("out")).unwrap();
    let ended = place.within("unshare", &[options, "sh", "-c", &run]).limit(120).run();
    // MPI libraries create directories in the rescue directory, and remove them again.
    assert_told_and_kept(&ended, &place.path("out/e.h5"), rescue.path());
    let left: Vec<_> = std::fs::read_dir(place.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["e.h5"], "no partial file and no lock is left");
}
