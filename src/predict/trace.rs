//! Traces of a round for the simulators of others: what each rank posts, takes, adds and sends, in order.
//!
//! - GOAL: Hoefler, Siebert and Lumsdaine, Group Operation Assembly Language, 2009; read by LogGOPSim and ATLAHS.
//! - SMPI: the time-independent traces of SimGrid (Desprez, Markomanolis, Quinson and Suter, 2011), all ranks in one file.
//!
//! The order is that of ranks whose cores and wires are as fast as [`nominal`] says; on another machine they might take
//! messages in another order.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::fabric::Fabric;
use super::parameters::Parameters;
use super::simulate::simulation;
use super::simulation::Unpredictable;
use super::state::Action;
use super::symmetry::Classes;
use crate::gradient::Dtype;
use crate::plan::{Layout, Plan, Problem, Terms};

/// The actions of every rank in one round.
pub struct Trace {
    ranks: Vec<Vec<Action>>,
}

/// The machine that gives a trace its order: 100 Gbit/s, 2 µs, and cores that add 10^9 elements a second.
fn nominal(layout: &Layout) -> Parameters {
    Parameters {
        card: 12.5e9,
        port: 12.5e9,
        within: 5e9,
        half_trip_between: 2e-6,
        half_trip_within: 0.5e-6,
        overhead: 0.2e-6,
        memory: 100e9,
        one_rank: 10e9,
        sums: vec![(Dtype::F32, 1e9)],
        cores: layout.ranks(),
        cache: 32 << 20,
        eager_within: u64::MAX,
    }
}

/// Traces one round of a plan, which must be sound.
///
/// # Errors
/// If the plan or the terms are such that it cannot be simulated.
pub fn trace(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms) -> Result<Trace, Unpredictable> {
    trace_on(plan, problem, layout, terms, (&nominal(layout), &Fabric::default()))
}

/// The same in the order in which ranks act on another machine.
///
/// # Errors
/// As for [`trace`].
pub fn trace_on(
    plan: &dyn Plan,
    problem: &Problem,
    layout: &Layout,
    terms: &Terms,
    machine: (&Parameters, &Fabric),
) -> Result<Trace, Unpredictable> {
    let mut simulation = simulation(plan, problem, layout, terms, machine, Classes::all(layout.ranks()))?;
    simulation.trace = vec![Vec::new(); layout.ranks()];
    simulation.run()?;
    Ok(Trace { ranks: std::mem::take(&mut simulation.trace) })
}

impl Trace {
    /// The trace in GOAL. `calc` counts nanoseconds: one for each element of each input of a sum. Receives wait for
    /// nothing; sums wait for the messages that they take and for the sum before; sends wait for the sum before.
    pub fn goal(&self) -> String {
        let mut text = format!("num_ranks {}\n", self.ranks.len());
        for (rank, actions) in self.ranks.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\nrank {rank} {{");
            goal_of_rank(&mut text, actions);
            text += "}\n";
        }
        text
    }

    /// The trace as `smpirun -replay` reads it, all ranks in one file that an index names. `compute` counts operations on
    /// elements. A rank waits for messages that must have left before it sends another, and in the end for all.
    pub fn smpi(&self) -> String {
        /// The number of MPI_BYTE among the types of such traces.
        const BYTE: u64 = 6;
        let mut text = String::new();
        for (rank, actions) in self.ranks.iter().enumerate() {
            let _ = writeln!(text, "{rank} init");
            let mut sent = BTreeSet::new();
            for action in actions {
                let _ = match action {
                    Action::Post(from) => {
                        writeln!(text, "{rank} irecv {} {} {} {BYTE}", from.peer, from.tag, from.bytes)
                    }
                    Action::Take(from) => writeln!(text, "{rank} wait {} {rank} {}", from.peer, from.tag),
                    Action::Compute(operations) => writeln!(text, "{rank} compute {operations}"),
                    Action::Left(to) if !sent.remove(&(to.peer, to.tag)) => continue,
                    Action::Left(to) => writeln!(text, "{rank} wait {rank} {} {}", to.peer, to.tag),
                    Action::Send(to) => {
                        sent.insert((to.peer, to.tag));
                        writeln!(text, "{rank} isend {} {} {} {BYTE}", to.peer, to.tag, to.bytes)
                    }
                };
            }
            for (peer, tag) in sent {
                let _ = writeln!(text, "{rank} wait {rank} {peer} {tag}");
            }
            let _ = writeln!(text, "{rank} finalize");
        }
        text
    }
}

fn goal_of_rank(text: &mut String, actions: &[Action]) {
    let mut received = std::collections::HashMap::new();
    // The last operation of the core, and the messages that the next one takes.
    let mut last: Option<usize> = None;
    let mut taken: Vec<usize> = Vec::new();
    let mut labels = 0;
    for action in actions {
        let label = labels;
        let (line, waits) = match action {
            Action::Post(from) => {
                received.insert((from.peer, from.tag), label);
                (format!("recv {}b from {} tag {}", from.bytes, from.peer, from.tag), Vec::new())
            }
            Action::Take(from) => {
                taken.extend(received.get(&(from.peer, from.tag)));
                continue;
            }
            Action::Compute(nanoseconds) => {
                let waits = taken.drain(..).chain(last).collect();
                last = Some(label);
                (format!("calc {nanoseconds}"), waits)
            }
            // GOAL has no way to wait for what leaves.
            Action::Left(_) => continue,
            Action::Send(to) => {
                // Copies that were taken and not added may be what is sent on.
                let line = format!("send {}b to {} tag {}", to.bytes, to.peer, to.tag);
                (line, taken.iter().copied().chain(last).collect::<Vec<usize>>())
            }
        };
        labels += 1;
        let _ = writeln!(text, "l{label}: {line}");
        for before in waits {
            let _ = writeln!(text, "l{label} requires l{before}");
        }
    }
}
