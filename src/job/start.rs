//! Chooses how the rounds of a job begin: as the experiment asks, if the machine permits.

use serde::Serialize;

use crate::engine::transport::{Transport, TransportError};
use crate::experiment;
use crate::sync::{LocalClock, Start, Synchroniser};

/// Number of rounds of a comparison before missed windows are judged.
const ENOUGH_ROUNDS: u64 = 10;

/// How rounds begin, as recorded in the environment of a result file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StartFacts {
    start: Start,
    start_reason: &'static str,
    /// Number of different clocks of the ranks.
    clocks: usize,
}

/// Chooses how ranks begin: as the experiment asks, or behind a barrier if ranks share cores, because a rank that waits
/// for a window occupies a core that another may need. `cores_shared` only needs to be known on rank 0. Collective.
///
/// # Errors
/// If the transport fails.
pub fn synchroniser(
    transport: &mut dyn Transport,
    asked: experiment::StartRule,
    cores_shared: bool,
) -> Result<(Synchroniser, StartFacts), TransportError> {
    let shared = transport.max(u64::from(cores_shared))? > 0;
    let (start, start_reason) = match asked {
        experiment::StartRule::Barrier => (Start::Barrier, "asked for"),
        experiment::StartRule::Window if shared => {
            (Start::Barrier, "ranks share cores: waiting for a window would keep others from them")
        }
        experiment::StartRule::Window => (Start::Window, "asked for, or the default"),
    };
    let synchroniser = Synchroniser::new(LocalClock::of_node(), start, transport)?;
    let facts = StartFacts { start, start_reason, clocks: synchroniser.clock().clocks() };
    Ok((synchroniser, facts))
}

/// Returns true if more than half of the windows were missed, so that too few samples remain and barriers are needed.
pub fn misses_too_many((rounds, missed): (u64, u64)) -> bool {
    rounds >= ENOUGH_ROUNDS && 2 * missed > rounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run_threads;

    fn chosen(asked: experiment::StartRule, cores_shared: bool) -> StartFacts {
        let mut all = run_threads(&[0, 0, 1], |transport| {
            let shared = transport.rank() == 0 && cores_shared;
            let (sync, facts) = synchroniser(transport, asked, shared).expect("threads");
            assert_eq!(sync.start(), facts.start);
            facts
        });
        assert!(all.iter().all(|facts| facts.start == all[0].start));
        all.swap_remove(0)
    }

    #[test]
    fn a_window_needs_a_core_for_each_rank() {
        let facts = chosen(experiment::StartRule::Window, false);
        assert_eq!((facts.start, facts.clocks), (Start::Window, 1));
        assert_eq!(serde_json::to_value(&facts).unwrap()["start"], "window");
        let facts = chosen(experiment::StartRule::Window, true);
        assert_eq!((facts.start, facts.clocks), (Start::Barrier, 1));
        assert_eq!(serde_json::to_value(&facts).unwrap()["start"], "barrier");
        assert!(facts.start_reason.starts_with("ranks share cores"));
        let facts = chosen(experiment::StartRule::Barrier, false);
        assert_eq!((facts.start, facts.start_reason), (Start::Barrier, "asked for"));
        let stored = serde_json::to_value(&facts).expect("JSON");
        assert_eq!(stored, serde_json::json!({"start": "barrier", "start_reason": "asked for", "clocks": 1}));
    }

    #[test]
    fn half_of_the_windows_may_be_missed() {
        assert!(!misses_too_many((9, 9)) && !misses_too_many((10, 5)) && misses_too_many((10, 6)));
    }
}
