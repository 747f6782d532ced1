//! Lowering: one rank's share of a plan, as tasks and streams of messages. The engine carries lowerings out, and memory is
//! predicted from them.

mod build;
mod placing;
mod streams;

pub(in crate::plan) use build::stands_for;

use crate::gradient::Range;
use crate::plan::dealt::Dealt;
use crate::plan::{Call, Layout, Plan, Problem, Terms};

/// The memory in which a task keeps its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// In the result of its rank.
    Result,
    /// In the accumulation type, the whole range, until the round ends.
    Full,
    /// In the accumulation type, this many pieces, used in turn.
    Ring(u64),
    /// Nowhere: the one client's gradient enters the collective as it is, or as a private copy made before the round.
    PassThrough,
}

/// A task by its rank and its number there: the address of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskRef {
    /// The task's rank: the reader's own, or one whose memory the reader can reach.
    pub rank: usize,
    /// Its number among the tasks of that rank, sums and copies together, in the order of the plan's steps.
    pub number: usize,
}

/// The way in which one input reaches a sum.
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
    /// A client's gradient, or with None a partial sum, received piece by piece into slots of the task.
    Received {
        /// The client; None for a partial sum.
        client: Option<u64>,
        /// The sending rank.
        rank: usize,
        /// The messages' tag.
        tag: u64,
    },
    /// A client's gradient, or with None a partial sum, which an [`Incoming`] stream delivers.
    Delivered {
        /// The client; None for a partial sum.
        client: Option<u64>,
        /// The sending rank.
        rank: usize,
    },
    /// A partial sum on this rank or in a neighbour's shared memory: read where it lies, as it grows.
    Growing {
        /// The task that makes it.
        task: TaskRef,
        /// The elements that it sums.
        range: Range,
        /// The memory in which it keeps them.
        hold: Hold,
    },
}

impl Feed {
    /// True if its pieces pass through slots of the task.
    pub fn is_staged(self) -> bool {
        matches!(self, Feed::Produced { .. } | Feed::Received { .. })
    }

    /// True if its pieces are not ready when the round starts.
    pub fn is_gated(self) -> bool {
        !matches!(self, Feed::Resident { .. })
    }

    /// True if it is a partial sum, in the accumulation type.
    pub fn is_wide(self) -> bool {
        matches!(
            self,
            Feed::Received { client: None, .. } | Feed::Delivered { client: None, .. } | Feed::Growing { .. }
        )
    }
}

/// One sum as its rank carries it out.
#[derive(Clone, Debug)]
pub struct SumTask {
    /// Number of the step in the plan, for messages to people.
    pub step: u64,
    /// Number among the tasks of the rank.
    pub number: usize,
    /// The elements that it sums.
    pub range: Range,
    /// Shards that the range covers.
    pub shards: u64,
    /// Sum of its clients' weights.
    pub weight: f64,
    /// Its inputs, in the order of summation.
    pub feeds: Vec<Feed>,
    /// True if it takes its inputs one after another, each whole; otherwise piece after piece, of each all inputs.
    pub in_rounds: bool,
    /// Elements of a piece.
    pub piece: u64,
    /// Number of pieces.
    pub pieces: u64,
    /// Slots for pieces in flight.
    pub slots: u64,
    /// Bytes of a slot.
    pub slot_bytes: u64,
    /// The memory in which the sum is kept.
    pub hold: Hold,
    /// Bytes from the beginning of the rank's sums, shared or private, to this one.
    pub hold_at: u64,
    /// Elements from the beginning of the rank's result to this one's, where it is finished.
    pub result_at: u64,
    /// Elements of the accumulation type kept beside the result while it is summed, where the result's type is too
    /// narrow to sum in.
    pub scratch: u64,
    /// True if another rank of the node reads the sum where it lies.
    pub exported: bool,
    /// Elements for which the whole sum has room: its range, and for a collective what that pads.
    pub room: u64,
}

impl SumTask {
    /// The elements of piece `index`.
    pub fn piece_range(&self, index: u64) -> Range {
        let start = self.range.start + index * self.piece;
        Range::new(start, (start + self.piece).min(self.range.end))
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

/// A finished range that its rank receives and keeps.
#[derive(Clone, Copy, Debug)]
pub struct CopyTask {
    /// Number among the tasks of the rank.
    pub number: usize,
    /// Its elements.
    pub range: Range,
    /// Elements from the beginning of the rank's result.
    pub result_at: u64,
}

/// The use of a stream's elements on the receiving rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taker {
    /// They enter a sum.
    Sum {
        /// Index into [`Lowering::sums`].
        task: usize,
        /// Number of the input among the task's feeds.
        feed: usize,
    },
    /// They are kept.
    Copy {
        /// The copy's number among the tasks of the rank.
        number: usize,
    },
}

/// Consecutive elements of a stream that one task takes.
#[derive(Clone, Copy, Debug)]
pub struct InSegment {
    /// The task.
    pub target: Taker,
    /// The elements.
    pub range: Range,
    /// True if they are in the accumulation type.
    pub wide: bool,
}

/// The source of consecutive elements of a stream on the sending rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client of this rank.
    Gradient {
        /// The client.
        client: u64,
    },
    /// A task on this rank or in memory that it can reach: its sum, or its finished range.
    Task {
        /// The task.
        task: TaskRef,
        /// First element that the task holds.
        start: u64,
        /// Pieces that it keeps its sum in; None where it keeps the whole range.
        ring: Option<u64>,
    },
}

/// Consecutive elements of a stream that come from one place.
#[derive(Clone, Copy, Debug)]
pub struct OutSegment {
    /// The place.
    pub origin: Origin,
    /// The elements.
    pub range: Range,
    /// True if they are in the accumulation type.
    pub wide: bool,
}

/// Messages to this rank from another that tasks share or that carry finished ranges: the segments' elements in a row,
/// cut into pieces.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The sending rank.
    pub from: usize,
    /// The messages' tag.
    pub tag: u64,
    /// The parts of a message, in order.
    pub segments: Vec<InSegment>,
    /// Elements of a piece.
    pub piece: u64,
    /// Number of pieces.
    pub pieces: u64,
    /// Pieces in flight.
    pub depth: u64,
    /// Bytes of a slot; 0 where pieces are received where they are kept.
    pub slot_bytes: u64,
}

/// Messages from this rank to another: the segments' elements in a row, cut into pieces.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The receiving rank.
    pub to: usize,
    /// The messages' tag.
    pub tag: u64,
    /// The parts of a message, in order.
    pub segments: Vec<OutSegment>,
    /// Elements of a piece.
    pub piece: u64,
    /// Number of pieces.
    pub pieces: u64,
    /// Pieces in flight.
    pub depth: u64,
    /// Bytes of a slot in which a piece is packed or produced; 0 where pieces are sent from where they lie.
    pub slot_bytes: u64,
    /// True if senders may take turns: the receiver waits for nothing but what is there when the round starts, and takes
    /// pieces in the order of its inputs.
    pub in_turns: bool,
    /// Position among the streams that take turns: place of the input among those of its receiver. In a plan in rounds,
    /// the level on which the elements leave.
    pub turn: usize,
}

/// A range that the end of the round wants on this rank, and the task that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// The elements.
    pub range: Range,
    /// The task, on this rank or in memory that it can reach.
    pub task: TaskRef,
    /// First element that the task holds.
    pub start: u64,
}

/// The library's part of a rank's share.
#[derive(Clone, Debug)]
pub struct LibraryCall {
    /// The call.
    pub call: Call,
    /// The elements that each rank holds after it.
    pub ranges: Vec<Range>,
    /// True if the sums are divided after it.
    pub divides: bool,
    /// Elements of a piece, if the gradient is given to the call in several.
    pub piece: Option<u64>,
}

impl LibraryCall {
    /// A reduce-scatter's pieces; None for a call that takes the whole gradient, or runs of it that lie together.
    pub fn dealt(&self) -> Option<Dealt> {
        let piece = self.piece.filter(|_| matches!(self.call, Call::ReduceScatter | Call::IreduceScatter))?;
        Some(Dealt::new(self.ranges.clone(), piece))
    }
}

/// One rank's share of a plan.
#[derive(Clone, Debug, Default)]
pub struct Lowering {
    /// The sums of this rank, in the order of the plan's steps.
    pub sums: Vec<SumTask>,
    /// The finished ranges that it receives.
    pub copies: Vec<CopyTask>,
    /// Streams to this rank but those that a task receives into slots of its own.
    pub incoming: Vec<Incoming>,
    /// Streams from this rank.
    pub outgoing: Vec<Outgoing>,
    /// The ranges that it must hold at the end.
    pub kept: Vec<Kept>,
    /// Calls of the library, in order.
    pub calls: Vec<LibraryCall>,
    /// Tasks, sums and copies together.
    pub tasks: usize,
    /// True if another rank of the node reads this rank's finished ranges where they lie.
    pub shares_result: bool,
    /// Bytes of the sums that other ranks of the node read.
    pub shared_hold_bytes: u64,
    /// Bytes of the other sums.
    pub private_hold_bytes: u64,
    /// Elements of the result: finished sums and copies.
    pub result_elements: u64,
}

/// The share of `rank` in `plan`, which must be of this problem and layout and sound.
///
/// Time grows with the inputs of all steps; memory with the rank's own share and the steps of one part.
pub fn lower(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> Lowering {
    build::Builder::new(plan, problem, layout, *terms, rank).lower()
}

impl Lowering {
    /// True if other ranks of the node read some of this rank's sums or finished ranges where they lie.
    pub fn is_read(&self) -> bool {
        self.shares_result || self.sums.iter().any(|task| task.exported)
    }

    /// The greatest tag of its messages.
    pub fn most_tag(&self) -> u64 {
        let sums = self.sums.iter().flat_map(|task| &task.feeds).filter_map(|feed| match feed {
            Feed::Received { tag, .. } => Some(*tag),
            _ => None,
        });
        let streams =
            self.incoming.iter().map(|stream| stream.tag).chain(self.outgoing.iter().map(|stream| stream.tag));
        sums.chain(streams).max().unwrap_or(0)
    }
}
