//! The machine's limits as text, for `gradshard machine`.

use super::figures::{Access, MachineLimits, MemoryPasses, NodeLimits, NodePair, PairLimits, greatest};

/// Describes the limits of every node, pair of ranks and wire, one line each. Lines that begin with `!` name what was
/// not measured.
pub fn describe(limits: &MachineLimits) -> String {
    let mut lines = vec![format!("limits, measured in {:.1} s by all nodes at once", limits.seconds)];
    for node in &limits.nodes {
        lines.extend(of_node(node));
    }
    let pairs = [("within a node", &limits.within_node), ("between nodes", &limits.between_nodes)];
    for (what, pair) in pairs {
        if let Some(pair) = pair {
            lines.push(of_pair(what, pair));
        }
    }
    if let Some(wires) = &limits.wires {
        let each = bandwidth(wires.bytes_per_s);
        lines.push(format!("  messages  all nodes at once: {each} out of and into each"));
    }
    lines.extend(of_node_pairs(&limits.node_pairs));
    lines.extend(limits.notes.iter().map(|note| format!("  ! {note}")));
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn of_node(node: &NodeLimits) -> Vec<String> {
    let NodeLimits { node: number, ranks, cores, .. } = node;
    let mut lines = Vec::new();
    if let Some(memory) = node.memory_bytes_per_s {
        let several = node.memory.iter().filter(|passes| passes.workers > 1 && passes.access != Access::Read);
        let mut text = format!("three-stream add {}", bandwidth(memory));
        if let Some(together) = greatest(several.filter_map(MemoryPasses::best))
            && let Some(alone) = node.one_rank_bytes_per_s
        {
            text += &format!(": {cores} ranks together {}, one alone {}", bandwidth(together), bandwidth(alone));
        }
        if let Some(reading) = node.read_bytes_per_s {
            text += &format!("; reading {}", bandwidth(reading));
        }
        let who = if cores < ranks { format!(" ({ranks} ranks on {cores} cores)") } else { String::new() };
        lines.push(format!("  memory    node {number}{who}: {text}"));
    }
    if !node.sums.is_empty() {
        let rates = node.sums.iter().map(|rate| format!("{} {:.2}", rate.dtype, rate.elements_per_s / 1e9));
        let rates = rates.collect::<Vec<_>>().join(", ");
        lines.push(format!("  sums      node {number}: one core, two inputs in its cache, 10^9 elements/s: {rates}"));
    }
    lines
}

/// Describes the slowest and the fastest pair of nodes. A bad cable or a slow node shows as a pair far below the
/// others.
fn of_node_pairs(pairs: &[NodePair]) -> Option<String> {
    let least = pairs.iter().min_by(|a, b| a.bytes_per_s.total_cmp(&b.bytes_per_s))?;
    let most = pairs.iter().max_by(|a, b| a.bytes_per_s.total_cmp(&b.bytes_per_s))?;
    Some(format!(
        "  messages  {} ordered pairs of nodes, each node in one at a time: {} (node {} to {}) to {}",
        pairs.len(),
        bandwidth(least.bytes_per_s),
        least.from,
        least.to,
        bandwidth(most.bytes_per_s)
    ))
}

fn of_pair(what: &str, pair: &PairLimits) -> String {
    let [a, b] = pair.ranks;
    format!(
        "  messages  {what} (ranks {a} and {b}): latency {:.2} µs, one way {}{}, both ways {} each",
        pair.latency_s * 1e6,
        bandwidth(pair.one_way_bytes_per_s),
        pair.one_way_back_bytes_per_s.map_or(String::new(), |back| format!(", back {}", bandwidth(back))),
        bandwidth(pair.both_ways_bytes_per_s)
    )
}

fn bandwidth(bytes_per_s: f64) -> String {
    let gigabytes = bytes_per_s / 1e9;
    if gigabytes < 1.0 { format!("{gigabytes:.4} GB/s") } else { format!("{gigabytes:.2} GB/s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline::figures::{Access, MemoryKind, SumRate, WireLimits};

    #[test]
    fn says_every_figure_with_its_unit() {
        let passes = |workers| MemoryPasses {
            access: Access::AddCached,
            memory: MemoryKind::Shared,
            workers,
            bytes: 3_000_000_000 * workers as u64,
            seconds: vec![0.2],
        };
        let sum = SumRate { dtype: crate::gradient::Dtype::F16, elements_per_s: 8.5e9, elements: 1, seconds: vec![] };
        let read = MemoryPasses { access: Access::Read, seconds: vec![0.3], ..passes(2) };
        let mut node = NodeLimits {
            ranks: 4,
            cores: 2,
            memory: vec![passes(1), passes(2), read],
            sums: vec![sum],
            ..NodeLimits::default()
        };
        node.conclude();
        let pair = PairLimits {
            ranks: [0, 4],
            latency_s: 15.25e-6,
            latency_batches_s: vec![],
            one_way_bytes_per_s: 118.7e6,
            one_way: vec![],
            one_way_back_bytes_per_s: Some(0.117e9),
            one_way_back: vec![],
            both_ways_bytes_per_s: 2.5e9,
            both_ways: vec![],
        };
        let wires = Some(WireLimits { bytes_per_s: 0.117e9, patterns: vec![] });
        let notes = vec!["something is missing".to_owned()];
        let node_pairs =
            [(0, 1, 0.117e9), (1, 0, 0.05e9)].map(|(from, to, rate)| NodePair { from, to, bytes_per_s: rate });
        let limits = MachineLimits {
            nodes: vec![node],
            between_nodes: Some(pair),
            wires,
            node_pairs: node_pairs.to_vec(),
            notes,
            seconds: 1.26,
            ..MachineLimits::default()
        };
        assert_eq!(
            describe(&limits),
            "limits, measured in 1.3 s by all nodes at once\n  \
             memory    node 0 (4 ranks on 2 cores): three-stream add 30.00 GB/s: 2 ranks together 30.00 GB/s, \
             one alone 15.00 GB/s; reading 20.00 GB/s\n  \
             sums      node 0: one core, two inputs in its cache, 10^9 elements/s: f16 8.50\n  \
             messages  between nodes (ranks 0 and 4): latency 15.25 µs, one way 0.1187 GB/s, back 0.1170 GB/s, both ways 2.50 GB/s each\n  \
             messages  all nodes at once: 0.1170 GB/s out of and into each\n  \
             messages  2 ordered pairs of nodes, each node in one at a time: 0.0500 GB/s (node 1 to 0) to 0.1170 GB/s\n  \
             ! something is missing\n"
        );
    }
}
