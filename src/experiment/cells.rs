//! Comparisons and their cells: the points of a sweep in a fixed order.
//!
//! Comparisons and cells are numbered from 0 by nested loops over the lists as written. From the outermost inwards,
//! nodes, models, dtype, clients, roles and end make comparisons; strategies, across, radix, closing, algorithm, component,
//! shards, flow, intra_node, ready, order, caches and ceiling make cells. Cell numbers continue through all comparisons. The same
//! experiment always gets the same numbers.

use std::fmt;

use crate::experiment::knobs::FlowChoice;
use crate::experiment::size::Size;
use crate::gradient::Dtype;
use crate::plan::strategies::Knobs;
use itertools::iproduct;

use crate::plan::{Caches, Choices, End, Form, IntraNode, Order, Ready, Residency, Roles};

/// A problem on a layout. Its cells are measured together, in blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Number within the experiment, from 0.
    pub index: u64,
    /// Number of the job's first nodes that it runs on; None uses all.
    pub nodes: Option<u64>,
    /// Name of the model.
    pub model: String,
    /// Number of elements, |θ|.
    pub elements: u64,
    /// Element type.
    pub dtype: Dtype,
    /// Number of clients, N.
    pub clients: u64,
    /// Which ranks aggregate.
    pub roles: Roles,
    /// The state in which a round ends.
    pub end: End,
    /// How clients hold their gradients.
    pub residency: Residency,
    /// The variants that are compared, at least one.
    pub cells: Vec<Cell>,
}

impl Comparison {
    /// Returns the size of one gradient, bytes.
    pub fn gradient_bytes(&self) -> u64 {
        self.elements * self.dtype.size() as u64
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { nodes, model, elements, dtype, clients, roles, end, residency, .. } = self;
        match nodes {
            Some(1) => write!(f, "1 node: ")?,
            Some(nodes) => write!(f, "{nodes} nodes: ")?,
            None => {}
        }
        write!(f, "{model} ({elements} {dtype}), {clients} clients, {roles}, {end}, {residency}")
    }
}

/// One variant of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Number within the experiment, from 0.
    pub index: u64,
    /// Name of the strategy.
    pub strategy: String,
    /// The choices of the strategy's plan; defaults where it has no choice.
    pub form: Form,
    /// Number of shards, M; 1 for a strategy without shards.
    pub shards: u64,
    /// How data moves through an aggregator or a call of the MPI library; `whole` for a strategy without a choice of flow.
    pub flow: FlowChoice,
    /// How data passes between ranks of one node.
    pub intra_node: IntraNode,
    /// The order of summation.
    pub order: Order,
    /// Whether neighbours' gradients are known to be there.
    pub ready: Ready,
    /// Whether caches and pages are warm.
    pub caches: Caches,
    /// Memory limit on one aggregator, bytes; None for no limit.
    pub ceiling: Option<u64>,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { strategy, form, shards, flow, intra_node, order, ready, caches, ceiling, .. } = self;
        write!(f, "{strategy}{form}, M = {shards}, flow {flow}, {intra_node}, order {order}")?;
        if *ready != Ready::default() {
            write!(f, ", ready {ready}")?;
        }
        if *caches != Caches::default() {
            write!(f, ", caches {caches}")?;
        }
        match ceiling {
            Some(bytes) => write!(f, ", ceiling {}", Size(*bytes)),
            None => Ok(()),
        }
    }
}

/// The lists that the cells of a comparison are made from; none is empty.
#[derive(Clone, Copy)]
pub(crate) struct Variants<'a> {
    pub strategies: &'a [String],
    /// The choices of each strategy's form, in the order of the strategies.
    pub choices: &'a [Choices<'a>],
    pub shards: &'a [u64],
    pub flow: &'a [FlowChoice],
    /// The flow of calls of the MPI library.
    pub pieces: &'a [FlowChoice],
    pub intra_node: &'a [IntraNode],
    pub order: &'a [Order],
    pub ready: &'a [Ready],
    pub residency: Residency,
    pub caches: &'a [Caches],
    pub ceiling: &'a [Option<u64>],
}

impl<'a> Variants<'a> {
    /// Returns the number of cells of one comparison without building them, so that a huge sweep can be rejected.
    pub fn count(&self, end: End, knobs: &dyn Fn(&str) -> Knobs) -> u64 {
        let count = |(strategy, choices): (&String, &Choices<'_>)| {
            let knobs = knobs(strategy);
            let heeded = self.heeded(end, knobs);
            let Variants { shards, flow, order, caches, ceiling, .. } = heeded;
            let forms = knobs.forms(end, *choices).len();
            let lengths =
                [forms, shards.len(), flow.len(), heeded.sharing().count(), order.len(), caches.len(), ceiling.len()];
            lengths.iter().fold(1u64, |cells, &length| cells.saturating_mul(length as u64))
        };
        self.strategies.iter().zip(self.choices).map(count).fold(0, u64::saturating_add)
    }

    /// Builds the cells of one comparison, numbered from `first`. `knobs` tells which settings a strategy uses.
    pub fn cells(&self, first: u64, end: End, knobs: &dyn Fn(&str) -> Knobs) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (strategy, choices) in self.strategies.iter().zip(self.choices) {
            for form in knobs(strategy).forms(end, *choices) {
                let unformed =
                    Variants { strategies: std::slice::from_ref(strategy), ..self.heeded(end, knobs(strategy)) };
                unformed.add_cells(first, form, &mut cells);
            }
        }
        cells
    }

    /// Adds the cells of the first strategy in one form.
    fn add_cells(&self, first: u64, form: Form, cells: &mut Vec<Cell>) {
        let sweep = iproduct!(self.shards, self.flow, self.sharing(), self.order, self.caches, self.ceiling);
        for (&shards, &flow, (intra_node, ready), &order, &caches, &ceiling) in sweep {
            let index = first + cells.len() as u64;
            let strategy = self.strategies[0].clone();
            cells.push(Cell { index, strategy, form, shards, flow, intra_node, order, ready, caches, ceiling });
        }
    }

    /// How data passes between ranks of one node, and whether neighbours' gradients are known to be there: the second
    /// changes a round only if gradients lie in shared memory.
    fn sharing(&self) -> impl Iterator<Item = (IntraNode, Ready)> + Clone + use<'a> {
        let Variants { intra_node, ready, residency, .. } = *self;
        intra_node.iter().flat_map(move |&intra_node| {
            let read = (intra_node, residency) == (IntraNode::Shared, Residency::Resident);
            let ready = if read { ready } else { &[Ready::Assumed] };
            ready.iter().map(move |&ready| (intra_node, ready))
        })
    }

    /// The lists for one strategy; a setting that it ignores has one value.
    fn heeded(&self, end: End, knobs: Knobs) -> Variants<'a> {
        Variants {
            shards: if knobs.heeds_shards(end) { self.shards } else { &[1] },
            flow: match (knobs.flow, knobs.pieces) {
                (true, _) => self.flow,
                (_, true) => self.pieces,
                _ => &[FlowChoice::Whole],
            },
            intra_node: if knobs.intra_node { self.intra_node } else { &self.intra_node[..1] },
            order: if knobs.order { self.order } else { &self.order[..1] },
            ready: if knobs.ready { self.ready } else { &[Ready::Assumed] },
            ..*self
        }
    }
}
