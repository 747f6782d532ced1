//! The model catalogue: real models with the number of their trainable parameters, |θ|, and their layers.
//!
//! models.json holds it. The counts are published figures. Tests of this module derive all layers from the
//! architectures, and compare them with the file and their sums with the counts.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A model of the catalogue.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Model {
    /// Name in experiments and results.
    pub name: &'static str,
    /// Number of trainable parameters, |θ|.
    pub elements: u64,
    /// Architecture and publisher of the count.
    pub about: &'static str,
    /// Alternative names.
    #[serde(borrow, default, skip_serializing)]
    aliases: Vec<&'static str>,
    /// The layers; empty if the model has none.
    #[serde(skip_serializing)]
    blocks: Vec<LayerBlock>,
}

/// Layers that a model repeats.
#[derive(Clone, Debug, Deserialize)]
struct LayerBlock {
    /// Number of the first repetition.
    from: u64,
    /// Number after the last repetition.
    to: u64,
    /// Names, in which # stands for the number of the repetition, and shapes.
    #[serde(borrow)]
    tensors: Vec<(&'static str, Vec<u64>)>,
}

/// One parameter tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Name of the tensor in the library that the model comes from.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<u64>,
}

impl Layer {
    /// Returns the number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }
}

/// The error of a name that no model has.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no model is called \"{name}\"{}{}; known are {}", number_meant(.name), did_you_mean(.nearest), known())]
pub struct UnknownModel {
    /// The name requested.
    pub name: String,
    /// The most similar name of the catalogue, if any is similar.
    pub nearest: Option<&'static str>,
}

/// Returns the part of the message that suggests `nearest`.
fn did_you_mean(nearest: &Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

/// Returns the part of the message for a name that is a number in another spelling, such as `11M` or `11_000_000`.
fn number_meant(name: &str) -> String {
    let plain: String = name.chars().filter(|sign| !matches!(sign, '_' | ',' | ' ')).collect();
    let units = [('k', 1e3), ('m', 1e6), ('g', 1e9), ('b', 1e9)];
    let unit =
        plain.chars().last().and_then(|last| units.into_iter().find(|(unit, _)| *unit == last.to_ascii_lowercase()));
    let (digits, unit) = unit.map_or((plain.as_str(), 1.0), |(_, unit)| (&plain[..plain.len() - 1], unit));
    match digits.parse::<f64>() {
        Ok(number) if number >= 1.0 && number * unit <= 1e15 => {
            format!("; write a number of elements in digits: {:.0}", number * unit)
        }
        _ => String::new(),
    }
}

fn known() -> String {
    CATALOGUE.iter().map(|model| model.name).collect::<Vec<_>>().join(", ")
}

/// Returns all models, grouped by family.
pub fn catalogue() -> &'static [Model] {
    &CATALOGUE
}

/// Finds a model by name or alias. Case, hyphens, underscores, points, slashes and spaces are ignored.
pub fn find(name: &str) -> Result<&'static Model, UnknownModel> {
    let wanted = plain(name);
    let names = |model: &'static Model| std::iter::once(model.name).chain(model.aliases.iter().copied());
    if let Some(model) = CATALOGUE.iter().find(|model| names(model).any(|name| plain(name) == wanted)) {
        return Ok(model);
    }
    let near = CATALOGUE.iter().flat_map(|model| names(model).map(move |name| (model.name, name)));
    let near = near.map(|(model, name)| (strsim::damerau_levenshtein(&plain(name), &wanted), model)).min();
    // A name is suggested if at most a third of the characters differ.
    let nearest = near.filter(|(distance, _)| distance * 3 <= wanted.len()).map(|(_, model)| model);
    Err(UnknownModel { name: name.into(), nearest })
}

impl Model {
    /// Returns the layers in the order and with the names of the library's parameters; None if the model has none.
    pub fn layers(&self) -> Option<Vec<Layer>> {
        let repeated = self.blocks.iter().flat_map(|block| (block.from..block.to).map(move |number| (block, number)));
        let layers = repeated.flat_map(|(block, number)| {
            let name = move |pattern: &str| pattern.replace('#', &number.to_string());
            block.tensors.iter().map(move |(pattern, shape)| Layer { name: name(pattern), shape: shape.clone() })
        });
        (!self.blocks.is_empty()).then(|| layers.collect())
    }
}

/// Normalises a name for comparison.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ' | '/')).flat_map(char::to_lowercase).collect()
}

static CATALOGUE: LazyLock<Vec<Model>> =
    LazyLock::new(|| serde_json::from_str(include_str!("models.json")).unwrap_or_default());

#[cfg(test)]
mod tests;
