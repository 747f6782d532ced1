//! Edges of the plan that are messages, gathered into streams.

use std::collections::BTreeMap;

use crate::plan::{Flow, Terms};

use super::{InSegment, Incoming, Origin, OutSegment, Outgoing};

/// Pieces of a stream in flight at once.
const DEPTH: u64 = 4;
/// Pieces in flight from a place that is not packed, to a task with slots of its own.
const SEND_DEPTH: u64 = 2;

/// The stream between two ranks that an edge belongs to. Both ends see the same edges, so both number the streams between
/// them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamKey {
    /// One input of one step, by part, place of the step and place of the input.
    Input(u64, usize, usize),
    /// A client's gradient for any number of steps that sum in rounds.
    Client(u64),
    /// The sums that leave on one level, of a plan that sums in rounds.
    Sums(u32),
    /// The finished ranges that are copied on one level.
    Copies(u32),
}

/// Bytes of the widest of some elements.
fn width(wide: bool, terms: &Terms) -> u64 {
    if wide { terms.dtype.accumulator_size() as u64 } else { terms.dtype.size() as u64 }
}

/// Pieces of a vector of `elements` elements: elements of one, and their number.
fn cut(flow: Flow, elements: u64) -> (u64, u64) {
    (flow.piece(elements), flow.pieces(elements))
}

/// An edge that leaves this rank.
pub struct OutEdge {
    pub segment: OutSegment,
    pub in_turns: bool,
    pub turn: usize,
}

/// The streams that leave a rank, by peer and key.
pub type OutEdges = BTreeMap<(usize, StreamKey), Vec<OutEdge>>;
/// The streams that reach a rank, by peer and key.
pub type InEdges = BTreeMap<(usize, StreamKey), Vec<InSegment>>;

/// Numbers the streams of each peer from 0, in the order of their keys.
pub fn tags<'k>(keys: impl Iterator<Item = &'k (usize, StreamKey)>) -> Vec<u64> {
    let mut before: Option<usize> = None;
    let mut next = 0;
    let number = |(peer, _): &(usize, StreamKey)| {
        next = if before == Some(*peer) { next + 1 } else { 0 };
        before = Some(*peer);
        next
    };
    keys.map(number).collect()
}

/// The streams that leave `rank` of `ranks`, in the order of the inputs that they are, and for each input starting with
/// the rank after it, so that not all ranks turn to the same one first. `follows` tells whether the second of two segments
/// lies in memory straight after the first; `streamed` whether gradients are produced while the clock runs.
pub fn outgoing(
    edges: OutEdges,
    (rank, ranks): (usize, usize),
    terms: &Terms,
    follows: impl Fn(&OutSegment, &OutSegment) -> bool,
    streamed: bool,
) -> Vec<Outgoing> {
    let numbers = tags(edges.keys());
    let mut streams: Vec<Outgoing> = Vec::with_capacity(edges.len());
    for (((to, _), edges), tag) in edges.into_iter().zip(numbers) {
        let (in_turns, turn) = edges.first().map_or((false, 0), |edge| (edge.in_turns, edge.turn));
        let segments: Vec<OutSegment> = edges.into_iter().map(|edge| edge.segment).collect();
        let elements = segments.iter().map(|segment| segment.range.len()).sum();
        let (piece, pieces) = cut(terms.flow, elements);
        let produced = streamed && segments.iter().any(|segment| matches!(segment.origin, Origin::Gradient { .. }));
        let packed = produced || segments.windows(2).any(|two| !follows(&two[0], &two[1]));
        let widest = segments.iter().map(|segment| width(segment.wide, terms)).max().unwrap_or(0);
        // A produced piece is sent before the next is made.
        let depth = if produced { 1 } else { SEND_DEPTH }.min(pieces);
        let slot_bytes = if packed { piece * widest } else { 0 };
        streams.push(Outgoing { to, tag, segments, piece, pieces, depth, slot_bytes, in_turns, turn });
    }
    streams.sort_by_key(|stream| (stream.turn, (stream.to + ranks - rank) % ranks, stream.tag));
    streams
}

/// The streams that reach a rank but for those whose task receives them itself. `follows` as for [`outgoing`], for
/// segments that are kept.
pub fn incoming(edges: InEdges, terms: &Terms, follows: impl Fn(&InSegment, &InSegment) -> bool) -> Vec<Incoming> {
    let numbers = tags(edges.keys());
    let mut streams = Vec::with_capacity(edges.len());
    for (((from, key), segments), tag) in edges.into_iter().zip(numbers) {
        if matches!(key, StreamKey::Input(..)) {
            continue;
        }
        let elements = segments.iter().map(|segment| segment.range.len()).sum();
        let (piece, pieces) = cut(terms.flow, elements);
        let kept = matches!(key, StreamKey::Copies(_)) && segments.windows(2).all(|two| follows(&two[0], &two[1]));
        let widest = segments.iter().map(|segment| width(segment.wide, terms)).max().unwrap_or(0);
        let slot_bytes = if kept { 0 } else { piece * widest };
        streams.push(Incoming { from, tag, segments, piece, pieces, depth: DEPTH.min(pieces), slot_bytes });
    }
    streams
}
