//! Names the racks of nodes: from a file that the user gives, or from Slurm's topology.

use std::collections::HashMap;
use std::fs;

/// Variable with the path of a file that has a line `NODE RACK` for each node; `#` begins a comment.
const RACKS_FILE: &str = "GRADSHARD_RACKS";

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the rack of each of the nodes `hostnames`, as the user's file names it; None without a file.
///
/// # Errors
/// The file cannot be read, or has no line for a node.
pub fn of_file(hostnames: &[String]) -> Result<Option<Vec<String>>, String> {
    let Some(path) = set(RACKS_FILE) else { return Ok(None) };
    let text = fs::read_to_string(&path).map_err(|error| format!("{RACKS_FILE}: {path}: {error}"))?;
    let racks = racks(&text);
    let rack = |node: &String| {
        let rack = racks.get(node.as_str()).map(|rack| (*rack).to_owned());
        rack.ok_or_else(|| format!("{RACKS_FILE}: {path}: no line for the node {node}; write one: {node} RACK"))
    };
    hostnames.iter().map(rack).collect::<Result<Vec<_>, _>>().map(Some)
}

/// Returns the rack of this node as Slurm's topology names it, by the switches above the node; None without switches.
/// srun sets the node's place, such as `core.leaf2.node7`, and its pattern, such as `switch.switch.node` (srun(1)).
pub fn of_slurm() -> Option<String> {
    in_topology(&set("SLURM_TOPOLOGY_ADDR")?, &set("SLURM_TOPOLOGY_ADDR_PATTERN")?)
}

fn racks(text: &str) -> HashMap<&str, &str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    lines.filter_map(|mut words| Some((words.next()?, words.next()?))).collect()
}

fn in_topology(place: &str, pattern: &str) -> Option<String> {
    let switches = pattern.split('.').take_while(|level| *level != "node").count();
    let names: Vec<&str> = place.split('.').take(switches).collect();
    (switches > 0 && names.len() == switches).then(|| names.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_topologies_name_racks() {
        let text = "# nodes of the cluster\nnode1 west\nnode10 east # moved\n\nnode2 west extra\nlonely\n";
        assert_eq!(racks(text), HashMap::from([("node1", "west"), ("node10", "east"), ("node2", "west")]));
        assert_eq!(in_topology("core.leaf2.node7", "switch.switch.node").as_deref(), Some("core.leaf2"));
        assert_eq!(in_topology("leaf2.node7.cluster.org", "switch.node").as_deref(), Some("leaf2"));
        assert_eq!(in_topology("node7", "node"), None);
        assert_eq!(in_topology("leaf", "switch.switch.node"), None);
    }
}
