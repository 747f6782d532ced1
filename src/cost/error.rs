//! The errors of pricing and calibration.

use crate::plan::Infeasible;
use crate::plan::layout::LayoutError;

/// The reason why a case cannot be priced or a platform cannot be calibrated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CostError {
    /// The strategy has no plan for the problem.
    #[error("{0}")]
    Infeasible(#[from] Infeasible),
    /// The ranks and nodes do not form a layout.
    #[error("{0}")]
    Layout(#[from] LayoutError),
    /// The strategy ends in a collective of the MPI library.
    #[error(
        "{strategy} ends in {function}, which has no price: choose a strategy whose aggregators are gradshard's own"
    )]
    Collective {
        /// Name of the strategy.
        strategy: &'static str,
        /// Names of the MPI functions.
        function: String,
    },
    /// A measurement names an unknown strategy.
    #[error("{deployment}: unknown strategy {strategy:?}; known: {known}")]
    Strategy {
        /// Name of the deployment.
        deployment: String,
        /// The unknown name.
        strategy: String,
        /// The known names.
        known: String,
    },
    /// A measurement names an unknown model.
    #[error("{deployment}: {problem}")]
    Model {
        /// Name of the deployment.
        deployment: String,
        /// The error and its remedy.
        problem: String,
    },
    /// A measurement names a level that the plan does not have.
    #[error("{deployment}: phases: level {level} does not exist; the plan has levels 1 to {levels}")]
    Level {
        /// Name of the deployment.
        deployment: String,
        /// The unknown level.
        level: u32,
        /// Number of levels of the plan.
        levels: u32,
    },
    /// No measurement determines a parameter of the model.
    #[error("no measurement determines the speed of {0}; add measurements that do")]
    Unidentified(&'static str),
    /// There are too few deployments to leave one out.
    #[error(
        "{0} deployments are feasible and have phases; calibration needs at least 3, as it leaves each of them out once"
    )]
    TooFew(usize),
}
