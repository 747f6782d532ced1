//! The aggregators of a round, with the objects that each reads and writes.

use std::collections::BTreeMap;

use gradshard::cost::case::Planned;
use gradshard::cost::{Case, CostError};
use gradshard::gradient::{Dtype, Range};
use gradshard::plan::{Input, Kind};

use crate::bucket::ObjectName;

/// An input of an aggregator: the elements of its range, in an object that may hold more.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadObject {
    /// The object.
    pub object: ObjectName,
    /// The elements of the gradient that the object holds.
    pub holds: Range,
    /// The client whose gradient it is; None for a partial sum.
    pub client: Option<u64>,
}

/// An aggregator, which one function carries out.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregator {
    /// Distance from the clients, from 1.
    pub level: u32,
    /// The object that it writes.
    pub object: ObjectName,
    /// The elements that it sums.
    pub range: Range,
    /// Its inputs, in the order in which they are added.
    pub inputs: Vec<ReadObject>,
    /// True if its sum is divided, and is a part of the result.
    pub is_result: bool,
}

/// Makes the aggregators of the plan that `gradshard cost` prices for `case`, in no particular order.
///
/// # Errors
/// The errors of [`Case::on_functions`].
pub fn aggregators(case: &Case) -> Result<Vec<Aggregator>, CostError> {
    let Planned { plan, problem, .. } = case.on_functions()?;
    let whole = Range::new(0, problem.elements);
    let mut all = Vec::new();
    for part in 0..plan.parts() {
        let steps = plan.part(part);
        for (place, step) in steps.iter().enumerate().filter(|(_, step)| !step.range.is_empty()) {
            let Kind::Sum { divided, .. } = step.kind else { continue };
            let input = |input: &Input| match *input {
                Input::Client(client) => {
                    let holds = if case.flow.ranged { whole } else { step.range };
                    ReadObject { object: ObjectName::of_client(client, holds), holds, client: Some(client) }
                }
                Input::Step(from) => {
                    ReadObject { object: ObjectName::of_sum(part, from), holds: steps[from].range, client: None }
                }
            };
            all.push(Aggregator {
                level: step.level,
                object: ObjectName::of_sum(part, place),
                range: step.range,
                inputs: step.inputs.iter().map(input).collect(),
                is_result: divided,
            });
        }
    }
    Ok(all)
}

impl Aggregator {
    /// Returns the elements of the gradient that it reads, sums and writes one after another, if a piece has at most `piece`
    /// elements.
    pub fn pieces(&self, piece: u64) -> impl Iterator<Item = Range> + use<> {
        let Range { start, end } = self.range;
        let count = self.range.len().div_ceil(piece);
        (0..count).map(move |index| Range::new(start + index * piece, (start + (index + 1) * piece).min(end)))
    }
}

impl ReadObject {
    /// Returns the place of `elements` of the gradient in the object, bytes.
    pub fn bytes_of(&self, elements: Range, dtype: Dtype) -> Range {
        let size = if self.client.is_some() { dtype.size() } else { dtype.accumulator_size() } as u64;
        let at = |element: u64| (element - self.holds.start) * size;
        Range::new(at(elements.start), at(elements.end))
    }
}

/// Returns the ranges, bytes, that are read of every object: by the aggregators, piece by piece, and of results the whole, by
/// the clients.
pub fn reads(
    aggregators: &[Aggregator],
    dtype: Dtype,
    piece: impl Fn(&Aggregator) -> u64,
) -> BTreeMap<ObjectName, Vec<Range>> {
    let mut reads: BTreeMap<ObjectName, Vec<Range>> = BTreeMap::new();
    for aggregator in aggregators {
        for input in &aggregator.inputs {
            let of_input = reads.entry(input.object.clone()).or_default();
            of_input.extend(aggregator.pieces(piece(aggregator)).map(|elements| input.bytes_of(elements, dtype)));
        }
        if aggregator.is_result {
            let bytes = aggregator.range.len() * dtype.size() as u64;
            reads.entry(aggregator.object.clone()).or_default().push(Range::new(0, bytes));
        }
    }
    reads
}
