//! Plans written down whole, for trees of few aggregators.

use crate::gradient::Range;
use crate::plan::closing::close;
use crate::plan::{Input, Kind, Layout, Plan, Problem, Step};

/// Parts in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplicitPlan {
    parts: Vec<Vec<Step>>,
}

impl ExplicitPlan {
    /// The plan that these parts make, steps after their inputs, with nothing added.
    pub fn new(parts: Vec<Vec<Step>>) -> Self {
        ExplicitPlan { parts }
    }

    /// The plan that these sums make, with the copies that the problem's end needs.
    pub fn closed(mut parts: Vec<Vec<Step>>, problem: &Problem, layout: &Layout) -> Self {
        for (part, steps) in (0..).zip(&mut parts) {
            close(steps, problem, layout, part);
        }
        ExplicitPlan { parts }
    }
}

impl Plan for ExplicitPlan {
    fn parts(&self) -> u64 {
        self.parts.len() as u64
    }

    fn part(&self, part: u64) -> Vec<Step> {
        self.parts[part as usize].clone()
    }
}

/// Builds a tree over the whole gradient from the clients up.
pub struct TreeBuilder<'a> {
    problem: &'a Problem,
    steps: Vec<Step>,
}

impl<'a> TreeBuilder<'a> {
    /// A tree without steps.
    pub fn new(problem: &'a Problem) -> Self {
        TreeBuilder { problem, steps: Vec::new() }
    }

    /// Adds a sum on `rank` over `inputs`, in this order, and returns it as an input.
    pub fn add(&mut self, rank: usize, inputs: Vec<Input>) -> Input {
        let (mut weight, mut level) = (0.0, 1);
        for input in &inputs {
            match *input {
                Input::Client(k) => weight += self.problem.weights[k as usize],
                Input::Step(from) => {
                    let from = &self.steps[from];
                    level = level.max(from.level + 1);
                    if let Kind::Sum { weight: more, .. } = from.kind {
                        weight += more;
                    }
                }
            }
        }
        let (range, kind) = (Range::new(0, self.problem.elements), Kind::Sum { weight, divided: false });
        self.steps.push(Step { rank, range, inputs, kind, level, shards: 1 });
        Input::Step(self.steps.len() - 1)
    }

    /// The rank of a sum that was added before; None for a client.
    pub fn rank_of(&self, input: Input) -> Option<usize> {
        match input {
            Input::Step(place) => self.steps.get(place).map(|step| step.rank),
            Input::Client(_) => None,
        }
    }

    /// The plan in which the sum that was added last is the result, closed as the problem's end needs.
    pub fn finish(mut self, layout: &Layout) -> ExplicitPlan {
        if let Some(Step { kind: Kind::Sum { divided, .. }, .. }) = self.steps.last_mut() {
            *divided = true;
        }
        ExplicitPlan::closed(vec![self.steps], self.problem, layout)
    }
}
