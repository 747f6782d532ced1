//! Reads resource usage of a thread or process: CPU time, context switches and page faults.

/// Counts from the start of the thread or process up to a moment.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Usage {
    /// CPU time, ns.
    pub cpu_ns: u64,
    /// Number of involuntary context switches, in which the kernel took the core away.
    pub involuntary_switches: u64,
    /// Number of page faults served without I/O.
    pub minor_faults: u64,
    /// Number of page faults that needed I/O.
    pub major_faults: u64,
}

impl Usage {
    /// Reads the usage of the calling thread or of its whole process. Takes about a microsecond.
    pub fn of(whole_process: bool) -> Usage {
        let (who, clock) = match whole_process {
            true => (libc::RUSAGE_SELF, libc::CLOCK_PROCESS_CPUTIME_ID),
            false => (libc::RUSAGE_THREAD, libc::CLOCK_THREAD_CPUTIME_ID),
        };
        // SAFETY: both structures consist of numbers, and the pointers are valid. The calls cannot fail with these
        // arguments; if they did, the counts would stay 0.
        let (usage, cpu) = unsafe {
            let (mut usage, mut cpu): (libc::rusage, libc::timespec) = (std::mem::zeroed(), std::mem::zeroed());
            libc::getrusage(who, &mut usage);
            // The CPU times of getrusage may be a tick old.
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

    /// Returns the usage since `earlier`.
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
        // Time in which a hypervisor takes the core away counts as work, so it can only add.
        let naps: Vec<u64> = std::iter::repeat_with(|| {
            let before = Usage::of(false);
            std::thread::sleep(Duration::from_millis(60));
            Usage::of(false).since(&before).cpu_ns
        })
        .take(5)
        .collect();
        assert!(naps.iter().any(|cpu_ns| *cpu_ns < 20_000_000), "{naps:?}");
        let before = Usage::of(false);
        // Wait on the thread's own clock, as other processes may use the cores.
        let begun = Instant::now();
        while Usage::of(false).since(&before).cpu_ns < 20_000_000 {
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
        // The two clocks differ by far less than the margin.
        assert!(begun.elapsed() >= Duration::from_millis(18), "{:?}", begun.elapsed());
        let (thread, process) = (Usage::of(false), Usage::of(true));
        assert!(process.cpu_ns >= thread.cpu_ns - 10_000_000, "{process:?} {thread:?}");
    }

    #[test]
    fn touched_pages_are_faults() {
        let before = Usage::of(false);
        // This is more than an allocator keeps for itself.
        let pages = 1 << 14;
        let memory = vec![1u8; pages * 4096];
        let faults = Usage::of(false).since(&before).minor_faults;
        // Huge pages may make it a single fault.
        assert!(memory.iter().all(|byte| *byte == 1) && (1..=pages as u64 + 64).contains(&faults), "{faults}");
    }
}
