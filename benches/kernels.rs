//! Benchmarks of the summing kernels against naive loops and the memory bandwidth: `cargo bench --bench kernels`.
//!
//! Bytes counted are those of inputs and output, each once. `three_stream` adds two arrays into a third: the traffic of
//! two inputs, at memory bandwidth. Compare within one run only. Memory is in huge pages if the kernel grants them;
//! with GRADSHARD_BENCH_PAGES=small it is in small ones.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, unsafe_code)]

use std::sync::Mutex;

use divan::Bencher;
use divan::counter::BytesCount;
use gradshard::engine::kernels::{Store, Target, Term, Variant, form, form_with};
use gradshard::gradient::Element;
use half::{bf16, f16};

/// Number of elements whose sums fit the cache.
const SMALL: usize = 16 << 10;
/// Number of elements beyond the cache: 128 MiB of `f32`.
const LARGE: usize = 32 << 20;
/// Number of elements of a small chunk or shard, where the overhead of a call shows.
const TINY: usize = 300;
/// Size of a buffer for the widest elements, bytes.
const BUFFER: usize = LARGE * 8;
/// A byte whose repetition is an ordinary number in every element type.
const FILL: u8 = 0x3c;

fn main() {
    divan::main();
}

/// Memory of [`BUFFER`] bytes, aligned to huge pages, that lives as long as the process.
#[derive(Clone, Copy)]
struct Buffer(*mut u8);

// SAFETY: benchmarks only read inputs, and each part of an output is written by one thread.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    fn at<T>(self, element: usize) -> *mut T {
        self.0.cast::<T>().wrapping_add(element)
    }
}

/// Returns the first `count` buffers. They are mapped on first use and filled up to `bytes`.
fn buffers(count: usize, bytes: usize) -> Vec<Buffer> {
    const HUGE: usize = 2 << 20;
    static ALL: Mutex<Vec<(Buffer, usize)>> = Mutex::new(Vec::new());
    let small = std::env::var("GRADSHARD_BENCH_PAGES").is_ok_and(|pages| pages == "small");
    let mut all = ALL.lock().unwrap();
    while all.len() < count {
        let advice = if small { libc::MADV_NOHUGEPAGE } else { libc::MADV_HUGEPAGE };
        // SAFETY: a new private mapping, longer than the buffer by the room for alignment.
        let start = unsafe {
            let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let start = libc::mmap(std::ptr::null_mut(), BUFFER + HUGE, read_write, private, -1, 0);
            assert_ne!(start, libc::MAP_FAILED, "no memory for the buffers");
            libc::madvise(start, BUFFER + HUGE, advice);
            start.cast::<u8>()
        };
        all.push((Buffer(start.wrapping_add(start.align_offset(HUGE))), 0));
    }
    for (buffer, filled) in &mut all[..count] {
        if *filled < bytes {
            // SAFETY: the bytes are inside the mapping.
            unsafe { buffer.0.write_bytes(FILL, bytes) };
            *filled = bytes;
        }
    }
    all[..count].iter().map(|(buffer, _)| *buffer).collect()
}

fn terms<E: Element>(inputs: &[Buffer], at: usize) -> Vec<Term<E>> {
    let weight = |k: usize| E::Acc::from_f64(1.0 + k as f64);
    inputs.iter().enumerate().map(|(k, input)| Term::Weighted { data: input.at(at), weight: weight(k) }).collect()
}

/// Counts the traffic of `streams` ranges of `len` elements, bytes.
fn bytes<E>(streams: usize, len: usize) -> BytesCount {
    BytesCount::new(streams * len * size_of::<E>())
}

fn kernel<E: Element>(bencher: Bencher, variant: Variant, inputs: usize, len: usize, store: Store) {
    let buffers = buffers(inputs + 1, len * size_of::<E>());
    let terms = terms::<E>(&buffers[1..], 0);
    let divisor = E::Acc::from_f64(100.0);
    bencher.counter(bytes::<E>(inputs + 1, len)).bench_local(|| {
        let out = buffers[0].at(0);
        // SAFETY: every buffer holds len elements.
        unsafe {
            form_with::<E>(variant, None, &terms, Target::Finished { out, divisor }, len, store);
        }
    });
}

/// The naive loop: client by client over the whole range.
fn client_by_client<E: Element>(bencher: Bencher, inputs: usize, len: usize) {
    let buffers = buffers(inputs + 1, len * size_of::<E>());
    // SAFETY: every buffer holds len elements; the output is not among the inputs.
    let (out, inputs_of) = unsafe {
        let input = |buffer: &Buffer| std::slice::from_raw_parts(buffer.at::<E>(0).cast_const(), len);
        let out = std::slice::from_raw_parts_mut(buffers[0].at::<E>(0), len);
        (out, buffers[1..].iter().map(input).collect::<Vec<_>>())
    };
    let mut acc = vec![E::Acc::from_f64(0.0); len];
    let divisor = E::Acc::from_f64(100.0);
    bencher.counter(bytes::<E>(inputs + 1, len)).bench_local(|| {
        acc.fill(E::Acc::from_f64(0.0));
        for (k, input) in inputs_of.iter().enumerate() {
            let weight = E::Acc::from_f64(1.0 + k as f64);
            for (acc, value) in acc.iter_mut().zip(*input) {
                *acc = *acc + weight * value.widen();
            }
        }
        for (out, acc) in out.iter_mut().zip(&acc) {
            *out = E::narrow(*acc / divisor);
        }
    });
}

/// Computes a = b + c over `len` values of `f32`.
///
/// # Safety
/// Each pointer is valid for `len` values, `len` is a multiple of 16, and `a` is aligned to a cache line.
unsafe fn add(a: *mut f32, b: *const f32, c: *const f32, len: usize, store: Store) {
    #[cfg(target_arch = "x86_64")]
    if store == Store::Streaming {
        use std::arch::x86_64::*;
        // SAFETY: the caller's promise.
        unsafe {
            for i in (0..len).step_by(4) {
                _mm_stream_ps(a.add(i), _mm_add_ps(_mm_loadu_ps(b.add(i)), _mm_loadu_ps(c.add(i))));
            }
            _mm_sfence();
        }
        return;
    }
    let _ = store;
    // SAFETY: the caller's promise.
    let (a, b, c) = unsafe {
        let (b, c) = (std::slice::from_raw_parts(b, len), std::slice::from_raw_parts(c, len));
        (std::slice::from_raw_parts_mut(a, len), b, c)
    };
    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
        *a = b + c;
    }
}

fn three_stream<E: Element>(bencher: Bencher, len: usize, store: Store) {
    let buffers = buffers(3, len * size_of::<E>());
    let len_f32 = len * size_of::<E>() / 4;
    bencher.counter(bytes::<E>(3, len)).bench_local(|| {
        // SAFETY: every buffer holds that many bytes and is page-aligned.
        unsafe { add(buffers[0].at(0), buffers[1].at(0), buffers[2].at(0), len_f32, store) }
    });
}

/// Ranges of a few hundred elements, where the overhead of a call shows.
mod tiny {
    use super::*;

    #[divan::bench(types = [f32, f64, f16, bf16], args = [1, 2, 5, 20], sample_size = 1000)]
    fn kernel<E: Element>(bencher: Bencher, inputs: usize) {
        super::kernel::<E>(bencher, Variant::best(), inputs, TINY, Store::Cached);
    }
}

/// Ranges that fit the cache.
mod cache {
    use super::*;

    #[divan::bench(types = [f32, f64, f16, bf16], args = [1, 2, 5, 20])]
    fn kernel<E: Element>(bencher: Bencher, inputs: usize) {
        super::kernel::<E>(bencher, Variant::best(), inputs, SMALL, Store::Cached);
    }

    #[divan::bench(types = [f32, f64, f16, bf16], args = Variant::available())]
    fn variant_of_five_inputs<E: Element>(bencher: Bencher, variant: Variant) {
        super::kernel::<E>(bencher, variant, 5, SMALL, Store::Cached);
    }

    #[divan::bench(types = [f32, f64, f16, bf16], args = [1, 2, 5, 20])]
    fn client_by_client<E: Element>(bencher: Bencher, inputs: usize) {
        super::client_by_client::<E>(bencher, inputs, SMALL);
    }

    #[divan::bench(types = [f32, f64, f16])]
    fn three_stream<E: Element>(bencher: Bencher) {
        super::three_stream::<E>(bencher, SMALL, Store::Cached);
    }
}

/// Ranges far larger than the cache.
mod memory {
    use super::*;

    #[divan::bench(types = [f32, f64, f16, bf16], args = [1, 2, 5, 20], sample_count = 10)]
    fn kernel_cached<E: Element>(bencher: Bencher, inputs: usize) {
        super::kernel::<E>(bencher, Variant::best(), inputs, LARGE, Store::Cached);
    }

    #[divan::bench(types = [f32, f64, f16, bf16], args = [1, 2, 5, 20], sample_count = 10)]
    fn kernel_streaming<E: Element>(bencher: Bencher, inputs: usize) {
        super::kernel::<E>(bencher, Variant::best(), inputs, LARGE, Store::Streaming);
    }

    #[divan::bench(types = [f32, f64, f16, bf16], args = [1, 2, 5, 20], sample_count = 3)]
    fn client_by_client<E: Element>(bencher: Bencher, inputs: usize) {
        super::client_by_client::<E>(bencher, inputs, LARGE);
    }

    #[divan::bench(types = [f32, f64, f16], sample_count = 10)]
    fn three_stream_cached<E: Element>(bencher: Bencher) {
        super::three_stream::<E>(bencher, LARGE, Store::Cached);
    }

    #[divan::bench(types = [f32, f64, f16], sample_count = 10)]
    fn three_stream_streaming<E: Element>(bencher: Bencher) {
        super::three_stream::<E>(bencher, LARGE, Store::Streaming);
    }
}

/// Two threads that each sum half of 128 MiB from two inputs, like two ranks that sum a shard each.
mod two_threads {
    use super::*;

    const HALF: usize = LARGE / 2;

    /// `work` gets the first element of its half.
    fn halves(bencher: Bencher, work: impl Fn(&[Buffer], usize) + Sync) {
        let buffers = buffers(3, LARGE * 4);
        bencher.counter(bytes::<f32>(3, LARGE)).bench_local(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| work(&buffers, HALF));
                work(&buffers, 0);
            });
        });
    }

    #[divan::bench(args = [Store::Cached, Store::Streaming], sample_count = 20)]
    fn kernel(bencher: Bencher, store: Store) {
        halves(bencher, |buffers, at| {
            let terms = terms::<f32>(&buffers[1..], at);
            // SAFETY: both halves are inside every buffer and do not overlap.
            unsafe {
                let out = buffers[0].at(at);
                form(None, &terms, Target::Finished { out, divisor: 100.0 }, HALF, store);
            }
        });
    }

    #[divan::bench(args = [Store::Cached, Store::Streaming], sample_count = 20)]
    fn three_stream(bencher: Bencher, store: Store) {
        // SAFETY: both halves are inside every buffer and do not overlap.
        halves(bencher, |buffers, at| unsafe {
            add(buffers[0].at(at), buffers[1].at(at), buffers[2].at(at), HALF, store);
        });
    }
}
