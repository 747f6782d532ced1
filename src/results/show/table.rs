//! A result file as text for a terminal or a file.

use std::collections::BTreeMap;

use serde_json::Value;
use strum::VariantArray;

use super::answer::answer;
use super::columns::{ViewFact, columns, print_columns};
use super::functions::functions;
use super::number::{about_mebibytes, mebibytes, significant};
use super::page::{Page, printable};
use super::view::View;
use super::warnings::warnings;
use crate::results::row::{CellRow, Status};
use crate::results::{Environment, ResultFile};

/// Length of the longest environment text that the header repeats. Longer texts, such as lists, are only in the file.
const LONGEST_FACT: usize = 100;

const SHARED_CORES: &str = "! RANKS SHARE CORES: some nodes have more ranks than cores for them, so ranks take turns, and \
    times depend on the scheduler.";

const LEGEND: &str = "* fastest of its comparison; rows are ordered by their medians. min: the least time; p99: the \
    99th percentile. GB/s: bytes of one gradient divided by the median time; ingest: \
    bytes of all clients' gradients divided by it. limit: the least time in which memory \
    bandwidth and wires allow the problem to be solved, divided by the time of a round; alg: the same for the strategy's own \
    algorithm. wire: MiB through the busiest node's interfaces, in one direction. MiB of a rank that aggregates, without clients' gradients: own: \
    predicted; seen: the kernel's peak; lib: the MPI library's part of it, with ! if above 8 MiB and a tenth of own. \
    diff: share of elements that differ from the flat server's; error: the largest one against \
    the exact mean, relative to that of absolute values.";

/// A property that the cells of a comparison usually share. It is named once above the table, and is a column only if
/// they differ.
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

/// The whole page, `width` columns wide: the answer, facts about the job, a table for each comparison, and reasons for the
/// cells that are not ok.
pub fn table(file: &ResultFile, width: usize) -> String {
    let mut page = Page::new(width);
    let view = View::of(file);
    answer(&mut page, &view);
    warnings(&mut page, file);
    if !page.is_empty() {
        page.gap();
    }
    header(&mut page, file);
    let mut comparisons: BTreeMap<u64, Vec<&CellRow>> = BTreeMap::new();
    for cell in &view.file().cells {
        comparisons.entry(view.comparison(cell)).or_default().push(cell);
    }
    // Only times of one end are compared. Cells without a time come last.
    let time = |cell: &CellRow| cell.timed().unwrap_or(f64::INFINITY);
    for (number, cells) in &mut comparisons {
        cells.sort_by(|one, other| {
            let place = |cell: &CellRow| (cell.comparison, cell.end);
            let by_time = time(one).total_cmp(&time(other));
            place(one).cmp(&place(other)).then(by_time).then(one.cell.cmp(&other.cell))
        });
        page.gap();
        comparison(&mut page, *number, cells, &view);
    }
    functions(&mut page, file);
    page.gap();
    if file.cells.is_empty() {
        if file.function_rounds.is_empty() {
            page.paragraph("no cells yet", 0);
        }
        return page.into_text();
    }
    page.paragraph(LEGEND, 0);
    reasons(&mut page, &view.file().cells);
    page.into_text()
}

fn header(page: &mut Page, file: &ResultFile) {
    let name = file.experiment_name().unwrap_or_else(|| "(experiment without a name)".to_owned());
    let of_status = |status| file.cells.iter().filter(|cell| cell.status == status).count();
    let counts = Status::VARIANTS.iter().map(|status| format!("{} {status}", of_status(*status)));
    let counts = counts.collect::<Vec<String>>().join(", ");
    let missed = match file.samples.iter().filter(|sample| !sample.is_valid()).count() {
        0 => String::new(),
        missed => format!(", {missed} of them not used, as a rank missed the start or barriers took over"),
    };
    let (cells, rounds) = (file.cells.len(), file.samples.len());
    let measured = format!("{cells} cells, {counts}; {rounds} timed rounds{missed}");
    let carried = match (cells, file.function_rounds.len()) {
        (_, 0) => measured,
        (0, carried) => format!("{carried} rounds on functions"),
        (_, carried) => format!("{measured}; {carried} rounds on functions"),
    };
    page.paragraph(&format!("{name}: {carried}"), 2);
    let mut facts = vec![
        format!("created {}", file.created),
        format!("gradshard {}", file.gradshard_version),
        format!("schema {}", file.schema_version),
        format!("experiment sha256 {}", file.experiment_sha256.get(..12).unwrap_or_default()),
    ];
    facts.extend(spread(file.cells.iter(), |cell| cell.ranks).map(|ranks| format!("ranks {ranks}")));
    facts.extend(spread(file.cells.iter(), |cell| cell.nodes).map(|nodes| format!("nodes {nodes}")));
    facts.extend(file.environment.entries().filter_map(|(name, value)| environment_fact(name, value)));
    page.list(&facts, ";", 2);
    jobs(page, file);
    if file.environment.cores_shared() == Some(true) {
        page.paragraph(SHARED_CORES, 2);
    }
}

/// Appends a line for each job if there are several, or their number if there are many.
fn jobs(page: &mut Page, file: &ResultFile) {
    const LISTED: usize = 16;
    match file.jobs.len() {
        ..2 => {}
        2..=LISTED => {
            for job in &file.jobs {
                let from = if job.file.is_empty() { String::new() } else { format!(" {},", job.file) };
                let hosts = if job.hosts.is_empty() { String::new() } else { format!(" ({})", job.hosts) };
                page.paragraph(&format!("job {}:{from} {}{hosts}", job.job, job.summary()), 2);
            }
        }
        many => page.paragraph(&format!("{many} jobs, see --format json"), 2),
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

fn comparison(page: &mut Page, number: u64, cells: &[&CellRow], view: &View<'_>) {
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
    page.list(&shared, ",", 2);
    print_columns(page, columns(cells, &differing, view), cells.len());
}

fn reasons(page: &mut Page, cells: &[CellRow]) {
    let mut first = true;
    for cell in cells.iter().filter(|cell| cell.status != Status::Ok) {
        if std::mem::take(&mut first) {
            page.gap();
        }
        let reason = if cell.reason.trim().is_empty() { "no reason was given" } else { &cell.reason };
        let mut place = format!("cell {} {}, M {}, {}", cell.cell, cell.formed(), cell.shards, cell.flow);
        if let Some(found) = cell.verification.as_ref().filter(|found| found.wrong_elements > 0) {
            place += &format!(", {} wrong elements", found.wrong_elements);
            if let Some(worst) = found.max_backward_error {
                place += &format!(", error up to {} of Σ|wₖgₖ|", significant(worst));
            }
        }
        page.paragraph(&format!("{place}: {}: {reason}", cell.status), 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::page::WIDTH;
    use crate::results::show::samples;

    /// Numbers are calculated by hand: 1000003 · 4 B / 2^20 = 3.815 MiB; memory is 1 + 0.5 MiB besides the gradients.
    #[test]
    fn one_line_a_cell_with_scaled_units() {
        let page = table(&samples::file(), WIDTH);
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
        assert!(page.contains("(no room for ingest, error, p99, min: --width or --format csv has them)"), "{page}");
        assert!(page.contains("comparison 0: model odd, MiB 3.815, dtype f32, N 20, ranks 4, nodes 2"), "{page}");
    }

    #[test]
    fn fits_the_width_and_keeps_what_matters() {
        let page = table(&samples::file(), WIDTH);
        for line in page.lines() {
            assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
        }
        assert!(page.contains("\nfirst-look: 4 cells, 2 ok, 1 infeasible, 1 failed; 2 timed rounds\n"), "{page}");
        assert!(page.contains("mpi library Open MPI 4.1.4"), "{page}");
        assert!(!page.contains("second line"), "{page}");
        assert!(page.contains("\n! RANKS SHARE CORES: some nodes"), "{page}");
        assert!(page.contains("cell 2 native-reduce-scatter-block, M 16, whole: infeasible: needs 12 GiB"), "{page}");
        let page = page.replace("\n  ", " ");
        assert!(
            page.contains("3 wrong elements, error up to 3.000e-8 of Σ|wₖgₖ|: failed: the result is wrong"),
            "{page}"
        );
    }

    /// At 140 columns everything has room; at 80 the columns that matter least go.
    #[test]
    fn columns_follow_the_width() {
        let header = |width: usize| {
            let page = table(&samples::file(), width);
            assert!(page.lines().all(|line| line.chars().count() <= width), "{page}");
            let header = page.lines().find(|line| line.starts_with("  strategy")).expect("a header");
            header.split_whitespace().map(str::to_owned).collect::<Vec<String>>().join(" ")
        };
        assert_eq!(header(140), "strategy M flow median 95 % CI min p99 GB/s ingest limit own seen lib diff error");
        assert_eq!(header(80), "strategy M flow median 95 % CI limit own seen");
        // The samples are 0.0125 s each; the unit is the median's.
        let page = table(&samples::file(), 140);
        let row = page.lines().find(|line| line.starts_with("* sharded-direct")).expect("a row");
        assert!(row.contains(" 12.10–12.60 12.50 12.50 "), "{row}");
    }

    /// Cells in the order of their numbers are not in that of their times.
    #[test]
    fn rows_are_sorted_by_time_within_an_end() {
        let mut file = samples::file();
        file.cells[1].median_s = Some(0.001);
        let rows = |file: &ResultFile| {
            let page = table(file, WIDTH);
            let of_cells = page.lines().skip_while(|line| !line.starts_with("  strategy")).skip(1);
            let names = of_cells.filter_map(|line| line.get(2..)?.split(' ').next().map(str::to_owned));
            names.take(4).collect::<Vec<String>>()
        };
        let untimed = ["native-reduce-scatter-block", "tree-binomial"];
        assert_eq!(rows(&file)[..2], ["tree-lambda-fl", "sharded-direct"]);
        assert_eq!(rows(&file)[2..], untimed);
        file.cells[1].end = crate::plan::End::Root;
        file.cells[0].end = crate::plan::End::Root;
        file.cells[2].end = crate::plan::End::Root;
        assert_eq!(rows(&file), ["tree-lambda-fl", "sharded-direct", untimed[0], untimed[1]]);
        file.cells[1].end = crate::plan::End::Everywhere;
        assert_eq!(rows(&file), ["sharded-direct", untimed[0], "tree-lambda-fl", untimed[1]]);
    }

    /// Each comparison has a fastest cell. A failed cell is never the fastest.
    #[test]
    fn marks_the_fastest_ok_cell_of_each_comparison() {
        let mut file = samples::file();
        let marked = |file: &ResultFile| {
            table(file, WIDTH).lines().filter(|line| line.starts_with("* ") && !line.contains("fastest")).count()
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
        let page = table(&file, WIDTH);
        assert!(!page.contains("order client,"), "{page}");
        assert!(page.lines().any(|line| line.starts_with("  tree-lambda-fl") && line.contains("arrival")), "{page}");
    }

    #[test]
    fn cores_of_their_own_are_said_in_words() {
        let mut file = samples::file();
        file.environment = Environment::of(&serde_json::json!({"cores_shared": false})).expect("an object");
        let page = table(&file, WIDTH);
        assert!(page.contains("every rank can have a core of its own") && !page.contains("SHARE CORES"), "{page}");
    }

    #[test]
    fn a_file_without_cells_says_so() {
        let page = table(&ResultFile::new("{}".into(), Environment::default()), WIDTH);
        assert!(page.contains("0 cells") && page.contains("no cells yet"), "{page}");
    }
}
