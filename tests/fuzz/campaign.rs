//! One generator's cases: tried until the time is over, counted, and bounded in time and memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Debug;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Most CPU time of a case, and of each process that it starts.
pub const LONGEST: Duration = Duration::from_secs(5);
/// Time after which a case hangs, even on a busy machine.
const HANGS: Duration = Duration::from_secs(60);
/// Most memory of a case, and of each process that it starts.
pub const MOST_BYTES: usize = 1 << 30;
/// Cases from which on the share of accepted ones counts.
const ENOUGH: u64 = 30;

/// Counts the bytes of this process that are in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST_IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        let start = unsafe { System.alloc(layout) };
        if !start.is_null() {
            let now = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
            MOST_IN_USE.fetch_max(now, Ordering::Relaxed);
        }
        start
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(start, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) }, 0);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn number(variable: &str) -> Option<f64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Tries cases of `cases`, `batch` between two looks at the clock. `accepts` carries a case out, and returns true if it was
/// accepted and false if it was refused. A case that panics is made smaller, and fails the test.
pub fn campaign<S: Strategy>(name: &str, batch: u32, cases: &S, accepts: impl Fn(&S::Value) -> bool)
where
    S::Value: Debug,
{
    let seconds = Duration::from_secs_f64(number("GRADSHARD_FUZZ_SECONDS").unwrap_or(4.0));
    let seed = std::env::var("GRADSHARD_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (tried, accepted, longest) = (Cell::new(0u64), Cell::new(0u64), Cell::new(Duration::ZERO));
    let begun = Instant::now();
    let first = std::env::var("GRADSHARD_FUZZ_BATCH").ok().and_then(|text| text.parse().ok()).unwrap_or(0u64);
    for number in first.. {
        if begun.elapsed() >= seconds {
            break;
        }
        let config = Config { cases: batch, failure_persistence: None, max_shrink_time: 30_000, ..Config::default() };
        let bytes: Vec<u8> = [seed, number, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let ran = runner.run(cases, |case| {
            MOST_IN_USE.store(IN_USE.load(Ordering::Relaxed), Ordering::Relaxed);
            let (case_begun, cpu_before) = (Instant::now(), cpu_time());
            let is_accepted = accepts(&case);
            let (took, cpu) = (case_begun.elapsed(), cpu_time() - cpu_before);
            assert!(cpu < LONGEST && took < HANGS, "it took {took:?}, and {cpu:?} of a core");
            let bytes = MOST_IN_USE.load(Ordering::Relaxed);
            assert!(bytes < MOST_BYTES, "it took {bytes} bytes");
            tried.set(tried.get() + 1);
            accepted.set(accepted.get() + u64::from(is_accepted));
            longest.set(longest.get().max(took));
            Ok(())
        });
        if let Err(failure) = ran {
            panic!("{name}, GRADSHARD_FUZZ_SEED={seed}, batch {number}: {failure}");
        }
    }
    let (tried, accepted) = (tried.get(), accepted.get());
    // println would not be seen, as the test harness captures it.
    let _ = writeln!(
        std::io::stderr(),
        "{name}: {tried} cases, {accepted} accepted, the longest took {:.2} s (GRADSHARD_FUZZ_SEED={seed})",
        longest.get().as_secs_f64()
    );
    assert!(tried < ENOUGH || 2 * accepted > tried, "{name}: only {accepted} of {tried} cases were accepted");
}
