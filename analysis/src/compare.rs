//! Compares files cell by cell, and finds regressions against a baseline.

use std::collections::BTreeMap;

use gradshard::results::row::{CellRow, Status};
use gradshard::stats::holm::holm;
use gradshard::stats::{Alpha, Interval, TwoSampleRatio, between_jobs, one_against_jobs, summarise, unpaired};

use crate::anchor::{Rounds, at_a_common_speed};
use crate::number::counted;
use crate::source::OpenFile;

/// The properties that identify the same measurement in different files.
pub type Key = ([String; 4], Vec<u64>);

fn key(cell: &CellRow) -> Key {
    let ceiling = cell.ceiling_bytes.map_or(u64::MAX, |bytes| bytes as u64);
    let CellRow { dtype, roles, intra_node, order, ready, caches, end, residency, .. } = cell;
    let terms = format!("{dtype} {roles} {intra_node} {order} {ready} {caches} {end} {residency}");
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
    /// The times cannot tell the program from the machine.
    #[strum(to_string = "not decidable")]
    Undecidable,
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
    /// Time here divided by the baseline's; None if it is not decidable.
    pub ratio: Option<f64>,
    /// 95 % interval of the ratio: between jobs if both sides have several, of a further job if one side has, and otherwise
    /// over rounds whose times are relative to an anchor in the same block.
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

/// One side of a comparison: the cells of the jobs with one label, with the rounds of each job.
pub type Side<'f> = BTreeMap<Key, Vec<Rounds<'f>>>;

/// All cells of the files. The strategy `control` is the anchor of times, if it is given.
pub fn side<'f>(sources: impl IntoIterator<Item = &'f OpenFile>, control: Option<&str>) -> Side<'f> {
    let mut cells = Side::new();
    for comparison in sources.into_iter().flat_map(OpenFile::comparisons) {
        for cell in &comparison.contest.cells {
            cells.entry(key(cell)).or_default().push(Rounds::of(&comparison, cell, control));
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

fn pair(label: &str, before: &[Rounds<'_>], now: &[Rounds<'_>], margin: f64) -> Pair {
    let sides = [timed(before), timed(now)];
    let medians =
        [0, 1].map(|side: usize| -> Vec<f64> { sides[side].iter().filter_map(|job| job.cell.median_s).collect() });
    let found = times([&sides[0], &sides[1]], margin);
    let cell = now.first().or(before.first()).map(|job| job.cell);
    let (mut change, mut reason) = judge(&sides, before, now, margin);
    if let (Change::NotShown, "", Err(why)) = (change, reason.as_str(), &found) {
        (change, reason) = (Change::Undecidable, (*why).to_owned());
    }
    let found = found.ok();
    let text = |of: fn(&CellRow) -> String| cell.map(of).unwrap_or_default();
    Pair {
        label: label.to_owned(),
        name: text(|cell| format!("{} (M {}, {})", cell.formed(), cell.shards, cell.flow)),
        strategy: text(|cell| cell.strategy.clone()),
        place: text(|cell| {
            format!(
                "{} {}, N {}, {} on {}, end {}",
                cell.model,
                cell.dtype,
                cell.clients,
                counted(cell.ranks as usize, "rank"),
                counted(cell.nodes as usize, "node"),
                cell.end
            )
        }),
        medians: [0, 1].map(|side| mean_of_logs(&medians[side])),
        samples: [0, 1].map(|side: usize| sides[side].iter().map(|job| job.seconds.len()).sum()),
        jobs: [before.len(), now.len()],
        ratio: found.map(|found| found.estimate),
        interval: found.and_then(|found| found.interval),
        slower_p: found.map_or(1.0, |found| found.slower_p),
        faster_p: found.map_or(1.0, |found| found.faster_p),
        change,
        reason,
    }
}

/// The jobs that timed the cell.
fn timed<'f>(jobs: &[Rounds<'f>]) -> Vec<Rounds<'f>> {
    jobs.iter().filter(|job| job.cell.status == Status::Ok && !job.seconds.is_empty()).cloned().collect()
}

/// Compares the times of the baseline with those of the other side. Several jobs a side are compared by their medians, and a
/// single job with the prediction interval of several; the medians are those of times against anchors, at a common speed of the
/// machines, if all jobs have anchors. One job a side is compared by its rounds' times against their anchors, since the rounds
/// of a job share an allocation and a state of the machine.
fn times(sides: [&[Rounds<'_>]; 2], margin: f64) -> Result<TwoSampleRatio, &'static str> {
    let alpha = Alpha::FIVE_PERCENT;
    let single = sides.iter().all(|side| side.len() == 1);
    let medians = if single || sides.into_iter().flatten().all(Rounds::is_anchored) {
        let anchored = sides.map(|side| side.iter().map(|job| job.anchored.as_slice()).collect::<Vec<_>>());
        let [before, now] = at_a_common_speed([&anchored[0], &anchored[1]])?;
        if let ([before], [now]) = (before.as_slice(), now.as_slice()) {
            return unpaired(now, before, margin, alpha).ok_or(INCOMPARABLE);
        }
        let median = |values: &Vec<f64>| summarise(values).map(|summary| summary.median);
        [before, now].map(|jobs| jobs.iter().filter_map(median).collect::<Vec<f64>>())
    } else {
        sides.map(|side| side.iter().filter_map(|job| job.cell.median_s).collect())
    };
    let found = match medians.each_ref().map(Vec::as_slice) {
        [jobs, [one]] => one_against_jobs(*one, jobs, margin, alpha),
        [[one], jobs] => one_against_jobs(*one, jobs, margin, alpha).map(inverse),
        [before, now] => between_jobs(now, before, margin, alpha),
    };
    found.ok_or(INCOMPARABLE)
}

/// The reason where the statistics say nothing.
const INCOMPARABLE: &str = "the times cannot be compared";

/// The comparison with its sides exchanged.
fn inverse(ratio: TwoSampleRatio) -> TwoSampleRatio {
    TwoSampleRatio {
        estimate: 1.0 / ratio.estimate,
        interval: ratio.interval.map(|interval| Interval { low: 1.0 / interval.high, high: 1.0 / interval.low }),
        slower_p: ratio.faster_p,
        faster_p: ratio.slower_p,
    }
}

fn mean_of_logs(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

/// The part of the outcome that does not depend on times, and its reason.
fn judge(sides: &[Vec<Rounds<'_>>; 2], before: &[Rounds<'_>], now: &[Rounds<'_>], margin: f64) -> (Change, String) {
    if before.is_empty() {
        return (Change::New, String::new());
    }
    if sides[0].is_empty() {
        // The baseline did not time the cell.
        return (Change::NotShown, "not timed in the baseline".to_owned());
    }
    let Some(first) = sides[1].first().map(|job| job.cell) else {
        let reason = match now.first() {
            None => "not in the file".to_owned(),
            Some(Rounds { cell, .. }) => format!("{}: {}", cell.status, cell.reason),
        };
        return (Change::Lost, reason);
    };
    if let Some(failed) = now.iter().find(|job| job.cell.status == Status::Failed) {
        return (Change::Lost, format!("failed in one job: {}", failed.cell.reason));
    }
    let identical = |cell: &CellRow| cell.verification.as_ref().map(|found| found.differing_elements == 0);
    let was = sides[0].iter().all(|job| identical(job.cell) == Some(true));
    if was && sides[1].iter().any(|job| identical(job.cell) == Some(false)) {
        return (Change::Bits, "equal to the flat server to the bit in the baseline, and not here".to_owned());
    }
    let most = sides[0].iter().map(|job| job.cell.aggregating_bytes).max().unwrap_or(0);
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
        (Change::Undecidable, "not decidable"),
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
    let all_cells = compared + lost + of(Change::Undecidable);
    format!("{label} against {baseline}: of {all_cells} cells, {all}, by more than {margin}.{worst}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradshard::results::Environment;
    use gradshard::results::ResultFile;
    use gradshard::results::row::{BlockRow, Sample, VerificationRow};
    use gradshard::roofline::share::Bottleneck;

    fn source(times: &[f64], change: impl Fn(&mut CellRow)) -> OpenFile {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let mut cell = CellRow {
            strategy: "sharded-direct".into(),
            elements: 10,
            aggregating_bytes: 100,
            limit_part: Some(Bottleneck::Memory),
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
        // The bandwidth is the same in all blocks, so that times against it are the times.
        let block = |block| BlockRow { block, memory_bytes_per_s: Some(1.0), ..BlockRow::default() };
        file.blocks.extend((0..times.len() as u64).map(block));
        OpenFile { label: "x".into(), is_labelled: false, path: "x.h5".into(), file }
    }

    fn change(before: &OpenFile, now: &OpenFile) -> Change {
        compare(&side([before], None), &side([now], None), "x", 0.05)[0].change
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
        let pairs = compare(&side([&base], None), &side([&none], None), "x", 0.05);
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
        let pairs = compare(&side([&a, &b], None), &side([&c, &d], None), "x", 0.05);
        assert_eq!((pairs[0].jobs, pairs[0].change), ([2, 2], Change::NotShown));
        assert_eq!(change(&a, &c), Change::Slower);
        // A single job beside two that differ by 1.4 is no news.
        let pairs = compare(&side([&a, &b], None), &side([&d], None), "x", 0.05);
        assert_eq!((pairs[0].jobs, pairs[0].change), ([2, 1], Change::NotShown));
        let several = [1.0, 1.01, 0.99, 1.0, 1.02].map(times);
        let pairs = compare(&side(&several, None), &side([&c], None), "x", 0.05);
        assert_eq!(pairs[0].change, Change::Slower, "{:?}", pairs[0]);
        let pairs = compare(&side([&c], None), &side(&several, None), "x", 0.05);
        assert_eq!(pairs[0].change, Change::Faster, "{:?}", pairs[0]);
    }

    /// The machine becomes slower, and the program does not.
    #[test]
    fn one_job_a_side_is_compared_against_its_anchor() {
        let base = source(&TIMES, |_| ());
        let mut slower = source(&TIMES.map(|t| t * 1.1), |_| ());
        slower.file.blocks.iter_mut().for_each(|block| block.memory_bytes_per_s = Some(1.0 / 1.1));
        assert_eq!(change(&base, &slower), Change::NotShown);
        slower.file.blocks.iter_mut().for_each(|block| block.memory_bytes_per_s = Some(1.0 / 1.3));
        assert_eq!(change(&base, &slower), Change::Undecidable);
        slower.file.blocks.clear();
        assert_eq!(change(&base, &slower), Change::Undecidable);
        // A control cell that became slower as well.
        let with_control = |mut file: OpenFile, factor: f64| {
            let cell = CellRow { cell: 1, strategy: "tree-chain".into(), ..file.file.cells[0].clone() };
            let samples =
                (0..).zip(TIMES).map(|(block, t)| Sample { cell: 1, block, seconds: t * factor, ..Sample::default() });
            file.file.push(cell, samples.collect(), vec![]);
            file
        };
        let (base, slower) = (with_control(base, 2.0), with_control(slower, 2.2));
        let pairs = compare(&side([&base], Some("tree-chain")), &side([&slower], Some("tree-chain")), "x", 0.05);
        let changes: Vec<Change> = pairs.iter().map(|pair| pair.change).collect();
        assert_eq!(changes, [Change::NotShown, Change::Undecidable], "the control has no anchor");
    }
}
