//! The experiment as written. Every field has a default, which [`resolve()`](crate::experiment::resolve::resolve)
//! interprets.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected};

use crate::experiment::gradients::Gradients;
use crate::experiment::knobs::{CeilingChoice, FlowChoice};
use crate::experiment::model::{ModelChoice, file_name};
use crate::experiment::numbers::{Count, Radix, WholeNumber};
use crate::experiment::object::{object, present};
use crate::experiment::one_or_many::OneOrMany;
use crate::experiment::per_rank::Scaled;
use crate::experiment::readable::{Readable, some};
use crate::experiment::settings::{NativeCalls, Repeat};
use crate::gradient::Dtype;
use crate::plan::form::LEAST_RADIX;
use crate::plan::{Caches, Closing, End, IntraNode, Order, Ready, Roles, Way};

// The schema (configs/experiment.schema.json) takes its descriptions from the doc comments of the fields.

/// An experiment of gradshard. A list in nodes, models, dtype, clients, shards, strategies, radix, across,
/// closing, flow, roles, intra_node, order, ready, caches or end spans a sweep: every combination is measured.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "gradshard experiment", example = example())]
pub struct WrittenExperiment {
    /// The file that this was read from, for messages.
    #[serde(skip)]
    pub file: PathBuf,

    /// Path of the JSON schema of this file, for editors; gradshard ignores it.
    #[serde(rename = "$schema", default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub schema: Option<String>,

    /// Name of the experiment and of its result file. Default: the name of this file without its extension.
    #[serde(default, deserialize_with = "present_name", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    pub name: Option<String>,

    /// Purpose of the experiment, in a sentence.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub description: Option<String>,

    /// Models, which give gradients their lengths |θ|: names of the catalogue, numbers of elements, or a name with a
    /// number of elements, or with bytes for each rank that aggregates. Needed with synthetic gradients; with gradients
    /// from files |θ| is what the files say, and this must be left out.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OneOrMany<ModelChoice>")]
    pub models: Option<OneOrMany<ModelChoice>>,

    /// Origin of the clients' gradients, their weights, and the memory that holds them. Default: synthetic, seed 1,
    /// weight 1 each, resident.
    #[serde(default, deserialize_with = "Gradients::read")]
    #[schemars(extend("default" = {"source": "synthetic", "seed": 1, "residency": "resident"}))]
    pub gradients: Gradients,

    /// Types of the gradients' elements. Default f32, or the type that the files hold. Files of another type are
    /// rounded to nearest.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OneOrMany<Dtype>")]
    pub dtype: Option<OneOrMany<Dtype>>,

    /// Numbers of nodes, each of them the first so many of the job's. A job that has fewer is refused. Default: all
    /// of the job's nodes.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OneOrMany<Count>", example = [1, 2, 4, 8])]
    pub nodes: Option<OneOrMany<Count>>,

    /// Number of nodes in a rack, a group whose links to other groups are shared. Racks change no plan; the file then
    /// has the bytes that cross between them. Default: as Slurm's topology or the file GRADSHARD_RACKS says, otherwise one
    /// rack.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Count")]
    pub nodes_per_rack: Option<Count>,

    /// Numbers of clients N, or {"per_rank": so many for each rank that hosts clients}. Default 20, or as many as
    /// there are weights in a list. With gradients from files N is what the files say: leave this out, or write the
    /// same number.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OneOrMany<Scaled>", example = 20, example = [5, 20, 100])]
    pub clients: Option<OneOrMany<Scaled>>,

    /// Numbers of shards M, or {"per_rank": so many for each rank that aggregates}, for strategies that shard.
    /// Default 4.
    #[serde(default = "default_shards", deserialize_with = "OneOrMany::read")]
    #[schemars(example = [1, 4, 16])]
    pub shards: OneOrMany<Scaled>,

    /// Strategies to compare. Default: all that gradshard knows.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OneOrMany<String>")]
    pub strategies: Option<OneOrMany<String>>,

    /// Bases of the number system in which sharded-radix writes distances between ranks: 2 for PAT; from the number of
    /// ranks on it is sharded-direct. Default 2.
    #[serde(default = "default_radix", deserialize_with = "OneOrMany::read")]
    #[schemars(example = [2, 4, 8])]
    pub radix: OneOrMany<Radix>,

    /// The ways in which sums travel between nodes, for strategies with `node-aware` in their name; each takes those that
    /// it has. Default: direct for sharded-node-aware, ring (a chain) for tree-node-aware.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OneOrMany<Way>")]
    pub across: Option<OneOrMany<Way>>,

    /// The ways in which finished ranges reach the clients (end everywhere) or, for strategies that shard, the root: back,
    /// direct or binomial. scatter-allgather is for trees. Default back: to the clients along the way of the sums, to the
    /// root straight.
    #[serde(default, deserialize_with = "OneOrMany::read")]
    pub closing: OneOrMany<Closing>,

    /// How the MPI library carries out the calls of native strategies.
    #[serde(default, deserialize_with = "object")]
    pub native: NativeCalls,

    /// How data moves through an aggregator: whole, or in chunks of a size. Default whole.
    #[serde(default, deserialize_with = "OneOrMany::read")]
    #[schemars(example = &"whole", example = ["whole", "1MiB"])]
    pub flow: OneOrMany<FlowChoice>,

    /// Which ranks aggregate. Default colocated.
    #[serde(default, deserialize_with = "OneOrMany::read")]
    pub roles: OneOrMany<Roles>,

    /// How data passes between ranks of one node, for strategies that leave the choice. Default shared.
    #[serde(default, deserialize_with = "OneOrMany::read")]
    pub intra_node: OneOrMany<IntraNode>,

    /// The order in which an aggregator sums its inputs, for strategies that leave the choice. Default client.
    #[serde(default, deserialize_with = "OneOrMany::read")]
    pub order: OneOrMany<Order>,

    /// Whether a rank knows that its neighbours' gradients are there, reads a flag a client inside the clock, or must first
    /// copy its own into shared memory. For strategies that read gradients in shared memory. Default assumed.
    #[serde(default, deserialize_with = "OneOrMany::read")]
    pub ready: OneOrMany<Ready>,

    /// Whether rounds find caches and pages warm, as the rounds before left them, or cold, as if none had been. Default warm.
    #[serde(default, deserialize_with = "OneOrMany::read")]
    pub caches: OneOrMany<Caches>,

    /// The state in which a round ends, up to which it is timed. Each end is a comparison of its own. Default
    /// everywhere.
    #[serde(default, deserialize_with = "OneOrMany::read")]
    pub end: OneOrMany<End>,

    /// How often and how long each comparison is measured.
    #[serde(default, deserialize_with = "object")]
    pub repeat: Repeat,

    /// Memory limits on one aggregator: sizes, or names of presets (lambda-512mib, lambda-3008mib, lambda-10240mib).
    /// A cell that is predicted to need more becomes a row that says so. Default: no limit.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OneOrMany<CeilingChoice>")]
    pub ceiling: Option<OneOrMany<CeilingChoice>>,

    /// Whether the system enforces the ceiling on each rank that aggregates, by RLIMIT_DATA. What the MPI library takes
    /// then counts, and may cost the job: `gradshard run --launch` goes on after it. Default false.
    #[serde(default)]
    pub enforce: bool,
}

fn present_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    file_name(deserializer).map(Some)
}

fn default_shards() -> OneOrMany<Scaled> {
    OneOrMany::One(Scaled::Fixed(4))
}
fn default_radix() -> OneOrMany<Radix> {
    OneOrMany::One(WholeNumber(LEAST_RADIX))
}

fn example() -> serde_json::Value {
    serde_json::json!({
        "name": "first-look",
        "models": ["resnet18", {"name": "odd", "elements": 1_000_003}],
        "clients": 20,
        "shards": [1, 4, 16],
        "strategies": ["sharded-direct", "tree-lambda-fl"],
        "flow": ["whole", "1MiB"],
        "repeat": {"precision": 0.02, "max_seconds": 60}
    })
}

/// The name of a strategy.
impl Readable for String {
    fn expected() -> String {
        "the name of a strategy".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        let Unexpected::Str(name) = value else { return Err(Self::wrong_type(value)) };
        Ok(name.to_string())
    }
}
