//! `tree-lambda-fl`: λ-FL. Leaves of ⌈√N⌉ clients forward unscaled sums to one root.

use std::sync::Arc;

use super::{Knobs, Recipe};
use crate::plan::explicit::TreeBuilder;
use crate::plan::{Infeasible, Input, Layout, Plan, Problem};

/// The least whole k with k² ≥ n: clients a leaf.
pub fn clients_a_leaf(n: u64) -> u64 {
    let root = n.isqrt();
    if root * root < n { root + 1 } else { root.max(1) }
}

/// λ-FL's two levels, as described by Barrak 2026 (arXiv:2604.22072).
pub static STRATEGY: Recipe =
    Recipe { name: "tree-lambda-fl", about: "λ-FL: leaves of ⌈√N⌉ clients, one root", knobs: Knobs::TREE, plan };

fn plan(problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
    let clients = problem.clients();
    let size = clients_a_leaf(clients);
    let leaves = clients.div_ceil(size);
    let mut tree = TreeBuilder::new(problem);
    let inputs = (0..leaves)
        .map(|leaf| {
            let members = leaf * size..((leaf + 1) * size).min(clients);
            // Spread like the clients, so that where every rank aggregates a leaf sits beside its clients.
            let rank = layout.spread(leaf, leaves);
            tree.add(rank, members.map(Input::Client).collect())
        })
        .collect();
    tree.add(layout.aggregator_ranks()[0], inputs);
    Ok(Box::new(tree.finish(layout)))
}

#[cfg(test)]
mod tests {
    use super::clients_a_leaf;

    #[test]
    fn a_leaf_takes_the_rounded_up_root() {
        let by_hand = [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (9, 3), (10, 4), (16, 4), (17, 5), (20, 5), (26, 6)];
        for (clients, size) in by_hand {
            assert_eq!(clients_a_leaf(clients), size, "N = {clients}");
        }
    }
}
