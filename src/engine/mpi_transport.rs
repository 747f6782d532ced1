//! The MPI transport: ranks are processes, on one node or several.

use std::ops::Deref;

use crate::engine::segments::Segments;
use crate::engine::transport::{Collectives, Sent, Shared, Transport, TransportError, ranks_of_first_nodes};
use crate::gradient::Dtype;
use crate::mpi::{self, Communicator, MOST_ELEMENTS, Requests, SharedWindow, World};

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
        let library = mpi::library_version()?;
        let library =
            library.lines().next().unwrap_or_default().split(',').next().unwrap_or_default().trim().to_owned();
        Ok(MpiTransport {
            ranks,
            node,
            node_of,
            rank_in_node,
            requests: Requests::with_capacity(ROOM),
            segments: Segments::default(),
            sent: Sent::default(),
            most_tag,
            library,
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

    fn idle(&mut self) {
        std::thread::yield_now();
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

/// Evaluates `$body` with `$type` as the type in which gradients of `$dtype` are summed.
macro_rules! with_sum_type {
    ($dtype:expr, $type:ident => $body:expr) => {
        if $dtype.accumulator_size() == 8 {
            type $type = f64;
            $body
        } else {
            type $type = f32;
            $body
        }
    };
}

/// Evaluates `$body` with `$type` as a type of the size of `$dtype`, for calls that move elements without summing.
macro_rules! with_moved_type {
    ($dtype:expr, $type:ident => $body:expr) => {
        match $dtype.size() {
            2 => {
                type $type = u16;
                $body
            }
            4 => {
                type $type = f32;
                $body
            }
            _ => {
                type $type = f64;
                $body
            }
        }
    };
}

impl Collectives for MpiTransport<'_> {
    unsafe fn reduce_scatter(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        counts: &[i32],
    ) -> Result<(), TransportError> {
        let all = &*self.ranks;
        // SAFETY: as promised by the caller; the element type is that of `dtype`.
        Ok(unsafe { with_sum_type!(dtype, T => all.reduce_scatter::<T>(send.cast(), receive.cast(), counts)) }?)
    }

    unsafe fn ireduce_scatter(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        counts: &[i32],
    ) -> Result<(), TransportError> {
        let all = &*self.ranks;
        // SAFETY: as above.
        Ok(unsafe { with_sum_type!(dtype, T => all.ireduce_scatter::<T>(send.cast(), receive.cast(), counts)) }?)
    }

    unsafe fn reduce_scatter_block(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        block: u64,
    ) -> Result<(), TransportError> {
        let all = &*self.ranks;
        // SAFETY: as above.
        Ok(unsafe { with_sum_type!(dtype, T => all.reduce_scatter_block::<T>(send.cast(), receive.cast(), block)) }?)
    }

    unsafe fn reduce(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        elements: u64,
        root: usize,
    ) -> Result<(), TransportError> {
        let all = &*self.ranks;
        let most = MOST_ELEMENTS;
        // SAFETY: as above.
        Ok(unsafe { with_sum_type!(dtype, T => all.reduce::<T>(send.cast(), receive.cast(), elements, root, most)) }?)
    }

    unsafe fn allreduce(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        elements: u64,
    ) -> Result<(), TransportError> {
        let all = &*self.ranks;
        let most = MOST_ELEMENTS;
        // SAFETY: as above.
        Ok(unsafe { with_sum_type!(dtype, T => all.allreduce::<T>(send.cast(), receive.cast(), elements, most)) }?)
    }

    unsafe fn scatter(
        &mut self,
        dtype: Dtype,
        root: usize,
        send: *const u8,
        receive: *mut u8,
        parts: &[(u64, u64)],
    ) -> Result<(), TransportError> {
        let all = &*self.ranks;
        // SAFETY: as above.
        Ok(unsafe { with_moved_type!(dtype, T => all.scatter::<T>(root, send.cast(), receive.cast(), parts)) }?)
    }

    unsafe fn gather_parts(
        &mut self,
        dtype: Dtype,
        root: Option<usize>,
        send: *const u8,
        receive: *mut u8,
        parts: &[(u64, u64)],
    ) -> Result<(), TransportError> {
        let all = &*self.ranks;
        // SAFETY: as above.
        unsafe {
            with_moved_type!(dtype, T => match root {
                Some(root) => all.gather_to::<T>(root, send.cast(), receive.cast(), parts)?,
                None => all.allgather_elements::<T>(send.cast(), receive.cast(), parts)?,
            });
        }
        Ok(())
    }

    unsafe fn broadcast_from(&mut self, root: usize, data: *mut u8, bytes: u64) -> Result<(), TransportError> {
        // SAFETY: as promised by the caller.
        unsafe {
            self.ranks.broadcast_from(root, data, bytes)?;
        }
        Ok(())
    }

    unsafe fn allgather(
        &mut self,
        send: *const u8,
        receive: *mut u8,
        parts: &[(u64, u64)],
    ) -> Result<(), TransportError> {
        // SAFETY: as promised by the caller.
        unsafe {
            self.ranks.allgather(send, receive, parts)?;
        }
        Ok(())
    }

    fn most_elements(&self) -> u64 {
        MOST_ELEMENTS
    }
}
