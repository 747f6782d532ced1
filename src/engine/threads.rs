//! The transport of threads in one process, for tests and for runs without a launcher.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::engine::transport::{Sent, Shared, Transport, TransportError, ranks_of_first_nodes};
use crate::engine::{Buffer, OutOfMemory};

/// Memory of a rank besides its stack and its gradients, bytes: its lists, its part of the plan, the library's caches.
const BYTES_A_THREAD: usize = 1 << 20;

/// A send that has not met its receive: its data and the token to return.
struct Letter {
    data: *const u8,
    bytes: usize,
    token: usize,
}

// SAFETY: the sender keeps the bytes readable and unchanged until its token is returned.
unsafe impl Send for Letter {}

/// Sends by sender and tag.
type Inbox = HashMap<(usize, u64), VecDeque<Letter>>;

struct Gate {
    waiting: usize,
    turn: u64,
    /// Ranks whose threads have ended.
    left: Vec<usize>,
}

struct Inner {
    node_of: Vec<usize>,
    inbox: Vec<Mutex<Inbox>>,
    /// Tokens of sends whose bytes have been copied.
    taken: Vec<Mutex<Vec<usize>>>,
    gate: Mutex<Gate>,
    turned: Condvar,
    exchange: Mutex<Vec<Vec<u8>>>,
    regions: Mutex<Vec<Option<Arc<Buffer>>>>,
    /// The transport of a subset of ranks, while it is being created.
    first: Mutex<Option<Arc<Inner>>>,
}

impl Inner {
    fn new(node_of: &[usize]) -> Arc<Inner> {
        let ranks = node_of.len();
        Arc::new(Inner {
            node_of: node_of.to_vec(),
            inbox: (0..ranks).map(|_| Mutex::default()).collect(),
            taken: (0..ranks).map(|_| Mutex::default()).collect(),
            gate: Mutex::new(Gate { waiting: 0, turn: 0, left: Vec::new() }),
            turned: Condvar::new(),
            exchange: Mutex::new(vec![Vec::new(); ranks]),
            regions: Mutex::new(vec![None; ranks]),
            first: Mutex::new(None),
        })
    }
}

/// Ignores poisoning, so that a panic of another thread does not cause one here; the guarded data stays consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy)]
struct Expected {
    token: usize,
    from: usize,
    tag: u64,
    data: *mut u8,
    bytes: usize,
}

/// The transport of one thread.
struct Threads {
    rank: usize,
    inner: Arc<Inner>,
    expected: Vec<Expected>,
    /// Receives matched with their sends; kept to reuse the memory.
    matched: Vec<(Letter, Expected)>,
    sends_under_way: usize,
    sent: Sent,
}

/// Runs `body` on one thread for each rank in `node_of`, with rank r on the simulated node `node_of[r]`. Returns the
/// results in rank order.
///
/// If a thread panics, calls of the other threads fail, and the panic is passed on. If the threads cannot be started, this
/// panics; [`start_threads`] returns an error.
pub fn run_threads<R: Send>(node_of: &[usize], body: impl Fn(&mut dyn Transport) -> R + Sync) -> Vec<R> {
    start_threads(node_of, body).unwrap_or_else(|error| std::panic::resume_unwind(Box::new(error.to_string())))
}

/// Like [`run_threads`]. No rank begins before all threads run.
///
/// # Errors
/// If the system refuses a thread, or the memory that each thread needs besides its stack.
pub fn start_threads<R: Send>(node_of: &[usize], body: impl Fn(&mut dyn Transport) -> R + Sync) -> io::Result<Vec<R>> {
    let inner = Inner::new(node_of);
    // Held until all threads run; then it tells them whether to begin.
    let all_run = Mutex::new(false);
    std::thread::scope(|scope| {
        let mut begin = lock(&all_run);
        let mut handles = Vec::with_capacity(node_of.len());
        let mut refused = None;
        for rank in 0..node_of.len() {
            let (inner, body, all_run) = (Arc::clone(&inner), &body, &all_run);
            let work = move || {
                let begins = *lock(all_run);
                begins.then(|| body(&mut Threads::new(rank, inner)))
            };
            match std::thread::Builder::new().spawn_scoped(scope, work) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let refused = refused.map_or_else(|| has_room(node_of.len()), Err);
        *begin = refused.is_ok();
        drop(begin);
        let joined: Vec<_> = handles.into_iter().map(|handle| handle.join()).collect();
        let done: Vec<Option<R>> =
            joined.into_iter().map(|one| one.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect();
        refused.map(|()| done.into_iter().flatten().collect())
    })
}

/// Tries whether there is memory for what `threads` ranks allocate at the least.
fn has_room(threads: usize) -> io::Result<()> {
    Vec::<u8>::new().try_reserve_exact(threads * BYTES_A_THREAD).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

impl Threads {
    fn new(rank: usize, inner: Arc<Inner>) -> Threads {
        Threads { rank, inner, expected: Vec::new(), matched: Vec::new(), sends_under_way: 0, sent: Sent::default() }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        lock(&self.inner.gate).left.push(self.rank);
        self.inner.turned.notify_all();
    }
}

impl Threads {
    /// Returns true if a message can never complete, because its other rank has ended. Sends made before a rank ended
    /// still count, so the inbox is checked after the list of ended ranks is read.
    fn waits_for_one_that_left(&self) -> bool {
        let left = lock(&self.inner.gate).left.clone();
        if left.is_empty() {
            return false;
        }
        let inbox = lock(&self.inner.inbox[self.rank]);
        let arrived = |expected: &Expected| inbox.get(&(expected.from, expected.tag)).is_some_and(|l| !l.is_empty());
        let unsent = self.expected.iter().any(|expected| left.contains(&expected.from) && !arrived(expected));
        drop(inbox);
        unsent
            || left.iter().any(|rank| {
                lock(&self.inner.inbox[*rank])
                    .iter()
                    .any(|((from, _), letters)| *from == self.rank && !letters.is_empty())
            })
    }
}

struct Regions {
    rank: usize,
    parts: Vec<Option<Arc<Buffer>>>,
}

impl Shared for Regions {
    fn own(&self) -> *mut u8 {
        self.of(self.rank)
    }

    fn of(&self, rank: usize) -> *mut u8 {
        match &self.parts[rank] {
            Some(part) => part.as_ptr(),
            None => std::ptr::null_mut(),
        }
    }
}

impl Transport for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.inner.node_of.len()
    }

    fn node_of(&self) -> &[usize] {
        &self.inner.node_of
    }

    fn name(&self) -> String {
        "threads of one process".to_owned()
    }

    unsafe fn send(
        &mut self,
        token: usize,
        to: usize,
        tag: u64,
        data: *const u8,
        bytes: usize,
    ) -> Result<(), TransportError> {
        let mut inbox = lock(&self.inner.inbox[to]);
        inbox.entry((self.rank, tag)).or_default().push_back(Letter { data, bytes, token });
        self.sends_under_way += 1;
        self.sent.count(bytes);
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
        self.expected.push(Expected { token, from, tag, data, bytes });
        Ok(())
    }

    fn completed(&mut self, tokens: &mut Vec<usize>) -> Result<(), TransportError> {
        {
            // The inbox is locked once for all receives. A send that arrives between two locks could otherwise match
            // the later of two receives with the same tag.
            let mut inbox = lock(&self.inner.inbox[self.rank]);
            let matched = &mut self.matched;
            self.expected.retain_mut(|expected| {
                let letters = inbox.get_mut(&(expected.from, expected.tag));
                let Some(letter) = letters.and_then(VecDeque::pop_front) else { return true };
                matched.push((letter, *expected));
                false
            });
        }
        for (letter, expected) in self.matched.drain(..) {
            // Both ends derive the length from the same plan, so a difference is a defect.
            assert_eq!(letter.bytes, expected.bytes, "message from rank {} with tag {}", expected.from, expected.tag);
            // SAFETY: the sender keeps `data` until its token is returned; the receiver promised its own bytes in
            // `receive`.
            unsafe { std::ptr::copy_nonoverlapping(letter.data, expected.data, letter.bytes) };
            lock(&self.inner.taken[expected.from]).push(letter.token);
            tokens.push(expected.token);
        }
        let mut taken = lock(&self.inner.taken[self.rank]);
        self.sends_under_way -= taken.len();
        tokens.append(&mut taken);
        if tokens.is_empty() && self.under_way() > 0 && self.waits_for_one_that_left() {
            return Err(TransportError::PeerLost { rank: self.rank });
        }
        Ok(())
    }

    fn under_way(&self) -> usize {
        self.expected.len() + self.sends_under_way
    }

    fn sent(&self) -> Sent {
        self.sent
    }

    fn most_tag(&self) -> u64 {
        u64::MAX
    }

    fn barrier(&mut self) -> Result<(), TransportError> {
        let mut gate = lock(&self.inner.gate);
        let turn = gate.turn;
        gate.waiting += 1;
        if gate.waiting == self.inner.node_of.len() {
            gate.waiting = 0;
            gate.turn += 1;
            self.inner.turned.notify_all();
            return Ok(());
        }
        while gate.turn == turn {
            if !gate.left.is_empty() {
                return Err(TransportError::PeerLost { rank: self.rank });
            }
            gate = self.inner.turned.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    fn broadcast(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, TransportError> {
        self.barrier()?;
        if self.rank == 0 {
            lock(&self.inner.exchange)[0] = bytes;
        }
        self.barrier()?;
        let bytes = lock(&self.inner.exchange)[0].clone();
        self.barrier()?;
        Ok(bytes)
    }

    fn gather(&mut self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, TransportError> {
        self.barrier()?;
        lock(&self.inner.exchange)[self.rank] = bytes.to_vec();
        self.barrier()?;
        let all = (self.rank == 0).then(|| lock(&self.inner.exchange).clone());
        self.barrier()?;
        Ok(all)
    }

    fn max(&mut self, value: u64) -> Result<u64, TransportError> {
        let all = self.gather(&value.to_le_bytes())?;
        let greatest = all.map(|all| {
            let numbers = all.iter().map(|bytes| bytes.as_slice().try_into().map_or(0, u64::from_le_bytes));
            numbers.max().unwrap_or(0)
        });
        let bytes = self.broadcast(greatest.unwrap_or(0).to_le_bytes().to_vec())?;
        Ok(bytes.as_slice().try_into().map_or(0, u64::from_le_bytes))
    }

    fn share(&mut self, bytes: usize) -> Result<Box<dyn Shared>, TransportError> {
        let part = Buffer::zeroed(bytes);
        // Every rank must learn of a failure, or the others would wait for this one.
        let failed = self.max(u64::from(part.is_err()))?;
        let part = part?;
        if failed > 0 {
            return Err(OutOfMemory { bytes, cause: std::io::ErrorKind::OutOfMemory.into() }.into());
        }
        lock(&self.inner.regions)[self.rank] = Some(Arc::new(part));
        self.barrier()?;
        let node = self.inner.node_of[self.rank];
        let parts = lock(&self.inner.regions).clone();
        let reachable = parts.into_iter().zip(&self.inner.node_of).map(|(part, n)| part.filter(|_| *n == node));
        let regions = Regions { rank: self.rank, parts: reachable.collect() };
        self.barrier()?;
        lock(&self.inner.regions)[self.rank] = None;
        Ok(Box::new(regions))
    }

    fn first_nodes<'a>(&'a mut self, nodes: usize) -> Result<Option<Box<dyn Transport + 'a>>, TransportError> {
        let members = ranks_of_first_nodes(&self.inner.node_of, nodes);
        if self.rank == 0 {
            let node_of: Vec<usize> = members.iter().map(|rank| self.inner.node_of[*rank]).collect();
            *lock(&self.inner.first) = Some(Inner::new(&node_of));
        }
        self.barrier()?;
        let first = lock(&self.inner.first).clone();
        self.barrier()?;
        let place = members.binary_search(&self.rank);
        Ok(place.ok().zip(first).map(|(rank, inner)| Box::new(Threads::new(rank, inner)) as Box<dyn Transport + 'a>))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes are ordered by their first ranks: 7 and 3 of 7, 3, 7, 5.
    #[test]
    fn the_first_nodes_talk_among_themselves() {
        let all = run_threads(&[7, 3, 7, 5], |transport| {
            let rank = transport.rank() as u64;
            let told = transport.first_nodes(2).unwrap().map(|mut first| {
                let greatest = first.max(rank).unwrap();
                first.barrier().unwrap();
                (first.rank(), first.node_of().to_vec(), greatest)
            });
            transport.rest().unwrap();
            told
        });
        let some = |rank| Some((rank, vec![7, 3, 7], 2));
        assert_eq!(all, [some(0), some(1), some(2), None]);
    }
}
