//! The shape of a communicator: how many ranks on how many nodes.

use std::fmt;

use serde::Serialize;

/// Ranks and nodes of a communicator. Rules for one shape say nothing about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CommunicatorShape {
    /// MPI ranks.
    pub ranks: u64,
    /// Nodes.
    pub nodes: u64,
}

impl CommunicatorShape {
    /// The word of Open MPI's JSON rules for this distribution of ranks over nodes; `any` where it has no closer one.
    pub fn distribution(self) -> &'static str {
        match self {
            CommunicatorShape { nodes: 1, .. } => "single-node",
            CommunicatorShape { ranks, nodes } if ranks == nodes => "one-per-node",
            _ => "any",
        }
    }
}

impl fmt::Display for CommunicatorShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommunicatorShape { ranks, nodes } = self;
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        write!(f, "{ranks} rank{} of {nodes} node{}", plural(*ranks), plural(*nodes))
    }
}
