//! What the textbook trees over ranks share: each rank sums its own clients and its children, and the first one holds
//! the result.

use crate::plan::explicit::{ExplicitPlan, TreeBuilder};
use crate::plan::{Input, Layout, Problem};

/// The tree over the ranks that have clients, and the first aggregating one, in which seat s > 0 sends to
/// `parent(s)` < s.
pub fn over_ranks(problem: &Problem, layout: &Layout, parent: impl Fn(usize) -> usize) -> ExplicitPlan {
    let clients = problem.clients();
    let mut seats = layout.homes(clients);
    if seats.first() != Some(&0) {
        seats.insert(0, 0);
    }
    let mut received: Vec<Vec<u64>> = vec![Vec::new(); seats.len()];
    let mut tree = TreeBuilder::new(problem);
    // Children have higher numbers than their parent, so the highest is summed first and the root last.
    for seat in (0..seats.len()).rev() {
        let own = layout.clients_at(seats[seat], clients).map(Input::Client);
        let children = received[seat].iter().rev().copied().map(Input::Aggregator);
        let id = tree.add(layout.aggregator_ranks()[seats[seat]], own.chain(children).collect());
        if seat > 0 {
            received[parent(seat)].push(id);
        }
    }
    tree.finish()
}
