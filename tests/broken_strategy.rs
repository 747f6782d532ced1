//! Strategies that are wrong, and a transport that is: the check refuses the plan, verification finds the elements,
//! and the job turns the cell failed.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use gradshard::engine::transport::Collectives;
use gradshard::engine::verify::{Verification, verify};
use gradshard::engine::{Residents, Round, Shared, Spec, Transport, TransportError, run_threads};
use gradshard::gradient::source::Synthetic;
use gradshard::gradient::{Dtype, Range};
use gradshard::job::{Quiet, Request, Stop, Watching, run_with};
use gradshard::plan::strategies::{Family, Knobs, Strategy};
use gradshard::plan::{
    Aggregator, ExplicitPlan, Fault, Flow, Infeasible, Input, IntraNode, Layout, Order, Output, Phase, Plan, Problem,
    Residency, Roles, Terms, check,
};
use gradshard::results::ResultFile;
use gradshard::results::row::Status;
use serde_json::json;

const ELEMENTS: u64 = 101;
const CLIENTS: u64 = 5;
const RANKS: usize = 3;

/// What is wrong with a [`Broken`] strategy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    None,
    DropsAClient,
    CountsAClientTwice,
    SumsTheWrongRange,
    WeighsWrongly,
}

/// Two halves, each summed by an aggregator of its own straight from the clients; and what spoils it.
struct Broken(&'static str, Defect);

impl Broken {
    fn aggregators(&self, problem: &Problem, layout: &Layout) -> Vec<Aggregator> {
        let middle = problem.elements / 2;
        let all: Vec<Input> = (0..problem.clients()).map(Input::Client).collect();
        let mut halves: Vec<Aggregator> = [Range::new(0, middle), Range::new(middle, problem.elements)]
            .into_iter()
            .enumerate()
            .map(|(id, range)| Aggregator {
                id: id as u64,
                rank: layout.spread(id as u64, 2),
                range,
                inputs: all.clone(),
                weight: problem.total_weight(),
                output: Output::Result,
                level: 1,
            })
            .collect();
        match self.1 {
            Defect::None => {}
            Defect::DropsAClient => {
                halves[1].inputs.remove(2);
                halves[1].weight -= problem.weights[2];
            }
            Defect::CountsAClientTwice => halves[0].inputs[3] = Input::Client(1),
            Defect::SumsTheWrongRange => halves[1].range = Range::new(middle + 1, problem.elements),
            Defect::WeighsWrongly => halves[0].weight *= 1.5,
        }
        halves
    }
}

impl Strategy for Broken {
    fn name(&self) -> &'static str {
        self.0
    }
    fn family(&self) -> Family {
        Family::Sharded
    }
    fn about(&self) -> &'static str {
        "wrong on purpose"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(ExplicitPlan::new(problem.clients(), self.aggregators(problem, layout))))
    }
}

static BROKEN: [Broken; 5] = [
    Broken("sound", Defect::None),
    Broken("drops-a-client", Defect::DropsAClient),
    Broken("counts-a-client-twice", Defect::CountsAClientTwice),
    Broken("sums-the-wrong-range", Defect::SumsTheWrongRange),
    Broken("weighs-wrongly", Defect::WeighsWrongly),
];
static STRATEGIES: [&dyn Strategy; 5] = [&BROKEN[0], &BROKEN[1], &BROKEN[2], &BROKEN[3], &BROKEN[4]];

fn problem() -> (Arc<Problem>, Arc<Layout>, Synthetic) {
    let weights: Vec<f64> = (1..=CLIENTS).map(|k| k as f64).collect();
    let source = Synthetic::new(3, CLIENTS as usize, ELEMENTS, weights.clone()).unwrap();
    let problem = Problem { elements: ELEMENTS, shards: 2, weights: weights.into() };
    (Arc::new(problem), Arc::new(Layout::even(RANKS, 1, Roles::Colocated).unwrap()), source)
}

/// Carries a plan out that nobody has checked, and verifies what comes of it.
fn carry_out_unchecked(strategy: &dyn Strategy, flow: Flow, intra_node: IntraNode) -> Verification {
    let (problem, layout, source) = problem();
    let plan = strategy.plan(&problem, &layout).unwrap();
    let terms = Terms {
        dtype: Dtype::F32,
        flow,
        intra_node,
        order: Order::Client,
        residency: Residency::Resident,
        phase: Phase::Aggregate,
    };
    let of_ranks = run_threads(&[0; RANKS], |transport| {
        let shared = intra_node == IntraNode::Shared;
        let residents = Residents::<f32>::load(&source, &problem, &layout, shared, transport).unwrap();
        let spec = Spec { plan: plan.as_ref(), problem: &problem, layout: &layout, terms, source: &source };
        let mut round = Round::prepare(spec, &residents, transport).unwrap();
        round.reset();
        transport.barrier().unwrap();
        round.run(transport).unwrap();
        transport.barrier().unwrap();
        let found = verify::<f32>(&problem, &source, &round.results()).unwrap();
        transport.barrier().unwrap();
        found
    });
    of_ranks.into_iter().fold(Verification::default(), Verification::merge)
}

#[test]
fn verification_finds_every_wrong_element_of_an_unchecked_plan() {
    for (flow, intra_node) in [
        (Flow::Whole, IntraNode::Shared),
        (Flow::Whole, IntraNode::Messages),
        (Flow::Chunk { elements: 7 }, IntraNode::Shared),
        (Flow::Chunk { elements: 7 }, IntraNode::Messages),
    ] {
        for broken in &BROKEN {
            let found = carry_out_unchecked(broken, flow, intra_node);
            let (elements, wrong, first) = match broken.1 {
                Defect::None => (ELEMENTS, 0, None),
                Defect::DropsAClient => (ELEMENTS, 51, Some(50)),
                Defect::CountsAClientTwice | Defect::WeighsWrongly => (ELEMENTS, 50, Some(0)),
                // What is there is right; an element is missing, which the job's count of elements tells.
                Defect::SumsTheWrongRange => (ELEMENTS - 1, 0, None),
            };
            assert_eq!((found.elements, found.wrong, found.first_wrong), (elements, wrong, first), "{:?}", broken.1);
            assert_eq!(found.differing >= wrong, found.max_ulp > 0 || wrong == 0, "{found:?}");
        }
    }
}

/// Runs the job on threads, and returns its rows; `around` may stand between it and its transport.
fn job(
    strategies: &'static [&'static dyn Strategy],
    experiment: serde_json::Value,
    around: impl Fn(&mut dyn Transport, &dyn Fn(&mut dyn Transport) -> Option<ResultFile>) -> Option<ResultFile> + Sync,
) -> ResultFile {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("broken.json");
    std::fs::write(&file, experiment.to_string()).unwrap();
    let output = Some(directory.path().join("broken.h5"));
    let request = Request {
        nodes: None,
        experiment: file,
        output,
        force: false,
        keep_result: None,
        resume: false,
        limits: true,
        watch: Watching::Every,
        ignore_prediction: false,
        stop: Stop::default(),
    };
    let of_ranks = run_threads(&[0; RANKS], |transport| {
        around(transport, &|transport| {
            let finished = run_with(strategies, transport, &request, &mut Quiet).unwrap();
            finished.map(|finished| finished.results)
        })
    });
    of_ranks.into_iter().flatten().next().unwrap()
}

#[test]
fn the_job_refuses_a_broken_strategy_and_goes_on() {
    let names: Vec<&str> = BROKEN.iter().map(|broken| broken.0).collect();
    let experiment = json!({
        "models": ELEMENTS, "clients": CLIENTS, "strategies": names, "shards": 2,
        "repeat": {"blocks": 2, "warmup": 0}
    });
    let results = job(&STRATEGIES, experiment, |transport, job| job(transport));
    assert_eq!(results.cells.len(), BROKEN.len());
    for (cell, broken) in results.cells.iter().zip(&BROKEN) {
        let expected = match broken.1 {
            Defect::None => "",
            Defect::DropsAClient => "unsound plan: elements 50..101: client 2 is missing",
            Defect::CountsAClientTwice => "unsound plan: elements 0..50: client 1 is summed more than once",
            Defect::SumsTheWrongRange => "unsound plan: finished ranges do not tile the gradient",
            Defect::WeighsWrongly => "unsound plan: aggregator 0: weight",
        };
        assert_eq!(cell.status == Status::Ok, broken.1 == Defect::None, "{cell:?}");
        assert_eq!(cell.status == Status::Failed, broken.1 != Defect::None, "{cell:?}");
        assert!(cell.reason.starts_with(expected), "{cell:?}");
        assert_eq!(cell.samples, if broken.1 == Defect::None { 2 } else { 0 });
    }
}

/// A plan that passes the check and is wrong all the same: it tells the check one weight and the engine another.
struct Liar {
    plan: ExplicitPlan,
    asked: std::sync::atomic::AtomicU64,
    honest: u64,
}

struct Lying;

impl Strategy for Lying {
    fn name(&self) -> &'static str {
        "lying"
    }
    fn family(&self) -> Family {
        Family::Sharded
    }
    fn about(&self) -> &'static str {
        "sound when checked, wrong when carried out"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        let plan = ExplicitPlan::new(problem.clients(), Broken("", Defect::None).aggregators(problem, layout));
        // The check asks each rank once what is on it; whoever asks again, or does not check, hears the lie.
        Ok(Box::new(Liar { plan, asked: 0.into(), honest: layout.ranks() as u64 }))
    }
}

impl Plan for Liar {
    fn aggregators(&self) -> u64 {
        self.plan.aggregators()
    }
    fn aggregator(&self, id: u64) -> Aggregator {
        let mut aggregator = self.plan.aggregator(id);
        if self.asked.load(std::sync::atomic::Ordering::Relaxed) > self.honest {
            aggregator.weight *= 2.0;
        }
        aggregator
    }
    fn on_rank(&self, rank: usize) -> Vec<u64> {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.plan.on_rank(rank)
    }
    fn consumers(&self, input: Input) -> Vec<u64> {
        self.plan.consumers(input)
    }
}

#[test]
fn the_job_fails_a_strategy_that_deceives_the_check() {
    static DECEIVING: [&dyn Strategy; 2] = [&Lying, &BROKEN[0]];
    let experiment = json!({
        "models": ELEMENTS, "clients": CLIENTS, "strategies": ["lying", "sound"], "shards": 2,
        "repeat": {"blocks": 20, "precision": 1e-9, "warmup": 0}
    });
    let results = job(&DECEIVING, experiment, |transport, job| job(transport));
    let [lying, sound] = &results.cells[..] else { panic!("{:?}", results.cells) };
    assert_eq!((sound.status, sound.samples), (Status::Ok, 20));
    assert_eq!(lying.status, Status::Failed, "{lying:?}");
    let wrong = lying.verification.as_ref().unwrap().wrong_elements;
    assert!(wrong > 0 && lying.reason.contains("elements are wrong"), "{lying:?}");
    assert_eq!(lying.median_s, None);
}

/// A transport that turns one bit of one message on its way to rank 1.
struct Corrupting<'t> {
    inner: &'t mut dyn Transport,
    receives: HashMap<usize, (*mut u8, usize)>,
    /// Messages until the one that is spoilt.
    left: u64,
}

impl Transport for Corrupting<'_> {
    fn rank(&self) -> usize {
        self.inner.rank()
    }
    fn ranks(&self) -> usize {
        self.inner.ranks()
    }
    fn node_of(&self) -> &[usize] {
        self.inner.node_of()
    }
    fn name(&self) -> String {
        self.inner.name()
    }
    unsafe fn send(
        &mut self,
        token: usize,
        to: usize,
        tag: u64,
        data: *const u8,
        bytes: usize,
    ) -> Result<(), TransportError> {
        // SAFETY: as promised by the caller.
        unsafe { self.inner.send(token, to, tag, data, bytes) }
    }
    unsafe fn receive(
        &mut self,
        token: usize,
        from: usize,
        tag: u64,
        data: *mut u8,
        bytes: usize,
    ) -> Result<(), TransportError> {
        self.receives.insert(token, (data, bytes));
        // SAFETY: as promised by the caller.
        unsafe { self.inner.receive(token, from, tag, data, bytes) }
    }
    fn completed(&mut self, tokens: &mut Vec<usize>) -> Result<(), TransportError> {
        let known = tokens.len();
        self.inner.completed(tokens)?;
        for token in &tokens[known..] {
            let Some((data, bytes)) = self.receives.remove(token) else { continue };
            // Shard 1 of 3: 34 of 101 elements. Others are of no round, but measure the machine.
            if bytes != 34 * 4 {
                continue;
            }
            self.left = self.left.wrapping_sub(1);
            if self.left == 0 {
                // SAFETY: received just now, and not yet read. The bit is the first f32's sign.
                unsafe { *data.add(3) ^= 0x80 };
            }
        }
        Ok(())
    }
    fn under_way(&self) -> usize {
        self.inner.under_way()
    }
    fn idle(&mut self) {
        self.inner.idle();
    }
    fn most_tag(&self) -> u64 {
        self.inner.most_tag()
    }
    fn barrier(&mut self) -> Result<(), TransportError> {
        self.inner.barrier()
    }
    fn broadcast(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, TransportError> {
        self.inner.broadcast(bytes)
    }
    fn gather(&mut self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, TransportError> {
        self.inner.gather(bytes)
    }
    fn max(&mut self, value: u64) -> Result<u64, TransportError> {
        self.inner.max(value)
    }
    fn share(&mut self, bytes: usize) -> Result<Box<dyn Shared>, TransportError> {
        self.inner.share(bytes)
    }
    fn first_nodes<'a>(&'a mut self, nodes: usize) -> Result<Option<Box<dyn Transport + 'a>>, TransportError> {
        self.inner.first_nodes(nodes)
    }
    fn rest(&mut self) -> Result<(), TransportError> {
        self.inner.rest()
    }
    fn collectives(&mut self) -> Option<&mut dyn Collectives> {
        self.inner.collectives()
    }
}

/// The job over a transport that spoils the `nth` message to rank 1.
fn over_a_bad_wire(nth: u64) -> Vec<(Status, u64)> {
    let experiment = json!({
        "models": ELEMENTS, "clients": CLIENTS, "strategies": ["sharded-direct"], "shards": 3,
        "intra_node": "messages", "repeat": {"blocks": 9, "warmup": 0}
    });
    let spoil = |transport: &mut dyn Transport, job: &dyn Fn(&mut dyn Transport) -> Option<ResultFile>| {
        let left = if transport.rank() == 1 { nth } else { 0 };
        job(&mut Corrupting { inner: transport, receives: HashMap::new(), left })
    };
    let cells = job(gradshard::plan::strategies::all(), experiment, spoil).cells;
    cells.iter().map(|cell| (cell.status, cell.verification.as_ref().map_or(0, |v| v.wrong_elements))).collect()
}

#[test]
fn one_turned_bit_of_one_message_fails_the_cell() {
    // In the first round, and in a later one, whose result is not that of the round that was verified.
    for nth in [1, 20] {
        assert_eq!(over_a_bad_wire(nth), [(Status::Failed, 1)], "message {nth}");
    }
    assert_eq!(over_a_bad_wire(0), [(Status::Ok, 0)]);
}

/// The number of a fault's kind. A new kind does not compile until it has one, and then some case must show it.
fn kind(fault: &Fault) -> usize {
    match fault {
        Fault::ClientTwice { .. } => 0,
        Fault::ClientMissing { .. } => 1,
        Fault::NoSuchInput { .. } => 2,
        Fault::AggregatorTwice { .. } => 3,
        Fault::NotCovered { .. } => 4,
        Fault::NotTiled { .. } => 5,
        Fault::Weight { .. } => 6,
        Fault::Contradiction(_) => 7,
        Fault::Output { .. } => 8,
    }
}
const KINDS: usize = 9;

/// A plan that says of itself what another one says, but for where its aggregators are.
struct Contradicting(ExplicitPlan);

impl Plan for Contradicting {
    fn aggregators(&self) -> u64 {
        self.0.aggregators()
    }
    fn aggregator(&self, id: u64) -> Aggregator {
        self.0.aggregator(id)
    }
    fn on_rank(&self, rank: usize) -> Vec<u64> {
        self.0.on_rank((rank + 1) % RANKS)
    }
    fn consumers(&self, input: Input) -> Vec<u64> {
        self.0.consumers(input)
    }
}

#[test]
fn check_finds_every_kind_of_fault() {
    let (problem, layout, _) = problem();
    let whole = Range::new(0, ELEMENTS);
    let aggregator = |id: u64, range: Range, inputs: Vec<Input>, weight: f64, output: Output| Aggregator {
        id,
        rank: id as usize % RANKS,
        range,
        inputs,
        weight,
        output,
        level: 1,
    };
    use Input::{Aggregator as Sum, Client};
    let all = || (0..CLIENTS).map(Client).collect::<Vec<_>>();
    // Weights 1 to 5: clients 0 and 1 weigh 3, the others 12.
    let leaf = |id, clients: std::ops::Range<u64>| {
        let weight = clients.clone().map(|k| (k + 1) as f64).sum();
        aggregator(id, whole, clients.map(Client).collect(), weight, Output::Partial)
    };
    let root = |id, inputs| aggregator(id, whole, inputs, 15.0, Output::Result);
    let found = |aggregators: Vec<Aggregator>| check(&ExplicitPlan::new(CLIENTS, aggregators), &problem, &layout);
    assert!(found(vec![root(0, all())]).is_ok());
    assert!(found(vec![leaf(0, 0..2), leaf(1, 2..5), root(2, vec![Sum(0), Sum(1)])]).is_ok());

    let mut seen = BTreeSet::new();
    let mut fault = |what: &str, expected: usize, found: Result<_, Fault>| {
        let fault = found.err().unwrap_or_else(|| panic!("{what} was accepted"));
        assert_eq!(kind(&fault), expected, "{what}: {fault}");
        seen.insert(kind(&fault));
    };
    let twice = |mut inputs: Vec<Input>| {
        inputs.push(Client(0));
        inputs
    };
    fault("a client twice", 0, found(vec![root(0, twice(all()))]));
    fault("a client in two leaves", 0, found(vec![leaf(0, 0..3), leaf(1, 2..5), root(2, vec![Sum(0), Sum(1)])]));
    fault("a client missing", 1, found(vec![aggregator(0, whole, all()[1..].to_vec(), 14.0, Output::Result)]));
    fault("a client that is not", 2, found(vec![root(0, vec![Client(CLIENTS)])]));
    fault("an aggregator that is not", 2, found(vec![root(0, vec![Sum(7)])]));
    fault("a sum twice", 3, found(vec![leaf(0, 0..5), root(1, vec![Sum(0), Sum(0)])]));
    let cycle = vec![
        aggregator(0, whole, vec![Client(0), Sum(1)], 1.0, Output::Partial),
        aggregator(1, whole, vec![Client(1), Sum(0)], 1.0, Output::Partial),
        root(2, vec![Sum(0), Client(2), Client(3), Client(4)]),
    ];
    fault("a cycle", 3, found(cycle));
    let mut narrow = leaf(0, 0..2);
    narrow.range = Range::new(0, 50);
    fault("an input too narrow", 4, found(vec![narrow, leaf(1, 2..5), root(2, vec![Sum(0), Sum(1)])]));
    let halves = |a: Range, b: Range| {
        [a, b].into_iter().enumerate().map(|(id, r)| aggregator(id as u64, r, all(), 15.0, Output::Result)).collect()
    };
    fault("a gap", 5, found(halves(Range::new(0, 50), Range::new(51, ELEMENTS))));
    fault("an overlap", 5, found(halves(Range::new(0, 51), Range::new(50, ELEMENTS))));
    fault("too short", 5, found(halves(Range::new(0, 50), Range::new(50, ELEMENTS - 1))));
    fault("too long", 5, found(halves(Range::new(0, 50), Range::new(50, ELEMENTS + 1))));
    fault("no result", 5, found(Vec::new()));
    fault("a wrong weight", 6, found(vec![aggregator(0, whole, all(), 14.0, Output::Result)]));
    let mut light = leaf(0, 0..2);
    light.weight = 2.0;
    fault("a leaf's wrong weight", 6, found(vec![light, leaf(1, 2..5), root(2, vec![Sum(0), Sum(1)])]));
    let contradicting = Contradicting(ExplicitPlan::new(CLIENTS, vec![root(0, all())]));
    fault("two answers", 7, check(&contradicting, &problem, &layout));
    let mut elsewhere = root(0, all());
    elsewhere.rank = RANKS;
    fault("no such rank", 7, found(vec![elsewhere]));
    fault("a lost sum", 8, found(vec![leaf(0, 0..2), root(1, all())]));
    let taken = aggregator(0, whole, all(), 15.0, Output::Result);
    fault("a result that is summed on", 8, found(vec![taken, root(1, vec![Sum(0)])]));
    assert_eq!(seen.len(), KINDS, "{seen:?}");
}
