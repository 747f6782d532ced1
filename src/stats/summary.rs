//! The median of the samples of one cell, and its interval.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::stats::Alpha;
use crate::stats::autocorrelation::widening;

/// The median of a cell's samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Number of samples.
    pub samples: usize,
    /// Median, seconds.
    pub median: f64,
    /// Lower and upper end of the interval of the median, seconds. None with too few samples (fewer than 8 at 95 %).
    pub interval: Option<(f64, f64)>,
}

impl Summary {
    /// Returns half the width of the interval divided by the median: 0.02 for a median known to 2 %.
    pub fn relative_half_width(&self) -> Option<f64> {
        let (low, high) = self.interval?;
        (self.median > 0.0).then(|| (high - low) / 2.0 / self.median)
    }
}

/// Computes the median and its 95 % interval with [`summarise_at`]. Returns None without samples.
pub fn summarise(samples: &[f64]) -> Option<Summary> {
    summarise_at(samples, Alpha::FIVE_PERCENT)
}

/// Computes the median and its nonparametric interval. The ends are the order statistics of ranks ⌊(n − z√n) / 2⌋ and
/// ⌈1 + (n + z√n) / 2⌉, where z is the normal quantile of 1 − α/2 (Hoefler and Belli, Scientific Benchmarking of
/// Parallel Computing Systems, SC 2015, with z = 1.96). z is multiplied by the factor of [`widening`] of the logarithms,
/// so `samples` must be in the order in which they were taken. Returns None without samples.
pub fn summarise_at(samples: &[f64], alpha: Alpha) -> Option<Summary> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let middle = sorted.get(n / 2)?;
    let median = if n % 2 == 1 { *middle } else { (sorted[n / 2 - 1] + middle) / 2.0 };
    let logs: Vec<f64> = samples.iter().map(|seconds| seconds.ln()).collect();
    let interval = ranks(n, alpha, widening(&logs)).map(|(low, high)| (sorted[low - 1], sorted[high - 1]));
    Some(Summary { samples: n, median, interval })
}

/// Returns the ranks, from 1, of the order statistics at the ends of the interval; None if a rank would lie outside 1 …
/// n.
fn ranks(n: usize, alpha: Alpha, widening: f64) -> Option<(usize, usize)> {
    let spread = widening * Normal::standard().inverse_cdf(1.0 - alpha.halved(1).get()) * (n as f64).sqrt();
    let low = ((n as f64 - spread) / 2.0).floor();
    let high = (1.0 + (n as f64 + spread) / 2.0).ceil();
    (low >= 1.0 && high <= n as f64).then_some((low as usize, high as usize))
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{Binomial, DiscreteCDF};

    use super::*;

    /// The numbers 1 to `n` in an order in which none resembles the one before: 1, n, 2, n − 1, …
    fn mixed(n: usize) -> Vec<f64> {
        (0..n).map(|at| if at % 2 == 0 { at / 2 + 1 } else { n - at / 2 } as f64).collect()
    }

    #[test]
    fn ranks_are_those_of_the_formula_worked_by_hand() {
        // n = 10: (10 − 6.198) / 2 = 1.90 → 1; 1 + (10 + 6.198) / 2 = 9.10 → 10.
        let ten = mixed(10);
        let summary = summarise(&ten).expect("samples");
        assert_eq!((summary.median, summary.interval), (5.5, Some((1.0, 10.0))));
        assert_eq!(summary.relative_half_width(), Some(4.5 / 5.5));
        // n = 30: (30 − 10.735) / 2 = 9.63 → 9; 1 + (30 + 10.735) / 2 = 21.37 → 22.
        let thirty = mixed(30);
        assert_eq!(summarise(&thirty).expect("samples").interval, Some((9.0, 22.0)));
        // n = 7: (7 − 5.186) / 2 = 0.91 → 0: there is no such rank.
        assert_eq!(summarise(&ten[..7]).expect("samples").interval, None);
        // At 99 %, z = 2.5758; n = 30: (30 − 14.108) / 2 = 7.95 → 7; 1 + (30 + 14.108) / 2 = 23.05 → 24.
        let at_99 = Alpha::new(0.01).expect("between 0 and 1");
        assert_eq!(summarise_at(&thirty, at_99).expect("samples").interval, Some((7.0, 24.0)));
    }

    /// 1 to 30 in ascending order count as a single sample: z = 1.96 √30, and no rank is that far out. A wave of 100
    /// samples has a wider interval than the same samples mixed.
    #[test]
    fn samples_that_resemble_the_ones_before_say_less() {
        let ascending: Vec<f64> = (1..=30).map(f64::from).collect();
        assert_eq!(summarise(&ascending).expect("samples").interval, None);
        let wave: Vec<f64> = (0..100).map(|at| 2.0 + (f64::from(at) / 3.0).sin() + 0.3 * f64::from(at % 2)).collect();
        let (low, high) = summarise(&wave).and_then(|summary| summary.interval).expect("enough samples");
        let mut alternating = wave.clone();
        alternating.sort_by(f64::total_cmp);
        let alternating: Vec<f64> = (0..50).flat_map(|at| [alternating[at], alternating[99 - at]]).collect();
        let (inner_low, inner_high) = summarise(&alternating).and_then(|summary| summary.interval).expect("enough");
        assert!(low < inner_low && inner_high < high, "{low} {inner_low} {inner_high} {high}");
    }

    #[test]
    fn few_samples_have_a_median_and_no_interval() {
        assert_eq!(summarise(&[]), None);
        assert_eq!(summarise(&[3.0]), Some(Summary { samples: 1, median: 3.0, interval: None }));
        assert_eq!(summarise(&[1.0, 4.0]).expect("samples").median, 2.5);
        assert_eq!(summarise(&[1.0, 4.0]).expect("samples").relative_half_width(), None);
    }

    /// The median lies below the r-th of n order statistics exactly if fewer than r samples lie below the median, whose
    /// number is binomial; so the coverage is known exactly, and the formula's approximation is held against it.
    #[test]
    fn exact_coverage_is_never_below_the_level() {
        for alpha in [0.2, 0.1, 0.05, 0.01, 0.001, 1e-5].map(|p| Alpha::new(p).expect("between 0 and 1")) {
            for n in 1..=400usize {
                let Some((low, high)) = ranks(n, alpha, 1.0) else { continue };
                let below = Binomial::new(0.5, n as u64).expect("parameters");
                let missed = below.cdf(low as u64 - 1) + below.sf(high as u64 - 1);
                assert!(missed <= alpha.get(), "n = {n}, α = {}: {missed}", alpha.get());
            }
        }
    }
}
