//! `tree-lifl`: LIFL. Three levels, branching ∛N; the first level stays inside a node.

use std::sync::Arc;

use super::{Knobs, Recipe};
use crate::plan::explicit::TreeBuilder;
use crate::plan::{Infeasible, Input, Layout, Plan, Problem};

/// max(2, ⌈∛n⌉): inputs an aggregator.
pub fn branching(n: u64) -> u64 {
    let mut root = 1u64;
    while root.saturating_mul(root).saturating_mul(root) < n {
        root += 1;
    }
    root.max(2)
}

/// LIFL's hierarchy with locality-aware placement, as described by Barrak 2026 (arXiv:2604.22072), but forwarding
/// unscaled sums with their weight: plain means of unequal groups would not be FedAvg.
pub static STRATEGY: Recipe = Recipe {
    name: "tree-lifl",
    about: "LIFL: three levels, branching ∛N, the first inside a node through shared memory",
    knobs: Knobs { intra_node: false, ..Knobs::TREE },
    plan,
};

fn plan(problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
    let clients = problem.clients();
    let branch = branching(clients) as usize;
    let mut clients_of_node = vec![Vec::new(); layout.nodes()];
    for client in 0..clients {
        clients_of_node[layout.node_of(layout.rank_of_client(client, clients))].push(client);
    }
    let mut tree = TreeBuilder::new(problem);
    // Full groups first, as best-fit placement packs them; what is left over on a node is a smaller group there,
    // never one that reaches across nodes.
    let mut first = Vec::new();
    for (node, members) in clients_of_node.iter().enumerate() {
        let hosts = aggregators_on_node(layout, node);
        let groups = members.chunks(branch).len();
        for (index, group) in members.chunks(branch).enumerate() {
            let rank = hosts[index * hosts.len() / groups];
            first.push(tree.add(rank, group.iter().copied().map(Input::Client).collect()));
        }
    }
    // The second level and the root sit where their first input is, so that at least that one does not move.
    let second: Vec<Input> = first
        .chunks(branch)
        .map(|group| {
            let rank = tree.rank_of(group[0]).unwrap_or_default();
            tree.add(rank, group.to_vec())
        })
        .collect();
    let rank = tree.rank_of(second[0]).unwrap_or_default();
    tree.add(rank, second);
    Ok(Box::new(tree.finish(layout)))
}

/// Ranks that may aggregate on `node`, or, where it has none, on the whole layout.
fn aggregators_on_node(layout: &Layout, node: usize) -> Vec<usize> {
    let here: Vec<usize> =
        layout.aggregator_ranks().iter().copied().filter(|rank| layout.node_of(*rank) == node).collect();
    if here.is_empty() { layout.aggregator_ranks().to_vec() } else { here }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Roles;

    #[test]
    fn branching_is_the_rounded_up_cube_root() {
        for (clients, by_hand) in [(1, 2), (2, 2), (8, 2), (9, 3), (20, 3), (27, 3), (28, 4), (64, 4), (65, 5)] {
            assert_eq!(branching(clients), by_hand, "N = {clients}");
        }
    }

    #[test]
    fn twenty_clients_make_seven_three_one() {
        let problem = Arc::new(Problem::unweighted(10, 20, 1));
        let layout = Arc::new(Layout::even(4, 1, Roles::Colocated).expect("layout"));
        let plan = plan(&problem, &layout).expect("plan");
        let levels: Vec<u32> = plan.part(0).iter().map(|step| step.level).collect();
        assert_eq!(levels, [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3]);
    }

    #[test]
    fn first_level_never_leaves_its_node() {
        let problem = Arc::new(Problem::unweighted(10, 23, 1));
        let layout = Arc::new(Layout::new(&[0, 0, 0, 0, 1, 1, 2, 3], Roles::Colocated).expect("layout"));
        let plan = plan(&problem, &layout).expect("plan");
        let mut seen = 0;
        for step in plan.part(0).iter().filter(|step| step.level == 1) {
            for input in &step.inputs {
                let Input::Client(client) = input else { panic!("first level takes clients") };
                assert!(layout.same_node(step.rank, layout.rank_of_client(*client, 23)));
                seen += 1;
            }
        }
        assert_eq!(seen, 23);
    }
}
