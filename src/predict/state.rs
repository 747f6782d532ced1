//! The state of every rank's tasks and streams while a round is simulated: what the engine keeps, without the elements.

use std::collections::VecDeque;

use crate::gradient::Range;
use crate::plan::lowering::{Feed, InSegment, Incoming, OutSegment, Outgoing, SumTask};

/// Something that a rank may be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Send the next piece of this outgoing stream.
    Out(usize),
    /// Send the next piece of the stream that has its turn.
    Turn,
    /// Add to this sum.
    Sum(usize),
    /// Take from this incoming stream.
    In(usize),
}

/// Elements in a row, from segments, cut into pieces.
pub struct Strip {
    /// For each segment its elements, how many come before it, and whether they are in the accumulation type.
    segments: Vec<(Range, u64, bool)>,
    elements: u64,
    piece: u64,
}

impl Strip {
    fn new(segments: impl Iterator<Item = (Range, bool)>, piece: u64) -> Strip {
        let mut elements = 0;
        let with_place = |(range, wide): (Range, bool)| {
            let before = elements;
            elements += range.len();
            (range, before, wide)
        };
        let segments = segments.map(with_place).collect();
        Strip { segments, elements, piece }
    }

    /// The segments in a piece by their numbers, each with its elements of the piece.
    pub fn parts(&self, piece: u64) -> impl Iterator<Item = (usize, Range)> {
        let from = piece * self.piece;
        let to = (from + self.piece).min(self.elements);
        let first = self.segments.partition_point(|(range, before, _)| before + range.len() <= from);
        let within = self.segments[first..].iter().take_while(move |(_, before, _)| *before < to).enumerate();
        within.filter_map(move |(at, (range, before, _))| {
            let start = range.start + from.saturating_sub(*before);
            let end = range.start + (to - before).min(range.len());
            (start < end).then_some((first + at, Range::new(start, end)))
        })
    }

    /// Bytes of a piece; `widths` are those of an element of a gradient and of a sum.
    pub fn bytes(&self, piece: u64, widths: [u64; 2]) -> u64 {
        self.parts(piece).map(|(at, range)| range.len() * widths[usize::from(self.segments[at].2)]).sum()
    }

    /// True if this segment has elements of the accumulation type.
    pub fn is_wide(&self, segment: usize) -> bool {
        self.segments[segment].2
    }
}

/// An outgoing stream.
pub struct OutState {
    /// The stream.
    pub stream: Outgoing,
    /// Its elements.
    pub strip: Strip,
    /// Number of its messages' way.
    pub conduit: usize,
    /// Pieces that were sent.
    pub next: u64,
    /// Pieces that have left.
    pub left: u64,
    /// True while it is among its rank's duties.
    pub queued: bool,
}

impl OutState {
    /// The stream before the round, with this way for its messages.
    pub fn new(stream: Outgoing, conduit: usize) -> OutState {
        let strip =
            Strip::new(stream.segments.iter().map(|OutSegment { range, wide, .. }| (*range, *wide)), stream.piece);
        OutState { stream, strip, conduit, next: 0, left: 0, queued: false }
    }

    /// True when every piece was sent.
    pub fn is_over(&self) -> bool {
        self.next == self.stream.pieces
    }
}

/// An incoming stream.
pub struct InState {
    /// The stream.
    pub stream: Incoming,
    /// Its elements.
    pub strip: Strip,
    /// Number of its messages' way.
    pub conduit: usize,
    /// Pieces that were delivered.
    pub delivered: u64,
    /// Segments of the next piece that were delivered.
    pub of_piece: usize,
    /// True while it is among its rank's duties.
    pub queued: bool,
}

impl InState {
    /// The stream before the round.
    pub fn new(stream: Incoming, conduit: usize) -> InState {
        let strip =
            Strip::new(stream.segments.iter().map(|InSegment { range, wide, .. }| (*range, *wide)), stream.piece);
        InState { stream, strip, conduit, delivered: 0, of_piece: 0, queued: false }
    }
}

/// A sum.
pub struct SumState {
    /// The sum.
    pub task: SumTask,
    /// The inputs that come through slots.
    pub staged: Vec<usize>,
    /// For each input the way of its messages, where it receives them itself.
    pub conduits: Vec<Option<usize>>,
    /// The slots that are free.
    pub free: Vec<bool>,
    /// The piece that is summed.
    pub piece: u64,
    /// Inputs that were summed into it, in order.
    pub next: usize,
    /// The inputs that were summed into it.
    pub summed: Vec<bool>,
    /// Pieces of all inputs for which a slot was given.
    pub posted: u64,
    /// In a plan in rounds: elements up to which each input was summed.
    pub done: Vec<u64>,
    /// True while it is among its rank's duties.
    pub queued: bool,
}

impl SumState {
    /// The sum before the round. `conduit` yields the way of the messages from a rank with a tag.
    pub fn new(task: SumTask, mut conduit: impl FnMut(usize, u64) -> usize) -> SumState {
        let staged = (0..task.feeds.len()).filter(|at| task.feeds[*at].is_staged()).collect();
        let mut way = |feed: &Feed| match feed {
            Feed::Received { rank, tag, .. } => Some(conduit(*rank, *tag)),
            _ => None,
        };
        SumState {
            staged,
            conduits: task.feeds.iter().map(&mut way).collect(),
            free: vec![true; task.slots as usize],
            piece: 0,
            next: 0,
            summed: vec![false; task.feeds.len()],
            posted: 0,
            done: if task.in_rounds { vec![0; task.feeds.len()] } else { Vec::new() },
            queued: false,
            task,
        }
    }

    /// True when the sum is complete.
    pub fn is_done(&self) -> bool {
        if self.task.in_rounds {
            self.done.last().is_none_or(|done| *done == self.task.range.len())
        } else {
            self.piece == self.task.pieces
        }
    }

    /// The slot of a piece of an input, by its place among those that come through slots; None if it was not posted.
    pub fn slot(&self, piece: u64, staged: usize) -> Option<usize> {
        let sequence = piece * self.staged.len() as u64 + staged as u64;
        (sequence < self.posted).then(|| (sequence % self.free.len() as u64) as usize)
    }
}

/// The progress of a task, which ranks of its node may read.
#[derive(Default)]
pub struct EntryState {
    /// Elements of the task that are complete.
    pub produced: u64,
    /// Pieces that its reader no longer needs.
    pub consumed: u64,
    /// The number of the sum that the entry belongs to, if it is one.
    pub sum: Option<usize>,
    /// The duties that more elements may make possible, each with its rank.
    pub readers: Vec<(usize, Duty)>,
}

/// Work that occupies a rank's core. Its effect comes when it is done.
pub enum Job {
    /// The next piece of an outgoing stream is sent.
    Send(usize),
    /// These inputs are added to the current piece of a sum.
    Add {
        /// The sum.
        sum: usize,
        /// The inputs.
        inputs: Vec<usize>,
    },
    /// In a plan in rounds: inputs first to last are added to this many elements of a sum.
    Stretch {
        /// The sum.
        sum: usize,
        /// First input.
        first: usize,
        /// Last input.
        last: usize,
        /// Elements of the sum before the stretch.
        from: u64,
        /// Elements of the stretch.
        length: u64,
        /// The incoming stream whose next segment was added.
        stream: Option<usize>,
    },
    /// The next segment of an incoming stream, with these elements up to its end, was copied to where it is kept.
    Keep {
        /// The stream.
        stream: usize,
        /// The number of the copy.
        number: usize,
        /// Elements of the copy that are then there.
        produced: u64,
    },
}

/// The turns of a rank's streams, as `engine/pace.rs` gives them.
#[derive(Default)]
pub struct Turns {
    /// The streams in the order of their turns.
    pub order: Vec<usize>,
    /// The stream whose turn it is, by its place there.
    pub at: usize,
    /// Messages in flight.
    pub under_way: u64,
    /// Greatest number of messages in flight.
    pub most: u64,
    /// True while turns are among the rank's duties.
    pub queued: bool,
    /// If a trace is asked for: the last messages that were sent in turns.
    pub sent: VecDeque<Envelope>,
}

impl Turns {
    /// The turns of streams whose pieces have at most `piece_bytes` bytes. 1 MiB in flight keeps a link busy; there are 2
    /// to 16 messages.
    pub fn new(order: Vec<usize>, piece_bytes: u64) -> Turns {
        let most = (1u64 << 20).div_ceil(piece_bytes.max(1)).clamp(2, 16);
        Turns { order, most, ..Turns::default() }
    }
}

/// One rank.
#[derive(Default)]
pub struct Actor {
    /// Its node.
    pub node: usize,
    /// The duties that it may be able to take up, in order.
    pub duties: VecDeque<Duty>,
    /// The work of its core; None while the core is idle.
    pub job: Option<Job>,
    /// Outgoing streams, in the order in which they are tried.
    pub outs: Vec<OutState>,
    /// Sums.
    pub sums: Vec<SumState>,
    /// Incoming streams.
    pub ins: Vec<InState>,
    /// The progress of its tasks, by number.
    pub entries: Vec<EntryState>,
    /// The streams that take turns.
    pub turns: Turns,
    /// True if a level leaves before the next begins.
    pub in_rounds: bool,
    /// In a plan in rounds: the first stream that has not sent all.
    pub first_open: usize,
    /// True while it waits to be attended to.
    pub awake: bool,
}

impl Actor {
    /// Adds a duty, unless it is there.
    pub fn queue(&mut self, duty: Duty) {
        let queued = match duty {
            Duty::Out(at) => &mut self.outs[at].queued,
            Duty::Turn => &mut self.turns.queued,
            Duty::Sum(at) => &mut self.sums[at].queued,
            Duty::In(at) => &mut self.ins[at].queued,
        };
        if !std::mem::replace(queued, true) {
            self.duties.push_back(duty);
        }
    }

    /// Takes the next duty.
    pub fn next_duty(&mut self) -> Option<Duty> {
        let duty = self.duties.pop_front()?;
        match duty {
            Duty::Out(at) => self.outs[at].queued = false,
            Duty::Turn => self.turns.queued = false,
            Duty::Sum(at) => self.sums[at].queued = false,
            Duty::In(at) => self.ins[at].queued = false,
        }
        Some(duty)
    }

    /// The duty of an outgoing stream.
    pub fn out_duty(&self, out: usize) -> Duty {
        if self.outs[out].stream.in_turns { Duty::Turn } else { Duty::Out(out) }
    }

    /// True when all its tasks are done and all its messages are sent.
    pub fn is_done(&self) -> bool {
        self.sums.iter().all(SumState::is_done)
            && self.ins.iter().all(|stream| stream.delivered == stream.stream.pieces)
            && self.outs.iter().all(|stream| stream.is_over() && stream.left == stream.next)
    }
}

/// One action of a rank in a round, as a trace has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// It posts a receive.
    Post(Envelope),
    /// It waits for the message of a receive and takes it.
    Take(Envelope),
    /// It adds; the number of operations on elements.
    Compute(u64),
    /// It sends, and does not wait.
    Send(Envelope),
    /// It waits until what it sent has left.
    Left(Envelope),
}

/// One message of a rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Envelope {
    /// The rank at the other end.
    pub peer: usize,
    /// A number that no other message between the two has in this direction.
    pub tag: u64,
    /// Bytes.
    pub bytes: u64,
}
