//! A plan as a person reads it, as JSON, as a graph for Graphviz, and as a drawing.

mod svg;

use std::fmt::{self, Write};

use serde_json::json;

use crate::plan::memory::{Memory, predict};
use crate::plan::{Aggregator, Fault, Input, Layout, Output, Plan, Problem, Terms, Verdict};

/// Everything that a picture shows beside the plan itself.
pub struct Picture<'a> {
    /// The strategy's name.
    pub strategy: &'a str,
    /// The plan.
    pub plan: &'a dyn Plan,
    /// What it aggregates.
    pub problem: &'a Problem,
    /// Where.
    pub layout: &'a Layout,
    /// With which flow and the rest.
    pub terms: Terms,
    /// What the check says.
    pub verdict: Result<Verdict, Fault>,
}

/// Lines of one kind that the text shows before it says how many more there are.
const MOST_LINES: u64 = 40;
/// Edges beyond which a drawing shows nothing.
const MOST_EDGES: u64 = 5_000;

/// Runs of neighbouring inputs, each with its first and last number.
fn runs(inputs: &[Input]) -> Vec<(bool, u64, u64)> {
    let mut runs: Vec<(bool, u64, u64)> = Vec::new();
    for input in inputs {
        let (is_client, number) = match input {
            Input::Client(k) => (true, *k),
            Input::Aggregator(id) => (false, *id),
        };
        match runs.last_mut() {
            Some((kind, _, last)) if *kind == is_client && *last + 1 == number => *last = number,
            _ => runs.push((is_client, number, number)),
        }
    }
    runs
}

fn inputs_text(inputs: &[Input]) -> String {
    let mut text = String::new();
    let mut before = None;
    for (is_client, first, last) in runs(inputs) {
        if before != Some(is_client) {
            let separator = if before.is_some() { ", " } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}{} ", if is_client { "clients" } else { "aggregators" });
        } else {
            text.push_str(", ");
        }
        let _ = if first == last { write!(text, "{first}") } else { write!(text, "{first}–{last}") };
        before = Some(is_client);
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}

fn output_name(output: Output) -> &'static str {
    match output {
        Output::Result => "result",
        Output::Partial => "partial",
        Output::Collective => "collective",
    }
}

/// A count with its thousands apart, so that long numbers can be read.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Consecutive ranks that need the same memory.
fn memory_runs(picture: &Picture<'_>) -> Vec<(usize, usize, Memory)> {
    let mut runs: Vec<(usize, usize, Memory)> = Vec::new();
    for rank in 0..picture.layout.ranks() {
        let memory = predict(picture.plan, picture.problem, picture.layout, &picture.terms, rank);
        match runs.last_mut() {
            Some((_, last, same)) if *same == memory => *last = rank,
            _ => runs.push((rank, rank, memory)),
        }
    }
    runs
}

impl Picture<'_> {
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
        match &self.verdict {
            Ok(v) => writeln!(
                out,
                "check: sound. {} aggregators on {} level(s), {} inputs ({} between ranks, {} between nodes), {} finished range(s)",
                grouped(v.aggregators),
                v.levels,
                grouped(v.inputs),
                grouped(v.between_ranks),
                grouped(v.between_nodes),
                grouped(v.results)
            )?,
            Err(fault) => writeln!(out, "check: NOT SOUND. {fault}")?,
        }
        writeln!(
            out,
            "\n{:>10}  {:>5}  {:>5}  {:<10}  {:<25}  {:>12}  takes",
            "aggregator", "rank", "node", "yields", "elements", "weight"
        )?;
        for id in 0..self.plan.aggregators().min(MOST_LINES) {
            let a = self.plan.aggregator(id);
            let node = layout.node_of(a.rank);
            let (range, output) = (a.range.to_string(), output_name(a.output));
            let takes = inputs_text(&a.inputs);
            writeln!(out, "{id:>10}  {:>5}  {node:>5}  {output:<10}  {range:<25}  {:>12}  {takes}", a.rank, a.weight)?;
        }
        more(out, self.plan.aggregators(), "aggregators")?;
        if let Some(collective) = self.plan.collective() {
            writeln!(out, "\nthen {} over all ranks, after which", collective.name())?;
            let ranges = (0..layout.ranks()).map(|rank| (rank, self.plan.collective_range(rank)));
            let held: Vec<_> = ranges.filter(|(_, range)| !range.is_empty()).collect();
            for (rank, range) in held.iter().take(MOST_LINES as usize) {
                writeln!(out, "  rank {rank} holds elements {range}")?;
            }
            more(out, held.len() as u64, "ranks")?;
        }
        writeln!(out, "\npredicted peak bytes of a rank, by purpose (what the MPI library allocates comes on top)")?;
        let heads = ["resident", "accumulators", "staging", "result", "total"];
        writeln!(
            out,
            "{:>11}  {:>16}  {:>16}  {:>16}  {:>16}  {:>16}",
            "ranks", heads[0], heads[1], heads[2], heads[3], heads[4]
        )?;
        let runs = memory_runs(self);
        for (first, last, m) in runs.iter().take(MOST_LINES as usize) {
            let ranks = if first == last { first.to_string() } else { format!("{first}–{last}") };
            let [a, b, c, d, e] = [m.resident, m.accumulators, m.staging, m.result, m.total()].map(grouped);
            writeln!(out, "{ranks:>11}  {a:>16}  {b:>16}  {c:>16}  {d:>16}  {e:>16}")?;
        }
        more(out, runs.len() as u64, "lines")
    }

    /// For a program: one object.
    pub fn json(&self) -> serde_json::Value {
        let aggregators: Vec<_> = (0..self.plan.aggregators()).map(|id| self.aggregator_json(id)).collect();
        let memory: Vec<_> = memory_runs(self)
            .into_iter()
            .map(|(first, last, m)| {
                json!({"first_rank": first, "last_rank": last, "resident": m.resident, "accumulators": m.accumulators,
                       "staging": m.staging, "result": m.result, "total": m.total()})
            })
            .collect();
        let check = match &self.verdict {
            Ok(verdict) => json!({"sound": true, "verdict": verdict}),
            Err(fault) => json!({"sound": false, "fault": fault.to_string()}),
        };
        let collective = self.plan.collective().map(|collective| {
            let ranges: Vec<_> = (0..self.layout.ranks()).map(|rank| self.plan.collective_range(rank)).collect();
            json!({"name": collective.name(), "ranges": ranges})
        });
        let node_of: Vec<usize> = (0..self.layout.ranks()).map(|rank| self.layout.node_of(rank)).collect();
        json!({
            "strategy": self.strategy,
            "clients": self.problem.clients(), "elements": self.problem.elements, "shards": self.problem.shards,
            "dtype": self.terms.dtype.name(), "flow": flow_name(&self.terms),
            "ranks": self.layout.ranks(), "nodes": self.layout.nodes(), "node_of_rank": node_of,
            "roles": self.layout.roles().name(),
            "check": check, "aggregators": aggregators, "collective": collective,
            "memory": memory,
        })
    }

    fn aggregator_json(&self, id: u64) -> serde_json::Value {
        let a = self.plan.aggregator(id);
        let pick = |wanted: bool| -> Vec<[u64; 2]> {
            runs(&a.inputs).into_iter().filter(|run| run.0 == wanted).map(|run| [run.1, run.2 + 1]).collect()
        };
        // Inputs as runs [first, one past the last]: 4,096 clients are one pair.
        json!({"id": id, "rank": a.rank, "node": self.layout.node_of(a.rank), "level": a.level,
               "range": [a.range.start, a.range.end], "weight": a.weight, "output": output_name(a.output),
               "clients": pick(true), "aggregators": pick(false)})
    }

    /// For Graphviz. Refused, with the number of edges, where nothing could be made out in the drawing.
    pub fn dot(&self, out: &mut impl Write) -> Result<(), String> {
        let edges: u64 = (0..self.plan.aggregators()).map(|id| self.plan.aggregator(id).inputs.len() as u64).sum();
        if edges > MOST_EDGES {
            return Err(format!(
                "{edges} edges make no drawing that can be read; at most {MOST_EDGES} are drawn: fewer clients or shards"
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
            for id in self.plan.on_rank(rank) {
                let a = self.plan.aggregator(id);
                writeln!(out, "    a{id} [label=\"{}\", shape={}];", aggregator_label(&a), shape(a.output))?;
            }
            writeln!(out, "  }}")?;
        }
        if let Some(collective) = self.plan.collective() {
            writeln!(out, "  collective [label=\"{}\", shape=hexagon];", collective.name())?;
        }
        for id in 0..self.plan.aggregators() {
            let a = self.plan.aggregator(id);
            for input in &a.inputs {
                match input {
                    Input::Client(client) => writeln!(out, "  c{client} -> a{id};")?,
                    Input::Aggregator(from) => writeln!(out, "  a{from} -> a{id};")?,
                }
            }
            if a.output == Output::Collective {
                writeln!(out, "  a{id} -> collective;")?;
            }
        }
        writeln!(out, "}}")
    }
}

fn aggregator_label(a: &Aggregator) -> String {
    format!("{} {}\\n{}", output_name(a.output), a.id, a.range)
}

fn shape(output: Output) -> &'static str {
    match output {
        Output::Result => "doubleoctagon",
        Output::Partial | Output::Collective => "box",
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
        let inputs = [Input::Client(0), Input::Client(1), Input::Client(2), Input::Client(7), Input::Aggregator(3)];
        assert_eq!(inputs_text(&inputs), "clients 0–2, 7, aggregators 3");
        assert_eq!(inputs_text(&[]), "nothing");
    }

    #[test]
    fn thousands_are_kept_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(134_301_514), "134,301,514");
    }
}
