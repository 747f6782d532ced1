//! Tests descriptions of jobs on made-up nodes.

use super::super::binding::Binding;
use super::*;
use hwloc::Topology;
use std::error::Error;

type Outcome = Result<(), Box<dyn Error>>;

/// A rank on a node of two packages of two cores, bound to `cpus`.
fn rank(number: usize, node: &str, cpus: &str) -> Result<RankMachine, Box<dyn Error>> {
    let handle = Topology::builder().from_synthetic("pack:2 [numa(memory=1073741824)] core:2 pu:1")?.build()?;
    let mut rank = RankMachine::here(number, "Some MPI 1.2");
    rank.environment.hostname = node.to_owned();
    rank.topology = Some(NodeTopology::from_handle(&handle));
    rank.binding = Some(Binding::of_cpus(&handle, cpus.parse()?));
    rank.environment.numa_balancing = Some(false);
    Ok(rank)
}

#[test]
fn two_nodes_bound_well() -> Outcome {
    let ranks = [rank(0, "a", "0")?, rank(1, "a", "1")?, rank(2, "b", "0-3")?, rank(3, "b", "0-3")?];
    let text = describe(&ranks);
    let lines: Vec<&str> = text.lines().collect();
    for expected in [
        "4 ranks on 2 nodes",
        "MPI      Some MPI 1.2",
        "node a: ranks 0-1",
        "  rank 0: CPUs 0 (cores 0, NUMA 0)",
        "  rank 1: CPUs 1 (cores 1, NUMA 0)",
        "  NUMA 1    CPUs 2-3, 1 GiB",
        "node b: ranks 2-3",
        "  hardware  as node a",
        "  ranks 2-3: CPUs 0-3 (cores 0-3, NUMA 0-1, the whole machine: not bound)",
    ] {
        assert!(lines.contains(&expected), "`{expected}` is missing in\n{text}");
    }
    assert!(!text.contains("! "), "{text}");
    assert!(!super::super::cores_shared(&ranks));
    Ok(())
}

#[test]
fn shared_cores_and_differences_are_flagged() -> Outcome {
    let mut ranks = vec![rank(0, "a", "0")?, rank(1, "a", "0")?, rank(2, "b", "0")?];
    let text = describe(&ranks);
    assert!(text.contains("\n  ! ranks 0-1 must share 1 core (0)\n"), "{text}");
    assert!(super::super::cores_shared(&ranks));
    assert!(!text.contains("ranks have different"), "{text}");

    ranks[2].mpi_library = "Other MPI 3".to_owned();
    ranks[2].problems.push("something".to_owned());
    ranks[1].binding = None;
    let text = describe(&ranks);
    assert!(text.contains("! ranks have different MPI libraries: Other MPI 3 | Some MPI 1.2\n"), "{text}");
    assert!(text.contains("  ! rank 2: something\n"), "{text}");
    assert!(text.contains("  rank 1: binding unknown\n"), "{text}");
    // Ranks with unknown binding are not reported.
    assert!(!super::super::cores_shared(&ranks));
    Ok(())
}

#[test]
fn no_ranks_and_this_machine() {
    assert_eq!(describe(&[]), "no ranks\n");
    let text = describe(&[RankMachine::here(0, "")]);
    assert!(text.starts_with("1 rank on 1 node\nMPI      none\n"), "{text}");
}

#[test]
fn sizes() {
    for (bytes, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KiB"),
        (1536, "1.5 KiB"),
        (32 << 20, "32 MiB"),
        (102_349, "100 KiB"),
        (1023 << 20, "1 GiB"),
        (24_684_092 << 10, "23.5 GiB"),
        (u64::MAX, "16 EiB"),
    ] {
        assert_eq!(bytes_text(bytes), text);
    }
}
