//! Bisection between a size that passes and one that fails, starting from a guess.

use serde::Serialize;

use super::probe::TrialOutcome;

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Try {
    /// The size that was tried.
    pub size: u64,
    /// The outcome.
    pub outcome: TrialOutcome,
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The largest size that passed; None if none did.
    pub largest: Option<u64>,
    /// All trials in order.
    pub tries: Vec<Try>,
}

impl Found {
    /// Returns the smallest trial that failed.
    pub fn refused(&self) -> Option<&Try> {
        self.tries.iter().filter(|tried| !tried.outcome.went()).min_by_key(|tried| tried.size)
    }
}

/// Factor of the first step away from the guess.
const STEP: f64 = 1.05;

/// Finds the largest size in 1..=`most` that passes, to within the share `resolution` of it. Every size below one that
/// passes must pass too. Moves away from `guess` in growing steps, then bisects. Stops early if `attempt` returns None.
pub fn search(guess: u64, most: u64, resolution: f64, mut attempt: impl FnMut(u64) -> Option<TrialOutcome>) -> Found {
    let mut tries = Vec::new();
    let (mut largest, mut refused): (Option<u64>, Option<u64>) = (None, None);
    let mut next = guess.clamp(1, most);
    let mut factor = STEP;
    while let Some(outcome) = attempt(next) {
        if outcome.went() {
            largest = largest.max(Some(next));
        } else {
            refused = Some(refused.map_or(next, |smallest| smallest.min(next)));
        }
        tries.push(Try { size: next, outcome });
        next = match (largest, refused) {
            (Some(low), None) if low == most => break,
            (Some(low), None) => scaled(low, factor).clamp(low + 1, most),
            (None, Some(1) | None) => break,
            (None, Some(high)) => scaled(high, 1.0 / factor).clamp(1, high - 1),
            (Some(low), Some(high)) => {
                let close = (low as f64 * resolution) as u64;
                if high - low <= close.max(1) {
                    break;
                }
                low + (high - low) / 2
            }
        };
        // The factors are 1.05, 1.10, 1.22, 1.48, 2.18, …
        factor *= factor;
    }
    Found { largest, tries }
}

fn scaled(size: u64, by: f64) -> u64 {
    (size as f64 * by) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(went: bool) -> TrialOutcome {
        if went { TrialOutcome::Ok } else { TrialOutcome::Refused(String::new()) }
    }

    #[test]
    fn finds_the_edge_from_any_guess() {
        for edge in [0, 1, 2, 99, 1000, 123_456_789] {
            for guess in [1, 50, 1000, 1_000_000, 1 << 39] {
                let found = search(guess, 1 << 40, 0.01, |size| Some(judged(size <= edge)));
                match found.largest {
                    None => assert_eq!(edge, 0, "from {guess}"),
                    Some(largest) => {
                        assert!(largest <= edge && edge - largest <= (edge / 100).max(1), "{largest} of {edge}");
                        assert!(found.tries.len() <= 50, "{} tries from {guess} to {edge}", found.tries.len());
                    }
                }
                assert!(found.refused().is_some_and(|refused| refused.size > edge));
            }
        }
    }

    #[test]
    fn a_good_guess_takes_few_tries() {
        let found = search(1000, 1 << 40, 0.01, |size| Some(judged(size <= 990)));
        assert!(found.tries.len() <= 6, "{:?}", found.tries);
    }

    #[test]
    fn everything_may_go_and_a_search_may_be_given_up() {
        let found = search(10, 1000, 0.01, |_| Some(TrialOutcome::Ok));
        assert_eq!((found.largest, found.refused()), (Some(1000), None));
        let found = search(10, 1000, 0.01, |size| (size == 10).then_some(TrialOutcome::Ok));
        assert_eq!((found.largest, found.tries.len()), (Some(10), 1));
    }
}
