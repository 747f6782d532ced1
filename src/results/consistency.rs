//! Checks that a result file agrees with itself: its figures follow from its timed rounds, and its results were right.

use super::ResultFile;
use super::pairs::{Times, times};
use super::pooled::pooled_ratios;
use super::row::{CellRow, RatioRow, Status};
use crate::stats::{Alpha, LogRatios, Verdict, summarise};

/// Relative difference that rounding may make.
const ROUNDING: f64 = 1e-9;

/// One property of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The property, as a claim about everything that was checked.
    pub claim: &'static str,
    /// Number of things that were checked.
    pub checked: usize,
    /// A sentence for each thing of which the claim is not true.
    pub faults: Vec<String>,
}

impl Check {
    fn of<T>(claim: &'static str, things: &[T], fault: impl Fn(&T) -> Option<String>) -> Check {
        Check { claim, checked: things.len(), faults: things.iter().filter_map(fault).collect() }
    }
}

/// Calculates what a file says of its rounds once more, by today's formulas, and compares. (The reader has compared the
/// experiment with its digest.)
pub fn consistency(file: &ResultFile) -> Vec<Check> {
    let times = times(file);
    let timed: Vec<&CellRow> = file.cells.iter().filter(|cell| cell.median_s.is_some()).collect();
    let over_jobs = pooled_ratios(file);
    let pooled: Vec<_> = file.pooled_ratios.iter().zip(&over_jobs).collect();
    let mut checks = vec![
        Check::of("timed results equal the reference, but for the order of summation", &timed, |cell| wrong(cell)),
        Check::of("numbers of rounds and medians follow from the rounds", &timed, |cell| median(cell, &times)),
        Check::of("ratios and intervals follow from the rounds", &file.ratios, |row| ratio(row, &times)),
        Check::of("verdicts follow from the intervals", &file.ratios, verdict),
        Check::of("ratios over jobs follow from the rounds", &pooled, |(row, found)| {
            let says = [row.estimate, row.ci_low, row.ci_high];
            let place = format!("comparison {}, cell {} over jobs", row.comparison, row.cell);
            differs(&place, &says, &[found.estimate, found.ci_low, found.ci_high])
        }),
    ];
    if let Some(last) = checks.last_mut() {
        let (says, found) = (file.pooled_ratios.len(), over_jobs.len());
        last.faults.extend((says != found).then(|| format!("the file has {says} of them, its rounds give {found}")));
    }
    checks
}

fn place(job: u64, cell: u64) -> String {
    format!("job {job}, cell {cell}")
}

fn wrong(cell: &CellRow) -> Option<String> {
    let place = format!("{} ({})", place(cell.job, cell.cell), cell.strategy);
    match &cell.verification {
        _ if cell.status != Status::Ok => Some(format!("{place}: it has times, but its status is {}", cell.status)),
        None => Some(format!("{place}: its result was not compared")),
        Some(found) => {
            (found.wrong_elements > 0).then(|| format!("{place}: {} elements are wrong", found.wrong_elements))
        }
    }
}

fn median(cell: &CellRow, times: &Times) -> Option<String> {
    let rounds: &[(u64, f64)] = times.get(&(cell.job, cell.cell)).map_or(&[], |rounds| rounds);
    let seconds: Vec<f64> = rounds.iter().map(|(_, seconds)| *seconds).collect();
    let found = summarise(&seconds).map_or(f64::NAN, |summary| summary.median);
    let place = format!("{} ({})", place(cell.job, cell.cell), cell.strategy);
    differs(&place, &[cell.samples as f64, cell.median_s?], &[seconds.len() as f64, found])
}

fn ratio(row: &RatioRow, times: &Times) -> Option<String> {
    let place = format!("{} against cell {}", place(row.job, row.cell), row.baseline);
    let pair = || {
        let [one, other] = [row.cell, row.baseline].map(|cell| times.get(&(row.job, cell)));
        LogRatios::pair(one?, other?).ok()?.ratio(Alpha::new(row.alpha)?)
    };
    let Some(found) = pair() else { return Some(format!("{place}: no block timed both, or its level is none")) };
    let ends = |interval: Option<[f64; 2]>| interval.unwrap_or([0.0, 0.0]);
    let [low, high] = ends(found.interval.map(|interval| [interval.low, interval.high]));
    let [low_said, high_said] = ends(row.ci_low.zip(row.ci_high).map(|(low, high)| [low, high]));
    let says = [row.blocks as f64, row.estimate, low_said, high_said];
    differs(&place, &says, &[found.blocks as f64, found.estimate, low, high])
}

fn verdict(row: &RatioRow) -> Option<String> {
    let (low, high) = (row.ci_low.unwrap_or(0.0), row.ci_high.unwrap_or(f64::INFINITY));
    let follows = match row.verdict {
        Verdict::Slower => low > 1.0,
        Verdict::Faster => high < 1.0,
        Verdict::Same => low > 1.0 / (1.0 + row.margin) && high < 1.0 + row.margin,
        Verdict::Undecided => true,
    };
    let place = place(row.job, row.cell);
    (!follows).then(|| format!("{place}: it is called {}, but its interval is {low} to {high}", row.verdict))
}

/// A sentence if the figures that the file has are not those that were found.
fn differs(place: &str, says: &[f64], found: &[f64]) -> Option<String> {
    let equal = |(one, other): (&f64, &f64)| (one - other).abs() <= ROUNDING * other.abs();
    (!says.iter().zip(found).all(equal)).then(|| format!("{place}: the file says {says:?}, its rounds give {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Environment;
    use crate::results::row::{Sample, VerificationRow};

    /// Two cells of 12 blocks: the second takes 1.5 times as long in each.
    fn file() -> ResultFile {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        for (cell, factor) in [(0, 1.0), (1, 1.5)] {
            let seconds: Vec<f64> = (0..12).map(|block| factor * f64::from(10 + (block * 7) % 5)).collect();
            let sample = |(block, seconds): (u64, &f64)| Sample { cell, block, seconds: *seconds, ..Sample::default() };
            // 10 to 14 three, two, three, two and two times: the sixth and seventh of them in order are 12.
            let row = CellRow {
                cell,
                strategy: "tree-two".into(),
                samples: 12,
                median_s: Some(factor * 12.0),
                status: Status::Ok,
                verification: Some(VerificationRow::default()),
                ..CellRow::default()
            };
            file.push(row, (0..).zip(&seconds).map(sample).collect(), Vec::new());
        }
        // All ratios are 1.5, so the interval has no width.
        let (ci_low, ci_high) = (Some(1.5), Some(1.5));
        let ratio = RatioRow {
            cell: 1,
            blocks: 12,
            estimate: 1.5,
            ci_low,
            ci_high,
            alpha: 0.05,
            margin: 0.02,
            ..RatioRow::default()
        };
        file.push_ratios(vec![RatioRow { verdict: Verdict::Slower, ..ratio }]);
        file
    }

    /// The claims of which some thing is not true, by the number of such things.
    fn broken(change: impl Fn(&mut ResultFile)) -> Vec<(usize, String)> {
        let mut file = file();
        change(&mut file);
        let checks = consistency(&file).into_iter().enumerate();
        checks.flat_map(|(at, check)| check.faults.into_iter().map(move |fault| (at, fault))).collect()
    }

    #[test]
    fn a_file_that_nobody_changed_agrees_with_itself() {
        assert_eq!(broken(|_| ()), []);
        assert_eq!(consistency(&file()).iter().map(|check| check.checked).collect::<Vec<_>>(), [2, 2, 1, 1, 0]);
    }

    #[test]
    fn changes_are_found() {
        let one = |change: fn(&mut ResultFile)| match broken(change).as_slice() {
            [(at, fault)] => (*at, fault.clone()),
            several => panic!("{several:?}"),
        };
        let said = one(|file| file.cells[0].verification = None);
        assert_eq!(said, (0, "job 0, cell 0 (tree-two): its result was not compared".into()));
        let said = one(|file| file.cells[1].median_s = Some(17.0));
        let rounds = "job 0, cell 1 (tree-two): the file says [12.0, 17.0], its rounds give [12.0, 18.0]";
        assert_eq!(said, (1, rounds.into()));
        assert_eq!(one(|file| file.cells[1].samples = 11).0, 1);
        assert_eq!(one(|file| file.ratios[0].estimate = 1.4).0, 2);
        assert_eq!(one(|file| file.ratios[0].ci_high = Some(1.6)).0, 2);
        assert_eq!(one(|file| file.ratios[0].baseline = 7).0, 2);
        assert_eq!(one(|file| file.ratios[0].verdict = Verdict::Same).0, 3);
        assert_eq!(one(|file| file.pooled_ratios = vec![Default::default()]).0, 4);
        // A round that is left out changes the cell and its ratio.
        assert_eq!(broken(|file| file.samples[3].late_ranks = 1).iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2]);
    }
}
