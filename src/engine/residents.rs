//! Clients' gradients in memory before the clock starts.

use std::marker::PhantomData;

use crate::engine::ledger::{Entered, Ledger, Purpose};
use crate::engine::transport::{Shared, Transport};
use crate::engine::{Buffer, EngineError};
use crate::gradient::{Element, Range, Source, source};
use crate::plan::memory::gradient_stride;
use crate::plan::{Layout, Problem};

enum Storage {
    /// Every rank of the node can read it.
    Shared(Box<dyn Shared>),
    /// Only this rank can.
    Private(Buffer),
    /// Streamed: nothing is kept.
    Nowhere,
}

/// The gradients of one rank's clients, one after another, and the way to those of its neighbours.
pub struct Residents<E> {
    place: Storage,
    rank: usize,
    /// Bytes from the beginning of a gradient to that of the next.
    stride: u64,
    /// This rank's account, in which the gradients are the first entry and rounds make theirs.
    ledger: Ledger,
    _entry: Entered,
    element: PhantomData<E>,
}

// Pages faulted in by reading a large file at once would double what is resident; a few at a time do not.
const READ_BLOCK: u64 = 1 << 22;

impl<E: Element> Residents<E> {
    /// Keeps nothing: for streamed gradients.
    pub fn none() -> Self {
        let ledger = Ledger::new();
        let entry = ledger.enter(Purpose::Resident, 0);
        Residents { place: Storage::Nowhere, rank: 0, stride: 0, ledger, _entry: entry, element: PhantomData }
    }

    /// Reads the gradients of this rank's clients from `source` into memory, shared with the node's other ranks when
    /// `shared` is set. Collective. An error of this rank's own reading is returned on this rank only.
    pub fn load(
        source: &dyn Source,
        problem: &Problem,
        layout: &Layout,
        shared: bool,
        transport: &mut dyn Transport,
    ) -> Result<Self, EngineError> {
        let rank = transport.rank();
        let clients = layout.clients_on(rank, problem.clients());
        let stride = gradient_stride(problem.elements, size_of::<E>());
        let bytes = ((clients.end - clients.start) * stride) as usize;
        let place = if shared {
            Storage::Shared(transport.share(bytes)?)
        } else {
            Storage::Private(Buffer::zeroed(bytes).map_err(EngineError::Memory)?)
        };
        let ledger = Ledger::new();
        let entry = ledger.enter(Purpose::Resident, bytes as u64);
        let residents = Residents::<E> { place, rank, stride, ledger, _entry: entry, element: PhantomData };
        for (index, client) in clients.enumerate() {
            let start = residents.gradient(rank, index as u64).cast_mut();
            let mut at = 0;
            while at < problem.elements {
                let range = Range::new(at, (at + READ_BLOCK).min(problem.elements));
                // SAFETY: inside this client's part of the memory allocated above, which nobody reads yet.
                let out = unsafe { std::slice::from_raw_parts_mut(start.add(at as usize), range.len() as usize) };
                source::read(source, client as usize, range, out).map_err(EngineError::Source)?;
                at = range.end;
            }
        }
        Ok(residents)
    }

    /// What this rank has allocated: the gradients, and what the rounds over them hold.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Where the gradient of the `index`th client of `rank` begins. `rank` must be this rank or, where memory is
    /// shared, one of its node.
    pub fn gradient(&self, rank: usize, index: u64) -> *const E {
        let base = match &self.place {
            Storage::Shared(region) => region.of(rank).cast_const(),
            Storage::Private(buffer) if rank == self.rank => buffer.as_ptr().cast_const(),
            Storage::Private(_) | Storage::Nowhere => std::ptr::null(),
        };
        base.wrapping_add((index * self.stride) as usize).cast::<E>()
    }
}
