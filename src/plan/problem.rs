//! A problem: what has to be aggregated, without a word on where.

use std::sync::Arc;

/// N weighted gradients of |θ| elements, to be aggregated in M shards.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// |θ|.
    pub elements: u64,
    /// M, at least 1. Strategies of the tree family do not heed it.
    pub shards: u64,
    /// The clients' weights; N = their number, at least 1.
    pub weights: Arc<[f64]>,
}

impl Problem {
    /// A problem whose clients all weigh 1.
    pub fn unweighted(elements: u64, clients: u64, shards: u64) -> Self {
        Problem { elements, shards, weights: vec![1.0; clients as usize].into() }
    }

    /// N.
    pub fn clients(&self) -> u64 {
        self.weights.len() as u64
    }

    /// Sum of the weights of `clients`, in that order.
    pub fn weight_of(&self, clients: impl IntoIterator<Item = u64>) -> f64 {
        clients.into_iter().map(|k| self.weights[k as usize]).sum()
    }

    /// Σ wₖ in client order: what the result is divided by.
    pub fn total_weight(&self) -> f64 {
        self.weights.iter().sum()
    }
}
