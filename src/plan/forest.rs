//! Forests: plans that sum each part along a tree of its own. A strategy gives the tree by one function, from a seat to
//! the seat that takes its sum; steps, inputs, levels and weights follow.

use std::sync::Arc;

use crate::gradient::{Range, shard_range};
use crate::plan::closing::close;
use crate::plan::layout::items_of;
use crate::plan::seats::Seats;
use crate::plan::shape::{Shape, Star};
use crate::plan::{Input, Kind, Layout, Plan, Problem, Step};

/// How the gradient is cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// By owner: the consecutive shards that one rank owns are a part.
    Shards,
    /// Into this many equal parts, all of which end on the first aggregating rank.
    Rooted(u64),
    /// Into this many equal parts for each aggregating rank of the first one's node, where they end.
    Lanes(u64),
}

/// A tree a part, as a plan.
pub struct Forest {
    problem: Arc<Problem>,
    layout: Arc<Layout>,
    cut: Cut,
    /// The places of the aggregating ranks on the node of the first; empty where the cut has no lanes.
    lanes: Vec<usize>,
    seats: Seats,
    /// None: the owner takes every client's gradient itself.
    shape: Option<Box<dyn Shape>>,
}

impl Forest {
    /// Every rank sums its clients, and the sums travel along `shape`.
    pub fn of_ranks(problem: &Arc<Problem>, layout: &Arc<Layout>, cut: Cut, shape: impl Shape + 'static) -> Forest {
        let ranks = layout.aggregator_ranks();
        let lanes = match cut {
            Cut::Lanes(_) => (0..ranks.len()).filter(|place| layout.same_node(ranks[*place], ranks[0])).collect(),
            Cut::Shards | Cut::Rooted(_) => Vec::new(),
        };
        let (seats, shape) = (Seats::of_ranks(problem, layout), Box::new(shape));
        Forest { problem: Arc::clone(problem), layout: Arc::clone(layout), cut, lanes, seats, shape: Some(shape) }
    }

    /// Every node sums its clients, each part on one of its ranks, and the sums travel between nodes along `shape`.
    pub fn of_nodes(problem: &Arc<Problem>, layout: &Arc<Layout>, cut: Cut, shape: impl Shape + 'static) -> Forest {
        Forest { seats: Seats::of_nodes(problem, layout), ..Forest::of_ranks(problem, layout, cut, shape) }
    }

    /// Every owner takes its part of every client's gradient straight from the client, in client order.
    pub fn straight(problem: &Arc<Problem>, layout: &Arc<Layout>, cut: Cut) -> Forest {
        Forest { shape: None, ..Forest::of_ranks(problem, layout, cut, Star) }
    }

    /// The owner of a part, as a place among the aggregating ranks; its elements; and how many shards they are.
    fn part_of(&self, part: u64) -> (usize, Range, u64) {
        let Problem { elements, shards, .. } = *self.problem;
        let places = self.layout.aggregator_ranks().len() as u64;
        match self.cut {
            Cut::Rooted(parts) => (0, shard_range(elements, parts, part), 1),
            Cut::Lanes(each) => {
                (self.lanes[(part / each) as usize], shard_range(elements, each * self.lanes.len() as u64, part), 1)
            }
            Cut::Shards if shards <= places => {
                (self.layout.spread_place(part, shards), shard_range(elements, shards, part), 1)
            }
            Cut::Shards => {
                let run = items_of(part, shards, places);
                (part as usize, self.problem.run(run.clone()), run.end - run.start)
            }
        }
    }

    fn straight_step(&self, (place, range, shards): (usize, Range, u64)) -> Step {
        Step {
            rank: self.layout.aggregator_ranks()[place],
            range,
            inputs: (0..self.problem.clients()).map(Input::Client).collect(),
            kind: Kind::Sum { weight: self.problem.total_weight(), divided: true },
            level: 1,
            shards,
        }
    }

    fn sums(&self, shape: &dyn Shape, part: u64) -> Vec<Step> {
        let (place, range, shards) = self.part_of(part);
        let table = self.seats.around(&self.layout, place);
        let circle = table.circle;
        // The earlier a rank sends, the earlier it comes; the owner is last. So inputs come before the steps that take them.
        let others = (0..circle.positions).filter(|position| *position != circle.owner);
        let mut sends: Vec<(u32, usize, usize)> = others
            .map(|position| {
                let (parent, round) = shape.parent(&circle, part, position);
                (round, position, parent)
            })
            .collect();
        sends.sort_unstable();
        let level = sends.last().map_or(1, |(round, ..)| round + 1);
        let mut place_of = vec![0; circle.positions];
        let order = sends.iter().map(|(_, position, _)| *position).chain([circle.owner]);
        order.enumerate().for_each(|(place, position)| place_of[position] = place);
        let step = |position: usize, level: u32| Step {
            rank: table.rank(position),
            range,
            inputs: table.clients(position).iter().copied().map(Input::Client).collect(),
            kind: Kind::Sum {
                weight: self.problem.weight_of(table.clients(position).iter().copied()),
                divided: position == circle.owner,
            },
            level,
            shards,
        };
        let mut steps: Vec<Step> = sends.iter().map(|(round, position, _)| step(*position, *round)).collect();
        steps.push(step(circle.owner, level));
        for (place, (_, _, parent)) in sends.iter().enumerate() {
            let Kind::Sum { weight: more, .. } = steps[place].kind else { continue };
            let parent = &mut steps[place_of[*parent]];
            parent.inputs.push(Input::Step(place));
            if let Kind::Sum { weight, .. } = &mut parent.kind {
                *weight += more;
            }
        }
        steps
    }
}

impl Plan for Forest {
    fn parts(&self) -> u64 {
        match self.cut {
            Cut::Rooted(parts) => parts,
            Cut::Lanes(each) => each * self.lanes.len() as u64,
            Cut::Shards => self.problem.shards.min(self.layout.aggregator_ranks().len() as u64),
        }
    }

    fn part(&self, part: u64) -> Vec<Step> {
        let mut steps = match &self.shape {
            Some(shape) => self.sums(shape.as_ref(), part),
            None => vec![self.straight_step(self.part_of(part))],
        };
        close(&mut steps, &self.problem, &self.layout, part);
        steps
    }

    fn in_rounds(&self) -> bool {
        self.shape.as_ref().is_some_and(|shape| shape.in_rounds())
    }
}
