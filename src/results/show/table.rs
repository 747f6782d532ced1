//! A result file as text for a terminal of 120 columns.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::{answer, warnings};
use super::number::{TimeUnit, about_mebibytes, gigabytes, mebibytes, significant};
use super::page::{Align, Grid, list, paragraph, printable};
use super::view::View;
use crate::gradient::element::Dtype;
use crate::results::ResultFile;
use crate::results::row::{CellRow, Status};

/// Longest text of the environment that the header repeats; longer ones are settings and lists for the file.
const LONGEST_FACT: usize = 100;

/// In the environment: whether some ranks must share cores.
const CORES_SHARED: &str = "cores_shared";
const SHARED_CORES: &str = "! RANKS SHARE CORES: some nodes have more ranks than cores for them, so ranks take turns, and \
    times are also those of the scheduler.";

/// Bytes of the MPI library's that are pointed out.
const MUCH: u64 = 8 << 20;

/// Stands where there is no value.
const NONE: &str = "-";

const LEGEND: &str = "* fastest of its comparison. GB/s: bytes of one gradient over the median time; ingest: of all \
    clients' gradients. limit: share of the machine's limit, the least time that memory bandwidth and wires allow over \
    the median. MiB, of ranks that aggregate, without clients' gradients: own: predicted; seen: peak that the kernel saw; lib: of it, what the MPI library took, with ! where that is \
    more than 8 MiB and a tenth. differ: elements that differ from the flat server's; ulp: by how much at most.";

/// What the cells of a comparison usually share: named once above it, and a column only where they differ.
type Fact<'v> = (&'static str, Box<dyn Fn(&CellRow) -> String + 'v>);
type NamedFact = (&'static str, fn(&CellRow) -> String);
const FACTS: [NamedFact; 13] = [
    ("model", |cell| printable(&cell.model)),
    ("MiB", gradient_size),
    ("dtype", |cell| printable(&cell.dtype)),
    ("N", |cell| cell.clients.to_string()),
    ("ranks", |cell| cell.ranks.to_string()),
    ("nodes", |cell| cell.nodes.to_string()),
    ("roles", |cell| printable(&cell.roles)),
    ("intra-node", |cell| printable(&cell.intra_node)),
    ("order", |cell| printable(&cell.order)),
    ("phase", |cell| printable(&cell.phase)),
    ("residency", |cell| printable(&cell.residency)),
    ("ceiling", |cell| {
        cell.ceiling_bytes.map_or("none".into(), |bytes| format!("{} MiB", about_mebibytes(bytes as u64)))
    }),
    ("enforced by", |cell| if cell.enforced_by.is_empty() { "nothing".into() } else { printable(&cell.enforced_by) }),
];

/// The whole page: the answer; facts of the job, a block of lines for each comparison, reasons of the cells that are not ok.
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
        // A cell that a job died of comes before those that ran with it.
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
    let counts = Status::ALL.map(|status| format!("{} {}", of_status(status), status.name())).join(", ");
    paragraph(page, &format!("{name}: {} cells, {counts}; {} timed rounds", file.cells.len(), file.samples.len()), 2);
    let mut facts = vec![
        format!("created {}", file.created),
        format!("gradshard {}", file.gradshard_version),
        format!("schema {}", file.schema_version),
        format!("experiment sha256 {}", file.experiment_sha256.get(..12).unwrap_or_default()),
    ];
    facts.extend(spread(file.cells.iter(), |cell| cell.ranks).map(|ranks| format!("ranks {ranks}")));
    facts.extend(spread(file.cells.iter(), |cell| cell.nodes).map(|nodes| format!("nodes {nodes}")));
    if let Value::Object(entries) = &file.environment {
        facts.extend(entries.iter().filter_map(|(name, value)| environment_fact(name, value)));
    }
    list(page, &facts, ";", 2);
    jobs(page, file);
    if file.environment[CORES_SHARED] == Value::Bool(true) {
        paragraph(page, SHARED_CORES, 2);
    }
}

/// A line for each of several jobs; of many, how many there are.
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

/// The smallest and the largest of a number over all cells; None without cells.
fn spread<'a>(cells: impl Iterator<Item = &'a CellRow> + Clone, number: fn(&CellRow) -> u64) -> Option<String> {
    let (least, most) = (cells.clone().map(number).min()?, cells.map(number).max()?);
    Some(if least == most { least.to_string() } else { format!("{least} to {most}") })
}

/// A top-level scalar of the environment; of a text, its first line if that is short.
fn environment_fact(name: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(false) if name == CORES_SHARED => return Some("every rank can have a core of its own".to_owned()),
        // A line of its own says so.
        Value::Bool(true) if name == CORES_SHARED => return None,
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let fits = !text.is_empty() && text.chars().count() <= LONGEST_FACT;
    fits.then(|| format!("{} {text}", name.replace('_', " ")))
}

fn gradient_size(cell: &CellRow) -> String {
    match Dtype::ALL.into_iter().find(|dtype| dtype.name() == cell.dtype) {
        Some(dtype) => mebibytes(cell.elements.saturating_mul(dtype.size() as u64)),
        None => NONE.to_owned(),
    }
}

fn comparison(page: &mut String, number: u64, cells: &[&CellRow], view: &View<'_>) {
    let facts = FACTS.into_iter().map(|(name, value)| -> Fact<'_> { (name, Box::new(value)) });
    let transport: Fact<'_> = ("MPI", Box::new(|cell| printable(view.transport(cell).unwrap_or_default())));
    let transport = cells.iter().any(|cell| view.transport(cell).is_some()).then_some(transport);
    let jobs: Fact<'_> =
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
    if let Some(timed) = cells.iter().find(|cell| !cell.stopped.is_empty()) {
        shared.push(format!("{} blocks (stopped: {})", timed.blocks, printable(&timed.stopped)));
    }
    if let Some(first) = shared.first_mut() {
        first.insert_str(0, &format!("comparison {number}: "));
    }
    list(page, &shared, ",", 2);

    let mut columns = vec![("  strategy", Align::Left)];
    columns.extend(differing.iter().map(|(name, _)| (*name, Align::Right)));
    columns.extend([("M", Align::Right), ("flow", Align::Right), ("median", Align::Right), ("95 % CI", Align::Right)]);
    columns.extend(["GB/s", "ingest", "limit", "own", "seen", "lib", "differ", "ulp"].map(|name| (name, Align::Right)));
    columns.push(("status", Align::Left));
    let mut grid = Grid::new(columns);
    let well = |cell: &&&CellRow| cell.status == Status::Ok;
    for cell in cells {
        let fastest = cells.iter().filter(well).filter(|other| other.comparison == cell.comparison);
        let fastest = fastest.filter_map(|other| other.median_s).reduce(f64::min);
        let first = cell.status == Status::Ok && cell.median_s.is_some() && cell.median_s == fastest;
        let mut line = vec![format!("{} {}", if first { '*' } else { ' ' }, printable(&cell.strategy))];
        line.extend(differing.iter().map(|(_, value)| value(cell)));
        line.extend([cell.shards.to_string(), printable(&cell.flow)]);
        line.extend(times(cell));
        line.extend(
            [cell.gradient_bytes_per_s, cell.ingest_bytes_per_s].map(|rate| rate.map_or(NONE.into(), gigabytes)),
        );
        line.push(cell.share_of_limit.map_or(NONE.into(), |share| format!("{share:.3}")));
        line.extend(memory(cell));
        line.extend(match &cell.verification {
            Some(found) => [found.differing_elements.to_string(), short(found.max_ulp)],
            None => [NONE, NONE].map(str::to_owned),
        });
        line.push(cell.status.name().to_owned());
        grid.push(line);
    }
    grid.print(page);
}

/// Predicted for a rank that aggregates, seen by the kernel, and taken by the MPI library.
fn memory(cell: &CellRow) -> [String; 3] {
    let library = cell.library_bytes.map_or(NONE.to_owned(), |bytes| {
        // A few pages less than what was tracked were there before.
        let bytes = bytes.max(0.0) as u64;
        let much = bytes > MUCH && bytes > cell.aggregating_bytes / 10;
        format!("{}{}", about_mebibytes(bytes), if much { "!" } else { "" })
    });
    let seen = cell.kernel.map_or(NONE.to_owned(), |seen| about_mebibytes(seen.round));
    [about_mebibytes(cell.aggregating_bytes), seen, library]
}

/// A count; where it has many digits, its size. A sign or exponent that differs makes distances of billions of ulps.
fn short(count: u64) -> String {
    if count < 10_000_000 { count.to_string() } else { format!("{:.2e}", count as f64) }
}

/// The median with its unit, and its interval in the same unit.
fn times(cell: &CellRow) -> [String; 2] {
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
        let mut place = format!("cell {} {}, M {}, {}", cell.cell, cell.strategy, cell.shards, cell.flow);
        if let Some(found) = cell.verification.as_ref().filter(|found| found.wrong_elements > 0) {
            let worst = significant(found.max_relative_error_vs_exact);
            place += &format!(", {} wrong elements, relative error up to {worst}", found.wrong_elements);
        }
        paragraph(page, &format!("{place}: {}: {reason}", cell.status.name()), 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;

    /// Numbers computed by hand: 1000003 · 4 B / 2^20 = 3.815 MiB; memory 1 + 0.5 MiB beside the gradients.
    #[test]
    fn one_line_a_cell_with_scaled_units() {
        let page = table(&samples::file());
        println!("{page}");
        let line = |strategy: &str| {
            let of_cell = |line: &&str| line.starts_with([' ', '*']) && line.contains(strategy);
            page.lines().find(of_cell).unwrap().to_owned()
        };
        let words = |strategy: &str| line(strategy).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            words("sharded-direct"),
            [
                "*",
                "sharded-direct",
                "4",
                "1MiB",
                "12.35",
                "ms",
                "12.10–12.60",
                "0.324",
                "6.48",
                "0.500",
                "1.50",
                "-",
                "-",
                "0",
                "0",
                "ok"
            ]
        );
        assert_eq!(
            words("tree-lambda-fl"),
            [
                "tree-lambda-fl",
                "1",
                "1MiB",
                "950.0",
                "ms",
                "-",
                "0.00421",
                "0.0842",
                "-",
                "0",
                "-",
                "-",
                "7",
                "2",
                "ok"
            ]
        );
        assert_eq!(
            words("native-reduce-scatter-block")[4..],
            ["-", "-", "-", "-", "0", "-", "-", "-", "-", "infeasible"]
        );
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
        assert!(page.contains("3 wrong elements, relative error up to inf: failed: the result is wrong"), "{page}");
    }

    /// The fastest is of each comparison, and a failed cell, however fast, is not it.
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
        file.cells[1].order = "arrival".into();
        let page = table(&file);
        assert!(!page.contains("order client,"), "{page}");
        assert!(page.lines().any(|line| line.starts_with("  tree-lambda-fl") && line.contains("arrival")), "{page}");
    }

    #[test]
    fn cores_of_their_own_are_said_in_words() {
        let mut file = samples::file();
        file.environment[CORES_SHARED] = false.into();
        let page = table(&file);
        assert!(page.contains("every rank can have a core of its own") && !page.contains("SHARE CORES"), "{page}");
    }

    #[test]
    fn a_file_without_cells_says_so() {
        let page = table(&ResultFile::new("{}".into(), serde_json::json!({})));
        assert!(page.contains("0 cells") && page.contains("no cells yet"), "{page}");
    }
}
