//! The forecast that is ahead of others of the same problem, and those that may be as fast.

use super::forecast::Forecast;

/// Which of several forecasts is ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Front {
    /// The one with the least time, by its place.
    pub first: usize,
    /// The others whose least time to expect is below its greatest, from the fastest on.
    pub close: Vec<usize>,
    /// The fastest of those that are slower for certain.
    pub behind: Option<usize>,
}

impl Front {
    /// The front of forecasts of one problem; None if there are none.
    pub fn of(forecasts: &[&Forecast]) -> Option<Front> {
        let mut order: Vec<usize> = (0..forecasts.len()).collect();
        order.sort_by(|one, other| forecasts[*one].seconds.total_cmp(&forecasts[*other].seconds));
        let (&first, others) = order.split_first()?;
        let is_close = |at: &usize| forecasts[*at].low <= forecasts[first].high;
        let (close, behind): (Vec<usize>, Vec<usize>) = others.iter().copied().partition(is_close);
        Some(Front { first, close, behind: behind.first().copied() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_overlap_are_too_close() {
        let of = |seconds: f64, part: f64| Forecast {
            seconds,
            low: seconds * (1.0 - part),
            high: seconds * (1.0 + part),
            messages: 1,
            stands_for: 1,
            trust: None,
            times_measured: 1.0,
        };
        let found = |forecasts: &[Forecast]| Front::of(&forecasts.iter().collect::<Vec<_>>());
        // 2 may take 2.2; 2.4 at least 2.16, 2.5 at least 2.25, 3 at least 1.5.
        let forecasts = [of(2.5, 0.1), of(3.0, 0.5), of(2.0, 0.1), of(2.4, 0.1)];
        assert_eq!(found(&forecasts), Some(Front { first: 2, close: vec![3, 1], behind: Some(0) }));
        assert_eq!(found(&forecasts[..1]), Some(Front { first: 0, close: vec![], behind: None }));
        assert_eq!(found(&[]), None);
    }
}
