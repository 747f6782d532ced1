//! The crossover of two strategies, which is the gradient size at which their order changes.

use crate::stats::Interval;

/// The ratio of the times of two strategies at one gradient size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizedRatio {
    /// Size of the gradient, in bytes or in elements. The crossover has the same unit.
    pub size: f64,
    /// Time of the first strategy divided by the time of the second.
    pub estimate: f64,
    /// Interval of the ratio; None if it is not known.
    pub interval: Option<Interval>,
}

/// A point at which the ratio of two strategies passes 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossover {
    /// Size at which the ratio is 1, in the unit of the given sizes.
    pub size: f64,
    /// Lower end of the interval of `size`; None if it lies below the smallest size measured.
    pub low: Option<f64>,
    /// Upper end of the interval of `size`; None if it lies above the largest size measured.
    pub high: Option<f64>,
    /// True if the first strategy is faster below `size` and slower above it.
    pub first_wins_below: bool,
}

/// The reason why the ratios cannot have a crossover.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CrossoverError {
    /// A size is not above 0, not finite, or not larger than the one before.
    #[error("sizes must be above 0 and ascending; {0} is not, or does not come after a smaller one")]
    Size(f64),
    /// A ratio is not above 0, not finite, or outside its interval.
    #[error("the ratio at size {0} is not above 0 and finite, or not inside its interval")]
    Ratio(f64),
}

/// Finds the crossovers of `ratios`, which must have ascending sizes. The result is in order of size. It is empty if
/// the ratio stays on one side of 1.
///
/// Between neighbouring sizes the ratio is interpolated linearly in log-log scale, as times that grow with a power of
/// the size are straight lines there. Nothing is extrapolated beyond the measured sizes. The interval of a crossover is
/// the range of sizes around it in which 1 lies between the interpolated ends of the ratios' intervals. This inverts a
/// pointwise interval, as in calibration (Fieller 1954; Draper and Smith, Applied Regression Analysis), so it misses as
/// often as one of those intervals does. The ranges of several crossovers may overlap; then the data do not tell the
/// crossovers apart. A range does not end at a size without an interval.
pub fn crossovers(ratios: &[SizedRatio]) -> Result<Vec<Crossover>, CrossoverError> {
    let points = ratios.iter().map(LogPoint::new).collect::<Result<Vec<LogPoint>, _>>()?;
    if let Some(at) = points.windows(2).position(|two| two[0].size >= two[1].size) {
        return Err(CrossoverError::Size(ratios[at + 1].size));
    }
    // A ratio of exactly 1 is on neither side of 1. Its neighbours decide whether the ratio passes 1 there.
    let sided: Vec<usize> = (0..points.len()).filter(|at| points[*at].ratio != 0.0).collect();
    let changes = sided.windows(2).filter(|two| points[two[0]].ratio * points[two[1]].ratio < 0.0);
    Ok(changes.map(|two| crossover(&points, two[0], two[1])).collect())
}

/// The logarithms of a size, of its ratio, and of the ends of the ratio's interval.
struct LogPoint {
    size: f64,
    ratio: f64,
    low: f64,
    high: f64,
}

impl LogPoint {
    fn new(given: &SizedRatio) -> Result<Self, CrossoverError> {
        let is_positive = |number: f64| number > 0.0 && number.is_finite();
        if !is_positive(given.size) {
            return Err(CrossoverError::Size(given.size));
        }
        let within =
            given.interval.is_none_or(|i| i.holds(given.estimate) && is_positive(i.low) && is_positive(i.high));
        if !is_positive(given.estimate) || !within {
            return Err(CrossoverError::Ratio(given.size));
        }
        Ok(LogPoint {
            size: given.size.ln(),
            ratio: given.estimate.ln(),
            low: given.interval.map_or(f64::NEG_INFINITY, |i| i.low.ln()),
            high: given.interval.map_or(f64::INFINITY, |i| i.high.ln()),
        })
    }
}

/// Computes the crossover between the points `left` and `right`, which lie on different sides of 1. All points between
/// them are exactly 1.
fn crossover(points: &[LogPoint], left: usize, right: usize) -> Crossover {
    let rising = points[left].ratio < 0.0;
    let size = if right == left + 1 {
        passes_one((points[left].size, points[left].ratio), (points[right].size, points[right].ratio))
    } else {
        (points[left + 1].size + points[right - 1].size) / 2.0
    };
    // With growing distance from the crossover, the end of the interval that lies beyond 1 returns to 1. For a rising
    // ratio this is the upper end on the left side and the lower end on the right side; for a falling ratio the two are
    // swapped.
    let ends = |at: usize| if rising { (points[at].high, points[at].low) } else { (-points[at].low, -points[at].high) };
    let on_the_left = |at: usize| (points[at].size, ends(at).0);
    let on_the_right = |at: usize| (points[at].size, ends(at).1);
    let low = (0..=left).rev().find(|at| on_the_left(*at).1 < 0.0);
    let high = (right..points.len()).find(|at| on_the_right(*at).1 > 0.0);
    Crossover {
        size: size.exp(),
        low: low.map(|at| passes_one(on_the_left(at), on_the_left(at + 1)).exp()),
        high: high.map(|at| passes_one(on_the_right(at), on_the_right(at - 1)).exp()),
        first_wins_below: rising,
    }
}

/// Returns the log size at which the line between two points (log size, log ratio) has log ratio 0. The points lie on
/// different sides of 0. If the ratio of `to` is infinite (unknown), the function returns the size of `from`.
fn passes_one(from: (f64, f64), to: (f64, f64)) -> f64 {
    if to.1.is_infinite() {
        return from.0;
    }
    from.0 + (to.0 - from.0) * from.1 / (from.1 - to.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(size: f64, estimate: f64, low: f64, high: f64) -> SizedRatio {
        SizedRatio { size, estimate, interval: Some(Interval { low, high }) }
    }

    fn assert_near(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found / expected - 1.0).abs() < 1e-9), "{found:?}, not {expected}");
    }

    /// Two strategies with t₁ = s and t₂ = √s · 1000: equal at a million by hand, whatever sizes are measured.
    #[test]
    fn powers_of_the_size_cross_where_algebra_says() {
        let ratio = |size: f64| size.sqrt() / 1000.0;
        let points: Vec<SizedRatio> =
            [1e3, 1e5, 3e6, 1e9].map(|size| at(size, ratio(size), ratio(size) / 1.1, ratio(size) * 1.1)).into();
        let found = crossovers(&points).expect("ratios");
        assert_eq!(found.len(), 1);
        assert_near(Some(found[0].size), 1e6);
        // The upper end is 1 where √s / 1000 = 1 / 1.1: at 10⁶ / 1.21. The lower end at 1.21 · 10⁶.
        assert_near(found[0].low, 1e6 / 1.21);
        assert_near(found[0].high, 1.21e6);
        assert!(found[0].first_wins_below);
    }

    #[test]
    fn the_other_way_round_it_is_the_same_size() {
        let points =
            [at(1.0, 0.5, 0.4, 0.6), at(10.0, 0.9, 0.7, 1.2), at(100.0, 1.2, 0.9, 1.6), at(1e3, 2.0, 1.5, 2.5)];
        let inverse = points.map(|p| {
            let interval = p.interval.map(|i| Interval { low: 1.0 / i.high, high: 1.0 / i.low });
            SizedRatio { size: p.size, estimate: 1.0 / p.estimate, interval }
        });
        let (found, other) = (crossovers(&points).expect("ratios")[0], crossovers(&inverse).expect("ratios")[0]);
        assert!(found.first_wins_below && !other.first_wins_below);
        assert_near(Some(other.size), found.size);
        assert_near(other.low, found.low.expect("within"));
        assert_near(other.high, found.high.expect("within"));
        // Upper ends 0.6 at 1 and 1.2 at 10: 10^(ln 0.6 / (ln 0.6 − ln 1.2)). Lower ends 0.9 at 100 and 1.5 at 1,000.
        assert_near(found.low, 10f64.powf(0.6f64.ln() / 0.5f64.ln()));
        assert_near(found.high, 100.0 * 10f64.powf(0.9f64.ln() / (0.9f64.ln() - 1.5f64.ln())));
    }

    #[test]
    fn a_ratio_on_one_side_crosses_nowhere() {
        assert_eq!(crossovers(&[at(1.0, 0.5, 0.4, 0.6), at(2.0, 0.99, 0.9, 1.1)]), Ok(vec![]));
        assert_eq!(crossovers(&[at(1.0, 1.1, 0.9, 1.2), at(2.0, 1.0, 0.9, 1.1), at(3.0, 1.5, 1.2, 1.6)]), Ok(vec![]));
        assert_eq!(crossovers(&[]), Ok(vec![]));
        assert_eq!(crossovers(&[at(1.0, 0.5, 0.4, 0.6)]), Ok(vec![]));
    }

    #[test]
    fn several_crossovers_are_all_found() {
        let points = [at(1.0, 0.5, 0.4, 0.6), at(4.0, 2.0, 1.8, 2.2), at(16.0, 0.5, 0.4, 0.6), at(64.0, 2.0, 1.8, 2.2)];
        let found = crossovers(&points).expect("ratios");
        assert_eq!(found.iter().map(|c| c.first_wins_below).collect::<Vec<_>>(), [true, false, true]);
        for (crossover, size) in found.iter().zip([2.0, 8.0, 32.0]) {
            assert_near(Some(crossover.size), size);
            assert!(crossover.low.is_some_and(|low| low < size && low > size / 2.0));
            assert!(crossover.high.is_some_and(|high| high > size && high < size * 2.0));
        }
    }

    #[test]
    fn stretches_beyond_the_sizes_measured_are_open() {
        let found = crossovers(&[at(1.0, 0.9, 0.8, 1.1), at(4.0, 1.2, 0.9, 1.3)]).expect("ratios");
        assert_eq!((found.len(), found[0].low, found[0].high), (1, None, None));
        let bare = |size, estimate| SizedRatio { size, estimate, interval: None };
        let found = crossovers(&[bare(1.0, 0.5), bare(4.0, 2.0)]).expect("ratios");
        assert_near(Some(found[0].size), 2.0);
        assert_eq!((found[0].low, found[0].high), (None, None));
        // One size has no interval, so the range ends at the next size that has one.
        let found = crossovers(&[at(1.0, 0.5, 0.4, 0.6), bare(4.0, 0.9), at(16.0, 2.0, 1.8, 2.2)]).expect("ratios");
        assert_near(found[0].low, 1.0);
    }

    #[test]
    fn a_ratio_of_exactly_1_is_passed_or_touched() {
        let passed = [at(1.0, 0.5, 0.4, 0.6), at(2.0, 1.0, 0.9, 1.1), at(8.0, 1.0, 0.9, 1.1), at(16.0, 2.0, 1.8, 2.2)];
        let found = crossovers(&passed).expect("ratios");
        assert_eq!(found.len(), 1);
        assert_near(Some(found[0].size), 4.0);
        assert!(found[0].low.is_some_and(|low| (1.0..2.0).contains(&low)));
        assert!(found[0].high.is_some_and(|high| (8.0..16.0).contains(&high)));
    }

    #[test]
    fn what_has_no_logarithm_or_order_is_refused() {
        let good = at(2.0, 1.0, 0.9, 1.1);
        assert_eq!(crossovers(&[good, good]), Err(CrossoverError::Size(2.0)));
        assert_eq!(crossovers(&[at(0.0, 1.0, 0.9, 1.1)]), Err(CrossoverError::Size(0.0)));
        for bad in [at(1.0, 0.0, 0.0, 1.0), at(1.0, 2.0, 0.5, 1.0), at(1.0, f64::NAN, 0.5, 1.0), at(1.0, 1.0, 0.0, 2.0)]
        {
            assert_eq!(crossovers(&[bad, good]), Err(CrossoverError::Ratio(1.0)));
        }
    }
}
