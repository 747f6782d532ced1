//! Tests self-consistent performance guidelines: a well-tuned MPI library should not be slower than its own
//! alternatives.
//!
//! A collective should not take longer than others that compute the same, and should not take less time for more data
//! (Träff, Gropp and Thakur, Self-consistent MPI performance guidelines, IEEE TPDS 21, 2010). Violations are found by
//! ratios of times in the same blocks, with Holm's adjustment over all guidelines of a file. Hunold and Carpen-Amarie
//! test guidelines similarly (PGMPI: Automatically verifying self-consistent MPI performance guidelines, 2016).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::ResultFile;
use super::pairs::{JobPair, TimedRow, job_pairs, times};
use super::pooled::{ALPHA, Point};
use super::row::{CellRow, Status};
use crate::plan::{Algorithm, End};
use crate::stats::{Evidence, Interval, Look, Ratio, Verdict, judge, pool};

/// Guidelines on two strategies: the end that both reach, the strategy that should not take longer, the strategy that
/// it is compared with, and both in MPI's terms.
const PATTERNS: [(End, &str, &str, &str, &str); 6] = [
    (End::Scattered, "native-reduce-scatter", "native-reduce", "MPI_Reduce_scatter", "MPI_Reduce + MPI_Scatterv"),
    (End::Root, "native-reduce", "native-reduce-scatter", "MPI_Reduce", "MPI_Reduce_scatter + MPI_Gatherv"),
    (
        End::Everywhere,
        "native-allreduce",
        "native-reduce-scatter",
        "MPI_Allreduce",
        "MPI_Reduce_scatter + MPI_Allgatherv",
    ),
    (End::Everywhere, "native-allreduce", "native-reduce", "MPI_Allreduce", "MPI_Reduce + MPI_Bcast"),
    (End::Root, "native-reduce", "native-allreduce", "MPI_Reduce", "MPI_Allreduce"),
    (End::Scattered, "native-reduce-scatter", "native-allreduce", "MPI_Reduce_scatter", "MPI_Allreduce"),
];

/// Strategies, and their collectives, whose time should not fall as gradients grow.
const MONOTONE: [(&str, &str); 5] = [
    ("native-reduce-scatter", "MPI_Reduce_scatter"),
    ("native-reduce-scatter-block", "MPI_Reduce_scatter_block"),
    ("native-ireduce-scatter", "MPI_Ireduce_scatter"),
    ("native-reduce", "MPI_Reduce"),
    ("native-allreduce", "MPI_Allreduce"),
];

/// The outcome of testing a guideline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The library is slower than it should be.
    Violated,
    /// The data show neither.
    Undecided,
    /// The library is faster, or no slower than the margin allows.
    Kept,
}

/// One guideline, tested on one pair of cells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tested {
    /// The guideline in MPI's terms.
    pub guideline: String,
    /// Properties that the two cells have in common.
    pub at: String,
    /// Number of the cell that should not take longer.
    pub cell: u64,
    /// Number of the cell that it is compared with.
    pub than: u64,
    /// MPI ranks.
    pub ranks: u64,
    /// Nodes.
    pub nodes: u64,
    /// Number of jobs over which the ratio is pooled; if 1, the ratio is over the blocks of one job.
    pub jobs: u64,
    /// Blocks in which both were timed, over all jobs.
    pub blocks: u64,
    /// Time of `cell` divided by the time of `than`. Above 1, the library is slower than it should be.
    pub estimate: f64,
    /// Lower end of the ratio's interval; None with too few blocks.
    pub ci_low: Option<f64>,
    /// Upper end of the ratio's interval; None with too few blocks.
    pub ci_high: Option<f64>,
    /// p-value of the two being equally fast, adjusted for looks and for all guidelines of the file.
    pub p_holm: f64,
    /// Ratios up to 1 + margin count as no slower.
    pub margin: f64,
    /// The outcome.
    pub outcome: Outcome,
    /// Another algorithm of the library by which the guideline would be kept; None if no measured one would.
    pub cure: Option<Algorithm>,
}

/// The outcomes of all guidelines in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    /// Guidelines that could be tested: violations, then undecided ones, then kept ones, each by falling ratio.
    pub tested: Vec<Tested>,
    /// One line for each guideline that could not be tested, with the missing strategy.
    pub missing: Vec<String>,
}

/// Tests every guideline for which `file` holds both sides.
///
/// Two strategies of one comparison were timed in the same blocks. Two gradient sizes belong to different comparisons,
/// so their samples are paired by block number. These pairs are independent, so the signed-rank test remains valid, but
/// drift between the comparisons does not cancel. With several jobs of one size, each job gives one ratio.
pub fn guidelines(file: &ResultFile) -> Findings {
    let times = times(file);
    let mut cells: Cells<'_> = BTreeMap::new();
    let mut chosen: Vec<TimedRow<'_>> = Vec::new();
    for row in &file.cells {
        let of = cells.entry((Point::of(file, row), row.comparison)).or_default();
        let timed = times.get(&(row.job, row.cell)).filter(|_| row.status == Status::Ok && row.median_s.is_some());
        let Some(times) = timed else { continue };
        let cell = TimedRow { row, times };
        if row.is_the_librarys_choice() {
            of.entry((row.strategy.as_str(), row.end, row.shards)).or_default().push(cell);
        } else if row.component.is_default() {
            chosen.push(cell);
        }
    }
    let mut found = Vec::new();
    let mut missing = BTreeSet::new();
    for ((_, comparison), of) in &cells {
        let Some(place) = file.cells.iter().find(|row| row.comparison == *comparison) else { continue };
        for (end, library, mock_up, in_mpi, others_in_mpi) in PATTERNS {
            let guideline = format!("{in_mpi} not slower than {others_in_mpi}");
            let sides: Vec<_> = of.iter().filter(|((strategy, of, _), _)| (*strategy, *of) == (library, end)).collect();
            if sides.is_empty() && place.end == end {
                missing.insert(format!("{guideline}: {} has no {library} that was timed", common(place)));
            }
            for ((_, _, shards), one) in sides {
                // The other strategy may not depend on the number of shards; its cell then has 1.
                let other = of.get(&(mock_up, end, *shards)).or_else(|| of.get(&(mock_up, end, 1)));
                match other {
                    Some(other) => {
                        let tested = ratio(file, &guideline, common(one[0].row), one, other);
                        let cured =
                            |(tested, evidence)| (Tested { cure: cure(file, &chosen, one, other), ..tested }, evidence);
                        found.extend(tested.map(cured));
                    }
                    None => {
                        missing.insert(format!("{guideline}: {} has no {mock_up} that was timed", common(place)));
                    }
                }
            }
        }
    }
    for (strategy, name) in MONOTONE {
        sizes(file, &cells, strategy, name, &mut found);
    }
    let family: Vec<Evidence> = found.iter().map(|(_, evidence)| *evidence).collect();
    // The margin is the same in the whole experiment.
    let margin = found.first().map_or(0.0, |(tested, _)| tested.margin);
    let mut tested: Vec<Tested> = found
        .into_iter()
        .zip(judge(&family, margin, ALPHA))
        .map(|((tested, _), judgement)| {
            let outcome = match judgement.verdict {
                Verdict::Slower => Outcome::Violated,
                Verdict::Faster | Verdict::Same => Outcome::Kept,
                Verdict::Undecided => Outcome::Undecided,
            };
            Tested { p_holm: judgement.difference_p, outcome, ..tested }
        })
        .collect();
    tested.sort_by(|one, other| one.outcome.cmp(&other.outcome).then(other.estimate.total_cmp(&one.estimate)));
    Findings { tested, missing: missing.into_iter().collect() }
}

/// Timed cells by size of the jobs and comparison.
type Cells<'f> = BTreeMap<(Point, u64), Sides<'f>>;
/// Timed cells by strategy, end and number of shards; one entry per job.
type Sides<'f> = BTreeMap<(&'f str, End, u64), Vec<TimedRow<'f>>>;
/// Timed cells by number of elements; one entry per job.
type Sizes<'c, 'f> = BTreeMap<u64, &'c Vec<TimedRow<'f>>>;

/// Tests that of two cells with neighbouring gradient sizes, and otherwise equal, the smaller does not take longer.
fn sizes(
    file: &ResultFile,
    cells: &Cells<'_>,
    strategy: &str,
    name: &'static str,
    found: &mut Vec<(Tested, Evidence)>,
) {
    let mut series: BTreeMap<(Point, String), Sizes<'_, '_>> = BTreeMap::new();
    for ((point, _), of) in cells {
        for ((_, _, shards), timed) in of.iter().filter(|((other, ..), _)| *other == strategy) {
            let row = timed[0].row;
            let rest = format!(
                "{} {} {} {} {} {} {} {} {} {shards}",
                row.dtype,
                row.roles,
                row.end,
                row.residency,
                row.order,
                row.intra_node,
                row.ready,
                row.caches,
                row.clients
            );
            series.entry((point.clone(), rest)).or_default().insert(row.elements, timed);
        }
    }
    for sizes in series.values() {
        let sizes: Vec<_> = sizes.values().collect();
        for two in sizes.windows(2) {
            let (small, large) = (two[0], two[1]);
            let at = format!("{name}, {} against {}", common(small[0].row), large[0].row.model);
            found.extend(ratio(file, MONOTONE_GUIDELINE, at, small, large));
        }
    }
}

/// The guideline on every collective in [`MONOTONE`].
const MONOTONE_GUIDELINE: &str = "a smaller gradient not slower than a larger one";

/// The time of `one` divided by the time of `other`, and its evidence for the test. None if no job has a block of both.
fn ratio(
    file: &ResultFile,
    guideline: &str,
    at: String,
    one: &[TimedRow<'_>],
    other: &[TimedRow<'_>],
) -> Option<(Tested, Evidence)> {
    let of_job =
        |side: &TimedRow<'_>| file.ratios.iter().find(|r| (r.job, r.comparison) == (side.row.job, side.row.comparison));
    let margin = one.iter().chain(other).find_map(|side| Some(of_job(side)?.margin)).unwrap_or(0.0);
    let pairs: Vec<(JobPair<'_>, Ratio)> = job_pairs(file, one, other)
        .into_iter()
        .filter_map(|pair| {
            let ratio = pair.logs.ratio(pair.alpha)?;
            Some((pair, ratio))
        })
        .collect();
    let (JobPair { one: first, other: second, logs, .. }, own) = pairs.first()?;
    let blocks = pairs.iter().map(|(_, ratio)| ratio.blocks as u64).sum();
    let estimates: Vec<f64> = pairs.iter().map(|(_, ratio)| ratio.estimate).collect();
    let (evidence, interval): (Evidence, Option<Interval>) = if pairs.len() > 1 {
        let pooled = pool(&estimates, ALPHA)?;
        (pooled.evidence(margin), pooled.interval)
    } else {
        let look = Look { number: first.looks as u32, blocks, alpha: own.alpha };
        (Evidence::at(logs, margin, &look, ALPHA)?, own.interval)
    };
    let tested = Tested {
        guideline: guideline.to_owned(),
        at,
        cell: first.cell,
        than: second.cell,
        ranks: first.ranks,
        nodes: first.nodes,
        jobs: pairs.len() as u64,
        blocks,
        estimate: evidence.estimate,
        ci_low: interval.map(|interval| interval.low),
        ci_high: interval.map(|interval| interval.high),
        p_holm: 1.0,
        margin,
        outcome: Outcome::Undecided,
        cure: None,
    };
    Some((tested, evidence))
}

/// The algorithm of the library by which `one` would be no slower than `other`, within the margin and with its whole
/// interval; the fastest of several. None if none was measured that would.
fn cure(file: &ResultFile, chosen: &[TimedRow<'_>], one: &[TimedRow<'_>], other: &[TimedRow<'_>]) -> Option<Algorithm> {
    let mut by_algorithm: BTreeMap<String, Vec<TimedRow<'_>>> = BTreeMap::new();
    let call = |row: &CellRow| (row.comparison, row.strategy.clone(), row.shards, row.ranks, row.nodes);
    for cell in chosen.iter().filter(|cell| call(cell.row) == call(one[0].row)) {
        by_algorithm.entry(cell.row.algorithm.to_string()).or_default().push(*cell);
    }
    let kept = by_algorithm.values().filter_map(|cells| {
        let (tested, _) = ratio(file, "", String::new(), cells, other)?;
        (tested.ci_high? <= 1.0 + tested.margin).then_some((tested.estimate, cells[0].row.algorithm))
    });
    kept.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, algorithm)| algorithm)
}

/// Text of the properties that the cells of a comparison have in common.
fn common(row: &CellRow) -> String {
    let CellRow { model, elements, dtype, clients, ranks, nodes, end, roles, .. } = row;
    let shards = if row.shards > 1 { format!(", M {}", row.shards) } else { String::new() };
    format!(
        "{model} ({elements} {dtype}), {clients} clients{shards}, {ranks} ranks on {nodes} nodes, {roles}, end {end}"
    )
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::results::Environment;
    use crate::results::row::{RatioRow, Sample};

    /// A file of one job. Each cell has a comparison, elements, a strategy, and the scale of its seconds in 20 blocks
    /// that differ strongly.
    fn file(cells: &[(u64, u64, &str, f64)]) -> ResultFile {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        add(&mut file, cells);
        file
    }

    fn add(file: &mut ResultFile, cells: &[(u64, u64, &str, f64)]) {
        for (cell, (comparison, elements, strategy, seconds)) in (0..).zip(cells) {
            let row = CellRow {
                cell,
                comparison: *comparison,
                elements: *elements,
                model: format!("of-{elements}"),
                strategy: (*strategy).into(),
                end: [End::Scattered, End::Root, End::Everywhere][*comparison as usize % 3],
                shards: 1,
                median_s: Some(*seconds),
                status: Status::Ok,
                ..CellRow::default()
            };
            let sample =
                |block: u64| Sample { cell, block, seconds: seconds * (1.0 + 0.1 * block as f64), ..Sample::default() };
            file.push(row, (0..20).map(sample).collect(), vec![]);
        }
        let looked = |comparison| RatioRow { comparison, margin: 0.02, alpha: 0.0125, ..RatioRow::default() };
        file.push_ratios((0..3).map(looked).collect());
    }

    fn guideline(pattern: usize) -> String {
        format!("{} not slower than {}", PATTERNS[pattern].3, PATTERNS[pattern].4)
    }

    fn outcomes(file: &ResultFile) -> Vec<(String, f64, Outcome)> {
        let rounded = |value: f64| (value * 1e6).round() / 1e6;
        guidelines(file).tested.into_iter().map(|t| (t.guideline, rounded(t.estimate), t.outcome)).collect()
    }

    #[test]
    fn an_algorithm_that_keeps_the_guideline_is_its_cure() {
        let mut file = file(&[
            (0, 100, "native-reduce-scatter", 3.0),
            (0, 100, "native-reduce", 2.0),
            (0, 100, "native-reduce-scatter", 2.5),
            (0, 100, "native-reduce-scatter", 1.5),
        ]);
        file.cells[2].algorithm = "ring".parse().expect("a name");
        file.cells[3].algorithm = "butterfly".parse().expect("a name");
        let findings = guidelines(&file);
        let violated = &findings.tested[0];
        assert_eq!((violated.outcome, violated.cell, violated.than), (Outcome::Violated, 0, 1));
        assert_eq!(violated.cure.map(|cure| cure.to_string()), Some("butterfly".into()));
        file.cells[3].algorithm = Algorithm::default();
        file.cells[0].algorithm = "butterfly".parse().expect("a name");
        assert_eq!(guidelines(&file).tested[0].outcome, Outcome::Kept, "the default is tested, wherever it stands");
    }

    #[test]
    fn a_collective_that_is_slower_than_its_mock_up_is_found() {
        let file = file(&[
            (0, 100, "native-reduce-scatter", 3.0),
            (0, 100, "native-reduce", 2.0),
            (1, 100, "native-reduce", 1.0),
            (1, 100, "native-reduce-scatter", 4.0),
        ]);
        let (scatter, reduce) = (guideline(0), guideline(1));
        assert_eq!(outcomes(&file), [(scatter, 1.5, Outcome::Violated), (reduce, 0.25, Outcome::Kept)]);
        let findings = guidelines(&file);
        let violated = &findings.tested[0];
        assert_eq!((violated.cell, violated.than, violated.jobs, violated.blocks), (0, 1, 1, 20));
        // Twenty ratios of one sign have p = 2 / 2²⁰. The looks count four times and the two guidelines twice.
        assert!((violated.p_holm - 2.0 * 4.0 * 2.0 / f64::from(1 << 20)).abs() < 1e-12, "{violated:?}");
        assert!(
            findings
                .missing
                .iter()
                .any(|m| m.starts_with(&guideline(4)) && m.ends_with("no native-allreduce that was timed"))
        );
    }

    #[test]
    fn what_is_within_the_margin_is_kept() {
        let file = file(&[(2, 100, "native-allreduce", 1.01), (2, 100, "native-reduce-scatter", 1.0)]);
        assert_eq!(outcomes(&file), [(guideline(2), 1.01, Outcome::Kept)]);
    }

    #[test]
    fn more_data_should_take_more_time() {
        let sizes =
            file(&[(0, 100, "native-reduce", 1.0), (3, 200, "native-reduce", 3.0), (6, 400, "native-reduce", 2.0)]);
        let expected = [(1.5, Outcome::Violated), (0.333_333, Outcome::Kept)]
            .map(|(ratio, outcome)| (MONOTONE_GUIDELINE.to_owned(), ratio, outcome));
        assert_eq!(outcomes(&sizes), expected);
        assert!(
            guidelines(&sizes).tested[0].at.contains("MPI_Reduce, of-200")
                && guidelines(&sizes).tested[0].at.ends_with("against of-400")
        );
        // Guidelines do not apply to strategies outside the library.
        assert_eq!(outcomes(&file(&[(0, 100, "tree-central", 2.0), (3, 200, "tree-central", 1.0)])), []);
    }

    /// If jobs contradict each other, the outcome is undecided, whatever their number of blocks.
    #[test]
    fn over_jobs_the_jobs_count() {
        let sides = |one: f64| [(0, 100, "native-reduce-scatter", one), (0, 100, "native-reduce", 1.0)];
        let mut file = file(&sides(3.0));
        file.resumed(&Environment::default());
        add(&mut file, &sides(0.5));
        let tested = &guidelines(&file).tested[0];
        assert_eq!((tested.jobs, tested.blocks, tested.outcome), (2, 40, Outcome::Undecided));
        assert!((tested.estimate - 1.5f64.sqrt()).abs() < 1e-12, "{tested:?}");
    }

    #[test]
    fn a_failed_side_is_missing() {
        let mut file = file(&[(0, 100, "native-reduce-scatter", 3.0), (0, 100, "native-reduce", 2.0)]);
        file.cells[1].status = Status::Failed;
        let findings = guidelines(&file);
        assert!(findings.tested.is_empty());
        assert!(findings.missing.iter().any(|m| m.contains("has no native-reduce that was timed")), "{findings:?}");
        assert_eq!(guidelines(&ResultFile::new("{}".into(), Environment::default())), Findings::default());
    }
}
