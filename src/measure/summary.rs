//! What is said about the samples of one cell: their median, and an interval for it.

/// The median of a cell's samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Number of samples.
    pub samples: usize,
    /// Their median, seconds.
    pub median: f64,
    /// Lower and upper end of the 95 % interval of the median, seconds; None with fewer than 8 samples.
    pub interval: Option<(f64, f64)>,
}

/// Median and its nonparametric interval: the order statistics of ranks ⌊(n − 1.96√n) / 2⌋ and ⌈1 + (n + 1.96√n) / 2⌉
/// (Hoefler and Belli, Scientific Benchmarking of Parallel Computing Systems, SC 2015). None without samples.
pub fn summarise(samples: &[f64]) -> Option<Summary> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let middle = sorted.get(n / 2)?;
    let median = if n % 2 == 1 { *middle } else { (sorted[n / 2 - 1] + middle) / 2.0 };
    let spread = 1.96 * (n as f64).sqrt();
    let low = ((n as f64 - spread) / 2.0).floor();
    let high = (1.0 + (n as f64 + spread) / 2.0).ceil();
    let interval = (low >= 1.0 && high <= n as f64).then(|| (sorted[low as usize - 1], sorted[high as usize - 1]));
    Some(Summary { samples: n, median, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_formula_worked_by_hand() {
        // n = 10: (10 − 6.198) / 2 = 1.90 → 1; 1 + (10 + 6.198) / 2 = 9.10 → 10.
        let ten: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        let summary = summarise(&ten).expect("samples");
        assert_eq!((summary.median, summary.interval), (5.5, Some((1.0, 10.0))));
        // n = 30: (30 − 10.735) / 2 = 9.63 → 9; 1 + (30 + 10.735) / 2 = 21.37 → 22.
        let thirty: Vec<f64> = (1..=30).map(f64::from).collect();
        assert_eq!(summarise(&thirty).expect("samples").interval, Some((9.0, 22.0)));
        // n = 7: (7 − 5.186) / 2 = 0.91 → 0: there is no such rank.
        assert_eq!(summarise(&ten[..7]).expect("samples").interval, None);
    }

    #[test]
    fn few_samples_have_a_median_and_no_interval() {
        assert_eq!(summarise(&[]), None);
        assert_eq!(summarise(&[3.0]), Some(Summary { samples: 1, median: 3.0, interval: None }));
        assert_eq!(summarise(&[1.0, 4.0]).expect("samples").median, 2.5);
    }
}
