//! A result file as text for a terminal of 100 columns.

use std::collections::BTreeMap;

use serde_json::Value;
use strum::VariantArray;

use super::answer::answer;
use super::number::{TimeUnit, about_mebibytes, gigabytes, mebibytes, significant};
use super::page::{Align, Grid, WIDTH, list, paragraph, printable};
use super::view::View;
use super::warnings::warnings;
use crate::results::row::{CellRow, Status};
use crate::results::{Environment, ResultFile};

/// Length of the longest environment text that the header repeats. Longer texts, such as lists, are only in the file.
const LONGEST_FACT: usize = 100;

const SHARED_CORES: &str = "! RANKS SHARE CORES: some nodes have more ranks than cores for them, so ranks take turns, and \
    times depend on the scheduler.";

/// Memory of the MPI library in bytes above which the table marks it.
const MUCH: u64 = 8 << 20;

/// Text of a missing value.
const NONE: &str = "-";

const LEGEND: &str = "* fastest of its comparison. GB/s: bytes of one gradient divided by the median time; ingest: \
    bytes of all clients' gradients divided by it. limit: the least time in which memory \
    bandwidth and wires allow the problem to be solved, divided by the time of a round; alg: the same for the strategy's own \
    algorithm. wire: MiB through the busiest node's interfaces, in one direction. MiB of a rank that aggregates, without clients' gradients: own: \
    predicted; seen: the kernel's peak; lib: the MPI library's part of it, with ! if above 8 MiB and a tenth of own. \
    diff: share of elements that differ from the flat server's; ulp: the largest difference.";

/// Width in characters of the bar that shows the share of the limit.
const BAR: usize = 8;

/// A column of a comparison's table.
struct TableColumn {
    name: &'static str,
    align: Align,
    /// Order in which columns are left out if a line is too long, the smallest number first. None if it always stays.
    goes: Option<u8>,
    texts: Vec<String>,
}

impl TableColumn {
    fn width(&self) -> usize {
        self.texts.iter().map(|text| text.chars().count()).chain([self.name.chars().count()]).max().unwrap_or(0)
    }
}

/// A property that the cells of a comparison usually share. It is named once above the table, and is a column only if
/// they differ.
type ViewFact<'v> = (&'static str, Box<dyn Fn(&CellRow) -> String + 'v>);
type NamedFact = (&'static str, fn(&CellRow) -> String);
const FACTS: [NamedFact; 15] = [
    ("model", |cell| printable(&cell.model)),
    ("MiB", |cell| mebibytes(cell.gradient_bytes())),
    ("dtype", |cell| cell.dtype.to_string()),
    ("N", |cell| cell.clients.to_string()),
    ("ranks", |cell| cell.ranks.to_string()),
    ("nodes", |cell| cell.nodes.to_string()),
    ("roles", |cell| cell.roles.to_string()),
    ("intra-node", |cell| cell.intra_node.to_string()),
    ("order", |cell| cell.order.to_string()),
    ("ready", |cell| cell.ready.to_string()),
    ("caches", |cell| cell.caches.to_string()),
    ("end", |cell| cell.end.to_string()),
    ("residency", |cell| cell.residency.to_string()),
    ("ceiling", |cell| {
        cell.ceiling_bytes.map_or("none".into(), |bytes| format!("{} MiB", about_mebibytes(bytes as u64)))
    }),
    ("enforced by", |cell| if cell.enforced_by.is_empty() { "nothing".into() } else { printable(&cell.enforced_by) }),
];

/// The whole page: the answer, facts about the job, a table for each comparison, and reasons for the cells that are not
/// ok.
pub fn table(file: &ResultFile) -> String {
    let mut page = String::new();
    let view = View::of(file);
    answer(&mut page, &view);
    warnings(&mut page, file);
    if !page.is_empty() {
        page.push('\n');
    }
    header(&mut page, file);
    let mut comparisons: BTreeMap<u64, Vec<&CellRow>> = BTreeMap::new();
    for cell in &view.file().cells {
        comparisons.entry(view.comparison(cell)).or_default().push(cell);
    }
    for (number, cells) in &mut comparisons {
        // The file lists a cell that a job died of before the cells of the same blocks.
        cells.sort_by_key(|cell| (cell.comparison, cell.cell));
        page.push('\n');
        comparison(&mut page, *number, cells, &view);
    }
    page.push('\n');
    if file.cells.is_empty() {
        page.push_str("no cells yet\n");
        return page;
    }
    paragraph(&mut page, LEGEND, 0);
    reasons(&mut page, &view.file().cells);
    page
}

fn header(page: &mut String, file: &ResultFile) {
    let name = file.experiment_name().unwrap_or_else(|| "(experiment without a name)".to_owned());
    let of_status = |status| file.cells.iter().filter(|cell| cell.status == status).count();
    let counts = Status::VARIANTS.iter().map(|status| format!("{} {status}", of_status(*status)));
    let counts = counts.collect::<Vec<String>>().join(", ");
    let missed = match file.samples.iter().filter(|sample| !sample.is_valid()).count() {
        0 => String::new(),
        missed => format!(", {missed} of them not used, as a rank missed the start or barriers took over"),
    };
    let (cells, rounds) = (file.cells.len(), file.samples.len());
    paragraph(page, &format!("{name}: {cells} cells, {counts}; {rounds} timed rounds{missed}"), 2);
    let mut facts = vec![
        format!("created {}", file.created),
        format!("gradshard {}", file.gradshard_version),
        format!("schema {}", file.schema_version),
        format!("experiment sha256 {}", file.experiment_sha256.get(..12).unwrap_or_default()),
    ];
    facts.extend(spread(file.cells.iter(), |cell| cell.ranks).map(|ranks| format!("ranks {ranks}")));
    facts.extend(spread(file.cells.iter(), |cell| cell.nodes).map(|nodes| format!("nodes {nodes}")));
    facts.extend(file.environment.entries().filter_map(|(name, value)| environment_fact(name, value)));
    list(page, &facts, ";", 2);
    jobs(page, file);
    if file.environment.cores_shared() == Some(true) {
        paragraph(page, SHARED_CORES, 2);
    }
}

/// Appends a line for each job if there are several, or their number if there are many.
fn jobs(page: &mut String, file: &ResultFile) {
    const LISTED: usize = 16;
    match file.jobs.len() {
        ..2 => {}
        2..=LISTED => {
            for job in &file.jobs {
                let from = if job.file.is_empty() { String::new() } else { format!(" {},", job.file) };
                let hosts = if job.hosts.is_empty() { String::new() } else { format!(" ({})", job.hosts) };
                paragraph(page, &format!("job {}:{from} {}{hosts}", job.job, job.summary()), 2);
            }
        }
        many => paragraph(page, &format!("{many} jobs, see --format json"), 2),
    }
}

/// The smallest and the largest value of a number over all cells; None without cells.
fn spread<'a>(cells: impl Iterator<Item = &'a CellRow> + Clone, number: fn(&CellRow) -> u64) -> Option<String> {
    let (least, most) = (cells.clone().map(number).min()?, cells.map(number).max()?);
    Some(if least == most { least.to_string() } else { format!("{least} to {most}") })
}

/// The text of a top-level scalar of the environment; the first line of a text if it is short.
fn environment_fact(name: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(false) if Environment::tells_of_shared_cores(name) => {
            return Some("every rank can have a core of its own".to_owned());
        }
        // The page has a line of its own for this.
        Value::Bool(true) if Environment::tells_of_shared_cores(name) => return None,
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let fits = !text.is_empty() && text.chars().count() <= LONGEST_FACT;
    fits.then(|| format!("{} {text}", name.replace('_', " ")))
}

fn comparison(page: &mut String, number: u64, cells: &[&CellRow], view: &View<'_>) {
    let facts = FACTS.into_iter().map(|(name, value)| -> ViewFact<'_> { (name, Box::new(value)) });
    let transport: ViewFact<'_> = ("MPI", Box::new(|cell| printable(view.transport(cell).unwrap_or_default())));
    let transport = cells.iter().any(|cell| view.transport(cell).is_some()).then_some(transport);
    let jobs: ViewFact<'_> =
        ("jobs", Box::new(|cell| view.jobs(cell.comparison).map_or("1".to_owned(), |jobs| jobs.to_string())));
    let jobs = cells.iter().any(|cell| view.jobs(cell.comparison).is_some()).then_some(jobs);
    let (mut shared, mut differing) = (Vec::new(), Vec::new());
    for (name, value) in facts.chain(transport).chain(jobs) {
        let values: Vec<String> = cells.iter().map(|cell| value(cell)).collect();
        match values.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => shared.push(format!("{name} {first}")),
            _ => differing.push((name, value)),
        }
    }
    shared.extend(spread(cells.iter().copied(), |cell| cell.samples).map(|samples| format!("samples {samples}")));
    if let Some((reason, timed)) = cells.iter().find_map(|cell| Some((cell.stopped?, cell))) {
        shared.push(format!("{} blocks (stopped: {reason})", timed.blocks));
    }
    if let Some(first) = shared.first_mut() {
        first.insert_str(0, &format!("comparison {number}: "));
    }
    list(page, &shared, ",", 2);

    // There is a fastest cell for each comparison and end.
    let first = |cell: &CellRow| {
        let rivals = cells.iter().filter(|rival| (rival.comparison, rival.end) == (cell.comparison, cell.end));
        let fastest = rivals.filter_map(|rival| rival.timed()).reduce(f64::min);
        cell.timed().is_some() && cell.timed() == fastest
    };
    let column = |name, align, goes, text: &dyn Fn(&CellRow) -> String| TableColumn {
        name,
        align,
        goes,
        texts: cells.iter().map(|cell| text(cell)).collect(),
    };
    let right = |name, goes, text: &dyn Fn(&CellRow) -> String| column(name, Align::Right, goes, text);
    let mut columns = vec![column("  strategy", Align::Left, None, &|cell| {
        format!("{} {}", if first(cell) { '*' } else { ' ' }, printable(&cell.formed()))
    })];
    columns.extend(differing.iter().map(|(name, value)| right(name, None, value)));
    columns.push(right("M", None, &|cell| cell.shards.to_string()));
    columns.push(right("flow", None, &|cell| printable(&cell.flow)));
    columns.push(right("median", None, &|cell| times(cell)[0].clone()));
    columns.push(right("95 % CI", None, &|cell| times(cell)[1].clone()));
    let rate = |rate: Option<f64>| rate.map_or(NONE.into(), gigabytes);
    columns.push(right("GB/s", Some(5), &|cell| rate(cell.gradient_bytes_per_s)));
    columns.push(right("ingest", Some(0), &|cell| rate(cell.ingest_bytes_per_s)));
    let share = |cell: &CellRow| cell.share_of_limit.map_or(NONE.into(), |share| format!("{share:.3}"));
    columns.push(right("limit", None, &share));
    if cells.iter().any(|cell| cell.share_of_limit.is_some()) {
        let drawn = |cell: &CellRow| cell.share_of_limit.map_or(String::new(), bar);
        columns.push(column("", Align::Left, Some(4), &drawn));
    }
    let algorithm = |cell: &CellRow| cell.share_of_own_limit.map_or(NONE.into(), |share| format!("{share:.3}"));
    if cells.iter().any(|cell| cell.share_of_own_limit.is_some() && cell.share_of_own_limit != cell.share_of_limit) {
        columns.push(right("alg", Some(7), &algorithm));
    }
    if cells.iter().any(|cell| cell.wire_bytes_seen.is_some()) {
        let seen = |cell: &CellRow| cell.wire_bytes_seen.map_or(NONE.into(), |bytes| about_mebibytes(bytes as u64));
        columns.push(right("wire", Some(6), &seen));
    }
    columns.push(right("own", None, &|cell| memory(cell)[0].clone()));
    columns.push(right("seen", Some(6), &|cell| memory(cell)[1].clone()));
    columns.push(right("lib", Some(3), &|cell| memory(cell)[2].clone()));
    let verified = |cell: &CellRow| match &cell.verification {
        Some(found) => [share_of(found.differing_elements, cell.elements), short(found.max_ulp)],
        None => [NONE, NONE].map(str::to_owned),
    };
    columns.push(right("diff", Some(2), &|cell| verified(cell)[0].clone()));
    columns.push(right("ulp", Some(1), &|cell| verified(cell)[1].clone()));
    print_columns(page, columns, cells.len());
}

/// Prints the columns that fit, and names the others.
fn print_columns(page: &mut String, mut columns: Vec<TableColumn>, rows: usize) {
    let mut gone = Vec::new();
    while columns.iter().map(|column| column.width() + 1).sum::<usize>() > WIDTH + 1 {
        let next = (0..columns.len()).filter(|at| columns[*at].goes.is_some()).min_by_key(|at| columns[*at].goes);
        let Some(next) = next else { break };
        gone.push(columns.remove(next).name);
    }
    let mut grid = Grid::new(columns.iter().map(|column| (column.name, column.align)).collect());
    for row in 0..rows {
        grid.push(columns.iter().map(|column| column.texts[row].clone()).collect());
    }
    grid.print(page);
    gone.retain(|name| !name.is_empty());
    if !gone.is_empty() {
        paragraph(page, &format!("  (no room for {}: --format csv has them)", gone.join(", ")), 2);
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

/// A count, in scientific notation from 10⁷ on. Values of different sign or exponent are billions of ulps apart.
fn short(count: u64) -> String {
    if count < 10_000_000 { count.to_string() } else { format!("{:.2e}", count as f64) }
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

fn reasons(page: &mut String, cells: &[CellRow]) {
    let mut first = true;
    for cell in cells.iter().filter(|cell| cell.status != Status::Ok) {
        if std::mem::take(&mut first) {
            page.push('\n');
        }
        let reason = if cell.reason.trim().is_empty() { "no reason was given" } else { &cell.reason };
        let mut place = format!("cell {} {}, M {}, {}", cell.cell, cell.formed(), cell.shards, cell.flow);
        if let Some(found) = cell.verification.as_ref().filter(|found| found.wrong_elements > 0) {
            let worst = significant(found.max_relative_error_vs_exact);
            place += &format!(", {} wrong elements, relative error up to {worst}", found.wrong_elements);
        }
        paragraph(page, &format!("{place}: {}: {reason}", cell.status), 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;

    /// Numbers are calculated by hand: 1000003 · 4 B / 2^20 = 3.815 MiB; memory is 1 + 0.5 MiB besides the gradients.
    #[test]
    fn one_line_a_cell_with_scaled_units() {
        let page = table(&samples::file());
        println!("{page}");
        let line = |strategy: &str| {
            let of_cell = |line: &&str| line.starts_with([' ', '*']) && line.contains(strategy);
            page.lines().find(of_cell).unwrap().to_owned()
        };
        let words = |strategy: &str| line(strategy).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let found = words("sharded-direct");
        assert_eq!(found[..8], ["*", "sharded-direct", "4", "1MiB", "12.35", "ms", "12.10–12.60", "0.324"]);
        // A share of 0.5 gives half of the bar.
        assert_eq!(found[8..], ["0.500", "████", "1.50", "-", "-", "0"]);
        let found = words("tree-lambda-fl");
        // 7 of 1,000,003 elements.
        assert_eq!(found[3..], ["950.0", "ms", "-", "0.00421", "-", "0", "-", "-", "<0.1%"]);
        assert_eq!(words("native-reduce-scatter-block")[3..], ["infeasible", "-", "-", "-", "0", "-", "-", "-"]);
        assert_eq!(words("tree-binomial")[3], "failed");
        assert!(page.contains("(no room for ingest, ulp: --format csv has them)"), "{page}");
        assert!(page.contains("comparison 0: model odd, MiB 3.815, dtype f32, N 20, ranks 4, nodes 2"), "{page}");
    }

    #[test]
    fn fits_the_width_and_keeps_what_matters() {
        let page = table(&samples::file());
        for line in page.lines() {
            assert!(line.chars().count() <= super::super::page::WIDTH, "{} columns: {line}", line.chars().count());
        }
        assert!(page.contains("\nfirst-look: 4 cells, 2 ok, 1 infeasible, 1 failed; 2 timed rounds\n"), "{page}");
        assert!(page.contains("mpi library Open MPI 4.1.4"), "{page}");
        assert!(!page.contains("second line"), "{page}");
        assert!(page.contains("\n! RANKS SHARE CORES: some nodes"), "{page}");
        assert!(page.contains("cell 2 native-reduce-scatter-block, M 16, whole: infeasible: needs 12 GiB"), "{page}");
        let page = page.replace("\n  ", " ");
        assert!(page.contains("3 wrong elements, relative error up to inf: failed: the result is wrong"), "{page}");
    }

    /// Each comparison has a fastest cell. A failed cell is never the fastest.
    #[test]
    fn marks_the_fastest_ok_cell_of_each_comparison() {
        let mut file = samples::file();
        let marked = |file: &ResultFile| {
            table(file).lines().filter(|line| line.starts_with("* ") && !line.contains("fastest")).count()
        };
        assert_eq!(marked(&file), 1);
        file.cells[1].comparison = 9;
        assert_eq!(marked(&file), 2);
        file.cells[0].status = Status::Failed;
        file.cells[1].status = Status::Failed;
        assert_eq!(marked(&file), 0);
    }

    #[test]
    fn what_differs_within_a_comparison_is_a_column() {
        let mut file = samples::file();
        file.cells[1].order = crate::plan::Order::Arrival;
        let page = table(&file);
        assert!(!page.contains("order client,"), "{page}");
        assert!(page.lines().any(|line| line.starts_with("  tree-lambda-fl") && line.contains("arrival")), "{page}");
    }

    #[test]
    fn cores_of_their_own_are_said_in_words() {
        let mut file = samples::file();
        file.environment = Environment::of(&serde_json::json!({"cores_shared": false})).expect("an object");
        let page = table(&file);
        assert!(page.contains("every rank can have a core of its own") && !page.contains("SHARE CORES"), "{page}");
    }

    #[test]
    fn a_file_without_cells_says_so() {
        let page = table(&ResultFile::new("{}".into(), Environment::default()));
        assert!(page.contains("0 cells") && page.contains("no cells yet"), "{page}");
    }
}
