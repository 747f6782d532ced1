//! The moments at which flows end, in order. A flow has one at most, which moves whenever its rate changes.

/// Time in nanoseconds from the start of the round.
pub type Nanoseconds = u64;

/// Nanoseconds in `seconds`, rounded.
pub fn nanoseconds(seconds: f64) -> Nanoseconds {
    (seconds * 1e9).round() as Nanoseconds
}

/// A moment, and a number that tells which of two at the same moment comes first.
type Moment = (Nanoseconds, u64);

/// Marks a flow without an end.
const NOWHERE: usize = usize::MAX;

/// A heap of ends that knows the place of each flow.
#[derive(Default)]
pub struct Ends {
    heap: Vec<(Moment, usize)>,
    /// The place of each flow in the heap.
    places: Vec<usize>,
}

impl Ends {
    /// The first end, and its flow.
    pub fn first(&self) -> Option<(Moment, usize)> {
        self.heap.first().copied()
    }

    /// Sets or moves the end of a flow.
    pub fn set(&mut self, flow: usize, moment: Moment) {
        if flow >= self.places.len() {
            self.places.resize(flow + 1, NOWHERE);
        }
        let at = match self.places[flow] {
            NOWHERE => {
                self.heap.push((moment, flow));
                self.heap.len() - 1
            }
            at => {
                self.heap[at].0 = moment;
                at
            }
        };
        let at = self.rise(at);
        self.sink(at);
    }

    /// Removes the end of a flow, if it has one.
    pub fn remove(&mut self, flow: usize) {
        let Some(at) = self.places.get(flow).copied().filter(|at| *at != NOWHERE) else { return };
        self.heap.swap_remove(at);
        self.places[flow] = NOWHERE;
        if at < self.heap.len() {
            let at = self.rise(at);
            self.sink(at);
        }
    }

    fn rise(&mut self, mut at: usize) -> usize {
        while at > 0 && self.heap[at] < self.heap[(at - 1) / 2] {
            self.heap.swap(at, (at - 1) / 2);
            self.places[self.heap[at].1] = at;
            at = (at - 1) / 2;
        }
        self.places[self.heap[at].1] = at;
        at
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let below = (2 * at + 1..self.heap.len().min(2 * at + 3)).min_by_key(|below| self.heap[*below]);
            match below {
                Some(below) if self.heap[below] < self.heap[at] => {
                    self.heap.swap(at, below);
                    self.places[self.heap[at].1] = at;
                    at = below;
                }
                _ => break,
            }
        }
        self.places[self.heap[at].1] = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// Against a sorted list.
    #[test]
    fn the_first_end_is_the_least() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let (mut ends, mut list) = (Ends::default(), std::collections::BTreeMap::new());
        for number in 0..2000 {
            let flow = random.random_range(0..40);
            if random.random_range(0..3) == 0 {
                ends.remove(flow);
                list.remove(&flow);
            } else {
                let moment = (random.random_range(0..100), number);
                ends.set(flow, moment);
                list.insert(flow, moment);
            }
            let least = list.iter().map(|(flow, moment)| (*moment, *flow)).min();
            assert_eq!(ends.first(), least, "{number}");
        }
    }
}
