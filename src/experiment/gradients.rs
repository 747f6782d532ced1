//! The source of the clients' gradients, as written in an experiment.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::experiment::names::Named;
use crate::experiment::numbers::Seed;
use crate::experiment::object::present;
use crate::experiment::one_or_many::SweepValue;
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
    #[serde(default, deserialize_with = "present")]
    seed: Option<Seed>,
    #[serde(default, deserialize_with = "present")]
    path: Option<String>,
    #[serde(default)]
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
        let stray = |field: &str, takes: &str| Err(format!("source {name:?} has no {field:?}; it takes {takes}"));
        let kind = match source {
            SourceName::Synthetic => None,
            SourceName::Safetensors => Some(FileKind::Safetensors),
            SourceName::Hdf5 => Some(FileKind::Hdf5),
            SourceName::Npy => Some(FileKind::Npy),
        };
        match kind {
            None => {
                let takes = "seed, weights, residency";
                if path.is_some() {
                    return stray("path", takes);
                }
                if dataset.is_some() {
                    return stray("dataset", takes);
                }
                if matches!(weights, Weights::Key(_)) {
                    return Err(
                        "source \"synthetic\" has no metadata to take weights from; write a number or a list".into()
                    );
                }
                let seed = seed.map_or(1, |seed| seed.0);
                Ok(Gradients::Synthetic { seed, weights, residency })
            }
            Some(format) => {
                let takes = match format {
                    FileKind::Hdf5 => "path, dataset, weights, residency",
                    FileKind::Safetensors | FileKind::Npy => "path, weights, residency",
                };
                if seed.is_some() {
                    return stray("seed", takes);
                }
                if format != FileKind::Hdf5 && dataset.is_some() {
                    return stray("dataset", takes);
                }
                if format == FileKind::Npy && matches!(weights, Weights::Key(_)) {
                    return Err("source \"npy\" has no metadata to take weights from; write a number or a list".into());
                }
                match path {
                    Some(path) if !path.is_empty() => {
                        Ok(Gradients::Files { format, path: path.into(), weights, dataset, residency })
                    }
                    _ => Err(format!(
                        "source {name:?} needs \"path\": a file, a directory or a glob, relative to the experiment file"
                    )),
                }
            }
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

impl<'de> Deserialize<'de> for Gradients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct GradientsVisitor;
        impl<'de> Visitor<'de> for GradientsVisitor {
            type Value = Gradients;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("gradients: an object such as {\"source\": \"synthetic\", \"seed\": 1}")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Gradients, A::Error> {
                Fields::deserialize(MapAccessDeserializer::new(map))?.gradients().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(GradientsVisitor)
    }
}

impl Serialize for Gradients {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Gradients::Synthetic { seed, .. } => {
                map.serialize_entry("source", "synthetic")?;
                map.serialize_entry("seed", seed)?;
            }
            Gradients::Files { format, path, dataset, .. } => {
                map.serialize_entry("source", format)?;
                map.serialize_entry("path", path)?;
                if let Some(dataset) = dataset {
                    map.serialize_entry("dataset", dataset)?;
                }
            }
        }
        if *self.weights() != Weights::Stored {
            map.serialize_entry("weights", self.weights())?;
        }
        map.serialize_entry("residency", &self.residency())?;
        map.end()
    }
}

impl JsonSchema for Gradients {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Gradients".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let weights = generator.subschema_for::<Weights>();
        let residency = json_schema!({
            "description": "How clients hold their gradients. Default resident.",
            "default": "resident",
            "anyOf": [generator.subschema_for::<Residency>()]
        });
        let path = json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "A file, a directory or a glob, relative to the experiment file."
        });
        let files = |source: Schema, mut extra: serde_json::Map<String, serde_json::Value>| {
            let mut properties = serde_json::Map::new();
            properties.insert("source".into(), source.into());
            properties.insert("path".into(), path.clone().into());
            properties.insert("weights".into(), weights.clone().into());
            properties.insert("residency".into(), residency.clone().into());
            properties.append(&mut extra);
            json_schema!({
                "type": "object",
                "properties": properties,
                "required": ["source", "path"],
                "additionalProperties": false
            })
        };
        let mut dataset = serde_json::Map::new();
        dataset.insert(
            "dataset".into(),
            serde_json::json!({"type": "string", "description": "The dataset that holds the gradients, or the group of them. Default: the file's top."}),
        );
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
                files(json_schema!({"const": "hdf5"}), dataset),
                files(json_schema!({"const": "safetensors"}), serde_json::Map::new()),
                files(json_schema!({"const": "npy"}), serde_json::Map::new())
            ]
        })
    }
}
