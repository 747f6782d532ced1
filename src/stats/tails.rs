//! The ends of a cell's samples: how fast a round can be, and how slow one in a hundred is.

/// The least sample and the 99th percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tails {
    /// The least sample, seconds.
    pub least: f64,
    /// The 99th percentile by nearest rank, seconds: the order statistic of rank ⌈0.99 n⌉. With fewer than 100 samples it
    /// is the greatest.
    pub p99: f64,
}

impl Tails {
    /// Computes both; None without samples.
    pub fn of(samples: &[f64]) -> Option<Tails> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = (99 * sorted.len()).div_ceil(100);
        Some(Tails { least: *sorted.first()?, p99: *sorted.get(rank.checked_sub(1)?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_order_statistics() {
        assert_eq!(Tails::of(&[]), None);
        assert_eq!(Tails::of(&[3.0]), Some(Tails { least: 3.0, p99: 3.0 }));
        let numbers = |to: u32| (1..=to).rev().map(f64::from).collect::<Vec<f64>>();
        assert_eq!(Tails::of(&numbers(99)), Some(Tails { least: 1.0, p99: 99.0 }));
        assert_eq!(Tails::of(&numbers(100)), Some(Tails { least: 1.0, p99: 99.0 }));
        assert_eq!(Tails::of(&numbers(1000)), Some(Tails { least: 1.0, p99: 990.0 }));
    }
}
