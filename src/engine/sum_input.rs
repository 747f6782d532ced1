//! The inputs and the memory of a sum. Both kinds of sum use them: those formed piece by piece and those in rounds.

use crate::engine::entry::{Entry, Located};
use crate::engine::kernels::Term;
use crate::engine::reach::map_for_reading;
use crate::engine::spec::Spec;
use crate::gradient::Element;
use crate::plan::lowering::{Feed, Hold, SumTask, TaskRef};

/// One input, as the sum reads it.
#[derive(Clone, Copy)]
pub(super) enum SumInput<E: Element> {
    /// A gradient in memory: the address of its element 0, and the entry of the client if it must be checked before, else
    /// null.
    InPlace { data: *const E, weight: E::Acc, ready: *const Entry },
    /// A client of this rank, whose gradient is generated piece by piece.
    Produced { client: u64, weight: E::Acc },
    /// A partial sum on this node, available as far as it has been formed, with the first element that it holds and
    /// the number of pieces of its ring.
    Growing { task: TaskRef, located: Located, start: u64, ring: Option<u64> },
    /// An input that messages bring. Without a weight it is a partial sum.
    Delivered { weight: Option<E::Acc> },
}

/// The memory of a sum.
pub(super) struct SumMemory<E: Element> {
    /// Memory for a finished range.
    pub out: *mut E,
    /// Memory for a partial sum.
    pub hold: *mut E::Acc,
    /// Accumulators for a finished range whose type is narrower than the accumulation type.
    pub scratch: *mut E::Acc,
    /// Memory for staged inputs.
    pub slots: *mut u8,
    pub located: Located,
}

impl<E: Element> SumInput<E> {
    /// Returns the inputs of `task`. `resident` returns the address of element 0 of a client's gradient on a rank, and
    /// `ready` the entry that tells whether it is there, or null. Partial sums of this node are connected later, by
    /// [`SumInput::connect`].
    pub fn of(
        task: &SumTask,
        spec: &Spec<'_>,
        resident: impl Fn(usize, u64) -> *const E,
        ready: impl Fn(usize, u64) -> *const Entry,
    ) -> Vec<Self> {
        let weight = |client: u64| E::Acc::from_f64(spec.problem.weights[client as usize]);
        let input = |feed: &Feed| match *feed {
            Feed::Resident { client, rank } => {
                SumInput::InPlace { data: resident(rank, client), weight: weight(client), ready: ready(rank, client) }
            }
            Feed::Produced { client } => SumInput::Produced { client, weight: weight(client) },
            Feed::Growing { task, range, hold } => {
                let ring = if let Hold::Ring(pieces) = hold { Some(pieces.max(1)) } else { None };
                SumInput::Growing { task, located: Located::NOWHERE, start: range.start, ring }
            }
            Feed::Received { client, .. } | Feed::Delivered { client, .. } => {
                SumInput::Delivered { weight: client.map(weight) }
            }
        };
        task.feeds.iter().map(input).collect()
    }

    /// Locates the input if it is a partial sum of this node.
    pub fn connect(&mut self, locate: impl Fn(TaskRef) -> Located) {
        if let SumInput::Growing { task, located, .. } = self {
            *located = locate(*task);
        }
    }

    /// True unless the input is a gradient that its rank has not told to be there.
    pub fn is_there(&self) -> bool {
        match *self {
            // SAFETY: the entry lies in memory of the round, which outlives its readers.
            SumInput::InPlace { ready, .. } if !ready.is_null() => unsafe { (*ready).is_ready() },
            _ => true,
        }
    }

    /// Maps the gradient that `task` will read in place, if the input is one.
    pub fn reach_gradient(&self, task: &SumTask) {
        if let SumInput::InPlace { data, .. } = *self {
            let bytes = task.range.len() as usize * size_of::<E>();
            map_for_reading(data.wrapping_add(task.range.start as usize).cast(), bytes);
        }
    }

    /// Maps the partial sum that `task` will read in place, if the input is one.
    pub fn reach_sum(&self, task: &SumTask) {
        if let SumInput::Growing { located, start, ring, .. } = *self {
            let (from, elements) = match ring {
                Some(pieces) => (0, pieces * task.piece),
                None => (task.range.start - start, task.range.len()),
            };
            let first = located.base.cast::<E::Acc>().wrapping_add(from as usize);
            map_for_reading(first.cast(), elements as usize * size_of::<E::Acc>());
        }
    }
}

/// Returns the term of an input that lies at `data`.
pub(super) fn delivered<E: Element>(data: *const u8, weight: Option<E::Acc>) -> Term<E> {
    match weight {
        Some(weight) => Term::Weighted { data: data.cast(), weight },
        None => Term::Partial(data.cast()),
    }
}
