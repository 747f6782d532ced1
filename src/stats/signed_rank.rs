//! Wilcoxon's signed-rank statistic, its distribution under the null hypothesis, and its p-values.
//!
//! T⁺ is the sum of the ranks, by absolute size, of the positive differences. Under the null hypothesis every
//! difference is positive or negative with the same probability, whatever its size (Wilcoxon 1945; Hollander, Wolfe and
//! Chicken, Nonparametric Statistical Methods, chapter 3). The random order within blocks guarantees this by design: a
//! fair coin decides which of two strategies runs first, so drift and correlation between blocks do no harm.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::stats::Alpha;

/// The largest number of differences for which the distribution is counted exactly. Above it the normal approximation
/// is used. R's wilcox.test counts below 50. Counting is still cheap at 100, and it is better for the far tails that
/// later looks need.
const COUNTED: usize = 100;

/// Returns the least number of blocks for which an interval at level α exists. It is the least n with 2 · 2⁻ⁿ ≤ α, as
/// the rarest outcome is that all n differences have the same sign. It is 6 for 95 %.
pub fn least_blocks(alpha: Alpha) -> usize {
    let mut blocks = 1;
    while alpha.halved(1).get() < 0.5f64.powf(blocks as f64) {
        blocks += 1;
    }
    blocks
}

/// Returns the rank k, from 1, of the Walsh average at the lower end of the interval at level α for the centre of `n`
/// differences; the upper end is the k-th largest. It is the largest k with 2 P(T⁺ ≤ k − 1) ≤ α (C_α of Hollander,
/// Wolfe and Chicken). None if n is less than [`least_blocks`].
///
/// Above 100 differences k − 1 = ⌊μ − ½ − zσ⌋ with μ = n(n + 1) / 4 and σ² = n(n + 1)(2n + 1) / 24.
pub fn walsh_rank(n: usize, alpha: Alpha) -> Option<u64> {
    let side = alpha.halved(1).get();
    if n > COUNTED {
        let (mean, deviation) = moments(n, 0.0);
        let z = Normal::standard().inverse_cdf(1.0 - side);
        let rank = (mean - 0.5 - z * deviation).floor() + 1.0;
        return (rank >= 1.0).then_some(rank as u64);
    }
    let ranks: Vec<usize> = (1..=n).collect();
    let mut tail = 0.0;
    let mut fits = |probability: &f64| {
        tail += probability;
        tail <= side
    };
    let below = distribution(&ranks).iter().take_while(|p| fits(p)).count();
    (below >= 1).then_some(below as u64)
}

/// The signed-rank statistic of some differences.
///
/// Zero differences take the lowest ranks (Pratt 1959), and each tail counts them against the hypothesis that it would
/// reject. So a p-value is at most α exactly if the closed interval of Walsh averages at level α excludes 0; without
/// the zeros, an interval [1, 1] of ratios could be called a difference. Equal sizes share the mean of their ranks, and
/// the distribution is the conditional one for these ranks (Hollander, Wolfe and Chicken, chapter 3).
pub struct SignedRank {
    /// Twice the ranks of the differences. Shared ranks are multiples of one half, so these are integers.
    doubled: Vec<usize>,
    /// Twice T⁺.
    doubled_plus: usize,
    /// Twice the ranks of the zero differences together.
    doubled_zeros: usize,
    /// Σ t(t − 1)(t + 1) over the groups of t equal sizes.
    ties: f64,
}

impl SignedRank {
    /// Computes the statistic of `differences`.
    pub fn of(differences: &[f64]) -> Self {
        let mut sorted = differences.to_vec();
        sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let mut found =
            SignedRank { doubled: Vec::with_capacity(sorted.len()), doubled_plus: 0, doubled_zeros: 0, ties: 0.0 };
        for group in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
            let before = found.doubled.len();
            // The mean of the ranks before + 1 … before + t, doubled.
            let doubled_rank = 2 * before + group.len() + 1;
            found.doubled.extend(group.iter().map(|_| doubled_rank));
            found.doubled_plus += doubled_rank * group.iter().filter(|d| **d > 0.0).count();
            found.doubled_zeros += doubled_rank * group.iter().filter(|d| **d == 0.0).count();
            let t = group.len() as f64;
            found.ties += t * (t - 1.0) * (t + 1.0);
        }
        found
    }

    /// Returns the probability under the null hypothesis of a T⁺ at most this large. It is small if the differences are
    /// below 0.
    pub fn lower_tail(&self) -> f64 {
        self.at_most(self.doubled_plus + self.doubled_zeros)
    }

    /// Returns the probability under the null hypothesis of a T⁺ at least this large. It is small if the differences
    /// are above 0.
    pub fn upper_tail(&self) -> f64 {
        // The distribution is symmetric. Summing the mirrored lower tail keeps the digits of small probabilities.
        self.at_most(self.doubled.iter().sum::<usize>() - self.doubled_plus)
    }

    /// Returns the probability under the null hypothesis of a T⁺ at least this far from its mean, on either side.
    pub fn two_sided(&self) -> f64 {
        (2.0 * self.lower_tail().min(self.upper_tail())).min(1.0)
    }

    /// Returns P(2 T⁺ ≤ `doubled_sum`).
    fn at_most(&self, doubled_sum: usize) -> f64 {
        let n = self.doubled.len();
        let probability: f64 = if n <= COUNTED {
            distribution(&self.doubled).iter().take(doubled_sum + 1).sum()
        } else {
            // The one half is the continuity correction.
            let (mean, deviation) = moments(n, self.ties);
            Normal::standard().cdf((doubled_sum as f64 / 2.0 + 0.5 - mean) / deviation)
        };
        probability.min(1.0)
    }
}

/// Returns the mean and the standard deviation of T⁺ of `n` differences. `ties` is Σ t(t − 1)(t + 1) over the groups of
/// t equal sizes (Hollander, Wolfe and Chicken).
fn moments(n: usize, ties: f64) -> (f64, f64) {
    let n = n as f64;
    let variance = (n * (n + 1.0) * (2.0 * n + 1.0) - ties / 2.0) / 24.0;
    (n * (n + 1.0) / 4.0, variance.sqrt())
}

/// Returns the probability of each sum of a random subset of `ranks`, in which each rank is with probability one half.
/// The ranks are added one after another: a rank that is not in the subset keeps the sum, and one that is in it
/// increases the sum.
fn distribution(ranks: &[usize]) -> Vec<f64> {
    let mut probabilities = vec![0.0; ranks.iter().sum::<usize>() + 1];
    probabilities[0] = 1.0;
    let mut reached = 0;
    for rank in ranks {
        reached += rank;
        for sum in (0..=reached).rev() {
            let with = sum.checked_sub(*rank).map_or(0.0, |before| probabilities[before]);
            probabilities[sum] = (probabilities[sum] + with) / 2.0;
        }
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alpha(probability: f64) -> Alpha {
        Alpha::new(probability).expect("between 0 and 1")
    }

    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found}, not {expected}");
    }

    /// Critical values of two-sided tests: Wilcoxon and Wilcox, Some Rapid Approximate Statistical Procedures (1964),
    /// as reprinted in textbooks; the interval's rank is one above them. Also what counting in whole numbers in
    /// Python yields.
    #[test]
    fn ranks_are_one_above_the_printed_critical_values() {
        let at_5 =
            [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (11, 10), (12, 13), (15, 25), (20, 52), (25, 89), (50, 434)];
        let at_1 = [(8, 0), (9, 1), (10, 3), (11, 5), (12, 7), (15, 15), (20, 37), (25, 68), (50, 373)];
        for (level, table) in [(0.05, &at_5[..]), (0.01, &at_1)] {
            for (n, critical) in table {
                assert_eq!(walsh_rank(*n, alpha(level)), Some(critical + 1), "n = {n} at {level}");
            }
        }
        assert_eq!(walsh_rank(5, alpha(0.05)), None);
        assert_eq!(walsh_rank(7, alpha(0.01)), None);
        assert_eq!(walsh_rank(0, alpha(0.05)), None);
    }

    #[test]
    fn least_number_of_blocks() {
        // 2 · 2⁻⁵ = 0.0625, 2 · 2⁻⁶ = 0.03125; 2 · 2⁻⁷ = 0.0156, 2 · 2⁻⁸ = 0.0078.
        assert_eq!((least_blocks(alpha(0.05)), least_blocks(alpha(0.01))), (6, 8));
        for level in [0.5, 0.2, 0.05, 0.025, 0.0125, 0.001] {
            let least = least_blocks(alpha(level));
            assert!(walsh_rank(least, alpha(level)).is_some() && walsh_rank(least - 1, alpha(level)).is_none());
        }
    }

    /// Counted in whole numbers in Python: the largest t with 2 · #{T⁺ ≤ t} ≤ α · 2ⁿ. Below 100 blocks to the rank; above,
    /// the approximation's tail is a little thick, which makes the interval wider and never narrower.
    #[test]
    fn many_blocks_ranks_are_those_of_counting_or_just_below() {
        let counted = [(80, 0.05, 1211), (80, 0.00625, 1054), (80, 0.001, 943), (100, 0.05, 1955), (100, 0.001, 1578)];
        for (n, level, critical) in counted {
            assert_eq!(walsh_rank(n, alpha(level)), Some(critical + 1), "n = {n} at {level}");
        }
        let approximated = [(101, 0.05, 1997), (101, 0.00625, 1773), (160, 0.05, 5289), (160, 0.00625, 4841)];
        for (n, level, critical) in approximated {
            let rank = walsh_rank(n, alpha(level)).expect("enough blocks");
            assert!((critical - 6..=critical + 1).contains(&rank), "n = {n} at {level}: {rank} of {critical}");
        }
    }

    /// Hollander and Wolfe, chapter 3: Hamilton depression scale factor IV of nine patients, after less before. T⁺ = 5,
    /// one-sided p 0.020. scipy.stats.wilcoxon(d, method='exact') yields 0.0390625 two-sided.
    #[test]
    fn depression_scores_of_hollander_and_wolfe() {
        let differences = [-0.952, 0.147, -1.022, -0.43, -0.62, -0.59, -0.49, 0.08, -0.01];
        let found = SignedRank::of(&differences);
        assert_eq!(found.doubled_plus, 2 * 5);
        assert_near(found.lower_tail(), 0.019_531_25);
        assert_near(found.two_sided(), 0.039_062_5);
        let mirrored = SignedRank::of(&differences.map(|d| -d));
        assert_near(mirrored.upper_tail(), 0.019_531_25);
    }

    /// Darwin's maize, heights of crossed less self-fertilised plants in eighths of an inch, where T⁻ = 24:
    /// scipy.stats.wilcoxon(d, method='exact').
    #[test]
    fn darwins_maize() {
        let heights = [6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0, -67.0, 75.0];
        assert_near(SignedRank::of(&heights).two_sided(), 0.041_259_765_625);
    }

    /// scipy.stats.wilcoxon(d, method=PermutationMethod(n_resamples=100000)), which flips every sign: 26 of 2,048.
    /// With two zeros appended, all 2¹³ signs counted in Python: T⁺ = 78.5, the zeros have the ranks 1.5 and 1.5, and 74
    /// assignments have a sum of at most 12.5 on one side.
    #[test]
    fn equal_sizes_share_ranks_and_zeros_count_against_a_difference() {
        let differences = [11.0, 4.0, 3.0, -2.0, 13.0, 2.0, 7.0, 4.0, 3.0, -3.0, 12.0, 0.0, -0.0];
        assert_eq!(SignedRank::of(&differences[..11]).doubled_plus, 121);
        assert_near(SignedRank::of(&differences[..11]).two_sided(), 26.0 / 2048.0);
        assert_near(SignedRank::of(&differences).two_sided(), 2.0 * 74.0 / 8192.0);
        // Six differences of the same sign would be significant alone; among 94 zeros the interval is [0, 0].
        let mut mostly_zero = [0.0; 100];
        mostly_zero[..6].fill(0.01);
        assert!(SignedRank::of(&mostly_zero[..6]).two_sided() <= 0.05);
        assert!(SignedRank::of(&mostly_zero).two_sided() > 0.05);
        assert_eq!(SignedRank::of(&[0.0; 8]).two_sided(), 1.0);
        assert_eq!(SignedRank::of(&[]).two_sided(), 1.0);
    }

    /// d = round(50 sin(k)) + 5 for k = 1 to 120, with many equal sizes and one zero; the formula in Python.
    #[test]
    fn many_differences_are_judged_by_the_normal_distribution() {
        let differences: Vec<f64> = (1..=120).map(|k| (50.0 * f64::from(k).sin()).round() + 5.0).collect();
        let found = SignedRank::of(&differences);
        assert_eq!((found.doubled_plus, found.doubled_zeros), (8697, 2));
        assert_near(found.two_sided(), 0.060_039_476_927_475_06);
    }
}
