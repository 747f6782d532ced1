//! Ratios pooled over several jobs. The job is the outer unit of repetition.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::statistics::Statistics;

use crate::stats::{Alpha, Evidence, Interval};

/// A ratio of times pooled over several jobs. It has no unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PooledRatio {
    /// Number of jobs.
    pub jobs: usize,
    /// Geometric mean of the jobs' ratios.
    pub estimate: f64,
    /// Interval of the ratio over all jobs that might have been run. None for a single job, whose own interval does not
    /// hold for other allocations.
    pub interval: Option<Interval>,
    /// The factor by which jobs typically differ: exp of the standard deviation of the log ratios. None for a single
    /// job.
    pub spread: Option<f64>,
}

/// Pools the ratio of two strategies over jobs. `ratios` holds one Hodges-Lehmann estimate for each job. Returns None
/// without jobs, and if a ratio is not above 0 and finite.
///
/// The samples of one job share its nodes, so they are no repetitions with respect to differences between jobs; only
/// jobs are. (Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013: repeat at the highest level at
/// which results vary.)
///
/// The interval is Student's: mean ± t s / √k of the k log ratios, with k − 1 degrees of freedom. The signed-rank
/// interval would need 6 jobs for 95 %, more than most people have. Each log ratio is a median over many blocks, so it
/// is nearly normal about its job's centre. With 2 jobs t is 12.7; run at least 3.
pub fn pool(ratios: &[f64], alpha: Alpha) -> Option<PooledRatio> {
    if ratios.is_empty() || !ratios.iter().all(|ratio| *ratio > 0.0 && ratio.is_finite()) {
        return None;
    }
    let logs: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
    let (jobs, mean, deviation) = (logs.len() as f64, logs.as_slice().mean(), logs.as_slice().std_dev());
    // StudentsT refuses the 0 degrees of freedom of a single job.
    let quantile = StudentsT::new(0.0, 1.0, jobs - 1.0).ok().map(|t| t.inverse_cdf(1.0 - alpha.halved(1).get()));
    let interval = quantile.map(|t| {
        let reach = t * deviation / jobs.sqrt();
        Interval { low: (mean - reach).exp(), high: (mean + reach).exp() }
    });
    let spread = interval.map(|_| deviation.exp());
    Some(PooledRatio { jobs: logs.len(), estimate: mean.exp(), interval, spread })
}

impl PooledRatio {
    /// Returns the two-sided p-value of the hypothesis that both strategies are equally fast in the mean over jobs
    /// (Student's t test of the log ratios). It is 1 for a single job.
    pub fn difference_p(&self) -> f64 {
        (2.0 * self.upper_tail(self.estimate.ln().abs())).min(1.0)
    }

    /// Returns the p-value of the hypothesis that the ratio lies outside 1 / (1 + margin) … 1 + margin. It is the
    /// larger p-value of two one-sided t tests (Schuirmann 1987), doubled for the reason given at
    /// [`LogRatios::equality_p`](crate::stats::LogRatios::equality_p). It is 1 for a single job and for a margin that
    /// is not above 0.
    pub fn equality_p(&self, margin: f64) -> f64 {
        if !(margin > 0.0 && margin.is_finite()) {
            return 1.0;
        }
        let (mean, bound) = (self.estimate.ln(), margin.ln_1p());
        (2.0 * self.upper_tail(bound - mean).max(self.upper_tail(bound + mean))).min(1.0)
    }

    /// Returns the evidence on the ratio.
    pub fn evidence(&self, margin: f64) -> Evidence {
        let (difference_p, equality_p) = (self.difference_p(), self.equality_p(margin));
        Evidence { estimate: self.estimate, difference_p, equality_p }
    }

    /// Returns the probability that the mean lies `distance` or more above the true mean.
    fn upper_tail(&self, distance: f64) -> f64 {
        let jobs = self.jobs as f64;
        let error = self.spread.map(|spread| spread.ln() / jobs.sqrt());
        let Some((error, t)) = error.zip(StudentsT::new(0.0, 1.0, jobs - 1.0).ok()) else { return 1.0 };
        if error > 0.0 {
            return t.sf(distance / error);
        }
        // If all jobs agree exactly, the standard error is 0 and there is no doubt.
        if distance > 0.0 { 0.0 } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
    }

    /// Student, The probable error of a mean (1908): hours of sleep gained by ten patients, mean 1.58, standard deviation
    /// 1.23. scipy.stats.t.interval(0.95, 9, loc=mean, scale=sem) is (0.7001142, 2.4598858).
    #[test]
    fn hours_of_sleep_of_student() {
        let gained: [f64; 10] = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let pooled = pool(&gained.map(f64::exp), Alpha::FIVE_PERCENT).expect("jobs");
        let interval = pooled.interval.expect("more than one job");
        assert_near(pooled.estimate.ln(), 1.58);
        assert_near(interval.low.ln(), 0.700_114_237);
        assert_near(interval.high.ln(), 2.459_885_763);
        assert_near(pooled.spread.expect("more than one job").ln(), 1.229_995_483);
    }

    /// scipy, as above, of the logarithms, four degrees of freedom.
    #[test]
    fn ratios_of_five_jobs() {
        let pooled = pool(&[1.02, 1.05, 0.99, 1.04, 1.03], Alpha::FIVE_PERCENT).expect("jobs");
        let interval = pooled.interval.expect("more than one job");
        assert_near(pooled.estimate, 1.025_791_381);
        assert_near(interval.low.ln(), -0.002_599_984);
        assert_near(interval.high.ln(), 0.053_528_773);
        assert_near(pooled.spread.expect("more than one job"), 1.022_859_598);
    }

    #[test]
    fn one_job_says_nothing_of_others() {
        let one = pool(&[1.25], Alpha::FIVE_PERCENT).expect("a job");
        assert_eq!((one.jobs, one.interval, one.spread), (1, None, None));
        assert_near(one.estimate, 1.25);
        assert_eq!(pool(&[], Alpha::FIVE_PERCENT), None);
        assert!([0.0, -1.0, f64::NAN, f64::INFINITY].iter().all(|r| pool(&[1.0, *r], Alpha::FIVE_PERCENT).is_none()));
    }

    /// Python, the density of t integrated by the midpoint rule: Student's patients have t = 4.0621, 9 degrees of freedom,
    /// p = 0.0028329 (so says R of its data set `sleep`); the five jobs p = 0.0654107, and the larger one-sided p-value
    /// against ±ln 1.1 is 0.0011505.
    #[test]
    fn p_values_are_those_of_the_t_test() {
        let gained: [f64; 10] = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let pooled = pool(&gained.map(f64::exp), Alpha::FIVE_PERCENT).expect("jobs");
        assert_near(pooled.difference_p(), 0.002_832_890);
        let five = pool(&[1.02, 1.05, 0.99, 1.04, 1.03], Alpha::FIVE_PERCENT).expect("jobs");
        assert_near(five.difference_p(), 0.065_410_742);
        assert_near(five.equality_p(0.1), 0.002_301_051);
        assert_eq!((five.equality_p(0.0), five.equality_p(f64::NAN)), (1.0, 1.0));
        let one = pool(&[1.25], Alpha::FIVE_PERCENT).expect("a job");
        assert_eq!((one.difference_p(), one.equality_p(0.5)), (1.0, 1.0));
        let alike = pool(&[2.0, 2.0], Alpha::FIVE_PERCENT).expect("jobs");
        assert_eq!((alike.difference_p(), alike.equality_p(0.1)), (0.0, 1.0));
    }
}
