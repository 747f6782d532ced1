//! A plan as a person reads it, as JSON, as a graph for Graphviz, and as a drawing.

mod svg;

use std::fmt::{self, Write};

use serde_json::json;

use crate::plan::memory::{Memory, predict};
use crate::plan::traffic::Passing;
use crate::plan::{Fault, Input, Kind, Layout, Plan, Problem, Step, Tally, Terms, Traffic, call, parts, traffic};

/// Everything that a picture shows beside the plan itself.
pub struct PlanPicture<'a> {
    /// The strategy's name.
    pub strategy: &'a str,
    /// The plan.
    pub plan: &'a dyn Plan,
    /// The problem that it aggregates.
    pub problem: &'a Problem,
    /// The ranks and nodes.
    pub layout: &'a Layout,
    /// With which flow and the rest.
    pub terms: Terms,
    /// The outcome of the check.
    pub checked: Result<Tally, Fault>,
}

/// Lines of one kind that the text shows before it says how many more there are.
const MOST_LINES: u64 = 40;
/// The reason why a plan of the library's calls has no traffic that could be foretold.
const NO_TRAFFIC: &str = "an algorithm of the MPI library's own moves the bytes; measure them with `gradshard run`";
/// Edges, or ranks, beyond which a drawing shows nothing.
const MOST_EDGES: u64 = 5_000;
/// Inputs that are looked at for the memory of all ranks, at most. That takes seconds.
const MOST_LOOKED_AT: u64 = 1 << 25;
/// Steps up to which JSON has them all. A step takes about 1 KiB of memory.
const MOST_STEPS: u64 = 1 << 19;

/// Runs of neighbouring inputs, each with its first and last number. Steps are numbered through the whole plan, of which
/// the part begins with step `first`.
fn runs(first: u64, inputs: &[Input]) -> Vec<(bool, u64, u64)> {
    let mut runs: Vec<(bool, u64, u64)> = Vec::new();
    for input in inputs {
        let (is_client, number) = match input {
            Input::Client(k) => (true, *k),
            Input::Step(place) => (false, first + *place as u64),
        };
        match runs.last_mut() {
            Some((kind, _, last)) if *kind == is_client && *last + 1 == number => *last = number,
            _ => runs.push((is_client, number, number)),
        }
    }
    runs
}

fn inputs_text(first: u64, inputs: &[Input]) -> String {
    let runs = runs(first, inputs);
    let kinds = runs.chunk_by(|one, next| one.0 == next.0).map(|alike| {
        let kind = if alike[0].0 { "clients" } else { "steps" };
        let numbers: Vec<String> = alike.iter().map(|(_, first, last)| span(first, last)).collect();
        format!("{kind} {}", numbers.join(", "))
    });
    let kinds: Vec<String> = kinds.collect();
    if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
}

/// One number, or the first and the last of several.
fn span<N: PartialEq + fmt::Display>(first: N, last: N) -> String {
    if first == last { first.to_string() } else { format!("{first}–{last}") }
}

/// A count with its thousands apart, so that long numbers can be read.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Runs of equal neighbours, each with its first and last number.
fn equal_runs<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<(usize, usize, T)> {
    let mut runs: Vec<(usize, usize, T)> = Vec::new();
    for (number, value) in values.into_iter().enumerate() {
        match runs.last_mut() {
            Some((_, last, same)) if *same == value => *last = number,
            _ => runs.push((number, number, value)),
        }
    }
    runs
}

impl PlanPicture<'_> {
    /// For a person.
    pub fn text(&self, out: &mut impl Write) -> fmt::Result {
        let (problem, layout, terms) = (self.problem, self.layout, &self.terms);
        writeln!(
            out,
            "{}: N = {} clients, |θ| = {} {} elements ({:.1} MiB), M = {}, flow {}, {} ranks on {} nodes, {}",
            self.strategy,
            grouped(problem.clients()),
            grouped(problem.elements),
            terms.dtype,
            (problem.elements * terms.dtype.size() as u64) as f64 / f64::from(1 << 20),
            grouped(problem.shards),
            flow_name(terms),
            layout.ranks(),
            layout.nodes(),
            layout.roles(),
        )?;
        match &self.checked {
            Ok(v) => writeln!(
                out,
                "check: sound. {} aggregators on {} level(s), {} inputs, {} copies ({} between ranks, {} between nodes), \
                 {} finished range(s), end {}",
                grouped(v.aggregators),
                v.levels,
                grouped(v.inputs),
                grouped(v.copies),
                grouped(v.between_ranks),
                grouped(v.between_nodes),
                grouped(v.results),
                problem.end
            )?,
            Err(fault) => writeln!(out, "check: NOT SOUND. {fault}")?,
        }
        if !self.plan.calls().is_empty() {
            writeln!(out, "after the local sums {} over all ranks", call::names(self.plan.calls()))?;
        }
        self.steps_text(out)?;
        writeln!(out, "\npredicted peak bytes of a rank, by purpose (what the MPI library allocates comes on top)")?;
        let mut line = |ranks: &str, [a, b, c, d, e]: [String; 5]| {
            writeln!(out, "{ranks:>11}  {a:>16}  {b:>16}  {c:>16}  {d:>16}  {e:>16}")
        };
        line("ranks", ["resident", "accumulators", "staging", "result", "total"].map(str::to_owned))?;
        let Some(runs) = self.memory_runs() else {
            return writeln!(
                out,
                "        not calculated: ranks × shards × clients, or ranks twice, is above {MOST_LOOKED_AT}"
            );
        };
        for (first, last, m) in runs.iter().take(MOST_LINES as usize) {
            let sizes = [m.resident, m.accumulators, m.staging, m.result, m.total()];
            line(&span(first, last), sizes.map(grouped))?;
        }
        more(out, runs.len() as u64, "lines")
    }

    /// The bytes of a round to and from each rank, node and rack, for a person.
    pub fn traffic_text(&self, out: &mut impl Write) -> fmt::Result {
        let Some(traffic) = self.traffic() else {
            return writeln!(out, "{}: {NO_TRAFFIC}", self.strategy);
        };
        let gradient = (self.problem.elements * self.terms.dtype.size() as u64).max(1) as f64;
        let Traffic { ranks, nodes, racks, .. } = &traffic;
        writeln!(out, "{}: bytes of a round, and the same in gradients", self.strategy)?;
        for (name, places) in [("rank", ranks), ("node", nodes), ("rack", racks)] {
            writeln!(out, "\n{name:>11}  {:>16}  {:>16}  {:>8}  {:>8}", "into", "out", "into", "out")?;
            let runs = equal_runs(places.iter().copied());
            for (first, last, Passing { into, out: sent }) in runs.iter().take(MOST_LINES as usize) {
                let (a, b) = (*into as f64 / gradient, *sent as f64 / gradient);
                let (place, into, sent) = (span(first, last), grouped(*into), grouped(*sent));
                writeln!(out, "{place:>11}  {into:>16}  {sent:>16}  {a:>8.3}  {b:>8.3}")?;
            }
            more(out, runs.len() as u64, "lines")?;
        }
        Ok(())
    }

    /// The same for a program: one object.
    pub fn traffic_json(&self) -> serde_json::Value {
        match self.traffic() {
            Some(traffic) => json!({"strategy": self.strategy, "traffic": traffic}),
            None => json!({"strategy": self.strategy, "traffic": null, "reason": NO_TRAFFIC}),
        }
    }

    /// Consecutive ranks that need the same memory; None if there are too many ranks and shards.
    fn memory_runs(&self) -> Option<Vec<(usize, usize, Memory)>> {
        let of = |rank| predict(self.plan, self.problem, self.layout, &self.terms, rank);
        (self.looked_at() <= MOST_LOOKED_AT).then(|| equal_runs((0..self.layout.ranks()).map(of)))
    }

    /// Inputs that are looked at for the parts of all ranks: for each rank all shards' steps are made, with the inputs of all
    /// clients and ranks.
    pub fn looked_at(&self) -> u64 {
        let (ranks, shards) = (self.layout.ranks() as u64, self.problem.shards);
        ranks.saturating_mul(shards).saturating_mul(self.problem.clients().max(ranks))
    }

    fn traffic(&self) -> Option<Traffic> {
        traffic(self.plan, self.problem, self.layout, &self.terms)
    }

    fn steps_text(&self, out: &mut impl Write) -> fmt::Result {
        let head = "      step   rank   node  level  yields      elements                         weight  takes";
        writeln!(out, "\n{head}")?;
        let mut all = 0;
        for (first, steps) in parts(self.plan) {
            all += steps.len() as u64;
            for (number, step) in (first..MOST_LINES).zip(&steps) {
                let Step { rank, level, range, inputs, .. } = step;
                let node = self.layout.node_of(*rank);
                let weight = match step.kind {
                    Kind::Sum { weight, .. } => weight.to_string(),
                    Kind::Copy | Kind::Library(_) => String::new(),
                };
                let (range, word, takes) = (range.to_string(), step.word(), inputs_text(first, inputs));
                writeln!(
                    out,
                    "{number:>10}  {rank:>5}  {node:>5}  {level:>5}  {word:<10}  {range:<25}  {weight:>12}  {takes}"
                )?;
            }
        }
        more(out, all, "steps")
    }

    /// For a program: one object. `memory` is null if there are too many ranks and shards.
    ///
    /// # Errors
    /// There are too many steps.
    pub fn json(&self) -> Result<serde_json::Value, String> {
        let mut all = Vec::new();
        for (first, steps) in parts(self.plan) {
            all.extend((first..).zip(&steps).map(|(number, step)| self.step_json(first, number, step)));
            if all.len() as u64 > MOST_STEPS {
                return Err(format!(
                    "more than {MOST_STEPS} steps are not listed: fewer ranks or shards, or --traffic"
                ));
            }
        }
        let of_ranks = |(first, last, m): &(usize, usize, Memory)| {
            json!({"first_rank": first, "last_rank": last, "resident": m.resident, "accumulators": m.accumulators,
                   "staging": m.staging, "result": m.result, "total": m.total()})
        };
        let memory = self.memory_runs().map(|runs| runs.iter().map(of_ranks).collect::<Vec<_>>());
        let check = match &self.checked {
            Ok(tally) => json!({"sound": true, "tally": tally}),
            Err(fault) => json!({"sound": false, "fault": fault.to_string()}),
        };
        let calls: Vec<&str> = self.plan.calls().iter().map(|call| call.name()).collect();
        let node_of: Vec<usize> = (0..self.layout.ranks()).map(|rank| self.layout.node_of(rank)).collect();
        Ok(json!({
            "strategy": self.strategy,
            "clients": self.problem.clients(), "elements": self.problem.elements, "shards": self.problem.shards,
            "end": self.problem.end,
            "dtype": self.terms.dtype.name(), "flow": flow_name(&self.terms),
            "ranks": self.layout.ranks(), "nodes": self.layout.nodes(), "node_of_rank": node_of,
            "roles": self.layout.roles().name(),
            "check": check, "steps": all, "calls": calls,
            "memory": memory,
        }))
    }

    fn step_json(&self, first: u64, number: u64, step: &Step) -> serde_json::Value {
        let pick = |wanted: bool| -> Vec<[u64; 2]> {
            let runs = runs(first, &step.inputs).into_iter();
            runs.filter(|run| run.0 == wanted).map(|run| [run.1, run.2 + 1]).collect()
        };
        let weight = match step.kind {
            Kind::Sum { weight, .. } => Some(weight),
            Kind::Copy | Kind::Library(_) => None,
        };
        // Inputs as runs [first, one past the last]: 4,096 clients are one pair.
        json!({"id": number, "rank": step.rank, "node": self.layout.node_of(step.rank), "level": step.level,
               "kind": step.word(), "range": [step.range.start, step.range.end], "shards": step.shards, "weight": weight,
               "clients": pick(true), "steps": pick(false)})
    }

    /// Inputs of all steps.
    fn edges(&self) -> u64 {
        parts(self.plan).map(|(_, steps)| steps.iter().map(|step| step.inputs.len() as u64).sum::<u64>()).sum()
    }

    /// For Graphviz.
    ///
    /// # Errors
    /// Nothing could be made out in the drawing; the error has the numbers of edges and ranks.
    pub fn dot(&self, out: &mut impl Write) -> Result<(), String> {
        let edges = self.edges();
        let ranks = self.layout.ranks() as u64;
        if edges.max(ranks) > MOST_EDGES {
            return Err(format!(
                "{edges} edges between {ranks} ranks make no drawing that can be read; at most {MOST_EDGES} are drawn: fewer \
                 clients, shards or ranks"
            ));
        }
        self.write_dot(out).map_err(|error| error.to_string())
    }

    fn write_dot(&self, out: &mut impl Write) -> fmt::Result {
        let clients = self.problem.clients();
        writeln!(out, "digraph \"{}\" {{\n  rankdir=LR; node [fontname=\"sans-serif\"];", self.strategy)?;
        for rank in 0..self.layout.ranks() {
            let node = self.layout.node_of(rank);
            writeln!(out, "  subgraph cluster_rank{rank} {{\n    label=\"rank {rank} (node {node})\"; color=gray;")?;
            for client in self.layout.clients_on(rank, clients) {
                writeln!(out, "    c{client} [label=\"client {client}\", shape=circle];")?;
            }
            for (first, steps) in parts(self.plan) {
                for (number, step) in (first..).zip(&steps).filter(|(_, step)| step.rank == rank) {
                    let shape = if step.is_finished() { "doubleoctagon" } else { "box" };
                    writeln!(
                        out,
                        "    s{number} [label=\"{} {number}\\n{}\", shape={shape}];",
                        step.word(),
                        step.range
                    )?;
                }
            }
            writeln!(out, "  }}")?;
        }
        for (first, steps) in parts(self.plan) {
            for (number, step) in (first..).zip(&steps) {
                for input in &step.inputs {
                    match input {
                        Input::Client(client) => writeln!(out, "  c{client} -> s{number};")?,
                        Input::Step(place) => writeln!(out, "  s{} -> s{number};", first + *place as u64)?,
                    }
                }
            }
        }
        writeln!(out, "}}")
    }
}

fn more(out: &mut impl Write, all: u64, what: &str) -> fmt::Result {
    match all.saturating_sub(MOST_LINES) {
        0 => Ok(()),
        rest => writeln!(out, "        … and {} more {what} (--format json has them all)", grouped(rest)),
    }
}

fn flow_name(terms: &Terms) -> String {
    match terms.flow {
        crate::plan::Flow::Whole => "whole".to_owned(),
        crate::plan::Flow::Chunk { elements } => {
            format!("{} bytes a piece", grouped(elements * terms.dtype.size() as u64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_inputs_are_told_apart() {
        let inputs = [Input::Client(0), Input::Client(1), Input::Client(2), Input::Client(7), Input::Step(1)];
        assert_eq!(inputs_text(2, &inputs), "clients 0–2, 7, steps 3");
        assert_eq!(inputs_text(0, &[]), "nothing");
    }

    #[test]
    fn thousands_are_kept_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(134_301_514), "134,301,514");
    }
}
