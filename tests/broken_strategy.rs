//! Tests with broken strategies and a broken transport: the check refuses the plan, verification finds the wrong
//! elements, and the cell becomes failed.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use gradshard::engine::transport::Collectives;
use gradshard::engine::verify::{Verification, verify};
use gradshard::engine::{Residents, Round, Sent, Shared, Spec, Transport, TransportError, run_threads};
use gradshard::gradient::source::Synthetic;
use gradshard::gradient::source::exact::Exact;
use gradshard::gradient::{Dtype, Range, Source, shard_range};
use gradshard::job::{Quiet, Request, run_with};
use gradshard::plan::strategies::{Knobs, Strategy};
use gradshard::plan::{
    Caches, End, ExplicitPlan, Fault, Flow, Form, Infeasible, Input, IntraNode, Kind, Layout, Order, Plan, Problem,
    Ready, Residency, Roles, Step, Terms, check,
};
use gradshard::results::ResultFile;
use gradshard::results::row::Status;
use serde_json::json;

const ELEMENTS: u64 = 101;
const CLIENTS: u64 = 5;
const RANKS: usize = 3;

/// The defect of a [`Broken`] strategy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    None,
    DropsAClient,
    CountsAClientTwice,
    SumsTheWrongRange,
    WeighsWrongly,
}

/// A strategy with two halves, each summed by its own aggregator directly from the clients. The fields are the name and
/// the defect.
struct Broken(&'static str, Defect);

/// A sum step on level 1.
fn sum(rank: usize, range: Range, inputs: Vec<Input>, weight: f64, divided: bool) -> Step {
    Step { rank, range, inputs, kind: Kind::Sum { weight, divided }, level: 1, shards: 1 }
}

impl Broken {
    fn parts(&self, problem: &Problem, layout: &Layout) -> Vec<Vec<Step>> {
        let all: Vec<Input> = (0..problem.clients()).map(Input::Client).collect();
        let total = problem.total_weight();
        let half =
            |shard| sum(layout.spread(shard, 2), shard_range(problem.elements, 2, shard), all.clone(), total, true);
        let mut halves = [half(0), half(1)];
        match self.1 {
            Defect::None => {}
            Defect::DropsAClient => {
                halves[1].inputs.remove(2);
                halves[1].kind = Kind::Sum { weight: total - problem.weights[2], divided: true };
            }
            Defect::CountsAClientTwice => halves[0].inputs[3] = Input::Client(1),
            Defect::SumsTheWrongRange => halves[1].range.start += 1,
            Defect::WeighsWrongly => halves[0].kind = Kind::Sum { weight: 1.5 * total, divided: true },
        }
        halves.into_iter().map(|half| vec![half]).collect()
    }
}

impl Strategy for Broken {
    fn name(&self) -> &'static str {
        self.0
    }
    fn about(&self) -> &'static str {
        "wrong on purpose"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(ExplicitPlan::new(self.parts(problem, layout))))
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
    let problem =
        Problem { elements: ELEMENTS, shards: 2, weights: weights.into(), end: End::Scattered, form: Form::default() };
    (Arc::new(problem), Arc::new(Layout::even(RANKS, 1, Roles::Colocated).unwrap()), source)
}

/// Carries out a plan without checking it, and verifies the result.
fn carry_out_unchecked(strategy: &dyn Strategy, flow: Flow, intra_node: IntraNode) -> Verification {
    let (problem, layout, source) = problem();
    carry_out(strategy, (&problem, &problem), &layout, &source, (flow, intra_node))
}

/// Carries out the plan of one problem, and verifies the result by another.
fn carry_out(
    strategy: &dyn Strategy,
    (carried, right): (&Arc<Problem>, &Problem),
    layout: &Arc<Layout>,
    source: &dyn Source,
    (flow, intra_node): (Flow, IntraNode),
) -> Verification {
    let plan = strategy.plan(carried, layout).unwrap();
    let (residency, ready) = (Residency::Resident, Ready::Assumed);
    let terms =
        Terms { dtype: Dtype::F32, flow, intra_node, order: Order::Client, residency, ready, caches: Caches::Warm };
    let of_ranks = run_threads(&[0; RANKS], |transport| {
        let shared = intra_node == IntraNode::Shared;
        let residents = Residents::<f32>::load(source, carried, layout, shared, transport).unwrap();
        let spec = Spec { plan: plan.as_ref(), problem: carried, layout, terms, source };
        let mut round = Round::prepare(spec, &residents, transport).unwrap();
        round.reset();
        transport.barrier().unwrap();
        round.run(transport).unwrap();
        transport.barrier().unwrap();
        let found = verify::<f32>(right, source, &round.results()).unwrap();
        transport.barrier().unwrap();
        found
    });
    of_ranks.into_iter().fold(Verification::default(), Verification::merge)
}

/// Among 16,000 clients rounding may hide one that is missing. On gradients whose sums are exact nothing is hidden.
#[test]
fn exact_gradients_show_one_client_of_many() {
    let clients = 16_000;
    let weights: Vec<f64> = (0..clients).map(|k| (k % 3 + 1) as f64).collect();
    let of = |weights: &[f64]| {
        let (elements, shards, end) = (ELEMENTS, 2, End::Scattered);
        Arc::new(Problem { elements, shards, weights: weights.into(), end, form: Form::default() })
    };
    let (right, layout) = (of(&weights), Arc::new(Layout::even(RANKS, 1, Roles::Colocated).unwrap()));
    let exact = Exact::new(ELEMENTS, weights.clone());
    let rounded = Synthetic::new(3, clients, ELEMENTS, weights.clone()).unwrap();
    let terms = (Flow::Whole, IntraNode::Shared);
    let found = |broken: &Broken, source: &dyn Source| carry_out(broken, (&right, &right), &layout, source, terms);
    for broken in &BROKEN[..3] {
        let differing = found(broken, &exact).differing;
        // The defects are in one half of the elements.
        let expected = if broken.1 == Defect::None { 0..=0 } else { 49..=51 };
        assert!(expected.contains(&differing), "{:?}: {differing}", broken.1);
        assert_eq!(found(broken, &rounded).wrong, 0, "{:?} is hidden by the bound on rounding", broken.1);
    }
    let mut other = weights.clone();
    other[7] += 1.0;
    let differing = carry_out(&BROKEN[0], (&of(&other), &right), &layout, &exact, terms).differing;
    assert!(differing > ELEMENTS - 3, "one weight: {differing}");
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
                Defect::None => (ELEMENTS, 0, u64::MAX),
                Defect::DropsAClient => (ELEMENTS, 50, 51),
                Defect::CountsAClientTwice | Defect::WeighsWrongly => (ELEMENTS, 51, 0),
                // The present elements are right. One element is missing, which the number of elements shows.
                Defect::SumsTheWrongRange => (ELEMENTS - 1, 0, u64::MAX),
            };
            assert_eq!((found.elements, found.wrong, found.first_wrong), (elements, wrong, first), "{:?}", broken.1);
            assert_eq!(found.differing >= wrong, found.max_ulp > 0 || wrong == 0, "{found:?}");
        }
    }
}

/// Runs the job on threads and returns its rows. `around` may wrap the job's transport.
fn job(
    strategies: &'static [&'static dyn Strategy],
    experiment: serde_json::Value,
    around: impl Fn(&mut dyn Transport, &dyn Fn(&mut dyn Transport) -> Option<ResultFile>) -> Option<ResultFile> + Sync,
) -> ResultFile {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("broken.json");
    std::fs::write(&file, experiment.to_string()).unwrap();
    let output = Some(directory.path().join("broken.h5"));
    let request = Request { output, no_limits: true, ..Request::new(file) };
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
        "models": ELEMENTS, "clients": CLIENTS, "strategies": names, "shards": 2, "end": "scattered",
        "repeat": {"blocks": 2, "warmup": 0}
    });
    let results = job(&STRATEGIES, experiment, |transport, job| job(transport));
    assert_eq!(results.cells.len(), BROKEN.len());
    for (cell, broken) in results.cells.iter().zip(&BROKEN) {
        let expected = match broken.1 {
            Defect::None => "",
            Defect::DropsAClient => "unsound plan: elements 51..101: client 2 is missing",
            Defect::CountsAClientTwice => "unsound plan: elements 0..51: client 1 is summed more than once",
            Defect::SumsTheWrongRange => "unsound plan: finished ranges do not tile the gradient",
            Defect::WeighsWrongly => "unsound plan: step 0: weight",
        };
        assert_eq!(cell.status == Status::Ok, broken.1 == Defect::None, "{cell:?}");
        assert_eq!(cell.status == Status::Failed, broken.1 != Defect::None, "{cell:?}");
        assert!(cell.reason.starts_with(expected), "{cell:?}");
        assert_eq!(cell.samples, if broken.1 == Defect::None { 2 } else { 0 });
    }
}

/// A wrong plan that passes the check: it gives the check one weight and the engine another.
struct Liar {
    plan: ExplicitPlan,
    asked: std::sync::atomic::AtomicU64,
}

struct Lying;

impl Strategy for Lying {
    fn name(&self) -> &'static str {
        "lying"
    }
    fn about(&self) -> &'static str {
        "sound when checked, wrong when carried out"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        let plan = ExplicitPlan::new(Broken("", Defect::None).parts(problem, layout));
        Ok(Box::new(Liar { plan, asked: 0.into() }))
    }
}

impl Plan for Liar {
    fn parts(&self) -> u64 {
        self.plan.parts()
    }
    fn part(&self, part: u64) -> Vec<Step> {
        let mut steps = self.plan.part(part);
        // The check asks first. Later callers get the wrong weight.
        let asked = self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if asked >= self.plan.parts()
            && let Kind::Sum { weight, .. } = &mut steps[0].kind
        {
            *weight *= 2.0;
        }
        steps
    }
}

#[test]
fn the_job_fails_a_strategy_that_deceives_the_check() {
    static DECEIVING: [&dyn Strategy; 2] = [&Lying, &BROKEN[0]];
    let experiment = json!({
        "models": ELEMENTS, "clients": CLIENTS, "strategies": ["lying", "sound"], "shards": 2, "end": "scattered",
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

/// A transport that flips one bit of one message to rank 1.
struct Corrupting<'t> {
    inner: &'t mut dyn Transport,
    receives: HashMap<usize, (*mut u8, usize)>,
    /// Number of messages up to the corrupted one.
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
        // SAFETY: the caller keeps the conditions of this function.
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
        // SAFETY: the caller keeps the conditions of this function.
        unsafe { self.inner.receive(token, from, tag, data, bytes) }
    }
    fn completed(&mut self, tokens: &mut Vec<usize>) -> Result<(), TransportError> {
        let known = tokens.len();
        self.inner.completed(tokens)?;
        for token in &tokens[known..] {
            let Some((data, bytes)) = self.receives.remove(token) else { continue };
            // Messages of a round carry shard 1 of 3, 34 of 101 elements. Other messages measure the machine.
            if bytes != 34 * 4 {
                continue;
            }
            self.left = self.left.wrapping_sub(1);
            if self.left == 0 {
                // SAFETY: the message has just been received, and nobody has read it yet. The bit is the first f32's
                // sign.
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
    fn sent(&self) -> Sent {
        self.inner.sent()
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

/// Runs the job over a transport that corrupts the `nth` message to rank 1.
fn over_a_bad_wire(nth: u64) -> Vec<(Status, u64)> {
    let experiment = json!({
        "models": ELEMENTS, "clients": CLIENTS, "strategies": ["sharded-direct"], "shards": 3, "end": "scattered",
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
    // The fault is in the first round, or in a later one, whose result is not the verified one.
    for nth in [1, 20] {
        assert_eq!(over_a_bad_wire(nth), [(Status::Failed, 1)], "message {nth}");
    }
    assert_eq!(over_a_bad_wire(0), [(Status::Ok, 0)]);
}

/// The number of a fault's kind. The match is exhaustive, so a new kind needs a number here and a case in a test.
fn kind(fault: &Fault) -> usize {
    match fault {
        Fault::ClientTwice { .. } => 0,
        Fault::ClientMissing { .. } => 1,
        Fault::NoSuchInput { .. } => 2,
        Fault::PartialTwice { .. } => 3,
        Fault::NotCovered { .. } => 4,
        Fault::NotTiled { .. } => 5,
        Fault::Weight { .. } => 6,
        Fault::NotLater { .. } => 7,
        Fault::Misplaced { .. } => 8,
        Fault::End { .. } => 9,
    }
}
const KINDS: usize = 10;

/// Asserts that `found` is a fault of kind `expected`, and adds the kind to `seen`.
fn expect_fault<T>(seen: &mut BTreeSet<usize>, what: &str, expected: usize, found: Result<T, Fault>) {
    let fault = found.err().unwrap_or_else(|| panic!("{what} was accepted"));
    assert_eq!(kind(&fault), expected, "{what}: {fault}");
    seen.insert(expected);
}

#[test]
fn check_finds_every_kind_of_fault() {
    let (problem, layout, _) = problem();
    let problem = Problem { shards: 1, ..Problem::clone(&problem) };
    let whole = Range::new(0, ELEMENTS);
    use Input::{Client, Step as Sum};
    let all = || (0..CLIENTS).map(Client).collect::<Vec<_>>();
    // The weights are 1 to 5: clients 0 and 1 weigh 3 together, the others 12.
    let leaf = |rank, clients: std::ops::Range<u64>| {
        let weight = clients.clone().map(|k| (k + 1) as f64).sum();
        sum(rank, whole, clients.map(Client).collect(), weight, false)
    };
    let root = |inputs| Step { level: 2, ..sum(0, whole, inputs, 15.0, true) };
    let found = |parts: Vec<Vec<Step>>| check(&ExplicitPlan::new(parts), &problem, &layout);
    let one = |steps: Vec<Step>| found(vec![steps]);
    assert!(one(vec![root(all())]).is_ok());
    assert!(one(vec![leaf(0, 0..2), leaf(1, 2..5), root(vec![Sum(0), Sum(1)])]).is_ok());

    let mut seen = BTreeSet::new();
    let mut fault = |what: &str, expected: usize, found| expect_fault(&mut seen, what, expected, found);
    let twice = |mut inputs: Vec<Input>| {
        inputs.push(Client(0));
        inputs
    };
    fault("a client twice", 0, one(vec![root(twice(all()))]));
    fault("a client in two leaves", 0, one(vec![leaf(0, 0..3), leaf(1, 2..5), root(vec![Sum(0), Sum(1)])]));
    fault("a client missing", 1, one(vec![sum(0, whole, all()[1..].to_vec(), 14.0, true)]));
    fault("a client that is not", 2, one(vec![root(vec![Client(CLIENTS)])]));
    fault("a step that is not", 2, one(vec![root(vec![Sum(7)])]));
    fault("a sum twice", 3, one(vec![leaf(0, 0..5), root(vec![Sum(0), Sum(0)])]));
    let cycle = vec![
        sum(0, whole, vec![Client(0), Sum(1)], 1.0, false),
        sum(1, whole, vec![Client(1), Sum(0)], 1.0, false),
        root(vec![Sum(0), Client(2), Client(3), Client(4)]),
    ];
    fault("a cycle", 7, one(cycle));
    let mut narrow = leaf(0, 0..2);
    narrow.range = Range::new(0, 50);
    fault("an input too narrow", 4, one(vec![narrow, leaf(1, 2..5), root(vec![Sum(0), Sum(1)])]));
    let halves = |a: Range, b: Range| [a, b].map(|range| vec![sum(0, range, all(), 15.0, true)]).to_vec();
    fault("a gap", 5, found(halves(Range::new(0, 50), Range::new(51, ELEMENTS))));
    fault("an overlap", 5, found(halves(Range::new(0, 51), Range::new(50, ELEMENTS))));
    fault("too short", 5, found(halves(Range::new(0, 50), Range::new(50, ELEMENTS - 1))));
    fault("too long", 5, found(halves(Range::new(0, 50), Range::new(50, ELEMENTS + 1))));
    fault("no result", 5, found(Vec::new()));
    fault("a wrong weight", 6, one(vec![sum(0, whole, all(), 14.0, true)]));
    let light = Step { kind: Kind::Sum { weight: 2.0, divided: false }, ..leaf(0, 0..2) };
    fault("a leaf's wrong weight", 6, one(vec![light, leaf(1, 2..5), root(vec![Sum(0), Sum(1)])]));
    fault("no such rank", 8, one(vec![Step { rank: RANKS, ..root(all()) }]));
    fault("a lost sum", 8, one(vec![leaf(0, 0..2), root(all())]));
    let taken = sum(0, whole, all(), 15.0, true);
    fault("a result that is summed on", 8, one(vec![taken, root(vec![Sum(0)])]));
    // A single shard belongs to rank 0.
    fault("a result on another rank", 9, one(vec![Step { rank: 1, ..root(all()) }]));
    assert_eq!(seen.len(), KINDS, "{seen:?}");
}

/// Every rank must hold both shards at the end. The first half is copied directly from rank 0, the second half along a
/// chain.
#[test]
fn check_proves_that_the_round_ends_as_it_should() {
    let (problem, layout, _) = problem();
    let problem = Problem::clone(&problem).ending(End::Everywhere);
    let ranges = [0, 1].map(|shard| shard_range(ELEMENTS, 2, shard));
    let all: Vec<Input> = (0..CLIENTS).map(Input::Client).collect();
    let copy = |rank, range, from, level| Step {
        rank,
        range,
        inputs: vec![Input::Step(from)],
        kind: Kind::Copy,
        level,
        shards: 1,
    };
    let finished = |range| sum(0, range, all.clone(), 15.0, true);
    let star = vec![finished(ranges[0]), copy(1, ranges[0], 0, 2), copy(2, ranges[0], 0, 2)];
    let chain = vec![finished(ranges[1]), copy(1, ranges[1], 0, 2), copy(2, ranges[1], 1, 3)];
    let found = |star: &[Step], chain: &[Step]| {
        check(&ExplicitPlan::new(vec![star.to_vec(), chain.to_vec()]), &problem, &layout)
    };
    let tally = found(&star, &chain).unwrap();
    assert_eq!((tally.copies, tally.results, tally.between_ranks), (4, 2, 4 + 2 * 3));

    let mut seen = BTreeSet::new();
    let mut fault = |what: &str, expected: usize, found| expect_fault(&mut seen, what, expected, found);
    fault("a copy lost", 9, found(&star[..2], &chain));
    fault("a copy doubled", 9, found(&[&star[..], &[copy(2, ranges[0], 0, 2)]].concat(), &chain));
    let short = Range::new(ranges[1].start, ranges[1].end - 1);
    fault("a copy of a part", 9, found(&star, &[chain[0].clone(), chain[1].clone(), copy(2, short, 1, 3)]));
    fault("a copy of another range", 4, found(&star, &[chain[0].clone(), chain[1].clone(), copy(2, ranges[0], 1, 3)]));
    // The copy on rank 1 is made on level 2, so another step on level 2 cannot read it.
    fault(
        "a copy from a rank that has it not yet",
        7,
        found(&star, &[&chain[..2], &[copy(2, ranges[1], 1, 2)]].concat()),
    );
    let partial = sum(1, ranges[1], all[..2].to_vec(), 3.0, false);
    let of_partial = vec![
        partial,
        Step { level: 2, ..sum(0, ranges[1], [&[Input::Step(0)], &all[2..]].concat(), 15.0, true) },
        copy(1, ranges[1], 0, 3),
        copy(2, ranges[1], 1, 3),
    ];
    fault("a copy of what is not finished", 8, found(&star, &of_partial));
    // With the end root only rank 0 needs the range.
    let rooted = Problem::clone(&problem).ending(End::Root);
    let plan = ExplicitPlan::new(vec![star.clone(), vec![finished(ranges[1])]]);
    fault("a copy that nobody needs", 8, check(&plan, &rooted, &layout));
    assert_eq!(seen.len(), 4);
}
