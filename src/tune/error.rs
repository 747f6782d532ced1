//! Reasons why no rules can be made.

use super::{Collective, Placement};
use crate::plan::Algorithm;

/// The reason why no rules can be made from findings.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TuneError {
    /// Two files timed the same call.
    #[error(
        "{collective} of {bytes} bytes on {placement} was timed in two files; join jobs of one experiment with gradshard \
         merge first"
    )]
    Twice {
        /// The collective.
        collective: Collective,
        /// The placement.
        placement: Placement,
        /// Message size as the library counts it, bytes.
        bytes: u64,
    },
    /// The format tells communicators apart by their number of ranks alone.
    #[error(
        "{collective} was timed on {one} and on {other}, but this format cannot tell placements with equally many ranks \
         apart; choose one by --nodes, or write --rules open-mpi-json"
    )]
    Placements {
        /// The collective.
        collective: Collective,
        /// A placement.
        one: Placement,
        /// Another with as many ranks.
        other: Placement,
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
