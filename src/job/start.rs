//! How the rounds of a job begin: what the experiment asks for, as far as the machine allows.

use serde_json::{Value, json};

use crate::engine::transport::{Transport, TransportError};
use crate::experiment;
use crate::sync::{LocalClock, Start, Synchroniser};

/// Of the rounds of a comparison, the first that are watched for missed windows.
const ENOUGH_ROUNDS: u64 = 10;

/// Ranks that begin together as the experiment asks, or behind a barrier where they share cores: whoever waits for a window
/// does so on a core, which may be the one that another rank needs to come. What was chosen, and why, is entered in the
/// environment, which rank 0 has. Collective.
pub fn synchroniser(
    transport: &mut dyn Transport,
    asked: experiment::StartRule,
    environment: &mut Option<Value>,
) -> Result<Synchroniser, TransportError> {
    let shared = environment.as_ref().is_some_and(|environment| environment["cores_shared"] == true);
    let shared = transport.max(u64::from(shared))? > 0;
    let (start, reason) = match asked {
        experiment::StartRule::Barrier => (Start::Barrier, "asked for"),
        experiment::StartRule::Window if shared => {
            (Start::Barrier, "ranks share cores: waiting for a window would keep others from them")
        }
        experiment::StartRule::Window => (Start::Window, "asked for, or the default"),
    };
    let synchroniser = Synchroniser::new(LocalClock::of_node(), start, transport)?;
    if let Some(Value::Object(environment)) = environment {
        environment.insert("start".to_owned(), json!(start.name()));
        environment.insert("start_reason".to_owned(), json!(reason));
        environment.insert("clocks".to_owned(), json!(synchroniser.clock().clocks()));
    }
    Ok(synchroniser)
}

/// True if so many windows are missed that the barrier must do: more than half, which leaves too few samples.
pub fn misses_too_many((rounds, missed): (u64, u64)) -> bool {
    rounds >= ENOUGH_ROUNDS && 2 * missed > rounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run_threads;

    fn chosen(asked: experiment::StartRule, cores_shared: bool) -> (Start, Value) {
        let all = run_threads(&[0, 0, 1], |transport| {
            let mut environment = (transport.rank() == 0).then(|| json!({"cores_shared": cores_shared}));
            let sync = synchroniser(transport, asked, &mut environment).expect("threads");
            (sync.start(), environment)
        });
        assert!(all.iter().all(|(start, _)| *start == all[0].0) && all[1].1.is_none());
        (all[0].0, all[0].1.clone().expect("rank 0 has it"))
    }

    #[test]
    fn a_window_needs_a_core_for_each_rank() {
        let (start, environment) = chosen(experiment::StartRule::Window, false);
        assert_eq!(
            (start, &environment["start"], &environment["clocks"]),
            (Start::Window, &json!("window"), &json!(1))
        );
        let (start, environment) = chosen(experiment::StartRule::Window, true);
        assert_eq!(
            (start, &environment["start"], &environment["clocks"]),
            (Start::Barrier, &json!("barrier"), &Value::Null)
        );
        assert!(environment["start_reason"].as_str().is_some_and(|reason| reason.starts_with("ranks share cores")));
        let (start, environment) = chosen(experiment::StartRule::Barrier, false);
        assert_eq!((start, &environment["start_reason"]), (Start::Barrier, &json!("asked for")));
    }

    #[test]
    fn half_of_the_windows_may_be_missed() {
        assert!(!misses_too_many((9, 9)) && !misses_too_many((10, 5)) && misses_too_many((10, 6)));
    }
}
