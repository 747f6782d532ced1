//! The times of two runs compared without pairing.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::statistics::Statistics;

use crate::stats::{Alpha, Interval};

/// The largest number of samples in each run for which the distribution of the rank-sum statistic is counted exactly.
/// Above it the normal approximation is used. R's wilcox.test counts below 50.
const COUNTED: usize = 40;

/// The time of the first run divided by the time of the second. It has no unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoSampleRatio {
    /// exp of the Hodges-Lehmann estimate of the shift of the log times; between jobs, exp of the difference of their
    /// means.
    pub estimate: f64,
    /// Interval of the ratio; None with too few samples.
    pub interval: Option<Interval>,
    /// One-sided p-value of the hypothesis that the ratio is at most 1 + margin. A small value means that the first run
    /// is slower by more than the margin.
    pub slower_p: f64,
    /// One-sided p-value of the hypothesis that the ratio is at least 1 / (1 + margin).
    pub faster_p: f64,
}

/// Compares two sets of times in seconds by their ranks. The estimate is the median of all ln xᵢ − ln yⱼ, and the
/// interval inverts the rank-sum test (Hodges and Lehmann 1963; Hollander, Wolfe and Chicken, Nonparametric Statistical
/// Methods, chapter 4). Returns None if a set is empty or contains a time that is not above 0 and finite, or if the
/// margin is negative or not finite.
///
/// The samples of one run share its allocation, so the interval does not hold for other allocations.
pub fn unpaired(first: &[f64], second: &[f64], margin: f64, alpha: Alpha) -> Option<TwoSampleRatio> {
    let good = |times: &[f64]| !times.is_empty() && times.iter().all(|time| *time > 0.0 && time.is_finite());
    if !good(first) || !good(second) || margin < 0.0 || !margin.is_finite() {
        return None;
    }
    let mut shifts: Vec<f64> = first.iter().flat_map(|x| second.iter().map(move |y| x.ln() - y.ln())).collect();
    shifts.sort_by(f64::total_cmp);
    let pairs = shifts.len();
    let middle = shifts[pairs / 2];
    let estimate = if pairs % 2 == 1 { middle } else { (shifts[pairs / 2 - 1] + middle) / 2.0 };
    let tail = RankSum::new(first.len(), second.len());
    // The largest k with 2 P(U ≤ k − 1) ≤ α.
    let mut below = 0;
    while below < pairs / 2 && 2.0 * tail.at_most(below) <= alpha.get() {
        below += 1;
    }
    let interval = (below > 0).then(|| Interval { low: shifts[below - 1].exp(), high: shifts[pairs - below].exp() });
    let reach = (1.0 + margin).ln();
    // The pairs that contradict each claim. A tie contradicts it too.
    let against_slower = shifts.iter().filter(|shift| **shift <= reach).count();
    let against_faster = shifts.iter().filter(|shift| **shift >= -reach).count();
    Some(TwoSampleRatio {
        estimate: estimate.exp(),
        interval,
        slower_p: tail.at_most(against_slower),
        faster_p: tail.at_most(against_faster),
    })
}

/// Compares two sets of jobs. `first` and `second` hold the median time of each job, seconds. The interval and the test
/// are Welch's for the log times, with his degrees of freedom (Welch 1947). Returns None for fewer than two jobs on a
/// side, and for a median that is not above 0.
pub fn between_jobs(first: &[f64], second: &[f64], margin: f64, alpha: Alpha) -> Option<TwoSampleRatio> {
    let of = |medians: &[f64]| -> Option<(f64, f64, f64)> {
        let n = medians.len() as f64;
        let logs: Vec<f64> = medians.iter().map(|median| median.ln()).collect();
        let (mean, variance) = (logs.as_slice().mean(), logs.as_slice().variance());
        (medians.len() > 1 && mean.is_finite()).then(|| (mean, variance / n, n - 1.0))
    };
    let ((one, a, df_one), (other, b, df_other)) = (of(first)?, of(second)?);
    let error = (a + b).sqrt();
    let freedom = (a + b).powi(2) / (a * a / df_one + b * b / df_other);
    Some(by_student(one - other, error, freedom, margin, alpha))
}

/// Compares a single job with several. `one` is its median, seconds, and `jobs` holds the medians of the others. The interval
/// is the prediction interval of a further job of their kind (Student's t of the log times, the variance 1 + 1/k times theirs).
/// Returns None for fewer than two jobs, and for a median that is not above 0.
pub fn one_against_jobs(one: f64, jobs: &[f64], margin: f64, alpha: Alpha) -> Option<TwoSampleRatio> {
    let logs: Vec<f64> = jobs.iter().map(|median| median.ln()).collect();
    let (mean, variance, count) = (logs.as_slice().mean(), logs.as_slice().variance(), jobs.len() as f64);
    let difference = one.ln() - mean;
    if jobs.len() < 2 || !difference.is_finite() {
        return None;
    }
    let error = (variance * (1.0 + 1.0 / count)).sqrt();
    Some(by_student(difference, error, count - 1.0, margin, alpha))
}

/// The ratio exp(`difference`), whose standard error on the logarithmic scale is `error` with `freedom` degrees of freedom.
fn by_student(difference: f64, error: f64, freedom: f64, margin: f64, alpha: Alpha) -> TwoSampleRatio {
    let estimate = difference.exp();
    let reach = (1.0 + margin).ln();
    let Some(t) = StudentsT::new(0.0, 1.0, freedom).ok().filter(|_| error > 0.0) else {
        // If jobs of one kind agree exactly, no standard error can be estimated.
        return TwoSampleRatio { estimate, interval: None, slower_p: 1.0, faster_p: 1.0 };
    };
    let half = t.inverse_cdf(1.0 - alpha.get() / 2.0) * error;
    TwoSampleRatio {
        estimate,
        interval: Some(Interval { low: (difference - half).exp(), high: (difference + half).exp() }),
        slower_p: t.sf((difference - reach) / error),
        faster_p: t.cdf((difference + reach) / error),
    }
}

/// The distribution of the rank-sum statistic U under the null hypothesis.
struct RankSum {
    /// P(U ≤ u) for each u; empty if the normal approximation is used.
    counted: Vec<f64>,
    mean: f64,
    deviation: f64,
}

impl RankSum {
    fn new(m: usize, n: usize) -> RankSum {
        let (a, b) = (m as f64, n as f64);
        let deviation = (a * b * (a + b + 1.0) / 12.0).sqrt();
        let counted = if m.max(n) <= COUNTED { cumulative(m, n) } else { Vec::new() };
        RankSum { counted, mean: a * b / 2.0, deviation }
    }

    /// Returns P(U ≤ u).
    fn at_most(&self, u: usize) -> f64 {
        if let Some(last) = self.counted.last() {
            return self.counted.get(u).copied().unwrap_or(*last);
        }
        // The one half is the continuity correction.
        Normal::standard().cdf((u as f64 + 0.5 - self.mean) / self.deviation)
    }
}

/// Returns P(U ≤ u) for each u. It counts the ways to choose the m ranks of the first sample among m + n ranks; U is
/// the sum of the chosen ranks minus its least possible value.
fn cumulative(m: usize, n: usize) -> Vec<f64> {
    let most = m * n;
    // ways[k][u] is the number of ways to choose k of the ranks so far with the sum u. An f64 holds the counts with
    // enough precision: C(80, 40) is 10²³.
    let mut ways = vec![vec![0.0f64; most + 1]; m + 1];
    ways[0][0] = 1.0;
    for rank in 0..m + n {
        for chosen in (0..m.min(rank + 1)).rev() {
            // The rank exceeds the least possible rank of the next chosen one by rank − chosen.
            let Some(excess) = rank.checked_sub(chosen).filter(|excess| *excess <= n) else { continue };
            for u in excess..=most {
                let before = ways[chosen][u - excess];
                ways[chosen + 1][u] += before;
            }
        }
    }
    let all: f64 = ways[m].iter().sum();
    let mut sum = 0.0;
    ways[m]
        .iter()
        .map(|count| {
            sum += count;
            sum / all
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHA: Alpha = Alpha::FIVE_PERCENT;

    /// Hollander and Wolfe (1973), example 4.1, permeability of amnion, as in R's help of wilcox.test: W = 35,
    /// p (greater) = 0.1272. In R, with conf.int: estimate 0.305, 95 % interval (−0.15, 0.76).
    #[test]
    fn amnion_of_hollander_and_wolfe() {
        let x: [f64; 10] = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let y: [f64; 5] = [1.15, 0.88, 0.90, 0.74, 1.21];
        let found = unpaired(&x.map(f64::exp), &y.map(f64::exp), 0.0, ALPHA).expect("times");
        assert!((found.estimate.ln() - 0.305).abs() < 1e-9, "{}", found.estimate.ln());
        let interval = found.interval.expect("enough");
        assert!((interval.low.ln() - -0.15).abs() < 1e-9 && (interval.high.ln() - 0.76).abs() < 1e-9, "{interval:?}");
        assert!((found.slower_p - 0.127_206_13).abs() < 1e-7, "{}", found.slower_p);
    }

    /// Tables of the rank-sum distribution: of C(6, 3) = 20 orders, U is 0, 1, 2, 3 in 1, 1, 2, 3 of them.
    #[test]
    fn small_distributions_are_those_of_the_tables() {
        let found = cumulative(3, 3);
        let expected = [1.0, 2.0, 4.0, 7.0, 10.0, 13.0, 16.0, 18.0, 19.0, 20.0].map(|ways| ways / 20.0);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12) && found.len() == 10, "{found:?}");
        // Counted and approximated meet where they change over.
        let (counted, normal) = (RankSum::new(40, 40), RankSum { counted: Vec::new(), ..RankSum::new(40, 40) });
        for u in [500, 600, 700, 800] {
            assert!((counted.at_most(u) - normal.at_most(u)).abs() < 2e-3, "{u}");
        }
    }

    #[test]
    fn a_margin_is_what_a_difference_must_exceed() {
        let base: Vec<f64> = (0..12).map(|k| 1.0 + 0.001 * f64::from(k)).collect();
        let slower: Vec<f64> = base.iter().map(|time| time * 1.10).collect();
        let at = |margin| unpaired(&slower, &base, margin, ALPHA).expect("times");
        assert!(at(0.05).slower_p < 1e-6 && at(0.2).slower_p > 0.99 && at(0.05).faster_p > 0.99);
        let itself = unpaired(&base, &base, 0.0, ALPHA).expect("times");
        assert!((itself.estimate - 1.0).abs() < 1e-12 && itself.slower_p > 0.4, "{itself:?}");
        assert_eq!(unpaired(&[], &base, 0.0, ALPHA), None);
        assert_eq!(unpaired(&[0.0], &base, 0.0, ALPHA), None);
        assert_eq!(unpaired(&[1.0, 1.1], &[1.0, 1.2], 0.0, ALPHA).expect("times").interval, None);
    }

    /// The logarithms of the jobs are −0.02 … 0.02, with the variance 0.00025; 2.776445 is the 97.5 % point of Student's t with
    /// 4 degrees of freedom in the tables.
    #[test]
    fn a_single_job_must_leave_the_prediction_interval() {
        let jobs = [-0.02, -0.01, 0.0, 0.01, 0.02].map(f64::exp);
        let found = one_against_jobs(0.05f64.exp(), &jobs, 0.0, ALPHA).expect("jobs");
        let half = 2.776_445 * (0.00025f64 * 1.2).sqrt();
        let interval = found.interval.expect("several");
        assert!((interval.low.ln() - (0.05 - half)).abs() < 1e-7 && (interval.high.ln() - (0.05 + half)).abs() < 1e-7);
        // 0.05 exceeds the half-width by little, so the one-sided p-value is a little below 0.025.
        assert!((0.02..0.025).contains(&found.slower_p) && found.faster_p > 0.97, "{found:?}");
        assert_eq!(one_against_jobs(1.0, &jobs[..1], 0.0, ALPHA), None);
        assert_eq!(one_against_jobs(1.0, &[1.0, 1.0], 0.0, ALPHA).expect("jobs").interval, None);
    }

    /// scipy.stats.ttest_ind(log x, log y, equal_var=False): the difference of the means, its confidence_interval(), and
    /// the p-value with alternative='greater'.
    #[test]
    fn jobs_are_compared_by_welch() {
        let found = between_jobs(&[1.10, 1.05, 1.12, 1.08], &[1.0, 1.03, 1.02], 0.0, ALPHA).expect("jobs");
        let interval = found.interval.expect("two a side");
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-8, "{found}, not {expected}");
        near(found.estimate.ln(), 0.0671437078);
        near(interval.low.ln(), 0.0245667639);
        near(interval.high.ln(), 0.1097206517);
        near(found.slower_p, 0.0051277032);
        assert_eq!(between_jobs(&[1.0], &[1.0, 1.1], 0.0, ALPHA), None);
        assert_eq!(between_jobs(&[1.0, 1.0], &[1.0, 1.0], 0.0, ALPHA).expect("jobs").interval, None);
    }
}
