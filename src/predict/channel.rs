//! Messages on their way. Messages from one rank to another travel in the order in which they were sent, one after
//! another, as on a connection of TCP; the connections share ports, network cards and the fabric.

use std::collections::{HashMap, VecDeque};

use super::fabric::Fabric;
use super::parameters::Parameters;
use super::sharing::{Sharing, Uses};
use super::state::Duty;
use super::symmetry::Classes;
use crate::plan::Layout;

/// The messages of one stream: one tag from one rank to another.
pub struct Conduit {
    /// The sending rank.
    pub from: usize,
    /// The number of the outgoing stream there, and its messages; None until the sender is known.
    pub out: Option<(usize, u64)>,
    /// The receiving rank.
    pub to: usize,
    /// The duty that the receiving rank may take up when a message has come, and the number of messages that the duty waits
    /// for; None until the receiver is known.
    pub taker: Option<(Duty, u64)>,
    /// The tag of the messages.
    pub tag: u64,
    /// The way of the messages.
    pub channel: usize,
    /// Messages that were sent.
    pub sent: u64,
    /// Receives that were posted.
    pub posted: u64,
    /// Messages that have entered the channel.
    pub entered: u64,
    /// Messages that have come.
    pub arrived: u64,
}

impl Conduit {
    /// Messages that have come and for which a receive was posted.
    pub fn complete(&self) -> u64 {
        self.arrived.min(self.posted)
    }
}

/// The name of a stream among those from one rank to another: for classes the first element of its messages, and its number
/// among the streams that begin there; where every rank is a class of its own, its tag alone.
pub type StreamName = (u64, usize);

/// The connection from one rank to another.
pub struct Channel {
    /// The ports, cards and links that its messages cross.
    pub uses: Uses,
    /// Greatest rate, bytes/s.
    pub most: f64,
    /// Time from the departure of a message's last byte to its arrival, seconds.
    pub latency: f64,
    /// Longest message that does not wait for a receive, bytes.
    pub eager: u64,
    /// The messages that wait or travel: conduit and bytes.
    pub messages: VecDeque<(usize, f64)>,
    /// The flow that carries the first of them.
    pub flow: Option<usize>,
    /// True if it is among those that may have nothing to carry.
    pub idle: bool,
}

/// The resources that connections use, and the connections.
pub struct Network<'a> {
    layout: &'a Layout,
    parameters: &'a Parameters,
    fabric: &'a Fabric,
    /// The ranks that are simulated, each for a class.
    pub classes: Classes,
    /// Cards of each node, out and in.
    cards: Vec<[usize; 2]>,
    /// Memory of each node.
    pub memory: Vec<usize>,
    /// Cores of each node; None where every rank has one of its own.
    pub cores: Vec<Option<usize>>,
    /// Ports of ranks for messages between nodes, out and in, where a rank alone is slower than its node's card.
    ports: HashMap<usize, [usize; 2]>,
    /// Ports of ranks for messages inside a node.
    inside: HashMap<usize, [usize; 2]>,
    /// Links of groups by level and group, out and in.
    links: HashMap<(usize, usize), [usize; 2]>,
    numbers: HashMap<(usize, usize), usize>,
    /// The connections.
    pub channels: Vec<Channel>,
    /// The streams.
    pub conduits: Vec<Conduit>,
    streams: HashMap<(usize, usize, StreamName), usize>,
}

/// Bytes of memory that a message inside a node moves for each of its own: it is read and written.
const MEMORY_PER_BYTE: f64 = 2.0;

impl<'a> Network<'a> {
    /// The network of these nodes, without connections.
    pub fn new(
        layout: &'a Layout,
        parameters: &'a Parameters,
        fabric: &'a Fabric,
        classes: Classes,
        sharing: &mut Sharing,
    ) -> Network<'a> {
        let mut both = |capacity: f64| [sharing.resource(capacity), sharing.resource(capacity)];
        let cards = (0..layout.nodes()).map(|_| both(parameters.card)).collect();
        let memory = (0..layout.nodes()).map(|_| sharing.resource(parameters.memory)).collect();
        let cores_of = |node: usize| {
            let cores = parameters.cores;
            (cores < layout.ranks_on_node(node).len()).then(|| sharing.resource(cores as f64))
        };
        let cores = (0..layout.nodes()).map(cores_of).collect();
        Network {
            layout,
            parameters,
            fabric,
            classes,
            cards,
            memory,
            cores,
            ports: HashMap::new(),
            inside: HashMap::new(),
            links: HashMap::new(),
            numbers: HashMap::new(),
            channels: Vec::new(),
            conduits: Vec::new(),
            streams: HashMap::new(),
        }
    }

    /// The number of the stream of this name, which has this tag, from one rank to another.
    pub fn conduit(&mut self, (from, to): (usize, usize), tag: u64, name: StreamName, sharing: &mut Sharing) -> usize {
        let (from, to) = self.classes.moved(from, to);
        if let Some(known) = self.streams.get(&(from, to, name)) {
            return *known;
        }
        let channel = self.channel(from, to, sharing);
        let number = self.conduits.len();
        let (out, taker) = (None, None);
        self.streams.insert((from, to, name), number);
        let to = self.classes.representative(to);
        self.conduits.push(Conduit { from, out, to, taker, tag, channel, sent: 0, posted: 0, entered: 0, arrived: 0 });
        number
    }

    /// The first stream whose ends do not agree: a message that nobody takes or sends, described.
    pub fn mismatch(&self) -> Option<String> {
        let differs = |conduit: &&Conduit| match (conduit.out, conduit.taker) {
            (Some((_, sent)), Some((_, taken))) => sent != taken,
            _ => true,
        };
        let conduit = self.conduits.iter().find(differs)?;
        let (sent, taken) = (conduit.out.map_or(0, |(_, count)| count), conduit.taker.map_or(0, |(_, count)| count));
        Some(format!(
            "rank {} sends {sent} messages of a stream to rank {}, which receives {taken}",
            conduit.from, conduit.to
        ))
    }

    /// The number of the connection between two ranks.
    fn channel(&mut self, from: usize, to: usize, sharing: &mut Sharing) -> usize {
        if let Some(known) = self.numbers.get(&(from, to)) {
            return *known;
        }
        let channel = if self.layout.same_node(from, to) {
            self.within(from, to, sharing)
        } else {
            self.between(from, to, sharing)
        };
        self.channels.push(channel);
        self.numbers.insert((from, to), self.channels.len() - 1);
        self.channels.len() - 1
    }

    fn within(&mut self, from: usize, to: usize, sharing: &mut Sharing) -> Channel {
        let rate = self.parameters.within;
        let mut uses = Uses::new();
        for (rank, direction) in [(from, 0), (self.classes.representative(to), 1)] {
            let ports = self.inside.entry(rank).or_insert_with(|| [sharing.resource(rate), sharing.resource(rate)]);
            uses.push((ports[direction], 1.0));
        }
        uses.push((self.memory[self.layout.node_of(from)], MEMORY_PER_BYTE));
        Channel::new(uses, rate, self.parameters.latency_within(), self.parameters.eager_within)
    }

    fn between(&mut self, from: usize, to: usize, sharing: &mut Sharing) -> Channel {
        let (source, target) = (self.layout.node_of(from), self.layout.node_of(to));
        let Parameters { card, port, .. } = *self.parameters;
        let mut uses = Uses::new();
        let to = self.classes.representative(to);
        let here = self.layout.node_of(to);
        for (rank, node, direction) in [(from, source, 0), (to, here, 1)] {
            uses.push((self.cards[node][direction], 1.0));
            if port < card && self.layout.ranks_on_node(node).len() > 1 {
                let ports = self.ports.entry(rank).or_insert_with(|| [sharing.resource(port), sharing.resource(port)]);
                uses.push((ports[direction], 1.0));
            }
        }
        let mut latency = self.parameters.latency_between();
        for (at, level) in self.fabric.crossed(source, target) {
            latency += level.latency_us * 1e-6;
            let nodes = level.nodes_per_rack;
            for (node, direction) in [(source, 0), (here, 1)] {
                let group = node / nodes;
                let inside = nodes.min(self.layout.nodes() - group * nodes);
                let rate = card * inside as f64 / level.taper;
                let link = self.links.entry((at, group));
                let link = link.or_insert_with(|| [sharing.resource(rate), sharing.resource(rate)]);
                uses.push((link[direction], 1.0));
            }
        }
        // Long messages between nodes go in segments, which wait for nobody.
        Channel::new(uses, port.min(card), latency, u64::MAX)
    }
}

impl Channel {
    fn new(uses: Uses, most: f64, latency: f64, eager: u64) -> Channel {
        Channel { uses, most, latency, eager, messages: VecDeque::new(), flow: None, idle: false }
    }
}
