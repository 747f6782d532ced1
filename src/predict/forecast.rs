//! Forecasts: the predicted time of a cell with an interval, and how far it may be trusted.

use std::sync::Arc;

use super::fabric::Fabric;
use super::parameters::MachineModel;
use super::simulate::simulate_on;
use super::simulation::{Simulated, Unpredictable};
use crate::plan::{End, Form, Layout, Plan, Problem, Terms};

/// Beyond this many times the nodes that were measured a forecast is called an extrapolation.
const FAR: f64 = 8.0;
/// A cell whose predictions have missed by more is marked.
const MUCH: f64 = 0.10;

/// A round whose time is asked for.
pub struct Subject {
    /// The strategy's name.
    pub strategy: String,
    /// The form of its plan: radix, way across nodes, closing, algorithm.
    pub form: Form,
    /// The plan; or why there is none.
    pub plan: Result<Box<dyn Plan>, String>,
    /// The problem.
    pub problem: Arc<Problem>,
    /// The layout.
    pub layout: Arc<Layout>,
    /// The terms.
    pub terms: Terms,
}

impl Subject {
    /// The properties by which a cell on other nodes is its like.
    pub fn kind(&self) -> (&str, Form, End) {
        (&self.strategy, self.form, self.problem.end)
    }

    /// Its time on the machine as it usually is.
    ///
    /// # Errors
    /// If there is no plan, or its time cannot be foretold.
    pub fn usual(&self, machine: &MachineModel, fabric: &Fabric) -> Result<Simulated, Unpredictable> {
        let found = self.simulated(&[&machine.typical], fabric)?;
        found.first().copied().ok_or_else(|| Unpredictable("there is no machine".to_owned()))
    }

    fn simulated(&self, machines: &[&super::Parameters], fabric: &Fabric) -> Result<Vec<Simulated>, Unpredictable> {
        let plan = self.plan.as_ref().map_err(|reason| Unpredictable(reason.clone()))?;
        simulate_on(plan.as_ref(), &self.problem, &self.layout, &self.terms, (machines, fabric))
    }
}

/// How far predictions of a kind of cell have missed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trust {
    /// Greatest |ln(predicted / measured)| of the cells that count.
    pub error: f64,
    /// True if these cells are of the same strategy, form and end; otherwise all cells count.
    pub of_its_kind: bool,
}

/// The predicted time of a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Predicted time, seconds.
    pub seconds: f64,
    /// Least time to expect, seconds.
    pub low: f64,
    /// Greatest time to expect, seconds.
    pub high: f64,
    /// Messages of all ranks.
    pub messages: u64,
    /// The number of ranks that each simulated rank stands for.
    pub stands_for: usize,
    /// How far such predictions have missed; None if nothing could be compared.
    pub trust: Option<Trust>,
    /// The asked number of nodes over the greatest that was measured.
    pub times_measured: f64,
}

impl Forecast {
    /// True if it goes further than 8 times what was measured.
    pub fn is_extrapolation(&self) -> bool {
        self.times_measured > FAR
    }

    /// True if nothing could be compared, or such predictions have missed by more than 10 %.
    pub fn is_doubtful(&self) -> bool {
        self.trust.is_none_or(|trust| trust.error.exp_m1() > MUCH)
    }
}

/// Predicts a round. The interval goes from the time on the machine at its fastest to that at its slowest, and each way by
/// the error of such predictions further, once for each doubling of the nodes beyond those that were measured and at
/// least once. It is a range to expect, not an interval of a confidence level.
///
/// # Errors
/// If the time cannot be foretold; the error says why.
pub fn forecast(
    subject: &Subject,
    (machine, fabric): (&MachineModel, &Fabric),
    trust: Option<Trust>,
) -> Result<Forecast, Unpredictable> {
    let found = subject.simulated(&[&machine.typical, &machine.fast, &machine.slow], fabric)?;
    let [usual, fast, slow] = found[..] else { return Err(Unpredictable("a machine has no time".to_owned())) };
    let (fast, slow) = (fast.seconds.min(usual.seconds), slow.seconds.max(usual.seconds));
    let times_measured = subject.layout.nodes() as f64 / machine.nodes.max(1) as f64;
    let error = trust.map_or(0.0, |trust| trust.error) * widening(times_measured);
    Ok(Forecast {
        seconds: usual.seconds,
        low: fast * (-error).exp(),
        high: slow * error.exp(),
        messages: usual.messages,
        stands_for: subject.layout.ranks() / usual.simulated,
        trust,
        times_measured,
    })
}

/// The number of times that the error counts.
fn widening(times_measured: f64) -> f64 {
    times_measured.log2().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_grow_wider_with_each_doubling_and_are_called_what_they_are() {
        assert_eq!([0.5, 1.0, 2.0, 4.0, 32.0].map(widening), [1.0, 1.0, 1.0, 2.0, 5.0]);
        let of = |times_measured, error: Option<f64>| Forecast {
            seconds: 1.0,
            low: 0.9,
            high: 1.1,
            messages: 1,
            stands_for: 1,
            trust: error.map(|error| Trust { error, of_its_kind: true }),
            times_measured,
        };
        assert!(!of(8.0, Some(0.05)).is_extrapolation() && of(8.1, Some(0.05)).is_extrapolation());
        assert!(!of(1.0, Some(0.09)).is_doubtful() && of(1.0, Some(0.11)).is_doubtful() && of(1.0, None).is_doubtful());
    }
}
