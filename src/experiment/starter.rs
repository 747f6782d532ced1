//! The experiment that `gradshard init` writes, and that `gradshard run --sizes` carries out where no file is named.

use serde_json::{Value, json};

/// Returns the experiment with these `models` and `clients`, as JSON has them. A comparison takes `max_seconds` at most.
pub fn starter(models: Value, clients: Value, max_seconds: u64) -> Value {
    // JSON has no comments, so the description tells what to change.
    json!({
        "description": "Where must the round end, and which strategy brings it there first? Change models (gradshard models \
            lists them, or a number of elements), clients, shards and strategies (gradshard strategies lists them). Every \
            list is a sweep: each combination is measured. A comparison ends when every ratio is known to precision, or \
            after max_seconds.",
        "models": models,
        "clients": clients,
        "shards": [{"per_rank": 1}],
        "strategies": [
            "sharded-direct", "sharded-ring", "tree-central", "tree-lambda-fl", "tree-chain", "tree-two",
            "native-reduce-scatter", "native-reduce", "native-allreduce"
        ],
        "end": ["everywhere", "scattered", "root"],
        "flow": ["auto"],
        "repeat": {"precision": 0.02, "max_seconds": max_seconds}
    })
}
