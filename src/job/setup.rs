//! Prepares every rank for the first round, starting from the experiment file. Faults are found here by all ranks alike
//! and reported once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::transport::{Transport, TransportError, agreed, ranks_of_first_nodes};
use crate::experiment::{self, Comparison, Experiment, FileFacts, Gradients, Hosts, Known};
use crate::gradient::source::{Synthetic, open_files};
use crate::gradient::{Dtype, Source, SourceError, models};
use crate::job::{JobError, Request, asked};
use crate::machine::environment::hostname;
use crate::machine::rack;
use crate::plan::strategies::{self, Knobs, Strategy};
use crate::plan::{Flow, IntraNode, Layout, Offered, Problem, Roles, Terms};
use crate::results::{Output, ResultFile};

/// Presets of `ceiling`: sizes of AWS Lambda functions, whose MB are MiB. New accounts get at most 3,008; the maximum
/// is 10,240 (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
pub const CEILINGS: &[(&str, u64)] =
    &[("lambda-512mib", 512 << 20), ("lambda-3008mib", 3008 << 20), ("lambda-10240mib", 10240 << 20)];

/// An experiment that every rank has read and found valid.
pub struct Prepared {
    /// The text, as stored in the result file.
    pub text: String,
    /// The resolved experiment.
    pub experiment: Experiment,
    /// The name of the rack of each of the job's nodes; empty if nothing names racks.
    pub racks: Vec<String>,
    /// Gradients from files; None if they are synthetic.
    files: Option<Arc<dyn Source>>,
    /// The strategies that the experiment may name.
    strategies: &'static [&'static dyn Strategy],
}

impl Prepared {
    /// Returns the strategy of a name. Names in the experiment were checked when it was read.
    pub fn strategy(&self, name: &str) -> Result<&'static dyn Strategy, JobError> {
        named(self.strategies, name).ok_or_else(|| JobError::Input(format!("strategies: unknown strategy {name:?}")))
    }

    /// Returns the gradients of `comparison`.
    pub fn source(&self, comparison: &Comparison) -> Result<Arc<dyn Source>, SourceError> {
        match (&self.files, &self.experiment.gradients) {
            (Some(files), _) => Ok(Arc::clone(files)),
            (None, Gradients::Synthetic { seed, weights, .. }) => {
                let weights = weights.of(comparison.clients).ok_or_else(|| {
                    SourceError::Request(format!("gradients.weights: {} clients need as many", comparison.clients))
                })?;
                let clients = comparison.clients as usize;
                Ok(Arc::new(Synthetic::new(*seed, clients, comparison.elements, weights)?))
            }
            (None, Gradients::Files { path, .. }) => {
                Err(SourceError::Request(format!("{}: has not been opened", path.display())))
            }
        }
    }

    /// Makes the problem of one cell of `comparison`.
    pub fn problem(&self, comparison: &Comparison, source: &dyn Source, cell: &experiment::Cell) -> Arc<Problem> {
        Arc::new(Problem {
            elements: comparison.elements,
            shards: cell.shards,
            weights: source.weights().into(),
            end: comparison.end,
            form: cell.form,
        })
    }

    /// Like [`Prepared::problem`] with equal weights, where weights do not matter. It needs no gradients.
    pub fn unweighted(&self, comparison: &Comparison, cell: &experiment::Cell) -> Arc<Problem> {
        let problem = Problem::unweighted(comparison.elements, comparison.clients, cell.shards);
        Arc::new(problem.ending(comparison.end).formed(cell.form))
    }

    /// Returns the terms of a cell on `nodes` nodes.
    pub fn terms(
        &self,
        comparison: &Comparison,
        cell: &experiment::Cell,
        strategy: &dyn Strategy,
        nodes: usize,
    ) -> Terms {
        let size = comparison.dtype.size() as u64;
        let flow = match cell.flow {
            experiment::FlowChoice::Whole => Flow::Whole,
            experiment::FlowChoice::Chunk { bytes } => Flow::Chunk { elements: (bytes / size).max(1) },
            experiment::FlowChoice::Auto => {
                Flow::automatic(comparison.elements, comparison.clients, cell.shards, comparison.dtype, nodes)
            }
        };
        let intra_node = if strategy.always_shared() { IntraNode::Shared } else { cell.intra_node };
        let experiment::Cell { order, ready, caches, .. } = *cell;
        Terms { dtype: comparison.dtype, flow, intra_node, order, residency: comparison.residency, ready, caches }
    }

    /// Parses and resolves an experiment's text for ranks on the nodes `node_of`, with all of gradshard's strategies.
    /// `path` is the file named in errors and the base of relative paths.
    pub fn understand(text: &str, path: &Path, node_of: &[usize]) -> Result<Prepared, JobError> {
        understand(text, path, (node_of, &BTreeMap::new()), strategies::all()).map_err(JobError::Input)
    }

    /// Returns the layout on these nodes, which are those of the ranks that measure the comparison: the first nodes of the
    /// job, in its order of ranks.
    pub fn layout(&self, comparison: &Comparison, node_of: &[usize]) -> Result<Arc<Layout>, String> {
        let layout = Layout::new(node_of, comparison.roles).map_err(|error| error.to_string())?;
        Ok(Arc::new(match self.experiment.nodes_per_rack {
            Some(nodes) => {
                let number: Vec<u64> = node_of.iter().map(|node| *node as u64 / nodes).collect();
                layout.in_racks(|rank| number[rank])
            }
            None => layout.in_racks(|rank| self.racks.get(node_of[rank])),
        }))
    }
}

fn named(strategies: &'static [&'static dyn Strategy], name: &str) -> Option<&'static dyn Strategy> {
    strategies.iter().copied().find(|strategy| strategy.name() == name)
}

/// Reads the experiment on rank 0, then parses and resolves it on every rank with `strategies` as the known ones.
/// Collective.
pub fn prepare(
    transport: &mut dyn Transport,
    request: &Request,
    strategies: &'static [&'static dyn Strategy],
) -> Result<Prepared, JobError> {
    let path = request.file();
    let text = if transport.rank() == 0 { asked::text(request) } else { Ok(String::new()) };
    let text = agreed(transport, text)?.map_err(JobError::Input)?;
    let text = String::from_utf8_lossy(&transport.broadcast(text.into_bytes())?).into_owned();
    let node_of = transport.node_of().to_vec();
    let offered = offered(transport, strategies)?;
    let understood = understand(&text, path, (&node_of, &offered), strategies);
    let prepared = agreed(transport, understood)?.map_err(JobError::Input)?;
    Ok(Prepared { racks: racks(transport)?, ..prepared })
}

/// Returns the choices that the MPI library offers for each strategy that calls it; nothing where there is no library.
fn offered(
    transport: &mut dyn Transport,
    strategies: &'static [&'static dyn Strategy],
) -> Result<BTreeMap<&'static str, Offered>, TransportError> {
    let Some(library) = transport.collectives() else { return Ok(BTreeMap::new()) };
    let calls = strategies.iter().filter_map(|strategy| Some((strategy.name(), strategy.mpi_call()?)));
    calls.map(|(name, call)| Ok((name, library.offered(call)?))).collect()
}

/// Returns the name of each node's rack; none if nothing names racks. A launcher need not pass rank 0's environment on, so
/// rank 0 reads the file for all. Collective.
fn racks(transport: &mut dyn Transport) -> Result<Vec<String>, JobError> {
    let here = (hostname(Path::new("/")), rack::of_slurm());
    let told = transport.gather(&serde_json::to_vec(&here).unwrap_or_default())?;
    let named = told.map_or(Ok(None), |told| {
        let places: Vec<(String, Option<String>)> =
            told.iter().map(|bytes| serde_json::from_slice(bytes).unwrap_or_default()).collect();
        let of_nodes: BTreeMap<usize, _> = transport.node_of().iter().copied().zip(places).collect();
        let (hostnames, of_slurm): (Vec<String>, Vec<Option<String>>) = of_nodes.into_values().unzip();
        let of_slurm = || of_slurm.into_iter().collect::<Option<Vec<String>>>();
        rack::of_file(&hostnames).map(|of_file| of_file.or_else(of_slurm))
    });
    let named: Vec<String> = agreed(transport, named)?.map_err(JobError::Input)?.unwrap_or_default();
    let bytes = transport.broadcast(serde_json::to_vec(&named).unwrap_or_default())?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Counts the hosts on the first `nodes` nodes of `node_of`.
fn hosts(node_of: &[usize], nodes: Option<u64>, roles: Roles) -> Result<Hosts, String> {
    let there = node_of.iter().collect::<BTreeSet<_>>().len();
    let wanted = nodes.map_or(there, |nodes| nodes as usize);
    if wanted > there {
        return Err(format!(
            "{wanted}, but the ranks of this job are on {there} node(s); ask for more nodes, or choose with --nodes"
        ));
    }
    let members: Vec<usize> = ranks_of_first_nodes(node_of, wanted).into_iter().map(|rank| node_of[rank]).collect();
    // If roles do not suit the ranks, the cells become rows that say so.
    let ranks = members.len() as u64;
    Ok(Layout::new(&members, roles).map_or(Hosts { clients: ranks, aggregators: ranks }, |layout| Hosts {
        clients: layout.client_ranks().len() as u64,
        aggregators: layout.aggregator_ranks().len() as u64,
    }))
}

fn understand(
    text: &str,
    path: &Path,
    (node_of, offered): (&[usize], &BTreeMap<&str, Offered>),
    strategies: &'static [&'static dyn Strategy],
) -> Result<Prepared, String> {
    let written = experiment::parse(text, path).map_err(|error| error.to_string())?;
    let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = open(&written.gradients, base).map_err(|error| format!("{}: gradients: {error}", path.display()))?;
    let facts = files.as_ref().map(|files| FileFacts {
        clients: files.clients() as u64,
        elements: files.elements(),
        dtype: files.stored_dtype().unwrap_or(Dtype::F32),
    });
    let names: Vec<&str> = strategies.iter().map(|strategy| strategy.name()).collect();
    let known = Known {
        places: &|nodes, roles| hosts(node_of, nodes, roles),
        strategies: &names,
        knobs: &|name| named(strategies, name).map_or(Knobs::SHARDED, |strategy| strategy.knobs()),
        algorithms: &|name| offered.get(name).cloned(),
        catalogue: &|name| {
            models::find(name).map(|model| (model.name.to_owned(), model.elements)).map_err(|error| error.to_string())
        },
        ceilings: CEILINGS,
        files: facts,
    };
    let experiment = experiment::resolve(&written, base, &known).map_err(|error| error.to_string())?;
    Ok(Prepared { text: text.to_owned(), experiment, racks: Vec::new(), files, strategies })
}

fn open(gradients: &Gradients, base: &Path) -> Result<Option<Arc<dyn Source>>, SourceError> {
    let Gradients::Files { format, path, weights, dataset, .. } = gradients else { return Ok(None) };
    let pattern = path.to_string_lossy();
    open_files(*format, &pattern, base, weights, dataset.as_deref()).map(|files| Some(files.into()))
}

/// Claims the result file on rank 0 before anything runs. Returns its contents if the job continues it. Other ranks get
/// None. Collective.
pub fn claim_output(
    transport: &mut dyn Transport,
    request: &Request,
    prepared: &Prepared,
) -> Result<(Option<Output>, Option<ResultFile>), JobError> {
    let claimed = if transport.rank() == 0 { claim(request, prepared) } else { Ok((None, None)) };
    agreed(transport, claimed)?.map_err(JobError::Input)
}

fn claim(request: &Request, prepared: &Prepared) -> Result<(Option<Output>, Option<ResultFile>), String> {
    let path = request.output.clone().unwrap_or_else(|| default_output(&prepared.experiment));
    let output = if request.resume {
        Output::resume(&path, &prepared.text)
    } else {
        Output::create(&path, request.force).map(|output| (output, None))
    };
    let (output, contents) = output.map_err(|error| error.to_string())?;
    if let Some(directory) = &request.keep_result {
        std::fs::create_dir_all(directory)
            .map_err(|error| format!("--keep-result {}: {error}", directory.display()))?;
    }
    Ok((Some(output), contents))
}

/// Returns the default path of the result file.
fn default_output(experiment: &Experiment) -> PathBuf {
    PathBuf::from(format!("{}.h5", experiment.name))
}

/// Returns the path of the result file of a request.
///
/// # Errors
/// If the experiment is invalid.
pub fn output_path(request: &Request) -> Result<PathBuf, JobError> {
    if let Some(output) = &request.output {
        return Ok(output.clone());
    }
    let text = asked::text(request).map_err(JobError::Input)?;
    // The name does not depend on the nodes, so as many are assumed as the experiment asks for.
    let written = experiment::parse(&text, request.file()).map_err(|error| JobError::Input(error.to_string()))?;
    let most = written.nodes.iter().flat_map(|nodes| nodes.values()).map(|nodes| nodes.0 as usize).max();
    let node_of: Vec<usize> = (0..most.unwrap_or(1)).collect();
    Ok(default_output(&Prepared::understand(&text, request.file(), &node_of)?.experiment))
}
