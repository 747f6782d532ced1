//! Plans: the graph of a whole round. A strategy yields a plan for one problem on one layout; everything else reads it.
//!
//! A plan consists of parts, which share no step: the work on one element range, from the clients' gradients to the
//! end of the round. A part is built when it is asked for, in time and memory proportional to its steps, so that no rank ever
//! holds ranks × shards of anything: 4,096 ranks × 4,096 shards are planned and checked part by part.
//!
//! A chain of 8 ranks with one client each sums at one root. Seven sums travel, and no rank receives from two others:
//!
//! ```
//! use std::sync::Arc;
//!
//! use gradshard::plan::{End, Layout, Problem, Roles, check, strategies};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let problem = Arc::new(Problem::unweighted(1000, 8, 1).ending(End::Root));
//! let layout = Arc::new(Layout::new(&[0, 1, 2, 3, 4, 5, 6, 7], Roles::Colocated)?);
//! let chain = strategies::find("tree-chain").ok_or("a strategy of gradshard")?;
//! let tally = check(chain.plan(&problem, &layout)?.as_ref(), &problem, &layout)?;
//! assert_eq!((tally.between_ranks, tally.most_inputs), (7, 2));
//! # Ok(())
//! # }
//! ```

pub mod algorithm;
pub mod call;
pub mod check;
mod closing;
pub mod dealt;
pub mod end;
pub mod explicit;
pub mod family;
pub mod flow;
pub mod forest;
pub mod form;
pub mod layout;
pub mod library_name;
pub mod lowering;
pub mod memory;
pub mod picture;
pub mod problem;
pub mod seats;
pub mod shape;
pub mod step;
pub mod strategies;
pub mod traffic;
pub mod wanted;
mod words;

pub use algorithm::{Algorithm, Offered};
pub use call::Call;
pub use check::{Fault, Tally, check};
pub use end::End;
pub use explicit::ExplicitPlan;
pub use family::{Family, family};
pub use flow::{Caches, Flow, IntraNode, Order, Ready, Residency, Terms};
pub use form::{Choices, Closing, Form, Way};
pub use layout::{Layout, Roles};
pub use library_name::LibraryName;
pub use lowering::{Lowering, lower};
pub use problem::Problem;
pub use step::{Input, Kind, Step};
pub use traffic::{Traffic, traffic};

use crate::gradient::Range;

/// Who does what, where, in one round: for one problem on one layout.
pub trait Plan: Send + Sync {
    /// Number of parts.
    fn parts(&self) -> u64;

    /// The steps of a part. Inputs name steps by their place in this list. The same on every call.
    fn part(&self, part: u64) -> Vec<Step>;

    /// The calls of the MPI library that the plan's `Library` steps take part in, in order. Empty for plans that
    /// gradshard carries out itself.
    fn calls(&self) -> &[Call] {
        &[]
    }

    /// The elements of the result that `rank` must hold when the round ends: as [`wanted::wanted`] has them, unless the plan
    /// splits the gradient in a way of its own.
    fn wanted(&self, problem: &Problem, layout: &Layout, rank: usize) -> Range {
        wanted::wanted(problem, layout, rank)
    }

    /// True if every rank sends at most one message a peer and level, and waits for all that a level brings before it sends
    /// on: algorithms of ⌈log P⌉ rounds. Their sums are kept whole; other plans stream sums through a few pieces.
    fn in_rounds(&self) -> bool {
        false
    }
}

/// The parts of a plan in order, each with the number of its first step among all steps.
pub fn parts(plan: &dyn Plan) -> impl Iterator<Item = (u64, Vec<Step>)> + '_ {
    let mut next = 0;
    (0..plan.parts()).map(move |part| {
        let steps = plan.part(part);
        let first = next;
        next += steps.len() as u64;
        (first, steps)
    })
}

/// Why a strategy has no plan for a problem on a layout. The cell becomes a row with status infeasible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Infeasible(pub String);
