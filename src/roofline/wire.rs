//! Latency and bandwidth of messages: between two ranks of a node, between two nodes, and on the wires of all nodes at
//! the same time.
//!
//! Bandwidth is measured with a stream of several messages in flight. A warm-up message precedes the stream. When it
//! has arrived, the receiver starts its clock and sends a go-ahead to the sender. So a token bucket, which lets a burst
//! pass faster than its rate, has spent the burst, and all counted bytes arrive while the clock runs.

use serde::{Deserialize, Serialize};

use super::figures::{MachineLimits, WireLimits};
use super::meeting::{TAG, meet, watch};
use super::places::RankMap;
use crate::engine::Buffer;
use crate::engine::node_clock::node_clock;
use crate::engine::transport::{Transport, TransportError, agreed, gather_records};

/// Bytes of a message of a stream. It is far above a burst of 128 kB and above the size that libraries send eagerly.
const MESSAGE: usize = 4 << 20;
/// Bytes of a message on wires that are too slow to carry it within the time for a pass.
const SMALL_MESSAGE: usize = 512 << 10;
/// Number of messages of a stream in flight.
const IN_FLIGHT: usize = 2;
/// Time for one pass, seconds.
const BUDGET: f64 = 0.03;
/// Messages in one pass: the least number in all streams into a node together, and the greatest number in one stream.
const MESSAGES: (u64, u64) = (6, 64);
/// Number of passes.
const PASSES: usize = 3;
/// If a message takes longer than this, seconds, there is one pass fewer.
const SLOW: f64 = 0.025;
/// If a message takes longer than this, seconds, there is one pass of two messages.
const VERY_SLOW: f64 = 0.25;
/// Tag of the go-ahead.
const GO: u64 = TAG + 1;
/// Offset of the go-ahead in the buffer. The message to send and the places of the messages in flight precede it.
const GO_AT: usize = (1 + IN_FLIGHT) * MESSAGE;
/// The greatest number of ranks of a node that send at the same time.
const STREAMS: usize = 4;
/// Bytes of a ping-pong message.
const SMALL: usize = 8;
/// Number of batches of round trips.
const BATCHES: usize = 5;
const BATCH: f64 = 0.01;

/// A stream of messages from one rank to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The sending rank.
    pub from: usize,
    /// The receiving rank.
    pub to: usize,
}

/// The messages of each stream in one pass, after the warm-up message.
#[derive(Clone, Copy)]
struct PassLoad {
    messages: u64,
    /// Bytes of a message, at most [`MESSAGE`].
    bytes: usize,
}

/// The data that one rank received in one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Arrival of the warm-up message, ns of the node's clock.
    pub start: u64,
    /// Arrival of the last message, ns of the node's clock.
    pub end: u64,
    /// Bytes of all messages after the warm-up message.
    pub bytes: u64,
}

/// The measurements of one rank.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WireRecord {
    /// For each pattern of [`Patterns`], the arrival of each pass; empty if this rank received nothing.
    pub arrivals: Vec<Vec<Arrival>>,
    /// Mean half round-trip times of the pair within a node and of the pair between nodes, seconds. Only the first rank
    /// of a pair has them.
    pub latencies: [Vec<f64>; 2],
}

/// All patterns of streams. They are the same on every rank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patterns {
    /// Two ranks of one node, if a node has two, and two ranks of different nodes.
    pub pairs: [Option<[usize; 2]>; 2],
    /// The patterns: for each of the two pairs, one way and both ways; then all nodes, with one rank of each and with
    /// several; then the pair of nodes in the other direction; then each node to a node further away. Empty patterns
    /// are skipped.
    pub streams: Vec<Vec<Stream>>,
}

/// Index in [`Patterns::streams`] of the patterns of all nodes: here with one rank of each, at the next index with
/// several.
pub const ALL_NODES: usize = 4;
/// Index of the pattern of the pair of nodes in the other direction.
pub const BACK: usize = 6;
/// Index of the first pattern in which each node sends to the node that is 2, 3, … further. Together with
/// [`ALL_NODES`], in which it sends to the next, they cover every ordered pair of nodes.
pub const FURTHER: usize = 7;
/// The greatest number of distances beyond 1 that are measured. With more nodes, the distances are spread evenly.
const MOST_DISTANCES: usize = 6;

impl Patterns {
    /// Builds the patterns for the ranks in `places`.
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
            // Between two nodes, both ways is the same as the pattern of all nodes.
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

/// Measures all patterns. Collective.
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

/// Carries out the passes of one pattern.
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
    // The slowest stream determines the messages of all.
    let mut trial = |bytes: usize| -> Result<f64, TransportError> {
        let trial = stream(transport, places.rank, streams, buffer, PassLoad { messages: 1, bytes })?;
        Ok(meet(transport, places, trial.map_or(0, |trial| trial.end - trial.start))? as f64 * 1e-9)
    };
    let (mut bytes, mut slowest) = (SMALL_MESSAGE, trial(SMALL_MESSAGE)?);
    if slowest <= BUDGET {
        (bytes, slowest) = (MESSAGE, trial(MESSAGE)?);
    }
    let fit = if slowest > 0.0 { (BUDGET / slowest) as u64 } else { MESSAGES.1 };
    let node = |rank: usize| places.nodes.iter().position(|node| node.ranks.contains(&rank));
    let into_a_node = streams.iter().filter(|stream| node(stream.to) == node(streams[0].to)).count() as u64;
    let (passes, least) = match slowest {
        very_slow if very_slow > VERY_SLOW => (1, 2),
        slow if slow > SLOW => (PASSES - 1, MESSAGES.0.div_ceil(into_a_node)),
        _ => (PASSES, MESSAGES.0.div_ceil(into_a_node)),
    };
    let load = PassLoad { messages: fit.clamp(least, MESSAGES.1), bytes };
    for _ in 0..passes {
        arrivals.extend(stream(transport, places.rank, streams, buffer, load)?);
        meet(transport, places, 0)?;
    }
    Ok(arrivals)
}

/// The pass over the wires of all nodes, ready to be repeated at any time.
pub struct WireProbe {
    streams: Vec<Stream>,
    buffer: Buffer,
    load: PassLoad,
}

impl WireProbe {
    /// Allocates the messages. The inner error is the same on all ranks. Collective.
    pub fn new(
        transport: &mut dyn Transport,
        places: &RankMap,
        limits: &MachineLimits,
    ) -> Result<Result<WireProbe, String>, TransportError> {
        // The limits are the same on all ranks.
        let Some(rate) = limits.wires.as_ref().and_then(WireLimits::one_stream_each) else {
            return Ok(Err("their limits are not known".to_owned()));
        };
        let streams = Patterns::of(places).streams.swap_remove(ALL_NODES);
        let takes_part = streams.iter().any(|stream| stream.from == places.rank || stream.to == places.rank);
        let buffer = agreed(transport, Buffer::zeroed(if takes_part { GO_AT + 2 * SMALL } else { 0 }))?;
        let bytes = if BUDGET * rate < SMALL_MESSAGE as f64 { SMALL_MESSAGE } else { MESSAGE };
        let messages = ((BUDGET * rate / bytes as f64) as u64).clamp(MESSAGES.0, MESSAGES.1);
        Ok(buffer.map(|buffer| WireProbe { streams, buffer, load: PassLoad { messages, bytes } }))
    }

    /// Returns the bandwidth into a node, bytes/s, mean over the nodes, on rank 0; None elsewhere. Collective.
    pub fn measure(&mut self, transport: &mut dyn Transport, places: &RankMap) -> Result<Option<f64>, TransportError> {
        meet(transport, places, 0)?;
        let arrival = stream(transport, places.rank, &self.streams, &self.buffer, self.load)?;
        meet(transport, places, 0)?;
        let rate = arrival
            .filter(|one| one.end > one.start)
            .map_or(0.0, |one| one.bytes as f64 / ((one.end - one.start) as f64 * 1e-9));
        let told = gather_records(transport, &rate)?;
        Ok(told.and_then(|told| {
            let rates = self.streams.iter().map(|stream| told[stream.to]);
            Some(rates.sum::<f64>() / self.streams.len() as f64).filter(|rate| *rate > 0.0)
        }))
    }
}

/// Tokens of the messages. A token below [`LEFT`] is the index of the place at which a message has arrived.
const LEFT: usize = IN_FLIGHT;
const WARM_UP_LEFT: usize = LEFT + 1;
const WARM_UP_ARRIVED: usize = LEFT + 2;
const GO_LEFT: usize = LEFT + 3;
const GO_ARRIVED: usize = LEFT + 4;

/// Carries out one pass. Each stream sends a warm-up message and then those of the load. Returns the arrival if this rank
/// receives. A rank has at most one stream in each direction.
fn stream(
    transport: &mut dyn Transport,
    rank: usize,
    streams: &[Stream],
    buffer: &Buffer,
    PassLoad { messages, bytes }: PassLoad,
) -> Result<Option<Arrival>, TransportError> {
    let to = streams.iter().find(|stream| stream.from == rank).map(|stream| stream.to);
    let from = streams.iter().find(|stream| stream.to == rank).map(|stream| stream.from);
    let place = |index: usize| buffer.as_ptr().wrapping_add((1 + index) * MESSAGE);
    let (go_out, go_in) = (buffer.as_ptr().wrapping_add(GO_AT), buffer.as_ptr().wrapping_add(GO_AT + SMALL));
    let (mut to_send, mut to_receive) = (messages, messages);
    let mut arrival = Arrival { bytes: messages * bytes as u64, ..Arrival::default() };
    let mut tokens = Vec::new();
    // SAFETY: the buffer outlives all messages. It holds one message to send, which is only read; a place for each
    // message in flight, which is reused after its message has arrived; and one place for each go-ahead.
    unsafe {
        if let Some(to) = to {
            transport.receive(GO_ARRIVED, to, GO, go_in, SMALL)?;
            transport.send(WARM_UP_LEFT, to, TAG, buffer.as_ptr(), bytes)?;
        }
        if let Some(from) = from {
            transport.receive(WARM_UP_ARRIVED, from, TAG, place(0), bytes)?;
        }
    }
    while transport.under_way() > 0 || !tokens.is_empty() {
        watch(transport, &mut tokens)?;
        for token in tokens.drain(..) {
            let (mut sends, mut places) = (0, 0..0);
            match (token, from) {
                (WARM_UP_ARRIVED, Some(from)) => {
                    arrival.start = node_clock();
                    // SAFETY: the same as above.
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
                    // SAFETY: the same as above.
                    unsafe { transport.send(LEFT, to, TAG, buffer.as_ptr(), bytes)? };
                }
            }
            if let Some(from) = from {
                for index in places.take(to_receive as usize) {
                    to_receive -= 1;
                    // SAFETY: the same as above.
                    unsafe { transport.receive(index, from, TAG, place(index), bytes)? };
                }
            }
        }
    }
    Ok(from.map(|_| arrival))
}

/// Measures round trips between two ranks. Returns the mean half round-trip time of each batch, seconds, on the first
/// rank and nothing on the second.
fn ping_pong(
    transport: &mut dyn Transport,
    rank: usize,
    [first, second]: [usize; 2],
    buffer: &Buffer,
) -> Result<Vec<f64>, TransportError> {
    let mut tokens = Vec::new();
    // SAFETY: the buffer outlives the message, which has completed before the next one begins.
    let mut send = |transport: &mut dyn Transport, to: usize| unsafe {
        transport.send(0, to, TAG, buffer.as_ptr(), SMALL)?;
        tokens.clear();
        watch(transport, &mut tokens)
    };
    let mut others = Vec::new();
    // SAFETY: the same as above, at another place of the buffer.
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
    // The first rank chooses the number of trips in a batch and sends it to the second.
    let mut count = [((BATCH / trial.max(1e-9)) as u64).clamp(TRIAL, 5000)];
    let (data, size) = (count.as_mut_ptr().cast::<u8>(), size_of::<u64>());
    // SAFETY: `count` outlives the message, and nobody uses it before the message has completed.
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
        // Three nodes have 2, 1 and 2 ranks, so the smallest allows one stream.
        let three = Patterns::of(&RankMap::of(0, &[0, 0, 1, 2, 2], &[]));
        assert_eq!(three.pairs, [Some([0, 1]), Some([0, 2])]);
        assert_eq!(three.streams[ALL_NODES], [stream_between(0, 2), stream_between(2, 3), stream_between(3, 0)]);
        assert!(three.streams[ALL_NODES + 1].is_empty());
        assert_eq!(
            three.streams[BACK..],
            [vec![stream_between(2, 0)], vec![stream_between(0, 3), stream_between(2, 0), stream_between(3, 2)]]
        );
        // With 20 nodes, every third distance is measured: 2, 5, 8, 11, 14, 17.
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

    /// Every receiver of every pattern counts its bytes and a positive time.
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
                    assert!(
                        arrival.bytes >= SMALL_MESSAGE as u64 && arrival.bytes.is_multiple_of(SMALL_MESSAGE as u64)
                    );
                }
            }
        }
        assert_eq!(records[0].0.latencies[0].len(), BATCHES);
        assert_eq!(records[0].0.latencies[1].len(), BATCHES);
        assert!(records[1].0.latencies.iter().all(Vec::is_empty));
        assert!(records[0].0.latencies.iter().flatten().all(|seconds| *seconds > 0.0));
    }
}
