//! `tree-node-aware`: the gradient is summed inside every node first, and the sums travel along a tree between nodes.

use super::{Knobs, Recipe};
use crate::plan::Way;
use crate::plan::forest::{Cut, Forest};

/// The ways between nodes, the one without a choice first.
const ACROSS: [Way; 4] = [Way::Ring, Way::TwoTree, Way::Binomial, Way::Direct];

/// The multi-lane tree: rank j of each node leads part j of the gradient, sums it over its node's clients, and sends the
/// sum along a tree between the nodes, in the way that `across` names. The parts end on the ranks of the root's node. Each
/// node's wire carries one gradient, whatever the number of clients and ranks on the node.
pub static STRATEGY: Recipe = Recipe {
    name: "tree-node-aware",
    about: "a tree between nodes as `across` says, whose ranks each lead a part and sum it inside their node first",
    knobs: Knobs { intra_node: false, across: &ACROSS, ..Knobs::TREE },
    plan: |problem, layout| {
        let across = problem.form.across;
        let way = across.shape(problem.form.radix);
        Ok(Box::new(Forest::of_nodes(problem, layout, Cut::Lanes(across.trees()), way)))
    },
};
