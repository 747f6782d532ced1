//! The body of a sum, written once over lanes and compiled for each variant.
//!
//! The range is walked in tiles. Up to [`TOGETHER`] terms are added while a tile's accumulators stay in registers, so
//! that accumulators are never read nor written. Where there are more terms, the range is cut into blocks small enough
//! that a block's partial sums, in scratch on the stack, stay in the second-level cache, and [`GROUP`] terms at a time are
//! added to them.
//!
//! The sizes are measured, on AMD Zen 5 with AVX-512 and f32, inputs at equal offsets in their pages. A tile is two
//! cache lines: in the cache one line loses a quarter. Where two inputs are summed from memory into streamed output, two
//! lines lose 5 %, four 15 % and eight 20 % against one, so that whole vectors then go singly. Twenty inputs from memory,
//! against reading them alone in blocks of 1 MiB, in turn: four at a time in steps of one line 0.93 to 0.97, of two lines
//! 0.82, five at a time 0.85, two 0.85, ten 0.72, one 0.57, one with the next one's block fetched ahead 0.65; eight
//! inputs four at a time 0.87, all together 0.79; six, three at a time 0.87, all together 0.74. Blocks of 32 to 256 KiB
//! are alike. Where the host gave half the bandwidth, all but ten and one reached 0.9 and more.

use std::mem::{MaybeUninit, size_of};

use super::lanes::{Lanes, Plain};
use super::{Store, Term};
use crate::gradient::{Accumulator, Element};

/// Terms that are added in one pass at most.
const TOGETHER: usize = 5;
/// Terms that are added to a block's partial sums at a time, at most: what the machine's prefetchers follow well.
const GROUP: usize = 4;
/// Bytes of scratch: a block's partial sums.
const SCRATCH: usize = 64 << 10;
/// Bytes of a cache line; streamed output starts at a whole one.
const LINE: usize = 64;

/// A sum to be formed.
pub(super) struct Sum<'a, E: Element> {
    /// The running sum to start from.
    pub lead: Option<*const E::Acc>,
    /// What is added to it, in this order.
    pub terms: &'a [Term<E>],
    /// Where it goes.
    pub target: Target<E>,
    /// How it is written.
    pub store: Store,
    /// Number of elements.
    pub len: usize,
}

/// Where a sum goes, and as what.
#[derive(Clone, Copy)]
pub(super) enum Target<E: Element> {
    /// As it is.
    Partial(*mut E::Acc),
    /// Divided, and narrowed.
    Finished { out: *mut E, divisor: E::Acc },
}

impl<E: Element> Target<E> {
    /// The target from element `at` on.
    #[inline(always)]
    unsafe fn skip(self, at: usize) -> Self {
        // SAFETY: the caller stays inside the range.
        unsafe {
            match self {
                Target::Partial(acc) => Target::Partial(acc.add(at)),
                Target::Finished { out, divisor } => Target::Finished { out: out.add(at), divisor },
            }
        }
    }

    /// Bytes of one value written.
    #[inline(always)]
    fn size(self) -> usize {
        match self {
            Target::Partial(_) => size_of::<E::Acc>(),
            Target::Finished { .. } => size_of::<E>(),
        }
    }

    /// Elements before the first one that begins a cache line.
    #[inline(always)]
    fn elements_to_line(self) -> usize {
        let address = match self {
            Target::Partial(acc) => acc.addr(),
            Target::Finished { out, .. } => out.addr(),
        };
        (address.wrapping_neg() % LINE) / self.size()
    }
}

impl<E: Element> Term<E> {
    /// Elements before the first one that begins a cache line.
    fn elements_to_line(&self) -> usize {
        match self {
            Term::Weighted { data, .. } => (data.addr().wrapping_neg() % LINE) / size_of::<E>(),
            Term::Partial(data) => (data.addr().wrapping_neg() % LINE) / size_of::<E::Acc>(),
        }
    }
}

#[repr(C, align(64))]
struct Scratch(MaybeUninit<[u8; SCRATCH]>);

/// True if the sum's terms are all added together.
#[inline(always)]
pub(super) fn is_together<E: Element>(sum: &Sum<E>) -> bool {
    sum.terms.len() <= TOGETHER
}

/// Forms a sum whose terms are added together, with vectors of type `V`, `TILE` of them at once.
///
/// # Safety
/// The pointers of `sum` are as [`super::accumulate`] asks, and `V` may be used here.
#[inline(always)]
pub(super) unsafe fn together<E: Element, V: Lanes<E>, const TILE: usize>(sum: &Sum<E>) {
    let part = Part { lead: sum.lead, terms: sum.terms, at: 0, target: sum.target };
    // SAFETY: the caller's promise.
    unsafe { part.form::<V, TILE>(sum.len, sum.store == Store::Streaming) }
}

/// Forms any sum, with vectors of type `V`, `TILE` of them at once. To be compiled apart from [`together`]: reserving the
/// scratch touches each of its pages, which a short sum of few terms need not pay.
///
/// # Safety
/// The pointers of `sum` are as [`super::accumulate`] asks, and `V` may be used here.
#[inline(always)]
pub(super) unsafe fn in_blocks<E: Element, V: Lanes<E>, const TILE: usize>(sum: &Sum<E>) {
    let mut scratch = Scratch(MaybeUninit::uninit());
    let scratch = scratch.0.as_mut_ptr().cast::<E::Acc>();
    let block = SCRATCH / size_of::<E::Acc>();
    let streams = sum.store == Store::Streaming;
    let mut at = 0;
    // As even as can be: 9 terms are 3, 3 and 3.
    let groups = sum.terms.len().div_ceil(GROUP).max(1);
    let group = sum.terms.len().div_ceil(groups).max(1);
    // So that blocks begin where inputs' cache lines do: vectors that straddle two lost a seventh.
    let head = sum.terms.first().map_or(0, Term::elements_to_line);
    while at < sum.len {
        let len = if at == 0 && head > 0 { head } else { block }.min(sum.len - at);
        // SAFETY: at + len stays inside the range; scratch holds a block, and is read only after it was written.
        unsafe {
            let mut lead = sum.lead.map(|acc| acc.add(at));
            let mut terms = sum.terms;
            while terms.len() > group {
                let (first, others) = terms.split_at(group);
                Part { lead, terms: first, at, target: Target::Partial(scratch) }.form::<V, TILE>(len, false);
                (lead, terms) = (Some(scratch.cast_const()), others);
            }
            Part { lead, terms, at, target: sum.target.skip(at) }.form::<V, TILE>(len, streams);
        }
        at += len;
    }
}

/// Some terms over one block.
struct Part<'a, E: Element> {
    /// The running sum, from the block's first element.
    lead: Option<*const E::Acc>,
    terms: &'a [Term<E>],
    /// The block's first element, in the terms.
    at: usize,
    /// Where the block goes.
    target: Target<E>,
}

/// What the terms of a part add up to.
trait Inputs<E: Element, V: Lanes<E>> {
    /// `VECTORS` vectors of the sum, from element `i` of the block on, starting from `lead` where there is one.
    ///
    /// # Safety
    /// As many elements from `i` on are inside the block, and `V` may be used here.
    unsafe fn sum<const VECTORS: usize>(&self, lead: Option<[V; VECTORS]>, i: usize) -> [V; VECTORS];
}

/// Any terms.
struct Mixed<'a, E: Element> {
    terms: &'a [Term<E>],
    at: usize,
}

impl<E: Element, V: Lanes<E>> Inputs<E, V> for Mixed<'_, E> {
    // Without closures: the compiler did not inline all of them here, and called a function for each vector. Roots of 85,002
    // elements over five partial sums took 630 us instead of 93 to 128.
    #[inline(always)]
    unsafe fn sum<const VECTORS: usize>(&self, lead: Option<[V; VECTORS]>, i: usize) -> [V; VECTORS] {
        // SAFETY: the caller's promise.
        unsafe {
            let (mut acc, others) = match (lead, self.terms) {
                (Some(lead), terms) => (lead, terms),
                (None, [first, others @ ..]) => (values::<E, V, VECTORS>(first, self.at + i), others),
                (None, []) => ([V::splat(E::Acc::from_f64(0.0)); VECTORS], self.terms),
            };
            for term in others {
                let more = values::<E, V, VECTORS>(term, self.at + i);
                for v in 0..VECTORS {
                    acc[v] = acc[v].add(more[v]);
                }
            }
            acc
        }
    }
}

/// N clients' gradients. What is known of them is looked up once, not at every step: memory is waited for by as many
/// loads as fit the processor's window, so that each instruction between two of them counts.
struct Clients<E, V, const N: usize> {
    data: [*const E; N],
    weights: [V; N],
}

impl<E: Element, V: Lanes<E>, const N: usize> Clients<E, V, N> {
    /// The terms, from element `at` on, if they are N gradients.
    #[inline(always)]
    unsafe fn of(terms: &[Term<E>], at: usize) -> Option<Self> {
        // SAFETY: V may be used here.
        let zero = unsafe { V::splat(E::Acc::from_f64(0.0)) };
        let mut found = Clients { data: [std::ptr::null(); N], weights: [zero; N] };
        if terms.len() != N {
            return None;
        }
        for (index, term) in terms.iter().enumerate() {
            let Term::Weighted { data, weight } = *term else { return None };
            // SAFETY: as above, and `at` is inside the range.
            unsafe { (found.data[index], found.weights[index]) = (data.add(at), V::splat(weight)) };
        }
        Some(found)
    }
}

impl<E: Element, V: Lanes<E>, const N: usize> Inputs<E, V> for Clients<E, V, N> {
    #[inline(always)]
    unsafe fn sum<const VECTORS: usize>(&self, lead: Option<[V; VECTORS]>, i: usize) -> [V; VECTORS] {
        // SAFETY: the caller's promise.
        unsafe {
            let client = |k: usize| weighted::<E, V, VECTORS>(self.data[k].add(i), self.weights[k]);
            let (mut acc, first) = match lead {
                Some(lead) => (lead, 0),
                None => (client(0), 1),
            };
            for k in first..N {
                let values = client(k);
                acc = std::array::from_fn(|v| acc[v].add(values[v]));
            }
            acc
        }
    }
}

impl<E: Element> Part<'_, E> {
    /// Forms the part of `len` elements.
    #[inline(always)]
    unsafe fn form<V: Lanes<E>, const TILE: usize>(&self, len: usize, streams: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            let of_clients = match self.terms.len() {
                1 => self.form_of::<V, TILE, 1>(len, streams),
                2 => self.form_of::<V, TILE, 2>(len, streams),
                3 => self.form_of::<V, TILE, 3>(len, streams),
                4 => self.form_of::<V, TILE, 4>(len, streams),
                5 => self.form_of::<V, TILE, 5>(len, streams),
                _ => false,
            };
            if !of_clients {
                self.form_with::<V, TILE>(&self.mixed(), len, streams);
            }
        }
    }

    /// Forms the part if its terms are N gradients; false if they are not.
    #[inline(always)]
    unsafe fn form_of<V: Lanes<E>, const TILE: usize, const N: usize>(&self, len: usize, streams: bool) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let Some(clients) = Clients::<E, V, N>::of(self.terms, self.at) else { return false };
            self.form_with::<V, TILE>(&clients, len, streams);
            true
        }
    }

    /// What holds for the whole walk is settled before it: the compiler would ask at every step, and not unroll the sum.
    /// Twenty inputs from memory took a tenth to a quarter longer then.
    #[inline(always)]
    unsafe fn form_with<V: Lanes<E>, const TILE: usize>(&self, inputs: &impl Inputs<E, V>, len: usize, streams: bool) {
        // SAFETY: the caller's promise; LEAD only where there is one.
        unsafe {
            match (self.lead.is_some(), streams) {
                (false, false) => self.walk::<V, TILE, false, false>(inputs, len),
                (false, true) => self.walk::<V, TILE, false, true>(inputs, len),
                (true, false) => self.walk::<V, TILE, true, false>(inputs, len),
                (true, true) => self.walk::<V, TILE, true, true>(inputs, len),
            }
        }
    }

    #[inline(always)]
    fn mixed(&self) -> Mixed<'_, E> {
        Mixed { terms: self.terms, at: self.at }
    }

    /// With LEAD there must be a running sum.
    #[inline(always)]
    unsafe fn walk<V: Lanes<E>, const TILE: usize, const LEAD: bool, const STREAMS: bool>(
        &self,
        inputs: &impl Inputs<E, V>,
        len: usize,
    ) {
        // SAFETY: every step stays inside 0..len; a stream begins at a line, and steps by whole vectors.
        unsafe {
            let mut i = 0;
            if STREAMS {
                i = self.target.elements_to_line().min(len);
                self.one_by_one(0, i);
            }
            // Streamed lines leave soonest where nothing else is read between them.
            let singly = STREAMS && V::WIDTH * self.target.size() >= LINE;
            while !singly && len - i >= TILE * V::WIDTH {
                self.step::<V, TILE, LEAD, STREAMS>(inputs, i);
                i += TILE * V::WIDTH;
            }
            while len - i >= V::WIDTH {
                self.step::<V, 1, LEAD, STREAMS>(inputs, i);
                i += V::WIDTH;
            }
            self.one_by_one(i, len);
        }
    }

    /// Elements beside the whole vectors: the same code for all vectors, terms and ways to write.
    #[inline(never)]
    unsafe fn one_by_one(&self, from: usize, to: usize) {
        let inputs = self.mixed();
        for i in from..to {
            // SAFETY: the caller's promise that from..to is inside the block; LEAD as there is one.
            unsafe {
                match self.lead {
                    Some(_) => self.step::<Plain<E::Acc, 1>, 1, true, false>(&inputs, i),
                    None => self.step::<Plain<E::Acc, 1>, 1, false, false>(&inputs, i),
                }
            }
        }
    }

    /// `VECTORS` vectors, from element `i` of the block on.
    #[inline(always)]
    unsafe fn step<V: Lanes<E>, const VECTORS: usize, const LEAD: bool, const STREAMS: bool>(
        &self,
        inputs: &impl Inputs<E, V>,
        i: usize,
    ) {
        // SAFETY: the caller's promise that VECTORS × WIDTH elements from i on are inside the block, and that with LEAD
        // there is a running sum.
        unsafe {
            let lead = LEAD.then(|| load::<E, V, VECTORS>(self.lead.unwrap_unchecked().add(i)));
            let acc = inputs.sum::<VECTORS>(lead, i);
            match self.target {
                Target::Partial(to) => {
                    let to = to.add(i);
                    for (v, value) in acc.into_iter().enumerate() {
                        let to = to.add(v * V::WIDTH);
                        if STREAMS { value.stream(to) } else { value.store(to) }
                    }
                }
                Target::Finished { out, divisor } => {
                    let (out, divisor) = (out.add(i), V::splat(divisor));
                    for (v, value) in acc.into_iter().enumerate() {
                        let (value, to) = (value.div(divisor), out.add(v * V::WIDTH));
                        if STREAMS { value.narrow_stream(to) } else { value.narrow(to) }
                    }
                }
            }
        }
    }
}

/// A term's vectors from its element `at` on.
#[inline(always)]
unsafe fn values<E: Element, V: Lanes<E>, const VECTORS: usize>(term: &Term<E>, at: usize) -> [V; VECTORS] {
    // SAFETY: the caller's promise that VECTORS × WIDTH of them can be read, and that V may be used here.
    unsafe {
        match *term {
            Term::Weighted { data, weight } => weighted::<E, V, VECTORS>(data.add(at), V::splat(weight)),
            Term::Partial(data) => load::<E, V, VECTORS>(data.add(at)),
        }
    }
}

/// Weighted elements.
#[inline(always)]
unsafe fn weighted<E: Element, V: Lanes<E>, const VECTORS: usize>(from: *const E, weight: V) -> [V; VECTORS] {
    let mut all = [weight; VECTORS];
    for (v, one) in all.iter_mut().enumerate() {
        // SAFETY: the caller's promise that VECTORS × WIDTH elements can be read, and that V may be used here.
        *one = unsafe { weight.mul(V::widen(from.add(v * V::WIDTH))) };
    }
    all
}

#[inline(always)]
unsafe fn load<E: Element, V: Lanes<E>, const VECTORS: usize>(from: *const E::Acc) -> [V; VECTORS] {
    // SAFETY: the caller's promise that VECTORS × WIDTH values can be read, VECTORS being at least 1.
    let mut all = unsafe { [V::load(from); VECTORS] };
    for (v, one) in all.iter_mut().enumerate() {
        // SAFETY: as above.
        *one = unsafe { V::load(from.add(v * V::WIDTH)) };
    }
    all
}
