//! The cells, or the timed rounds, of a result file as CSV. Fields are quoted as in RFC 4180; lines end with a line feed
//! alone, as Unix tools expect. A missing value is an empty field.

use std::collections::BTreeMap;

use super::answer::answered;
use super::view::View;
use crate::harmless::csv_field;
use crate::plan::End;
use crate::results::ResultFile;
use crate::results::column::Row;
use crate::results::function_row::FunctionRow;
use crate::results::row::{CellRow, Sample};
use crate::stats::Tails;

/// Columns after those of `/cells`: the least time and the 99th percentile of the cell's rounds in seconds, and the advice
/// of its comparison.
const ADDED: [&str; 3] = ["min_s", "p99_s", "advice"];

/// One row per cell below a header with the names of the columns of `/cells` and of [`ADDED`]. In a file that has rounds on
/// functions in the place of cells, one row per such round below the names of the columns of `/function_rounds`.
pub fn csv(file: &ResultFile) -> String {
    if file.cells.is_empty() && !file.function_rounds.is_empty() {
        let mut text = header::<FunctionRow>(&[]);
        file.function_rounds.iter().for_each(|row| line(&mut text, &row.texts()));
        return text;
    }
    let view = View::of(file);
    let advice: BTreeMap<(u64, Option<End>), String> = answered(&view)
        .into_iter()
        .map(|(contest, answered)| ((contest.number, contest.end()), answered.advice.to_string()))
        .collect();
    let mut seconds: BTreeMap<(u64, u64), Vec<f64>> = BTreeMap::new();
    for sample in file.samples.iter().filter(|sample| sample.is_valid()) {
        seconds.entry((sample.job, sample.cell)).or_default().push(sample.seconds);
    }
    let mut text = header::<CellRow>(&ADDED);
    for cell in &file.cells {
        let tails = seconds.get(&(cell.job, cell.cell)).and_then(|seconds| Tails::of(seconds));
        let number = |of: fn(Tails) -> f64| tails.map_or(String::new(), |tails| of(tails).to_string());
        let mut fields = cell.texts();
        fields.extend([number(|tails| tails.least), number(|tails| tails.p99)]);
        fields.push(advice.get(&(view.number(file, cell), Some(cell.end))).cloned().unwrap_or_default());
        line(&mut text, &fields);
    }
    text
}

/// One row per timed round below a header with the names of the columns of `/samples`, and the strategy of the cell.
pub fn samples_csv(file: &ResultFile) -> String {
    let strategies: BTreeMap<(u64, u64), &str> =
        file.cells.iter().map(|cell| ((cell.job, cell.cell), cell.strategy.as_str())).collect();
    let mut text = header::<Sample>(&["strategy"]);
    for sample in &file.samples {
        let mut fields = sample.texts();
        fields.push((*strategies.get(&(sample.job, sample.cell)).unwrap_or(&"")).to_owned());
        line(&mut text, &fields);
    }
    text
}

fn header<R: Row>(added: &[&str]) -> String {
    let names: Vec<&str> = R::COLUMNS.iter().map(|column| column.name).chain(added.iter().copied()).collect();
    names.join(",") + "\n"
}

fn line(text: &mut String, fields: &[String]) {
    let fields: Vec<String> = fields.iter().map(|field| csv_field(field)).collect();
    *text += &(fields.join(",") + "\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;

    #[test]
    fn rounds_have_their_strategy() {
        let text = samples_csv(&samples::file());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "job,cell,block,place,seconds,late_ranks,superseded,involuntary_switches,off_core_seconds,ranks,strategy"
        );
        assert_eq!(lines[1..], ["0,0,0,0,0.0125,0,0,0,0,4,sharded-direct", "0,0,1,0,0.0125,0,0,0,0,4,sharded-direct"]);
    }

    #[test]
    fn rows_have_the_values_under_their_names() {
        let text = csv(&samples::file());
        let lines: Vec<&str> = text.lines().collect();
        // A header and four cells, one of which has a reason of two lines.
        assert_eq!(lines.len(), 5);
        assert!(lines[4].contains("\\n"), "{}", lines[4]);
        assert_eq!(
            lines[1],
            "0,0,0,sharded-direct,sharded,odd,1000003,f32,20,direct,0,back,default,default,,4,1MiB,4,2,colocated,shared,client,assumed,warm,everywhere,resident,10,\
             0.012345,0.0121,0.0126,324018793.03361684,6480375860.672337,0.5,,,84000252,memory,0.0061725,,,1572864,,,,,,0,0,0,,,,\
             precise,1,10,2,false,0.25,6,0,,,,ok,,2097152,1048576,524288,0,1048576,524288,0,\
             false,,,,,false,,,,,true,0,0,0.0000001,0.00000003,0,flat server,0.0125,0.0125,not-compared"
        );
        let names: Vec<&str> = lines[0].split(',').collect();
        let infeasible: Vec<&str> = lines[3].split(',').collect();
        // Counted from the end, as the quoted reason has a comma.
        let field = |name: &str| {
            infeasible[infeasible.len() - names.len() + names.iter().position(|other| *other == name).unwrap()]
        };
        assert_eq!((field("verified"), field("verification_max_ulp")), ("false", ""));
        assert_eq!(field("advice"), "not-compared");
        assert!(lines[3].contains(",infeasible,\"needs 12 GiB, the ceiling is 1 GiB\","), "{}", lines[3]);
    }
}
