//! The body of a sum, written once in terms of lanes and compiled for each variant.
//!
//! The range is processed in tiles. Up to [`TOGETHER`] terms are added while a tile's accumulators stay in registers.
//! With more terms the range is divided into blocks. A block's partial sums, in scratch on the stack, fit the
//! second-level cache, and up to [`GROUP`] terms at a time are added to them.
//!
//! The sizes were measured on AMD Zen 5 with AVX-512 and f32, with inputs at equal page offsets. A tile is two cache
//! lines: in the cache one line is slower by a quarter. For two inputs from memory and streamed output, two lines are
//! slower than one by 5 %, four by 15 %, eight by 20 %, so whole vectors then go singly. Speed of 20 inputs from memory
//! relative to reading them alone, in blocks of 1 MiB: four at a time 0.93 to 0.97 in steps of one line, 0.82 in steps
//! of two; five at a time 0.85, two 0.85, ten 0.72, one 0.57, one with prefetch of the next input's block 0.65. Eight
//! inputs: four at a time 0.87, all together 0.79. Six: three at a time 0.87, all together 0.74. Blocks of 32 to 256
//! KiB are equally fast. When the host gave half the bandwidth, all but ten and one reached 0.9 and more.

use std::mem::{MaybeUninit, size_of};

use super::lanes::{Lanes, Plain};
use super::{Store, Term};
use crate::gradient::Element;

/// Greatest number of terms that are added in one pass.
const TOGETHER: usize = 5;
/// Greatest number of terms added at a time to a block's partial sums; hardware prefetchers follow that many streams.
const GROUP: usize = 4;
/// Size of the scratch for a block's partial sums, bytes.
const SCRATCH: usize = 64 << 10;
/// Size of a cache line, bytes; streamed output starts at a line boundary.
const LINE: usize = 64;

/// The parameters of a sum.
pub(super) struct Sum<'a, E: Element> {
    /// The running sum to start from, if any.
    pub lead: Option<*const E::Acc>,
    /// The terms to add, in order.
    pub terms: &'a [Term<E>],
    /// The output.
    pub target: Target<E>,
    /// The kind of stores for the output.
    pub store: Store,
    /// Number of elements.
    pub len: usize,
}

/// The output of a sum and its form.
#[derive(Clone, Copy, Debug)]
pub enum Target<E: Element> {
    /// The sum itself.
    Partial(*mut E::Acc),
    /// The sum divided once in `E::Acc`, and rounded to the nearest values of `E`, ties to even.
    Finished {
        /// First element.
        out: *mut E,
        /// The divisor.
        divisor: E::Acc,
    },
}

impl<E: Element> Target<E> {
    #[inline(always)]
    unsafe fn skip(self, at: usize) -> Self {
        // SAFETY: the caller ensures that `at` is inside the range.
        unsafe {
            match self {
                Target::Partial(acc) => Target::Partial(acc.add(at)),
                Target::Finished { out, divisor } => Target::Finished { out: out.add(at), divisor },
            }
        }
    }

    #[inline(always)]
    fn size(self) -> usize {
        match self {
            Target::Partial(_) => size_of::<E::Acc>(),
            Target::Finished { .. } => size_of::<E>(),
        }
    }

    /// Returns the number of elements before the first that begins a cache line.
    #[inline(always)]
    fn elements_to_line(self) -> usize {
        (self.addr().wrapping_neg() % LINE) / self.size()
    }

    #[inline(always)]
    pub(super) fn addr(self) -> usize {
        match self {
            Target::Partial(acc) => acc.addr(),
            Target::Finished { out, .. } => out.addr(),
        }
    }
}

impl<E: Element> Term<E> {
    fn elements_to_line(&self) -> usize {
        match self {
            Term::Weighted { data, .. } => (data.addr().wrapping_neg() % LINE) / size_of::<E>(),
            Term::Partial(data) => (data.addr().wrapping_neg() % LINE) / size_of::<E::Acc>(),
        }
    }
}

#[repr(C, align(64))]
struct Scratch(MaybeUninit<[u8; SCRATCH]>);

/// Returns true if all terms of the sum are added in one pass.
#[inline(always)]
pub(super) fn is_together<E: Element>(sum: &Sum<E>) -> bool {
    sum.terms.len() <= TOGETHER
}

/// Forms a sum whose terms are added in one pass, with `TILE` vectors of type `V` at once.
///
/// # Safety
/// The pointers of `sum` are as [`super::accumulate`] requires, and the machine supports `V`.
#[inline(always)]
pub(super) unsafe fn together<E: Element, V: Lanes<E>, const TILE: usize>(sum: &Sum<E>) {
    let part = Part { lead: sum.lead, terms: sum.terms, at: 0, target: sum.target };
    // SAFETY: the caller's promise.
    unsafe { part.form::<V, TILE>(sum.len, sum.store == Store::Streaming) }
}

/// Forms any sum, with `TILE` vectors of type `V` at once. It must be compiled separately from [`together`], since
/// reserving the scratch touches each of its pages, which short sums of few terms should not pay for.
///
/// # Safety
/// The pointers of `sum` are as [`super::accumulate`] requires, and the machine supports `V`.
#[inline(always)]
pub(super) unsafe fn in_blocks<E: Element, V: Lanes<E>, const TILE: usize>(sum: &Sum<E>) {
    let mut scratch = Scratch(MaybeUninit::uninit());
    let scratch = scratch.0.as_mut_ptr().cast::<E::Acc>();
    let block = SCRATCH / size_of::<E::Acc>();
    let streams = sum.store == Store::Streaming;
    let mut at = 0;
    // Groups are as even as possible: 9 terms make 3, 3 and 3.
    let groups = sum.terms.len().div_ceil(GROUP).max(1);
    let group = sum.terms.len().div_ceil(groups).max(1);
    // Blocks begin at cache lines of the inputs, as vectors across two lines cost a seventh of the speed.
    let head = sum.terms.first().map_or(0, Term::elements_to_line);
    while at < sum.len {
        let len = if at == 0 && head > 0 { head } else { block }.min(sum.len - at);
        // SAFETY: at + len stays inside the range; scratch holds a block and is only read after it was written.
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

/// Some of the terms over one block.
struct Part<'a, E: Element> {
    /// The running sum at the block's first element.
    lead: Option<*const E::Acc>,
    terms: &'a [Term<E>],
    /// Index of the block's first element in the terms.
    at: usize,
    /// The output at the block's first element.
    target: Target<E>,
}

/// The terms of a part, which yield vectors of their sum.
trait Inputs<E: Element, V: Lanes<E>> {
    /// Returns `VECTORS` vectors of the sum from element `i` of the block on, added to `lead` if there is one.
    ///
    /// # Safety
    /// The elements from `i` on are inside the block, and the machine supports `V`.
    unsafe fn sum<const VECTORS: usize>(&self, lead: Option<[V; VECTORS]>, i: usize) -> [V; VECTORS];
}

/// Terms of any kind.
struct Mixed<'a, E: Element> {
    terms: &'a [Term<E>],
    at: usize,
}

impl<E: Element, V: Lanes<E>> Inputs<E, V> for Mixed<'_, E> {
    // Closures are avoided here, since the compiler did not inline all of them and called a function for each vector.
    // The sum of 85,002 elements over five partial sums then took 630 µs instead of 93 to 128.
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

/// N clients' gradients. Pointers and weights are looked up once: the processor's window limits the loads in flight, so
/// each instruction between two loads matters.
struct Clients<E, V, const N: usize> {
    data: [*const E; N],
    weights: [V; N],
}

impl<E: Element, V: Lanes<E>, const N: usize> Clients<E, V, N> {
    /// Returns the terms from element `at` on, if they are N gradients.
    #[inline(always)]
    unsafe fn of(terms: &[Term<E>], at: usize) -> Option<Self> {
        // SAFETY: the machine supports V.
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
    /// Forms `len` elements of the part.
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

    /// Forms the part if its terms are N gradients; otherwise returns false.
    #[inline(always)]
    unsafe fn form_of<V: Lanes<E>, const TILE: usize, const N: usize>(&self, len: usize, streams: bool) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let Some(clients) = Clients::<E, V, N>::of(self.terms, self.at) else { return false };
            self.form_with::<V, TILE>(&clients, len, streams);
            true
        }
    }

    /// Branches on the whole part are taken before the loop. Inside, the compiler would not unroll the sum, and 20
    /// inputs from memory took 10 to 25 % longer.
    #[inline(always)]
    unsafe fn form_with<V: Lanes<E>, const TILE: usize>(&self, inputs: &impl Inputs<E, V>, len: usize, streams: bool) {
        // SAFETY: the caller's promise; LEAD is set only if there is a running sum.
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

    /// LEAD requires a running sum.
    #[inline(always)]
    unsafe fn walk<V: Lanes<E>, const TILE: usize, const LEAD: bool, const STREAMS: bool>(
        &self,
        inputs: &impl Inputs<E, V>,
        len: usize,
    ) {
        // SAFETY: every step stays inside 0..len; streamed output begins at a cache line and advances by whole vectors.
        unsafe {
            let mut i = 0;
            if STREAMS {
                i = self.target.elements_to_line().min(len);
                self.one_by_one(0, i);
            }
            // Streamed lines are written out soonest if no other reads come in between.
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

    /// Processes elements outside whole vectors, by the same code for all vectors, terms and stores.
    #[inline(never)]
    unsafe fn one_by_one(&self, from: usize, to: usize) {
        let inputs = self.mixed();
        for i in from..to {
            // SAFETY: the caller promises that from..to is inside the block; LEAD is set if there is a running sum.
            unsafe {
                match self.lead {
                    Some(_) => self.step::<Plain<E::Acc, 1>, 1, true, false>(&inputs, i),
                    None => self.step::<Plain<E::Acc, 1>, 1, false, false>(&inputs, i),
                }
            }
        }
    }

    /// Processes `VECTORS` vectors from element `i` of the block on.
    #[inline(always)]
    unsafe fn step<V: Lanes<E>, const VECTORS: usize, const LEAD: bool, const STREAMS: bool>(
        &self,
        inputs: &impl Inputs<E, V>,
        i: usize,
    ) {
        // SAFETY: the caller promises that VECTORS × WIDTH elements from i on are inside the block, and that with LEAD
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

/// Returns a term's vectors from element `at` on.
#[inline(always)]
unsafe fn values<E: Element, V: Lanes<E>, const VECTORS: usize>(term: &Term<E>, at: usize) -> [V; VECTORS] {
    // SAFETY: the caller promises VECTORS × WIDTH readable values and support for V.
    unsafe {
        match *term {
            Term::Weighted { data, weight } => weighted::<E, V, VECTORS>(data.add(at), V::splat(weight)),
            Term::Partial(data) => load::<E, V, VECTORS>(data.add(at)),
        }
    }
}

/// Returns elements times their weight.
#[inline(always)]
unsafe fn weighted<E: Element, V: Lanes<E>, const VECTORS: usize>(from: *const E, weight: V) -> [V; VECTORS] {
    let mut all = [weight; VECTORS];
    for (v, one) in all.iter_mut().enumerate() {
        // SAFETY: as in `values`.
        *one = unsafe { weight.mul(V::widen(from.add(v * V::WIDTH))) };
    }
    all
}

#[inline(always)]
unsafe fn load<E: Element, V: Lanes<E>, const VECTORS: usize>(from: *const E::Acc) -> [V; VECTORS] {
    // SAFETY: the caller promises that VECTORS × WIDTH values are readable and that VECTORS is at least 1.
    let mut all = unsafe { [V::load(from); VECTORS] };
    for (v, one) in all.iter_mut().enumerate() {
        // SAFETY: as above.
        *one = unsafe { V::load(from.add(v * V::WIDTH)) };
    }
    all
}
