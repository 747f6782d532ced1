//! The text of `gradshard machine`: nodes, hardware, binding and memory of all ranks, with warnings.

use super::core_sharing::crowds;
use super::index_set::IndexSet;
use super::memory::{RankRoom, Room};
use super::rank::{RankMachine, by_node};
use super::topology::NodeTopology;
use std::collections::BTreeSet;

/// Describes where a job runs, given the records of all ranks in rank order. Lines that begin with `!` are warnings
/// about conditions that degrade measurements.
pub fn describe(ranks: &[RankMachine]) -> String {
    let mut lines = Vec::new();
    let Some(first) = ranks.first() else {
        return "no ranks\n".to_owned();
    };
    let nodes = by_node(ranks);
    let environment = &first.environment;
    lines.push(format!("{} on {}", count(ranks.len(), "rank"), count(nodes.len(), "node")));
    lines.push(format!("MPI      {}", or(&first.mpi_library, "none")));
    lines.push(format!("build    {}", environment.build.summary()));
    lines.push(format!("asked    {}", environment.started));
    for (name, value) in &environment.launcher.job {
        lines.push(format!("job      {name}={value}"));
    }
    for (name, value) in &environment.launcher.settings {
        lines.push(format!("setting  {name}={value}"));
    }
    lines.extend(differences(ranks).into_iter().map(|difference| format!("! {difference}")));

    let mut shown: Vec<(&str, Vec<String>)> = Vec::new();
    for (node, members) in &nodes {
        let numbers: IndexSet = members.iter().map(|rank| rank.rank).collect();
        lines.push(String::new());
        lines.push(format!("node {node}: {numbers}", numbers = ranks_text(&numbers)));
        let Some(one) = members.first() else { continue };
        let own = hardware(one);
        match shown.iter().find(|(_, earlier)| *earlier == own) {
            Some((earlier, _)) => lines.push(format!("  hardware  as node {earlier}")),
            None => {
                lines.extend(own.iter().cloned());
                if one.topology.is_some() {
                    shown.push((node, own));
                }
            }
        }
        lines.extend(memory(&one.memory));
        lines.extend(bindings(members));
        for rank in members {
            lines.extend(rank.problems.iter().map(|problem| format!("  ! rank {}: {problem}", rank.rank)));
        }
        for crowd in crowds(ranks).into_iter().filter(|crowd| crowd.node == *node) {
            let cores = count(crowd.cores.len(), "core");
            lines.push(format!("  ! {} must share {cores} ({})", ranks_text(&crowd.ranks), crowd.cores));
        }
    }
    lines.join("\n") + "\n"
}

fn hardware(rank: &RankMachine) -> Vec<String> {
    let environment = &rank.environment;
    let mut lines = Vec::new();
    if let Some(topology) = &rank.topology {
        let model = environment.cpu_model.as_deref().unwrap_or(&topology.cpu_model);
        let shape = format!(
            "{}, {}, {}, {}",
            count(topology.packages, "package"),
            count(topology.numa_nodes.len(), "NUMA node"),
            count(topology.cores, "core"),
            count(topology.cpus.len(), "CPU"),
        );
        lines.push(format!("  hardware  {}: {shape}", or(model, "unknown processor")));
        lines.extend(caches_and_numa(topology));
    }
    let said = |value: &Option<String>| value.as_deref().unwrap_or("unknown").to_owned();
    lines.push(format!(
        "  system    {}, clock {}, governor {}, huge pages {}, shared {}",
        environment.kernel,
        said(&environment.clock_source),
        said(&environment.governors),
        said(&environment.huge_pages),
        said(&environment.huge_pages_shared),
    ));
    if environment.numa_balancing == Some(true) {
        lines.push("  ! NUMA balancing is on: the kernel moves pages while rounds are timed".to_owned());
    }
    lines
}

fn caches_and_numa(topology: &NodeTopology) -> Vec<String> {
    let mut lines = Vec::new();
    if !topology.caches.is_empty() {
        let caches: Vec<String> = topology
            .caches
            .iter()
            .map(|cache| format!("{} {} × {}", cache.name, bytes_text(cache.bytes), cache.count))
            .collect();
        lines.push(format!("  caches    {}", caches.join(", ")));
    }
    if topology.numa_nodes.len() > 1 {
        lines.extend(
            topology
                .numa_nodes
                .iter()
                .map(|node| format!("  NUMA {:<4} CPUs {}, {}", node.index, node.cpus, bytes_text(node.memory_bytes))),
        );
    }
    lines
}

fn memory(memory: &RankRoom) -> Vec<String> {
    let size = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), bytes_text);
    let (total, available) = (size(memory.total_bytes), size(memory.available_bytes));
    let counted = match (&memory.cgroup, memory.cgroup_version) {
        (Some(limit), _) => {
            let (most, used) = (bytes_text(limit.limit_bytes), bytes_text(limit.used_bytes));
            format!("control group {} allows {most}, {used} used ({})", limit.version, limit.file)
        }
        (None, Some(version)) => format!("no limit by control groups {version}"),
        (None, None) => "not counted by control groups".to_owned(),
    };
    let room = |room: Option<Room>| {
        room.map_or("unknown".to_owned(), |room| format!("{} ({})", bytes_text(room.bytes), room.limited_by))
    };
    vec![
        format!("  memory    {total}, {available} available; {counted}"),
        format!("  room      private {}", room(memory.available_for_new_memory())),
        format!("            shared windows {}", room(memory.available_for_shared_windows())),
    ]
}

/// Returns one line for consecutive ranks with equal binding.
fn bindings(members: &[&RankMachine]) -> Vec<String> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for rank in members {
        let text = binding_text(rank);
        match groups.last_mut() {
            Some((last, ranks)) if *last == text => ranks.push(rank.rank),
            _ => groups.push((text, vec![rank.rank])),
        }
    }
    let line = |(text, ranks): (String, Vec<usize>)| format!("  {}: {text}", ranks_text(&ranks.into_iter().collect()));
    groups.into_iter().map(line).collect()
}

fn binding_text(rank: &RankMachine) -> String {
    let Some(binding) = &rank.binding else {
        return "binding unknown".to_owned();
    };
    let confined = match &rank.topology {
        _ if binding.whole_machine => ", the whole machine: not bound",
        Some(topology) if binding.cpus.includes(&topology.allowed_cpus) => ", all that the job may use: not bound",
        _ => "",
    };
    let quota = binding
        .cpu_quota
        .as_ref()
        .map_or(String::new(), |quota| format!("; CPU time of at most {} CPUs together ({})", quota.cpus, quota.file));
    format!("CPUs {} (cores {}, NUMA {}{confined}){quota}", binding.cpus, binding.cores, binding.numa_nodes)
}

/// Returns a line for each property that differs between ranks but should not.
fn differences(ranks: &[RankMachine]) -> Vec<String> {
    let values = |of: &dyn Fn(&RankMachine) -> String| ranks.iter().map(of).collect::<BTreeSet<String>>();
    [
        ("MPI libraries", values(&|rank| rank.mpi_library.clone())),
        ("builds", values(&|rank| rank.environment.build.summary())),
        ("MPI settings", values(&|rank| format!("{:?}", rank.environment.launcher.settings))),
        ("kernels", values(&|rank| rank.environment.kernel.clone())),
    ]
    .into_iter()
    .filter(|(_, values)| values.len() > 1)
    .map(|(what, values)| {
        let values: Vec<String> = values.into_iter().collect();
        format!("ranks have different {what}: {}", values.join(" | "))
    })
    .collect()
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

fn ranks_text(ranks: &IndexSet) -> String {
    format!("rank{} {ranks}", if ranks.len() == 1 { "" } else { "s" })
}

/// Formats a size with three digits and a binary unit.
fn bytes_text(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    // At 999.5 and above, three digits would round to 1000.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = if unit == 0 || value >= 99.95 { 0 } else { 1 };
    let text = format!("{value:.decimals$}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), units[unit])
}

#[cfg(test)]
#[path = "describe_tests.rs"]
mod tests;
