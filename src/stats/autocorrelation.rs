//! Whether blocks remember each other.

/// How a series correlates with itself one step on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Autocorrelation {
    /// Lag-1 autocorrelation, between −1 and 1.
    pub lag1: f64,
    /// The value above which independent samples hardly ever get: 1.96 / √n.
    pub threshold: f64,
    /// As many independent samples would say as much about the mean; at most the number of samples.
    pub effective_samples: f64,
}

/// Lag-1 autocorrelation above which `samples` independent samples hardly ever get: 1.96 / √n (Bartlett 1946).
pub fn threshold(samples: u64) -> f64 {
    1.96 / (samples as f64).sqrt()
}

impl Autocorrelation {
    /// Lag-1 autocorrelation of `series`, its samples in the order in which they were taken. None with fewer than 3
    /// samples, or if all are equal.
    ///
    /// r₁ = Σ (xₜ − x̄)(xₜ₊₁ − x̄) / Σ (xₜ − x̄)² (Box and Jenkins, Time Series Analysis). The threshold is
    /// Bartlett's (1946) for independent samples, whose r₁ has a standard deviation of about 1 / √n. Effective samples
    /// are n (1 − r₁) / (1 + r₁), as if only neighbours were correlated directly (Bayley and Hammersley 1946, for a
    /// first-order autoregression); a negative r₁ is not credited.
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
            let counted = lag1.max(0.0);
            Autocorrelation {
                lag1,
                threshold: threshold(series.len() as u64),
                effective_samples: n * (1.0 - counted) / (1.0 + counted),
            }
        })
    }

    /// True if a warning is due: lag 1 is above the threshold, so intervals may be too narrow. Only above: samples that
    /// alternate make intervals too wide, which misleads nobody. Independent samples get a warning in 2 or 3 of 100.
    pub fn warns(&self) -> bool {
        self.lag1 > self.threshold
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
        assert!(!found.warns());
    }

    #[test]
    fn a_drift_warns_and_counts_for_less() {
        // By hand: 1 to 5 less their mean are −2 to 2; products 2 + 0 + 0 + 2, squares 10; 5 · 0.6 / 1.4.
        let short = Autocorrelation::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("a series");
        assert!((short.lag1 - 0.4).abs() < 1e-12 && (short.effective_samples - 15.0 / 7.0).abs() < 1e-12, "{short:?}");
        assert!(!short.warns());
        let long: Vec<f64> = (0..40).map(f64::from).collect();
        assert!(Autocorrelation::of(&long).expect("a series").warns());
    }

    #[test]
    fn what_does_not_vary_has_none() {
        assert_eq!(Autocorrelation::of(&[1.0, 2.0]), None);
        assert_eq!(Autocorrelation::of(&[1.0; 10]), None);
    }
}
