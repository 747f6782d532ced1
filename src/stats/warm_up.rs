//! How many of a cell's first samples belong to the machine warming up.

/// Fewer samples say nothing about where the steady ones begin.
const LEAST_SAMPLES: usize = 10;

/// Where the steady part of a cell's samples begins. It is recorded beside the samples; no sample is deleted for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmUp {
    /// Number of samples, from the first, that are warm-up. 0 if there is none.
    pub samples: usize,
    /// False if the steady part would have to begin after the middle: the series has not settled.
    pub settled: bool,
}

impl WarmUp {
    /// Looks for warm-up in `seconds`, a cell's samples in the order in which they were taken. None with fewer than 10
    /// samples, or if one of them is not a time.
    ///
    /// Where it ends is said by MSER, the marginal standard error rule (White 1997; White, Cobb and Spratt, A comparison
    /// of five steady-state truncation heuristics for simulation, WSC 2000): the d, up to the middle, that makes
    /// Σ (xᵢ − x̄)² / (n − d)² over the samples after d least. It weighs what leaving out gains (no bias) against what it
    /// costs (fewer samples). x is the logarithm of the time, as ratios are what is compared.
    ///
    /// MSER answers where, not whether: of steady series it cuts something off in a third. So there is warm-up only if
    /// the first sample also lies outside Tukey's outer fences of those that are left, three interquartile ranges beyond
    /// their quartiles (Tukey, Exploratory Data Analysis, 1977). Slower or faster, as a processor that heats up starts
    /// fast. A steady drift through the whole series is no warm-up, as there is nothing steady to tell it from; the
    /// autocorrelation shows it.
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

/// The d up to the middle that makes MSER's statistic least; the first if several do.
fn least_standard_error(series: &[f64]) -> usize {
    let statistic = |cut: usize| {
        let left = &series[cut..];
        let n = left.len() as f64;
        let mean = left.iter().sum::<f64>() / n;
        left.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * n)
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

/// Three interquartile ranges below the lower and above the upper quartile.
fn outer_fences(samples: &[f64]) -> (f64, f64) {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lower, upper) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
    let reach = 3.0 * (upper - lower);
    (lower - reach, upper + reach)
}

/// Quantile of sorted samples, interpolated between neighbours (Hyndman and Fan's type 7, the default of R and numpy).
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
