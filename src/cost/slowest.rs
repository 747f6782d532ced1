//! The expected duration of the slowest of many functions. A round waits for it.

use statrs::distribution::{ContinuousCDF, Normal};

/// Number of steps of the integration, each 0.09 standard deviations.
const STEPS: u32 = 200;
/// Number of standard deviations beyond which the probability is negligible.
const FAR: f64 = 9.0;

/// Returns the expected maximum of independent normal durations, seconds. `durations` holds (mean, number of equal
/// ones), and a standard deviation is `spread` times its mean. The expectation is ∫ 1 − Π Φ((x − μᵢ) / σᵢ)^nᵢ dx by the
/// trapezoidal rule, which converges exponentially where the integrand is flat at both ends (Trefethen and Weideman, The
/// Exponentially Convergent Trapezoidal Rule, SIAM Review 56, 2014). It is 0 without durations.
pub fn expected_slowest(durations: &[(f64, u64)], spread: f64) -> f64 {
    let there: Vec<(f64, u64)> = durations.iter().copied().filter(|(_, count)| *count > 0).collect();
    let longest = there.iter().map(|(mean, _)| *mean).fold(0.0, f64::max);
    let count: u64 = there.iter().map(|(_, count)| count).sum();
    if count <= 1 || spread <= 0.0 || longest <= 0.0 {
        return longest;
    }
    let normal = Normal::standard();
    let below = |x: f64| -> f64 {
        let all = |(mean, count): &(f64, u64)| {
            let one = normal.cdf((x - mean) / (spread * mean));
            // Powers of whole numbers take a fraction of the time.
            i32::try_from(*count).map_or_else(|_| one.powf(*count as f64), |count| one.powi(count))
        };
        there.iter().map(all).product()
    };
    // Below `from` even the distribution of the longest one alone is 0.
    let (from, to) = (longest * (1.0 - FAR * spread), longest * (1.0 + FAR * spread));
    let width = (to - from) / f64::from(STEPS);
    // The integrand is 1 at `from` and 0 at `to`.
    let inner: f64 = (1..STEPS).map(|step| 1.0 - below(from + width * f64::from(step))).sum();
    from + (0.5 + inner) * width
}

/// Returns the expected duration of a level of which at most `concurrent` functions run at the same time. All waves but
/// the last take the mean duration, and the last takes its [`expected_slowest`].
pub fn expected_phase(durations: &[(f64, u64)], spread: f64, concurrent: u64) -> f64 {
    let count: u64 = durations.iter().map(|(_, count)| count).sum();
    if count <= concurrent.max(1) {
        return expected_slowest(durations, spread);
    }
    let mean = durations.iter().map(|(mean, count)| mean * *count as f64).sum::<f64>() / count as f64;
    let waves = count.div_ceil(concurrent.max(1));
    mean * (waves - 1) as f64 + expected_slowest(&[(mean, concurrent.max(1))], spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected largest of n standard normals: Harter, Expected values of normal order statistics, Biometrika 48 (1961).
    #[test]
    fn equal_ones_are_normal_order_statistics() {
        for (n, expected) in [(1, 0.0), (2, 0.56419), (3, 0.84628), (4, 1.02938), (8, 1.42360), (16, 1.76599)] {
            let found = expected_slowest(&[(10.0, n)], 0.1);
            assert!((found - (10.0 + expected)).abs() < 2e-5, "{n}: {found}");
        }
    }

    /// Two normals with means 10 and 9, deviations 1 and 0.9: μ₁Φ(α) + μ₂Φ(−α) + aφ(α), a² = 1.81, α = 1 / a
    /// (Clark, The greatest of a finite set of random variables, 1961).
    #[test]
    fn unequal_ones_are_clarks() {
        let a = 1.81f64.sqrt();
        let normal = Normal::standard();
        let density = (-0.5 / 1.81f64).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let by_hand = 10.0 * normal.cdf(1.0 / a) + 9.0 * normal.cdf(-1.0 / a) + a * density;
        let found = expected_slowest(&[(10.0, 1), (9.0, 1)], 0.1);
        assert!((found - by_hand).abs() < 1e-4, "{found}, not {by_hand}");
    }

    #[test]
    fn waves_follow_each_other() {
        assert_eq!(expected_phase(&[(5.0, 16)], 0.0, 10), 10.0);
        assert_eq!(expected_phase(&[(5.0, 20)], 0.0, 10), 10.0);
        assert_eq!(expected_phase(&[(5.0, 21)], 0.0, 10), 15.0);
        assert_eq!(expected_phase(&[(5.0, 10)], 0.0, 10), 5.0);
        assert_eq!(expected_slowest(&[], 0.1), 0.0);
        assert_eq!(expected_slowest(&[(3.0, 1), (0.0, 4)], 0.0), 3.0);
    }
}
