//! Latency and bandwidth of messages: between two ranks of a node, between two nodes, and of all nodes' wires at once.
//!
//! Bandwidth is that of a stream of several messages in flight. A message to warm up goes before; when it has arrived,
//! the receiver starts its clock and tells the sender to go on. So a token bucket, which lets a burst through faster
//! than its rate, has spent that burst already, and all that is counted arrives while the clock runs.

use serde::{Deserialize, Serialize};

use super::meeting::{TAG, agreed, meet, watch};
use super::places::RankMap;
use crate::engine::Buffer;
use crate::engine::node_clock::node_clock;
use crate::engine::transport::{Transport, TransportError};

/// Bytes of a message of a stream: far above a burst of 128 kB and what libraries send at once without asking.
const MESSAGE: usize = 4 << 20;
/// Messages of a stream in flight.
const IN_FLIGHT: usize = 2;
/// Seconds of one pass.
const BUDGET: f64 = 0.03;
/// Messages of one pass, of all streams into a node together at least; of one at most.
const MESSAGES: (u64, u64) = (6, 64);
/// Passes.
const PASSES: usize = 3;
/// A message that takes longer, seconds, makes do with one pass fewer.
const SLOW: f64 = 0.025;
/// Tag of the word to go on.
const GO: u64 = TAG + 1;
/// Where in the buffer that word leaves and arrives, behind a message to send and places for those in flight.
const GO_AT: usize = (1 + IN_FLIGHT) * MESSAGE;
/// Ranks of a node that fill its wire together, at most.
const STREAMS: usize = 4;
/// Bytes of a message of a ping-pong.
const SMALL: usize = 8;
/// Batches of round trips, and seconds of one.
const BATCHES: usize = 5;
const BATCH: f64 = 0.01;

/// A message stream, or many of them at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Who sends.
    pub from: usize,
    /// Who receives.
    pub to: usize,
}

/// What one rank received in one pass: `bytes` from nanosecond `start` to `end` of its node's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// When the message to warm up had arrived.
    pub start: u64,
    /// When the last one had.
    pub end: u64,
    /// Bytes of all that came after the first.
    pub bytes: u64,
}

/// What one rank has to tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WireRecord {
    /// For each pattern of [`Patterns`], pass by pass; empty where this rank received nothing.
    pub arrivals: Vec<Vec<Arrival>>,
    /// Mean half round trips, seconds, of the pairs within a node and between nodes; on each pair's first rank.
    pub latencies: [Vec<f64>; 2],
}

/// Who sends to whom: the same on every rank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patterns {
    /// Two ranks of a node that has them, and two of different nodes.
    pub pairs: [Option<[usize; 2]>; 2],
    /// For each pair, one way and both ways; then all nodes, by one rank of each and by several; then between two nodes
    /// the other way; then each node to one further away. Empty ones are skipped.
    pub streams: Vec<Vec<Stream>>,
}

/// Place in [`Patterns::streams`] of the patterns of all nodes at once, by one rank and by several.
pub const ALL_NODES: usize = 4;
/// Of the pair of nodes, the other way.
pub const BACK: usize = 6;
/// From here on each node sends to the one that is 2, 3, … further: with [`ALL_NODES`], where it is the next, every
/// ordered pair of nodes.
pub const FURTHER: usize = 7;
/// Distances beyond 1 that are measured, at most: of more nodes, distances spread evenly.
const MOST_DISTANCES: usize = 6;

impl Patterns {
    /// The patterns for these places.
    pub fn of(places: &RankMap) -> Patterns {
        let nodes = &places.nodes;
        let roomy = nodes.iter().find(|node| node.cores > 1).or_else(|| nodes.iter().find(|node| node.ranks.len() > 1));
        let within = roomy.map(|node| [node.order[0], node.order[1]]);
        let between = nodes.get(1).map(|other| [nodes[0].order[0], other.order[0]]);
        let mut streams = Vec::new();
        for pair in [within, between] {
            let one = |from, to| Stream { from, to };
            streams.push(pair.map_or(Vec::new(), |[a, b]| vec![one(a, b)]));
            streams.push(pair.map_or(Vec::new(), |[a, b]| vec![one(a, b), one(b, a)]));
        }
        if nodes.len() == 2 {
            // Both ways between two nodes is all nodes at once.
            streams[ALL_NODES - 1].clear();
        }
        let widest = nodes.iter().map(|node| node.cores).min().unwrap_or(1).min(STREAMS);
        for width in [1, widest] {
            let ring = |index: usize| {
                let (from, to) = (&nodes[index].order, &nodes[(index + 1) % nodes.len()].order);
                (0..width).map(|i| Stream { from: from[i], to: to[i] }).collect::<Vec<Stream>>()
            };
            let needed = nodes.len() > 1
                && (width == 1 || streams.len() == ALL_NODES + 1)
                && (width > 1 || streams.len() == ALL_NODES);
            streams.push(if needed { (0..nodes.len()).flat_map(ring).collect() } else { Vec::new() });
        }
        streams.push(between.map_or(Vec::new(), |[a, b]| vec![Stream { from: b, to: a }]));
        let distances = nodes.len().saturating_sub(2);
        let measured = distances.min(MOST_DISTANCES);
        for at in 0..measured {
            let distance = 2 + at * distances / measured;
            let one = |index: usize| Stream {
                from: nodes[index].order[0],
                to: nodes[(index + distance) % nodes.len()].order[0],
            };
            streams.push((0..nodes.len()).map(one).collect());
        }
        Patterns { pairs: [within, between], streams }
    }
}

/// Carries out all patterns. Collective.
pub fn probe_wires(
    transport: &mut dyn Transport,
    places: &RankMap,
    patterns: &Patterns,
    notes: &mut Vec<String>,
) -> Result<WireRecord, TransportError> {
    let mut record = WireRecord::default();
    let takes_part =
        patterns.streams.iter().flatten().any(|stream| stream.from == places.rank || stream.to == places.rank);
    let buffer = match agreed(transport, Buffer::zeroed(if takes_part { GO_AT + 2 * SMALL } else { 0 }))? {
        Ok(buffer) => buffer,
        Err(reason) => {
            notes.push(format!("messages were not measured: {reason}"));
            return Ok(record);
        }
    };
    for (pair, latencies) in patterns.pairs.iter().zip(&mut record.latencies) {
        meet(transport, places, 0)?;
        if let Some(pair) = pair
            && pair.contains(&places.rank)
        {
            *latencies = ping_pong(transport, places.rank, *pair, &buffer)?;
        }
        meet(transport, places, 0)?;
    }
    for streams in &patterns.streams {
        record.arrivals.push(passes(transport, places, streams, &buffer)?);
    }
    Ok(record)
}

/// The passes of one pattern.
fn passes(
    transport: &mut dyn Transport,
    places: &RankMap,
    streams: &[Stream],
    buffer: &Buffer,
) -> Result<Vec<Arrival>, TransportError> {
    let mut arrivals = Vec::new();
    if streams.is_empty() {
        return Ok(arrivals);
    }
    meet(transport, places, 0)?;
    let trial = stream(transport, places.rank, streams, buffer, 1)?;
    // The slowest stream decides for all how many messages fit.
    let slowest = meet(transport, places, trial.map_or(0, |trial| trial.end - trial.start))? as f64 * 1e-9;
    let fit = if slowest > 0.0 { (BUDGET / slowest) as u64 } else { MESSAGES.1 };
    let node = |rank: usize| places.nodes.iter().position(|node| node.ranks.contains(&rank));
    let into_a_node = streams.iter().filter(|stream| node(stream.to) == node(streams[0].to)).count() as u64;
    let messages = fit.clamp(MESSAGES.0.div_ceil(into_a_node), MESSAGES.1);
    for _ in 0..if slowest > SLOW { PASSES - 1 } else { PASSES } {
        arrivals.extend(stream(transport, places.rank, streams, buffer, messages)?);
        meet(transport, places, 0)?;
    }
    Ok(arrivals)
}

/// What has completed, by its token. A token below [`LEFT`] is the place of a message that has arrived, from 0.
const LEFT: usize = IN_FLIGHT;
const WARM_UP_LEFT: usize = LEFT + 1;
const WARM_UP_ARRIVED: usize = LEFT + 2;
const GO_LEFT: usize = LEFT + 3;
const GO_ARRIVED: usize = LEFT + 4;

/// One pass: each one carries a message to warm up and then `messages` more, some in flight. What this rank received,
/// if it receives. A rank has one one of each direction at most.
fn stream(
    transport: &mut dyn Transport,
    rank: usize,
    streams: &[Stream],
    buffer: &Buffer,
    messages: u64,
) -> Result<Option<Arrival>, TransportError> {
    let to = streams.iter().find(|stream| stream.from == rank).map(|stream| stream.to);
    let from = streams.iter().find(|stream| stream.to == rank).map(|stream| stream.from);
    let place = |index: usize| buffer.as_ptr().wrapping_add((1 + index) * MESSAGE);
    let (go_out, go_in) = (buffer.as_ptr().wrapping_add(GO_AT), buffer.as_ptr().wrapping_add(GO_AT + SMALL));
    let (mut to_send, mut to_receive) = (messages, messages);
    let mut arrival = Arrival { bytes: messages * MESSAGE as u64, ..Arrival::default() };
    let mut tokens = Vec::new();
    // SAFETY: of every message here, the buffer outlives them all. It has a message to send, which is only read, a place
    // for each message in flight, which is used again when its message has arrived, and one for each word to go on.
    unsafe {
        if let Some(to) = to {
            transport.receive(GO_ARRIVED, to, GO, go_in, SMALL)?;
            transport.send(WARM_UP_LEFT, to, TAG, buffer.as_ptr(), MESSAGE)?;
        }
        if let Some(from) = from {
            transport.receive(WARM_UP_ARRIVED, from, TAG, place(0), MESSAGE)?;
        }
    }
    while transport.under_way() > 0 || !tokens.is_empty() {
        watch(transport, &mut tokens)?;
        for token in tokens.drain(..) {
            let (mut sends, mut places) = (0, 0..0);
            match (token, from) {
                (WARM_UP_ARRIVED, Some(from)) => {
                    arrival.start = node_clock();
                    // SAFETY: see above.
                    unsafe { transport.send(GO_LEFT, from, GO, go_out, SMALL)? };
                    places = 0..IN_FLIGHT;
                }
                (GO_ARRIVED, _) => sends = IN_FLIGHT,
                (LEFT, _) => sends = 1,
                (arrived @ ..LEFT, _) => {
                    arrival.end = node_clock();
                    places = arrived..arrived + 1;
                }
                _ => {}
            }
            if let Some(to) = to {
                for _ in 0..to_send.min(sends as u64) {
                    to_send -= 1;
                    // SAFETY: see above.
                    unsafe { transport.send(LEFT, to, TAG, buffer.as_ptr(), MESSAGE)? };
                }
            }
            if let Some(from) = from {
                for index in places.take(to_receive as usize) {
                    to_receive -= 1;
                    // SAFETY: see above.
                    unsafe { transport.receive(index, from, TAG, place(index), MESSAGE)? };
                }
            }
        }
    }
    Ok(from.map(|_| arrival))
}

/// Round trips between two ranks. Mean half round trip of each batch on the first, nothing on the second.
fn ping_pong(
    transport: &mut dyn Transport,
    rank: usize,
    [first, second]: [usize; 2],
    buffer: &Buffer,
) -> Result<Vec<f64>, TransportError> {
    let mut tokens = Vec::new();
    // SAFETY: the buffer outlives the message, which has completed before the next one is begun.
    let mut send = |transport: &mut dyn Transport, to: usize| unsafe {
        transport.send(0, to, TAG, buffer.as_ptr(), SMALL)?;
        tokens.clear();
        watch(transport, &mut tokens)
    };
    let mut others = Vec::new();
    // SAFETY: as above, at another place of the buffer.
    let mut receive = |transport: &mut dyn Transport, from: usize| unsafe {
        transport.receive(0, from, TAG, buffer.as_ptr().wrapping_add(MESSAGE), SMALL)?;
        others.clear();
        watch(transport, &mut others)
    };
    let mut trips = |transport: &mut dyn Transport, count: u64| -> Result<f64, TransportError> {
        let begun = node_clock();
        for _ in 0..count {
            if rank == first {
                send(transport, second)?;
                receive(transport, second)?;
            } else {
                receive(transport, first)?;
                send(transport, first)?;
            }
        }
        Ok((node_clock() - begun) as f64 * 1e-9)
    };
    const TRIAL: u64 = 10;
    trips(transport, TRIAL)?;
    let trial = trips(transport, TRIAL)? / TRIAL as f64;
    // The first rank decides, and tells the second how many trips a batch has.
    let mut count = [((BATCH / trial.max(1e-9)) as u64).clamp(TRIAL, 5000)];
    let (data, size) = (count.as_mut_ptr().cast::<u8>(), size_of::<u64>());
    // SAFETY: `count` outlives the message, and is not touched before it has completed.
    unsafe {
        if rank == first {
            transport.send(0, second, TAG, data, size)?;
        } else {
            transport.receive(0, first, TAG, data, size)?;
        }
    }
    let mut told = Vec::new();
    watch(transport, &mut told)?;
    let mut means = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        means.push(trips(transport, count[0])? / (2 * count[0]) as f64);
    }
    Ok(if rank == first { means } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run_threads;

    fn stream_between(from: usize, to: usize) -> Stream {
        Stream { from, to }
    }

    #[test]
    fn patterns_of_few_and_many_nodes() {
        let one = Patterns::of(&RankMap::of(0, &[0], &[]));
        assert_eq!((one.pairs, one.streams), ([None, None], vec![vec![]; FURTHER]));
        let two_ranks = Patterns::of(&RankMap::of(0, &[0, 0], &[]));
        assert_eq!(two_ranks.pairs, [Some([0, 1]), None]);
        assert_eq!(
            two_ranks.streams[..2],
            [vec![stream_between(0, 1)], vec![stream_between(0, 1), stream_between(1, 0)]]
        );
        assert!(two_ranks.streams[2..].iter().all(Vec::is_empty));
        // Three nodes of 2, 1 and 2 ranks: the narrowest allows one stream.
        let three = Patterns::of(&RankMap::of(0, &[0, 0, 1, 2, 2], &[]));
        assert_eq!(three.pairs, [Some([0, 1]), Some([0, 2])]);
        assert_eq!(three.streams[ALL_NODES], [stream_between(0, 2), stream_between(2, 3), stream_between(3, 0)]);
        assert!(three.streams[ALL_NODES + 1].is_empty());
        assert_eq!(
            three.streams[BACK..],
            [vec![stream_between(2, 0)], vec![stream_between(0, 3), stream_between(2, 0), stream_between(3, 2)]]
        );
        // Of 20 nodes every third distance: 2, 5, 8, 11, 14, 17.
        let many = Patterns::of(&RankMap::of(0, &(0..20).collect::<Vec<usize>>(), &[]));
        let distances: Vec<usize> = many.streams[FURTHER..].iter().map(|streams| streams[0].to).collect();
        assert_eq!(distances, [2, 5, 8, 11, 14, 17]);
        let wide = Patterns::of(&RankMap::of(0, &[0, 0, 1, 1], &[]));
        assert_eq!(wide.streams[ALL_NODES], [stream_between(0, 2), stream_between(2, 0)]);
        assert_eq!(
            wide.streams[ALL_NODES + 1],
            [stream_between(0, 2), stream_between(1, 3), stream_between(2, 0), stream_between(3, 1)]
        );
    }

    /// Every receiver of every pattern counts its bytes, in time that passes.
    #[test]
    fn streams_count_what_arrives() {
        let node_of = [0, 0, 1, 1, 2, 2];
        let records = run_threads(&node_of, |transport| {
            let places = RankMap::of(transport.rank(), &node_of, &[]);
            let patterns = Patterns::of(&places);
            let mut notes = Vec::new();
            let record = probe_wires(transport, &places, &patterns, &mut notes).expect("threads do not fail");
            assert!(notes.is_empty(), "{notes:?}");
            transport.barrier().expect("threads do not fail");
            (record, patterns)
        });
        for (rank, (record, patterns)) in records.iter().enumerate() {
            for (streams, arrivals) in patterns.streams.iter().zip(&record.arrivals) {
                let receives = streams.iter().any(|stream| stream.to == rank);
                assert_eq!(!arrivals.is_empty(), receives, "rank {rank}, {streams:?}");
                for arrival in arrivals {
                    assert!(arrival.end > arrival.start, "{arrival:?}");
                    assert!(arrival.bytes >= MESSAGE as u64 && arrival.bytes.is_multiple_of(MESSAGE as u64));
                }
            }
        }
        assert_eq!(records[0].0.latencies[0].len(), BATCHES);
        assert_eq!(records[0].0.latencies[1].len(), BATCHES);
        assert!(records[1].0.latencies.iter().all(Vec::is_empty));
        assert!(records[0].0.latencies.iter().flatten().all(|seconds| *seconds > 0.0));
    }
}
