//! A result file as JSON for programs.

use std::path::Path;

use serde_json::{Value, json};

use super::answer::answered;
use super::view::View;
use crate::harmless::json_text;
use crate::results::ResultFile;
use crate::results::advice::Answered;
use crate::results::row::{CellRow, MemoryRow};

/// One object and a line feed. The object has `file`, `schema_version`, `gradshard_version`, `created`,
/// `experiment` (its name or null), `experiment_sha256`, `environment`, `jobs`, `answers`, `cells`, `ratios` and `pooled_ratios`
/// (rows of [`RatioRow`](crate::results::row::RatioRow) and [`PooledRow`](crate::results::job_row::PooledRow)).
///
/// `answers` has one object for each comparison and end: `comparison`, `of` (what distinguishes it from others), `advice`
/// (an [`Advice`](crate::results::advice::Advice)) and `sentence`.
///
/// A cell has the fields of [`CellRow`]. Its `memory.predicted` and `memory.tracked` hold the purposes and their
/// `total`, and the kernel's figures are beside them. Missing values, NaN and infinities are null.
///
/// # Errors
/// The errors of serialisation.
pub fn json(file: &ResultFile, path: &Path) -> serde_json::Result<String> {
    let cells = file.cells.iter().map(cell).collect::<serde_json::Result<Vec<Value>>>()?;
    let view = View::of(file);
    let answers: Vec<Value> = answered(&view)
        .into_iter()
        .map(|(contest, Answered { advice, sentence })| {
            let comparison = contest.cells.first().map(|cell| view.comparison(cell));
            json!({"comparison": comparison, "of": contest.title(), "advice": advice, "sentence": sentence})
        })
        .collect();
    let object = json!({
        "file": path.to_string_lossy(),
        "schema_version": file.schema_version,
        "gradshard_version": file.gradshard_version,
        "created": file.created,
        "experiment": file.experiment_name(),
        "experiment_sha256": file.experiment_sha256,
        "environment": file.environment,
        "jobs": file.jobs,
        "answers": answers,
        "cells": cells,
        "ratios": file.ratios,
        "pooled_ratios": file.pooled_ratios,
    });
    Ok(json_text(&format!("{object:#}\n")))
}

fn cell(row: &CellRow) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(row)?;
    let purposes = |memory: &MemoryRow| -> serde_json::Result<Value> {
        let mut purposes = serde_json::to_value(memory)?;
        purposes["total"] = memory.total().into();
        Ok(purposes)
    };
    value["memory"] = json!({
        "predicted": purposes(&row.memory)?,
        "tracked": row.tracked.as_ref().map(purposes).transpose()?,
        "aggregator": purposes(&row.aggregator)?,
        "aggregating_bytes": row.aggregating_bytes,
        "kernel": row.kernel,
        "library_bytes": row.library_bytes,
        "group_peak_bytes": row.group_peak_bytes,
    });
    if let Value::Object(fields) = &mut value {
        for moved in ["tracked", "aggregator", "aggregating_bytes", "kernel", "library_bytes", "group_peak_bytes"] {
            fields.remove(moved);
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;

    #[test]
    fn cells_have_memory_by_purpose_and_null_where_nothing_is() {
        let out = json(&samples::file(), Path::new("dir/results.h5")).unwrap();
        assert!(out.ends_with("}\n"));
        let object: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(object["file"], "dir/results.h5");
        assert_eq!(object["schema_version"], 8);
        assert_eq!(object["answers"][0]["advice"], "not-compared");
        assert_eq!(object["cells"][0]["limit_part"], "memory");
        assert_eq!(object["experiment"], "first-look");
        assert_eq!(object["environment"]["ranks_per_node"], 2);
        let cells = object["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 4);
        assert_eq!(
            cells[0]["memory"]["predicted"],
            json!({"resident": 2097152, "accumulators": 1048576, "staging": 524288, "result": 0, "total": 3670016})
        );
        assert_eq!(
            cells[1]["verification"],
            json!({"differing_elements": 7, "max_ulp": 2, "max_relative_error_vs_exact": 2e-7, "max_backward_error": 3e-8, "wrong_elements": 0, "reference": "flat server"})
        );
        assert_eq!((&cells[2]["verification"], &cells[2]["median_s"]), (&Value::Null, &Value::Null));
        assert_eq!((&cells[2]["status"], &cells[0]["reason"]), (&json!("infeasible"), &json!("")));
        assert_eq!(cells[3]["verification"]["max_relative_error_vs_exact"], Value::Null);
    }
}
