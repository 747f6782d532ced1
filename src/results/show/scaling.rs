//! Scaling of a strategy with the number of nodes: parallel efficiency, and the share of the machine's limit.
//!
//! The work of a cell is the number of summed elements, N·|θ|. Its rate is the work divided by the median time T. The
//! efficiency on k nodes is the rate per node, relative to the rate per node on the fewest nodes k₀ of the file:
//!
//! E(k) = (N·|θ| / (T·k)) / (N₀·|θ₀| / (T₀·k₀)).
//!
//! If N and |θ| are constant, this is strong scaling, T₀·k₀ / (T·k). If N·|θ| is proportional to k, it is weak scaling,
//! T₀ / T.

use serde::Serialize;

use super::number::{TimeUnit, about, mebibytes};
use super::page::{Align, Grid, Page, printable};
use crate::gradient::Dtype;
use crate::plan::{Caches, Ready};
use crate::results::ResultFile;
use crate::results::distinct::distinct;
use crate::results::row::{CellRow, Status};
use crate::roofline::share::Bottleneck;

/// The way in which the work of a series depends on the number of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// The work is the same on any number of nodes.
    Strong,
    /// The work per node is the same.
    Weak,
    /// Neither.
    Mixed,
}

/// A strategy with constant terms on several numbers of nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Strategy.
    pub strategy: String,
    /// Model.
    pub model: String,
    /// Element type.
    pub dtype: Dtype,
    /// Flow; `auto` for all chunk sizes that it resulted in.
    pub flow: String,
    /// The other properties that are the same along the series: roles, transport inside a node, order, end, residency,
    /// ceiling.
    pub terms: String,
    /// Strong, weak or mixed scaling.
    pub kind: Scaling,
    /// Points by ascending number of nodes; at least two.
    pub points: Vec<ScalingPoint>,
}

/// A series at one number of nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScalingPoint {
    /// Nodes.
    pub nodes: u64,
    /// Ranks on all of them.
    pub ranks: u64,
    /// Number of clients, N.
    pub clients: u64,
    /// Number of shards, M.
    pub shards: u64,
    /// Elements of the gradient, |θ|.
    pub elements: u64,
    /// Number of jobs that measured it.
    pub jobs: u64,
    /// Median time in seconds; the median of the medians if there are several jobs. None if no job measured it.
    pub median_s: Option<f64>,
    /// Ends of the median's 95 % interval; None with several jobs or too few samples.
    pub interval_s: Option<(f64, f64)>,
    /// Parallel efficiency, as the module defines it; None if this point or the one with the fewest nodes has no time.
    pub efficiency: Option<f64>,
    /// Interval of the efficiency, from the ends of both medians' intervals. It is wider than necessary.
    pub efficiency_interval: Option<(f64, f64)>,
    /// Least time that the busiest memory system or wire allows, divided by the median.
    pub share_of_limit: Option<f64>,
    /// The part that sets this limit.
    pub limit_part: Option<Bottleneck>,
    /// Outcome of the cell.
    pub status: Status,
}

impl ScalingPoint {
    fn work(&self) -> f64 {
        self.clients as f64 * self.elements as f64
    }
}

/// Strategy, model, element type, flow and terms of a series.
type SeriesKey = (String, String, Dtype, String, String);

fn key(cell: &CellRow) -> SeriesKey {
    let flow = if cell.flow.starts_with("auto") { "auto" } else { &cell.flow };
    let ceiling =
        cell.ceiling_bytes.map_or(String::new(), |bytes| format!(", ceiling {} MiB", mebibytes(bytes as u64)));
    let memory = match (cell.ready, cell.caches) {
        (Ready::Assumed, Caches::Warm) => String::new(),
        (ready, caches) => format!(", ready {ready}, caches {caches}"),
    };
    let terms = format!(
        "{}, {}, order {}, end {}, {}{memory}{ceiling}",
        cell.roles, cell.intra_node, cell.order, cell.end, cell.residency
    );
    (cell.formed(), cell.model.clone(), cell.dtype, flow.to_owned(), terms)
}

/// The series of the file with more than one number of nodes, in the order of their first cells.
///
/// N, M and |θ| may change with the number of nodes. If a strategy has several of them, the first ones of each number
/// of nodes form a series, the second ones form another, and so on, in the order of the experiment.
pub fn series(file: &ResultFile) -> Vec<Series> {
    let mut all = Vec::new();
    for wanted in distinct(file.cells.iter().map(key)) {
        let mut places: Vec<&CellRow> = file.cells.iter().filter(|cell| key(cell) == wanted).collect();
        places.sort_by_key(|cell| (cell.nodes, cell.cell));
        // For each number of nodes, its sizes in order; each size has the rows of all jobs that measured it.
        let mut by_nodes: Vec<(u64, Vec<Vec<&CellRow>>)> = Vec::new();
        for cell in places {
            if by_nodes.last().is_none_or(|(nodes, _)| *nodes != cell.nodes) {
                by_nodes.push((cell.nodes, Vec::new()));
            }
            let Some((_, sizes)) = by_nodes.last_mut() else { continue };
            let size = |row: &CellRow| (row.clients, row.shards, row.elements, row.ranks);
            match sizes.iter_mut().find(|rows| size(rows[0]) == size(cell)) {
                Some(rows) => rows.push(cell),
                None => sizes.push(vec![cell]),
            }
        }
        let most = by_nodes.iter().map(|(_, sizes)| sizes.len()).max().unwrap_or(0);
        for place in 0..most {
            let points = by_nodes.iter().filter_map(|(_, sizes)| sizes.get(place)).map(|rows| point(rows)).collect();
            if let Some(points) = with_efficiency(points) {
                let (strategy, model, dtype, flow, terms) = wanted.clone();
                all.push(Series { strategy, model, dtype, flow, terms, kind: kind(&points), points });
            }
        }
    }
    all
}

/// Summarises the rows of all jobs at one number of nodes.
fn point(rows: &[&CellRow]) -> ScalingPoint {
    let ok: Vec<&&CellRow> = rows.iter().filter(|row| row.timed().is_some()).collect();
    let middle = |values: Vec<f64>| crate::stats::summarise(&values).map(|summary| summary.median);
    let first = rows[0];
    ScalingPoint {
        nodes: first.nodes,
        ranks: first.ranks,
        clients: first.clients,
        shards: first.shards,
        elements: first.elements,
        jobs: ok.len() as u64,
        median_s: middle(ok.iter().filter_map(|row| row.median_s).collect()),
        interval_s: match ok.as_slice() {
            [only] => only.ci_low_s.zip(only.ci_high_s),
            _ => None,
        },
        efficiency: None,
        efficiency_interval: None,
        share_of_limit: middle(ok.iter().filter_map(|row| row.share_of_limit).collect()),
        limit_part: ok.first().and_then(|row| row.limit_part),
        status: if ok.is_empty() { first.status } else { Status::Ok },
    }
}

/// Fills in the efficiencies. None if there are fewer than two points.
fn with_efficiency(mut points: Vec<ScalingPoint>) -> Option<Vec<ScalingPoint>> {
    let base = points.first()?.clone();
    points.get(1)?;
    for point in &mut points {
        let scale = point.work() * base.nodes as f64 / (base.work() * point.nodes as f64);
        point.efficiency = base.median_s.zip(point.median_s).map(|(first, own)| scale * first / own);
        if point.nodes != base.nodes {
            point.efficiency_interval = base
                .interval_s
                .zip(point.interval_s)
                .map(|((low, high), (own_low, own_high))| (scale * low / own_high, scale * high / own_low));
        }
    }
    Some(points)
}

fn kind(points: &[ScalingPoint]) -> Scaling {
    // The tolerance allows for shards that do not divide evenly, and for nodes with one rank less than others.
    let near = |work: &dyn Fn(&ScalingPoint) -> f64| {
        let first = work(&points[0]);
        points.iter().all(|point| (work(point) / first - 1.0).abs() < 0.01)
    };
    if near(&ScalingPoint::work) {
        Scaling::Strong
    } else if near(&|point| point.work() / point.nodes as f64) {
        Scaling::Weak
    } else {
        Scaling::Mixed
    }
}

/// The series as a page of text.
pub fn scaling(file: &ResultFile, width: usize) -> String {
    let all = series(file);
    let mut page = Page::new(width);
    if all.is_empty() {
        let text = "every strategy of this file was measured on one number of nodes only: gradshard run --nodes 1,2,4, \
                    \"nodes\" in the experiment, or gradshard merge of several jobs' files";
        page.paragraph(text, 0);
        return page.into_text();
    }
    let heading = |one: &Series| (one.model.clone(), one.dtype, one.terms.clone(), one.kind);
    for (at, shared) in distinct(all.iter().map(heading)).into_iter().enumerate() {
        if at > 0 {
            page.gap();
        }
        let (model, dtype, terms, kind) = &shared;
        let kind = match kind {
            Scaling::Strong => "strong scaling (N and |θ| the same)",
            Scaling::Weak => "weak scaling (N·|θ| in proportion to the nodes)",
            Scaling::Mixed => "N·|θ| neither the same nor in proportion to the nodes",
        };
        page.paragraph(&format!("{}, {dtype}, {terms}: {kind}", printable(model)), 2);
        let numbers = ["flow", "nodes", "ranks", "N", "M", "MiB", "median", "efficiency", "limit"];
        let columns = [("  strategy", Align::Left)].into_iter().chain(numbers.map(|name| (name, Align::Right)));
        let mut grid = Grid::new(columns.collect());
        for one in all.iter().filter(|one| heading(one) == shared) {
            one.points.iter().enumerate().for_each(|(index, point)| grid.push(line(one, point, index == 0)));
        }
        page.grid(&grid);
    }
    page.gap();
    let text = "efficiency: elements N·|θ| summed per second and node, divided by that on the fewest nodes; \
                brackets: from the ends of both medians' 95 % intervals. limit: the least time that the busiest memory system or \
                wire allows, divided by the median.";
    page.paragraph(text, 0);
    page.into_text()
}

fn line(series: &Series, point: &ScalingPoint, first: bool) -> Vec<String> {
    let none = || "-".to_owned();
    let (name, flow) = if first {
        (format!("  {}", printable(&series.strategy)), printable(&series.flow))
    } else {
        Default::default()
    };
    let mut line = vec![name, flow, point.nodes.to_string(), point.ranks.to_string(), point.clients.to_string()];
    line.extend([point.shards.to_string(), mebibytes(point.elements.saturating_mul(series.dtype.size() as u64))]);
    match point.median_s {
        None => line.extend([point.status.to_string(), none()]),
        Some(median) => {
            let unit = TimeUnit::of(median);
            line.push(format!("{} {}", unit.show(median), unit.name));
            line.push(match (point.efficiency, point.efficiency_interval) {
                (Some(found), Some((low, high))) => format!("{found:.3} [{}, {}]", about(low), about(high)),
                (Some(found), None) => format!("{found:.3}"),
                _ => none(),
            });
        }
    }
    line.push(point.share_of_limit.map_or_else(none, |share| {
        format!("{share:.3} {}", point.limit_part.map_or_else(String::new, |part| part.to_string()))
    }));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Environment;
    use crate::results::show::page::WIDTH;

    fn cell(nodes: u64, clients: u64, elements: u64, median: Option<f64>) -> CellRow {
        CellRow {
            cell: nodes,
            strategy: "sharded-ring".into(),
            model: "m".into(),
            flow: if nodes == 1 { "auto (1MiB)".into() } else { "auto (60KiB)".into() },
            nodes,
            ranks: 2 * nodes,
            clients,
            shards: 2 * nodes,
            elements,
            median_s: median,
            ci_low_s: median.map(|median| median * 0.9),
            ci_high_s: median.map(|median| median * 1.1),
            status: if median.is_some() { Status::Ok } else { Status::Infeasible },
            ..CellRow::default()
        }
    }

    fn file(cells: Vec<CellRow>) -> ResultFile {
        ResultFile { cells, ..ResultFile::new("{}".into(), Environment::default()) }
    }

    /// Calculated by hand: T(1) = 8 s; 2 nodes in 5 s: 8 / (2 · 5) = 0.8; 4 nodes in 4 s: 8 / 16 = 0.5.
    #[test]
    fn the_same_work_on_more_nodes() {
        let file = file(vec![cell(4, 20, 100, Some(4.0)), cell(1, 20, 100, Some(8.0)), cell(2, 20, 100, Some(5.0))]);
        let all = series(&file);
        assert_eq!((all.len(), all[0].kind, all[0].flow.as_str()), (1, Scaling::Strong, "auto"));
        let found: Vec<(u64, f64)> = all[0].points.iter().map(|p| (p.nodes, p.efficiency.unwrap())).collect();
        assert_eq!(found, [(1, 1.0), (2, 0.8), (4, 0.5)]);
        // The ends are 8 · 0.9 / (2 · 5 · 1.1) and 8 · 1.1 / (2 · 5 · 0.9).
        let (low, high) = all[0].points[1].efficiency_interval.unwrap();
        assert!((low - 0.654545).abs() < 1e-5 && (high - 0.977778).abs() < 1e-5, "{low} {high}");
        assert_eq!(all[0].points[0].efficiency_interval, None);
    }

    /// Twice the clients on twice the nodes take a quarter more time: 8 / 10.
    #[test]
    fn work_that_grows_with_the_nodes() {
        let all = series(&file(vec![cell(2, 4, 100, Some(8.0)), cell(4, 8, 100, Some(10.0)), cell(8, 16, 100, None)]));
        assert_eq!(all[0].kind, Scaling::Weak);
        let found: Vec<Option<f64>> = all[0].points.iter().map(|point| point.efficiency).collect();
        assert_eq!(found, [Some(1.0), Some(0.8), None]);
        let page = scaling(&file(vec![cell(2, 4, 100, Some(8.0)), cell(8, 16, 100, None)]), WIDTH);
        assert!(page.contains("weak scaling") && page.contains("infeasible"), "{page}");
    }

    #[test]
    fn jobs_are_pooled_and_lists_stay_apart() {
        // Two jobs on 1 node, with two numbers of clients.
        let mut cells = vec![cell(1, 20, 100, Some(6.0)), cell(1, 20, 100, Some(10.0)), cell(2, 20, 100, Some(5.0))];
        cells.extend([cell(1, 40, 100, Some(20.0)), cell(2, 40, 100, Some(20.0))]);
        let all = series(&file(cells));
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].points[0].jobs, all[0].points[0].median_s), (2, Some(8.0)));
        assert_eq!(all[0].points[1].efficiency, Some(0.8));
        assert_eq!((all[1].points[0].clients, all[1].points[1].efficiency), (40, Some(0.5)));
    }

    #[test]
    fn one_number_of_nodes_is_no_series() {
        let only = file(vec![cell(4, 20, 100, Some(4.0))]);
        assert!(series(&only).is_empty());
        assert!(scaling(&only, WIDTH).contains("one number of nodes only"));
    }

    #[test]
    fn fits_the_page() {
        let page = scaling(&file(vec![cell(1, 20, 100, Some(8.0)), cell(2, 20, 100, Some(5.0))]), WIDTH);
        println!("{page}");
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
    }
}
