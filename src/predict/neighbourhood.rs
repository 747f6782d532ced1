//! The part of a plan that one rank's lowering reads. Lowering a plan for every rank reads all steps for each of them,
//! which on thousands of ranks takes hours; an index of the steps yields the few that matter to a rank.

use std::collections::BTreeMap;

use crate::gradient::Range;
use crate::plan::step::consumers;
use crate::plan::{Input, Kind, Layout, Plan, Problem, Step};

/// A part of a plan with the consumers of each step.
struct Indexed {
    steps: Vec<Step>,
    consumers: Vec<Vec<usize>>,
}

/// All steps of a plan, by the ranks that they concern.
pub struct PlanIndex<'a> {
    plan: &'a dyn Plan,
    layout: &'a Layout,
    parts: Vec<Indexed>,
    /// For each rank, the part and the place of its own steps.
    own: Vec<Vec<(usize, usize)>>,
    /// For each rank, the part and the place of the steps that take one of its clients.
    taking: Vec<Vec<(usize, usize)>>,
}

impl<'a> PlanIndex<'a> {
    /// Reads the plan once, for the first `ranks` ranks. Memory grows with the steps that concern them.
    pub fn new(plan: &'a dyn Plan, problem: &Problem, layout: &'a Layout, ranks: usize) -> PlanIndex<'a> {
        let mut own = vec![Vec::new(); ranks];
        let mut taking: Vec<Vec<(usize, usize)>> = vec![Vec::new(); ranks];
        let mut parts = Vec::new();
        for part in 0..plan.parts() {
            let mut steps = plan.part(part);
            if ranks < layout.ranks() {
                steps = concerning(steps, problem, layout, ranks);
            }
            let number = parts.len();
            for (place, step) in steps.iter().enumerate() {
                if let Some(own) = own.get_mut(step.rank) {
                    own.push((number, place));
                }
                for input in &step.inputs {
                    let Input::Client(client) = input else { continue };
                    let host = layout.rank_of_client(*client, problem.clients());
                    let Some(taking) = taking.get_mut(host) else { continue };
                    if taking.last() != Some(&(number, place)) {
                        taking.push((number, place));
                    }
                }
            }
            parts.push(Indexed { consumers: consumers(&steps), steps });
        }
        PlanIndex { plan, layout, parts, own, taking }
    }

    /// The steps of the plan that the lowering of `rank` reads: those of the ranks of its node, their inputs and their takers.
    pub fn of(&self, rank: usize) -> Neighbourhood<'a> {
        let mut wanted: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &near in self.layout.ranks_on_node(self.layout.node_of(rank)) {
            for &(part, place) in &self.own[near] {
                let of = &self.parts[part];
                let places = wanted.entry(part).or_default();
                places.push(place);
                places.extend(inputs(&of.steps[place]));
                for &taker in &of.consumers[place] {
                    places.push(taker);
                    places.extend(inputs(&of.steps[taker]));
                }
            }
        }
        for &(part, place) in &self.taking[rank] {
            let places = wanted.entry(part).or_default();
            places.push(place);
            places.extend(inputs(&self.parts[part].steps[place]));
        }
        let parts = wanted.into_iter().map(|(part, places)| excerpt(&self.parts[part].steps, places)).collect();
        Neighbourhood { plan: self.plan, parts }
    }
}

/// The steps of a part that concern the first `ranks` ranks.
fn concerning(steps: Vec<Step>, problem: &Problem, layout: &Layout, ranks: usize) -> Vec<Step> {
    let consumers = consumers(&steps);
    let mut places = Vec::new();
    let takes = |step: &Step| {
        let clients = step.inputs.iter().filter_map(|input| match input {
            Input::Client(client) => Some(layout.rank_of_client(*client, problem.clients())),
            Input::Step(_) => None,
        });
        clients.into_iter().any(|host| host < ranks)
    };
    for (place, step) in steps.iter().enumerate() {
        if step.rank < ranks {
            places.extend(consumers[place].iter().chain([&place]).flat_map(|at| inputs(&steps[*at]).chain([*at])));
        } else if takes(step) {
            places.extend(inputs(step).chain([place]));
        }
    }
    excerpt(&steps, places)
}

/// The steps that a step takes.
fn inputs(step: &Step) -> impl Iterator<Item = usize> {
    step.inputs.iter().filter_map(|input| match input {
        Input::Step(from) => Some(*from),
        Input::Client(_) => None,
    })
}

/// The steps at `places`, in their order. Steps that these take and that are not among them stay as sums of nothing, of
/// which only the rank is read.
fn excerpt(steps: &[Step], mut places: Vec<usize>) -> Vec<Step> {
    places.sort_unstable();
    places.dedup();
    let mut all: Vec<usize> = places.iter().flat_map(|place| inputs(&steps[*place])).chain(places.clone()).collect();
    all.sort_unstable();
    all.dedup();
    let renumbered = |input: &Input| match input {
        Input::Step(from) => Input::Step(all.binary_search(from).unwrap_or_default()),
        client => *client,
    };
    let shown = |place: &usize| {
        let step = &steps[*place];
        let Step { rank, range, kind, level, shards, .. } = *step;
        match places.binary_search(place) {
            Ok(_) => Step { rank, range, inputs: step.inputs.iter().map(renumbered).collect(), kind, level, shards },
            Err(_) => {
                let kind = Kind::Sum { weight: 1.0, divided: false };
                Step { rank, range, inputs: Vec::new(), kind, level, shards }
            }
        }
    };
    all.iter().map(shown).collect()
}

/// A plan reduced to what one rank's lowering reads.
pub struct Neighbourhood<'a> {
    plan: &'a dyn Plan,
    parts: Vec<Vec<Step>>,
}

impl Plan for Neighbourhood<'_> {
    fn parts(&self) -> u64 {
        self.parts.len() as u64
    }

    fn part(&self, part: u64) -> Vec<Step> {
        self.parts[part as usize].clone()
    }

    fn wanted(&self, problem: &Problem, layout: &Layout, rank: usize) -> Range {
        self.plan.wanted(problem, layout, rank)
    }

    fn in_rounds(&self) -> bool {
        self.plan.in_rounds()
    }
}
