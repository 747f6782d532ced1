//! The MPI library's own reductions: each a local sum on every rank and a row of one table. The calls after the reducing
//! one bring its result to the end that the problem asks for.

use std::sync::Arc;

use super::{Knobs, Sharding, Strategy};
use crate::gradient::Range;
use crate::plan::call::equal_parts;
use crate::plan::wanted::{root, wanted};
use crate::plan::{Call, End, Infeasible, Input, Kind, Layout, Plan, Problem, Roles, Step};

/// A strategy that sums on each rank and hands the sums to the MPI library.
pub struct Native {
    name: &'static str,
    reduces_by: &'static str,
    about: &'static str,
    shards: Sharding,
    /// The call that sums.
    reduce: fn(&Problem, &Layout) -> Call,
}

/// The reductions.
pub static TABLE: [Native; 5] = [
    Native {
        name: "native-reduce-scatter",
        reduces_by: "MPI_Reduce_scatter",
        about: "a local sum on each rank, then the MPI library's MPI_Reduce_scatter (+ MPI_Gatherv or MPI_Allgatherv)",
        shards: Sharding::WhereScattered,
        reduce: |_, _| Call::ReduceScatter,
    },
    Native {
        name: "native-reduce-scatter-block",
        reduces_by: "MPI_Reduce_scatter_block",
        about: "the same with MPI_Reduce_scatter_block: a shard a rank, all of one length, the last ones cut off",
        shards: Sharding::Never,
        reduce: |problem, layout| Call::ReduceScatterBlock { block: problem.elements.div_ceil(layout.ranks() as u64) },
    },
    Native {
        name: "native-ireduce-scatter",
        reduces_by: "MPI_Ireduce_scatter",
        about: "the same with MPI_Ireduce_scatter, waited for at once",
        shards: Sharding::WhereScattered,
        reduce: |_, _| Call::IreduceScatter,
    },
    Native {
        name: "native-reduce",
        reduces_by: "MPI_Reduce",
        about: "a local sum on each rank, then the MPI library's MPI_Reduce (+ MPI_Scatterv or MPI_Bcast)",
        shards: Sharding::WhereScattered,
        reduce: |_, layout| Call::Reduce { root: root(layout) },
    },
    Native {
        name: "native-allreduce",
        reduces_by: "MPI_Allreduce",
        about: "a local sum on each rank, then the MPI library's MPI_Allreduce, whatever the end",
        shards: Sharding::WhereScattered,
        reduce: |_, _| Call::Allreduce,
    },
];

impl Strategy for Native {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
    fn knobs(&self) -> Knobs {
        Knobs::library(self.shards)
    }
    fn mpi_call(&self) -> Option<&'static str> {
        Some(self.reduces_by)
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        let reduce = (self.reduce)(problem, layout);
        if matches!(reduce, Call::ReduceScatterBlock { .. }) && layout.roles() != Roles::Colocated {
            let name = self.reduces_by;
            return Err(Infeasible(format!(
                "{name} gives every rank a block, so no rank can only host clients: roles must be colocated"
            )));
        }
        let then = match (reduce, problem.end) {
            (Call::Reduce { root }, End::Scattered) => Some(Call::Scatter { root }),
            (Call::Reduce { root }, End::Everywhere) => Some(Call::Broadcast { root }),
            (Call::Reduce { .. } | Call::Allreduce, _) | (_, End::Scattered) => None,
            (_, End::Root) => Some(Call::Gather { root: root(layout) }),
            (_, _) => Some(Call::Allgather),
        };
        let calls = [reduce].into_iter().chain(then).collect();
        let plan = LibraryPlan { problem: Arc::clone(problem), layout: Arc::clone(layout), calls };
        let algorithm = problem.form.algorithm;
        if algorithm.needs_equal_powers_of_two() && !plan.is_regular(reduce) {
            let (name, ranks) = (self.reduces_by, layout.ranks());
            return Err(Infeasible(format!(
                "the library's algorithm {algorithm} for {name} needs a power of two of ranks, and a part of the same length \
                 for each of them; there are {ranks} ranks, which get {} elements",
                problem.elements
            )));
        }
        Ok(Box::new(plan))
    }
}

/// A local sum on every rank, then calls of the library. Step r is the local sum of rank r; step c·P + P + r is rank r's
/// part in call c.
struct LibraryPlan {
    problem: Arc<Problem>,
    layout: Arc<Layout>,
    calls: Vec<Call>,
}

impl LibraryPlan {
    /// The range that calls which deal ranges out give to `rank`: its shards, or where the ranges are collected again
    /// equal parts.
    fn owned(&self, rank: usize) -> Range {
        if self.problem.end == End::Scattered {
            wanted(&self.problem, &self.layout, rank)
        } else {
            equal_parts(self.problem.elements, self.layout.ranks(), rank)
        }
    }

    /// True if the ranks are a power of two, and the parts that `reduce` deals out to them are equally long.
    fn is_regular(&self, reduce: Call) -> bool {
        let ranks = self.layout.ranks();
        let blocks = matches!(reduce, Call::ReduceScatterBlock { .. });
        ranks.is_power_of_two() && (blocks || (1..ranks).all(|rank| self.owned(rank).len() == self.owned(0).len()))
    }
}

impl Plan for LibraryPlan {
    fn parts(&self) -> u64 {
        1
    }

    fn part(&self, _part: u64) -> Vec<Step> {
        let ranks = self.layout.ranks();
        let sum = |rank: usize| {
            let clients = self.layout.clients_on(rank, self.problem.clients());
            Step {
                rank,
                range: Range::new(0, self.problem.elements),
                kind: Kind::Sum { weight: self.problem.weight_of(clients.clone()), divided: false },
                inputs: clients.map(Input::Client).collect(),
                level: 1,
                shards: 1,
            }
        };
        let mut steps: Vec<Step> = (0..ranks).map(sum).collect();
        for (number, call) in self.calls.iter().enumerate() {
            steps.extend((0..ranks).map(|rank| Step {
                rank,
                range: call.leaves(self.problem.elements, rank, self.owned(rank)),
                inputs: vec![Input::Step(number * ranks + rank)],
                kind: Kind::Library(number),
                level: number as u32 + 2,
                shards: 1,
            }));
        }
        steps
    }

    fn calls(&self) -> &[Call] {
        &self.calls
    }

    fn wanted(&self, problem: &Problem, layout: &Layout, rank: usize) -> Range {
        match (self.calls[0], problem.end) {
            (call @ Call::ReduceScatterBlock { .. }, End::Scattered) => {
                call.leaves(problem.elements, rank, Range::new(0, 0))
            }
            _ => wanted(problem, layout, rank),
        }
    }
}
