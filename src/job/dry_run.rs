//! Shows what an experiment would do: its cells and their predicted memory.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::engine::Transport;
use crate::job::comparison::kept_gradients;
use crate::job::duration::{JobTime, for_slurm, in_words};
use crate::job::setup;
use crate::job::{JobError, Request, group};
use crate::plan::memory::predict;
use crate::plan::strategies;

/// Returns a table of the cells with the predicted memory of the busiest rank and of all ranks together. The text is on
/// rank 0. Collective.
pub fn dry_run(transport: &mut dyn Transport, request: &Request) -> Result<String, JobError> {
    let prepared = setup::prepare(transport, request, strategies::all())?;
    if transport.rank() != 0 {
        return Ok(String::new());
    }
    let all = transport.node_of().to_vec();
    let mut text = String::new();
    let mut most = 0u64;
    let mut rounds = 0u64;
    let repeat = &prepared.experiment.repeat;
    for comparison in &prepared.experiment.comparisons {
        let node_of = group::node_of(&all, comparison.nodes);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{comparison}, {} ranks", node_of.len());
        let layout = match prepared.layout(comparison, &node_of) {
            Ok(layout) => layout,
            Err(reason) => {
                let _ = writeln!(text, "  infeasible: {reason}");
                continue;
            }
        };
        let source = prepared.source(comparison).map_err(|error| JobError::Input(error.to_string()))?;
        let copies = (0..layout.ranks())
            .map(|rank| Ok(kept_gradients(&prepared, comparison, &layout, source.as_ref(), rank)?.copy))
            .collect::<Result<Vec<u64>, JobError>>()?;
        for cell in &comparison.cells {
            let strategy = prepared.strategy(&cell.strategy)?;
            let problem = prepared.problem(comparison, source.as_ref(), cell);
            let terms = prepared.terms(comparison, cell, strategy, layout.nodes());
            let plan = match strategy.plan(&problem, &layout) {
                Ok(plan) => plan,
                Err(infeasible) => {
                    let _ = writeln!(text, "  {:>4}  {cell}: infeasible: {infeasible}", cell.index);
                    continue;
                }
            };
            let of_ranks: Vec<u64> = (0..layout.ranks())
                .map(|rank| predict(plan.as_ref(), &problem, &layout, &terms, rank).total() + copies[rank])
                .collect();
            let all: u64 = of_ranks.iter().sum();
            most = most.max(all);
            rounds += repeat.blocks + repeat.warmup;
            let _ = writeln!(
                text,
                "  {:>4}  {cell}: {} on the busiest rank, {} on all",
                cell.index,
                mib(of_ranks.iter().copied().max().unwrap_or(0)),
                mib(all)
            );
        }
    }
    let nodes = all.iter().collect::<BTreeSet<_>>().len();
    let expected = JobTime::of(&prepared.experiment, nodes, request.no_limits);
    let timed: f64 = expected.comparisons.iter().map(|of| of.timed).sum();
    let _ = writeln!(
        text,
        "total: {} cells, at most {rounds} rounds; at most {} on all ranks at once\n\
         (predicted for gradshard's own buffers; what the MPI library allocates comes on top)\n\
         time: about {} at most, of which {} for timed blocks and the rest for limits, loading and verification; \
         for Slurm --time={}",
        prepared.experiment.cell_count(),
        mib(most),
        in_words(expected.seconds()),
        in_words(timed),
        for_slurm(expected.seconds())
    );
    Ok(text)
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
