//! The environment of a job: the descriptions of the machine by all ranks, gathered for the result file.

use serde::Serialize;

use crate::engine::kernels::Variant;
use crate::engine::transport::{Transport, TransportError};
use crate::job::start::StartFacts;
use crate::machine::command_line;
use crate::machine::rank::RankMachine;
use crate::machine::{Placement, Spread, cores_shared, placement};
use crate::roofline::MachineLimits;

/// Gathers every rank's description on rank 0; None elsewhere. Collective.
pub fn machines(transport: &mut dyn Transport) -> Result<Option<Vec<RankMachine>>, TransportError> {
    let here = RankMachine::here(transport.rank(), &transport.name());
    // A description that cannot be decoded is omitted; the others remain.
    let bytes = serde_json::to_vec(&here).unwrap_or_default();
    let all = transport.gather(&bytes)?;
    Ok(all.map(|all| all.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect()))
}

/// The environment in a result file, made on rank 0. Each field is a key of its JSON object.
#[derive(Serialize)]
pub struct JobEnvironment<'l> {
    transport: String,
    ranks: usize,
    command: String,
    launched_by: Option<String>,
    kernels: &'static str,
    nodes: usize,
    #[serde(rename = "spread")]
    spread_text: String,
    /// Inconsistencies in how ranks are spread over nodes, in sentences.
    pub spread_doubts: Vec<String>,
    ranks_per_node: Vec<usize>,
    /// Whether some ranks must share cores.
    pub cores_shared: bool,
    #[serde(flatten)]
    placement: Placement,
    node_of_rank: Vec<usize>,
    limits: Option<&'l MachineLimits>,
    machines: Vec<RankMachine>,
    /// How rounds begin; None until this is chosen.
    #[serde(flatten)]
    pub start: Option<StartFacts>,
}

/// Describes the job and the machine's measured `limits`, if any, on rank 0; None elsewhere. Collective.
///
/// # Errors
/// If the transport fails.
pub fn gather<'l>(
    transport: &mut dyn Transport,
    limits: Option<&'l MachineLimits>,
) -> Result<Option<JobEnvironment<'l>>, TransportError> {
    let Some(machines) = machines(transport)? else { return Ok(None) };
    let node_of_rank = transport.node_of().to_vec();
    let Spread { text, ranks_per_node, .. } = Spread::of(&node_of_rank);
    let hosts: Vec<&str> = machines.iter().map(RankMachine::node).collect();
    let doubts =
        machines.first().map(|first| Spread::of(&node_of_rank).doubts(&hosts, &first.environment.launcher.job));
    Ok(Some(JobEnvironment {
        transport: transport.name(),
        ranks: transport.ranks(),
        command: command_line::own().join(" "),
        launched_by: command_line::launcher().map(|words| words.join(" ")),
        kernels: Variant::best().name(),
        nodes: ranks_per_node.len(),
        spread_text: text,
        spread_doubts: doubts.unwrap_or_default(),
        ranks_per_node,
        cores_shared: cores_shared(&machines),
        placement: placement(&machines),
        node_of_rank,
        limits,
        machines,
        start: None,
    }))
}
