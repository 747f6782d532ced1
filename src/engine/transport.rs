//! What the engine asks of the thing that connects ranks. Threads in one process and MPI both offer it, so that what
//! is tested on threads is what runs across nodes.

use crate::engine::OutOfMemory;
use crate::gradient::Dtype;

/// A transport's failure. None of them can be repaired inside a round: the job is lost.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// An MPI call failed.
    #[cfg(feature = "mpi")]
    #[error(transparent)]
    Mpi(#[from] crate::mpi::MpiError),
    /// No memory for a shared region.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// Another rank has gone while this one waited for it.
    #[error("another rank ended while rank {rank} waited for it")]
    PeerLost {
        /// The rank that waited.
        rank: usize,
    },
}

/// Memory that the ranks of a node share, one part a rank.
pub trait Shared: Send {
    /// Where this rank's part begins, aligned to at least 128 bytes.
    fn own(&self) -> *mut u8;
    /// Where the part of `rank`, which must be on the same node, begins.
    fn of(&self, rank: usize) -> *mut u8;
}

/// Messages that a rank has sent through its transport since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Their number.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Sent {
    /// Counts a message of `bytes` bytes.
    pub fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }

    /// What was sent after `before`.
    #[must_use]
    pub fn since(self, before: Sent) -> Sent {
        Sent { messages: self.messages - before.messages, bytes: self.bytes - before.bytes }
    }
}

/// Connects ranks. Calls marked *collective* must be made by every rank, in the same order.
pub trait Transport {
    /// This rank.
    fn rank(&self) -> usize;
    /// P.
    fn ranks(&self) -> usize;
    /// The node of each rank.
    fn node_of(&self) -> &[usize];
    /// What connects the ranks, for the result file.
    fn name(&self) -> String;
    /// True if no other rank lives in this process, so that what the kernel counts for it is this rank's.
    fn has_own_process(&self) -> bool {
        self.ranks() == 1
    }

    /// Starts to send `bytes` bytes; messages between two ranks with one tag arrive in order.
    ///
    /// # Safety
    /// `data` must stay readable and unchanged until [`Transport::completed`] yields `token`.
    unsafe fn send(
        &mut self,
        token: usize,
        to: usize,
        tag: u64,
        data: *const u8,
        bytes: usize,
    ) -> Result<(), TransportError>;

    /// Starts to receive exactly `bytes` bytes.
    ///
    /// # Safety
    /// `data` must stay writable and untouched until [`Transport::completed`] yields `token`.
    unsafe fn receive(
        &mut self,
        token: usize,
        from: usize,
        tag: u64,
        data: *mut u8,
        bytes: usize,
    ) -> Result<(), TransportError>;

    /// Appends the tokens of completed messages. Does not wait.
    fn completed(&mut self, tokens: &mut Vec<usize>) -> Result<(), TransportError>;
    /// Messages that have not completed.
    fn under_way(&self) -> usize;
    /// Called when nothing can be done: lets others have the core.
    fn idle(&mut self);
    /// Messages that this rank has sent so far. Collectives of the MPI library are not among them.
    fn sent(&self) -> Sent;
    /// The greatest tag that a message may have.
    fn most_tag(&self) -> u64;

    /// Returns when every rank has called it. Collective.
    fn barrier(&mut self) -> Result<(), TransportError>;
    /// Rank 0's bytes on every rank. Collective.
    fn broadcast(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, TransportError>;
    /// Every rank's bytes on rank 0, None elsewhere. Collective.
    fn gather(&mut self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, TransportError>;
    /// The greatest of the ranks' values. Collective.
    fn max(&mut self, value: u64) -> Result<u64, TransportError>;
    /// Memory shared inside each node: `bytes` zero bytes of this rank's own. Collective.
    fn share(&mut self, bytes: usize) -> Result<Box<dyn Shared>, TransportError>;

    /// Connects the ranks of the first `nodes` nodes, in the order of their first ranks, and no others; None on ranks of
    /// other nodes. Nothing may be under way meanwhile on the whole. Collective.
    fn first_nodes<'a>(&'a mut self, nodes: usize) -> Result<Option<Box<dyn Transport + 'a>>, TransportError>;
    /// As [`Transport::barrier`], asleep: for ranks that wait long while others measure. Collective.
    fn rest(&mut self) -> Result<(), TransportError>;

    /// The MPI library's own collectives, where there is one.
    fn collectives(&mut self) -> Option<&mut dyn Collectives>;
}

/// The MPI library's own reductions over all ranks, with MPI_SUM.
pub trait Collectives {
    /// MPI_Reduce_scatter of f32 or f64.
    ///
    /// # Safety
    /// `send` must hold Σ counts elements, `receive` this rank's count; no overlap; the same counts everywhere.
    unsafe fn reduce_scatter(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        counts: &[i32],
    ) -> Result<(), TransportError>;

    /// MPI_Reduce of f32 or f64, by blocks where `elements` is more than one call can take.
    ///
    /// # Safety
    /// `send` must hold `elements` elements, on the root `receive` too; no overlap; the same arguments everywhere.
    unsafe fn reduce(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        elements: u64,
        root: usize,
    ) -> Result<(), TransportError>;

    /// MPI_Ireduce_scatter of f32 or f64, waited for.
    ///
    /// # Safety
    /// As for [`Collectives::reduce_scatter`].
    unsafe fn ireduce_scatter(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        counts: &[i32],
    ) -> Result<(), TransportError>;

    /// MPI_Reduce_scatter_block of f32 or f64: `block` elements for every rank, within one call's limit.
    ///
    /// # Safety
    /// `send` must hold a block for every rank, `receive` one; no overlap; the same block everywhere.
    unsafe fn reduce_scatter_block(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        block: u64,
    ) -> Result<(), TransportError>;

    /// MPI_Allreduce of f32 or f64, by blocks where `elements` is more than one call can take.
    ///
    /// # Safety
    /// `send` and `receive` must hold `elements` elements; no overlap; the same number everywhere.
    unsafe fn allreduce(
        &mut self,
        dtype: Dtype,
        send: *const u8,
        receive: *mut u8,
        elements: u64,
    ) -> Result<(), TransportError>;

    /// MPI_Scatterv of elements of any type from `root`: rank r gets the elements that `parts[r]` names by offset and number.
    ///
    /// # Safety
    /// On the root `send` must hold all parts, everywhere `receive` this rank's; no overlap; the same root and parts
    /// everywhere.
    unsafe fn scatter(
        &mut self,
        dtype: Dtype,
        root: usize,
        send: *const u8,
        receive: *mut u8,
        parts: &[(u64, u64)],
    ) -> Result<(), TransportError>;

    /// MPI_Gatherv of elements of any type to `root`, or MPI_Allgatherv where there is none: rank r's elements go where `parts[r]`
    /// says by offset and number.
    ///
    /// # Safety
    /// `send` must hold this rank's part, `receive`, on the root or everywhere, all of them; no overlap; the same root
    /// and parts everywhere.
    unsafe fn gather_parts(
        &mut self,
        dtype: Dtype,
        root: Option<usize>,
        send: *const u8,
        receive: *mut u8,
        parts: &[(u64, u64)],
    ) -> Result<(), TransportError>;

    /// MPI_Bcast of `bytes` bytes from `root`, by blocks where one call cannot take them.
    ///
    /// # Safety
    /// `data` must hold `bytes` bytes; the same arguments everywhere.
    unsafe fn broadcast_from(&mut self, root: usize, data: *mut u8, bytes: u64) -> Result<(), TransportError>;

    /// MPI_Allgatherv of bytes: rank r's part goes to the offset and has the length that `parts[r]` names, in bytes.
    ///
    /// # Safety
    /// `send` must hold this rank's part, `receive` all of them; no overlap; the same parts everywhere.
    unsafe fn allgather(
        &mut self,
        send: *const u8,
        receive: *mut u8,
        parts: &[(u64, u64)],
    ) -> Result<(), TransportError>;

    /// Elements that one call of a collective may take.
    fn most_elements(&self) -> u64;
}

/// The ranks on the first `nodes` nodes, ascending: nodes by their first ranks. All ranks where there are fewer nodes.
pub fn ranks_of_first_nodes(node_of: &[usize], nodes: usize) -> Vec<usize> {
    let mut seen: Vec<usize> = Vec::new();
    for node in node_of {
        if !seen.contains(node) && seen.len() < nodes {
            seen.push(*node);
        }
    }
    (0..node_of.len()).filter(|rank| seen.contains(&node_of[*rank])).collect()
}

/// One rank's verdict turned into everybody's: the message of the first rank that failed, on every rank. Collective.
pub fn agree(transport: &mut dyn Transport, mine: Result<(), String>) -> Result<Result<(), String>, TransportError> {
    if transport.max(u64::from(mine.is_err()))? == 0 {
        return Ok(Ok(()));
    }
    let text = mine.err().unwrap_or_default();
    let first = transport.gather(text.as_bytes())?.map(|all| {
        let found = all.iter().position(|text| !text.is_empty());
        found.map(|rank| (rank, all[rank].clone()))
    });
    let message = match first {
        Some(Some((_, text))) => text,
        _ => Vec::new(),
    };
    let message = transport.broadcast(message)?;
    Ok(Err(String::from_utf8_lossy(&message).into_owned()))
}

/// Every rank's numbers on rank 0, None elsewhere. Collective.
pub fn gather_numbers(transport: &mut dyn Transport, numbers: &[u64]) -> Result<Option<Vec<Vec<u64>>>, TransportError> {
    let all = transport.gather(bytemuck::cast_slice(numbers))?;
    Ok(all.map(|all| all.iter().map(|bytes| bytemuck::allocation::pod_collect_to_vec(bytes)).collect()))
}
