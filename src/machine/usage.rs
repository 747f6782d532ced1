//! What the kernel counts for a thread or a process: time on cores, switches, page faults.

/// Counts up to a moment. Differences of two are what happened between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time of the thread or process on cores, ns.
    pub cpu_ns: u64,
    /// Times that the kernel took the core away, or that the core was given away for another to run.
    pub involuntary_switches: u64,
    /// Page faults that needed no reading from a disk.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
}

impl Usage {
    /// Of the calling thread, or of its whole process. Takes about a microsecond.
    pub fn of(whole_process: bool) -> Usage {
        let (who, clock) = match whole_process {
            true => (libc::RUSAGE_SELF, libc::CLOCK_PROCESS_CPUTIME_ID),
            false => (libc::RUSAGE_THREAD, libc::CLOCK_THREAD_CPUTIME_ID),
        };
        // SAFETY: both structures are plain numbers, and the calls are given valid places for them. They cannot fail
        // with these arguments; were they to, the counts would stay 0.
        let (usage, cpu) = unsafe {
            let (mut usage, mut cpu): (libc::rusage, libc::timespec) = (std::mem::zeroed(), std::mem::zeroed());
            libc::getrusage(who, &mut usage);
            // The times of getrusage may be a tick old.
            libc::clock_gettime(clock, &mut cpu);
            (usage, cpu)
        };
        Usage {
            cpu_ns: cpu.tv_sec as u64 * 1_000_000_000 + cpu.tv_nsec as u64,
            involuntary_switches: usage.ru_nivcsw as u64,
            minor_faults: usage.ru_minflt as u64,
            major_faults: usage.ru_majflt as u64,
        }
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            involuntary_switches: self.involuntary_switches.saturating_sub(earlier.involuntary_switches),
            minor_faults: self.minor_faults.saturating_sub(earlier.minor_faults),
            major_faults: self.major_faults.saturating_sub(earlier.major_faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn work_counts_and_sleep_does_not() {
        // A hypervisor that takes the core away between two calls is counted as work: it only adds.
        let naps: Vec<u64> = std::iter::repeat_with(|| {
            let before = Usage::of(false);
            std::thread::sleep(Duration::from_millis(60));
            Usage::of(false).since(&before).cpu_ns
        })
        .take(5)
        .collect();
        assert!(naps.iter().any(|cpu_ns| *cpu_ns < 20_000_000), "{naps:?}");
        let before = Usage::of(false);
        // Until the clock of the thread, not of the wall, has gone on: others may have the cores.
        let begun = Instant::now();
        while Usage::of(false).since(&before).cpu_ns < 20_000_000 {
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
        // Two clocks: what the slower one misses in this time is far less than the margin.
        assert!(begun.elapsed() >= Duration::from_millis(18), "{:?}", begun.elapsed());
        let (thread, process) = (Usage::of(false), Usage::of(true));
        assert!(process.cpu_ns >= thread.cpu_ns - 10_000_000, "{process:?} {thread:?}");
    }

    #[test]
    fn touched_pages_are_faults() {
        let before = Usage::of(false);
        // More than an allocator keeps for itself.
        let pages = 1 << 14;
        let memory = vec![1u8; pages * 4096];
        let faults = Usage::of(false).since(&before).minor_faults;
        // Huge pages make it one.
        assert!(memory.iter().all(|byte| *byte == 1) && (1..=pages as u64 + 64).contains(&faults), "{faults}");
    }
}
