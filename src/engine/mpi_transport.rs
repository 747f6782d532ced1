//! The MPI transport: ranks are processes, on one node or several.

use std::collections::VecDeque;
use std::ops::Deref;

use crate::engine::segments::Segments;
use crate::engine::transport::{
    CollectiveCall, Collectives, Sent, Shared, Transport, TransportError, ranks_of_first_nodes,
};
use crate::mpi::{
    self, AlgorithmControl, Communicator, Equivalence, MOST_ELEMENTS, MpiError, Requests, SharedWindow,
    StartedCollective, World,
};
use crate::plan::{Algorithm, Call, LibraryName, Offered};

/// Number of requests for which memory is reserved at the start, so that a usual round allocates nothing while timed.
const ROOM: usize = 4096;

/// All ranks of the job, or a subset.
enum Ranks<'w> {
    All(&'w Communicator),
    Some(Communicator),
}

impl Deref for Ranks<'_> {
    type Target = Communicator;

    fn deref(&self) -> &Communicator {
        match self {
            Ranks::All(all) => all,
            Ranks::Some(some) => some,
        }
    }
}

/// The transport of one process.
pub struct MpiTransport<'w> {
    ranks: Ranks<'w>,
    node: Communicator,
    node_of: Vec<usize>,
    /// For each rank of this rank's node, its rank within the node.
    rank_in_node: Vec<usize>,
    requests: Requests,
    segments: Segments,
    sent: Sent,
    most_tag: u64,
    library: String,
    chosen: Vec<Chosen>,
    /// Components of the library, each with a communicator that prefers it.
    preferring: Vec<(LibraryName, Communicator)>,
    /// Collectives that were started, the oldest first.
    started: VecDeque<StartedCollective>,
}

/// An algorithm of the library that was chosen for one MPI function.
struct Chosen {
    function: &'static str,
    algorithm: Algorithm,
    control: AlgorithmControl,
    value: i32,
    /// The communicator that was made while the algorithm was chosen.
    ranks: Communicator,
}

impl<'w> MpiTransport<'w> {
    /// Splits the world into nodes and prepares for messages. Collective.
    pub fn new(world: &'w World) -> Result<Self, TransportError> {
        let most_tag = world.communicator().most_tag()?;
        Self::over(Ranks::All(world.communicator()), most_tag)
    }

    /// Splits `ranks` into nodes. Collective over them.
    fn over(ranks: Ranks<'w>, most_tag: u64) -> Result<Self, TransportError> {
        let all: &Communicator = &ranks;
        let node = all.split_shared()?;
        // The identifier of a node is the world rank of its first rank.
        let leader = node.broadcast(all.rank().to_ne_bytes().to_vec())?;
        let leaders = all.broadcast(all.gather(&leader)?.unwrap_or_default().concat())?;
        let node_of: Vec<usize> = bytemuck::allocation::pod_collect_to_vec(&leaders);
        let mine = node_of[all.rank()];
        let mut next = 0;
        let rank_in_node = node_of
            .iter()
            .map(|node| {
                let place = next;
                next += usize::from(*node == mine);
                place
            })
            .collect();
        Ok(MpiTransport {
            ranks,
            node,
            node_of,
            rank_in_node,
            requests: Requests::with_capacity(ROOM),
            segments: Segments::default(),
            sent: Sent::default(),
            most_tag,
            library: mpi::library_version()?,
            chosen: Vec::new(),
            preferring: Vec::new(),
            started: VecDeque::with_capacity(2),
        })
    }
}

impl MpiTransport<'_> {
    /// Returns true if messages to and from `rank` go between nodes.
    fn crosses(&self, rank: usize) -> bool {
        self.node_of[rank] != self.node_of[self.ranks.rank()]
    }
}

struct Window {
    window: SharedWindow,
    rank_in_node: Vec<usize>,
}

// SAFETY: any thread may use the window's memory. MPI is only called when the window is dropped, which the engine does
// on the thread that made it.
unsafe impl Send for Window {}

impl Shared for Window {
    fn own(&self) -> *mut u8 {
        self.window.own()
    }

    fn of(&self, rank: usize) -> *mut u8 {
        self.window.part(self.rank_in_node[rank])
    }
}

impl Transport for MpiTransport<'_> {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn ranks(&self) -> usize {
        self.ranks.size()
    }

    fn node_of(&self) -> &[usize] {
        &self.node_of
    }

    fn name(&self) -> String {
        self.library.clone()
    }

    fn has_own_process(&self) -> bool {
        true
    }

    unsafe fn send(
        &mut self,
        token: usize,
        to: usize,
        tag: u64,
        data: *const u8,
        bytes: usize,
    ) -> Result<(), TransportError> {
        self.sent.count(bytes);
        if self.crosses(to) && self.segments.takes(true, to, tag, bytes) {
            // SAFETY: as promised by the caller; the data is only read.
            unsafe { self.segments.add(token, (true, to, tag), data.cast_mut(), bytes) };
            return self.segments.post(&self.ranks, &mut self.requests);
        }
        // SAFETY: as promised by the caller.
        unsafe {
            self.requests.send(&self.ranks, token, to, tag, data, bytes)?;
        }
        Ok(())
    }

    unsafe fn receive(
        &mut self,
        token: usize,
        from: usize,
        tag: u64,
        data: *mut u8,
        bytes: usize,
    ) -> Result<(), TransportError> {
        if self.crosses(from) && self.segments.takes(false, from, tag, bytes) {
            // SAFETY: as promised by the caller.
            unsafe { self.segments.add(token, (false, from, tag), data, bytes) };
            return self.segments.post(&self.ranks, &mut self.requests);
        }
        // SAFETY: as promised by the caller.
        unsafe {
            self.requests.receive(&self.ranks, token, from, tag, data, bytes)?;
        }
        Ok(())
    }

    fn completed(&mut self, tokens: &mut Vec<usize>) -> Result<(), TransportError> {
        let before = tokens.len();
        self.requests.completed(tokens)?;
        self.segments.collect(tokens, before);
        if self.segments.is_waiting() {
            self.segments.post(&self.ranks, &mut self.requests)?;
        }
        Ok(())
    }

    fn under_way(&self) -> usize {
        self.requests.len()
    }

    fn sent(&self) -> Sent {
        self.sent
    }

    fn most_tag(&self) -> u64 {
        self.most_tag
    }

    fn barrier(&mut self) -> Result<(), TransportError> {
        Ok(self.ranks.barrier()?)
    }

    fn broadcast(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, TransportError> {
        Ok(self.ranks.broadcast(bytes)?)
    }

    fn gather(&mut self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, TransportError> {
        Ok(self.ranks.gather(bytes)?)
    }

    fn max(&mut self, value: u64) -> Result<u64, TransportError> {
        Ok(self.ranks.max(value)?)
    }

    fn share(&mut self, bytes: usize) -> Result<Box<dyn Shared>, TransportError> {
        let window = SharedWindow::allocate(&self.node, bytes)?;
        // SAFETY: this is the rank's own part, which no one else uses yet. It is touched here, so that its pages are on
        // this rank's NUMA node and rounds have no page faults.
        unsafe {
            libc::madvise(window.own().cast(), bytes, libc::MADV_HUGEPAGE);
            window.own().write_bytes(0, bytes);
        }
        self.node.barrier()?;
        Ok(Box::new(Window { window, rank_in_node: self.rank_in_node.clone() }))
    }

    fn first_nodes<'a>(&'a mut self, nodes: usize) -> Result<Option<Box<dyn Transport + 'a>>, TransportError> {
        let members = ranks_of_first_nodes(&self.node_of, nodes);
        let Some(some) = self.ranks.subset(members.contains(&self.ranks.rank()))? else { return Ok(None) };
        let first: MpiTransport<'a> = MpiTransport::over(Ranks::Some(some), self.most_tag)?;
        Ok(Some(Box::new(first)))
    }

    fn rest(&mut self) -> Result<(), TransportError> {
        Ok(self.ranks.rest()?)
    }

    fn collectives(&mut self) -> Option<&mut dyn Collectives> {
        Some(self)
    }
}

impl Collectives for MpiTransport<'_> {
    unsafe fn call(&mut self, call: &CollectiveCall<'_>) -> Result<(), TransportError> {
        // SAFETY: as promised by the caller; it is done when this returns.
        unsafe { self.start(call) }?;
        while !self.started.is_empty() {
            self.finish_oldest()?;
        }
        Ok(())
    }

    unsafe fn start(&mut self, call: &CollectiveCall<'_>) -> Result<(), TransportError> {
        let is_meant = |chosen: &&Chosen| chosen.function == call.call.name() && chosen.algorithm == call.algorithm;
        let chosen = self.chosen.iter().find(is_meant);
        let preferring = self.preferring.iter().find(|(component, _)| *component == call.component);
        let of_its_own = chosen.map(|chosen| &chosen.ranks).or(preferring.map(|(_, ranks)| ranks));
        let ranks: &Communicator = of_its_own.unwrap_or(&self.ranks);
        let at_this_call = chosen.filter(|chosen| chosen.control.at_each_call());
        at_this_call.map_or(Ok(()), |chosen| chosen.control.write(chosen.value))?;
        // SAFETY: as promised by the caller. Calls that move elements without summing need only a type of their size.
        let started = unsafe {
            match call.dtype.size() {
                2 => make::<u16>(ranks, call),
                4 => make::<f32>(ranks, call),
                _ => make::<f64>(ranks, call),
            }
        }?;
        self.started.extend(started);
        Ok(at_this_call.map_or(Ok(()), |chosen| chosen.control.write(0))?)
    }

    fn finish_oldest(&mut self) -> Result<(), TransportError> {
        Ok(self.started.pop_front().map_or(Ok(()), StartedCollective::finish)?)
    }

    fn offered(&self, function: &str) -> Result<Offered, TransportError> {
        let components = mpi::components()?.iter().filter_map(|name| name.parse().ok()).collect();
        let control = AlgorithmControl::of(function)?;
        let names = control.iter().flat_map(AlgorithmControl::names);
        let algorithms = names.filter_map(|name| name.parse().ok()).collect();
        Ok(Offered { algorithms, segments: control.is_some_and(|control| control.has_segments()), components })
    }

    fn choose(&mut self, call: Call, algorithm: Algorithm) -> Result<(), TransportError> {
        let function = call.name();
        let has = |chosen: &Chosen| chosen.function == function && chosen.algorithm == algorithm;
        if algorithm.is_default() || self.chosen.iter().any(has) {
            return Ok(());
        }
        let control = AlgorithmControl::of(function)?;
        let valued = control.and_then(|control| control.value(algorithm.name()).map(|value| (control, value)));
        let Some((control, value)) = valued else {
            return Err(TransportError::NoAlgorithm { library: self.library.clone(), algorithm, function });
        };
        control.write(value)?;
        control.write_segment(algorithm.segment())?;
        let ranks = self.ranks.duplicate(control.component());
        control.write_segment(None)?;
        control.write(0)?;
        self.chosen.push(Chosen { function, algorithm, control, value, ranks: ranks? });
        Ok(())
    }

    fn prefer(&mut self, component: LibraryName) -> Result<(), TransportError> {
        let is_there = self.preferring.iter().any(|(other, _)| *other == component);
        if !component.is_default() && !is_there {
            self.preferring.push((component, self.ranks.duplicate(Some(component.as_str()))?));
        }
        Ok(())
    }

    fn most_elements(&self) -> u64 {
        MOST_ELEMENTS
    }
}

/// # Safety
/// As for [`Collectives::start`]. An element has the type `T`, or its size if none is summed.
unsafe fn make<T: Equivalence>(
    all: &Communicator,
    made: &CollectiveCall<'_>,
) -> Result<Option<StartedCollective>, MpiError> {
    let CollectiveCall { elements, parts, counts, .. } = *made;
    let (send, receive) = (made.send.cast::<T>(), made.receive.cast::<T>());
    // SAFETY: as promised by the caller.
    unsafe {
        match made.call {
            Call::Reduce { root } => all.reduce(send, receive, elements, root),
            Call::Allreduce => all.allreduce(send, receive, elements),
            Call::ReduceScatter => all.reduce_scatter(send, receive, counts),
            Call::IreduceScatter => return all.start_reduce_scatter(send, receive, counts).map(Some),
            Call::ReduceScatterBlock { block } => all.reduce_scatter_block(send, receive, block),
            Call::Scatter { root } => all.scatter(root, send, receive, parts),
            Call::Gather { root } => all.gather_to(root, send, receive, parts),
            Call::Allgather => all.allgather(send, receive, parts),
            Call::Broadcast { root } => all.broadcast_from(root, made.receive, elements * size_of::<T>() as u64),
        }
    }?;
    Ok(None)
}
