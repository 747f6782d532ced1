//! The check: before a plan is carried out, show that its result is the sum of every client, once, and that the round ends
//! as the problem asks.

use crate::gradient::Range;
use crate::plan::{Input, Kind, Layout, Plan, Problem, Step};

/// A defect of a plan. Steps are named by their number among all steps of the plan.
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
    /// An input names a client or a step that does not exist.
    #[error("step {step}: input {input:?} does not exist")]
    NoSuchInput {
        /// The step that names it.
        step: u64,
        /// The input.
        input: Input,
    },
    /// A partial sum enters one finished range along two ways.
    #[error("elements {range}: the partial sum of step {step} is counted twice")]
    PartialTwice {
        /// The finished range.
        range: Range,
        /// The step that yields the partial sum.
        step: u64,
    },
    /// A step is not later than one of its inputs, as in a cycle.
    #[error(
        "step {step} on level {level} takes step {input} on level {input_level}: inputs must come earlier (a cycle has none)"
    )]
    NotLater {
        /// The step.
        step: u64,
        /// Its level.
        level: u32,
        /// Its input.
        input: u64,
        /// The input's level.
        input_level: u32,
    },
    /// An input does not cover the elements of the step that takes it.
    #[error("step {step} needs elements {range}, but its input, step {input}, holds only {held}")]
    NotCovered {
        /// The step.
        step: u64,
        /// Its elements.
        range: Range,
        /// The step that it takes.
        input: u64,
        /// The elements of that step.
        held: Range,
    },
    /// Finished sums overlap or leave a gap.
    #[error("finished ranges do not tile the gradient: after element {after} comes {next}")]
    NotTiled {
        /// End of the ranges before.
        after: u64,
        /// The range that follows (or the end of the gradient, as an empty range).
        next: Range,
    },
    /// A weight is not the sum of its clients' weights.
    #[error("step {step}: weight {weight} is not the sum of its clients' weights, {sum}")]
    Weight {
        /// The step.
        step: u64,
        /// The plan's weight.
        weight: f64,
        /// The clients' weights together.
        sum: f64,
    },
    /// A step takes inputs that its kind cannot take, or nobody takes its output.
    #[error("step {step}: {problem}")]
    Misplaced {
        /// The step.
        step: u64,
        /// The reason.
        problem: &'static str,
    },
    /// A rank does not hold what the end wants there, once.
    #[error("the round must end with elements {wanted} on rank {rank}, once; it holds {held}")]
    End {
        /// The rank.
        rank: usize,
        /// The elements that it must hold.
        wanted: Range,
        /// The finished ranges that it holds of these, in element order.
        held: Held,
    },
}

/// Ranges as text: `0..5, 7..9`, or `nothing`.
#[derive(Clone, Debug, PartialEq)]
pub struct Held(pub Vec<Range>);

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("nothing"),
            ranges => f.write_str(&ranges.iter().map(Range::to_string).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// The size of a sound plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Sums: aggregators. A sum over several shards of one owner counts as that many.
    pub aggregators: u64,
    /// Copies of finished ranges.
    pub copies: u64,
    /// Inputs of all sums.
    pub inputs: u64,
    /// Inputs of sums and copies that cross from one rank to another.
    pub between_ranks: u64,
    /// Inputs of sums and copies that cross from one node to another.
    pub between_nodes: u64,
    /// Finished ranges.
    pub results: u64,
    /// Levels of aggregation.
    pub levels: u32,
    /// Most inputs of one sum.
    pub most_inputs: u64,
}

/// Checks that every element of the result holds every client exactly once, that finished sums tile the gradient, that
/// every step comes after its inputs and that these cover it, that weights add up, and that at the end every rank holds
/// what the end wants there, once.
///
/// Time grows with the number of inputs; memory with clients, ranks, shards and the steps of one part.
///
/// # Errors
/// The first fault.
pub fn check(plan: &dyn Plan, problem: &Problem, layout: &Layout) -> Result<Tally, Fault> {
    let mut checker = Checker {
        plan,
        problem,
        layout,
        seen: vec![0; problem.clients() as usize],
        stamp: 0,
        wanted: (0..layout.ranks()).map(|rank| plan.wanted(problem, layout, rank)).collect(),
        held: vec![0; layout.ranks()],
        finished: Vec::new(),
        tally: Tally::default(),
    };
    for (first, steps) in crate::plan::parts(plan) {
        checker.part(first, &steps)?;
    }
    checker.tally.results = checker.finished.len() as u64;
    tiles(std::mem::take(&mut checker.finished), problem.elements)?;
    checker.ends()?;
    Ok(checker.tally)
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

struct Checker<'a> {
    plan: &'a dyn Plan,
    problem: &'a Problem,
    layout: &'a Layout,
    /// Per client, the last finished range in which it was seen.
    seen: Vec<u64>,
    stamp: u64,
    /// Per rank, the elements that it must hold at the end.
    wanted: Vec<Range>,
    /// Per rank, the [`Range::telescope`] of the finished ranges that it holds, each cut to those elements.
    held: Vec<u64>,
    finished: Vec<Range>,
    tally: Tally,
}

impl Checker<'_> {
    fn part(&mut self, first: u64, steps: &[Step]) -> Result<(), Fault> {
        for (place, step) in steps.iter().enumerate() {
            self.edges(first, steps, place)?;
            let sum = matches!(step.kind, Kind::Sum { .. });
            if sum {
                self.tally.aggregators += step.shards;
                self.tally.inputs += step.inputs.len() as u64;
                self.tally.most_inputs = self.tally.most_inputs.max(step.inputs.len() as u64);
                self.tally.levels = self.tally.levels.max(step.level);
            }
            self.tally.copies += u64::from(step.kind == Kind::Copy);
        }
        let consumers = crate::plan::step::consumers(steps);
        let mut entered = vec![0; steps.len()];
        let mut round = 0;
        for (place, step) in steps.iter().enumerate() {
            self.output(first, steps, place, &consumers[place])?;
            if let Kind::Sum { divided: true, .. } = step.kind {
                round += 1;
                self.stamp += 1;
                let sum = self.expand(first, steps, place, step.range, (&mut entered, round))?;
                self.weight(first + place as u64, step, sum)?;
                self.all_seen(step.range)?;
                self.finished.push(step.range);
            }
            if self.finishes(step) {
                self.held[step.rank] =
                    self.held[step.rank].wrapping_add(self.wanted[step.rank].intersect(step.range).telescope());
            }
        }
        if !self.plan.calls().is_empty() {
            self.library(first, steps)?;
        }
        Ok(())
    }

    /// True if a step's range is finished and stays where it is at the end.
    fn finishes(&self, step: &Step) -> bool {
        match step.kind {
            Kind::Library(call) => call + 1 == self.plan.calls().len(),
            _ => step.is_finished(),
        }
    }

    /// A step's inputs exist, come earlier, are of a kind that it can take, and cover its range.
    fn edges(&mut self, first: u64, steps: &[Step], place: usize) -> Result<(), Fault> {
        let (number, step) = (first + place as u64, &steps[place]);
        let wrong = |problem| Err(Fault::Misplaced { step: number, problem });
        if step.rank >= self.layout.ranks() {
            return wrong("its rank does not exist");
        }
        if step.shards == 0 {
            return wrong("it covers no shard");
        }
        let hosts = self.layout.aggregator_ranks().binary_search(&step.rank).is_ok();
        if matches!(step.kind, Kind::Sum { .. }) && !hosts && self.plan.calls().is_empty() {
            return wrong("it is a sum on a rank that hosts no aggregator");
        }
        if step.kind == Kind::Copy && step.inputs.len() != 1 {
            return wrong("a copy has one input");
        }
        for &input in &step.inputs {
            let from = match input {
                Input::Client(client) if client < self.problem.clients() => {
                    if !matches!(step.kind, Kind::Sum { .. }) {
                        return wrong("it takes a client's gradient and does not sum");
                    }
                    self.layout.rank_of_client(client, self.problem.clients())
                }
                Input::Step(from) if from < steps.len() => {
                    let source = &steps[from];
                    let fits = match step.kind {
                        Kind::Sum { .. } => source.is_partial(),
                        Kind::Copy => source.is_finished(),
                        Kind::Library(_) => !source.is_finished(),
                    };
                    if !fits {
                        return wrong(
                            "it takes a step of a kind that it cannot take: sums take partial sums, copies take finished ranges",
                        );
                    }
                    if source.level >= step.level {
                        let (level, input_level) = (step.level, source.level);
                        return Err(Fault::NotLater { step: number, level, input: first + from as u64, input_level });
                    }
                    if !matches!(step.kind, Kind::Library(_)) && !source.range.contains(step.range) {
                        let (range, held) = (step.range, source.range);
                        return Err(Fault::NotCovered { step: number, range, input: first + from as u64, held });
                    }
                    source.rank
                }
                input => return Err(Fault::NoSuchInput { step: number, input }),
            };
            if !matches!(step.kind, Kind::Library(_)) {
                self.tally.between_ranks += u64::from(from != step.rank);
                self.tally.between_nodes += u64::from(!self.layout.same_node(from, step.rank));
            }
        }
        Ok(())
    }

    /// A partial sum is taken; a copy is wanted where it is, or passed on.
    fn output(&self, first: u64, steps: &[Step], place: usize, consumers: &[usize]) -> Result<(), Fault> {
        let step = &steps[place];
        let wrong = |problem| Err(Fault::Misplaced { step: first + place as u64, problem });
        if step.is_partial() && consumers.is_empty() {
            return wrong("nobody takes its partial sum");
        }
        let unwanted = self.wanted[step.rank].intersect(step.range).is_empty();
        if step.kind == Kind::Copy && unwanted && consumers.is_empty() && !step.range.is_empty() {
            return wrong("nobody needs the copy");
        }
        Ok(())
    }

    /// Visits everything that enters the sum at `place`, restricted to `range`; returns the sum of its clients' weights.
    /// The depth of the recursion is at most the number of levels.
    fn expand(
        &mut self,
        first: u64,
        steps: &[Step],
        place: usize,
        range: Range,
        (entered, round): (&mut Vec<u64>, u64),
    ) -> Result<f64, Fault> {
        let mut sum = 0.0;
        for input in &steps[place].inputs {
            match *input {
                Input::Client(client) => {
                    let seen = &mut self.seen[client as usize];
                    if *seen == self.stamp {
                        return Err(Fault::ClientTwice { range, client });
                    }
                    *seen = self.stamp;
                    sum += self.problem.weights[client as usize];
                }
                Input::Step(from) => {
                    let number = first + from as u64;
                    if entered[from] == round {
                        return Err(Fault::PartialTwice { range, step: number });
                    }
                    entered[from] = round;
                    let part = self.expand(first, steps, from, range, (&mut *entered, round))?;
                    self.weight(number, &steps[from], part)?;
                    sum += part;
                }
            }
        }
        Ok(sum)
    }

    fn weight(&self, number: u64, step: &Step, sum: f64) -> Result<(), Fault> {
        let Kind::Sum { weight, .. } = step.kind else { return Ok(()) };
        // Both are sums of the same numbers, perhaps in another order.
        if (weight - sum).abs() <= 1e-12 * sum.abs() {
            return Ok(());
        }
        Err(Fault::Weight { step: number, weight, sum })
    }

    fn all_seen(&self, range: Range) -> Result<(), Fault> {
        match (0..self.problem.clients()).find(|k| self.seen[*k as usize] != self.stamp) {
            Some(client) => Err(Fault::ClientMissing { range, client }),
            None => Ok(()),
        }
    }

    /// The calls of the library: one local sum of the whole gradient on every rank, every client in one of them, and every
    /// call joined by every rank. The calls themselves are the library's to answer for.
    fn library(&mut self, first: u64, steps: &[Step]) -> Result<(), Fault> {
        let whole = Range::new(0, self.problem.elements);
        let ranks = self.layout.ranks();
        self.stamp += 1;
        let mut entered = vec![0; steps.len()];
        for (place, step) in steps.iter().enumerate() {
            let wrong = |problem| Err(Fault::Misplaced { step: first + place as u64, problem });
            if step.rank != place % ranks {
                return wrong("every rank takes part in each call once, in rank order");
            }
            match step.kind {
                Kind::Sum { .. } if place < ranks => {
                    if step.range != whole {
                        return wrong("it does not enter the collective whole");
                    }
                    let sum = self.expand(first, steps, place, whole, (&mut entered, 1))?;
                    self.weight(first + place as u64, step, sum)?;
                }
                Kind::Library(call) if place / ranks == call + 1 => {}
                _ => return wrong("local sums come first, then the calls in order"),
            }
        }
        if steps.len() != ranks * (1 + self.plan.calls().len()) || !self.plan.calls()[0].reduces() {
            return Err(Fault::Misplaced { step: first, problem: "the calls do not begin with one that sums" });
        }
        self.finished.push(whole);
        self.all_seen(whole)
    }

    /// Every rank holds what it must.
    fn ends(&self) -> Result<(), Fault> {
        let whole = Range::new(0, self.problem.elements);
        if self.problem.end == crate::plan::End::Scattered {
            tiles(self.wanted.clone(), whole.end)?;
        }
        match (0..self.layout.ranks()).find(|rank| self.held[*rank] != self.wanted[*rank].telescope()) {
            None => Ok(()),
            Some(rank) => {
                let steps = (0..self.plan.parts()).flat_map(|part| self.plan.part(part));
                let here = steps.filter(|step| step.rank == rank && self.finishes(step));
                let mut held: Vec<Range> = here.map(|step| self.wanted[rank].intersect(step.range)).collect();
                held.retain(|range| !range.is_empty());
                held.sort_by_key(|range| (range.start, range.end));
                Err(Fault::End { rank, wanted: self.wanted[rank], held: Held(held) })
            }
        }
    }
}
