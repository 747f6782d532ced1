//! An interval of a ratio.

/// The two ends of an interval of a ratio of times. Both are above 0 and have no unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Returns √(high / low) − 1, the factor minus 1 between the interval's geometric middle and its ends. It is 0.02
    /// for a ratio known to 2 %.
    ///
    /// It is half of the width on the logarithmic scale, so it is the same for the inverse ratio.
    pub fn relative_half_width(&self) -> f64 {
        (self.high / self.low).sqrt() - 1.0
    }

    /// Returns true if the closed interval contains `ratio`.
    pub fn holds(&self, ratio: f64) -> bool {
        self.low <= ratio && ratio <= self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_width_does_not_depend_on_which_is_divided_by_which() {
        // 1.02 / (1 / 1.02) = 1.02².
        let interval = Interval { low: 1.0 / 1.02, high: 1.02 };
        assert!((interval.relative_half_width() - 0.02).abs() < 1e-12);
        let (low, high) = (0.5, 0.56);
        let inverse = Interval { low: 1.0 / high, high: 1.0 / low };
        assert!((Interval { low, high }.relative_half_width() - inverse.relative_half_width()).abs() < 1e-12);
        assert!(interval.holds(1.0) && interval.holds(1.02) && !interval.holds(1.03) && !interval.holds(0.97));
    }
}
