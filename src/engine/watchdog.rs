//! Watches a rank that may wait: tells what it waits for once this takes long, and gives up when it takes too long.

use std::time::{Duration, Instant};

use crate::engine::{EngineError, life};
use crate::plan::lowering::{Feed, SumTask};
use crate::plan::{Input, Plan, parts};

/// Time without progress after which a round is given up. Only a defect or a lost rank can cause this.
const STALL: Duration = Duration::from_secs(300);
/// Time without progress after which it is said what the rank waits for.
const LONG: Duration = Duration::from_secs(1);
/// Number of moves between two signs of life, and number of idle turns between two looks at the clock: neither may cost
/// time in a round.
const MOVES_A_BEAT: u32 = 64;
const TURNS_A_LOOK: u32 = 256;

/// The watchdog of one rank in one wait or round.
pub struct Watchdog {
    rank: usize,
    since: Option<Instant>,
    moves: u32,
    turns: u32,
    told: Option<String>,
}

impl Watchdog {
    /// Makes the watchdog of `rank`.
    pub fn new(rank: usize) -> Watchdog {
        Watchdog { rank, since: None, moves: 0, turns: 0, told: None }
    }

    /// Call when something was done.
    pub fn moved(&mut self) {
        self.since = None;
        self.moves = self.moves.wrapping_add(1);
        if self.moves.is_multiple_of(MOVES_A_BEAT) {
            life::beat();
        }
        if self.told.is_some() {
            self.forget();
        }
    }

    /// Call when nothing could be done. `what` says what the rank waits for.
    pub fn waits(&mut self, what: impl FnOnce() -> String) {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(TURNS_A_LOOK) {
            let since = self.since.get_or_insert_with(Instant::now).elapsed();
            if since >= LONG && self.told.is_none() {
                let what = what();
                life::waits(self.rank, Some(what.clone()));
                self.told = Some(what);
            }
        }
    }

    /// Like [`Watchdog::waits`], within a round.
    ///
    /// # Errors
    /// If nothing has moved for 300 s.
    pub fn idle(&mut self, what: impl FnOnce() -> String) -> Result<(), EngineError> {
        self.waits(what);
        match (&self.told, self.since) {
            (Some(told), Some(since)) if since.elapsed() >= STALL => {
                Err(EngineError::Stalled { rank: self.rank, seconds: STALL.as_secs(), waiting: told.clone() })
            }
            _ => Ok(()),
        }
    }

    fn forget(&mut self) {
        self.told = None;
        life::waits(self.rank, None);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if self.told.is_some() {
            self.forget();
        }
    }
}

/// Says which step or client of which rank a sum waits for. `input` is the place of the input; beyond the last one it waits
/// for the taker of its sum.
pub fn awaited(plan: &dyn Plan, task: &SumTask, input: usize) -> String {
    let step = task.step;
    let partial = |rank: usize| match source_of(plan, step, rank) {
        Some(source) => format!("step {source} of rank {rank}"),
        None => format!("a partial sum of rank {rank}"),
    };
    let what = match task.feeds.get(input) {
        Some(Feed::Resident { client, rank }) => format!("client {client} of rank {rank} to be ready"),
        Some(Feed::Received { client: Some(client), rank, .. } | Feed::Delivered { client: Some(client), rank }) => {
            format!("client {client} of rank {rank}")
        }
        Some(Feed::Received { client: None, rank, .. } | Feed::Delivered { client: None, rank }) => partial(*rank),
        Some(Feed::Growing { task, .. }) => partial(task.rank),
        Some(Feed::Produced { client }) => format!("client {client}, which it makes itself"),
        None => "the taker of its sum".to_owned(),
    };
    format!("step {step} waits for {what}")
}

/// Returns the number in the plan of the step of `rank` that step `step` takes. None if it takes several.
fn source_of(plan: &dyn Plan, step: u64, rank: usize) -> Option<u64> {
    let (first, steps) = parts(plan).find(|(first, steps)| (*first..*first + steps.len() as u64).contains(&step))?;
    let mut of_rank = steps[(step - first) as usize].inputs.iter().filter_map(|input| match input {
        Input::Step(source) if steps[*source].rank == rank => Some(first + *source as u64),
        _ => None,
    });
    of_rank.next().filter(|_| of_rank.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gradient::Dtype;
    use crate::plan::strategies::find;
    use crate::plan::{Caches, Flow, IntraNode, Layout, Order, Problem, Ready, Residency, Roles, Terms, lower};

    /// In a chain of three ranks, rank 1's sum takes the sum of one other rank; its step and this rank are read from the plan.
    #[test]
    fn a_waiting_sum_names_the_step_and_the_rank_that_it_waits_for() {
        let problem = Arc::new(Problem::unweighted(100, 6, 1));
        let layout = Arc::new(Layout::new(&[0, 1, 2], Roles::Colocated).unwrap());
        let plan = find("tree-chain").unwrap().plan(&problem, &layout).unwrap();
        let terms = Terms {
            dtype: Dtype::F32,
            flow: Flow::Whole,
            intra_node: IntraNode::Messages,
            order: Order::Client,
            residency: Residency::Resident,
            ready: Ready::Assumed,
            caches: Caches::Warm,
        };
        let mut waits = 0;
        for rank in 0..3 {
            for task in lower(plan.as_ref(), &problem, &layout, &terms, rank).sums {
                let (first, steps) =
                    parts(plan.as_ref()).find(|(first, steps)| task.step < first + steps.len() as u64).unwrap();
                let step = &steps[(task.step - first) as usize];
                assert_eq!((step.rank, step.inputs.len()), (rank, task.feeds.len()));
                for (place, input) in step.inputs.iter().enumerate() {
                    let Input::Step(source) = input else { continue };
                    let other = steps[*source].rank;
                    let said = awaited(plan.as_ref(), &task, place);
                    assert_eq!(
                        said,
                        format!("step {} waits for step {} of rank {other}", task.step, first + *source as u64)
                    );
                    waits += 1;
                }
            }
        }
        assert_eq!(waits, 2);
    }

    #[test]
    fn a_long_wait_is_told_and_forgotten_when_it_ends() {
        const RANK: usize = 987_654;
        let told = || life::waiting().into_iter().find(|line| line.starts_with("rank 987654: "));
        let mut dog = Watchdog::new(RANK);
        let begun = Instant::now();
        while begun.elapsed() < LONG / 2 {
            dog.idle(|| "something".to_owned()).unwrap();
        }
        assert_eq!(told(), None);
        while begun.elapsed() < LONG * 2 {
            dog.idle(|| "something".to_owned()).unwrap();
        }
        assert_eq!(told().as_deref(), Some("rank 987654: something"));
        dog.moved();
        assert_eq!(told(), None);
        dog.since = Some(begun - STALL);
        let stalled =
            (0..TURNS_A_LOOK).find_map(|_| dog.idle(|| "rank 3".to_owned()).err()).map(|error| error.to_string());
        assert_eq!(stalled.as_deref(), Some("rank 987654: nothing has moved for 300 s: rank 3"));
        drop(dog);
        assert_eq!(told(), None);
    }

    #[test]
    fn moves_are_signs_of_life() {
        let before = life::beats();
        let mut dog = Watchdog::new(0);
        (0..MOVES_A_BEAT).for_each(|_| dog.moved());
        assert!(life::beats() > before);
    }
}
