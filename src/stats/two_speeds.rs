//! A ratio on a machine that ran at two speeds.
//!
//! Ratios are taken within blocks, so that a change of the machine's speed meets both strategies. If one strategy depends
//! on that speed more than the other, the ratio differs all the same, and one number for both speeds holds for neither.

use crate::stats::{Alpha, unpaired};

/// Least ratio of the fastest state to the slowest one that counts as two speeds.
const TWO_SPEEDS: f64 = 1.15;
/// Least number of blocks at each speed.
const LEAST_BLOCKS: usize = 3;

/// The blocks at one speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtSpeed {
    /// Median state of the machine, such as a bandwidth in bytes/s.
    pub state: f64,
    /// Median ratio of the two strategies' times.
    pub ratio: f64,
    /// Number of blocks.
    pub blocks: usize,
}

/// A ratio while the machine was slow, and while it was fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoSpeeds {
    /// The slow blocks.
    pub slow: AtSpeed,
    /// The fast blocks.
    pub fast: AtSpeed,
    /// Two-sided p-value of the ratio being the same at both speeds, by the rank-sum test.
    pub p: f64,
}

impl TwoSpeeds {
    /// Splits blocks at the middle, on the logarithmic scale, between the slowest and the fastest state. Each block is its
    /// state and the ratio of two strategies' times in it, both above 0. Returns None if the states differ by less than a
    /// factor of 1.15, or if fewer than three blocks ran at one of the speeds.
    pub fn of(blocks: &[(f64, f64)]) -> Option<TwoSpeeds> {
        let middle = middle(blocks.iter().map(|(state, _)| *state))?;
        let (slow, fast): (Vec<_>, Vec<_>) = blocks.iter().copied().partition(|(state, _)| *state < middle);
        let ratios = |blocks: &[(f64, f64)]| blocks.iter().map(|(_, ratio)| *ratio).collect::<Vec<f64>>();
        let found = unpaired(&ratios(&slow), &ratios(&fast), 0.0, Alpha::FIVE_PERCENT)?;
        let p = (2.0 * found.slower_p.min(found.faster_p)).min(1.0);
        Some(TwoSpeeds { slow: at_speed(&slow)?, fast: at_speed(&fast)?, p })
    }
}

/// Returns the state between the slow and the fast ones, the middle of their range on the logarithmic scale. None if they differ
/// by less than a factor of 1.15: the machine had one speed.
pub fn middle(states: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let (least, most) = (states.clone().reduce(f64::min)?, states.reduce(f64::max)?);
    (least > 0.0 && most / least >= TWO_SPEEDS).then(|| (least * most).sqrt())
}

fn at_speed(blocks: &[(f64, f64)]) -> Option<AtSpeed> {
    let median = |pick: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = blocks.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
    };
    (blocks.len() >= LEAST_BLOCKS).then(|| AtSpeed {
        state: median(|(state, _)| *state),
        ratio: median(|(_, ratio)| *ratio),
        blocks: blocks.len(),
    })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// 40 blocks of two strategies whose times follow the machine's speed with these exponents. The speed is 1, and from block
    /// `switch` on 1.7. States and times have 3 % of noise.
    fn blocks(switch: usize, exponents: [f64; 2], random: &mut ChaCha8Rng) -> Vec<(f64, f64)> {
        let mut noise = || 1.0 + 0.03 * ((0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0);
        let mut block = |speed: f64| {
            let times = exponents.map(|exponent| speed.powf(-exponent) * noise());
            (speed * noise(), times[0] / times[1])
        };
        (0..40).map(|number| block(if number < switch { 1.0 } else { 1.7 })).collect()
    }

    fn warnings(switch: impl Fn(&mut ChaCha8Rng) -> usize, exponents: [f64; 2]) -> usize {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let mut warns = |_: &u32| {
            let at = switch(&mut random);
            TwoSpeeds::of(&blocks(at, exponents, &mut random)).is_some_and(|found| found.p < 0.05)
        };
        (0..400).filter(|run| warns(run)).count()
    }

    #[test]
    fn a_switch_is_found_if_the_ratio_depends_on_it() {
        let inside = |random: &mut ChaCha8Rng| random.random_range(6..34);
        let (found, same, without) =
            (warnings(inside, [1.0, 0.5]), warnings(inside, [1.0, 1.0]), warnings(|_| 40, [1.0, 0.5]));
        // At least 90 %; at most 5 %, and 2.5 standard deviations of 400 runs.
        assert!(found >= 360, "{found}");
        assert!(without <= 20 && same <= 31, "{without} {same}");
    }

    #[test]
    fn both_ratios_and_states_are_medians() {
        let slow = [(1.0, 4.0), (1.1, 5.0), (0.9, 6.0)];
        let fast = [(2.0, 2.0), (2.2, 2.1), (2.1, 1.9), (1.9, 2.0)];
        let found = TwoSpeeds::of(&[&slow[..], &fast].concat()).expect("two speeds");
        assert_eq!(found.slow, AtSpeed { state: 1.0, ratio: 5.0, blocks: 3 });
        assert_eq!((found.fast.ratio, found.fast.blocks), (2.0, 4));
        // All 3 slow ratios are above all 4 fast ones: 2 / C(7, 3).
        assert!((found.p - 2.0 / 35.0).abs() < 1e-12, "{found:?}");
        assert_eq!(TwoSpeeds::of(&slow), None);
        assert_eq!(TwoSpeeds::of(&[]), None);
    }
}
