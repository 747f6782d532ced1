//! The collectives for which rules are made, in MPI's words and in those of the libraries.

use serde::Serialize;
use strum::{Display, VariantArray};

use crate::plan::{Algorithm, End};

/// A reducing collective of MPI that one strategy calls alone, without another collective after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Display, VariantArray)]
pub enum Collective {
    /// MPI_Allreduce.
    #[serde(rename = "MPI_Allreduce")]
    #[strum(to_string = "MPI_Allreduce")]
    Allreduce,
    /// MPI_Reduce.
    #[serde(rename = "MPI_Reduce")]
    #[strum(to_string = "MPI_Reduce")]
    Reduce,
    /// MPI_Reduce_scatter.
    #[serde(rename = "MPI_Reduce_scatter")]
    #[strum(to_string = "MPI_Reduce_scatter")]
    ReduceScatter,
    /// MPI_Reduce_scatter_block.
    #[serde(rename = "MPI_Reduce_scatter_block")]
    #[strum(to_string = "MPI_Reduce_scatter_block")]
    ReduceScatterBlock,
}

impl Collective {
    /// The collective whose call alone is timed where `strategy` ends a round at `end`; None for any other.
    pub fn timed_by(strategy: &str, end: End) -> Option<Collective> {
        Collective::VARIANTS.iter().copied().find(|collective| collective.timing() == (strategy, end))
    }

    /// The strategy and the end of its round in which the call of this collective alone is timed.
    pub fn timing(self) -> (&'static str, End) {
        match self {
            Collective::Allreduce => ("native-allreduce", End::Everywhere),
            Collective::Reduce => ("native-reduce", End::Root),
            Collective::ReduceScatter => ("native-reduce-scatter", End::Scattered),
            Collective::ReduceScatterBlock => ("native-reduce-scatter-block", End::Scattered),
        }
    }

    /// Message size in bytes by which the libraries' rules go: all of the reduced vector, which for the block variant is
    /// as many blocks of the longest shard as there are ranks.
    pub fn message_bytes(self, elements: u64, element_bytes: u64, ranks: u64) -> u64 {
        match self {
            Collective::ReduceScatterBlock => elements.div_ceil(ranks.max(1)) * ranks * element_bytes,
            _ => elements * element_bytes,
        }
    }

    /// Number in Open MPI's classic rules files, and name in its JSON ones (Open MPI's documentation, "The tuned
    /// component").
    pub fn in_open_mpi(self) -> (u32, &'static str) {
        match self {
            Collective::Allreduce => (2, "allreduce"),
            Collective::Reduce => (11, "reduce"),
            Collective::ReduceScatter => (12, "reducescatter"),
            Collective::ReduceScatterBlock => (13, "reducescatterblock"),
        }
    }

    /// Number of an algorithm in Open MPI's classic rules files; None if Open MPI up to 5.0 has none of this name. The
    /// numbers have not changed since 4.0; later versions added some at the end.
    pub fn number_in_open_mpi(self, algorithm: Algorithm) -> Option<usize> {
        let names: &[&str] = match self {
            Collective::Allreduce => &[
                "basic_linear",
                "nonoverlapping",
                "recursive_doubling",
                "ring",
                "segmented_ring",
                "rabenseifner",
                "allgather_reduce",
            ],
            Collective::Reduce => {
                &["linear", "chain", "pipeline", "binary", "binomial", "in-order_binary", "rabenseifner", "knomial"]
            }
            Collective::ReduceScatter => &["non-overlapping", "recursive_halving", "ring", "butterfly"],
            Collective::ReduceScatterBlock => &["basic_linear", "recursive_doubling", "recursive_halving", "butterfly"],
        };
        names.iter().position(|name| *name == algorithm.name()).map(|at| at + 1)
    }

    /// Environment variable by which MPICH takes the algorithm.
    pub fn mpich_variable(self) -> &'static str {
        match self {
            Collective::Allreduce => "MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM",
            Collective::Reduce => "MPIR_CVAR_REDUCE_INTRA_ALGORITHM",
            Collective::ReduceScatter => "MPIR_CVAR_REDUCE_SCATTER_INTRA_ALGORITHM",
            Collective::ReduceScatterBlock => "MPIR_CVAR_REDUCE_SCATTER_BLOCK_INTRA_ALGORITHM",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_variant_counts_equal_blocks() {
        assert_eq!(Collective::ReduceScatterBlock.message_bytes(10, 4, 4), 3 * 4 * 4);
        assert_eq!(Collective::ReduceScatter.message_bytes(10, 4, 4), 40);
        assert_eq!(Collective::Reduce.message_bytes(0, 8, 4), 0);
    }

    #[test]
    fn only_calls_without_a_second_one_count() {
        assert_eq!(Collective::timed_by("native-reduce", End::Root), Some(Collective::Reduce));
        assert_eq!(Collective::timed_by("native-reduce", End::Scattered), None);
        assert_eq!(Collective::timed_by("native-ireduce-scatter", End::Scattered), None);
    }
}
