//! Executes the notebook that shows how to read a result file.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use harness::{Place, python, repository, script};

#[test]
fn the_notebook_runs() {
    let Some(python) = python("nbclient, ipykernel, matplotlib, h5py, pandas") else { return };
    let place = Place::new();
    place.write(
        "made.json",
        r#"{"models": 1000, "clients": 4, "strategies": ["sharded-direct", "tree-two", "tree-central"],
            "repeat": {"blocks": 10}}"#,
    );
    place.gradshard().args(["run", "made.json", "--threads", "2", "--no-limits", "--quiet"]).run().success();
    let notebook = repository().join("analysis/reading.ipynb");
    let arguments = [script("notebook.py"), notebook, place.path("made.h5")];
    place
        .within(python.get_program().to_str().unwrap(), &arguments.each_ref().map(|path| path.to_str().unwrap()))
        .env("PYTHONPATH", repository().join("analysis/python").to_str().unwrap())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("GRADSHARD", env!("CARGO_BIN_EXE_gradshard"))
        .run()
        .success();
}
