//! The answers of many comparisons in a sentence and a matrix: a row for each place, a column for each model.

use gradshard::plan::Family;
use gradshard::results::advice::Advice;
use gradshard::results::contest::{Contest, Factor};
use gradshard::results::distinct::distinct;
use gradshard::results::row::CellRow;

use crate::number::bytes;
use crate::source::Compared;

/// Least number of comparisons that are shown as a matrix.
const LEAST: usize = 4;

/// The answer of one comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixCell {
    /// The index of the comparison in the report.
    pub comparison: usize,
    /// The advice.
    pub advice: Advice,
    /// The fastest strategy; empty if nothing was timed.
    pub fastest: String,
    /// How much faster it is than the best of the next family, with the interval; empty if that is not known.
    pub times: String,
}

/// A row, and its cells in the order of the columns.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixRow {
    /// The properties of its comparisons besides the model.
    pub name: String,
    /// The answers; None where there is no comparison.
    pub cells: Vec<Option<MatrixCell>>,
}

/// The answers of all comparisons.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// A sentence that counts them.
    pub sentence: String,
    /// The models, by size.
    pub columns: Vec<String>,
    /// The rows, by end, nodes and ranks.
    pub rows: Vec<MatrixRow>,
}

/// The matrix of the comparisons. None if they are few. With `several` files the rows have labels.
pub fn matrix(comparisons: &[Compared<'_>], several: bool) -> Option<Matrix> {
    let placed: Vec<(usize, &Compared<'_>, &CellRow)> = comparisons
        .iter()
        .enumerate()
        .filter_map(|(index, one)| Some((index, one, *one.contest.cells.first()?)))
        .collect();
    if placed.len() < LEAST {
        return None;
    }
    let mut columns: Vec<(u64, &str)> =
        distinct(placed.iter().map(|(_, _, cell)| (cell.gradient_bytes(), cell.model.as_str())));
    columns.sort_unstable();
    let facts = |one: &Compared<'_>| {
        let label = several.then(|| one.source.label.clone());
        label.into_iter().chain(one.contest.facts.iter().cloned()).collect::<Vec<String>>().join(", ")
    };
    let mut keys: Vec<_> = placed
        .iter()
        .map(|(_, one, cell)| {
            (&one.source.label, cell.end.to_string(), cell.nodes, cell.ranks, cell.clients, facts(one))
        })
        .collect();
    keys.sort_unstable();
    let names = distinct(keys.into_iter().map(|(.., facts)| facts));
    let row = |name: String| {
        let cell = |column: &(u64, &str)| {
            let of = |cell: &CellRow| (cell.gradient_bytes(), cell.model.as_str()) == *column;
            let (index, one, _) = placed.iter().find(|(_, one, cell)| of(cell) && facts(one) == name)?;
            Some(answer(*index, &one.contest))
        };
        MatrixRow { cells: columns.iter().map(cell).collect(), name }
    };
    let rows: Vec<MatrixRow> = names.into_iter().map(row).collect();
    let advice: Vec<Advice> = comparisons.iter().map(|one| one.contest.answered().advice).collect();
    let mut counts: Vec<(Advice, usize)> = distinct(advice.iter().copied())
        .into_iter()
        .map(|one| (one, advice.iter().filter(|other| **other == one).count()))
        .collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts: Vec<String> =
        counts.into_iter().map(|(advice, count)| format!("{} in {count}", advice.spoken())).collect();
    let sentence = match advice.as_slice() {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => {
            format!("The answer of all {} comparisons: {}.", advice.len(), first.spoken())
        }
        _ => format!("The answer of {} comparisons: {}.", advice.len(), counts.join(", ")),
    };
    let column = |(size, model): (u64, &str)| match bytes(size as f64) {
        size if size.replace(' ', "") == model => size,
        size => format!("{model} ({size})"),
    };
    Some(Matrix { sentence, columns: columns.into_iter().map(column).collect(), rows })
}

fn answer(comparison: usize, contest: &Contest<'_>) -> MatrixCell {
    let advice = contest.answered().advice;
    let families = [Family::Sharded, Family::Tree, Family::Server];
    let mut best: Vec<&CellRow> = families.into_iter().filter_map(|family| contest.best(family)).collect();
    best.extend(contest.best(Family::Library).filter(|_| advice == Advice::LeaveItToTheLibrary));
    best.sort_by(|one, other| one.median_s.unwrap_or(f64::NAN).total_cmp(&other.median_s.unwrap_or(f64::NAN)));
    // The blocks may contradict the medians.
    if best.get(1).is_some_and(|second| Advice::from(second.family) == advice) {
        best.swap(0, 1);
    }
    let times = match best.as_slice() {
        [first, second, ..] => contest.ratio(first, second).map(|ratio| Factor::of(ratio, second).times()),
        _ => None,
    };
    let fastest = best.first().copied().or(contest.fastest()).map_or(String::new(), |cell| contest.name(cell));
    MatrixCell { comparison, advice, fastest, times: times.unwrap_or_default() }
}
