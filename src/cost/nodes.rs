//! Nodes of a cluster that are paid by the hour: the platform file, and a first-order estimate of a plan's time.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::cost::case::Planned;
use crate::cost::sourced::{NotNegative, Positive, Sourced};
use crate::cost::workload::MIB;
use crate::cost::{Case, CostError, Usd};
use crate::experiment::object::object;
use crate::plan::{Flow, Input, Kind};

/// The kind of a platform of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodesKind {
    /// Nodes are paid by the node-hour.
    Nodes,
}

/// A cluster whose nodes are paid by the hour, busy or idle.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nodes {
    /// The path of this file's JSON schema, for editors; gradshard ignores it.
    #[serde(rename = "$schema", default)]
    #[schemars(with = "String")]
    pub schema: Option<String>,
    /// The platform's name in tables.
    pub name: String,
    /// The kind of platform: `nodes`.
    pub kind: NodesKind,
    /// A description in one sentence.
    #[serde(default)]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// Prices.
    #[serde(deserialize_with = "object")]
    pub prices: NodePrices,
    /// Speed of a node.
    #[serde(deserialize_with = "object")]
    pub speed: NodeSpeed,
}

/// The prices of nodes.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodePrices {
    /// Price of a node for one hour.
    pub node_hour_usd: Sourced<Usd>,
}

/// The speed of a node.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSpeed {
    /// Bandwidth of its wire in each direction, MiB/s.
    pub link_mib_per_s: Sourced<Positive>,
    /// Inputs that it sums, MiB/s.
    pub sum_mib_per_s: Sourced<Positive>,
    /// Latency of a level before data moves, seconds.
    pub message_s: Sourced<NotNegative>,
}

/// The estimated cost of one round on nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct NodesEstimate {
    /// Number of nodes, K.
    pub nodes: usize,
    /// Duration of the round, seconds.
    pub latency_s: f64,
    /// Bytes that cross the wire of the busiest node in its busier direction.
    pub wire_bytes: f64,
    /// Price of all nodes for that duration.
    pub usd: Usd,
}

/// The bytes that a node receives, sends and sums.
#[derive(Clone, Copy, Default)]
struct NodeLoad {
    into: f64,
    out_of: f64,
    summed: f64,
}

impl NodeLoad {
    fn wire(&self) -> f64 {
        self.into.max(self.out_of)
    }
}

impl Nodes {
    /// Returns the price of `nodes` nodes for `seconds` seconds.
    pub fn usd(&self, nodes: u64, seconds: f64) -> Usd {
        self.prices.node_hour_usd.value.times(nodes).over(3600).for_amount(seconds)
    }

    /// Estimates a round of `case`. Inputs on the same node are read in place; all others cross the wires of two nodes.
    /// With whole objects the levels follow one another, and each takes the time of the busiest node's wire and then of
    /// its sums. With chunks all levels overlap, and the slowest wire or sum determines the time. The estimate is of
    /// first order: each level has one latency, and the network has no contention.
    ///
    /// # Errors
    /// The errors of [`Case::plan`].
    pub fn estimate(&self, case: &Case) -> Result<NodesEstimate, CostError> {
        let Planned { plan, problem, layout } = case.plan()?;
        let (narrow, wide) = (case.dtype.size() as f64, case.dtype.accumulator_size() as f64);
        let mut levels: Vec<Vec<NodeLoad>> = Vec::new();
        for steps in (0..plan.parts()).map(|part| plan.part(part)) {
            for step in steps.iter().filter(|step| matches!(step.kind, Kind::Sum { .. })) {
                let level = step.level.max(1) as usize;
                if levels.len() < level {
                    levels.resize(level, vec![NodeLoad::default(); layout.nodes()]);
                }
                let loads = &mut levels[level - 1];
                let here = layout.node_of(step.rank);
                for input in &step.inputs {
                    let (rank, size) = match *input {
                        Input::Client(client) => (layout.rank_of_client(client, problem.clients()), narrow),
                        Input::Step(from) => (steps[from].rank, wide),
                    };
                    let bytes = step.range.len() as f64 * size;
                    let there = layout.node_of(rank);
                    if there != here {
                        loads[there].out_of += bytes;
                        loads[here].into += bytes;
                    }
                    loads[here].summed += bytes;
                }
            }
        }
        let (link, sum) = (self.speed.link_mib_per_s.value.get() * MIB, self.speed.sum_mib_per_s.value.get() * MIB);
        let whole =
            |loads: &Vec<NodeLoad>| loads.iter().map(|load| load.wire() / link + load.summed / sum).fold(0.0, f64::max);
        let all: Vec<NodeLoad> = (0..layout.nodes())
            .map(|node| {
                levels.iter().fold(NodeLoad::default(), |sum, loads| NodeLoad {
                    into: sum.into + loads[node].into,
                    out_of: sum.out_of + loads[node].out_of,
                    summed: sum.summed + loads[node].summed,
                })
            })
            .collect();
        let moving = match case.flow.pieces(case.dtype) {
            Flow::Whole => levels.iter().map(whole).sum(),
            Flow::Chunk { .. } => {
                all.iter().map(|load| (load.wire() / link).max(load.summed / sum)).fold(0.0, f64::max)
            }
        };
        let latency_s = moving + self.speed.message_s.value.get() * levels.len() as f64;
        Ok(NodesEstimate {
            nodes: layout.nodes(),
            latency_s,
            wire_bytes: all.iter().map(NodeLoad::wire).fold(0.0, f64::max),
            usd: self.usd(layout.nodes() as u64, latency_s),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::platform::cluster;
    use crate::plan::strategies::find;

    fn nodes(link: f64, sum: f64) -> Nodes {
        let mut nodes = cluster().unwrap();
        nodes.speed.link_mib_per_s.value = Positive::new(link).unwrap();
        nodes.speed.sum_mib_per_s.value = Positive::new(sum).unwrap();
        nodes.speed.message_s.value = NotNegative::default();
        nodes.prices.node_hour_usd.value = Usd::parse("36").unwrap();
        nodes
    }

    fn case(strategy: &str, ranks: usize, nodes: usize) -> Case {
        Case { ranks, nodes, ..Case::new(find(strategy).unwrap(), 4 << 18, 4, 4) }
    }

    /// 4 clients on 2 nodes, 4 MiB each, all to one server: 8 MiB over its wire at 4 MiB/s, then 16 MiB summed at 16
    /// MiB/s: 3 s. Two nodes at one cent a second: six cents.
    #[test]
    fn whole_objects_cross_and_are_then_summed() {
        let found = nodes(4.0, 16.0).estimate(&case("tree-central", 4, 2)).unwrap();
        assert!((found.latency_s - 3.0).abs() < 1e-9, "{}", found.latency_s);
        assert_eq!(found.usd.plain(), "0.06");
        assert_eq!(found.wire_bytes, 8.0 * MIB);
    }

    /// Sharded over 2 nodes: each takes two shards of 1 MiB from the other's two clients. Summed within the node first,
    /// half of that.
    #[test]
    fn node_aware_halves_the_wire() {
        let direct = nodes(4.0, 1e9).estimate(&case("sharded-direct", 4, 2)).unwrap();
        let aware = nodes(4.0, 1e9).estimate(&case("sharded-node-aware", 4, 2)).unwrap();
        assert_eq!((direct.wire_bytes, aware.wire_bytes), (4.0 * MIB, 2.0 * MIB));
        assert!((direct.latency_s - 1.0).abs() < 1e-6 && (aware.latency_s - 0.5).abs() < 1e-6);
    }

    /// In chunks wire and sums overlap: 2 s of wire, 1 s of sums.
    #[test]
    fn chunks_overlap() {
        let chunked = Case { flow: "256KiB".parse().unwrap(), ..case("tree-central", 4, 2) };
        assert!((nodes(4.0, 16.0).estimate(&chunked).unwrap().latency_s - 2.0).abs() < 1e-9);
    }

    #[test]
    fn collectives_have_no_price() {
        let refused = nodes(1.0, 1.0).estimate(&case("native-reduce", 4, 2)).unwrap_err();
        assert!(refused.to_string().contains("MPI_Reduce"), "{refused}");
    }
}
