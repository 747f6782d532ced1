//! The times of two strategies compared block by block.

use crate::stats::autocorrelation::widening;
use crate::stats::hodges_lehmann::centre;
use crate::stats::signed_rank::SignedRank;
use crate::stats::{Alpha, Interval};

/// The reason why times cannot be paired.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PairingError {
    /// A time is 0, negative, or not finite, so it has no logarithm.
    #[error("block {block} took {seconds} s; only times above 0 have a ratio")]
    NotATime {
        /// Number of the block.
        block: u64,
        /// The time, seconds.
        seconds: f64,
    },
    /// A strategy has two times in one block, or its blocks are not in ascending order.
    #[error("block {block} holds two times of one strategy, or blocks are out of order")]
    OutOfOrder {
        /// Number of the block.
        block: u64,
    },
}

/// The log ratio ln t₁ − ln t₂ of each block in which both strategies were timed, in the order of the blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRatios(Vec<f64>);

/// The time of the first strategy divided by the time of the second. It has no unit; below 1 the first is faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Number of blocks in which both strategies were timed.
    pub blocks: usize,
    /// Hodges-Lehmann estimate: exp of the median of the Walsh averages of the log ratios.
    pub estimate: f64,
    /// Interval that inverts the signed-rank test. None for fewer blocks than
    /// [`least_blocks`](crate::stats::least_blocks).
    pub interval: Option<Interval>,
    /// Error probability of the interval.
    pub alpha: Alpha,
}

impl LogRatios {
    /// Pairs the times of two strategies. `first` and `second` hold (block, seconds) in ascending order of blocks. A
    /// block that one strategy lacks, because its sample was invalid, is left out.
    ///
    /// # Errors
    /// [`PairingError`] if a time is not above 0 and finite, or the blocks are not ascending.
    pub fn pair(first: &[(u64, f64)], second: &[(u64, f64)]) -> Result<Self, PairingError> {
        for times in [first, second] {
            if let Some((block, seconds)) = times.iter().find(|(_, s)| !(*s > 0.0 && s.is_finite())) {
                return Err(PairingError::NotATime { block: *block, seconds: *seconds });
            }
            if let Some(two) = times.windows(2).find(|two| two[0].0 >= two[1].0) {
                return Err(PairingError::OutOfOrder { block: two[1].0 });
            }
        }
        let mut rest = second.iter().peekable();
        let mut ratios = Vec::with_capacity(first.len().min(second.len()));
        for (block, seconds) in first {
            while rest.next_if(|(other, _)| other < block).is_some() {}
            if let Some((_, other)) = rest.next_if(|(other, _)| other == block) {
                ratios.push(seconds.ln() - other.ln());
            }
        }
        Ok(LogRatios(ratios))
    }

    /// The log ratios, one for each block.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// Estimates the ratio and its interval at level `alpha`. Returns None if no block contains both strategies.
    ///
    /// Blocks that resemble the ones before say less than as many independent ones. The interval is wider by the factor
    /// of [`widening`], and the p-values follow: the interval excludes a ratio exactly if its p-value is below α.
    ///
    /// ```
    /// use gradshard::stats::{Alpha, LogRatios};
    ///
    /// // Eight blocks, each with one time of either strategy, seconds. The first strategy takes half the time.
    /// let first: Vec<(u64, f64)> = (0..8).map(|block| (block, 1.0)).collect();
    /// let second: Vec<(u64, f64)> = (0..8).map(|block| (block, 2.0)).collect();
    /// let ratio = LogRatios::pair(&first, &second)?.ratio(Alpha::FIVE_PERCENT).ok_or("no common block")?;
    /// assert_eq!(ratio.blocks, 8);
    /// assert!((ratio.estimate - 0.5).abs() < 1e-12);
    /// let interval = ratio.interval.ok_or("fewer than 6 blocks")?;
    /// assert!(interval.holds(ratio.estimate) && interval.high < 1.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ratio(&self, alpha: Alpha) -> Option<Ratio> {
        let centre = centre(&self.0, alpha)?;
        let factor = widening(&self.0);
        let widened = |end: f64| (centre.estimate + factor * (end - centre.estimate)).exp();
        let interval = centre.interval.map(|(low, high)| Interval { low: widened(low), high: widened(high) });
        Some(Ratio { blocks: self.0.len(), estimate: centre.estimate.exp(), interval, alpha })
    }

    /// Returns the two-sided p-value of the hypothesis that both strategies are equally fast (Wilcoxon's signed-rank
    /// test).
    pub fn difference_p(&self) -> f64 {
        self.against(0.0).two_sided()
    }

    /// Returns the signed-rank statistic for the hypothesis that the log ratio is `log_ratio`. With a widening factor f,
    /// the interval [e − f (e − l), …] around the estimate e excludes a value h below e exactly if the narrow interval
    /// [l, …] excludes h + (e − h)(1 − 1 / f), which is therefore tested.
    fn against(&self, log_ratio: f64) -> SignedRank {
        let factor = widening(&self.0);
        let estimate = centre(&self.0, Alpha::FIVE_PERCENT).map_or(log_ratio, |centre| centre.estimate);
        let tested = log_ratio + (estimate - log_ratio) * (1.0 - 1.0 / factor);
        SignedRank::of(&self.0.iter().map(|d| d - tested).collect::<Vec<f64>>())
    }

    /// Returns the p-value of the hypothesis that the ratio lies outside 1 / (1 + margin) … 1 + margin. It is the
    /// larger p-value of two one-sided signed-rank tests (Schuirmann 1987), doubled. A `margin` of 0.01 is 1 %; without
    /// a margin above 0 the result is 1.
    ///
    /// The doubled value is at most α exactly if the interval at level α lies inside the margin, which a reader of the
    /// interval can check. The usual undoubled value would call strategies equal although their 95 % interval exceeds
    /// the margin.
    pub fn equality_p(&self, margin: f64) -> f64 {
        if !(margin > 0.0 && margin.is_finite()) {
            return 1.0;
        }
        let bound = margin.ln_1p();
        let not_slower = self.against(bound).lower_tail();
        let not_faster = self.against(-bound).upper_tail();
        (2.0 * not_slower.max(not_faster)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(seconds: &[f64]) -> Vec<(u64, f64)> {
        (0..).zip(seconds.iter().copied()).collect()
    }

    /// Fifteen log ratios are Darwin's maize heights, in eighths of an inch, divided by 1,000: Fisher, The Design of
    /// Experiments (1935), chapter 3.
    const HEIGHTS: [f64; 15] = [49., -67., 8., 16., 6., 23., 28., 41., 14., 29., 56., 24., 75., 60., -48.];

    fn maize() -> LogRatios {
        let first: Vec<f64> = HEIGHTS.iter().map(|d| (d / 1000.0).exp()).collect();
        LogRatios::pair(&times(&first), &times(&[1.0; 15])).expect("times")
    }

    /// Python: the 120 averages listed and sorted, k = 26 as T⁺ ≤ 25 is the critical value of n = 15; the median is 25,
    /// the ends are 4 and 41.5 (thousandths).
    #[test]
    fn ratio_of_darwins_maize() {
        let ratio = maize().ratio(Alpha::FIVE_PERCENT).expect("blocks");
        let interval = ratio.interval.expect("enough blocks");
        assert_eq!(ratio.blocks, 15);
        let milli = |ratio: f64| (ratio.ln() * 1000.0 * 1e6).round() / 1e6;
        assert_eq!((milli(ratio.estimate), milli(interval.low), milli(interval.high)), (25.0, 4.0, 41.5));
    }

    #[test]
    fn the_other_way_round_everything_is_the_inverse() {
        let other = LogRatios(maize().values().iter().map(|d| -d).collect());
        let (ratio, inverse) = (maize().ratio(Alpha::FIVE_PERCENT), other.ratio(Alpha::FIVE_PERCENT));
        let (ratio, inverse) = (ratio.expect("blocks"), inverse.expect("blocks"));
        assert!((ratio.estimate * inverse.estimate - 1.0).abs() < 1e-12);
        let (one, two) = (ratio.interval.expect("enough"), inverse.interval.expect("enough"));
        assert!((one.low * two.high - 1.0).abs() < 1e-12 && (one.high * two.low - 1.0).abs() < 1e-12);
        assert_eq!(maize().difference_p(), other.difference_p());
        assert!((maize().equality_p(0.03) - other.equality_p(0.03)).abs() < 1e-12);
    }

    /// The test and the interval say the same, margin by margin.
    #[test]
    fn equal_within_a_margin_exactly_where_the_interval_lies_inside() {
        let inside = |margin: f64| {
            let interval = maize().ratio(Alpha::FIVE_PERCENT).and_then(|r| r.interval).expect("enough blocks");
            interval.low > 1.0 / (1.0 + margin) && interval.high < 1.0 + margin
        };
        let margins = [0.001, 0.01, 0.02, 0.03, 0.0385, 0.039, 0.04, 0.05, 0.1];
        let equal = margins.map(|margin| maize().equality_p(margin) <= 0.05);
        assert_eq!(equal, margins.map(inside));
        assert!(equal.contains(&true) && equal.contains(&false));
        assert_eq!((maize().equality_p(0.0), maize().equality_p(f64::NAN), maize().equality_p(-0.5)), (1.0, 1.0, 1.0));
    }

    /// scipy.stats.wilcoxon(d + 1000 ln 1.05, alternative='greater') and (d − 1000 ln 1.05, alternative='less').
    #[test]
    fn equality_is_two_one_sided_tests() {
        assert!((maize().equality_p(0.05) - 2.0 * 0.005_126_953_125).abs() < 1e-12, "{}", maize().equality_p(0.05));
    }

    #[test]
    fn blocks_that_one_lacks_are_left_out() {
        let first = [(0, 2.0), (1, 3.0), (3, 4.0), (4, 5.0)];
        let second = [(1, 1.0), (2, 1.0), (3, 2.0), (9, 1.0)];
        let paired = LogRatios::pair(&first, &second).expect("times");
        assert_eq!(paired.values(), [3f64.ln(), 4f64.ln() - 2f64.ln()]);
        assert_eq!(LogRatios::pair(&first, &[]).expect("times").ratio(Alpha::FIVE_PERCENT), None);
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let refused = LogRatios::pair(&[(7, bad)], &[(7, 1.0)]).expect_err("no time");
            assert!(matches!(refused, PairingError::NotATime { block: 7, .. }), "{refused}");
        }
        let twice = LogRatios::pair(&[(1, 1.0)], &[(1, 1.0), (1, 2.0)]);
        assert_eq!(twice, Err(PairingError::OutOfOrder { block: 1 }));
    }
}
