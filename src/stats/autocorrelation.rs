//! Autocorrelation of samples: do successive blocks depend on each other?

use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::statistics::Statistics;

/// Least number of samples for which means of batches check the lag-1 autocorrelation.
const ENOUGH_FOR_BATCHES: usize = 40;
/// Probability that the check finds something in samples that the lag-1 autocorrelation describes.
const FALSE_ALARM: f64 = 0.01;

/// The lag-1 autocorrelation of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Autocorrelation {
    /// Lag-1 autocorrelation r₁, between −1 and 1.
    pub lag1: f64,
    /// The value that r₁ of independent samples rarely exceeds: 1.96 / √n.
    pub threshold: f64,
    /// The number of independent samples that would determine the mean as well. It is at most the number of samples.
    pub effective_samples: f64,
}

/// Returns the value that the lag-1 autocorrelation of `samples` independent samples rarely exceeds: 1.96 / √n
/// (Bartlett 1946).
pub fn threshold(samples: u64) -> f64 {
    1.96 / (samples as f64).sqrt()
}

/// Returns the factor by which an interval computed for independent samples must be wider, so that it keeps its level
/// for `series`, samples in the order in which they were taken: √((1 + r) / (1 − r)).
///
/// The variance of the mean of a first-order autoregression is larger by the square of this factor (Bayley and Hammersley
/// 1946). r is the lag-1 autocorrelation corrected for its bias, max(0, r₁ + (1 + 3 r₁) / n): the expectation of r₁ is
/// about ρ − (1 + 3ρ) / n (Kendall 1954; Marriott and Pope 1954). The factor is at most √n, for which the samples would
/// count as one. It is 1 for fewer than 3 samples, for equal samples, and where samples do not resemble the ones before.
///
/// Slow changes below the noise hardly show in r₁. From 40 samples on, the factor is therefore checked against the means of
/// batches of ⌈√n⌉ samples (Alexopoulos and Seila 1996). If these vary more than the factor allows, by a χ² test at the 1 %
/// level, their variance determines the factor.
pub fn widening(series: &[f64]) -> f64 {
    let n = series.len() as f64;
    let by_lag = Autocorrelation::of(series).map_or(1.0, |found| (n / found.effective_samples).sqrt());
    by_batches(series, by_lag).unwrap_or(by_lag)
}

/// Returns the factor by the means of batches, if it is greater than `by_lag` beyond chance.
fn by_batches(series: &[f64], by_lag: f64) -> Option<f64> {
    let length = (series.len() as f64).sqrt().ceil() as usize;
    if series.len() < ENOUGH_FOR_BATCHES {
        return None;
    }
    // The first samples are left out if the batches do not fill the series.
    let means: Vec<f64> =
        series[series.len() % length..].chunks(length).map(|batch| batch.iter().sum::<f64>() / length as f64).collect();
    let freedom = means.len() as f64 - 1.0;
    let ratio = length as f64 * means.variance() / series.variance();
    let most = ChiSquared::new(freedom).ok()?.inverse_cdf(1.0 - FALSE_ALARM) / freedom;
    (ratio > most * by_lag.powi(2)).then(|| ratio.sqrt().min((series.len() as f64).sqrt()))
}

impl Autocorrelation {
    /// Computes the lag-1 autocorrelation of `series`, a list of samples in the order in which they were taken. Returns
    /// None for fewer than 3 samples and for samples that are all equal.
    ///
    /// r₁ = Σ (xₜ − x̄)(xₜ₊₁ − x̄) / Σ (xₜ − x̄)² (Box and Jenkins, Time Series Analysis). The threshold is Bartlett's
    /// (1946) for independent samples, whose r₁ has a standard deviation of about 1 / √n. The number of effective
    /// samples is n (1 − r) / (1 + r), at least 1, with the corrected r of [`widening`].
    pub fn of(series: &[f64]) -> Option<Self> {
        let n = series.len() as f64;
        if series.len() < 3 {
            return None;
        }
        let mean = series.iter().sum::<f64>() / n;
        let squares: f64 = series.iter().map(|x| (x - mean).powi(2)).sum();
        let products: f64 = series.windows(2).map(|two| (two[0] - mean) * (two[1] - mean)).sum();
        let lag1 = products / squares;
        lag1.is_finite().then(|| {
            let corrected = (lag1 + (1.0 + 3.0 * lag1) / n).max(0.0);
            Autocorrelation {
                lag1,
                threshold: threshold(series.len() as u64),
                effective_samples: (n * (1.0 - corrected) / (1.0 + corrected)).max(1.0),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Box and Jenkins, series F: 70 yields of a batch process, mean 51.13, r₁ = −0.39.
    #[test]
    fn batch_yields_of_box_and_jenkins() {
        let yields = [
            47, 64, 23, 71, 38, 64, 55, 41, 59, 48, 71, 35, 57, 40, 58, 44, 80, 55, 37, 74, 51, 57, 50, 60, 45, 57, 50,
            45, 25, 59, 50, 71, 56, 74, 50, 58, 45, 54, 36, 54, 48, 55, 45, 57, 50, 62, 44, 64, 43, 52, 38, 59, 55, 41,
            53, 49, 34, 35, 54, 45, 68, 38, 50, 60, 39, 59, 40, 57, 54, 23,
        ];
        let found = Autocorrelation::of(&yields.map(f64::from)).expect("a series");
        // By numpy to more digits.
        assert!((found.lag1 - -0.389_878_318_595_605_57).abs() < 1e-12, "{found:?}");
        assert!((found.threshold - 0.234_264_8).abs() < 1e-6, "{found:?}");
        assert_eq!(found.effective_samples, 70.0);
        assert!(found.lag1 < found.threshold);
    }

    #[test]
    fn a_drift_warns_and_counts_for_less() {
        // By hand: 1 to 5 less their mean are −2 to 2; products 2 + 0 + 0 + 2, squares 10. r = 0.4 + 2.2 / 5 = 0.84, and
        // 5 · 0.16 / 1.84 is less than 1.
        let short = Autocorrelation::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("a series");
        assert!((short.lag1 - 0.4).abs() < 1e-12 && short.effective_samples == 1.0, "{short:?}");
        assert!(short.lag1 < short.threshold);
        let long: Vec<f64> = (0..40).map(f64::from).collect();
        let long = Autocorrelation::of(&long).expect("a series");
        assert!(long.lag1 > long.threshold);
    }

    /// By hand: −1, −1, 1, 1 twice. Products of neighbours 4 − 3 = 1, squares 8, r₁ = 1 / 8; r = 1 / 8 + (11 / 8) / 8 =
    /// 19 / 64, and (1 + r) / (1 − r) = 83 / 45.
    #[test]
    fn intervals_widen_with_the_correlation() {
        let found = widening(&[-1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0]);
        assert!((found - (83f64 / 45.0).sqrt()).abs() < 1e-12, "{found}");
        assert_eq!(widening(&[1.0, -1.0, 1.0, -1.0, 1.0]), 1.0);
        assert_eq!((widening(&[1.0, 2.0]), widening(&[1.0; 10])), (1.0, 1.0));
        assert_eq!(widening(&[1.0, 2.0, 3.0, 4.0]), 2.0);
    }

    /// Noise of ±1 that alternates, on a level that changes by 2 after half of the samples: r₁ is nearly 0, but the means of
    /// batches differ.
    #[test]
    fn slow_changes_below_the_noise_are_found_by_batches() {
        let noise = |at: usize| if at.is_multiple_of(2) { 1.0 } else { -1.0 };
        let steady: Vec<f64> = (0..64).map(noise).collect();
        let shifted: Vec<f64> = (0..64).map(|at| noise(at) + if at < 32 { 1.0 } else { -1.0 }).collect();
        assert!(Autocorrelation::of(&shifted).is_some_and(|found| found.lag1.abs() < 0.05));
        assert_eq!(widening(&steady), 1.0);
        // By hand: eight batches of 8 with means ±1, variance 8/7; all samples have the variance (64 + 64) / 63.
        let expected = (8.0 * (8.0f64 / 7.0) / (128.0 / 63.0)).sqrt();
        assert!((widening(&shifted) - expected).abs() < 1e-12, "{}", widening(&shifted));
    }

    #[test]
    fn what_does_not_vary_has_none() {
        assert_eq!(Autocorrelation::of(&[1.0, 2.0]), None);
        assert_eq!(Autocorrelation::of(&[1.0; 10]), None);
    }
}
