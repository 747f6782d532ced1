//! Compares the cells of a comparison with its fastest one: whether the ratios are precise enough, and what can be
//! claimed.

use crate::results::row::{RatioRow, Sample};
use crate::stats::{
    Alpha, Autocorrelation, Evidence, Interval, Judgement, LogRatios, Stopped, Verdict, judge, summarise, summarise_at,
};

/// Error probability of all looks at a comparison together.
pub const ALPHA: Alpha = Alpha::FIVE_PERCENT;

/// The times of a cell, by block, in the order of blocks.
pub struct TimedCell {
    cell: u64,
    /// Block number and time, s.
    blocks: Vec<(u64, f64)>,
}

impl TimedCell {
    /// Collects the times of a cell's valid samples.
    pub fn new(cell: u64, samples: &[Sample]) -> Self {
        TimedCell {
            cell,
            blocks: samples
                .iter()
                .filter(|sample| sample.is_valid())
                .map(|sample| (sample.block, sample.seconds))
                .collect(),
        }
    }

    /// Block number and time in s of each valid sample.
    pub fn blocks(&self) -> &[(u64, f64)] {
        &self.blocks
    }

    fn seconds(&self) -> Vec<f64> {
        self.blocks.iter().map(|(_, seconds)| *seconds).collect()
    }

    fn median(&self) -> Option<f64> {
        summarise(&self.seconds()).map(|summary| summary.median)
    }
}

/// Returns the cell with the least median, the first of equals; None if none was timed.
fn fastest(cells: &[TimedCell]) -> Option<&TimedCell> {
    let timed = cells.iter().filter_map(|cell| Some((cell.median()?, cell)));
    timed.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, cell)| cell)
}

fn others<'c>(cells: &'c [TimedCell], fastest: &'c TimedCell) -> impl Iterator<Item = &'c TimedCell> {
    cells.iter().filter(|cell| cell.cell != fastest.cell)
}

fn pairs(cells: usize) -> usize {
    cells * cells.saturating_sub(1) / 2
}

/// Returns the level of each interval in a table of `cells`, so that all its intervals hold their ratios with
/// probability 1 − `alpha` together, whichever cell is the fastest (Bonferroni, over all pairs). An interval at this
/// level that excludes 1 makes the verdict by Holm's adjustment a difference.
fn level(cells: usize, alpha: Alpha) -> Option<Alpha> {
    Alpha::new(alpha.get() / pairs(cells).max(1) as f64)
}

/// Returns the greatest relative half-width of the intervals of all ratios to the fastest cell, which hold together at
/// level `alpha`; for a single cell, of its median. None if an interval is missing, as with too few blocks.
pub fn widest(cells: &[TimedCell], alpha: Alpha) -> Option<f64> {
    let fastest = fastest(cells)?;
    if let [alone] = cells {
        return summarise_at(&alone.seconds(), alpha)?.relative_half_width();
    }
    let level = level(cells.len(), alpha)?;
    others(cells, fastest).try_fold(0.0, |widest: f64, cell| {
        let interval = LogRatios::pair(&cell.blocks, &fastest.blocks).ok()?.ratio(level)?.interval?;
        Some(widest.max(interval.relative_half_width()))
    })
}

/// Returns every cell's ratio to the fastest one, with a verdict. Ratios within `margin` (0.02 is 2 %) count as the
/// same. A cell without a block in common with the fastest is omitted.
///
/// The family is the comparison. The fastest cell is chosen by the same samples, and the apparently fastest of equal
/// cells was lucky. So Holm's adjustment counts all pairs of cells, those without the fastest cell with p = 1. This is
/// valid whichever cell is the fastest.
pub fn against_the_fastest(comparison: u64, cells: &[TimedCell], margin: f64, stopped: &Stopped) -> Vec<RatioRow> {
    let Some(fastest) = fastest(cells) else { return Vec::new() };
    let found: Vec<(&TimedCell, LogRatios, Evidence)> = others(cells, fastest)
        .filter_map(|cell| {
            let ratios = LogRatios::pair(&cell.blocks, &fastest.blocks).ok()?;
            let evidence = Evidence::at(&ratios, margin, &stopped.look, ALPHA)?;
            Some((cell, ratios, evidence))
        })
        .collect();
    let nothing = Evidence { estimate: 1.0, difference_p: 1.0, equality_p: 1.0 };
    let mut family: Vec<Evidence> = found.iter().map(|(_, _, evidence)| *evidence).collect();
    family.resize(pairs(cells.len()).max(family.len()), nothing);
    let judged = judge(&family, margin, ALPHA);
    let level = level(cells.len(), stopped.look.alpha).unwrap_or(stopped.look.alpha);
    let row = |((cell, ratios, evidence), judgement): ((&TimedCell, LogRatios, Evidence), Judgement)| {
        let interval = ratios.ratio(level).and_then(|ratio| ratio.interval);
        RatioRow {
            job: 0,
            comparison,
            cell: cell.cell,
            baseline: fastest.cell,
            blocks: ratios.values().len() as u64,
            estimate: evidence.estimate,
            ci_low: interval.map(|interval| interval.low),
            ci_high: interval.map(|interval| interval.high),
            alpha: level.get(),
            p: ratios.difference_p(),
            p_holm: judgement.difference_p,
            p_same_holm: judgement.equality_p,
            margin,
            verdict: shown(judgement.verdict, interval, margin),
            lag1_autocorrelation: Autocorrelation::of(ratios.values()).map(|found| found.lag1),
        }
    };
    found.into_iter().zip(judged).map(row).collect()
}

/// Returns the verdict if its interval shows it, else `Undecided`. Holm's adjustment may claim more than intervals that
/// hold together; a reader must not see a difference beside an interval that contains 1.
fn shown(verdict: Verdict, interval: Option<Interval>, margin: f64) -> Verdict {
    let is_shown = interval.is_some_and(|interval| match verdict {
        Verdict::Same => interval.low > 1.0 / (1.0 + margin) && interval.high < 1.0 + margin,
        _ => !interval.holds(1.0),
    });
    if is_shown { verdict } else { Verdict::Undecided }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stats::{StopReason, Stopping, StoppingRule};

    /// Makes cells with times of `factors` s and a few per cent of noise by block and by cell.
    fn cells(factors: &[f64], blocks: u64, seed: u64) -> Vec<TimedCell> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut noise = || ((0..3).map(|_| random.random::<f64>()).sum::<f64>() - 1.5) * 0.05;
        let of_blocks: Vec<f64> = (0..blocks).map(|_| noise()).collect();
        let mut timed = |factor: f64| (0..).zip(of_blocks.iter().map(|b| factor * (b + noise()).exp())).collect();
        (0..).zip(factors).map(|(cell, factor)| TimedCell { cell, blocks: timed(*factor) }).collect()
    }

    /// Runs the stopping rule as the comparison's loop does, with all blocks given.
    fn measured(all: &[TimedCell], precision: f64) -> (Stopped, Vec<RatioRow>) {
        let max_blocks = all[0].blocks.len() as u64;
        let rule = StoppingRule { alpha: ALPHA, target: precision, max_seconds: 1e9, max_blocks };
        let mut stopping = Stopping::new(rule);
        for blocks in 1.. {
            let so_far: Vec<TimedCell> = all
                .iter()
                .map(|timed| TimedCell { cell: timed.cell, blocks: timed.blocks[..blocks as usize].to_vec() })
                .collect();
            if let Some(stopped) = stopping.after_block(blocks, 0.0, |alpha| widest(&so_far, alpha)) {
                return (stopped, against_the_fastest(7, &so_far, precision, &stopped));
            }
        }
        unreachable!("the greatest number of blocks is reached");
    }

    #[test]
    fn every_other_cell_has_a_ratio_to_the_fastest() {
        let (stopped, rows) = measured(&cells(&[3.0, 1.0, 1.5], 640, 1), 0.02);
        assert_eq!(stopped.reason, StopReason::Precise);
        assert_eq!(
            rows.iter().map(|row| (row.comparison, row.cell, row.baseline)).collect::<Vec<_>>(),
            [(7, 0, 1), (7, 2, 1)]
        );
        for (row, truth) in rows.iter().zip([3.0, 1.5]) {
            let (low, high) = (row.ci_low.expect("blocks"), row.ci_high.expect("blocks"));
            assert!(low < truth && truth < high && low < row.estimate && row.estimate < high, "{row:?}");
            assert!((high / low).sqrt() - 1.0 <= 0.02, "{row:?}");
            assert_eq!((row.verdict, row.blocks, row.margin), (Verdict::Slower, stopped.look.blocks, 0.02));
            assert!(row.p <= row.p_holm && row.p_holm <= 0.05 && row.p_same_holm == 1.0, "{row:?}");
            assert_eq!(row.alpha, stopped.look.alpha.get() / 3.0);
        }
    }

    /// Six equally fast cells: some of fifteen pairs are said to differ with probability at most 5 %. Counting only the
    /// five pairs with the apparently fastest cell gives 8 %.
    #[test]
    fn equal_cells_are_rarely_said_to_differ_though_the_fastest_is_chosen_afterwards() {
        const TIMES: u64 = 2000;
        let differs = |seed: &u64| {
            // Without a margin nothing is called the same before it is called different.
            let (_, rows) = measured(&cells(&[1.0; 6], 10, *seed), 1e-12);
            rows.iter().any(|row| row.verdict != Verdict::Undecided)
        };
        let claimed = (0..TIMES).filter(differs).count();
        assert!(claimed as f64 <= 0.05 * TIMES as f64, "{claimed} of {TIMES}");
    }

    /// Ten equally fast cells: in at most 5 % of tables some interval excludes 1, and then the verdict is a difference.
    #[test]
    fn the_intervals_of_a_table_hold_together_and_agree_with_the_verdicts() {
        const TIMES: u64 = 600;
        let excludes = |seed: &u64| {
            let (_, rows) = measured(&cells(&[1.0; 10], 40, *seed), 1e-12);
            let excluding =
                rows.iter().filter(|row| row.ci_low > Some(1.0) || row.ci_high.is_some_and(|high| high < 1.0));
            excluding.inspect(|row| assert!(row.verdict != Verdict::Undecided, "{row:?}")).count() > 0
        };
        let found = (0..TIMES).filter(excludes).count();
        println!("{found} of {TIMES} tables of ten equal cells have an interval that excludes 1");
        assert!(found as f64 <= 0.05 * TIMES as f64, "{found} of {TIMES}");
    }

    /// Cells whose differences are near the edge of what 14 blocks can show: each verdict agrees with its interval.
    #[test]
    fn no_verdict_contradicts_its_interval() {
        let mut claimed = 0;
        for seed in 0..100 {
            let (_, rows) = measured(&cells(&[1.0, 1.02, 1.03, 1.04, 1.05, 1.06], 14, seed), 0.02);
            for row in rows {
                let excludes_one = row.ci_low > Some(1.0) || row.ci_high.is_some_and(|high| high < 1.0);
                let inside = row.ci_low > Some(1.0 / 1.02) && row.ci_high.is_some_and(|high| high < 1.02);
                match row.verdict {
                    Verdict::Slower | Verdict::Faster => assert!(excludes_one, "{row:?}"),
                    Verdict::Same => assert!(inside, "{row:?}"),
                    Verdict::Undecided => assert!(!excludes_one, "{row:?}"),
                }
                claimed += u64::from(row.verdict != Verdict::Undecided);
            }
        }
        assert!(claimed > 100, "{claimed} claims in 100 tables");
    }

    /// Stopping at a half-width of 1 % leaves an interval that barely fits into a margin of 1 %; a narrower one fits.
    #[test]
    fn equal_cells_are_the_same_where_the_interval_lies_inside_the_margin() {
        let equal = cells(&[1.0, 1.001], 640, 3);
        let (stopped, _) = measured(&equal, 0.004);
        let rows = against_the_fastest(0, &equal, 0.01, &stopped);
        assert!(rows[0].verdict == Verdict::Same && rows[0].p_same_holm <= 0.05 && rows[0].margin == 0.01, "{rows:?}");
        let rows = against_the_fastest(0, &equal, 1e-9, &stopped);
        assert!(rows[0].verdict != Verdict::Same, "{rows:?}");
    }

    #[test]
    fn a_cell_alone_is_measured_by_its_median() {
        let alone = cells(&[1.0], 640, 4);
        let (stopped, rows) = measured(&alone, 0.02);
        assert!(stopped.reason == StopReason::Precise && stopped.look.blocks < 640 && rows.is_empty(), "{stopped:?}");
        assert_eq!(measured(&alone, 1e-6).0.reason, StopReason::Blocks);
    }

    /// Seven cells make 21 pairs. With 10 blocks the least p-value is 2 / 1024; 21 times that exceeds half of 5 %. So
    /// ten blocks are too few, however small the noise.
    #[test]
    fn narrow_intervals_that_allow_no_verdict_do_not_stop() {
        let exact = |cells: u64| -> Vec<TimedCell> {
            let blocks = |cell: u64| (0..40).map(|block| (block, 1.0 + cell as f64)).collect();
            (0..cells).map(|cell| TimedCell { cell, blocks: blocks(cell) }).collect()
        };
        assert_eq!(measured(&exact(2), 0.02).0.look.blocks, 10);
        let (stopped, rows) = measured(&exact(7), 0.02);
        assert_eq!(stopped.look.blocks, 20);
        assert!(rows.iter().all(|row| row.verdict == Verdict::Slower), "{rows:?}");
    }

    #[test]
    fn nothing_timed_and_nothing_in_common() {
        let stopped = measured(&cells(&[1.0], 10, 1), 0.02).0;
        assert_eq!(widest(&[], ALPHA), None);
        assert!(against_the_fastest(0, &[], 0.02, &stopped).is_empty());
        let apart = [TimedCell { cell: 0, blocks: vec![(0, 1.0)] }, TimedCell { cell: 1, blocks: vec![(1, 2.0)] }];
        assert_eq!(widest(&apart, ALPHA), None);
        assert!(against_the_fastest(0, &apart, 0.02, &stopped).is_empty());
        // A time of zero has no ratio.
        let zero = [TimedCell { cell: 0, blocks: vec![(0, 0.0)] }, TimedCell { cell: 1, blocks: vec![(0, 2.0)] }];
        assert!(against_the_fastest(0, &zero, 0.02, &stopped).is_empty());
    }
}
