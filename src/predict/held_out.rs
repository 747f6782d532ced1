//! Predictions compared with measurements: the cells of the largest number of nodes are left out, the machine is taken from
//! the others, and predicts them.

use super::fabric::Fabric;
use super::forecast::{Subject, Trust};
use super::parameters::MachineModel;
use crate::plan::{End, Form};

/// Times of a core for a message that are tried, as parts of half a round trip.
const OVERHEADS: [f64; 6] = [0.0, 0.125, 0.25, 0.5, 1.0, 2.0];

/// A round that was measured.
pub struct Observed {
    /// The round.
    pub subject: Subject,
    /// Nodes of the job.
    pub nodes: u64,
    /// Median of the times, seconds.
    pub seconds: f64,
}

/// A measured time and its prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// The strategy's name.
    pub strategy: String,
    /// The form of its plan: radix, way across nodes, closing, algorithm.
    pub form: Form,
    /// The end of the round.
    pub end: End,
    /// Nodes.
    pub nodes: u64,
    /// Measured median, seconds.
    pub measured: f64,
    /// Predicted time, seconds.
    pub predicted: f64,
}

impl HeldOut {
    /// Predicted over measured, less 1.
    pub fn error(&self) -> f64 {
        self.predicted / self.measured - 1.0
    }

    fn miss(&self) -> f64 {
        (self.predicted / self.measured).ln().abs()
    }
}

/// Compares every observed round that can be foretold with its prediction.
pub fn held_out<'o>(
    machine: &MachineModel,
    fabric: &Fabric,
    observed: impl Iterator<Item = &'o Observed>,
) -> Vec<HeldOut> {
    let compare = |observed: &Observed| {
        let predicted = observed.subject.usual(machine, fabric).ok()?.seconds;
        let (strategy, form, end) = observed.subject.kind();
        let (strategy, nodes, measured) = (strategy.to_owned(), observed.nodes, observed.seconds);
        Some(HeldOut { strategy, form, end, nodes, measured, predicted })
    };
    observed.filter_map(compare).collect()
}

/// Gives the machine the time of a core for a message with which the observed rounds are met best: that with the least sum
/// of squares of ln(predicted / measured) of those that are tried. The limits do not tell it apart from the latency.
pub fn fit(machine: &MachineModel, fabric: &Fabric, observed: &[&Observed]) -> MachineModel {
    let half_trip = machine.typical.half_trip_between;
    let tried = OVERHEADS.map(|part| {
        let machine = machine.with_overhead(part * half_trip);
        let squares: f64 =
            held_out(&machine, fabric, observed.iter().copied()).iter().map(|found| found.miss().powi(2)).sum();
        (squares, machine)
    });
    let best = tried.into_iter().min_by(|one, other| one.0.total_cmp(&other.0));
    best.map_or_else(|| machine.clone(), |(_, machine)| machine)
}

/// How far predictions of this kind have missed; None if there are none at all.
pub fn trust(found: &[HeldOut], (strategy, form, end): (&str, Form, End)) -> Option<Trust> {
    let is_its_kind = |held: &&HeldOut| (held.strategy.as_str(), held.form, held.end) == (strategy, form, end);
    let worst = |misses: &mut dyn Iterator<Item = f64>| misses.reduce(f64::max);
    let own = worst(&mut found.iter().filter(is_its_kind).map(HeldOut::miss));
    let any = || worst(&mut found.iter().map(HeldOut::miss));
    own.map(|error| Trust { error, of_its_kind: true }).or_else(|| Some(Trust { error: any()?, of_its_kind: false }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_that_of_the_same_kind_or_else_of_the_worst() {
        let of = |strategy: &str, predicted| HeldOut {
            strategy: strategy.to_owned(),
            form: Form::default(),
            end: End::Root,
            nodes: 8,
            measured: 2.0,
            predicted,
        };
        let found = [of("a", 2.2), of("a", 1.9), of("b", 1.0)];
        assert!((found[0].error() - 0.1).abs() < 1e-12 && (found[2].error() + 0.5).abs() < 1e-12);
        let ask = |strategy, end| trust(&found, (strategy, Form::default(), end)).expect("something was compared");
        let own = ask("a", End::Root);
        assert!(own.of_its_kind && (own.error - 1.1f64.ln()).abs() < 1e-12, "{own:?}");
        let other = ask("a", End::Scattered);
        assert!(!other.of_its_kind && (other.error - 2f64.ln()).abs() < 1e-12, "{other:?}");
        assert_eq!(trust(&[], ("a", Form::default(), End::Root)), None);
    }
}
