//! A strategy of one's own: `cargo run --example own_strategy`.
//!
//! The strategy reverses the ring: every shard travels from the rank before its owner down to it. It needs one function,
//! from a position to the position that takes its sum; checks, memory, messages, verification, times and the table follow.

use std::sync::Arc;

use gradshard::engine::run_threads;
use gradshard::job::{Quiet, Request, run_with};
use gradshard::plan::forest::{Cut, Forest};
use gradshard::plan::shape::{Circle, Shape};
use gradshard::plan::strategies::{Knobs, Strategy};
use gradshard::plan::{Infeasible, Layout, Plan, Problem};

struct ReversedRing;

impl Shape for ReversedRing {
    fn parent(&self, circle: &Circle, _part: u64, position: usize) -> (usize, u32) {
        ((position + circle.positions - 1) % circle.positions, circle.before_owner(position) as u32)
    }
}

impl Strategy for ReversedRing {
    fn name(&self) -> &'static str {
        "sharded-reversed-ring"
    }
    fn about(&self) -> &'static str {
        "reduce-scatter by a ring that turns the other way"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, ReversedRing)))
    }
}

static STRATEGIES: [&dyn Strategy; 1] = [&ReversedRing];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let experiment = directory.path().join("own.json");
    let text = r#"{"models": 1000003, "clients": 8, "shards": 4, "strategies": ["sharded-reversed-ring"], "repeat": {"blocks": 10}}"#;
    std::fs::write(&experiment, text)?;
    let request = Request { output: Some(directory.path().join("own.h5")), ..Request::new(experiment) };
    let of_ranks = run_threads(&[0, 0, 1, 1], |transport| run_with(&STRATEGIES, transport, &request, &mut Quiet));
    for finished in of_ranks {
        if let Some(finished) = finished? {
            let cell = &finished.results.cells[0];
            println!("{}: {:?}, median {:?} s", cell.strategy, cell.status, cell.median_s);
        }
    }
    Ok(())
}
