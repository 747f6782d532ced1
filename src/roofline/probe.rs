//! The probe: it measures all limits of the machine and combines the records of the ranks.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::figures::{
    MachineLimits, MemoryPasses, NodeLimits, NodePair, PairLimits, SumRate, WireLimits, WirePasses, fastest, greatest,
};
use super::gather::gather_everywhere;
use super::memory::probe_memory;
use super::places::RankMap;
use super::sums::probe_sums;
use super::wire::{ALL_NODES, Arrival, BACK, FURTHER, Patterns, WireRecord, probe_wires};
use crate::engine::transport::{Transport, TransportError};

/// The measurements of one rank.
#[derive(Default, Serialize, Deserialize)]
struct Record {
    memory: Vec<MemoryPasses>,
    sums: Vec<SumRate>,
    wire: WireRecord,
}

/// Measures the limits of the nodes and wires on which the ranks run. Every rank receives them. It takes one or two
/// seconds on one node, more with caches of hundreds of MiB, and a few seconds across slow wires. Collective; no other messages may be under way.
///
/// A limit that cannot be measured for lack of memory is missing, and a note gives the reason.
///
/// # Errors
/// [`TransportError`] if the transport fails.
pub fn probe(transport: &mut dyn Transport) -> Result<MachineLimits, TransportError> {
    let begun = Instant::now();
    let places = RankMap::find(transport)?;
    let patterns = Patterns::of(&places);
    let mut notes = Vec::new();
    let record = Record {
        memory: probe_memory(transport, &places, &mut notes)?,
        sums: probe_sums(transport, &places)?,
        wire: probe_wires(transport, &places, &patterns, &mut notes)?,
    };
    let records = gather_everywhere(transport, &record)?;
    let limits = conclude(&places, &patterns, records);
    Ok(MachineLimits { notes, seconds: begun.elapsed().as_secs_f64(), ..limits })
}

fn conclude(places: &RankMap, patterns: &Patterns, mut records: Vec<Record>) -> MachineLimits {
    let wires: Vec<WireRecord> = records.iter_mut().map(|record| std::mem::take(&mut record.wire)).collect();
    let nodes = places.nodes.iter().enumerate().map(|(index, node)| {
        let mut limits = NodeLimits {
            node: index,
            ranks: node.ranks.len(),
            cores: node.cores,
            cache_bytes: node.account.cache_bytes * node.account.caches as u64,
            ..NodeLimits::default()
        };
        for rank in &node.ranks {
            limits.memory.append(&mut records[*rank].memory);
            limits.sums.append(&mut records[*rank].sums);
        }
        limits.conclude();
        limits
    });
    let nodes = nodes.collect();
    let [within_node, between_nodes] = [0, 1].map(|which| pair(places, patterns, &wires, which));
    let node_pairs = node_pairs(places, patterns, &wires);
    let wires = all_nodes(places, patterns, &wires);
    MachineLimits { nodes, within_node, between_nodes, wires, node_pairs, ..MachineLimits::default() }
}

/// Collects the streams of all patterns in which each node sends to one other node.
fn node_pairs(places: &RankMap, patterns: &Patterns, wires: &[WireRecord]) -> Vec<NodePair> {
    let node = |rank: usize| places.nodes.iter().position(|node| node.ranks.contains(&rank));
    let mut pairs = Vec::new();
    for pattern in std::iter::once(ALL_NODES).chain(FURTHER..patterns.streams.len()) {
        for stream in patterns.streams.get(pattern).into_iter().flatten() {
            let rates = arrivals(wires, stream.to, pattern).iter().filter_map(|one| rate(std::iter::once(*one)));
            if let (Some(from), Some(to), Some(bytes_per_s)) = (node(stream.from), node(stream.to), greatest(rates)) {
                pairs.push(NodePair { from, to, bytes_per_s });
            }
        }
    }
    pairs
}

/// Returns the arrivals at `rank` in each pass of a pattern.
fn arrivals(wires: &[WireRecord], rank: usize, pattern: usize) -> &[Arrival] {
    wires.get(rank).and_then(|record| record.arrivals.get(pattern)).map_or(&[], Vec::as_slice)
}

/// Returns the bandwidth into several ranks of one node in one pass, bytes/s: all their bytes over the time from the
/// first start to the last end. Rates of streams that overlap only partly must not be added.
fn rate(arrivals: impl Iterator<Item = Arrival> + Clone) -> Option<f64> {
    let (start, end) = (arrivals.clone().map(|a| a.start).min()?, arrivals.clone().map(|a| a.end).max()?);
    let bytes: u64 = arrivals.map(|a| a.bytes).sum();
    (end > start).then(|| bytes as f64 / ((end - start) as f64 * 1e-9))
}

fn pair(places: &RankMap, patterns: &Patterns, wires: &[WireRecord], which: usize) -> Option<PairLimits> {
    let ranks = patterns.pairs[which]?;
    let latencies = wires.get(ranks[0])?.latencies[which].clone();
    let rates = |rank: usize, pattern: usize| -> Vec<f64> {
        arrivals(wires, rank, pattern).iter().filter_map(|arrival| rate(std::iter::once(*arrival))).collect()
    };
    let one_way = rates(ranks[1], 2 * which);
    let one_way_back = if which == 1 { rates(ranks[0], BACK) } else { Vec::new() };
    // Between two nodes the pattern of all nodes is the same as both ways, and only it was carried out.
    let both = if which == 1 && places.nodes.len() == 2 { ALL_NODES } else { 2 * which + 1 };
    let both_ways: Vec<f64> =
        rates(ranks[0], both).into_iter().zip(rates(ranks[1], both)).map(|(a, b)| a.min(b)).collect();
    Some(PairLimits {
        ranks,
        latency_s: fastest(&latencies)?,
        latency_batches_s: latencies,
        one_way_bytes_per_s: greatest(one_way.iter().copied())?,
        one_way,
        one_way_back_bytes_per_s: greatest(one_way_back.iter().copied()),
        one_way_back,
        both_ways_bytes_per_s: greatest(both_ways.iter().copied())?,
        both_ways,
    })
}

fn all_nodes(places: &RankMap, patterns: &Patterns, wires: &[WireRecord]) -> Option<WireLimits> {
    let mut found = Vec::new();
    for (pattern, streams) in
        patterns.streams.iter().enumerate().take(BACK).skip(ALL_NODES).filter(|(_, streams)| !streams.is_empty())
    {
        let most = places.nodes[0].ranks.iter().map(|rank| arrivals(wires, *rank, pattern).len()).max().unwrap_or(0);
        let into = |ranks: &[usize], pass: usize| {
            rate(ranks.iter().filter_map(|rank| arrivals(wires, *rank, pattern).get(pass)).copied())
        };
        let passes = (0..most).map(|pass| places.nodes.iter().filter_map(|node| into(&node.ranks, pass)).collect());
        let bytes_per_s: Vec<Vec<f64>> = passes.collect();
        found.push(WirePasses { ranks_per_node: streams.len() / places.nodes.len(), bytes_per_s });
    }
    let means =
        found.iter().flat_map(|passes| &passes.bytes_per_s).map(|pass| pass.iter().sum::<f64>() / pass.len() as f64);
    Some(WireLimits { bytes_per_s: greatest(means)?, patterns: found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_one_node_are_not_added() {
        let at = |start, end, bytes| Arrival { start, end, bytes };
        // Two streams one after the other: 2000 bytes in 2 µs, not twice 1000 bytes in 1 µs.
        let both = [at(0, 1000, 1000), at(1000, 2000, 1000)];
        let near = |found: Option<f64>| found.is_some_and(|rate| (rate - 1e9).abs() < 1.0);
        assert!(near(rate(both.iter().copied())));
        assert!(near(rate(both[..1].iter().copied())));
        assert_eq!(rate(std::iter::empty()), None);
    }

    /// Three nodes of one rank; the wires' figure is the mean over the nodes of the best pass.
    #[test]
    fn wires_are_taken_over_all_nodes() {
        let places = RankMap::of(0, &[0, 1, 2], &[]);
        let patterns = Patterns::of(&places);
        let arrive = |nanoseconds: [u64; 2]| nanoseconds.map(|end| Arrival { start: 0, end, bytes: 1200 }).to_vec();
        let wires: Vec<WireRecord> = [[100, 400], [200, 400], [300, 400]]
            .iter()
            .map(|times| WireRecord {
                arrivals: vec![vec![], vec![], arrive(*times), arrive(*times), arrive(*times), vec![]],
                latencies: [vec![], vec![3e-6, 2e-6]],
            })
            .collect();
        let found = all_nodes(&places, &patterns, &wires).expect("three nodes");
        // 12, 6 and 4 bytes/ns: 22/3; the second pass 3.
        assert!((found.bytes_per_s - 22e9 / 3.0).abs() < 1.0, "{found:?}");
        assert_eq!(found.patterns.len(), 1);
        let pair = pair(&places, &patterns, &wires, 1).expect("two nodes");
        assert_eq!((pair.ranks, pair.latency_s), ([0, 1], 2e-6));
        assert_eq!(pair.one_way_bytes_per_s.round(), 6e9);
        assert_eq!(pair.both_ways_bytes_per_s.round(), 6e9);
        // The best pass of each receiver: 1200 bytes in 100, 200 and 300 ns.
        let pairs: Vec<(usize, usize, f64)> =
            node_pairs(&places, &patterns, &wires).iter().map(|p| (p.from, p.to, p.bytes_per_s.round())).collect();
        assert_eq!(pairs, [(0, 1, 6e9), (1, 2, 4e9), (2, 0, 12e9)]);
    }
}
