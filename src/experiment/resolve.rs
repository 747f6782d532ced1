//! Resolves the written experiment into the cells to measure: fills in defaults, looks up names, and checks values
//! against each other.

use std::path::Path;

use itertools::iproduct;

use crate::experiment::algorithms;
use crate::experiment::cells::{Cell, Comparison, Variants};
use crate::experiment::error::ExperimentError;
use crate::experiment::gradients::Gradients;
use crate::experiment::knobs::{CeilingChoice, FlowChoice};
use crate::experiment::model::{ModelChoice, unfit_name};
use crate::experiment::names::unknown;
use crate::experiment::numbers::{Count, Elements};
use crate::experiment::one_or_many::{OneOrMany, twice};
use crate::experiment::per_rank::Scaled;
use crate::experiment::settings::Repeat;
use crate::experiment::size::Size;
use crate::experiment::weights::Weights;
use crate::experiment::written::WrittenExperiment;
use crate::gradient::Dtype;
use crate::plan::strategies::Knobs;
use crate::plan::{Algorithm, Choices, LibraryName, Offered, Roles};

/// Number of clients, N, if the experiment names none.
const DEFAULT_CLIENTS: u64 = 20;
/// Element type if neither the experiment nor a file determines it.
const DEFAULT_DTYPE: Dtype = Dtype::F32;
/// Greatest number of cells. A larger sweep is assumed to be a mistake and is rejected before it fills memory.
const MOST_CELLS: u64 = 100_000;

/// Properties of the opened gradient files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Number of clients, N.
    pub clients: u64,
    /// Number of elements, |θ|.
    pub elements: u64,
    /// Element type of the files.
    pub dtype: Dtype,
}

/// Looks up a model of the catalogue: returns its canonical name and |θ|, or a message with the known names.
pub type Catalogue<'a> = &'a dyn Fn(&str) -> Result<(String, u64), String>;

/// Numbers of ranks by which an experiment's counts may scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// Number of ranks that may host clients.
    pub clients: u64,
    /// Number of ranks that may aggregate.
    pub aggregators: u64,
}

/// Counts the hosts on the first given number of nodes (None for all) with these roles; fails if there are fewer nodes.
pub type HostsOf<'a> = &'a dyn Fn(Option<u64>, Roles) -> Result<Hosts, String>;

/// Facts that the caller provides.
pub struct Known<'a> {
    /// Counts the hosts on the job's nodes.
    pub places: HostsOf<'a>,
    /// Names of all strategies.
    pub strategies: &'a [&'a str],
    /// Returns the settings that a strategy uses.
    pub knobs: &'a dyn Fn(&str) -> Knobs,
    /// Returns the choices that the MPI library offers for a strategy's call; None without an MPI library.
    pub algorithms: &'a dyn Fn(&str) -> Option<Offered>,
    /// The catalogue of models.
    pub catalogue: Catalogue<'a>,
    /// Names of all ceiling presets, with their bytes.
    pub ceilings: &'a [(&'a str, u64)],
    /// Properties of the gradient files; None if gradients are synthetic.
    pub files: Option<FileFacts>,
}

/// A resolved and valid experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// Name, suitable for file names.
    pub name: String,
    /// Purpose of the experiment.
    pub description: Option<String>,
    /// Source of the gradients, its path resolved against the base directory.
    pub gradients: Gradients,
    /// Number and duration of repetitions of each comparison.
    pub repeat: Repeat,
    /// Number of nodes in a rack; None if the experiment does not say.
    pub nodes_per_rack: Option<u64>,
    /// Whether the operating system enforces the cells' ceilings.
    pub enforce: bool,
    /// The comparisons in the order of their numbers: at least one, each with at least one cell.
    pub comparisons: Vec<Comparison>,
}

impl Experiment {
    /// Returns the number of cells in all comparisons.
    pub fn cell_count(&self) -> u64 {
        self.comparisons.iter().map(|comparison| comparison.cells.len() as u64).sum()
    }

    /// Returns every cell with its comparison, in the order of their numbers.
    pub fn cells(&self) -> impl Iterator<Item = (&Comparison, &Cell)> {
        self.comparisons.iter().flat_map(|comparison| comparison.cells.iter().map(move |cell| (comparison, cell)))
    }
}

/// Resolves `written`. A relative path of gradients starts at `base_dir`, the directory of the experiment file. Errors
/// name the field and the remedy.
pub fn resolve(written: &WrittenExperiment, base_dir: &Path, known: &Known<'_>) -> Result<Experiment, ExperimentError> {
    let resolver = Resolver { written, known };
    let name = resolver.name()?;
    let files = resolver.files()?;
    let models = resolver.models(&name, files)?;
    let clients = resolver.clients(files)?;
    let strategies = resolver.strategies()?;
    let dtypes = resolver.dtypes(files);
    resolver.check_flow(&dtypes)?;
    let ceilings = resolver.ceilings()?;
    let nodes = resolver.node_counts();
    let radix: Vec<u64> = written.radix.values().iter().map(|radix| radix.0).collect();
    // Only the count of entries matters for the number of cells.
    let unscaled = vec![1; written.shards.values().len()];
    let (algorithms, components) = resolver.calls(&strategies)?;
    let of_algorithm = |algorithm| Choices {
        radix: &radix,
        across: written.across.as_ref().map_or(&[], OneOrMany::values),
        closing: written.closing.values(),
        algorithm,
        component: &components,
    };
    let choices: Vec<Choices<'_>> = algorithms.iter().map(|algorithms| of_algorithm(algorithms)).collect();
    let variants = Variants {
        strategies: &strategies,
        choices: &choices,
        shards: &unscaled,
        flow: written.flow.values(),
        pieces: written.native.pieces.values(),
        intra_node: written.intra_node.values(),
        order: written.order.values(),
        ready: written.ready.values(),
        residency: written.gradients.residency(),
        caches: written.caches.values(),
        ceiling: &ceilings,
    };
    resolver.check_cells(&[
        nodes.len() as u64,
        models.len() as u64,
        dtypes.len() as u64,
        clients.len() as u64,
        written.roles.values().len() as u64,
        written.end.values().iter().map(|end| variants.count(*end, known.knobs)).fold(0, u64::saturating_add),
    ])?;
    let (mut comparisons, mut first_cell): (Vec<Comparison>, u64) = Default::default();
    let (nodes, models, clients) = (nodes.iter().enumerate(), models.iter().enumerate(), clients.iter().enumerate());
    let sweep = iproduct!(nodes, models, &dtypes, clients, written.roles.values());
    for ((node_at, &nodes), (at, (model, length)), &dtype, (client_at, &clients), &roles) in sweep {
        let hosts = resolver.hosts(node_at, nodes, roles)?;
        let clients = resolver.scaled(format!("clients[{client_at}]"), clients, hosts.clients)?;
        resolver.check_weights(clients)?;
        let elements = resolver.elements(at, *length, dtype, hosts)?;
        resolver.check_bytes(at, elements, dtype, clients)?;
        let shards = resolver.shards(clients, hosts)?;
        let variants = Variants { shards: &shards, ..variants };
        for &end in written.end.values() {
            let cells = variants.cells(first_cell, end, known.knobs);
            first_cell += cells.len() as u64;
            comparisons.push(Comparison {
                index: comparisons.len() as u64,
                nodes,
                model: model.clone(),
                elements,
                dtype,
                clients,
                roles,
                end,
                residency: written.gradients.residency(),
                cells,
            });
        }
    }
    Ok(Experiment {
        name,
        description: written.description.clone(),
        gradients: written.gradients.located(base_dir),
        repeat: written.repeat,
        nodes_per_rack: written.nodes_per_rack.map(|nodes| nodes.0),
        enforce: written.enforce,
        comparisons,
    })
}

/// Largest number of inputs of all shards together: shards times clients, or times ranks. A plan with as many takes some
/// seconds to check.
pub const MOST_INPUTS: u64 = 1 << 26;

/// The length of a gradient, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// Number of elements, |θ|.
    Elements(u64),
    /// Bytes for each rank that may aggregate.
    PerAggregator(u64),
}

struct Resolver<'a> {
    written: &'a WrittenExperiment,
    known: &'a Known<'a>,
}

impl Resolver<'_> {
    fn error(&self, field: impl Into<String>, problem: impl Into<String>) -> ExperimentError {
        ExperimentError::Meaning { file: self.written.file.clone(), field: field.into(), problem: problem.into() }
    }

    fn refuse<T>(&self, field: impl Into<String>, problem: impl Into<String>) -> Result<T, ExperimentError> {
        Err(self.error(field, problem))
    }

    fn name(&self) -> Result<String, ExperimentError> {
        if let Some(name) = &self.written.name {
            return Ok(name.clone());
        }
        let stem = self.written.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        match unfit_name(&stem) {
            None => Ok(stem),
            Some(problem) => self.refuse("name", format!("missing, and the file's own name is {problem}")),
        }
    }

    fn files(&self) -> Result<Option<FileFacts>, ExperimentError> {
        let Gradients::Files { path, .. } = &self.written.gradients else { return Ok(None) };
        match self.known.files {
            Some(files) if files.clients > 0 && files.elements > 0 => Ok(Some(files)),
            Some(files) => self.refuse(
                "gradients.path",
                format!(
                    "{} holds {} clients with {} elements each; at least one of each is needed",
                    path.display(),
                    files.clients,
                    files.elements
                ),
            ),
            None => self.refuse("gradients.path", format!("{} has not been read", path.display())),
        }
    }

    fn dtypes(&self, files: Option<FileFacts>) -> Vec<Dtype> {
        match (&self.written.dtype, files) {
            (Some(dtypes), _) => dtypes.values().to_vec(),
            (None, Some(files)) => vec![files.dtype],
            (None, None) => vec![DEFAULT_DTYPE],
        }
    }

    /// Counts the hosts on the first `nodes` nodes, which are entry `at` of the list.
    fn hosts(&self, at: usize, nodes: Option<u64>, roles: Roles) -> Result<Hosts, ExperimentError> {
        (self.known.places)(nodes, roles).map_err(|problem| {
            let place = self.written.nodes.as_ref().map_or("nodes".to_owned(), |nodes| nodes.place("nodes", at));
            self.error(place, problem)
        })
    }

    fn scaled(&self, place: String, count: Scaled, ranks: u64) -> Result<u64, ExperimentError> {
        let problem = || format!("{count} are more than {} on {ranks} ranks", Count::MAX);
        count.on(ranks).ok_or_else(|| self.error(place, problem()))
    }

    /// Returns M for each entry of the list.
    fn shards(&self, clients: u64, hosts: Hosts) -> Result<Vec<u64>, ExperimentError> {
        let shards = &self.written.shards;
        let counts = shards.values().iter().enumerate();
        let inputs = clients.max(hosts.clients).max(hosts.aggregators);
        counts
            .map(|(at, count)| {
                let found = self.scaled(shards.place("shards", at), *count, hosts.aggregators)?;
                if found.saturating_mul(inputs) > MOST_INPUTS {
                    let problem =
                        format!("{found} shards with {inputs} inputs each are more than {MOST_INPUTS} inputs");
                    return self.refuse(shards.place("shards", at), problem);
                }
                Ok(found)
            })
            .collect()
    }

    /// Returns |θ| of entry `at` of the models.
    fn elements(&self, at: usize, length: Length, dtype: Dtype, hosts: Hosts) -> Result<u64, ExperimentError> {
        let bytes = match length {
            Length::Elements(elements) => return Ok(elements),
            Length::PerAggregator(bytes) => bytes,
        };
        let place = || self.written.models.as_ref().map_or("models".to_owned(), |models| models.place("models", at));
        let size = dtype.size() as u64;
        if bytes % size != 0 {
            return self.refuse(
                place(),
                format!(
                    "per_aggregator {} is no whole number of {dtype} elements; write a multiple of {size} bytes",
                    Size(bytes)
                ),
            );
        }
        let elements = (bytes / size).checked_mul(hosts.aggregators.max(1));
        elements.filter(|elements| *elements <= Elements::MAX).ok_or_else(|| {
            let ranks = hosts.aggregators;
            self.error(place(), format!("{} for each of {ranks} ranks are more than 2^53 elements", Size(bytes)))
        })
    }

    fn models(&self, experiment: &str, files: Option<FileFacts>) -> Result<Vec<(String, Length)>, ExperimentError> {
        match (&self.written.models, &self.written.gradients, files) {
            (None, Gradients::Files { path, .. }, Some(files)) => {
                // The last part of a glob is no name.
                let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                let plain = stem.filter(|stem| unfit_name(stem).is_none() && !stem.contains(['*', '?', '[']));
                Ok(vec![(plain.unwrap_or_else(|| experiment.to_string()), Length::Elements(files.elements))])
            }
            (Some(models), _, Some(files)) => self.refuse(
                models.place("models", 0),
                format!("the gradients come from files, which hold {} elements a client; leave models out", files.elements),
            ),
            (Some(models), ..) => self.looked_up(models),
            (None, ..) => self.refuse(
                "models",
                "missing; write for example \"models\": [\"resnet18\"] or \"models\": [{\"name\": \"mine\", \"elements\": \
                 1000003}], or take gradients from files",
            ),
        }
    }

    fn looked_up(&self, models: &OneOrMany<ModelChoice>) -> Result<Vec<(String, Length)>, ExperimentError> {
        let mut found: Vec<(String, Length)> = Vec::new();
        for (at, model) in models.values().iter().enumerate() {
            let place = models.place("models", at);
            let model = match model {
                ModelChoice::Length(elements) => (elements.to_string(), Length::Elements(*elements)),
                ModelChoice::Own { name, elements } => (name.clone(), Length::Elements(*elements)),
                ModelChoice::PerAggregator { name, bytes } => (name.clone(), Length::PerAggregator(*bytes)),
                ModelChoice::Catalogue(name) => match (self.known.catalogue)(name) {
                    Ok((name, elements)) => (name, Length::Elements(elements)),
                    Err(problem) => return self.refuse(place, problem),
                },
            };
            // Such rows could not be told apart: two names of one catalogue model, or an own model named like one.
            if let Some(earlier) = found.iter().position(|(name, _)| *name == model.0) {
                return self.refuse(place, format!("named {:?}, {}", model.0, twice(earlier)));
            }
            found.push(model);
        }
        Ok(found)
    }

    fn clients(&self, files: Option<FileFacts>) -> Result<Vec<Scaled>, ExperimentError> {
        match (&self.written.clients, files) {
            (None, Some(files)) => Ok(vec![Scaled::Fixed(files.clients)]),
            (None, None) => match self.written.gradients.weights() {
                // There are as many clients as weights.
                Weights::Each(weights) => Ok(vec![Scaled::Fixed(weights.len() as u64)]),
                _ => Ok(vec![Scaled::Fixed(DEFAULT_CLIENTS)]),
            },
            (Some(clients), files) => {
                for (at, count) in clients.values().iter().enumerate() {
                    if let Some(files) = files.filter(|files| *count != Scaled::Fixed(files.clients)) {
                        return self.refuse(
                            clients.place("clients", at),
                            format!("{count}, but the files hold {} clients; leave clients out", files.clients),
                        );
                    }
                }
                Ok(clients.values().to_vec())
            }
        }
    }

    fn check_weights(&self, clients: u64) -> Result<(), ExperimentError> {
        match self.written.gradients.weights() {
            Weights::Each(weights) if weights.len() as u64 != clients => self.refuse(
                "gradients.weights",
                format!("{} weights for {clients} clients; write {clients}, or one number for all", weights.len()),
            ),
            _ => Ok(()),
        }
    }

    fn strategies(&self) -> Result<Vec<String>, ExperimentError> {
        let Some(strategies) = &self.written.strategies else {
            if self.known.strategies.is_empty() {
                return self.refuse("strategies", "missing, and there is no strategy to take by default");
            }
            return Ok(self.known.strategies.iter().map(|name| name.to_string()).collect());
        };
        for (at, name) in strategies.values().iter().enumerate() {
            if !self.known.strategies.contains(&name.as_str()) {
                return self
                    .refuse(strategies.place("strategies", at), unknown("strategy", name, self.known.strategies));
            }
        }
        Ok(strategies.values().to_vec())
    }

    /// Returns the entries of the list of nodes; without a list one entry that means all.
    fn node_counts(&self) -> Vec<Option<u64>> {
        let written = self.written.nodes.as_ref();
        written.map_or(vec![None], |nodes| nodes.values().iter().map(|nodes| Some(nodes.0)).collect())
    }

    /// Returns the MPI library's algorithms for each strategy, and the components for all of them.
    fn calls(&self, strategies: &[String]) -> Result<(Vec<Vec<Algorithm>>, Vec<LibraryName>), ExperimentError> {
        let heeds = |strategy: &&String| (self.known.knobs)(strategy).algorithm;
        let calling: Vec<(&String, Option<Offered>)> =
            strategies.iter().filter(heeds).map(|strategy| (strategy, (self.known.algorithms)(strategy))).collect();
        let native = &self.written.native;
        algorithms::of_strategies(&native.algorithm, strategies, &calling)
            .and_then(|algorithms| Ok((algorithms, algorithms::components(native, &calling)?)))
            .or_else(|(place, problem)| self.refuse(place, problem))
    }

    fn check_flow(&self, dtypes: &[Dtype]) -> Result<(), ExperimentError> {
        let (flow, pieces) = (&self.written.flow, &self.written.native.pieces);
        if let Some(at) = pieces.values().iter().position(|this| *this == FlowChoice::Auto) {
            let problem = "write \"whole\" or a size; the library has no pieces that gradshard could choose".to_owned();
            return self.refuse(pieces.place("native.pieces", at), problem);
        }
        for (list, name) in [(flow, "flow"), (pieces, "native.pieces")] {
            for (at, this) in list.values().iter().enumerate() {
                let FlowChoice::Chunk { bytes } = this else { continue };
                let Some(dtype) = dtypes.iter().find(|dtype| bytes % dtype.size() as u64 != 0) else { continue };
                let problem = format!(
                    "{this} is not a whole number of {dtype} elements; write a multiple of {} bytes",
                    dtype.size()
                );
                return self.refuse(list.place(name, at), problem);
            }
        }
        Ok(())
    }

    fn check_cells(&self, lengths: &[u64]) -> Result<(), ExperimentError> {
        let cells = lengths.iter().try_fold(1u64, |cells, length| cells.checked_mul(*length));
        match cells {
            Some(cells) if cells <= MOST_CELLS => Ok(()),
            _ => self.refuse("", format!("the lists span more than {MOST_CELLS} cells; write fewer or shorter ones")),
        }
    }

    fn check_bytes(&self, model: usize, elements: u64, dtype: Dtype, clients: u64) -> Result<(), ExperimentError> {
        let bytes = elements.checked_mul(dtype.size() as u64).and_then(|bytes| bytes.checked_mul(clients));
        if bytes.is_some_and(|bytes| i64::try_from(bytes).is_ok()) {
            return Ok(());
        }
        let place =
            self.written.models.as_ref().map_or("gradients.path".into(), |models| models.place("models", model));
        self.refuse(place, format!("{elements} {dtype} elements of {clients} clients are 2^63 bytes or more"))
    }

    /// Returns the ceilings in bytes; a single None if there is no limit.
    fn ceilings(&self) -> Result<Vec<Option<u64>>, ExperimentError> {
        let Some(ceilings) = &self.written.ceiling else {
            if self.written.enforce {
                return self.refuse(
                    "enforce",
                    "there is no ceiling to enforce; write \"ceiling\": \"3008MiB\", or leave it out",
                );
            }
            return Ok(vec![None]);
        };
        let mut bytes: Vec<Option<u64>> = Vec::new();
        for (at, ceiling) in ceilings.values().iter().enumerate() {
            let place = ceilings.place("ceiling", at);
            let found = match ceiling {
                CeilingChoice::Bytes(bytes) => *bytes,
                CeilingChoice::Preset(name) => match self.known.ceilings.iter().find(|(preset, _)| preset == name) {
                    Some((_, bytes)) => *bytes,
                    None if self.known.ceilings.is_empty() => {
                        return self.refuse(place, format!("{name:?} is no size; write one such as \"3008MiB\""));
                    }
                    None => {
                        let presets: Vec<&str> = self.known.ceilings.iter().map(|(preset, _)| *preset).collect();
                        let unknown = unknown("preset", name, &presets);
                        return self.refuse(place, format!("{unknown}, or a size such as \"3008MiB\""));
                    }
                },
            };
            if let Some(earlier) = bytes.iter().position(|other| *other == Some(found)) {
                return self.refuse(place, format!("{found} bytes, {}", twice(earlier)));
            }
            bytes.push(Some(found));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
