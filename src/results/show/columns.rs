//! The columns of a comparison's table. A page that is too narrow for all of them leaves some out, and names them.

use super::number::{TimeUnit, about_mebibytes, gigabytes};
use super::page::{Align, Grid, Page, printable};
use super::view::View;
use crate::results::row::{CellRow, Status};
use crate::stats::Tails;

/// A property of cells: its name, and its text for a cell.
pub(super) type ViewFact<'v> = (&'static str, Box<dyn Fn(&CellRow) -> String + 'v>);

/// Memory of the MPI library in bytes above which the table marks it.
const MUCH: u64 = 8 << 20;

/// Text of a missing value.
const NONE: &str = "-";

/// Width in characters of the bar that shows the share of the limit.
const BAR: usize = 8;

/// A column of a comparison's table.
pub(super) struct TableColumn {
    name: &'static str,
    align: Align,
    /// Order in which columns are left out if a line is too long, the smallest number first. None if it always stays.
    goes: Option<u8>,
    texts: Vec<String>,
}

impl TableColumn {
    fn of(
        name: &'static str,
        align: Align,
        goes: Option<u8>,
        cells: &[&CellRow],
        text: &dyn Fn(&CellRow) -> String,
    ) -> TableColumn {
        TableColumn { name, align, goes, texts: cells.iter().map(|cell| text(cell)).collect() }
    }

    fn width(&self) -> usize {
        self.texts.iter().map(|text| text.chars().count()).chain([self.name.chars().count()]).max().unwrap_or(0)
    }
}

/// The columns for `cells`, the rows of one table, after which those of `differing`, in which the rows differ.
pub(super) fn columns(cells: &[&CellRow], differing: &[ViewFact<'_>], view: &View<'_>) -> Vec<TableColumn> {
    // There is a fastest cell for each comparison and end.
    let first = |cell: &CellRow| {
        let rivals = cells.iter().filter(|rival| (rival.comparison, rival.end) == (cell.comparison, cell.end));
        let fastest = rivals.filter_map(|rival| rival.timed()).reduce(f64::min);
        cell.timed().is_some() && cell.timed() == fastest
    };
    let right = |name, goes, text: &dyn Fn(&CellRow) -> String| TableColumn::of(name, Align::Right, goes, cells, text);
    let strategy = |cell: &CellRow| format!("{} {}", if first(cell) { '*' } else { ' ' }, printable(&cell.formed()));
    let mut columns = vec![TableColumn::of("  strategy", Align::Left, None, cells, &strategy)];
    columns.extend(differing.iter().map(|(name, value)| right(name, None, &**value)));
    columns.push(right("M", None, &|cell| cell.shards.to_string()));
    columns.push(right("flow", Some(12), &|cell| printable(&cell.flow)));
    columns.push(right("median", None, &|cell| times(cell)[0].clone()));
    columns.push(right("95 % CI", Some(13), &|cell| times(cell)[1].clone()));
    // In the unit of the median.
    let tail = |cell: &CellRow, of: fn(Tails) -> f64| match cell.timed().zip(view.tails(cell)) {
        Some((median, tails)) => TimeUnit::of(median).show(of(tails)),
        None => NONE.to_owned(),
    };
    columns.push(right("min", Some(3), &|cell| tail(cell, |tails| tails.least)));
    columns.push(right("p99", Some(2), &|cell| tail(cell, |tails| tails.p99)));
    let rate = |rate: Option<f64>| rate.map_or(NONE.into(), gigabytes);
    columns.push(right("GB/s", Some(7), &|cell| rate(cell.gradient_bytes_per_s)));
    columns.push(right("ingest", Some(0), &|cell| rate(cell.ingest_bytes_per_s)));
    columns.extend(limits(cells));
    columns.push(right("own", Some(11), &|cell| memory(cell)[0].clone()));
    columns.push(right("seen", Some(8), &|cell| memory(cell)[1].clone()));
    columns.push(right("lib", Some(5), &|cell| memory(cell)[2].clone()));
    let verified = |cell: &CellRow| match &cell.verification {
        Some(found) => {
            let error = found.max_backward_error.map_or(NONE.to_owned(), |error| format!("{error:.1e}"));
            [share_of(found.differing_elements, cell.elements), error]
        }
        None => [NONE, NONE].map(str::to_owned),
    };
    columns.push(right("diff", Some(4), &|cell| verified(cell)[0].clone()));
    columns.push(right("error", Some(1), &|cell| verified(cell)[1].clone()));
    columns
}

/// The columns on what the machine allows, and on the wires.
fn limits(cells: &[&CellRow]) -> Vec<TableColumn> {
    let right = |name, goes, text: &dyn Fn(&CellRow) -> String| TableColumn::of(name, Align::Right, goes, cells, text);
    let mut columns = Vec::new();
    let share = |cell: &CellRow| cell.share_of_limit.map_or(NONE.into(), |share| format!("{share:.3}"));
    columns.push(right("limit", Some(10), &share));
    if cells.iter().any(|cell| cell.share_of_limit.is_some()) {
        let drawn = |cell: &CellRow| cell.share_of_limit.map_or(String::new(), bar);
        columns.push(TableColumn::of("", Align::Left, Some(6), cells, &drawn));
    }
    let algorithm = |cell: &CellRow| cell.share_of_own_limit.map_or(NONE.into(), |share| format!("{share:.3}"));
    if cells.iter().any(|cell| cell.share_of_own_limit.is_some() && cell.share_of_own_limit != cell.share_of_limit) {
        columns.push(right("alg", Some(9), &algorithm));
    }
    if cells.iter().any(|cell| cell.wire_bytes_seen.is_some()) {
        let seen = |cell: &CellRow| cell.wire_bytes_seen.map_or(NONE.into(), |bytes| about_mebibytes(bytes as u64));
        columns.push(right("wire", Some(8), &seen));
    }
    columns
}

/// Prints the columns that fit, and names the others.
pub(super) fn print_columns(page: &mut Page, mut columns: Vec<TableColumn>, rows: usize) {
    let mut gone = Vec::new();
    while columns.iter().map(|column| column.width() + 1).sum::<usize>() > page.width() + 1 {
        let next = (0..columns.len()).filter(|at| columns[*at].goes.is_some()).min_by_key(|at| columns[*at].goes);
        let Some(next) = next else { break };
        gone.push(columns.remove(next).name);
    }
    let mut grid = Grid::new(columns.iter().map(|column| (column.name, column.align)).collect());
    for row in 0..rows {
        grid.push(columns.iter().map(|column| column.texts[row].clone()).collect());
    }
    page.grid(&grid);
    gone.retain(|name| !name.is_empty());
    if !gone.is_empty() {
        page.paragraph(&format!("  (no room for {}: --width or --format csv has them)", gone.join(", ")), 2);
    }
}

/// A share as a bar of eighths of a column, full at 1.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (8 * BAR) as f64).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// A count as a percentage of all; `0` only if the count is 0.
fn share_of(count: u64, all: u64) -> String {
    if count == 0 || all == 0 {
        return count.to_string();
    }
    match count as f64 / all as f64 * 100.0 {
        percent if percent >= 9.95 => format!("{percent:.0}%"),
        percent if percent >= 0.1 => format!("{percent:.1}%"),
        _ => "<0.1%".to_owned(),
    }
}

/// The memory of a rank that aggregates in MiB: predicted, reported by the kernel, and taken by the MPI library.
fn memory(cell: &CellRow) -> [String; 3] {
    let library = cell.library_bytes.map_or(NONE.to_owned(), |bytes| {
        // The figure is slightly negative if the round reused pages that the process already held.
        let bytes = bytes.max(0.0) as u64;
        let much = bytes > MUCH && bytes > cell.aggregating_bytes / 10;
        format!("{}{}", about_mebibytes(bytes), if much { "!" } else { "" })
    });
    let seen = cell.kernel.map_or(NONE.to_owned(), |seen| about_mebibytes(seen.round));
    [about_mebibytes(cell.aggregating_bytes), seen, library]
}

/// The median with its unit, and its interval in the same unit. A cell that is not ok has its status instead.
fn times(cell: &CellRow) -> [String; 2] {
    if cell.status != Status::Ok {
        return [cell.status.to_string(), NONE.to_owned()];
    }
    let Some(median) = cell.median_s else { return [NONE, NONE].map(str::to_owned) };
    let unit = TimeUnit::of(median);
    let interval = match (cell.ci_low_s, cell.ci_high_s) {
        (Some(low), Some(high)) => format!("{}–{}", unit.show(low), unit.show(high)),
        _ => NONE.to_owned(),
    };
    [format!("{} {}", unit.show(median), unit.name), interval]
}
