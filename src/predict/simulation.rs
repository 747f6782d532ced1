//! One round, carried out by the lowerings of ranks in simulated time.
//!
//! Ranks do what the engine does, in its order, with its slots, pieces and turns (`engine/round.rs`). A rank's core does
//! one thing at a time; messages travel meanwhile.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::channel::Network;
use super::ends::{Nanoseconds, nanoseconds};
use super::fabric::Fabric;
use super::parameters::Parameters;
use super::sharing::{Sharing, Uses};
use super::state::{Action, Actor, Duty, EntryState, Envelope, InState, Job, OutState, SumState, Turns};
use super::stream_names::StreamNames;
use super::symmetry::Classes;
use super::work::{CoreWork, WorkModel};
use crate::plan::lowering::{Feed, Origin, Outgoing, TaskRef};
use crate::plan::{Layout, Lowering, Order, Terms};

/// Greatest number of messages that are simulated.
const MOST_MESSAGES: u64 = 50_000_000;

/// A round that was simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Simulated {
    /// Time from the common start to the end of the last rank, seconds.
    pub seconds: f64,
    /// Messages of all ranks.
    pub messages: u64,
    /// The ranks that were simulated: all, or a representative of each class.
    pub simulated: usize,
}

/// Why a round has no prediction.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unpredictable(pub String);

/// Something that happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A message of a stream arrives.
    Arrival(usize),
    /// A message of a stream enters its connection.
    Entry(usize),
    /// The work of a rank's core is done.
    Work(usize),
}

/// The load of a flow.
#[derive(Clone, Copy)]
enum Carrying {
    /// The first message of a connection.
    Channel(usize),
    /// The work of a rank's core.
    Work(usize),
}

/// A round under way.
pub(super) struct Simulation<'a> {
    pub layout: &'a Layout,
    pub order: Order,
    /// Bytes of an element of a gradient and of a sum.
    pub widths: [u64; 2],
    pub model: WorkModel,
    pub actors: Vec<Actor>,
    pub network: Network<'a>,
    one_rank: f64,
    sharing: Sharing,
    carrying: Vec<Carrying>,
    now: Nanoseconds,
    events: BinaryHeap<Reverse<(Nanoseconds, u64, Event)>>,
    awake: VecDeque<usize>,
    /// Connections that may have nothing to carry.
    idle: Vec<usize>,
    messages: u64,
    /// The actions of each rank, in order; empty if no trace is asked for.
    pub trace: Vec<Vec<Action>>,
    /// One more than the greatest tag.
    tags: u64,
}

/// A round of these shares, which has not begun.
pub(super) fn assembled<'a>(
    lowerings: Vec<Lowering>,
    layout: &'a Layout,
    (terms, in_rounds, model): (&Terms, bool, WorkModel),
    (parameters, fabric): (&'a Parameters, &'a Fabric),
    classes: Classes,
) -> Result<Simulation<'a>, Unpredictable> {
    let mut sharing = Sharing::default();
    let network = Network::new(layout, parameters, fabric, classes, &mut sharing);
    let mut simulation = Simulation {
        layout,
        order: terms.order,
        widths: [terms.dtype.size() as u64, terms.dtype.accumulator_size() as u64],
        model,
        actors: Vec::with_capacity(classes.period),
        network,
        one_rank: parameters.one_rank,
        sharing,
        carrying: Vec::new(),
        now: 0,
        events: BinaryHeap::new(),
        awake: VecDeque::new(),
        idle: Vec::new(),
        messages: 0,
        trace: Vec::new(),
        tags: 1,
    };
    for (rank, lowering) in lowerings.into_iter().enumerate() {
        simulation.add_actor(rank, lowering, in_rounds);
    }
    simulation.connect()?;
    Ok(simulation)
}

impl<'a> Simulation<'a> {
    fn add_actor(&mut self, rank: usize, lowering: Lowering, in_rounds: bool) {
        let names = StreamNames::of(&lowering, rank, &self.network.classes);
        let Lowering { sums, incoming, outgoing, tasks, .. } = lowering;
        let (network, sharing) = (&mut self.network, &mut self.sharing);
        let mut actor = Actor { node: self.layout.node_of(rank), in_rounds, ..Actor::default() };
        actor.entries.resize_with(tasks, EntryState::default);
        for (number, stream) in outgoing.into_iter().enumerate() {
            let (ends, tag) = ((rank, stream.to), stream.tag);
            let conduit = network.conduit(ends, tag, names.to(stream.to, tag), sharing);
            self.tags = self.tags.max(tag + 1);
            network.conduits[conduit].out = Some((number, stream.pieces));
            self.messages += stream.pieces;
            actor.outs.push(OutState::new(stream, conduit));
        }
        for (number, task) in sums.into_iter().enumerate() {
            actor.entries[task.number].sum = Some(number);
            let pieces = task.pieces;
            let mut way = |from, tag| {
                let conduit = network.conduit((from, rank), tag, names.from(from, tag), sharing);
                network.conduits[conduit].taker = Some((Duty::Sum(number), pieces));
                conduit
            };
            actor.sums.push(SumState::new(task, &mut way));
        }
        for (number, stream) in incoming.into_iter().enumerate() {
            let name = names.from(stream.from, stream.tag);
            let conduit = network.conduit((stream.from, rank), stream.tag, name, sharing);
            network.conduits[conduit].taker = Some((Duty::In(number), stream.pieces));
            actor.ins.push(InState::new(stream, conduit));
        }
        let in_turns: Vec<usize> = (0..actor.outs.len()).filter(|out| actor.outs[*out].stream.in_turns).collect();
        let piece = |stream: &Outgoing| stream.piece * self.widths[1];
        let largest = in_turns.iter().map(|out| piece(&actor.outs[*out].stream)).max().unwrap_or(0);
        actor.turns = Turns::new(in_turns, largest);
        self.actors.push(actor);
    }

    /// Tells every task who reads it, and checks that what is sent is received.
    fn connect(&mut self) -> Result<(), Unpredictable> {
        if let Some(fault) = self.network.mismatch() {
            return Err(Unpredictable(format!("the plan is unsound: {fault}")));
        }
        if self.messages > MOST_MESSAGES {
            let count = self.messages;
            return Err(Unpredictable(format!(
                "{count} messages; at most {MOST_MESSAGES} are simulated: larger chunks"
            )));
        }
        let mut reads: Vec<(TaskRef, usize, Duty)> = Vec::new();
        for (rank, actor) in self.actors.iter().enumerate() {
            for (number, out) in actor.outs.iter().enumerate() {
                let sources = out.stream.segments.iter().filter_map(|segment| match segment.origin {
                    Origin::Task { task, .. } => Some(task),
                    Origin::Gradient { .. } => None,
                });
                reads.extend(sources.map(|task| (task, rank, actor.out_duty(number))));
            }
            for (number, sum) in actor.sums.iter().enumerate() {
                let sources = sum.task.feeds.iter().filter_map(|feed| match feed {
                    Feed::Growing { task, .. } => Some(*task),
                    _ => None,
                });
                reads.extend(sources.map(|task| (task, rank, Duty::Sum(number))));
            }
        }
        for (task, rank, duty) in reads {
            self.actors[task.rank].entries[task.number].readers.push((rank, duty));
        }
        Ok(())
    }

    /// Carries the round out.
    pub fn run(&mut self) -> Result<Simulated, Unpredictable> {
        for rank in 0..self.actors.len() {
            let actor = &mut self.actors[rank];
            let (outs, sums, ins) = (actor.outs.len(), actor.sums.len(), actor.ins.len());
            (0..outs).for_each(|at| actor.queue(actor.out_duty(at)));
            (0..sums).for_each(|at| actor.queue(Duty::Sum(at)));
            (0..ins).for_each(|at| actor.queue(Duty::In(at)));
            self.wake(rank);
        }
        loop {
            while let Some(rank) = self.awake.pop_front() {
                self.actors[rank].awake = false;
                self.attend(rank);
            }
            self.rest();
            self.sharing.settle(self.now);
            let Some(now) = self.next_moment() else { break };
            self.now = now;
            while self.next_moment() == Some(now) {
                self.let_happen();
            }
        }
        match self.actors.iter().position(|actor| !actor.is_done()) {
            Some(rank) => Err(Unpredictable(format!("the plan comes to a standstill: rank {rank} waits for ever"))),
            None => {
                let simulated = self.network.classes.period;
                let messages = self.messages * (self.layout.ranks() / simulated) as u64;
                Ok(Simulated { seconds: self.now as f64 * 1e-9, messages, simulated })
            }
        }
    }

    /// Lets connections rest that have nothing to carry.
    fn rest(&mut self) {
        for number in std::mem::take(&mut self.idle) {
            let channel = &mut self.network.channels[number];
            channel.idle = false;
            if channel.messages.is_empty()
                && let Some(flow) = channel.flow.take()
            {
                self.sharing.stop(flow);
            }
        }
    }

    /// Notes what a rank does, if somebody asks for a trace.
    pub fn note(&mut self, rank: usize, action: Action) {
        if let Some(actions) = self.trace.get_mut(rank) {
            actions.push(action);
        }
    }

    /// A message of a stream, as its receiver sees it, or its sender.
    pub fn envelope(&self, conduit: usize, piece: u64, of_sender: bool) -> Envelope {
        let conduit = &self.network.conduits[conduit];
        let sent = conduit.out.map(|(out, _)| &self.actors[conduit.from].outs[out].strip);
        let bytes = sent.map_or(0, |strip| strip.bytes(piece, self.widths));
        let peer = if of_sender { conduit.to } else { conduit.from };
        Envelope { peer, tag: conduit.tag + piece * self.tags, bytes }
    }

    fn schedule(&mut self, at: Nanoseconds, event: Event) {
        let number = self.sharing.number();
        self.events.push(Reverse((at, number, event)));
    }

    /// Has a rank look after its duties.
    fn wake(&mut self, rank: usize) {
        if !std::mem::replace(&mut self.actors[rank].awake, true) {
            self.awake.push_back(rank);
        }
    }

    /// Gives a rank a duty.
    pub fn call(&mut self, rank: usize, duty: Duty) {
        self.actors[rank].queue(duty);
        self.wake(rank);
    }

    /// The moment of what happens next.
    fn next_moment(&self) -> Option<Nanoseconds> {
        let event = self.events.peek().map(|Reverse((at, ..))| *at);
        let end = self.sharing.next_end().map(|(at, _)| at);
        event.into_iter().chain(end).min()
    }

    /// Lets the next thing happen.
    fn let_happen(&mut self) {
        let end = self.sharing.next_end().unwrap_or((Nanoseconds::MAX, u64::MAX));
        let is_first = |event: &Reverse<(Nanoseconds, u64, Event)>| (event.0.0, event.0.1) < end;
        if self.events.peek().is_some_and(is_first) {
            if let Some(Reverse((.., event))) = self.events.pop() {
                self.handle(event);
            }
        } else if let Some(flow) = self.sharing.take_end() {
            match self.carrying[flow] {
                Carrying::Channel(channel) => self.departed(channel, flow),
                Carrying::Work(rank) => {
                    self.sharing.stop(flow);
                    self.finish(rank);
                    self.wake(rank);
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrival(conduit) => {
                let conduit = &mut self.network.conduits[conduit];
                conduit.arrived += 1;
                if let (to, Some((duty, _))) = (conduit.to, conduit.taker) {
                    self.call(to, duty);
                }
            }
            Event::Entry(conduit) => self.enter(conduit),
            Event::Work(rank) => {
                self.finish(rank);
                self.wake(rank);
            }
        }
    }

    /// The first message of a connection has left.
    fn departed(&mut self, number: usize, flow: usize) {
        let channel = &mut self.network.channels[number];
        let Some((conduit, _)) = channel.messages.pop_front() else { return };
        let arrival = self.now + nanoseconds(channel.latency);
        match channel.messages.front() {
            Some((_, bytes)) => self.sharing.go_on(flow, *bytes, self.now),
            None if !channel.idle => {
                channel.idle = true;
                self.idle.push(number);
            }
            None => {}
        }
        self.schedule(arrival, Event::Arrival(conduit));
        let (from, out) = (self.network.conduits[conduit].from, self.network.conduits[conduit].out);
        if let Some((out, _)) = out {
            self.has_left(from, out);
        }
    }

    /// A message enters its connection.
    fn enter(&mut self, number: usize) {
        let conduit = &mut self.network.conduits[number];
        let Some((out, _)) = conduit.out else { return };
        let piece = conduit.entered;
        conduit.entered += 1;
        let bytes = self.actors[conduit.from].outs[out].strip.bytes(piece, self.widths) as f64;
        let at = conduit.channel;
        let channel = &mut self.network.channels[at];
        channel.messages.push_back((number, bytes));
        match channel.flow {
            None => {
                let flow = self.sharing.start(&channel.uses, channel.most, bytes, self.now);
                channel.flow = Some(flow);
                self.carry(flow, Carrying::Channel(at));
            }
            // The flow has ended and was kept, as another message might follow at once.
            Some(flow) if channel.messages.len() == 1 => self.sharing.go_on(flow, bytes, self.now),
            Some(_) => {}
        }
    }

    fn carry(&mut self, flow: usize, carrying: Carrying) {
        if flow == self.carrying.len() {
            self.carrying.push(carrying);
        } else {
            self.carrying[flow] = carrying;
        }
    }

    /// Sends the next message of a stream, whose pieces have at most `longest` bytes.
    pub fn send(&mut self, number: usize, longest: u64) {
        let conduit = &mut self.network.conduits[number];
        conduit.sent += 1;
        let channel = &self.network.channels[conduit.channel];
        if longest <= channel.eager {
            self.enter(number);
        } else if conduit.posted >= conduit.sent {
            self.meet(number);
        }
    }

    /// Posts the next receive of a stream.
    pub fn post(&mut self, number: usize) {
        if !self.trace.is_empty() {
            let (to, piece) = (self.network.conduits[number].to, self.network.conduits[number].posted);
            self.note(to, Action::Post(self.envelope(number, piece, false)));
        }
        let conduit = &mut self.network.conduits[number];
        conduit.posted += 1;
        let (waits, from, out) = (conduit.sent >= conduit.posted, conduit.from, conduit.out);
        let eager = self.network.channels[conduit.channel].eager;
        if waits
            && let Some((out, _)) = out
            && self.actors[from].outs[out].strip.bytes(0, self.widths) > eager
        {
            self.meet(number);
        }
    }

    /// Lets a message set out that has waited for its receive, once both sides know of each other.
    fn meet(&mut self, number: usize) {
        let latency = self.network.channels[self.network.conduits[number].channel].latency;
        self.schedule(self.now + nanoseconds(2.0 * latency), Event::Entry(number));
    }

    /// Occupies a rank's core with a job.
    pub fn begin(&mut self, rank: usize, job: Job, work: CoreWork) {
        self.actors[rank].job = Some(job);
        if work.seconds <= 0.0 {
            return self.finish(rank);
        }
        let node = self.actors[rank].node;
        let (cores, memory) = (self.network.cores[node], self.network.memory[node]);
        let is_shared = self.layout.ranks_on_node(node).len() > 1;
        if cores.is_none() && (!is_shared || work.memory <= 0.0) {
            return self.schedule(self.now + nanoseconds(work.seconds), Event::Work(rank));
        }
        // A unit of the flow is the time in which a core that moves memory moves a byte.
        let amount = work.seconds * self.one_rank;
        let mut uses = Uses::new();
        if work.memory > 0.0 {
            uses.push((memory, work.memory / amount));
        }
        uses.extend(cores.map(|cores| (cores, 1.0 / self.one_rank)));
        let flow = self.sharing.start(&uses, self.one_rank, amount, self.now);
        self.carry(flow, Carrying::Work(rank));
    }
}
