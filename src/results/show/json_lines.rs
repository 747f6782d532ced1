//! A result file as JSON Lines: one figure of merit a line, as services that follow figures over time take them.

use serde_json::{Map, Value, json};

use crate::harmless::json_text;
use crate::results::ResultFile;
use crate::results::column::Row;
use crate::results::row::{CellRow, RatioRow};

/// The columns of `/cells` that say which cell it is: those before the number of samples, without what was found of it.
fn identity() -> impl Iterator<Item = &'static str> {
    let names = CellRow::COLUMNS.iter().map(|column| column.name);
    names.take_while(|name| *name != "samples").filter(|name| *name != "fingerprint")
}

/// Figures of merit of a cell, each with the columns of the ends of its interval.
const FIGURES: [(&str, Option<[&str; 2]>); 9] = [
    ("median_s", Some(["ci_low_s", "ci_high_s"])),
    ("gradient_bytes_per_s", None),
    ("share_of_limit", Some(["share_low", "share_high"])),
    ("share_of_own_limit", None),
    ("aggregating_bytes", None),
    ("library_bytes", None),
    ("messages_max", None),
    ("wire_bytes_seen", None),
    ("disturbed_samples", None),
];

/// One line per figure of each timed cell. A line is an object with `experiment`, `created`, the columns that identify the cell, `figure`,
/// `value`, `unit`, and `low` and `high`, the ends of the 95 % interval, null if there is none. `figure` is the name of a
/// column of `/cells`, or `ratio`: the time divided by that of the fastest cell of the comparison. Figures that are not known
/// have no line.
///
/// # Errors
/// The errors of serialisation.
pub fn json_lines(file: &ResultFile) -> serde_json::Result<String> {
    let mut text = String::new();
    for cell in file.cells.iter().filter(|cell| cell.median_s.is_some()) {
        let row = serde_json::to_value(cell)?;
        let mut whose = Map::new();
        whose.insert("experiment".to_owned(), json!(file.experiment_name()));
        whose.insert("created".to_owned(), json!(file.created));
        whose.extend(identity().map(|name| (name.to_owned(), row[name].clone())));
        let mut line = |figure: &str, unit: &str, [value, low, high]: [Value; 3]| {
            if !value.is_null() {
                let figure = json!({"figure": figure, "value": value, "unit": unit, "low": low, "high": high});
                let fields: Map<String, Value> =
                    whose.clone().into_iter().chain(figure.as_object().cloned().unwrap_or_default()).collect();
                text += &format!("{}\n", Value::Object(fields));
            }
        };
        for (figure, ends) in FIGURES {
            let [low, high] = ends.map_or([Value::Null, Value::Null], |ends| ends.map(|end| row[end].clone()));
            line(figure, unit(figure), [row[figure].clone(), low, high]);
        }
        let of_cell = |ratio: &&RatioRow| (ratio.job, ratio.cell) == (cell.job, cell.cell);
        if let Some(RatioRow { estimate, ci_low, ci_high, .. }) = file.ratios.iter().find(of_cell) {
            line("ratio", "1", [json!(estimate), json!(ci_low), json!(ci_high)]);
        }
    }
    Ok(json_text(&text))
}

/// The unit of a column of `/cells`.
fn unit(figure: &str) -> &'static str {
    CellRow::COLUMNS.iter().find(|column| column.name == figure).map_or("", |column| column.unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;

    #[test]
    fn each_line_is_a_figure_of_one_cell() {
        let text = json_lines(&samples::file()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let first = &lines[0];
        assert_eq!((&first["experiment"], &first["strategy"]), (&json!("first-look"), &json!("sharded-direct")));
        assert_eq!(
            (&first["figure"], &first["value"], &first["unit"]),
            (&json!("median_s"), &json!(0.012345), &json!("s"))
        );
        assert_eq!((&first["low"], &first["high"]), (&json!(0.0121), &json!(0.0126)));
        let of_first = lines.iter().filter(|line| line["cell"] == 0).map(|line| line["figure"].as_str().unwrap());
        let known = ["median_s", "gradient_bytes_per_s", "share_of_limit", "aggregating_bytes", "messages_max"];
        assert_eq!(of_first.collect::<Vec<_>>(), known);
        assert_eq!(identity().collect::<Vec<_>>()[..4], ["job", "cell", "comparison", "strategy"]);
        assert!(lines.iter().all(|line| identity().all(|name| !line[name].is_null()) && line["unit"] != ""));
    }
}
