//! The check: before a plan is carried out, show that its result is the sum of every client, once.

use std::collections::HashSet;

use crate::gradient::Range;
use crate::plan::{Aggregator, Input, Layout, Output, Plan, Problem};

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// A client enters a finished range more than once.
    #[error("elements {range}: client {client} is summed more than once")]
    ClientTwice {
        /// The finished range.
        range: Range,
        /// The client.
        client: u64,
    },
    /// A client does not enter a finished range.
    #[error("elements {range}: client {client} is missing")]
    ClientMissing {
        /// The finished range.
        range: Range,
        /// The first client that is missing.
        client: u64,
    },
    /// An input names a client or an aggregator that does not exist.
    #[error("aggregator {aggregator}: input {input:?} does not exist")]
    NoSuchInput {
        /// The aggregator that names it.
        aggregator: u64,
        /// What it names.
        input: Input,
    },
    /// An aggregator is reached twice on the way to one finished range: a cycle, or a partial sum counted twice.
    #[error("elements {range}: aggregator {aggregator} enters twice (a cycle, or its sum is counted twice)")]
    AggregatorTwice {
        /// The finished range.
        range: Range,
        /// The aggregator.
        aggregator: u64,
    },
    /// An input does not cover the elements that are summed.
    #[error("aggregator {aggregator} sums elements {range}, but its input {input} holds only {held}")]
    NotCovered {
        /// The aggregator.
        aggregator: u64,
        /// What it sums.
        range: Range,
        /// The aggregator that it takes.
        input: u64,
        /// What that one holds.
        held: Range,
    },
    /// Finished ranges overlap or leave a gap.
    #[error("finished ranges do not tile the gradient: after element {after} comes {next}")]
    NotTiled {
        /// End of the ranges before.
        after: u64,
        /// The range that follows (or the end of the gradient, as an empty range).
        next: Range,
    },
    /// A weight is not the sum of its clients' weights.
    #[error("aggregator {aggregator}: weight {weight} is not the sum of its clients' weights, {sum}")]
    Weight {
        /// The aggregator.
        aggregator: u64,
        /// What the plan says.
        weight: f64,
        /// What its clients add up to.
        sum: f64,
    },
    /// An aggregator's own description and the plan's other answers disagree.
    #[error("the plan contradicts itself: {0}")]
    Contradiction(String),
    /// A partial sum that nobody takes, or a result that somebody does.
    #[error("aggregator {aggregator}: {problem}")]
    Output {
        /// The aggregator.
        aggregator: u64,
        /// What is wrong.
        problem: &'static str,
    },
}

/// What a sound plan amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// Aggregators.
    pub aggregators: u64,
    /// Inputs of all aggregators.
    pub inputs: u64,
    /// Inputs that cross from one rank to another.
    pub between_ranks: u64,
    /// Inputs that cross from one node to another.
    pub between_nodes: u64,
    /// Finished ranges.
    pub results: u64,
    /// Levels of aggregation.
    pub levels: u32,
    /// Most inputs of one aggregator.
    pub most_inputs: u64,
}

/// Checks that every element of the result holds every client exactly once, that finished ranges tile the gradient,
/// that there is no cycle, that weights add up, and that the plan's answers agree with each other.
///
/// Time grows with the number of inputs; memory with clients + aggregators, never with their product.
pub fn check(plan: &dyn Plan, problem: &Problem, layout: &Layout) -> Result<Verdict, Fault> {
    let mut checker = Checker {
        plan,
        problem,
        layout,
        seen: vec![0; problem.clients() as usize],
        stamp: 0,
        verdict: Verdict { aggregators: plan.aggregators(), ..Verdict::default() },
    };
    checker.edges()?;
    let mut finished = Vec::new();
    if plan.collective().is_some() {
        checker.collective(&mut finished)?;
    } else {
        for id in 0..plan.aggregators() {
            let aggregator = plan.aggregator(id);
            if aggregator.output == Output::Result {
                checker.next_stamp();
                checker.expand_result(&aggregator)?;
                checker.all_seen(aggregator.range, 0..problem.clients())?;
                finished.push(aggregator.range);
            }
        }
    }
    checker.verdict.results = finished.len() as u64;
    tiles(finished, problem.elements)?;
    Ok(checker.verdict)
}

fn tiles(mut finished: Vec<Range>, elements: u64) -> Result<(), Fault> {
    finished.sort_by_key(|range| (range.start, range.end));
    let mut after = 0;
    for range in finished.into_iter().filter(|range| !range.is_empty()) {
        if range.start != after {
            return Err(Fault::NotTiled { after, next: range });
        }
        after = range.end;
    }
    if after != elements {
        return Err(Fault::NotTiled { after, next: Range::new(elements, elements) });
    }
    Ok(())
}

/// Mixes an edge into 64 bits, so that two sets of edges can be compared by their sums (as multisets, up to a chance
/// of 2⁻⁶⁴) without keeping them. Finaliser of splitmix64 (Steele, Lea, Flood 2014).
fn edge_hash(input: Input, consumer: u64) -> u64 {
    let (kind, from) = match input {
        Input::Client(k) => (0x9e37_79b9_7f4a_7c15, k),
        Input::Aggregator(id) => (0xd1b5_4a32_d192_ed03, id),
    };
    let mix = |mut x: u64| {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    mix(mix(from.wrapping_add(kind)).wrapping_add(consumer))
}

struct Checker<'a> {
    plan: &'a dyn Plan,
    problem: &'a Problem,
    layout: &'a Layout,
    /// Per client, the last finished range in which it was seen.
    seen: Vec<u64>,
    stamp: u64,
    verdict: Verdict,
}

impl Checker<'_> {
    fn next_stamp(&mut self) {
        self.stamp += 1;
    }

    /// What aggregators say of themselves against what `on_rank` and `consumers` say.
    fn edges(&mut self) -> Result<(), Fault> {
        let (plan, clients) = (self.plan, self.problem.clients());
        let (mut backward, mut hosts) = (0u64, 0u64);
        for id in 0..plan.aggregators() {
            let aggregator = plan.aggregator(id);
            if aggregator.id != id {
                return Err(Fault::Contradiction(format!("aggregator {id} calls itself {}", aggregator.id)));
            }
            if self.layout.aggregator_ranks().binary_search(&aggregator.rank).is_err()
                && aggregator.output != Output::Collective
            {
                let rank = aggregator.rank;
                return Err(Fault::Contradiction(format!("aggregator {id} is on rank {rank}, which hosts none")));
            }
            hosts = hosts.wrapping_add(edge_hash(Input::Aggregator(id), aggregator.rank as u64));
            self.verdict.inputs += aggregator.inputs.len() as u64;
            self.verdict.most_inputs = self.verdict.most_inputs.max(aggregator.inputs.len() as u64);
            self.verdict.levels = self.verdict.levels.max(aggregator.level);
            for input in &aggregator.inputs {
                let from = match *input {
                    Input::Client(k) if k < clients => self.layout.rank_of_client(k, clients),
                    Input::Aggregator(other) if other < plan.aggregators() => plan.rank_of(other),
                    input => return Err(Fault::NoSuchInput { aggregator: id, input }),
                };
                self.verdict.between_ranks += u64::from(from != aggregator.rank);
                self.verdict.between_nodes += u64::from(!self.layout.same_node(from, aggregator.rank));
                backward = backward.wrapping_add(edge_hash(*input, id));
            }
        }
        let mut forward = 0u64;
        for client in 0..clients {
            for consumer in plan.consumers(Input::Client(client)) {
                forward = forward.wrapping_add(edge_hash(Input::Client(client), consumer));
            }
        }
        for id in 0..plan.aggregators() {
            let consumers = plan.consumers(Input::Aggregator(id));
            match plan.aggregator(id).output {
                Output::Partial if consumers.is_empty() => {
                    return Err(Fault::Output { aggregator: id, problem: "nobody takes its partial sum" });
                }
                Output::Result | Output::Collective if !consumers.is_empty() => {
                    return Err(Fault::Output { aggregator: id, problem: "somebody takes what is not a partial sum" });
                }
                _ => {}
            }
            for consumer in consumers {
                forward = forward.wrapping_add(edge_hash(Input::Aggregator(id), consumer));
            }
        }
        if forward != backward {
            return Err(Fault::Contradiction("consumers() and the aggregators' inputs differ".into()));
        }
        let mut hosted = 0u64;
        for rank in 0..self.layout.ranks() {
            for id in plan.on_rank(rank) {
                hosted = hosted.wrapping_add(edge_hash(Input::Aggregator(id), rank as u64));
            }
        }
        if hosted != hosts {
            return Err(Fault::Contradiction("on_rank() and the aggregators' ranks differ".into()));
        }
        Ok(())
    }

    fn expand_result(&mut self, result: &Aggregator) -> Result<(), Fault> {
        let mut entered = HashSet::new();
        let sum = self.expand(result, result.range, &mut entered)?;
        self.weight(result, sum)
    }

    /// Visits everything that enters `aggregator`, restricted to `range`; returns the sum of its clients' weights.
    /// Depth is bounded by the number of levels, as no aggregator is entered twice.
    fn expand(&mut self, aggregator: &Aggregator, range: Range, entered: &mut HashSet<u64>) -> Result<f64, Fault> {
        let mut sum = 0.0;
        for input in &aggregator.inputs {
            match *input {
                Input::Client(client) => {
                    let seen = &mut self.seen[client as usize];
                    if *seen == self.stamp {
                        return Err(Fault::ClientTwice { range, client });
                    }
                    *seen = self.stamp;
                    sum += self.problem.weights[client as usize];
                }
                Input::Aggregator(id) => {
                    if !entered.insert(id) {
                        return Err(Fault::AggregatorTwice { range, aggregator: id });
                    }
                    let source = self.plan.aggregator(id);
                    if !source.range.contains(range) {
                        return Err(Fault::NotCovered {
                            aggregator: aggregator.id,
                            range,
                            input: id,
                            held: source.range,
                        });
                    }
                    let part = self.expand(&source, range, entered)?;
                    self.weight(&source, part)?;
                    sum += part;
                }
            }
        }
        Ok(sum)
    }

    fn weight(&self, aggregator: &Aggregator, sum: f64) -> Result<(), Fault> {
        // Both are sums of the same numbers, perhaps in another order.
        let slack = 1e-12 * sum.abs();
        if (aggregator.weight - sum).abs() <= slack {
            return Ok(());
        }
        Err(Fault::Weight { aggregator: aggregator.id, weight: aggregator.weight, sum })
    }

    fn all_seen(&self, range: Range, clients: std::ops::Range<u64>) -> Result<(), Fault> {
        match clients.into_iter().find(|k| self.seen[*k as usize] != self.stamp) {
            Some(client) => Err(Fault::ClientMissing { range, client }),
            None => Ok(()),
        }
    }

    /// Local sums that enter a collective: over all of them every client once, and one on every rank.
    fn collective(&mut self, finished: &mut Vec<Range>) -> Result<(), Fault> {
        let whole = Range::new(0, self.problem.elements);
        self.next_stamp();
        for rank in 0..self.layout.ranks() {
            let ids = self.plan.on_rank(rank);
            let [id] = ids[..] else {
                return Err(Fault::Contradiction(format!("rank {rank} has {} local sums, not 1", ids.len())));
            };
            let aggregator = self.plan.aggregator(id);
            if aggregator.output != Output::Collective || aggregator.range != whole {
                return Err(Fault::Output { aggregator: id, problem: "it does not enter the collective whole" });
            }
            self.expand_result(&aggregator)?;
            finished.push(self.plan.collective_range(rank));
        }
        self.all_seen(whole, 0..self.problem.clients())
    }
}
