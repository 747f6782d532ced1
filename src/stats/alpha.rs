//! The error probability of a statistical statement.

/// The probability with which a statement is allowed to be wrong, strictly between 0 and 1. It is 0.05 for a 95 %
/// interval.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Alpha(f64);

impl Alpha {
    /// The error probability of a 95 % interval.
    pub const FIVE_PERCENT: Alpha = Alpha(0.05);

    /// Returns None unless `probability` lies strictly between 0 and 1.
    pub fn new(probability: f64) -> Option<Self> {
        (probability > 0.0 && probability < 1.0).then_some(Alpha(probability))
    }

    /// Returns the probability.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Halves the probability `times` times: once for one side of an interval, k times for the k-th look of a
    /// comparison.
    pub fn halved(self, times: u32) -> Self {
        // The smallest positive double is the lower bound, as 0 is no valid probability.
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
