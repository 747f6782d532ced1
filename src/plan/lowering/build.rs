//! From a plan's steps to the tasks and streams of one rank.

use std::collections::HashMap;

use crate::plan::step::consumers;
use crate::plan::{Call, Flow, Input, IntraNode, Kind, Layout, Order, Plan, Problem, Residency, Step, Terms};

use super::placing::{Addresses, place_result, place_sums};
use super::streams::{self, InEdges, OutEdge, OutEdges, StreamKey};
use super::{
    CopyTask, Feed, Hold, InSegment, Kept, LibraryCall, Lowering, Origin, OutSegment, SumTask, Taker, TaskRef,
};

/// Elements of a piece of a local sum that feeds a collective. It is no transfer, so the experiment's flow does not apply.
const LOCAL_SUM_PIECE: u64 = 64 * 1024;
/// Pieces that an aggregator may still owe to its consumer while it sums the next one.
const RING: u64 = 2;
/// Inputs that arrive whole while another is being summed.
const WHOLE_SLOTS: u64 = 2;
/// Pieces in flight to one aggregator, at most: beyond it, more of them buy no speed.
const MOST_SLOTS: u64 = 256;
/// Bytes of pieces in flight to one aggregator, at most, however many inputs it has: its memory must not grow with N.
/// Two pieces there are always.
const MOST_IN_FLIGHT: u64 = 6 << 20;

/// The memory in which a step's elements are.
#[derive(Clone, Copy)]
struct Spot {
    /// The rank that holds them.
    rank: usize,
    /// The task there; None for ranks whose memory this rank cannot reach.
    number: Option<usize>,
    /// First element that the task holds.
    start: u64,
    /// The client whose gradient stands for the step: it is a partial sum of one client of its own rank.
    client: Option<u64>,
}

/// One part of the plan while it is read.
struct Reading<'s> {
    part: u64,
    first: u64,
    steps: &'s [Step],
    consumers: Vec<Vec<usize>>,
    spots: Vec<Spot>,
}

/// One input of a step as the ranks move it.
#[derive(Clone, Copy)]
struct InputEdge {
    /// The rank that has it.
    from: usize,
    /// The client; None for a partial sum.
    client: Option<u64>,
    /// Place of the step that yields it; None for a client that the plan names itself.
    step: Option<usize>,
}

/// The client whose gradient may travel in the place of the step's sum. Where partial sums are wider than gradients,
/// only those that leave first are replaced, as a message has elements of one type.
pub fn stands_for(step: &Step, problem: &Problem, layout: &Layout, terms: &Terms) -> Option<u64> {
    let [Input::Client(client)] = step.inputs[..] else { return None };
    let narrow = terms.dtype.size() < terms.dtype.accumulator_size();
    let own = layout.rank_of_client(client, problem.clients()) == step.rank;
    (step.is_partial() && own && (step.level == 1 || !narrow)).then_some(client)
}

pub struct Builder<'a> {
    plan: &'a dyn Plan,
    problem: &'a Problem,
    layout: &'a Layout,
    terms: Terms,
    /// How data moves through calls of the library.
    calls_in: Flow,
    rank: usize,
    /// Tasks so far, of every rank whose memory this rank can reach.
    numbers: HashMap<usize, usize>,
    lowering: Lowering,
    outgoing: OutEdges,
    incoming: InEdges,
    /// For each sum, the order in which sums leave: by receiver, level and part.
    leaves: Vec<(usize, u32, u64)>,
}

impl<'a> Builder<'a> {
    pub fn new(plan: &'a dyn Plan, problem: &'a Problem, layout: &'a Layout, terms: Terms, rank: usize) -> Self {
        // The flow of a plan with calls of the library is that of the calls. The sums before them are whole.
        let flow = if plan.calls().is_empty() { terms.flow } else { Flow::Whole };
        Builder {
            plan,
            problem,
            layout,
            terms: Terms { flow, ..terms },
            calls_in: terms.flow,
            rank,
            numbers: HashMap::new(),
            lowering: Lowering::default(),
            outgoing: OutEdges::new(),
            incoming: InEdges::new(),
            leaves: Vec::new(),
        }
    }

    pub fn lower(mut self) -> Lowering {
        let mut first = 0;
        for part in 0..self.plan.parts() {
            let steps = self.plan.part(part);
            let spots = self.spots(&steps);
            let reading = Reading { part, first, consumers: consumers(&steps), steps: &steps, spots };
            self.tasks(&reading);
            self.messages(&reading);
            self.kept(&reading);
            first += steps.len() as u64;
        }
        self.calls();
        place_sums(&mut self.lowering, &self.terms, self.plan.in_rounds().then_some(&self.leaves));
        place_result(&mut self.lowering);
        self.streams();
        self.lowering.tasks = self.numbers.get(&self.rank).copied().unwrap_or(0);
        self.lowering
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        from == to || (self.terms.intra_node == IntraNode::Shared && self.layout.same_node(from, to))
    }

    fn next_number(&mut self, rank: usize) -> Option<usize> {
        if !self.reaches(rank, self.rank) {
            return None;
        }
        let next = self.numbers.entry(rank).or_insert(0);
        *next += 1;
        Some(*next - 1)
    }

    fn spots(&mut self, steps: &[Step]) -> Vec<Spot> {
        let mut spots: Vec<Spot> = Vec::with_capacity(steps.len());
        let library = !self.plan.calls().is_empty();
        for step in steps {
            let client = if library { None } else { stands_for(step, self.problem, self.layout, &self.terms) };
            let own = |number| Spot { rank: step.rank, number, start: step.range.start, client };
            let spot = match (step.kind, step.inputs.first()) {
                (Kind::Library(_), _) => own(None),
                (Kind::Copy, Some(Input::Step(from))) if self.reaches(spots[*from].rank, step.rank) => spots[*from],
                _ if client.is_some() => own(None),
                _ => own(self.next_number(step.rank)),
            };
            spots.push(spot);
        }
        spots
    }

    fn edge(&self, reading: &Reading<'_>, input: Input) -> InputEdge {
        match input {
            Input::Client(client) => {
                let from = self.layout.rank_of_client(client, self.problem.clients());
                InputEdge { from, client: Some(client), step: None }
            }
            Input::Step(step) => {
                InputEdge { from: reading.steps[step].rank, client: reading.spots[step].client, step: Some(step) }
            }
        }
    }

    /// True if `rank` sums the edge's elements where they lie, or produces them.
    fn at_hand(&self, edge: InputEdge, rank: usize) -> bool {
        match (edge.client, self.terms.residency) {
            (Some(_), Residency::Streamed) => edge.from == rank,
            _ => self.reaches(edge.from, rank),
        }
    }

    fn feed(&self, reading: &Reading<'_>, edge: InputEdge) -> Feed {
        let InputEdge { from, client, step } = edge;
        match (client, step) {
            (Some(client), _) if self.at_hand(edge, self.rank) => match self.terms.residency {
                Residency::Resident => Feed::Resident { client, rank: from },
                Residency::Streamed => Feed::Produced { client },
            },
            (None, Some(step)) if self.at_hand(edge, self.rank) => {
                let number = reading.spots[step].number.unwrap_or_default();
                let range = reading.steps[step].range;
                Feed::Growing { task: TaskRef { rank: from, number }, range, hold: self.hold(reading, step).0 }
            }
            _ if self.plan.in_rounds() => Feed::Delivered { client, rank: from },
            // The tag is known when all streams are.
            _ => Feed::Received { client, rank: from, tag: 0 },
        }
    }

    /// Returns the memory that keeps the sum at `place`, and whether a neighbour reads it.
    fn hold(&self, reading: &Reading<'_>, place: usize) -> (Hold, bool) {
        let step = &reading.steps[place];
        let Kind::Sum { divided, weight } = step.kind else { return (Hold::Result, false) };
        if divided {
            return (Hold::Result, false);
        }
        if let Some(call) = self.plan.calls().first() {
            let alone = step.inputs.len() == 1 && weight == 1.0 && self.terms.residency == Residency::Resident;
            let same_type = self.terms.dtype.size() == self.terms.dtype.accumulator_size();
            let fits = self.room(step, Some(*call)) == step.range.len();
            return (if alone && same_type && fits { Hold::PassThrough } else { Hold::Full }, false);
        }
        let consumers = &reading.consumers[place];
        let takers = || consumers.iter().map(|consumer| &reading.steps[*consumer]);
        let exported = takers().any(|taker| taker.rank != step.rank && self.reaches(step.rank, taker.rank));
        let streams = consumers.len() == 1 && takers().all(|taker| taker.range == step.range) && !self.plan.in_rounds();
        let pieces = self.terms.flow.pieces(step.range.len());
        (if streams { Hold::Ring(RING.min(pieces)) } else { Hold::Full }, exported)
    }

    fn room(&self, step: &Step, call: Option<Call>) -> u64 {
        call.map_or(step.range.len(), |call| call.input_elements(self.problem.elements, self.layout.ranks()))
    }

    /// This rank's sums and copies.
    fn tasks(&mut self, reading: &Reading<'_>) {
        for (place, step) in reading.steps.iter().enumerate() {
            let spot = reading.spots[place];
            if spot.rank == self.rank && step.rank != self.rank && step.kind == Kind::Copy {
                self.lowering.shares_result = true;
            }
            let Some(number) = spot.number.filter(|_| step.rank == self.rank && spot.rank == self.rank) else {
                continue;
            };
            match step.kind {
                Kind::Sum { .. } => {
                    let task = self.sum(reading, place, number);
                    self.lowering.sums.push(task);
                    let taker = reading.consumers[place].first().map_or(usize::MAX, |taker| reading.steps[*taker].rank);
                    self.leaves.push((taker, step.level, reading.part));
                }
                // A copy whose elements lie on this rank already is no task.
                Kind::Copy if self.is_message(reading, place) => {
                    let Some(Input::Step(from)) = step.inputs.first() else { continue };
                    self.lowering.copies.push(CopyTask { number, range: step.range, result_at: 0 });
                    let segment = InSegment { target: Taker::Copy { number }, range: step.range, wide: false };
                    let key = (reading.steps[*from].rank, StreamKey::Copies(step.level));
                    self.incoming.entry(key).or_default().push(segment);
                }
                Kind::Copy | Kind::Library(_) => {}
            }
        }
    }

    /// True if the copy at `place` moves its elements.
    fn is_message(&self, reading: &Reading<'_>, place: usize) -> bool {
        let step = &reading.steps[place];
        match step.inputs.first() {
            Some(Input::Step(from)) => !self.reaches(reading.spots[*from].rank, step.rank),
            _ => false,
        }
    }

    fn sum(&mut self, reading: &Reading<'_>, place: usize, number: usize) -> SumTask {
        let step = &reading.steps[place];
        let edges: Vec<InputEdge> = step.inputs.iter().map(|input| self.edge(reading, *input)).collect();
        let mut feeds: Vec<Feed> = edges.iter().map(|edge| self.feed(reading, *edge)).collect();
        let first = match self.terms.order {
            Order::Rotated if !self.plan.in_rounds() => edges.iter().position(|edge| edge.from >= self.rank),
            _ => None,
        };
        let first = first.unwrap_or(0);
        feeds.rotate_left(first);
        let task = self.lowering.sums.len();
        for (input, edge) in edges.iter().enumerate() {
            if self.at_hand(*edge, self.rank) {
                continue;
            }
            let feed = (input + edges.len() - first) % edges.len();
            let segment =
                InSegment { target: Taker::Sum { task, feed }, range: step.range, wide: edge.client.is_none() };
            let key = (edge.from, self.key(reading, place, input, *edge));
            self.incoming.entry(key).or_default().push(segment);
        }
        let library = self.plan.calls().first().copied();
        let range = step.range;
        let (piece, pieces) = match library {
            Some(_) => (LOCAL_SUM_PIECE.min(range.len().max(1)), range.len().div_ceil(LOCAL_SUM_PIECE)),
            None => (self.terms.flow.piece(range.len()), self.terms.flow.pieces(range.len())),
        };
        let (hold, exported) = self.hold(reading, place);
        let (slots, slot_bytes) = self.slots(&feeds, piece, pieces, library.is_some());
        let in_rounds = self.plan.in_rounds();
        let narrow = self.terms.dtype.size() < self.terms.dtype.accumulator_size();
        let gated = feeds.iter().any(|feed| feed.is_gated());
        let scratch = match hold {
            Hold::Result if narrow && in_rounds => range.len(),
            Hold::Result if narrow && gated && pieces > 0 => piece,
            _ => 0,
        };
        let Kind::Sum { weight, .. } = step.kind else { unreachable!("only sums become sum tasks") };
        SumTask {
            step: reading.first + place as u64,
            number,
            range,
            shards: step.shards,
            weight,
            room: self.room(step, library),
            feeds,
            in_rounds,
            piece,
            pieces,
            slots,
            slot_bytes,
            hold,
            hold_at: 0,
            result_at: 0,
            scratch,
            exported,
        }
    }

    /// Slots of a sum for pieces in flight, and bytes of one.
    fn slots(&self, feeds: &[Feed], piece: u64, pieces: u64, library: bool) -> (u64, u64) {
        let staged = || feeds.iter().filter(|feed| feed.is_staged());
        let count = staged().count() as u64;
        let width = |feed: &Feed| {
            if feed.is_wide() { self.terms.dtype.accumulator_size() } else { self.terms.dtype.size() }
        };
        let slot_bytes = staged().map(width).max().unwrap_or(0) as u64 * piece;
        let most = MOST_SLOTS.min((MOST_IN_FLIGHT / slot_bytes.max(1)).max(2));
        let in_flight = match self.terms.flow {
            // Clients of this rank are produced one after another.
            _ if self.plan.in_rounds() => 1,
            Flow::Whole if !library => WHOLE_SLOTS,
            // In any other order than the senders' every input of a piece needs a slot, or ranks could wait for each
            // other in a circle.
            _ if self.terms.order != Order::Client => (2 * count).min(most.max(count)),
            _ => (2 * count).min(most),
        };
        (in_flight.min(count * pieces), slot_bytes)
    }

    fn key(&self, reading: &Reading<'_>, place: usize, input: usize, edge: InputEdge) -> StreamKey {
        match (self.plan.in_rounds(), edge.step, edge.client) {
            (true, Some(step), _) => StreamKey::Sums(reading.steps[step].level),
            (true, None, Some(client)) => StreamKey::Client(client),
            _ => StreamKey::Input(reading.part, place, input),
        }
    }

    /// The edges that leave this rank.
    fn messages(&mut self, reading: &Reading<'_>) {
        for (place, step) in reading.steps.iter().enumerate().filter(|(_, step)| step.rank != self.rank) {
            match step.kind {
                Kind::Sum { .. } => {
                    let mut turns: Option<bool> = None;
                    for (input, from) in step.inputs.iter().enumerate() {
                        let edge = self.edge(reading, *from);
                        if edge.from != self.rank || self.at_hand(edge, step.rank) {
                            continue;
                        }
                        let in_turns = *turns.get_or_insert_with(|| self.takes_turns(reading, step));
                        let key = (step.rank, self.key(reading, place, input, edge));
                        let segment = self.out_segment(reading, edge, step);
                        let level = edge.step.map_or(0, |from| reading.steps[from].level as usize);
                        let turn = if self.plan.in_rounds() { level } else { input };
                        self.outgoing.entry(key).or_default().push(OutEdge { segment, in_turns, turn });
                    }
                }
                Kind::Copy if self.is_message(reading, place) => {
                    let Some(Input::Step(from)) = step.inputs.first() else { continue };
                    if reading.steps[*from].rank == self.rank {
                        let spot = reading.spots[*from];
                        let task = TaskRef { rank: spot.rank, number: spot.number.unwrap_or_default() };
                        let origin = Origin::Task { task, start: spot.start, ring: None };
                        let segment = OutSegment { origin, range: step.range, wide: false };
                        let key = (step.rank, StreamKey::Copies(step.level));
                        let edge = OutEdge { segment, in_turns: false, turn: step.level as usize };
                        self.outgoing.entry(key).or_default().push(edge);
                    }
                }
                Kind::Copy | Kind::Library(_) => {}
            }
        }
    }

    fn out_segment(&self, reading: &Reading<'_>, edge: InputEdge, consumer: &Step) -> OutSegment {
        let range = consumer.range;
        match (edge.client, edge.step) {
            (None, Some(step)) => {
                let spot = reading.spots[step];
                let ring = match self.hold(reading, step).0 {
                    Hold::Ring(pieces) => Some(pieces.max(1)),
                    _ => None,
                };
                let task = TaskRef { rank: spot.rank, number: spot.number.unwrap_or_default() };
                OutSegment { origin: Origin::Task { task, start: spot.start, ring }, range, wide: true }
            }
            (client, _) => {
                OutSegment { origin: Origin::Gradient { client: client.unwrap_or_default() }, range, wide: false }
            }
        }
    }

    /// True if `consumer` takes, piece by piece and in the plan's order, what depends on no message: clients' gradients,
    /// and sums of gradients that their ranks have at hand. If it waited for another aggregator, and that one for a rank
    /// whose turn it is to send to `consumer`, nothing would ever move.
    fn takes_turns(&self, reading: &Reading<'_>, consumer: &Step) -> bool {
        let resident = |rank: usize, input: &Input| match input {
            Input::Client(client) => {
                let host = self.layout.rank_of_client(*client, self.problem.clients());
                self.terms.residency == Residency::Resident && self.reaches(host, rank)
            }
            Input::Step(_) => false,
        };
        let ready = |input: &Input| match input {
            Input::Client(_) => true,
            Input::Step(from) => {
                let source = &reading.steps[*from];
                reading.spots[*from].client.is_some() || source.inputs.iter().all(|input| resident(source.rank, input))
            }
        };
        // Whole objects are few, and their receivers take them in an order of their own.
        matches!(self.terms.flow, Flow::Chunk { .. })
            && self.terms.order != Order::Rotated
            && !self.plan.in_rounds()
            && consumer.inputs.iter().all(ready)
    }

    /// The ranges that the end wants on this rank.
    fn kept(&mut self, reading: &Reading<'_>) {
        let wanted = self.plan.wanted(self.problem, self.layout, self.rank);
        for (place, step) in reading.steps.iter().enumerate().filter(|(_, step)| step.rank == self.rank) {
            let spot = reading.spots[place];
            let range = step.range.intersect(wanted);
            if let Some(number) = spot.number
                && step.is_finished()
                && !range.is_empty()
            {
                self.lowering.kept.push(Kept { range, task: TaskRef { rank: spot.rank, number }, start: spot.start });
            }
        }
    }

    fn calls(&mut self) {
        let calls = self.plan.calls();
        if calls.is_empty() {
            return;
        }
        let (steps, ranks) = (self.plan.part(0), self.layout.ranks());
        // The sums are divided where a rank has the fewest elements to divide.
        let divides = usize::from(matches!(calls, [Call::Reduce { .. }, Call::Scatter { .. }]));
        for (number, call) in calls.iter().enumerate() {
            let after = &steps[(number + 1) * ranks..(number + 2) * ranks];
            let ranges = after.iter().map(|step| step.range).collect();
            let piece = match self.calls_in {
                Flow::Chunk { elements } if call.comes_in_pieces() && elements < self.problem.elements => {
                    Some(elements)
                }
                _ => None,
            };
            self.lowering.calls.push(LibraryCall { call: *call, ranges, divides: number == divides, piece });
        }
    }

    fn streams(&mut self) {
        let addresses = Addresses::new(&self.lowering, self.rank, &self.terms);
        let streamed = self.terms.residency == Residency::Streamed;
        let place = (self.rank, self.layout.ranks());
        let outgoing = std::mem::take(&mut self.outgoing);
        self.lowering.outgoing =
            streams::outgoing(outgoing, place, &self.terms, |one, two| addresses.side_by_side(one, two), streamed);
        let incoming = std::mem::take(&mut self.incoming);
        for (((_, key), segments), number) in incoming.iter().zip(streams::tags(incoming.keys())) {
            if let (StreamKey::Input(..), [InSegment { target: Taker::Sum { task, feed }, .. }]) = (key, &segments[..])
                && let Feed::Received { tag, .. } = &mut self.lowering.sums[*task].feeds[*feed]
            {
                *tag = number;
            }
        }
        self.lowering.incoming = streams::incoming(incoming, &self.terms, |one, two| addresses.kept_together(one, two));
    }
}
