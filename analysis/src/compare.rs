//! Compares files cell by cell, and finds regressions against a baseline.

use std::collections::BTreeMap;

use gradshard::results::row::{CellRow, Status};
use gradshard::stats::holm::holm;
use gradshard::stats::{Alpha, Interval, between_jobs, unpaired};

use crate::source::OpenFile;

/// The properties that identify the same measurement in different files.
pub type Key = ([String; 4], Vec<u64>);

fn key(cell: &CellRow) -> Key {
    let ceiling = cell.ceiling_bytes.map_or(u64::MAX, |bytes| bytes as u64);
    let terms =
        format!("{} {} {} {} {} {}", cell.dtype, cell.roles, cell.intra_node, cell.order, cell.end, cell.residency);
    (
        [cell.model.clone(), terms, cell.formed(), cell.flow.clone()],
        vec![cell.elements, cell.clients, cell.shards, cell.ranks, cell.nodes, ceiling],
    )
}

/// The outcome of comparing a cell with the baseline's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Change {
    /// The cell is slower by more than the margin.
    #[strum(to_string = "SLOWER")]
    Slower,
    /// The cell is faster by more than the margin.
    #[strum(to_string = "faster")]
    Faster,
    /// The data show neither.
    #[strum(to_string = "no change shown")]
    NotShown,
    /// The baseline timed the cell; here it failed, is infeasible, or is missing.
    #[strum(to_string = "LOST")]
    Lost,
    /// The result equals the flat server to the bit in the baseline, but not here.
    #[strum(to_string = "BITS DIFFER")]
    Bits,
    /// An aggregating rank is predicted to hold more than in the baseline, by more than the margin.
    #[strum(to_string = "MORE MEMORY")]
    Memory,
    /// The baseline does not have the cell.
    #[strum(to_string = "new")]
    New,
}

impl Change {
    /// True if an acceptance test must fail because of it.
    pub fn is_regression(self) -> bool {
        matches!(self, Change::Slower | Change::Lost | Change::Bits | Change::Memory)
    }
}

/// A cell on both sides of a comparison.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The label that is compared with the baseline.
    pub label: String,
    /// Strategy, with M and flow.
    pub name: String,
    /// Strategy without M and flow.
    pub strategy: String,
    /// Model, element type, clients, ranks, nodes and end.
    pub place: String,
    /// Medians in the baseline and here, in seconds; the geometric mean if there are several jobs.
    pub medians: [Option<f64>; 2],
    /// Number of samples in the baseline and here.
    pub samples: [usize; 2],
    /// Number of jobs in the baseline and here.
    pub jobs: [usize; 2],
    /// Time here divided by the baseline's.
    pub ratio: Option<f64>,
    /// 95 % interval of the ratio, over jobs if both sides have two or more, otherwise over rounds.
    pub interval: Option<Interval>,
    /// p-value of the null hypothesis that the cell is not slower by more than the margin, adjusted for all compared
    /// cells.
    pub slower_p: f64,
    /// p-value of the null hypothesis that the cell is not faster by more than the margin, adjusted in the same way.
    pub faster_p: f64,
    /// The outcome.
    pub change: Change,
    /// The reason for the outcome, if it needs one.
    pub reason: String,
}

/// One side of a comparison: the cells of the jobs with one label, with the seconds of their rounds.
pub type Side<'f> = BTreeMap<Key, Vec<(&'f CellRow, Vec<f64>)>>;

/// All cells of the files.
pub fn side<'f>(sources: impl IntoIterator<Item = &'f OpenFile>) -> Side<'f> {
    let mut cells = Side::new();
    for comparison in sources.into_iter().flat_map(OpenFile::comparisons) {
        for cell in &comparison.contest.cells {
            cells.entry(key(cell)).or_default().push((*cell, comparison.seconds(cell)));
        }
    }
    cells
}

/// Compares every cell of both sides, including cells that only one side has. Ratios within 1 + `margin` count as no
/// change.
pub fn compare(baseline: &Side<'_>, here: &Side<'_>, label: &str, margin: f64) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    let none = Vec::new();
    for (key, before) in baseline {
        pairs.push(pair(label, before, here.get(key).unwrap_or(&none), margin));
    }
    for (_, now) in here.iter().filter(|(key, _)| !baseline.contains_key(*key)) {
        pairs.push(pair(label, &none, now, margin));
    }
    let adjust =
        |p: fn(&Pair) -> f64| holm(&pairs.iter().filter(|pair| pair.ratio.is_some()).map(p).collect::<Vec<f64>>());
    let (slower, faster) = (adjust(|pair| pair.slower_p), adjust(|pair| pair.faster_p));
    let timed = pairs.iter_mut().filter(|pair| pair.ratio.is_some());
    for ((pair, slower), faster) in timed.zip(slower).zip(faster) {
        (pair.slower_p, pair.faster_p) = (slower, faster);
        if pair.change == Change::NotShown {
            let level = Alpha::FIVE_PERCENT.get();
            pair.change = match (slower <= level, faster <= level) {
                (true, _) => Change::Slower,
                (_, true) => Change::Faster,
                _ => Change::NotShown,
            };
        }
    }
    pairs
}

type Jobs<'f> = [(&'f CellRow, Vec<f64>)];

fn pair(label: &str, before: &Jobs<'_>, now: &Jobs<'_>, margin: f64) -> Pair {
    let ok = |jobs: &Jobs<'_>| -> Vec<(CellRow, Vec<f64>)> {
        let timed = jobs.iter().filter(|(cell, seconds)| cell.status == Status::Ok && !seconds.is_empty());
        timed.map(|(cell, seconds)| ((*cell).clone(), seconds.clone())).collect()
    };
    let sides = [ok(before), ok(now)];
    let medians = [0, 1].map(|side| -> Vec<f64> { sides[side].iter().filter_map(|(cell, _)| cell.median_s).collect() });
    let rounds = [0, 1].map(|side| -> Vec<f64> { sides[side].iter().flat_map(|(_, s)| s.iter().copied()).collect() });
    let found = between_jobs(&medians[1], &medians[0], margin, Alpha::FIVE_PERCENT)
        .or_else(|| unpaired(&rounds[1], &rounds[0], margin, Alpha::FIVE_PERCENT));
    let cell = now.first().or(before.first()).map(|(cell, _)| *cell);
    let (change, reason) = judge(&sides, before, now, margin);
    let text = |of: fn(&CellRow) -> String| cell.map(of).unwrap_or_default();
    Pair {
        label: label.to_owned(),
        name: text(|cell| format!("{} (M {}, {})", cell.formed(), cell.shards, cell.flow)),
        strategy: text(|cell| cell.strategy.clone()),
        place: text(|cell| {
            format!(
                "{} {}, N {}, {} ranks on {} nodes, end {}",
                cell.model, cell.dtype, cell.clients, cell.ranks, cell.nodes, cell.end
            )
        }),
        medians: [0, 1].map(|side| mean_of_logs(&medians[side])),
        samples: [0, 1].map(|side| rounds[side].len()),
        jobs: [before.len(), now.len()],
        ratio: found.map(|found| found.estimate),
        interval: found.and_then(|found| found.interval),
        slower_p: found.map_or(1.0, |found| found.slower_p),
        faster_p: found.map_or(1.0, |found| found.faster_p),
        change,
        reason,
    }
}

fn mean_of_logs(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

/// The part of the outcome that does not depend on times, and its reason.
fn judge(sides: &[Vec<(CellRow, Vec<f64>)>; 2], before: &Jobs<'_>, now: &Jobs<'_>, margin: f64) -> (Change, String) {
    if before.is_empty() {
        return (Change::New, String::new());
    }
    if sides[0].is_empty() {
        // The baseline did not time the cell.
        return (Change::NotShown, "not timed in the baseline".to_owned());
    }
    let Some((first, _)) = sides[1].first() else {
        let reason = match now.first() {
            None => "not in the file".to_owned(),
            Some((cell, _)) => format!("{}: {}", cell.status, cell.reason),
        };
        return (Change::Lost, reason);
    };
    if let Some((failed, _)) = now.iter().find(|(cell, _)| cell.status == Status::Failed) {
        return (Change::Lost, format!("failed in one job: {}", failed.reason));
    }
    let identical = |cell: &CellRow| cell.verification.as_ref().map(|found| found.differing_elements == 0);
    let was = sides[0].iter().all(|(cell, _)| identical(cell) == Some(true));
    if was && sides[1].iter().any(|(cell, _)| identical(cell) == Some(false)) {
        return (Change::Bits, "equal to the flat server to the bit in the baseline, and not here".to_owned());
    }
    let most = sides[0].iter().map(|(cell, _)| cell.aggregating_bytes).max().unwrap_or(0);
    let (had, has) = (most as f64, first.aggregating_bytes as f64);
    if had > 0.0 && has > had * (1.0 + margin) {
        let mib = |bytes: f64| crate::number::bytes(bytes);
        return (Change::Memory, format!("an aggregating rank needs {} instead of {}", mib(has), mib(had)));
    }
    (Change::NotShown, String::new())
}

/// The outcome of a comparison of two sides in a sentence.
pub fn sentence(pairs: &[Pair], baseline: &str, label: &str, margin: f64) -> String {
    let of = |change: Change| pairs.iter().filter(|pair| pair.change == change).count();
    let compared = pairs.iter().filter(|pair| pair.ratio.is_some()).count();
    let lost = of(Change::Lost);
    let mut parts = Vec::new();
    for (change, words) in [
        (Change::Slower, "slower"),
        (Change::Lost, "lost"),
        (Change::Bits, "no longer equal to the bit"),
        (Change::Memory, "in need of more memory"),
        (Change::Faster, "faster"),
        (Change::New, "only here"),
    ] {
        if of(change) > 0 {
            parts.push(format!("{} {words}", of(change)));
        }
    }
    let margin = crate::number::percent(margin);
    let all = if parts.is_empty() { "no change shown".to_owned() } else { parts.join(", ") };
    let worst = pairs
        .iter()
        .filter(|pair| pair.change == Change::Slower)
        .max_by(|one, other| one.ratio.unwrap_or(1.0).total_cmp(&other.ratio.unwrap_or(1.0)));
    let worst = worst.map_or(String::new(), |pair| {
        let interval = pair.interval.map_or(String::new(), |i| format!(" [{:.2}, {:.2}]", i.low, i.high));
        format!(" Worst: {} takes {:.2}×{interval} as long ({}).", pair.name, pair.ratio.unwrap_or(1.0), pair.place)
    });
    format!("{label} against {baseline}: of {} cells, {all}, by more than {margin}.{worst}", compared + lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradshard::results::Environment;
    use gradshard::results::ResultFile;
    use gradshard::results::row::{Sample, VerificationRow};

    fn source(times: &[f64], change: impl Fn(&mut CellRow)) -> OpenFile {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let mut cell = CellRow {
            strategy: "sharded-direct".into(),
            elements: 10,
            aggregating_bytes: 100,
            samples: times.len() as u64,
            median_s: sorted.get(times.len() / 2).copied(),
            verification: Some(VerificationRow::default()),
            status: Status::Ok,
            ..CellRow::default()
        };
        change(&mut cell);
        let sample = |(block, seconds): (usize, &f64)| Sample {
            cell: 0,
            block: block as u64,
            place: 0,
            seconds: *seconds,
            ..Sample::default()
        };
        file.push(cell, times.iter().enumerate().map(sample).collect(), vec![]);
        OpenFile { label: "x".into(), path: "x.h5".into(), file }
    }

    fn change(before: &OpenFile, now: &OpenFile) -> Change {
        compare(&side([before]), &side([now]), "x", 0.05)[0].change
    }

    const TIMES: [f64; 10] = [1.0, 1.01, 1.02, 0.99, 1.03, 1.0, 0.98, 1.01, 1.02, 1.0];

    #[test]
    fn a_cell_that_takes_longer_than_the_margin_is_flagged() {
        let base = source(&TIMES, |_| ());
        assert_eq!(change(&base, &source(&TIMES.map(|t| t * 1.2), |_| ())), Change::Slower);
        assert_eq!(change(&base, &source(&TIMES.map(|t| t / 1.2), |_| ())), Change::Faster);
        assert_eq!(change(&base, &source(&TIMES.map(|t| t * 1.03), |_| ())), Change::NotShown);
        assert_eq!(change(&base, &base), Change::NotShown);
    }

    #[test]
    fn what_is_lost_wrong_or_larger_is_flagged_too() {
        let base = source(&TIMES, |_| ());
        let failed = source(&[], |cell| (cell.status, cell.median_s) = (Status::Failed, None));
        assert_eq!(change(&base, &failed), Change::Lost);
        let none = source(&TIMES, |cell| cell.clients = 99);
        let pairs = compare(&side([&base]), &side([&none]), "x", 0.05);
        assert_eq!(pairs.iter().map(|pair| pair.change).collect::<Vec<_>>(), [Change::Lost, Change::New]);
        let bits = |cell: &mut CellRow| {
            cell.verification = Some(VerificationRow { differing_elements: 1, ..VerificationRow::default() });
        };
        assert_eq!(change(&base, &source(&TIMES, bits)), Change::Bits);
        assert_eq!(change(&source(&TIMES, bits), &base), Change::NotShown);
        assert_eq!(change(&base, &source(&TIMES, |cell| cell.aggregating_bytes = 106)), Change::Memory);
        assert_eq!(change(&base, &source(&TIMES, |cell| cell.aggregating_bytes = 105)), Change::NotShown);
    }

    /// With two jobs per side that differ as much as the sides do, there is no claim, whatever the rounds are.
    #[test]
    fn jobs_are_the_outer_unit() {
        let times = |factor: f64| source(&TIMES.map(|t| t * factor), |_| ());
        let (a, b, c, d) = (times(1.0), times(1.4), times(1.3), times(1.7));
        let pairs = compare(&side([&a, &b]), &side([&c, &d]), "x", 0.05);
        assert_eq!((pairs[0].jobs, pairs[0].change), ([2, 2], Change::NotShown));
        assert_eq!(change(&a, &c), Change::Slower);
    }
}
