//! Why something cannot be priced.

use crate::plan::Infeasible;
use crate::plan::layout::LayoutError;

/// Why something cannot be priced or calibrated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CostError {
    /// The strategy has no plan for the problem.
    #[error("{0}")]
    Infeasible(#[from] Infeasible),
    /// Ranks and nodes that make no layout.
    #[error("{0}")]
    Layout(#[from] LayoutError),
    /// The strategy is the MPI library's.
    #[error(
        "{strategy} ends in {function}, which has no price: only a strategy whose aggregators are gradshard's own has"
    )]
    Collective {
        /// The strategy.
        strategy: &'static str,
        /// The MPI function.
        function: String,
    },
    /// A measurement names a strategy that does not exist.
    #[error("{deployment}: unknown strategy {strategy:?}; known: {known}")]
    Strategy {
        /// The deployment.
        deployment: String,
        /// What it names.
        strategy: String,
        /// What there is.
        known: String,
    },
    /// A measurement names a model that does not exist.
    #[error("{deployment}: {problem}")]
    Model {
        /// The deployment.
        deployment: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A measurement of a level that the plan does not have.
    #[error("{deployment}: measured at level {level}, but the plan has levels 1 to {levels}")]
    Level {
        /// The deployment.
        deployment: String,
        /// The level.
        level: u32,
        /// The plan's levels.
        levels: u32,
    },
    /// Measurements that say nothing about a parameter.
    #[error("no measurement says anything about {0}; add rows that do")]
    Unidentified(&'static str),
    /// Too few deployments to leave one out.
    #[error("{0} deployments; at least 3 are needed to leave each of them out once")]
    TooFew(usize),
}
