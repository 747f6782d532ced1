//! The memory bandwidth of each node, for two kinds of access. The first is the three-stream add of STREAM (McCalpin,
//! "Memory bandwidth and machine balance in current high performance computers", IEEE TCCA Newsletter, 1995), a\[i\] =
//! b\[i\] + c\[i\], which is also the sum of two clients. The second is reading alone, which is nearly the sum of many
//! clients; it cannot use the paths that some machines have for writes.
//!
//! A limit must not be exceeded. So the probe tries everything that might be faster, and the best pass counts: stores
//! that bypass the cache and stores through it; private memory and shared windows; one rank, and as many ranks as can
//! each have a core of their own. (Where ranks outnumber cores the others sleep, as taking turns adds nothing.) Passes
//! are short, so that on a busy machine some run undisturbed.
//!
//! Arrays are larger than the last-level caches that the ranks can reach. Each array of all workers together is four
//! times as large, as STREAM requires. For one worker alone, all three arrays together are. With caches of more than
//! 170 MiB, all arrays of all workers together have 2 GiB, because the first touch of more would take many seconds.

use super::figures::{Access, MachineLimits, MemoryKind, MemoryPasses, fastest};
use super::gate::NodeGate;
use super::meeting::meet;
use super::places::{Account, Node, RankMap};
use crate::engine::Buffer;
use crate::engine::kernels::{Store, Target, Term, form, read};
use crate::engine::transport::{Transport, TransportError, agree, agreed};

/// Size of each array, in multiples of the caches.
const TIMES_CACHE: u64 = 4;
/// Assumed size of a last-level cache if hwloc knows none, bytes.
const CACHE: u64 = 32 << 20;
/// The largest size of all arrays of a node, bytes. A virtual machine may need eight seconds to touch 4 GiB for the first
/// time: 2 GiB of private memory and 2 GiB of shared windows.
const MOST: u64 = 2 << 30;
/// The probe takes at most 1 / this of the memory that is free.
const PART_OF_ROOM: u64 = 4;
/// Bytes between the ends of arrays. Streams at equal offsets within their pages would use the same cache sets.
const PAD: usize = 4096 + 5 * 128;
/// Time for the passes of one kind, seconds.
const BUDGET: f64 = 0.08;
/// Least and greatest number of passes of one kind.
const PASSES: (u64, u64) = (3, 40);
/// The length of an array is a multiple of this number of elements.
const BLOCK: usize = 2048;

/// The number of f32 elements of each array of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// Length for a worker that works alone.
    pub alone: usize,
    /// Length for each of several workers.
    pub together: usize,
}

/// Computes the array lengths of a node with `room` free bytes. The second value is a note if the arrays are too small.
pub fn lengths(node: &Node, room: Option<u64>) -> (Lengths, Option<String>) {
    let account = &node.account;
    let cache = if account.cache_bytes == 0 { CACHE } else { account.cache_bytes };
    // A rank runs on one core at a time, and a core has one last-level cache.
    let reached = account.caches.clamp(1, node.cores) as u64 * cache;
    let workers = node.cores as u64;
    let mut together = (TIMES_CACHE * reached).div_ceil(workers);
    let mut alone = together.max((TIMES_CACHE * cache).div_ceil(3));
    let all = |alone: u64, together: u64| 3 * (alone + together * (workers - 1));
    let most = room.map_or(MOST, |room| MOST.min(room / PART_OF_ROOM));
    let wanted = all(alone, together);
    if wanted > most {
        let scale = |bytes: u64| (bytes as f64 * (most as f64 / wanted as f64)) as u64;
        (alone, together) = (scale(alone), scale(together));
    }
    // With less than twice the caches in all, the passes would measure the caches.
    let small = 3 * together * workers < 2 * reached || 3 * alone < 2 * cache;
    let note = small.then(|| {
        format!(
            "there is room for arrays of {} bytes only, and caches have {reached}: what was measured may be the caches",
            3 * together * workers
        )
    });
    let elements = |bytes: u64| (bytes as usize / size_of::<f32>()).next_multiple_of(BLOCK);
    (Lengths { alone: elements(alone), together: elements(together) }, note)
}

/// Three arrays inside one block of memory.
struct Arrays {
    a: *mut f32,
    b: *mut f32,
    c: *mut f32,
}

impl Arrays {
    fn bytes(elements: usize) -> usize {
        3 * (elements * size_of::<f32>() + PAD)
    }

    /// # Safety
    /// `start` must point to [`Arrays::bytes`] bytes.
    unsafe fn lay(start: *mut u8, elements: usize) -> Arrays {
        let step = elements * size_of::<f32>() + PAD;
        // SAFETY: the caller promises room for three steps.
        unsafe { Arrays { a: start.cast(), b: start.add(step).cast(), c: start.add(2 * step).cast() } }
    }

    /// # Safety
    /// The arrays must be alive, initialised, this rank's only, and at least `elements` long.
    unsafe fn pass(&self, access: Access, elements: usize) {
        let store = match access {
            Access::AddStreaming => Store::Streaming,
            Access::AddCached => Store::Cached,
            Access::Read => {
                for array in [self.a, self.b, self.c] {
                    // SAFETY: the caller promises it.
                    std::hint::black_box(unsafe { read(array, elements) });
                }
                return;
            }
        };
        // SAFETY: the caller promises it.
        unsafe {
            let terms: [Term<f32>; 2] = [Term::Partial(self.b), Term::Partial(self.c)];
            form(None, &terms, Target::Partial(self.a), elements, store);
        }
    }
}

/// The part of one rank in the probe.
struct Worker<'a> {
    places: &'a RankMap,
    gate: NodeGate,
    /// The number of this rank in its node's order.
    index: usize,
    lengths: Lengths,
    found: Vec<MemoryPasses>,
}

impl Worker<'_> {
    fn elements(&self) -> usize {
        match self.index {
            0 => self.lengths.alone,
            index if index < self.places.node().cores => self.lengths.together,
            _ => 0,
        }
    }

    /// Carries out passes of one kind. Ranks that do not take part sleep. Collective.
    fn passes(
        &mut self,
        transport: &mut dyn Transport,
        arrays: &Arrays,
        (memory, access, workers): (MemoryKind, Access, usize),
    ) -> Result<(), TransportError> {
        meet(transport, self.places, 0)?;
        if self.index < workers {
            let elements = if workers == 1 { self.lengths.alone } else { self.lengths.together };
            // SAFETY: the arrays have at least `Worker::elements` elements, which are zeros or sums of zeros, and only
            // this rank uses them.
            let pass = || unsafe { arrays.pass(access, elements) };
            let seconds = self.gate.passes(self.index, workers, BUDGET, PASSES, pass)?;
            if self.index == 0 {
                let bytes = (3 * workers * elements * size_of::<f32>()) as u64;
                self.found.push(MemoryPasses { access, memory, workers, bytes, seconds });
            }
        }
        meet(transport, self.places, 0)?;
        Ok(())
    }

    /// Carries out every kind of pass over one kind of memory. Every node does the same number of passes, so that all
    /// are measured at the same time. Collective.
    fn all(
        &mut self,
        transport: &mut dyn Transport,
        arrays: &Arrays,
        memory: MemoryKind,
    ) -> Result<(), TransportError> {
        let cores = self.places.node().cores;
        let several = self.places.nodes.iter().any(|node| node.cores > 1);
        let crews = if several && memory == MemoryKind::Private { vec![1, cores] } else { vec![cores] };
        for workers in crews {
            for access in [Access::AddStreaming, Access::AddCached] {
                self.passes(transport, arrays, (memory, access, workers))?;
            }
        }
        self.passes(transport, arrays, (memory, Access::Read, cores))
    }
}

/// Measures the memory bandwidth of all nodes at once. Returns the passes of a node on the first rank of the node's order,
/// and nothing on the other ranks. Collective.
pub fn probe_memory(
    transport: &mut dyn Transport,
    places: &RankMap,
    notes: &mut Vec<String>,
) -> Result<Vec<MemoryPasses>, TransportError> {
    let node = places.node();
    let Some(index) = node.order.iter().position(|rank| *rank == places.rank) else { return Ok(Vec::new()) };
    let gate = NodeGate::build(transport, node);
    let gate = match agreed(transport, gate)? {
        Ok(gate) => gate,
        Err(reason) => {
            notes.push(format!("memory bandwidth was not measured: {reason}"));
            return Ok(Vec::new());
        }
    };
    let mut worker = Worker { places, gate, index, lengths: Lengths::default(), found: Vec::new() };
    let Account { room, shared_room, .. } = node.account;
    let both = [room, shared_room].into_iter().flatten().min();
    for (memory, name, room) in
        [(MemoryKind::Private, "private memory", room), (MemoryKind::Shared, "shared windows", both)]
    {
        let (lengths, small) = lengths(node, room);
        if let Err(text) = agree(transport, small.map_or(Ok(()), Err))? {
            notes.push(format!("memory bandwidth of {name}: {text}"));
            // A window that does not fit is refused on one node, and the other nodes would wait for it.
            if memory == MemoryKind::Shared {
                break;
            }
        }
        worker.lengths = lengths;
        let bytes = Arrays::bytes(worker.elements());
        // SAFETY: in both cases the memory has `Arrays::bytes` bytes.
        let measured = unsafe {
            if memory == MemoryKind::Private {
                let buffer = agreed(transport, Buffer::zeroed(bytes))?;
                buffer.map(|buffer| worker.all(transport, &Arrays::lay(buffer.as_ptr(), worker.elements()), memory))
            } else {
                let window = transport.share(bytes);
                let window = agreed(transport, window)?;
                window.map(|window| worker.all(transport, &Arrays::lay(window.own(), worker.elements()), memory))
            }
        };
        match measured {
            Ok(passes) => passes?,
            Err(reason) => notes.push(format!("memory bandwidth of {name}: {reason}")),
        }
    }
    Ok(worker.found)
}

/// Passes of a state that count, after the one that warms up.
const STATE_PASSES: (u64, u64) = (1, 1);

/// Arrays of a node as long as those of its limits, for passes by all its workers at any time.
pub struct MemoryProbe {
    gate: NodeGate,
    index: usize,
    workers: usize,
    elements: usize,
    buffer: Buffer,
}

impl MemoryProbe {
    /// Allocates the arrays. The inner error is the same on all ranks. Collective.
    pub fn new(
        transport: &mut dyn Transport,
        places: &RankMap,
        limits: &MachineLimits,
    ) -> Result<Result<MemoryProbe, String>, TransportError> {
        let node = places.node();
        let found = limits.nodes.get(places.mine).and_then(|limits| {
            let same = |passes: &&MemoryPasses| passes.memory == MemoryKind::Private && passes.workers == node.cores;
            limits.memory.iter().find(same)
        });
        let index = node.order.iter().position(|rank| *rank == places.rank).unwrap_or(usize::MAX);
        let workers = node.cores;
        let known = found.ok_or("the node's limits are not known").and_then(|passes| {
            let elements = passes.bytes as usize / (3 * workers * size_of::<f32>());
            let needed = (workers * Arrays::bytes(elements)) as u64;
            let fits = node.account.room.is_none_or(|room| needed <= room / PART_OF_ROOM);
            if fits { Ok(elements) } else { Err("there is no memory for its arrays beside the gradients") }
        });
        let elements = match agreed(transport, known)? {
            Ok(elements) => elements,
            Err(reason) => return Ok(Err(reason)),
        };
        let gate = NodeGate::build(transport, node);
        let gate = match agreed(transport, gate)? {
            Ok(gate) => gate,
            Err(reason) => return Ok(Err(reason)),
        };
        let buffer = Buffer::zeroed(if index < workers { Arrays::bytes(elements) } else { 0 });
        let buffer = agreed(transport, buffer)?;
        Ok(buffer.map(|buffer| MemoryProbe { gate, index, workers, elements, buffer }))
    }

    /// Returns the bandwidths of the three-stream add and of reading, bytes/s, on the first worker of the node; 0 elsewhere.
    /// As in the limits, the faster add counts, and reading is at least as fast as an add reads. Collective.
    pub fn measure(&mut self, transport: &mut dyn Transport, places: &RankMap) -> Result<[f64; 2], TransportError> {
        let mut rates = [0.0; 3];
        for (access, rate) in [Access::AddStreaming, Access::AddCached, Access::Read].into_iter().zip(&mut rates) {
            meet(transport, places, 0)?;
            if self.index < self.workers {
                // SAFETY: the buffer has `Arrays::bytes` bytes, which are zeros or sums of zeros, and only this rank uses
                // them.
                let pass = || unsafe { Arrays::lay(self.buffer.as_ptr(), self.elements).pass(access, self.elements) };
                let seconds = self.gate.passes(self.index, self.workers, 0.0, STATE_PASSES, pass)?;
                let bytes = (3 * self.workers * self.elements * size_of::<f32>()) as f64;
                *rate = fastest(&seconds).map_or(0.0, |seconds| bytes / seconds);
            }
        }
        meet(transport, places, 0)?;
        let [streaming, cached, reading] = rates;
        let add = streaming.max(cached);
        Ok([add, reading.max(add * 2.0 / 3.0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline::places::Account;

    fn node(ranks: usize, cores: usize, cache_bytes: u64, caches: usize) -> Node {
        let account = Account { cache_bytes, caches, ..Account::default() };
        Node { ranks: (0..ranks).collect(), order: (0..ranks).collect(), cores, account }
    }

    #[test]
    fn arrays_are_four_times_the_caches_that_ranks_can_reach() {
        // 2 ranks, one cache of 32 MiB: 128 MiB an array, half for each, 16 Mi elements.
        let (found, note) = lengths(&node(2, 2, 32 << 20, 1), None);
        assert_eq!((found, note), (Lengths { alone: 16 << 20, together: 16 << 20 }, None));
        // 2 ranks on a node with 8 caches reach two of them.
        assert_eq!(lengths(&node(2, 2, 32 << 20, 8), None).0, Lengths { alone: 32 << 20, together: 32 << 20 });
        // Two of 4 ranks on 2 cores run at a time, and their arrays must outgrow the cache.
        assert_eq!(lengths(&node(4, 2, 32 << 20, 1), None).0, Lengths { alone: 16 << 20, together: 16 << 20 });
        // With 64 ranks each has 2 MiB of each array; a worker alone has three arrays of 128 / 3 MiB.
        let alone = ((128usize << 20).div_ceil(3) / 4).next_multiple_of(BLOCK);
        assert_eq!(lengths(&node(64, 64, 32 << 20, 1), None).0, Lengths { alone, together: 512 << 10 });
        // A cache of 480 MiB: 2 GiB in all, shared by two workers with three arrays each, still more than twice the cache.
        let elements = ((2usize << 30) / 6 / size_of::<f32>()).next_multiple_of(BLOCK);
        let expected = Lengths { alone: elements, together: elements };
        assert_eq!(lengths(&node(2, 2, 480 << 20, 1), None), (expected, None));
    }

    #[test]
    fn little_room_makes_small_arrays_and_a_note() {
        // A quarter of 768 MiB is 192 MiB, and 3 · 128 MiB are wanted, so each array gets half.
        let (found, note) = lengths(&node(2, 2, 32 << 20, 1), Some(768 << 20));
        assert_eq!(found, Lengths { alone: 8 << 20, together: 8 << 20 });
        assert_eq!(note, None);
        let (_, note) = lengths(&node(2, 2, 32 << 20, 1), Some(64 << 20));
        assert!(note.is_some_and(|note| note.contains("may be the caches")));
    }

    #[test]
    fn a_pass_does_what_it_says() {
        let elements = 3 * BLOCK;
        let buffer = Buffer::zeroed(Arrays::bytes(elements)).expect("there is memory");
        // SAFETY: a buffer of the right size, used by this test alone.
        unsafe {
            let arrays = Arrays::lay(buffer.as_ptr(), elements);
            for i in 0..elements {
                arrays.b.add(i).write(i as f32);
                arrays.c.add(i).write(1.0);
            }
            for access in [Access::AddStreaming, Access::AddCached] {
                arrays.a.write_bytes(0, elements);
                arrays.pass(access, elements);
                assert!((0..elements).all(|i| *arrays.a.add(i) == i as f32 + 1.0), "{access:?}");
                assert!((0..elements).all(|i| *arrays.b.add(i) == i as f32 && *arrays.c.add(i) == 1.0));
            }
        }
    }
}
