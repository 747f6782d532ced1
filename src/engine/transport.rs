//! The interface between the engine and whatever connects the ranks. Threads in one process and MPI implement it, so
//! that tests on threads exercise the code that runs across nodes.

use crate::engine::OutOfMemory;
use crate::gradient::Dtype;
use crate::plan::{Algorithm, Call, LibraryName, Offered};

/// A failure of a transport. It cannot be repaired inside a round, and the job is lost.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// An MPI call failed.
    #[cfg(feature = "mpi")]
    #[error(transparent)]
    Mpi(#[from] crate::mpi::MpiError),
    /// The MPI library lacks an algorithm.
    #[error("{library} has no algorithm {algorithm} for {function}")]
    NoAlgorithm {
        /// Name and version of the library.
        library: String,
        /// The algorithm.
        algorithm: Algorithm,
        /// The MPI function.
        function: &'static str,
    },
    /// There is no memory for a shared region.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// Another rank ended while this one waited for it.
    #[error("another rank ended while rank {rank} waited for it")]
    PeerLost {
        /// The rank that waited.
        rank: usize,
    },
}

/// Memory that the ranks of a node share, with a part for each rank.
pub trait Shared: Send {
    /// Returns the start of this rank's part, aligned to at least 128 bytes.
    fn own(&self) -> *mut u8;
    /// Returns the start of the part of `rank`, which must be on the same node.
    fn of(&self, rank: usize) -> *mut u8;
}

/// Messages that a rank has sent through its transport since its creation.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Sent {
    /// Number of messages.
    pub messages: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl Sent {
    /// Counts a message of `bytes` bytes.
    pub fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }

    /// Returns the messages sent after `before`.
    #[must_use]
    pub fn since(self, before: Sent) -> Sent {
        Sent { messages: self.messages - before.messages, bytes: self.bytes - before.bytes }
    }
}

/// Connects ranks. Calls marked *collective* must be made by every rank in the same order.
pub trait Transport {
    /// Returns this rank.
    fn rank(&self) -> usize;
    /// Returns P.
    fn ranks(&self) -> usize;
    /// Returns the node of each rank.
    fn node_of(&self) -> &[usize];
    /// Returns the name of the transport for the result file.
    fn name(&self) -> String;
    /// Returns true if this process has no other rank, so that the kernel's counts for the process are this rank's.
    fn has_own_process(&self) -> bool {
        self.ranks() == 1
    }

    /// Starts to send `bytes` bytes. Messages between two ranks with the same tag arrive in order.
    ///
    /// # Safety
    /// `data` must stay readable and unchanged until [`Transport::completed`] returns `token`.
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
    /// `data` must stay writable and untouched until [`Transport::completed`] returns `token`.
    unsafe fn receive(
        &mut self,
        token: usize,
        from: usize,
        tag: u64,
        data: *mut u8,
        bytes: usize,
    ) -> Result<(), TransportError>;

    /// Appends the tokens of completed messages without waiting.
    fn completed(&mut self, tokens: &mut Vec<usize>) -> Result<(), TransportError>;
    /// Returns the number of incomplete messages.
    fn under_way(&self) -> usize;
    /// Called when nothing can be done; yields the core.
    fn idle(&mut self) {
        std::thread::yield_now();
    }
    /// Returns the messages that this rank has sent so far, without collectives of the MPI library.
    fn sent(&self) -> Sent;
    /// Returns the greatest tag that a message may have.
    fn most_tag(&self) -> u64;

    /// Returns when every rank has called it. Collective.
    fn barrier(&mut self) -> Result<(), TransportError>;
    /// Returns rank 0's bytes on every rank. Collective.
    fn broadcast(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, TransportError>;
    /// Returns every rank's bytes on rank 0, None elsewhere. Collective.
    fn gather(&mut self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, TransportError>;
    /// Returns the greatest of all ranks' values. Collective.
    fn max(&mut self, value: u64) -> Result<u64, TransportError>;
    /// Allocates memory that each node shares, with `bytes` zero bytes for this rank. Collective.
    fn share(&mut self, bytes: usize) -> Result<Box<dyn Shared>, TransportError>;

    /// Returns a transport of the ranks on the first `nodes` nodes, ordered by their first ranks; None on other ranks.
    /// There must be no messages in flight on the whole transport meanwhile. Collective.
    fn first_nodes<'a>(&'a mut self, nodes: usize) -> Result<Option<Box<dyn Transport + 'a>>, TransportError>;
    /// Like [`Transport::barrier`], but sleeping, for ranks that wait long while others measure. Collective.
    fn rest(&mut self) -> Result<(), TransportError> {
        self.barrier()
    }

    /// Returns the MPI library's own collectives, if there are any.
    fn collectives(&mut self) -> Option<&mut dyn Collectives> {
        None
    }
}

/// A call of a collective of the MPI library. All ranks must make the same call; only the memory differs.
#[derive(Clone, Copy, Debug)]
pub struct CollectiveCall<'a> {
    /// The function. Reductions use MPI_SUM.
    pub call: Call,
    /// The library's algorithm, which [`Collectives::choose`] has prepared.
    pub algorithm: Algorithm,
    /// The library's component, which [`Collectives::prefer`] has prepared.
    pub component: LibraryName,
    /// Type of the elements. A reduction is of f32 or f64.
    pub dtype: Dtype,
    /// This rank's input.
    pub send: *const u8,
    /// Memory for this rank's output. It does not overlap the input.
    pub receive: *mut u8,
    /// Elements of the whole gradient.
    pub elements: u64,
    /// Offset and number of the elements that each rank gets from a scatter, or gives to a gather.
    pub parts: &'a [(u64, u64)],
    /// Elements that each rank gets from MPI_Reduce_scatter or MPI_Ireduce_scatter.
    pub counts: &'a [i32],
}

/// The MPI library's own collectives over all ranks.
pub trait Collectives {
    /// Makes the call and waits for its end, and for that of calls that were started before. Reduce, allreduce and broadcast are divided into blocks if the gradient is
    /// longer than one call allows, and MPI_Allgatherv is replaced by broadcasts; other calls are limited.
    ///
    /// # Safety
    /// `send` and `receive` must hold the elements that the function reads and writes on this rank, without overlap.
    /// Everything but the memory must be equal on all ranks.
    unsafe fn call(&mut self, call: &CollectiveCall<'_>) -> Result<(), TransportError>;

    /// Starts the call. MPI_Ireduce_scatter goes on afterwards; every other call is done.
    ///
    /// # Safety
    /// As for [`Collectives::call`], until [`Collectives::finish_oldest`] has returned for it.
    unsafe fn start(&mut self, call: &CollectiveCall<'_>) -> Result<(), TransportError>;

    /// Waits for the end of the started call that began first. Does nothing if no call is under way.
    fn finish_oldest(&mut self) -> Result<(), TransportError>;

    /// Returns the choices that the library offers for the MPI function of this name.
    fn offered(&self, function: &str) -> Result<Offered, TransportError>;

    /// Prepares calls of `call` by `algorithm`. It must be called before the first of them. Collective.
    ///
    /// # Errors
    /// If the library has no such algorithm.
    fn choose(&mut self, call: Call, algorithm: Algorithm) -> Result<(), TransportError>;

    /// Prepares calls that prefer a component of the library. It must be called before the first of them. Collective.
    fn prefer(&mut self, component: LibraryName) -> Result<(), TransportError>;

    /// Returns the greatest number of elements of one call of a collective.
    fn most_elements(&self) -> u64;
}

/// Returns the ranks on the first `nodes` nodes, ascending. Nodes are ordered by their first ranks; with fewer nodes it
/// returns all ranks.
pub fn ranks_of_first_nodes(node_of: &[usize], nodes: usize) -> Vec<usize> {
    let mut seen: Vec<usize> = Vec::new();
    for node in node_of {
        if !seen.contains(node) && seen.len() < nodes {
            seen.push(*node);
        }
    }
    (0..node_of.len()).filter(|rank| seen.contains(&node_of[*rank])).collect()
}

/// Turns one rank's verdict into that of all: every rank gets the message of the first rank that failed. Collective.
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

/// Returns this rank's value if all ranks have one, and else the error text of the first rank that has none. Collective.
pub fn agreed<T, E: std::fmt::Display>(
    transport: &mut dyn Transport,
    mine: Result<T, E>,
) -> Result<Result<T, String>, TransportError> {
    let (value, refusal) = match mine {
        Ok(value) => (Some(value), Ok(())),
        Err(error) => (None, Err(error.to_string())),
    };
    Ok(agree(transport, refusal)?.and_then(|()| value.ok_or_else(String::new)))
}

/// Returns every rank's record on rank 0, in rank order; None elsewhere. Collective.
pub fn gather_records<T: bytemuck::Pod>(
    transport: &mut dyn Transport,
    record: &T,
) -> Result<Option<Vec<T>>, TransportError> {
    let all = transport.gather(bytemuck::bytes_of(record))?;
    Ok(all.map(|all| all.iter().map(|bytes| bytemuck::pod_read_unaligned(bytes)).collect()))
}

/// Returns rank 0's numbers on every rank. Collective.
pub fn broadcast_numbers(transport: &mut dyn Transport, numbers: &[u64]) -> Result<Vec<u64>, TransportError> {
    let bytes = transport.broadcast(bytemuck::cast_slice(numbers).to_vec())?;
    Ok(bytemuck::allocation::pod_collect_to_vec(&bytes))
}
