//! An interval of a ratio.

/// Lower and upper end of an interval of a ratio (a time divided by a time: no unit, both ends above 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// The factor, less 1, by which the ends lie from their middle: √(high / low) − 1, so 0.02 for a ratio known to 2 %.
    ///
    /// Half the width of the logarithms. It is the same whichever of the two strategies is divided by the other.
    pub fn relative_half_width(&self) -> f64 {
        (self.high / self.low).sqrt() - 1.0
    }

    /// True if the interval holds `ratio`; its ends belong to it.
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
