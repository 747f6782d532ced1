//! A problem: the gradients that a round aggregates and the state in which it ends, without a word on ranks.

use std::sync::Arc;

use crate::gradient::{Range, shard_range};
use crate::plan::{End, Form};

/// N weighted gradients of |θ| elements, to be aggregated in M shards.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// |θ|.
    pub elements: u64,
    /// M, at least 1. Trees heed it only where their result is scattered.
    pub shards: u64,
    /// The clients' weights; N = their number, at least 1.
    pub weights: Arc<[f64]>,
    /// The place of the result when the round ends.
    pub end: End,
    /// The choices of the strategy that plans it.
    pub form: Form,
}

impl Problem {
    /// A problem whose clients all weigh 1 and whose result stays scattered.
    pub fn unweighted(elements: u64, clients: u64, shards: u64) -> Self {
        Problem {
            elements,
            shards,
            weights: vec![1.0; clients as usize].into(),
            end: End::Scattered,
            form: Form::default(),
        }
    }

    /// The same problem with another end.
    #[must_use]
    pub fn ending(self, end: End) -> Self {
        Problem { end, ..self }
    }

    /// The same problem with another form of plan.
    #[must_use]
    pub fn formed(self, form: Form) -> Self {
        Problem { form, ..self }
    }

    /// N.
    pub fn clients(&self) -> u64 {
        self.weights.len() as u64
    }

    /// Sum of the weights of `clients`, in that order.
    pub fn weight_of(&self, clients: impl IntoIterator<Item = u64>) -> f64 {
        clients.into_iter().map(|k| self.weights[k as usize]).sum()
    }

    /// Σ wₖ in client order, the divisor of the result.
    pub fn total_weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// The elements of consecutive shards; empty for none.
    pub fn run(&self, shards: std::ops::Range<u64>) -> Range {
        if shards.is_empty() {
            return Range::new(0, 0);
        }
        let of = |shard| shard_range(self.elements, self.shards, shard);
        Range::new(of(shards.start).start, of(shards.end - 1).end)
    }
}
