//! Reasons why no rules can be made.

use super::collective::Collective;
use super::communicator_shape::CommunicatorShape;
use crate::plan::Algorithm;

/// The reason why no rules can be made from findings.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TuneError {
    /// Two files timed the same call.
    #[error(
        "{collective} of {bytes} bytes on {shape} was timed in two files; join jobs of one experiment with gradshard \
         merge first"
    )]
    Twice {
        /// The collective.
        collective: Collective,
        /// The shape.
        shape: CommunicatorShape,
        /// Message size as the library counts it, bytes.
        bytes: u64,
    },
    /// The format tells communicators apart by their number of ranks alone.
    #[error(
        "{collective} was timed on {one} and on {other}, but this format cannot tell shapes with equally many ranks \
         apart; choose one by --nodes, or write --rules open-mpi-json"
    )]
    Shapes {
        /// The collective.
        collective: Collective,
        /// A shape.
        one: CommunicatorShape,
        /// Another with as many ranks.
        other: CommunicatorShape,
    },
    /// The library's numbers for its algorithms have no such name.
    #[error(
        "{collective}: the numbers of Open MPI's algorithms are known up to 5.0, and none is called \"{algorithm}\""
    )]
    Unnumbered {
        /// The collective.
        collective: Collective,
        /// The algorithm.
        algorithm: Algorithm,
    },
}
