//! The strategies, one a file, the MPI library's in one table. None of them communicates: each yields a plan.

mod native;
mod sharded_bine;
mod sharded_circulant;
mod sharded_direct;
mod sharded_halving;
mod sharded_node_aware;
mod sharded_radix;
mod sharded_ring;
mod tree_binomial;
mod tree_central;
mod tree_chain;
mod tree_kary;
mod tree_lambda_fl;
mod tree_lifl;
mod tree_node_aware;
mod tree_two;

use std::sync::Arc;

use crate::plan::{
    Algorithm, Choices, Closing, End, Family, Form, Infeasible, Layout, LibraryName, Plan, Problem, Roles, Way, family,
};

/// When a strategy heeds M.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharding {
    /// At every end: it splits the gradient.
    Always,
    /// Only if the result ends scattered: the shards are then the pieces that their owners get.
    WhereScattered,
    /// Never: it has a split of its own.
    Never,
}

/// The settings of an experiment that change what a strategy does. A setting that changes nothing makes no cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// M.
    pub shards: Sharding,
    /// `whole` or chunks.
    pub flow: bool,
    /// `shared` or `messages`.
    pub intra_node: bool,
    /// `client`, `rotated` or `arrival`.
    pub order: bool,
    /// `assumed`, `checked` or `copied`.
    pub ready: bool,
    /// The base of the number system in which distances between ranks are written.
    pub radix: bool,
    /// The ways between nodes that the strategy has; the first is taken where nobody chose. Empty: it has no choice.
    pub across: &'static [Way],
    /// The way of finished ranges.
    pub closing: bool,
    /// The algorithm and the component of the MPI library.
    pub algorithm: bool,
    /// Pieces in which the MPI library gets the gradient.
    pub pieces: bool,
}

impl Knobs {
    /// A strategy that splits the gradient and is carried out by the engine.
    pub const SHARDED: Knobs = Knobs {
        shards: Sharding::Always,
        flow: true,
        intra_node: true,
        order: true,
        ready: true,
        radix: false,
        across: &[],
        closing: true,
        algorithm: false,
        pieces: false,
    };
    /// A collective of the MPI library, with this use of M.
    pub const fn library(shards: Sharding) -> Knobs {
        Knobs {
            shards,
            flow: false,
            intra_node: false,
            order: false,
            ready: false,
            closing: false,
            algorithm: true,
            // A call with a split of its own is not cut again.
            pieces: !matches!(shards, Sharding::Never),
            ..Knobs::SHARDED
        }
    }
    /// A strategy that splits the gradient and sums in rounds, whose order is fixed.
    pub const ROUNDS: Knobs = Knobs { order: false, ..Knobs::SHARDED };
    /// A strategy that splits the clients and is carried out by the engine.
    pub const TREE: Knobs = Knobs { shards: Sharding::WhereScattered, ..Knobs::SHARDED };

    /// The forms of the plan at this end that lists of choices span, at least one. A choice that changes nothing is left
    /// out, and so is a closing that does not reach the end.
    pub fn forms(&self, end: End, choices: Choices<'_>) -> Vec<Form> {
        let Choices { radix, across, closing, .. } = choices;
        let sharded = self.shards == Sharding::Always;
        let closes = self.closing && (end == End::Everywhere || (end == End::Root && sharded));
        // Shards are pieces already, which need not be cut again.
        let fits =
            |closing: Closing| closes && closing.reaches(end) && !(sharded && closing == Closing::ScatterAllgather);
        let mut closings: Vec<Closing> = closing.iter().copied().filter(|closing| fits(*closing)).collect();
        if closings.is_empty() {
            closings.push(Closing::default());
        }
        let mut ways: Vec<Way> = across.iter().copied().filter(|way| self.across.contains(way)).collect();
        if ways.is_empty() {
            ways.push(self.across.first().copied().unwrap_or_default());
        }
        let calls = self.calls(choices);
        let mut forms = Vec::new();
        for across in ways {
            let heeded = if self.radix || across == Way::Radix { radix } else { Choices::default().radix };
            for &radix in heeded {
                for &closing in &closings {
                    let form = |&(algorithm, component)| Form { radix, across, closing, algorithm, component };
                    forms.extend(calls.iter().map(form));
                }
            }
        }
        forms
    }

    /// The algorithms and components of calls of the MPI library, at least the library's own choice.
    fn calls(&self, Choices { algorithm, component, .. }: Choices<'_>) -> Vec<(Algorithm, LibraryName)> {
        let mut calls = Vec::new();
        for &algorithm in algorithm.iter().filter(|_| self.algorithm) {
            let heeded = component.iter().filter(|_| algorithm.is_default()).map(|&component| (algorithm, component));
            let before = calls.len();
            calls.extend(heeded);
            if calls.len() == before {
                calls.push((algorithm, LibraryName::default()));
            }
        }
        if calls.is_empty() { vec![Default::default()] } else { calls }
    }

    /// The form of the plan at this end where nobody chose.
    pub fn usual_form(&self, end: End) -> Form {
        self.forms(end, Choices::default())[0]
    }

    /// True if M changes what the strategy does where a round ends so.
    pub fn heeds_shards(&self, end: End) -> bool {
        match self.shards {
            Sharding::Always => true,
            Sharding::WhereScattered => end == End::Scattered,
            Sharding::Never => false,
        }
    }
}

/// A rule that yields a plan for a problem on a layout.
pub trait Strategy: Send + Sync {
    /// The name used in experiments, tables and files: lower case, words joined by hyphens.
    fn name(&self) -> &'static str;

    /// One line for `gradshard strategies` and the documentation, without a full stop.
    fn about(&self) -> &'static str;

    /// The settings that it heeds.
    fn knobs(&self) -> Knobs;

    /// The reducing MPI function that it calls, which threads cannot carry out; None for strategies of gradshard's own.
    fn mpi_call(&self) -> Option<&'static str> {
        None
    }

    /// True if it needs the MPI library, which threads have not got.
    fn needs_mpi(&self) -> bool {
        self.mpi_call().is_some()
    }

    /// True if it always reads a neighbour's memory inside a node, as it does not heed `intra_node`.
    fn always_shared(&self) -> bool {
        !self.knobs().intra_node && !self.needs_mpi()
    }

    /// The plan for `problem` on `layout`.
    ///
    /// # Errors
    /// There is none, for the reason that the error gives.
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible>;
}

/// A function that plans a problem on a layout, or says why it cannot.
type Planner = fn(&Arc<Problem>, &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible>;

/// A strategy of gradshard's own, whose steps are all `Sum` and `Copy`.
pub struct Recipe {
    name: &'static str,
    about: &'static str,
    knobs: Knobs,
    plan: Planner,
}

impl Strategy for Recipe {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
    fn knobs(&self) -> Knobs {
        self.knobs
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        (self.plan)(problem, layout)
    }
}

static ALL: [&dyn Strategy; 20] = [
    &sharded_direct::STRATEGY,
    &sharded_ring::STRATEGY,
    &sharded_halving::STRATEGY,
    &sharded_circulant::STRATEGY,
    &sharded_radix::STRATEGY,
    &sharded_bine::STRATEGY,
    &sharded_node_aware::STRATEGY,
    &tree_central::STRATEGY,
    &tree_lambda_fl::STRATEGY,
    &tree_lifl::STRATEGY,
    &tree_binomial::STRATEGY,
    &tree_kary::STRATEGY,
    &tree_chain::STRATEGY,
    &tree_two::STRATEGY,
    &tree_node_aware::STRATEGY,
    &native::TABLE[0],
    &native::TABLE[1],
    &native::TABLE[2],
    &native::TABLE[3],
    &native::TABLE[4],
];

/// Every strategy, in the order in which tables list them.
pub fn all() -> &'static [&'static dyn Strategy] {
    &ALL
}

/// The names of all strategies.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|s| s.name()).collect()
}

/// The strategy of this name.
pub fn find(name: &str) -> Option<&'static dyn Strategy> {
    all().iter().copied().find(|s| s.name() == name)
}

/// The family of a strategy where nothing is degenerate: 16 clients and shards on 8 ranks of 4 nodes.
pub fn usual_family(strategy: &dyn Strategy) -> Option<Family> {
    let layout = Arc::new(Layout::even(8, 4, Roles::Colocated).ok()?);
    [End::Everywhere, End::Root, End::Scattered].into_iter().find_map(|end| {
        let knobs = strategy.knobs();
        let shards = if knobs.heeds_shards(end) { 16 } else { 1 };
        let form = knobs.usual_form(end);
        let problem = Arc::new(Problem::unweighted(16, 16, shards).ending(end).formed(form));
        let plan = strategy.plan(&problem, &layout).ok()?;
        Some(family(plan.as_ref(), &problem, &layout))
    })
}
