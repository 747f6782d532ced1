//! The simulation of a round: of all ranks, or of one for all that do alike.

use std::collections::BTreeSet;

use super::fabric::Fabric;
use super::neighbourhood::PlanIndex;
use super::parameters::Parameters;
use super::simulation::{Simulated, Simulation, Unpredictable, assembled};
use super::symmetry::Classes;
use super::work::WorkModel;
use crate::plan::{Caches, Layout, Lowering, Plan, Problem, Ready, Residency, Terms, lower};

/// Greatest number of parts × ranks of a plan that is simulated: beyond it the steps alone take gigabytes.
const MOST_STEPS: u64 = 4 << 20;
/// Number of parts × ranks from which on one rank is simulated for all that do the same.
const BY_CLASSES: u64 = 1 << 18;
/// The same where a rank has more than [`MANY_PEERS`], as each message that ends then changes the rates of very many.
pub const MAYBE_BY_CLASSES: u64 = 1 << 12;
/// Peers that a rank sends to.
const MANY_PEERS: usize = 32;

/// Simulates one round of a plan, which must be sound.
///
/// # Errors
/// If the plan or the terms are such that their time cannot be foretold; the error says why.
pub fn simulate(
    plan: &dyn Plan,
    problem: &Problem,
    layout: &Layout,
    terms: &Terms,
    (parameters, fabric): (&Parameters, &Fabric),
) -> Result<Simulated, Unpredictable> {
    let found = simulate_on(plan, problem, layout, terms, (&[parameters], fabric))?;
    found.first().copied().ok_or_else(|| Unpredictable("there is no machine".to_owned()))
}

/// Simulates one round of a plan, which must be sound, on several machines with the same fabric at once.
///
/// # Errors
/// As for [`simulate()`].
pub fn simulate_on(
    plan: &dyn Plan,
    problem: &Problem,
    layout: &Layout,
    terms: &Terms,
    (machines, fabric): (&[&Parameters], &Fabric),
) -> Result<Vec<Simulated>, Unpredictable> {
    refuse(plan, terms)?;
    let steps = plan.parts().saturating_mul(layout.ranks() as u64);
    let classes = if steps >= MAYBE_BY_CLASSES { Classes::of(plan, problem, layout, fabric) } else { None };
    let alike = classes.map(|classes| (classes, lowered(plan, problem, layout, terms, classes)));
    let is_enough = |(classes, lowerings): &(Classes, Vec<Lowering>)| {
        let peers = |lowering: &Lowering| lowering.outgoing.iter().map(|stream| stream.to).collect::<BTreeSet<usize>>();
        let most = || lowerings.iter().map(|lowering| peers(lowering).len()).max().unwrap_or(0);
        classes.period < layout.ranks() && (steps >= BY_CLASSES || most() > MANY_PEERS)
    };
    let (classes, lowerings) = match alike.filter(is_enough) {
        Some(alike) => alike,
        None if steps > MOST_STEPS => {
            let said = "it has too many steps: parts times ranks may be at most 4,194,304, unless ranks do alike";
            return Err(Unpredictable(said.to_owned()));
        }
        None => {
            let all = Classes::all(layout.ranks());
            (all, lowered(plan, problem, layout, terms, all))
        }
    };
    let run = |parameters| {
        let model = WorkModel::new(parameters, problem, layout, terms);
        let rounds = plan.in_rounds();
        assembled(lowerings.clone(), layout, (terms, rounds, model), (parameters, fabric), classes)?.run()
    };
    std::thread::scope(|scope| {
        let begun: Vec<_> = machines.iter().map(|machine| scope.spawn(move || run(machine))).collect();
        begun.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// A round that has not begun.
pub(super) fn simulation<'a>(
    plan: &dyn Plan,
    problem: &Problem,
    layout: &'a Layout,
    terms: &Terms,
    (parameters, fabric): (&'a Parameters, &'a Fabric),
    classes: Classes,
) -> Result<Simulation<'a>, Unpredictable> {
    refuse(plan, terms)?;
    let lowerings = lowered(plan, problem, layout, terms, classes);
    let model = WorkModel::new(parameters, problem, layout, terms);
    assembled(lowerings, layout, (terms, plan.in_rounds(), model), (parameters, fabric), classes)
}

/// The shares of the representatives.
fn lowered(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, classes: Classes) -> Vec<Lowering> {
    // One or two of many ranks are had without an index, which holds all inputs of every step that concerns them.
    if classes.period <= 2 && !classes.is_all() {
        return (0..classes.period).map(|rank| lower(plan, problem, layout, terms, rank)).collect();
    }
    let index = PlanIndex::new(plan, problem, layout, classes.period);
    (0..classes.period).map(|rank| lower(&index.of(rank), problem, layout, terms, rank)).collect()
}

fn refuse(plan: &dyn Plan, terms: &Terms) -> Result<(), Unpredictable> {
    let reason = if !plan.calls().is_empty() {
        "the MPI library carries it out, and the plan of its algorithm is not known"
    } else if terms.residency == Residency::Streamed {
        "gradients are produced while the clock runs, and no limit says how fast"
    } else if terms.ready != Ready::Assumed {
        "the time in which ranks learn that gradients are there is not modelled"
    } else if terms.caches == Caches::Cold {
        "the first touch of memory is not modelled"
    } else {
        return Ok(());
    };
    Err(Unpredictable(reason.to_owned()))
}
