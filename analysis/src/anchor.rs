//! Times against an anchor: what was measured in the same blocks and shows how fast the machine was then.

use std::collections::BTreeMap;

use gradshard::results::row::CellRow;
use gradshard::stats::two_speeds;

use crate::source::Compared;

/// Least number of rounds a side at a common speed.
const LEAST_ROUNDS: usize = 6;

/// The rounds of a cell in one job.
#[derive(Clone, Debug)]
pub struct Rounds<'f> {
    /// The cell.
    pub cell: &'f CellRow,
    /// Seconds of each round, in the order of blocks.
    pub seconds: Vec<f64>,
    /// The rounds of blocks in which the anchor was measured.
    pub anchored: Vec<Anchored>,
}

/// A round's time against its anchor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anchored {
    /// Speed of the machine in the block: the bandwidth of the cell's limit, bytes/s, or 1 beside a control cell.
    pub state: f64,
    /// The time times that bandwidth, bytes, or over that of the control cell.
    pub value: f64,
}

impl<'f> Rounds<'f> {
    /// The rounds of `cell`. The anchor is the fastest cell of strategy `control` in the same comparison, or without a control
    /// the bandwidth of the part of the machine that limits the cell.
    pub fn of(comparison: &Compared<'f>, cell: &'f CellRow, control: Option<&str>) -> Rounds<'f> {
        let samples = || comparison.samples.get(&cell.cell).into_iter().flatten();
        let anchors: BTreeMap<u64, f64> = match control {
            Some(control) => {
                let controls = comparison.contest.cells.iter().filter(|other| other.strategy == control);
                let fastest = controls.filter(|other| other.timed().is_some()).min_by(|one, other| {
                    one.median_s.unwrap_or(f64::MAX).total_cmp(&other.median_s.unwrap_or(f64::MAX))
                });
                let fastest = fastest.filter(|control| control.cell != cell.cell);
                let of_control = fastest.and_then(|control| comparison.samples.get(&control.cell));
                of_control.into_iter().flatten().map(|sample| (sample.block, sample.seconds)).collect()
            }
            None => {
                let blocks = comparison.source.file.blocks.iter().filter(|block| block.comparison == cell.comparison);
                blocks.filter_map(|block| Some((block.block, block.bandwidth(cell.limit_part?)?))).collect()
            }
        };
        let anchored = samples().filter_map(|sample| {
            let anchor = *anchors.get(&sample.block)?;
            Some(match control {
                Some(_) => Anchored { state: 1.0, value: sample.seconds / anchor },
                None => Anchored { state: anchor, value: sample.seconds * anchor },
            })
        });
        Rounds { cell, anchored: anchored.collect(), seconds: samples().map(|sample| sample.seconds).collect() }
    }
}

impl Rounds<'_> {
    /// True if enough rounds have an anchor.
    pub fn is_anchored(&self) -> bool {
        self.anchored.len() >= LEAST_ROUNDS
    }
}

/// Returns the anchored values of each job of both sides at a speed at which machines of both sides ran. How close a strategy
/// comes to its limit depends on the machine's speed, so that values of different speeds do not compare. Of two speeds the one
/// counts that more jobs of the side with fewer have. Jobs with fewer than six rounds at it are left out.
///
/// # Errors
/// The reason, if one side has no job with enough anchored rounds, or the two have no speed in common.
pub fn at_a_common_speed(sides: [&[&[Anchored]]; 2]) -> Result<[Vec<Vec<f64>>; 2], &'static str> {
    let of = |wanted: &dyn Fn(f64) -> bool| {
        sides.map(|side| {
            let values = |job: &&[Anchored]| -> Vec<f64> {
                job.iter().filter(|round| wanted(round.state)).map(|round| round.value).collect()
            };
            side.iter().map(values).filter(|job| job.len() >= LEAST_ROUNDS).collect::<Vec<Vec<f64>>>()
        })
    };
    let all = of(&|_| true);
    if all.iter().any(Vec::is_empty) {
        return Err("too few blocks show how fast the machine was; run several jobs a side, or name a --control");
    }
    let states = sides.into_iter().flatten().copied().flatten().map(|round| round.state);
    let Some(middle) = two_speeds::middle(states) else { return Ok(all) };
    let speeds = [of(&|state| state < middle), of(&|state| state >= middle)];
    let rounds = |[before, now]: &[Vec<Vec<f64>>; 2]| {
        let count = |side: &[Vec<f64>]| side.iter().map(Vec::len).sum::<usize>();
        (before.len().min(now.len()), count(before).min(count(now)))
    };
    let common = speeds.into_iter().max_by_key(rounds).filter(|sides| rounds(sides).0 > 0);
    common.ok_or("the machine ran at different speeds on the two sides; run several jobs a side")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(state: f64, value: f64, count: usize) -> Vec<Anchored> {
        vec![Anchored { state, value }; count]
    }

    #[test]
    fn only_rounds_at_a_common_speed_compare() {
        let slow = rounds(45e9, 1.0, 10);
        let fast = rounds(90e9, 1.2, 10);
        let both = [rounds(45e9, 1.1, 7), fast.clone()].concat();
        let (ones, fasts) = (vec![1.0; 10], vec![1.2; 10]);
        assert_eq!(at_a_common_speed([&[&slow], &[&slow]]), Ok([vec![ones.clone()], vec![ones.clone()]]));
        assert_eq!(at_a_common_speed([&[&slow], &[&both]]), Ok([vec![ones.clone()], vec![vec![1.1; 7]]]));
        assert_eq!(at_a_common_speed([&[&both], &[&fast]]), Ok([vec![fasts.clone()], vec![fasts.clone()]]));
        // Two jobs of either side were fast, and one was slow.
        let found = at_a_common_speed([&[&slow, &fast, &both], &[&fast, &both]]);
        assert_eq!(found, Ok([vec![fasts.clone(); 2], vec![fasts; 2]]));
        assert!(at_a_common_speed([&[&slow], &[&fast]]).is_err_and(|reason| reason.contains("different speeds")));
        assert!(at_a_common_speed([&[&slow], &[&slow[..5]]]).is_err_and(|reason| reason.contains("too few blocks")));
    }
}
