//! How a plan is carried out: the terms that a cell adds to it. They change time and memory, never who sums what.

use serde::{Deserialize, Serialize};

use crate::gradient::Dtype;
use crate::plan::words::words;

/// How data moves through an aggregator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Flow {
    /// Each input arrives complete before it is summed, as stored objects do.
    #[default]
    Whole,
    /// A pipeline of pieces of this many elements, at least 1.
    Chunk {
        /// Elements of a piece; the last may be shorter.
        elements: u64,
    },
}

/// Bytes of pieces in flight to one aggregator that an automatic chunk size allows.
const AUTOMATIC_BUDGET: u64 = 4 << 20;
/// Automatic chunks are no smaller: below it the cost of a message outweighs what it carries.
const LEAST_AUTOMATIC: u64 = 16 << 10;
/// Automatic chunks are no larger: a sum over a larger piece leaves the cache before it is sent on.
const MOST_AUTOMATIC: u64 = 1 << 20;

/// Between nodes automatic chunks stay below 64 KiB with their envelope, up to which Open MPI's and MPICH's TCP send
/// without asking first. Longer messages that several ranks exchange at once wait for each other's answers: over
/// 1 Gbit/s 60 KiB reached 0.99 of the wire's limit, 128 KiB 0.7 to 0.9 (see PERFORMANCE.md).
const MOST_BETWEEN_NODES: u64 = 60 << 10;

impl Flow {
    /// The chunk size for `clients` gradients of `elements` elements in `shards` shards on `nodes` nodes when nobody
    /// chose one: two pieces from every client stay within a few MiB, so that an aggregator's staging does not grow
    /// with N; and pieces that cross between nodes need no rendezvous.
    pub fn automatic(elements: u64, clients: u64, shards: u64, dtype: Dtype, nodes: usize) -> Flow {
        let size = dtype.size() as u64;
        let share = AUTOMATIC_BUDGET / (2 * clients.max(1));
        let most = if nodes > 1 { MOST_BETWEEN_NODES } else { MOST_AUTOMATIC };
        let bytes = share.clamp(LEAST_AUTOMATIC, most).min((elements / shards.max(1)).max(1) * size);
        Flow::Chunk { elements: (bytes / size).max(1) }
    }

    /// Elements of one piece of a range of `range` elements.
    pub fn piece(self, range: u64) -> u64 {
        match self {
            Flow::Whole => range,
            Flow::Chunk { elements } => elements.clamp(1, range.max(1)),
        }
    }

    /// Number of pieces of a range of `range` elements; an empty range has none.
    pub fn pieces(self, range: u64) -> u64 {
        if range == 0 { 0 } else { range.div_ceil(self.piece(range)) }
    }
}

words! {
    /// How ranks of one node reach each other's data.
    pub enum IntraNode {
        #[default]
        /// An aggregator sums straight out of its neighbours' memory.
        Shared,
        /// Everything between ranks is a message.
        Messages,
    }
}

words! {
    /// The order in which an aggregator adds its inputs.
    pub enum Order {
        #[default]
        /// As the plan lists them: clients by number.
        Client,
        /// The same, but starting with the aggregator's own rank.
        Rotated,
        /// As they arrive; sums then differ in their last bits from run to run.
        Arrival,
    }
}

words! {
    /// The place of the clients' gradients during a round.
    pub enum Residency {
        #[default]
        /// In memory before the clock starts.
        Resident,
        /// Produced piece by piece while the clock runs.
        Streamed,
    }
}

words! {
    /// The knowledge of a rank about its neighbours' gradients when the clock starts.
    pub enum Ready {
        #[default]
        /// The rank knows that they are there, as the ranks met before.
        Assumed,
        /// The rank knows nothing. Before it reads a gradient of another rank, it reads a flag that the other rank sets inside the
        /// clock. A collective of the MPI library must find out the same.
        Checked,
        /// The gradients are not there yet. Inside the clock each rank copies its own out of private memory, where real updates
        /// arrive, into memory that the node shares, and then sets their flags.
        Copied,
    }
}

words! {
    /// The memory as a round finds it.
    pub enum Caches {
        #[default]
        /// As the rounds before left it: every page was touched, and what fits into caches may be there.
        Warm,
        /// As if no round had been before: gradients are in no cache, and large private buffers, shared sums and shared finished
        /// ranges are touched for the first time while the clock runs.
        Cold,
    }
}

/// Everything that a cell adds to a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// Element type of the gradients.
    pub dtype: Dtype,
    /// Whole inputs or pieces.
    pub flow: Flow,
    /// Shared memory or messages inside a node.
    pub intra_node: IntraNode,
    /// Order of summation.
    pub order: Order,
    /// Resident or streamed gradients.
    pub residency: Residency,
    /// Whether gradients of other ranks of the node are known to be there.
    pub ready: Ready,
    /// Whether caches and pages are warm.
    pub caches: Caches,
}
