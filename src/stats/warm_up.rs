//! Warm-up detection: how many of a cell's first samples were taken before the machine was steady?

use statrs::statistics::Statistics;

/// The least number of samples for a decision.
const LEAST_SAMPLES: usize = 10;

/// The beginning of the steady part of a cell's samples. It is stored with the samples; no sample is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmUp {
    /// Number of warm-up samples, counted from the first; 0 if there are none.
    pub samples: usize,
    /// False if the steady part would begin after the middle of the series, so the series has not settled.
    pub settled: bool,
}

impl WarmUp {
    /// Looks for warm-up in `seconds`, which holds a cell's samples in the order in which they were taken. Returns None
    /// for fewer than 10 samples, and if a sample is not above 0 and finite.
    ///
    /// The end of the warm-up follows the marginal standard error rule MSER (White 1997; White, Cobb and Spratt, A
    /// comparison of five steady-state truncation heuristics for simulation, WSC 2000). It is the d, at most half of
    /// the samples, that minimises Σ (xᵢ − x̄)² / (n − d)² over the samples after d. The rule weighs less bias against
    /// fewer samples. x is the logarithm of the time, as comparisons use ratios.
    ///
    /// MSER finds the end of a warm-up but does not test whether there is one: it cuts samples off a third of all
    /// steady series. So warm-up is reported only if, in addition, the first sample lies outside Tukey's outer fences
    /// of the samples that are left, which are three interquartile ranges beyond their quartiles (Tukey, Exploratory
    /// Data Analysis, 1977). The first sample may be too slow or too fast: a processor that heats up starts fast. A
    /// steady drift through the whole series is not reported, as there is no steady part; the autocorrelation shows it.
    pub fn detect(seconds: &[f64]) -> Option<Self> {
        let is_time = |s: &f64| *s > 0.0 && s.is_finite();
        if seconds.len() < LEAST_SAMPLES || !seconds.iter().all(is_time) {
            return None;
        }
        let logs: Vec<f64> = seconds.iter().map(|s| s.ln()).collect();
        let cut = least_standard_error(&logs);
        let (low, high) = outer_fences(&logs[cut..]);
        let within = low <= logs[0] && logs[0] <= high;
        if within {
            return Some(WarmUp { samples: 0, settled: true });
        }
        Some(WarmUp { samples: cut, settled: cut < logs.len() / 2 })
    }
}

/// Returns the d, up to the middle, that minimises MSER's statistic; the smallest such d.
fn least_standard_error(series: &[f64]) -> usize {
    let statistic = |cut: usize| {
        let left = &series[cut..];
        left.population_variance() / left.len() as f64
    };
    let mut best = (0, statistic(0));
    for cut in 1..=series.len() / 2 {
        let found = statistic(cut);
        if found < best.1 {
            best = (cut, found);
        }
    }
    best.0
}

/// Returns the fences three interquartile ranges below the lower quartile and above the upper quartile.
fn outer_fences(samples: &[f64]) -> (f64, f64) {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lower, upper) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
    let reach = 3.0 * (upper - lower);
    (lower - reach, upper + reach)
}

/// Returns a quantile of sorted samples by linear interpolation (type 7 of Hyndman and Fan, the default of R and numpy;
/// statrs implements type 8).
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, rest) = (place.floor() as usize, place.fract());
    sorted[below] + rest * (sorted[(below + 1).min(sorted.len() - 1)] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARMING: [f64; 20] = [
        30.0, 24.0, 19.0, 16.0, 10.4, 10.1, 9.9, 10.3, 10.0, 9.8, 10.2, 10.1, 9.9, 10.0, 10.3, 9.7, 10.1, 10.0, 9.9,
        10.2,
    ];

    /// numpy: x = log(WARMING); argmin of [((x[d:] - x[d:].mean())**2).sum() / (n - d)**2 for d in range(n // 2 + 1)].
    #[test]
    fn warm_up_ends_where_the_standard_error_is_least() {
        assert_eq!(WarmUp::detect(&WARMING), Some(WarmUp { samples: 5, settled: true }));
        // A processor that starts fast and gets hot.
        let inverse = WARMING.map(|s| 1.0 / s);
        assert_eq!(WarmUp::detect(&inverse), Some(WarmUp { samples: 5, settled: true }));
    }

    #[test]
    fn steady_samples_have_none_even_with_a_slow_one_among_them() {
        let mut steady: Vec<f64> = WARMING[5..].to_vec();
        assert_eq!(WarmUp::detect(&steady), Some(WarmUp { samples: 0, settled: true }));
        // MSER alone would cut off everything up to the slow one.
        steady[3] = 40.0;
        assert_eq!(least_standard_error(&steady), 4);
        assert_eq!(WarmUp::detect(&steady), Some(WarmUp { samples: 0, settled: true }));
        assert_eq!(WarmUp::detect(&[1.0; 10]), Some(WarmUp { samples: 0, settled: true }));
    }

    #[test]
    fn what_never_settles_is_said() {
        // Still 13 % above where it is going when the series ends.
        let falling: Vec<f64> = (0..20).map(|k| 10.0 + 30.0 * (-f64::from(k) / 6.0).exp()).collect();
        let found = WarmUp::detect(&falling).expect("enough samples");
        assert!(!found.settled && found.samples == 10, "{found:?}");
    }

    #[test]
    fn too_few_samples_and_what_is_not_a_time_say_nothing() {
        assert_eq!(WarmUp::detect(&WARMING[..9]), None);
        let mut broken = WARMING;
        broken[7] = f64::NAN;
        assert_eq!(WarmUp::detect(&broken), None);
    }

    /// numpy.quantile([1, 2, 4, 8, 16], [0.25, 0.75]) and of the first four.
    #[test]
    fn quantiles_are_numpys() {
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        assert_eq!((quantile(&sorted, 0.25), quantile(&sorted, 0.75)), (2.0, 8.0));
        assert_eq!((quantile(&sorted[..4], 0.25), quantile(&sorted[..4], 0.75)), (1.75, 5.0));
        assert_eq!(quantile(&sorted[..1], 0.75), 1.0);
    }
}
