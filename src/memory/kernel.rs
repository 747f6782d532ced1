//! What this process holds, as the kernel counts it: /proc/self/status, and the peak that /proc/self/clear_refs resets.
//!
//! RSS counts a page of a neighbour's shared window from the moment it is read. So the pages that a round will read are
//! mapped before its clock starts, what that adds to RSS is known, and is taken off the peak again.

use std::fs;
use std::io::Write;

use serde::{Deserialize, Serialize};

/// Resident pages of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Private memory (RssAnon).
    pub private: u64,
    /// Shared memory that it has touched, its own and others' (RssShmem).
    pub shared: u64,
    /// Pages of files, such as its code (RssFile). They are the page cache's, and can be taken back.
    pub file: u64,
    /// The most that the three together have been since the peak was reset (VmHWM).
    pub peak: u64,
    /// Private memory that it has asked for, touched or not: what RLIMIT_DATA limits (VmData).
    pub data: u64,
}

impl Seen {
    /// Now. None where the kernel does not say.
    ///
    /// The kernel keeps these counts for each processor and adds them up; on kernels before 6.17 a count may lag by up
    /// to a few hundred KiB for each processor that the process has run on.
    pub fn now() -> Option<Seen> {
        Seen::parse(&fs::read_to_string("/proc/self/status").ok()?)
    }

    fn parse(status: &str) -> Option<Seen> {
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        };
        Some(Seen {
            private: bytes("RssAnon")?,
            shared: bytes("RssShmem")?,
            file: bytes("RssFile")?,
            peak: bytes("VmHWM")?,
            data: bytes("VmData")?,
        })
    }

    /// Private and shared pages.
    pub fn held(&self) -> u64 {
        self.private + self.shared
    }
}

/// What the kernel saw of one round on one rank, in bytes. A neighbour's memory that was merely read is in none of them
/// but its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelMemory {
    /// Peak of the round beyond the baseline: private pages and own shared ones, gradshard's and the MPI library's.
    pub round: u64,
    /// What the clients' resident gradients took when they were loaded.
    pub resident: u64,
    /// What the process held before the round, without the gradients: the program and what the MPI library keeps.
    pub baseline: u64,
    /// Pages of neighbours' windows that are mapped to be read.
    pub neighbours: u64,
}

impl KernelMemory {
    /// The round and the gradients: what compares with the prediction.
    pub fn total(&self) -> u64 {
        self.round + self.resident
    }
}

/// Watches one round. Nothing of it runs while the round's clock does.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    before: Seen,
    resettable: bool,
}

impl Probe {
    /// Before the round's memory is asked for. None where the kernel does not say what a process holds.
    pub fn begin() -> Option<Probe> {
        give_back();
        // A container may show /proc but not let it be written; the peak is then that of the end of the round.
        let resettable = reset_peak();
        Some(Probe { before: Seen::now()?, resettable })
    }

    /// After the round, before its memory is given back. `resident` is what this rank's own gradients took, `known`
    /// the neighbours' pages that were mapped before the round, `reached` those that it mapped itself.
    pub fn end(&self, resident: u64, known: u64, reached: u64) -> Option<KernelMemory> {
        let after = Seen::now()?;
        // Pages of code that came in meanwhile are no memory of the round.
        let peak = if self.resettable { after.peak.saturating_sub(after.file) } else { after.held() };
        Some(account(self.before.held(), peak.max(after.held()), resident, known, reached))
    }
}

fn account(before: u64, peak: u64, resident: u64, known: u64, reached: u64) -> KernelMemory {
    let own = before.saturating_sub(known);
    KernelMemory {
        round: peak.saturating_sub(known + reached).saturating_sub(own),
        resident,
        baseline: own.saturating_sub(resident),
        neighbours: known + reached,
    }
}

/// Sets VmHWM back to what is held now; false where the kernel does not allow it.
fn reset_peak() -> bool {
    fs::OpenOptions::new().write(true).open("/proc/self/clear_refs").and_then(|mut file| file.write_all(b"5")).is_ok()
}

/// Gives the allocator's free pages back, so that the round's small buffers do not hide in what earlier ones left.
fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: no arguments that could be wrong; it only touches the allocator's free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kernel prints it.
    const STATUS: &str = "Name:\tgradshard\nVmPeak:\t  229000 kB\nVmHWM:\t   30720 kB\nVmRSS:\t   20480 kB\nRssAnon:\t   \
                          10240 kB\nRssFile:\t    4096 kB\nRssShmem:\t    6144 kB\nVmData:\t   65536 kB\n";

    #[test]
    fn status_in_bytes() {
        let mib = |count: u64| count << 20;
        let expected = Seen { private: mib(10), shared: mib(6), file: mib(4), peak: mib(30), data: mib(64) };
        assert_eq!(Seen::parse(STATUS), Some(expected));
        assert_eq!(Seen::parse("Name:\tgradshard\n"), None);
    }

    /// 100 before, of which 30 gradients and 20 of neighbours; a peak of 175 with 5 more of neighbours: 70 are the
    /// round's.
    #[test]
    fn neighbours_pages_are_nobodys_but_their_own() {
        let seen = account(100, 175, 30, 20, 5);
        assert_eq!(seen, KernelMemory { round: 70, resident: 30, baseline: 50, neighbours: 25 });
        assert_eq!(seen.total(), 100);
    }

    /// Memory that is taken and given back between the two looks is seen all the same; memory taken before is not.
    #[test]
    fn a_peak_in_between_is_seen() {
        const BYTES: usize = 64 << 20;
        let touched = || std::hint::black_box(vec![1u8; BYTES]);
        let kept = touched();
        let Some(probe) = Probe::begin() else { panic!("this kernel has no /proc/self/status") };
        drop(touched());
        let seen = probe.end(0, 0, 0).unwrap();
        drop(kept);
        // Other tests of this process allocate meanwhile, so only the lower bound is sharp.
        assert!(!probe.resettable || seen.round >= BYTES as u64 * 9 / 10, "{seen:?}");
    }
}
