//! The stopping rule of a comparison: when have enough blocks run?

use crate::stats::Alpha;

/// Number of blocks at the first look. Each later look comes at twice as many blocks.
const FIRST_LOOK: u64 = 10;

/// The limits at which a comparison stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoppingRule {
    /// Probability that the comparison claims a difference that does not exist, over all its looks together.
    pub alpha: Alpha,
    /// Wanted relative half-width of every ratio's interval: 0.02 is 2 %.
    pub target: f64,
    /// Time in which all blocks run, seconds. A block that is expected to end later does not start, except the first.
    pub max_seconds: f64,
    /// Greatest number of blocks.
    pub max_blocks: u64,
}

/// Why a comparison stopped.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, strum::Display, strum::EnumString,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum StopReason {
    /// Every interval is as narrow as the target.
    Precise,
    /// The time budget is used up.
    Budget,
    /// The greatest number of blocks has run.
    Blocks,
}

/// One look at the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Number of the look, from 1.
    pub number: u32,
    /// Number of blocks that had run.
    pub blocks: u64,
    /// Share of α that this look may spend. Its intervals have this level.
    pub alpha: Alpha,
}

impl Look {
    /// Converts a p-value `p` computed at this look to one that is valid for all looks together, where `total` is the α
    /// of all looks. The result is at most `total` exactly if `p` is at most this look's share of α.
    pub fn for_all_looks(&self, p: f64, total: Alpha) -> f64 {
        (p * (total.get() / self.alpha.get())).min(1.0)
    }
}

/// The end of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stopped {
    /// The reason for stopping.
    pub reason: StopReason,
    /// The last look. All results are reported at its level.
    pub look: Look,
}

/// The looks of one comparison, at 10, 20, 40, 80 … blocks.
///
/// Look k spends α / 2ᵏ. The sum is less than α for any number of looks, so this number need not be known before. The
/// sum is a union bound, which holds whatever the dependence between the looks; group-sequential boundaries such as
/// Pocock's need normal increments and a known number of looks. Among convergent series, halving leaves the most to the
/// looks that decide most comparisons: at 20, 40 and 80 blocks it spends more than α / k(k + 1) and 6α / π²k².
///
/// The last look is forced by the time budget or by the greatest number of blocks. It spends all that is left, α /
/// 2ᵏ⁻¹, so a comparison with room for one look has the whole of α. This is sound if being last does not depend on
/// which strategy is ahead. The greatest number of blocks is known before. The time spent is the sum over both
/// strategies, and as the order within a block is random, it carries no information about the signs of the log ratios
/// that the test uses.
#[derive(Clone, Debug)]
pub struct Stopping {
    rule: StoppingRule,
    looks: u32,
    next: u64,
}

impl Stopping {
    /// Starts without any look.
    pub fn new(rule: StoppingRule) -> Self {
        Stopping { rule, looks: 0, next: FIRST_LOOK }
    }

    /// Decides after every block whether the comparison stops. `blocks` blocks have run in `seconds` seconds. Returns
    /// None if another block is to run.
    ///
    /// The function calls `widest` only at looks. It must return the greatest relative half-width of all intervals at
    /// the given level, or None if an interval does not exist yet.
    pub fn after_block(
        &mut self,
        blocks: u64,
        seconds: f64,
        widest: impl FnOnce(Alpha) -> Option<f64>,
    ) -> Option<Stopped> {
        let forced = if blocks >= self.rule.max_blocks {
            Some(StopReason::Blocks)
        // The next block is expected to take as long as the mean of those before.
        } else if seconds + seconds / blocks.max(1) as f64 > self.rule.max_seconds {
            Some(StopReason::Budget)
        } else {
            None
        };
        if forced.is_none() && blocks < self.next {
            return None;
        }
        let spent = self.looks;
        self.looks += 1;
        while self.next <= blocks {
            self.next = self.next.saturating_mul(2);
        }
        let alpha = self.rule.alpha.halved(if forced.is_some() { spent } else { self.looks });
        let look = Look { number: self.looks, blocks, alpha };
        let precise = widest(alpha).is_some_and(|width| width <= self.rule.target);
        let reason = if precise { Some(StopReason::Precise) } else { forced };
        reason.map(|reason| Stopped { reason, look })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(max_seconds: f64, max_blocks: u64) -> StoppingRule {
        StoppingRule { alpha: Alpha::FIVE_PERCENT, target: 0.02, max_seconds, max_blocks }
    }

    /// Returns the blocks and α of all looks, and the outcome. A block takes a second, and `width` is the width of the
    /// interval.
    fn run(rule: StoppingRule, width: impl Fn(u64) -> Option<f64>) -> (Vec<(u64, f64)>, Stopped) {
        let mut stopping = Stopping::new(rule);
        let mut looks = Vec::new();
        for blocks in 1.. {
            let stopped = stopping.after_block(blocks, blocks as f64, |alpha| {
                looks.push((blocks, alpha.get()));
                width(blocks)
            });
            if let Some(stopped) = stopped {
                return (looks, stopped);
            }
        }
        unreachable!("the greatest number of blocks is reached");
    }

    #[test]
    fn looks_come_at_10_20_40_80_and_spend_alpha_at_most() {
        let (looks, stopped) = run(rule(1e9, 100), |_| None);
        assert_eq!(looks, [(10, 0.025), (20, 0.0125), (40, 0.006_25), (80, 0.003_125), (100, 0.003_125)]);
        assert!((looks.iter().map(|(_, alpha)| alpha).sum::<f64>() - 0.05).abs() < 1e-15);
        assert_eq!((stopped.reason, stopped.look.number, stopped.look.blocks), (StopReason::Blocks, 5, 100));
        // A look that is due anyway is the last one; it is not taken twice.
        let (looks, _) = run(rule(1e9, 40), |_| None);
        assert_eq!(looks, [(10, 0.025), (20, 0.0125), (40, 0.0125)]);
        for blocks in 1..=1000 {
            let (looks, _) = run(rule(1e9, blocks), |_| None);
            assert!(looks.iter().map(|(_, alpha)| alpha).sum::<f64>() <= 0.05 + 1e-15);
        }
    }

    #[test]
    fn the_only_look_has_the_whole_of_alpha() {
        for blocks in [1, 7, 10] {
            assert_eq!(run(rule(1e9, blocks), |_| Some(1.0)).0, [(blocks, 0.05)]);
        }
    }

    #[test]
    fn narrow_intervals_stop_at_a_look_and_only_there() {
        // The width is 2 % from 15 blocks on.
        let (looks, stopped) = run(rule(1e9, 1000), |blocks| Some(0.3 / blocks as f64));
        assert_eq!((looks.len(), stopped.look.blocks, stopped.reason), (2, 20, StopReason::Precise));
        assert_eq!(stopped.look.alpha.get(), 0.0125);
        // An interval that does not exist is not narrow, and neither is a width that is not a number.
        assert_eq!(run(rule(1e9, 20), |_| None).1.reason, StopReason::Blocks);
        assert_eq!(run(rule(1e9, 20), |_| Some(f64::NAN)).1.reason, StopReason::Blocks);
    }

    #[test]
    fn time_that_is_up_stops_between_looks() {
        let (looks, stopped) = run(rule(33.0, 1000), |_| Some(0.5));
        assert_eq!((stopped.reason, stopped.look.blocks), (StopReason::Budget, 33));
        assert_eq!(looks, [(10, 0.025), (20, 0.0125), (33, 0.0125)]);
        // An interval that is narrow when the time is up counts as precise.
        assert_eq!(run(rule(33.0, 1000), |b| Some(if b == 33 { 0.01 } else { 1.0 })).1.reason, StopReason::Precise);
        // With fewer blocks than the first look, at least one block runs.
        assert_eq!(run(rule(0.0, 1000), |_| None).1.look.blocks, 1);
    }

    /// Blocks of 13.5 s: after the first, a second would end at 27 s of 14. It fits into 27.
    #[test]
    fn a_block_that_does_not_fit_is_not_begun() {
        let blocks = |max_seconds: f64| {
            let mut stopping = Stopping::new(rule(max_seconds, 1000));
            let stopped = (1..).find_map(|blocks| stopping.after_block(blocks, 13.5 * blocks as f64, |_| None));
            stopped.map(|stopped| (stopped.reason, stopped.look.blocks))
        };
        assert_eq!(blocks(14.0), Some((StopReason::Budget, 1)));
        assert_eq!(blocks(27.0), Some((StopReason::Budget, 2)));
        assert_eq!(blocks(53.9), Some((StopReason::Budget, 3)));
    }

    #[test]
    fn p_values_count_for_all_looks() {
        let look = Look { number: 2, blocks: 20, alpha: Alpha::FIVE_PERCENT.halved(2) };
        assert_eq!(look.for_all_looks(0.0125, Alpha::FIVE_PERCENT), 0.05);
        assert_eq!(look.for_all_looks(0.9, Alpha::FIVE_PERCENT), 1.0);
    }

    #[test]
    fn reasons_are_found_by_their_names() {
        for (reason, name) in
            [(StopReason::Precise, "precise"), (StopReason::Budget, "budget"), (StopReason::Blocks, "blocks")]
        {
            assert_eq!((reason.to_string().as_str(), name.parse()), (name, Ok(reason)));
        }
        assert!("bored".parse::<StopReason>().is_err());
    }
}
