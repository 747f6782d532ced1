//! One rank's part of a plan: what it sums, from where, in which pieces, and what it sends. The engine carries parts
//! out; memory is predicted from them.

use std::collections::{BTreeSet, HashMap};

use crate::gradient::Range;
use crate::plan::{Aggregator, Flow, Input, IntraNode, Layout, Order, Output, Plan, Problem, Residency, Terms};

/// Pieces of a local sum that feeds a collective. It is no transfer, so the experiment's flow does not apply to it.
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

/// How one input reaches its aggregator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// A client's resident gradient, on this rank or in a neighbour's shared memory: summed where it lies.
    Resident {
        /// The client.
        client: u64,
        /// Its rank.
        rank: usize,
    },
    /// A client of this rank, produced piece by piece into a slot.
    Produced {
        /// The client.
        client: u64,
    },
    /// A client of another rank, received piece by piece into a slot.
    Gradient {
        /// The client.
        client: u64,
        /// Where it comes from.
        rank: usize,
        /// The messages' tag.
        tag: u64,
    },
    /// A partial sum on this rank or in a neighbour's shared memory: read where it lies, piece by piece as it grows.
    Shared {
        /// The aggregator that makes it.
        aggregator: u64,
        /// Its rank.
        rank: usize,
        /// Its place among the aggregators of its rank.
        ordinal: usize,
        /// Elements that it sums.
        range: Range,
        /// Where it keeps them.
        hold: Hold,
    },
    /// A partial sum of another rank, received piece by piece into a slot.
    Partial {
        /// The aggregator that makes it.
        aggregator: u64,
        /// Where it comes from.
        rank: usize,
        /// The messages' tag.
        tag: u64,
    },
}

impl Feed {
    /// True if its pieces pass through slots of this rank.
    pub fn is_staged(self) -> bool {
        matches!(self, Feed::Produced { .. } | Feed::Gradient { .. } | Feed::Partial { .. })
    }

    /// True if its pieces are not ready when the round starts.
    pub fn is_gated(self) -> bool {
        !matches!(self, Feed::Resident { .. })
    }
}

/// Where an aggregator's sum is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// In the result of this rank.
    Result,
    /// The whole range, until the round ends.
    Full,
    /// This many pieces, used in turn.
    Ring(u64),
    /// Nowhere: the one client's gradient enters the collective as it is.
    PassThrough,
}

/// One aggregator as its rank carries it out.
#[derive(Clone, Debug)]
pub struct Task {
    /// The aggregator.
    pub aggregator: Aggregator,
    /// Its inputs, in the order of summation.
    pub feeds: Vec<Feed>,
    /// Elements of a piece.
    pub piece: u64,
    /// Number of pieces.
    pub pieces: u64,
    /// Slots for pieces in flight.
    pub slots: u64,
    /// Bytes of a slot.
    pub slot_bytes: u64,
    /// Where the sum is kept.
    pub hold: Hold,
    /// Elements of the accumulation type kept beside the result while it is summed, where the result's type is too
    /// narrow to sum in.
    pub scratch: u64,
    /// True if another rank of the node reads the sum where it lies.
    pub exported: bool,
    /// Elements for which the whole sum has room: its range, and for a collective what that pads.
    pub room: u64,
}

impl Task {
    /// The elements of piece `index`.
    pub fn piece_range(&self, index: u64) -> Range {
        let start = self.aggregator.range.start + index * self.piece;
        Range::new(start, (start + self.piece).min(self.aggregator.range.end))
    }

    /// Bytes in which the sum is kept, outside the result.
    pub fn hold_bytes(&self, terms: &Terms) -> u64 {
        let size = terms.dtype.accumulator_size() as u64;
        match self.hold {
            Hold::Result | Hold::PassThrough => 0,
            Hold::Full => self.room * size,
            Hold::Ring(pieces) => pieces * self.piece * size,
        }
    }
}

/// What a stream of messages carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cargo {
    /// A client's gradient.
    Gradient {
        /// The client, one of this rank's.
        client: u64,
    },
    /// The partial sum of one of this rank's aggregators.
    Partial {
        /// Its place among them.
        ordinal: usize,
    },
}

/// A stream of messages from this rank to one input of an aggregator elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// To which rank.
    pub to: usize,
    /// The messages' tag.
    pub tag: u64,
    /// What it carries.
    pub cargo: Cargo,
    /// The elements that the receiver sums.
    pub range: Range,
    /// Elements of a piece, the receiver's.
    pub piece: u64,
    /// Number of pieces.
    pub pieces: u64,
    /// Place of the input among those of its receiver.
    pub input: usize,
    /// True if senders may take turns: the receiver waits for nothing but what is there when the round starts, and takes
    /// pieces in the order of its inputs.
    pub in_turns: bool,
}

/// Reads a plan for one rank.
pub struct Reader<'a> {
    plan: &'a dyn Plan,
    problem: &'a Problem,
    layout: &'a Layout,
    terms: Terms,
    ids_on: HashMap<usize, Vec<u64>>,
}

impl<'a> Reader<'a> {
    /// A reader of `plan`, which must be of this problem and layout.
    pub fn new(plan: &'a dyn Plan, problem: &'a Problem, layout: &'a Layout, terms: Terms) -> Self {
        Reader { plan, problem, layout, terms, ids_on: HashMap::new() }
    }

    fn ordinal(&mut self, rank: usize, id: u64) -> usize {
        let plan = self.plan;
        let ids = self.ids_on.entry(rank).or_insert_with(|| plan.on_rank(rank));
        ids.partition_point(|other| *other < id)
    }

    /// A tag no other stream between the same two ranks has.
    fn tag(&mut self, consumer: &Aggregator, input: usize) -> u64 {
        let most_inputs = self.problem.clients() + self.layout.ranks() as u64;
        self.ordinal(consumer.rank, consumer.id) as u64 * most_inputs + input as u64
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        from == to || (self.terms.intra_node == IntraNode::Shared && self.layout.same_node(from, to))
    }

    fn feed(&mut self, consumer: &Aggregator, index: usize) -> Feed {
        match consumer.inputs[index] {
            Input::Client(client) => {
                let rank = self.layout.rank_of_client(client, self.problem.clients());
                match self.terms.residency {
                    Residency::Resident if self.reaches(rank, consumer.rank) => Feed::Resident { client, rank },
                    Residency::Streamed if rank == consumer.rank => Feed::Produced { client },
                    _ => Feed::Gradient { client, rank, tag: self.tag(consumer, index) },
                }
            }
            Input::Aggregator(aggregator) => {
                let source = self.plan.aggregator(aggregator);
                if self.reaches(source.rank, consumer.rank) {
                    let ordinal = self.ordinal(source.rank, aggregator);
                    let (_, pieces) = self.pieces(&source);
                    let (hold, _) = self.hold(&source, pieces);
                    Feed::Shared { aggregator, rank: source.rank, ordinal, range: source.range, hold }
                } else {
                    Feed::Partial { aggregator, rank: source.rank, tag: self.tag(consumer, index) }
                }
            }
        }
    }

    /// Elements of a piece of `aggregator`'s range, and their number.
    fn pieces(&self, aggregator: &Aggregator) -> (u64, u64) {
        let range = aggregator.range.len();
        if aggregator.output == Output::Collective {
            let piece = LOCAL_SUM_PIECE.min(range.max(1));
            return (piece, range.div_ceil(piece));
        }
        (self.terms.flow.piece(range), self.terms.flow.pieces(range))
    }

    fn room(&self, aggregator: &Aggregator) -> u64 {
        match (aggregator.output, self.plan.collective()) {
            (Output::Collective, Some(collective)) => {
                collective.input_elements(self.problem.elements, self.layout.ranks())
            }
            _ => aggregator.range.len(),
        }
    }

    fn hold(&self, aggregator: &Aggregator, pieces: u64) -> (Hold, bool) {
        match aggregator.output {
            Output::Result => (Hold::Result, false),
            Output::Collective => {
                let alone = aggregator.inputs.len() == 1 && aggregator.weight == 1.0;
                let same_type = self.terms.dtype.size() == self.terms.dtype.accumulator_size();
                let fits = self.room(aggregator) == aggregator.range.len();
                let pass = alone && same_type && fits && self.terms.residency == Residency::Resident;
                (if pass { Hold::PassThrough } else { Hold::Full }, false)
            }
            Output::Partial => {
                let consumers = self.plan.consumers(Input::Aggregator(aggregator.id));
                let mut same_range = consumers.len() == 1;
                let mut exported = false;
                for consumer in consumers {
                    let consumer = self.plan.aggregator(consumer);
                    same_range &= consumer.range == aggregator.range;
                    exported |= consumer.rank != aggregator.rank && self.reaches(aggregator.rank, consumer.rank);
                }
                (if same_range { Hold::Ring(RING.min(pieces)) } else { Hold::Full }, exported)
            }
        }
    }

    /// What `rank` sums: its aggregators, ascending by id.
    pub fn tasks(&mut self, rank: usize) -> Vec<Task> {
        self.plan.on_rank(rank).into_iter().map(|id| self.task(id)).collect()
    }

    fn task(&mut self, id: u64) -> Task {
        let aggregator = self.plan.aggregator(id);
        let (piece, pieces) = self.pieces(&aggregator);
        let mut feeds: Vec<Feed> = (0..aggregator.inputs.len()).map(|i| self.feed(&aggregator, i)).collect();
        if self.terms.order == Order::Rotated {
            let first = aggregator.inputs.iter().position(|input| self.host(*input) >= aggregator.rank);
            feeds.rotate_left(first.unwrap_or(0));
        }
        let staged = feeds.iter().filter(|f| f.is_staged()).count() as u64;
        let widest = feeds.iter().filter(|f| f.is_staged()).map(|f| match f {
            Feed::Partial { .. } => self.terms.dtype.accumulator_size(),
            _ => self.terms.dtype.size(),
        });
        let slot_bytes = widest.max().unwrap_or(0) as u64 * piece;
        let most = MOST_SLOTS.min((MOST_IN_FLIGHT / slot_bytes.max(1)).max(2));
        let in_flight = match (self.terms.flow, aggregator.output) {
            (Flow::Whole, Output::Result | Output::Partial) => WHOLE_SLOTS,
            // In any other order than the senders' every input of a piece needs a slot, or ranks could wait for each
            // other in a circle.
            _ if self.terms.order != Order::Client => (2 * staged).min(most.max(staged)),
            _ => (2 * staged).min(most),
        };
        let (hold, exported) = self.hold(&aggregator, pieces);
        let narrow = self.terms.dtype.size() < self.terms.dtype.accumulator_size();
        let gated = feeds.iter().any(|f| f.is_gated());
        let scratch = if hold == Hold::Result && narrow && gated && pieces > 0 { piece } else { 0 };
        let slots = in_flight.min(staged * pieces);
        let room = self.room(&aggregator);
        Task { aggregator, feeds, piece, pieces, slots, slot_bytes, hold, scratch, exported, room }
    }

    fn host(&self, input: Input) -> usize {
        match input {
            Input::Client(k) => self.layout.rank_of_client(k, self.problem.clients()),
            Input::Aggregator(id) => self.plan.rank_of(id),
        }
    }

    /// The streams of messages that leave `rank`, in the order of the inputs that they are, and for each input starting
    /// with the rank after it, so that not all ranks turn to the same one first.
    pub fn sends(&mut self, rank: usize) -> Vec<Send> {
        let mine = self.plan.on_rank(rank);
        let clients = self.layout.clients_on(rank, self.problem.clients());
        let mut consumers = BTreeSet::new();
        for client in clients.clone() {
            consumers.extend(self.plan.consumers(Input::Client(client)));
        }
        for id in &mine {
            consumers.extend(self.plan.consumers(Input::Aggregator(*id)));
        }
        let mut sends = Vec::new();
        for consumer in consumers {
            let consumer = self.plan.aggregator(consumer);
            if consumer.rank == rank {
                continue;
            }
            let (piece, pieces) = self.pieces(&consumer);
            let in_turns = self.takes_turns(&consumer);
            for index in 0..consumer.inputs.len() {
                let cargo = match consumer.inputs[index] {
                    Input::Client(client) if clients.contains(&client) => Cargo::Gradient { client },
                    Input::Aggregator(id) => match mine.binary_search(&id) {
                        Ok(ordinal) => Cargo::Partial { ordinal },
                        Err(_) => continue,
                    },
                    Input::Client(_) => continue,
                };
                let (Feed::Gradient { tag, .. } | Feed::Partial { tag, .. }) = self.feed(&consumer, index) else {
                    continue;
                };
                let (to, range) = (consumer.rank, consumer.range);
                sends.push(Send { to, tag, cargo, range, piece, pieces, input: index, in_turns });
            }
        }
        let ranks = self.layout.ranks();
        sends.sort_by_key(|send| (send.input, (send.to + ranks - rank) % ranks, send.tag));
        sends
    }

    /// True if `consumer` takes, piece by piece and in the plan's order, what depends on no message: clients' gradients,
    /// and sums of gradients that their aggregators have at hand. If it waited for another aggregator, and that one for
    /// a rank whose turn it is to send to `consumer`, nothing would ever move.
    fn takes_turns(&self, consumer: &Aggregator) -> bool {
        let at_hand = |rank: usize, input: &Input| match input {
            Input::Client(client) => {
                let host = self.layout.rank_of_client(*client, self.problem.clients());
                self.terms.residency == Residency::Resident && self.reaches(host, rank)
            }
            Input::Aggregator(_) => false,
        };
        let ready = |input: &Input| match input {
            Input::Client(_) => true,
            Input::Aggregator(id) => {
                let source = self.plan.aggregator(*id);
                source.inputs.iter().all(|input| at_hand(source.rank, input))
            }
        };
        // Whole objects are few, and their receivers take them in an order of their own.
        matches!(self.terms.flow, Flow::Chunk { .. })
            && self.terms.order != Order::Rotated
            && consumer.inputs.iter().all(ready)
    }

    /// Bytes of one piece of a stream's buffer where its client's gradient is produced piece by piece; 0 where the
    /// message leaves from where it lies.
    pub fn send_buffer_bytes(&self, send: &Send) -> u64 {
        match send.cargo {
            Cargo::Gradient { .. } if self.terms.residency == Residency::Streamed && send.pieces > 0 => {
                send.piece * self.terms.dtype.size() as u64
            }
            _ => 0,
        }
    }
}
