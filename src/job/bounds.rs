//! The bounds that the machine sets to a cell, and how close its rounds come to them.

use crate::job::ratios::TimedCell;
use crate::plan::traffic::{busiest, traffic};
use crate::plan::{Layout, Plan, Problem, Terms};
use crate::results::row::{BlockRow, CellRow, Sample};
use crate::roofline::MachineLimits;
use crate::roofline::share::{Roof, least};
use crate::roofline::state::Parts;
use crate::stats::{Alpha, LogRatios, Ratio};

/// The bytes that a cell's plan moves, and the least times that the measured limits allow.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// Bytes through the busiest node's wire; None on one node or if the library's algorithm moves them.
    wire_bytes: Option<f64>,
    /// Bytes through the busiest rack's links; None in one rack or if the library's algorithm moves them.
    rack_bytes: Option<f64>,
    /// The roof of the problem.
    roof: Option<Roof>,
    /// The roof of the strategy's own algorithm.
    own: Option<Roof>,
}

impl Bounds {
    /// Computes the bounds of a plan. Roofs need `limits`.
    pub fn of(
        plan: &dyn Plan,
        problem: &Problem,
        layout: &Layout,
        terms: &Terms,
        limits: Option<&MachineLimits>,
    ) -> Bounds {
        let moved = traffic(plan, problem, layout, terms);
        let several = |places: usize| moved.as_ref().filter(|_| places > 1);
        let mut bounds = Bounds {
            wire_bytes: several(layout.nodes()).map(|moved| busiest(&moved.nodes) as f64),
            rack_bytes: several(layout.racks()).map(|moved| busiest(&moved.racks) as f64),
            ..Bounds::default()
        };
        if let Some(limits) = limits {
            let least = least(plan, problem, layout, terms);
            bounds.roof = least.limit(limits);
            bounds.own = moved.and_then(|moved| least.own_limit(&moved, layout, limits));
        }
        bounds
    }

    /// The parts of the machine that set the bounds.
    pub fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        self.roof.iter().chain(&self.own).for_each(|roof| parts.add(roof.part));
        parts
    }

    /// Fills in the row's columns on bytes and limits. A share is the roof over the time of a round, block by block: the
    /// roof at the speed that the machine had in that block. Where no block has a state of the machine, it is the roof at the
    /// limits over the median, without an interval.
    pub fn fill(&self, row: &mut CellRow, samples: &[Sample], blocks: &[BlockRow]) {
        (row.wire_bytes, row.rack_bytes) = (self.wire_bytes, self.rack_bytes);
        let median = row.median_s.filter(|median| *median > 0.0);
        let share = |roof: &Roof| {
            let median = median?;
            Some(paired(roof, &TimedCell::new(row.cell, samples), blocks).unwrap_or(Ratio {
                blocks: 0,
                estimate: roof.seconds / median,
                interval: None,
                alpha: Alpha::FIVE_PERCENT,
            }))
        };
        if let Some(roof) = &self.roof {
            let share = share(roof);
            row.limit_bytes = roof.bytes;
            row.limit_part = Some(roof.part);
            row.limit_seconds = Some(roof.seconds);
            row.share_of_limit = share.map(|share| share.estimate);
            row.share_low = share.and_then(|share| Some(share.interval?.low));
            row.share_high = share.and_then(|share| Some(share.interval?.high));
        }
        row.own_limit_seconds = self.own.map(|own| own.seconds);
        row.share_of_own_limit = self.own.as_ref().and_then(share).map(|share| share.estimate);
    }
}

/// The roof over the time of a round, from the blocks in which the state of its part was measured; None if there are none.
fn paired(roof: &Roof, cell: &TimedCell, blocks: &[BlockRow]) -> Option<Ratio> {
    let at = |block: &BlockRow| Some((block.block, roof.seconds_at(block.bandwidth(roof.part)?)));
    let roofs: Vec<(u64, f64)> = blocks.iter().filter_map(at).collect();
    LogRatios::pair(&roofs, cell.blocks()).ok()?.ratio(Alpha::FIVE_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline::share::Bottleneck;

    fn sample(block: u64, seconds: f64) -> Sample {
        Sample { block, seconds, ..Sample::default() }
    }

    fn block(block: u64, memory_bytes_per_s: Option<f64>) -> BlockRow {
        BlockRow { block, memory_bytes_per_s, ..BlockRow::default() }
    }

    fn filled(states: &[Option<f64>], times: &[f64], bounds: &Bounds) -> CellRow {
        let samples: Vec<Sample> = (0..).zip(times).map(|(at, seconds)| sample(at, *seconds)).collect();
        let blocks: Vec<BlockRow> = (0..).zip(states).map(|(at, state)| block(at, *state)).collect();
        let mut row = CellRow { median_s: Some(2.0), ..CellRow::default() };
        bounds.fill(&mut row, &samples, &blocks);
        row
    }

    /// A round of 2 s under a roof of 1 s; when the machine doubles its speed both halve.
    #[test]
    fn a_share_follows_the_speed_of_the_machine() {
        let roof = Roof { bytes: 100, part: Bottleneck::Memory, seconds: 1.0, reference: 1.0 };
        let bounds = Bounds { roof: Some(roof), ..Bounds::default() };
        let times = [2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 2.0];
        let states = times.map(|seconds| Some(2.0 / seconds));
        let row = filled(&states, &times, &bounds);
        let near = |found: Option<f64>| found.is_some_and(|found| (found - 0.5).abs() < 1e-12);
        assert!(near(row.share_of_limit) && near(row.share_low) && near(row.share_high), "{row:?}");
        assert_eq!((row.limit_bytes, row.limit_seconds, row.limit_part), (100, Some(1.0), Some(Bottleneck::Memory)));
        assert_eq!(bounds.parts(), Parts { memory: true, wires: false });
        // A state in some blocks only: these count. None: the median counts, without an interval.
        let few = filled(&[Some(1.0), None, Some(1.0)], &[4.0, 9.0, 4.0], &bounds);
        assert!(few.share_of_limit.is_some_and(|share| (share - 0.25).abs() < 1e-12) && few.share_low.is_none());
        let none = filled(&[None; 8], &times, &bounds);
        assert_eq!((none.share_of_limit, none.share_low), (Some(0.5), None));
    }
}
