//! How often and how long a comparison is measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::experiment::knobs::FlowChoice;
use crate::experiment::numbers::{Count, CountOrNone, Precision, Seconds, Seed};
use crate::experiment::one_or_many::OneOrMany;
use crate::experiment::readable::Readable;
use crate::plan::{Algorithm, LibraryName};

/// How ranks begin a round together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartRule {
    /// At a moment on a clock of all ranks, agreed upon when all are ready. A round in which a rank missed it is kept
    /// in the file and used for nothing.
    #[default]
    Window,
    /// On leaving a barrier.
    Barrier,
}

/// How the MPI library carries out the calls of native strategies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NativeCalls {
    /// Algorithms of the library for the reducing call, by the library's own names: Open MPI's are those of its variables
    /// coll_tuned_…_algorithm, MPICH's those of MPIR_CVAR_…_INTRA_ALGORITHM. default leaves the choice to the library,
    /// all is the default and every algorithm that the library has. The length
    /// of segments may follow a slash, as in pipeline/64KiB, where the library has a variable for it. Each strategy takes those that its call has. Default
    /// default.
    #[serde(deserialize_with = "OneOrMany::read")]
    #[schemars(example = ["default", "ring"], example = &"all")]
    pub algorithm: OneOrMany<Algorithm>,
    /// Components of the library's collectives for all calls of a strategy by the default algorithm, such as tuned, sm, han,
    /// basic or libnbc (Open MPI 4.1 and newer; MPICH has none). The component is preferred: functions that it has not, and
    /// ranks that it does not serve, are left to the others, and so is all of a component that waits to be switched on in the
    /// environment. The column fingerprint tells whether the cell differs from the library's own choice. default leaves the choice to the library, all is the default and every component that
    /// the library has. Default default.
    #[serde(deserialize_with = "OneOrMany::read")]
    #[schemars(example = ["default", "sm"], example = &"all")]
    pub component: OneOrMany<LibraryName>,
    /// Whole, or the size of the pieces in which the reducing call gets the gradient, one after another; of
    /// MPI_Ireduce_scatter two are under way at once. What the library allocates then follows the pieces. A piece of a
    /// reduce-scatter holds a part of every rank's shard and is packed before the call. Default whole.
    #[serde(deserialize_with = "OneOrMany::read")]
    #[schemars(example = ["whole", "1MiB"])]
    pub pieces: OneOrMany<FlowChoice>,
}

/// Repetition of a comparison. A block runs every cell of the comparison once, in a random order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Repeat {
    /// Half-width of every ratio's interval at which a comparison is measured well enough, as a part of the ratio: 0.02
    /// is 2 %. Looked at after 10, 20, 40, 80 … blocks. Strategies whose ratio lies inside it are called the same.
    #[serde(deserialize_with = "Precision::plain")]
    #[schemars(with = "Precision")]
    pub precision: f64,
    /// Blocks that are timed at most.
    #[serde(deserialize_with = "Count::plain")]
    #[schemars(with = "Count")]
    pub blocks: u64,
    /// Seconds that a comparison's timed blocks take at most, however wide its intervals are. A block that is not expected
    /// to end in time is not begun, except the first.
    #[serde(deserialize_with = "Seconds::plain")]
    #[schemars(with = "Seconds")]
    pub max_seconds: f64,
    /// Rounds of each cell that run before the first block and are not timed.
    #[serde(deserialize_with = "CountOrNone::plain")]
    #[schemars(with = "CountOrNone")]
    pub warmup: u64,
    /// How ranks begin a round together: at an agreed moment ("window"), or on leaving a barrier ("barrier"). Where ranks
    /// share cores it is the barrier all the same, as waiting for the moment would keep others from the cores.
    pub start: StartRule,
    /// Start of the random sequence that orders the cells of a block.
    #[serde(deserialize_with = "Seed::plain")]
    #[schemars(with = "Seed")]
    pub seed: u64,
}

impl Default for Repeat {
    fn default() -> Self {
        Repeat { precision: 0.02, blocks: 640, max_seconds: 60.0, warmup: 2, start: StartRule::Window, seed: 1 }
    }
}
