//! The source of the clients' gradients, as written in an experiment.

use std::path::{Path, PathBuf};

use schemars::json_schema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Unexpected};
use serde_json::{Value, json};

use crate::experiment::names::Named;
use crate::experiment::numbers::Seed;
use crate::experiment::object::present;
use crate::experiment::readable::{Readable, json_schema_of, some};
use crate::experiment::weights::Weights;
use crate::gradient::source::FileKind;
use crate::plan::Residency;

/// The source, the weights and the residency of the clients' gradients.
#[derive(Clone, Debug, PartialEq)]
pub enum Gradients {
    /// Random numbers, determined by the seed.
    Synthetic {
        /// Seed of the random sequence.
        seed: u64,
        /// The clients' weights; never a key.
        weights: Weights,
        /// How clients hold their gradients.
        residency: Residency,
    },
    /// Files with the clients' gradients, which determine N and |θ|.
    Files {
        /// Format of the files.
        format: FileKind,
        /// A file, a directory or a glob; as written, relative to the experiment file.
        path: PathBuf,
        /// The clients' weights.
        weights: Weights,
        /// The dataset or group of an HDF5 file; None is the root group.
        dataset: Option<String>,
        /// How clients hold their gradients.
        residency: Residency,
    },
}

/// The values of `"source"`.
#[derive(Clone, Copy, PartialEq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
enum SourceName {
    Synthetic,
    Safetensors,
    Hdf5,
    Npy,
}

impl Named for SourceName {
    const WHAT: &'static str = "source";
}

/// The fields of all sources together. Not a tagged enum, because serde buffers those and loses the position of an
/// error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(deserialize_with = "SourceName::read")]
    source: SourceName,
    #[serde(default, deserialize_with = "some")]
    seed: Option<Seed>,
    #[serde(default, deserialize_with = "present")]
    path: Option<String>,
    #[serde(default, deserialize_with = "Weights::read")]
    weights: Weights,
    #[serde(default, deserialize_with = "present")]
    dataset: Option<String>,
    #[serde(default, deserialize_with = "Residency::read")]
    residency: Residency,
}

impl Fields {
    fn gradients(self) -> Result<Gradients, String> {
        let Fields { source, seed, path, weights, dataset, residency } = self;
        let name: &str = source.into();
        let (takes, format) = match source {
            SourceName::Synthetic => ("seed, weights, residency", None),
            SourceName::Safetensors => ("path, weights, residency", Some(FileKind::Safetensors)),
            SourceName::Hdf5 => ("path, dataset, weights, residency", Some(FileKind::Hdf5)),
            SourceName::Npy => ("path, weights, residency", Some(FileKind::Npy)),
        };
        let given = [("seed", seed.is_some()), ("path", path.is_some()), ("dataset", dataset.is_some())];
        if let Some((field, _)) = given.iter().find(|(field, is_given)| *is_given && !takes.contains(field)) {
            return Err(format!("source {name:?} has no {field:?}; it takes {takes}"));
        }
        let has_metadata = matches!(source, SourceName::Safetensors | SourceName::Hdf5);
        if !has_metadata && matches!(weights, Weights::Key(_)) {
            return Err(format!("source {name:?} has no metadata to take weights from; write a number or a list"));
        }
        let Some(format) = format else {
            return Ok(Gradients::Synthetic { seed: seed.map_or(1, |seed| seed.0), weights, residency });
        };
        match path.filter(|path| !path.is_empty()) {
            Some(path) => Ok(Gradients::Files { format, path: path.into(), weights, dataset, residency }),
            None => Err(format!(
                "source {name:?} needs \"path\": a file, a directory or a glob, relative to the experiment file"
            )),
        }
    }
}

impl Gradients {
    /// Returns the clients' weights.
    pub fn weights(&self) -> &Weights {
        match self {
            Gradients::Synthetic { weights, .. } | Gradients::Files { weights, .. } => weights,
        }
    }

    /// Returns how clients hold their gradients.
    pub fn residency(&self) -> Residency {
        match self {
            Gradients::Synthetic { residency, .. } | Gradients::Files { residency, .. } => *residency,
        }
    }

    /// Returns the same with a relative path resolved against `base_dir`.
    pub fn located(&self, base_dir: &Path) -> Gradients {
        let mut located = self.clone();
        if let Gradients::Files { path, .. } = &mut located {
            *path = base_dir.join(&*path);
        }
        located
    }
}

impl Default for Gradients {
    fn default() -> Self {
        Gradients::Synthetic { seed: 1, weights: Weights::default(), residency: Residency::default() }
    }
}

impl Readable for Gradients {
    fn expected() -> String {
        "gradients: an object such as {\"source\": \"synthetic\", \"seed\": 1}".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        Err(Self::wrong_type(value))
    }

    fn from_object<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map))?.gradients().map_err(de::Error::custom)
    }
}

json_schema_of!(Gradients, |generator| {
    let weights = generator.subschema_for::<Weights>();
    let residency = json!({
        "description": "How clients hold their gradients. Default resident.",
        "default": "resident",
        "anyOf": [generator.subschema_for::<Residency>()]
    });
    let path = json!({
        "description": "A file, a directory or a glob, relative to the experiment file.",
        "type": "string",
        "minLength": 1
    });
    let files = |source: &str| {
        json!({
            "type": "object",
            "properties": {"source": {"const": source}, "path": path, "weights": weights, "residency": residency},
            "required": ["source", "path"],
            "additionalProperties": false
        })
    };
    let mut hdf5: Value = files("hdf5");
    hdf5["properties"]["dataset"] = json!({
        "description": "The dataset that holds the gradients, or the group of them. Default: the file's top.",
        "type": "string"
    });
    json_schema!({
        "examples": [
            {"source": "synthetic", "seed": 1},
            {"source": "safetensors", "path": "data/digits", "weights": {"key": "num_samples"}}
        ],
        "anyOf": [
            {
                "type": "object",
                "description": "Random numbers, the same for the same seed.",
                "properties": {
                    "source": {"const": "synthetic"},
                    "seed": {"type": "integer", "minimum": 0, "maximum": u64::MAX, "default": 1,
                        "description": "Start of the random sequence. Default 1."},
                    "weights": weights,
                    "residency": residency
                },
                "required": ["source"],
                "additionalProperties": false
            },
            hdf5,
            files("safetensors"),
            files("npy")
        ]
    })
});
