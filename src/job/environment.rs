//! What every rank says of the machine that it runs on, gathered for the result file.

use serde_json::{Value, json};

use crate::engine::kernels::Variant;
use crate::engine::transport::{Transport, TransportError};
use crate::machine::command_line;
use crate::machine::rank::RankMachine;
use crate::machine::{Placement, Spread, cores_shared, placement};
use crate::roofline::MachineLimits;

/// Every rank's description, on rank 0; None elsewhere. Collective.
pub fn machines(transport: &mut dyn Transport) -> Result<Option<Vec<RankMachine>>, TransportError> {
    let here = RankMachine::here(transport.rank(), &transport.name());
    // A description that does not survive the way is left out; the others still say what they know.
    let bytes = serde_json::to_vec(&here).unwrap_or_default();
    let all = transport.gather(&bytes)?;
    Ok(all.map(|all| all.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect()))
}

/// The environment of a result file with the machine's `limits`, where they were measured, on rank 0; None elsewhere.
/// Collective.
pub fn gather(transport: &mut dyn Transport, limits: Option<&MachineLimits>) -> Result<Option<Value>, TransportError> {
    let machines = machines(transport)?;
    let node_of = transport.node_of().to_vec();
    let nodes = node_of.iter().collect::<std::collections::BTreeSet<_>>().len();
    Ok(machines.map(|machines| {
        let spread = Spread::of(&node_of);
        let hosts: Vec<&str> = machines.iter().map(RankMachine::node).collect();
        let doubts = machines.first().map(|first| spread.doubts(&hosts, &first.environment.launcher.job));
        let Placement { binding, first_touch } = placement(&machines);
        json!({
            "transport": transport.name(),
            "ranks": transport.ranks(),
            "command": command_line::own().join(" "),
            "launched_by": command_line::launcher().map(|words| words.join(" ")),
            "kernels": Variant::best().name(),
            "nodes": nodes,
            "spread": spread.text,
            "spread_doubts": doubts.unwrap_or_default(),
            "ranks_per_node": spread.ranks_per_node,
            "cores_shared": cores_shared(&machines),
            "binding": binding,
            "first_touch": first_touch,
            "node_of_rank": node_of,
            "limits": limits,
            "machines": machines,
        })
    }))
}
