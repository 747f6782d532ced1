//! How often a statement may be wrong.

/// The probability with which a statement is allowed to be wrong: 0.05 for an interval of 95 %. Strictly between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Alpha(f64);

impl Alpha {
    /// 5 in 100, that of intervals of 95 %.
    pub const FIVE_PERCENT: Alpha = Alpha(0.05);

    /// None unless strictly between 0 and 1.
    pub fn new(probability: f64) -> Option<Self> {
        (probability > 0.0 && probability < 1.0).then_some(Alpha(probability))
    }

    /// The probability.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Half of it, as often as `times` says: one side of an interval, or the share of a look.
    pub fn halved(self, times: u32) -> Self {
        // No smaller than a number can be: half of nothing would be no probability.
        Alpha((self.0 * 0.5f64.powf(f64::from(times))).max(f64::MIN_POSITIVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_probabilities_strictly_between_0_and_1() {
        assert_eq!(Alpha::new(0.05), Some(Alpha::FIVE_PERCENT));
        assert!([0.0, 1.0, -0.1, f64::NAN, f64::INFINITY].into_iter().all(|p| Alpha::new(p).is_none()));
        assert_eq!(Alpha::FIVE_PERCENT.halved(2).get(), 0.0125);
        assert!(Alpha::FIVE_PERCENT.halved(10_000).get() > 0.0);
    }
}
