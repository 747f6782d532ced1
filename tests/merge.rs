//! Tests merging the result files of several jobs under MPI's launcher, up to the printed table.

mod harness;

use harness::Place;
use serde_json::{Value, json};

fn job(place: &Place, ranks: usize, output: &str) {
    place.mpi(ranks).args(["run", "sweep.json", "--no-limits", "--output", output]).run().success();
}

fn experiment(place: &Place, blocks: u64) {
    let experiment = json!({
        "models": [{"name": "m", "elements": 4099}],
        "clients": 4,
        "shards": 2,
        "strategies": ["sharded-direct", "tree-central", "native-reduce"],
        "repeat": {"blocks": blocks, "precision": 1e-9}
    });
    place.write("sweep.json", experiment.to_string());
}

fn shown(place: &Place, file: &str) -> Value {
    place.gradshard().args(["show", file, "--format", "json"]).run().json()
}

/// There are three jobs of 2 ranks and one of 4. The ratios over the three jobs are calculated here from their own
/// ratios.
#[test]
fn jobs_are_the_outer_unit() {
    let place = Place::new();
    experiment(&place, 10);
    for (ranks, output) in [(2, "a.h5"), (2, "b.h5"), (2, "c.h5"), (4, "d.h5")] {
        job(&place, ranks, output);
    }
    let merged = place.gradshard().args(["merge", "all.h5", "a.h5", "b.h5", "c.h5", "d.h5"]).run();
    merged.success();
    assert!(merged.stderr.contains("all.h5: 4 jobs, 12 cells"), "{merged:#?}");
    let all = shown(&place, "all.h5");
    let jobs: Vec<(&str, u64)> = all["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| (j["file"].as_str().unwrap(), j["ranks"].as_u64().unwrap()))
        .collect();
    assert_eq!(jobs, [("a.h5", 2), ("b.h5", 2), ("c.h5", 2), ("d.h5", 4)]);
    // The merged file has every job's own cells and ratios unchanged.
    for (number, (file, _)) in jobs.iter().enumerate() {
        let own = shown(&place, file);
        for table in ["cells", "ratios"] {
            let of_job = |rows: &Value, job: u64| -> Vec<Value> {
                let rows = rows.as_array().unwrap().iter().filter(|row| row["job"] == job).cloned();
                rows.map(|mut row| {
                    row["job"] = json!(0);
                    row
                })
                .collect()
            };
            assert_eq!(of_job(&all[table], number as u64), of_job(&own[table], 0), "{table} of {file}");
        }
    }
    let pooled = all["pooled_ratios"].as_array().unwrap();
    assert_eq!(pooled.len(), 2, "{pooled:?}");
    for row in pooled {
        assert_eq!((&row["jobs"], &row["ranks"]), (&json!(3), &json!(2)), "{row}");
        // If all three jobs have the same fastest cell, their own ratios are pooled.
        let ratios = all["ratios"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|r| r["cell"] == row["cell"] && r["baseline"] == row["baseline"]);
        let logs: Vec<f64> =
            ratios.filter(|r| r["job"].as_u64().unwrap() < 3).map(|r| r["estimate"].as_f64().unwrap().ln()).collect();
        if logs.len() < 3 {
            continue;
        }
        let mean = logs.iter().sum::<f64>() / 3.0;
        let deviation = (logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        // The 97.5 % quantile of Student's t with two degrees of freedom.
        let reach = 4.302_652_73 * deviation / 3f64.sqrt();
        for (name, expected) in
            [("estimate", mean), ("ci_low", mean - reach), ("ci_high", mean + reach), ("spread", deviation)]
        {
            assert!((row[name].as_f64().unwrap().ln() - expected).abs() < 1e-6, "{name}: {expected} in {row}");
        }
    }
    let table = place.gradshard().args(["show", "all.h5"]).run();
    let table = table.success();
    assert!(
        table.lines().any(|line| line.starts_with("  strategy") && line.contains(" ranks ") && line.contains(" jobs ")),
        "{table}"
    );
    assert!(table.contains("job 3: d.h5, begun "), "{table}");
    let csv = place.gradshard().args(["show", "all.h5", "--format", "csv"]).run();
    assert_eq!(csv.success().lines().count(), 13);
}

#[test]
fn what_cannot_be_merged_is_refused_and_twice_is_once() {
    let place = Place::new();
    experiment(&place, 1);
    job(&place, 2, "a.h5");
    experiment(&place, 2);
    job(&place, 2, "b.h5");
    let refused =
        |arguments: &[&str], words: &[&str]| place.gradshard().args(["merge"]).args(arguments).run().refused(words);
    refused(&["all.h5", "a.h5", "b.h5"], &["b.h5: holds another experiment than a.h5: repeat.blocks is 2, not 1"]);
    refused(&["a.h5", "b.h5"], &["a.h5: is the file of a job, not a merged one"]);
    refused(&["all.h5", "sweep.json"], &["sweep.json: is not an HDF5 file"]);
    refused(&["none/all.h5", "b.h5"], &["there is no directory none"]);
    place.gradshard().args(["merge", "all.h5", "b.h5"]).run().success();
    let before = shown(&place, "all.h5");
    let again = place.gradshard().args(["merge", "all.h5", "b.h5"]).run();
    again.success();
    assert!(again.stderr.contains("is there already; left out"), "{again:#?}");
    assert_eq!(shown(&place, "all.h5"), before);
    place
        .mpi(2)
        .args(["run", "sweep.json", "--output", "all.h5", "--resume"])
        .run()
        .refused(&["all.h5: was merged from several jobs"]);
    let names: Vec<String> = place
        .contents()
        .into_iter()
        .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["a.h5", "all.h5", "b.h5", "sweep.json"]);
}
