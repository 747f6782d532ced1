//! Clients' gradients that are in memory before the clock starts.

use std::marker::PhantomData;

use crate::engine::ledger::{Entered, Ledger, Purpose};
use crate::engine::transport::{Shared, Transport};
use crate::engine::{Buffer, EngineError};
use crate::gradient::{Element, Range, Source, source};
use crate::plan::memory::gradient_stride;
use crate::plan::{Layout, Problem};

enum Storage {
    /// Memory that every rank of the node can read.
    Shared(Box<dyn Shared>),
    /// Memory that only this rank can read.
    Private(Buffer),
    /// None, for streamed gradients.
    Nowhere,
}

/// The gradients of one rank's clients, contiguous in memory, with access to those of other ranks of the node.
pub struct Residents<E> {
    place: Storage,
    rank: usize,
    /// Distance between the starts of consecutive gradients, bytes.
    stride: u64,
    /// Bytes of all gradients.
    bytes: usize,
    /// This rank's ledger. The gradients are its first entry; rounds add theirs.
    ledger: Ledger,
    /// A private copy of the gradients: the MPI library's input, or the place from which rounds copy them.
    copy: Option<Buffer>,
    _entry: Entered,
    element: PhantomData<E>,
}

/// A gradient in private memory, and its place in memory that the node shares.
#[derive(Clone, Copy)]
pub struct PrivateGradient {
    from: *const u8,
    to: *mut u8,
    bytes: usize,
}

impl PrivateGradient {
    /// Copies the gradient to its place.
    ///
    /// # Safety
    /// The residents that made it must live, and no one may read the place.
    pub unsafe fn copy(&self) {
        // SAFETY: both places hold the bytes and do not overlap; the rest is promised by the caller.
        unsafe { std::ptr::copy_nonoverlapping(self.from, self.to, self.bytes) };
    }
}

// Number of elements read at a time. Reading a large file at once would double the resident pages.
const READ_BLOCK: u64 = 1 << 22;

impl<E: Element> Residents<E> {
    /// Makes a value without gradients, for streamed ones.
    pub fn none() -> Self {
        let ledger = Ledger::default();
        let entry = ledger.enter(Purpose::Resident, 0);
        Residents {
            place: Storage::Nowhere,
            rank: 0,
            stride: 0,
            bytes: 0,
            ledger,
            copy: None,
            _entry: entry,
            element: PhantomData,
        }
    }

    /// Reads the gradients of this rank's clients from `source` into memory, which the ranks of the node share if
    /// `shared` is set. A read error is returned only on the rank where it occurs. Collective.
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
        let ledger = Ledger::default();
        let entry = ledger.enter(Purpose::Resident, bytes as u64);
        let residents =
            Residents::<E> { place, rank, stride, bytes, ledger, copy: None, _entry: entry, element: PhantomData };
        for (index, client) in clients.enumerate() {
            let start = residents.gradient(rank, index as u64).cast_mut();
            let mut at = 0;
            while at < problem.elements {
                let range = Range::new(at, (at + READ_BLOCK).min(problem.elements));
                // SAFETY: inside this client's part of the memory allocated above, which no one reads yet.
                let out = unsafe { std::slice::from_raw_parts_mut(start.add(at as usize), range.len() as usize) };
                source::read(source, client as usize, range, out).map_err(EngineError::Source)?;
                at = range.end;
            }
        }
        Ok(residents)
    }

    /// Copies the gradients into private memory. The library's collectives then take their input from there: shared windows
    /// have small pages, from which MPI_Reduce took 1.6 times as long.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn with_private_copy(mut self) -> Result<Self, EngineError> {
        let copy = Buffer::entered(self.bytes, &self.ledger, Purpose::Resident)?;
        // SAFETY: both have room for the gradients, and the copy is new.
        unsafe {
            std::ptr::copy_nonoverlapping(self.gradient(self.rank, 0).cast(), copy.as_ptr(), self.bytes);
        }
        self.copy = Some(copy);
        Ok(self)
    }

    /// The memory of this rank's gradients and of their private copy: starts and bytes.
    pub fn memory(&self) -> Vec<(*const u8, usize)> {
        let bytes = self.bytes;
        let copy = self.copy.iter().map(|copy| (copy.as_ptr().cast_const(), bytes));
        std::iter::once((self.gradient(self.rank, 0).cast(), bytes))
            .chain(copy)
            .filter(|(_, bytes)| *bytes > 0)
            .collect()
    }

    /// The private copy of the `index`th gradient of this rank with the place of the gradient, and its bytes; None without a
    /// copy.
    pub fn private(&self, index: u64) -> Option<PrivateGradient> {
        let from = self.copy.as_ref()?.as_ptr().wrapping_add((index * self.stride) as usize).cast_const();
        let to = self.gradient(self.rank, index).cast_mut().cast();
        Some(PrivateGradient { from, to, bytes: self.stride as usize })
    }

    /// Returns the first gradient where the MPI library should read it: the private copy, if there is one.
    pub fn library_input(&self) -> *const E {
        self.copy.as_ref().map_or(self.gradient(self.rank, 0), |copy| copy.as_ptr().cast_const().cast())
    }

    /// Returns the ledger of this rank's allocations: the gradients and the memory of rounds.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the start of the gradient of the `index`th client of `rank`. `rank` must be this rank or, with shared
    /// memory, one of its node.
    pub fn gradient(&self, rank: usize, index: u64) -> *const E {
        let base = match &self.place {
            Storage::Shared(region) => region.of(rank).cast_const(),
            Storage::Private(buffer) if rank == self.rank => buffer.as_ptr().cast_const(),
            Storage::Private(_) | Storage::Nowhere => std::ptr::null(),
        };
        base.wrapping_add((index * self.stride) as usize).cast::<E>()
    }
}
