//! The memory of this process as the kernel counts it in /proc/self/status. Its peak is reset through
//! /proc/self/clear_refs.
//!
//! RSS counts a page of another rank's shared window from its first access. The pages that a round will read are
//! therefore mapped before its clock starts, and their size is subtracted from the peak.

use std::fs;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::machine::memory::kibibytes;

/// Resident pages of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Anonymous private memory (RssAnon).
    pub private: u64,
    /// Shared memory that the process has touched, its own and other ranks' (RssShmem).
    pub shared: u64,
    /// Pages mapped from files, such as code (RssFile). They belong to the page cache and can be reclaimed.
    pub file: u64,
    /// Peak of the sum of the three since its last reset (VmHWM).
    pub peak: u64,
    /// Private memory that the process has requested, touched or not (VmData); RLIMIT_DATA limits it.
    pub data: u64,
}

impl Seen {
    /// Reads the current values; None if /proc/self/status lacks them.
    ///
    /// The kernel keeps these counts per CPU. Before Linux 6.17 a value may lag by up to a few hundred KiB for each CPU
    /// that the process has run on.
    pub fn now() -> Option<Seen> {
        Seen::parse(&fs::read_to_string("/proc/self/status").ok()?)
    }

    fn parse(status: &str) -> Option<Seen> {
        let bytes = |name: &str| kibibytes(status, name);
        Some(Seen {
            private: bytes("RssAnon")?,
            shared: bytes("RssShmem")?,
            file: bytes("RssFile")?,
            peak: bytes("VmHWM")?,
            data: bytes("VmData")?,
        })
    }

    /// Returns private and shared memory, bytes.
    pub fn held(&self) -> u64 {
        self.private + self.shared
    }
}

/// The kernel's view of one round on one rank, bytes. Another rank's memory that was only read appears in `neighbours`
/// alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, bytemuck::Pod, bytemuck::Zeroable)]
pub struct KernelMemory {
    /// Peak of the round above the baseline: private pages and own shared pages, of gradshard and of the MPI library.
    pub round: u64,
    /// Memory that the clients' resident gradients took when they were loaded.
    pub resident: u64,
    /// Memory held before the round without the gradients: the program and what the MPI library keeps.
    pub baseline: u64,
    /// Pages of other ranks' windows that are mapped for reading.
    pub neighbours: u64,
}

/// Measures the memory of one round. None of its work runs while the round is timed.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    before: Seen,
    resettable: bool,
}

impl Probe {
    /// Call before the round allocates memory. None if the kernel does not report the memory of a process.
    pub fn begin() -> Option<Probe> {
        give_back();
        // In some containers /proc is read-only; the value at the end of the round then stands in for the peak.
        let resettable = reset_peak();
        Some(Probe { before: Seen::now()?, resettable })
    }

    /// Call after the round, before its memory is freed. `resident`: this rank's gradients; `known`: other ranks' pages
    /// mapped before the round; `reached`: those mapped by it; all in bytes.
    pub fn end(&self, resident: u64, known: u64, reached: u64) -> Option<KernelMemory> {
        let after = Seen::now()?;
        // File pages, such as code loaded meanwhile, do not count as the round's memory.
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

/// Resets VmHWM to the current RSS; false if the kernel does not permit it.
fn reset_peak() -> bool {
    fs::OpenOptions::new().write(true).open("/proc/self/clear_refs").and_then(|mut file| file.write_all(b"5")).is_ok()
}

/// Returns the allocator's free pages to the kernel, so that the round's small buffers do not reuse them unnoticed.
fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes any padding and only touches the allocator's free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text as the kernel prints it.
    const STATUS: &str = "Name:\tgradshard\nVmPeak:\t  229000 kB\nVmHWM:\t   30720 kB\nVmRSS:\t   20480 kB\nRssAnon:\t   \
                          10240 kB\nRssFile:\t    4096 kB\nRssShmem:\t    6144 kB\nVmData:\t   65536 kB\n";

    #[test]
    fn status_in_bytes() {
        let mib = |count: u64| count << 20;
        let expected = Seen { private: mib(10), shared: mib(6), file: mib(4), peak: mib(30), data: mib(64) };
        assert_eq!(Seen::parse(STATUS), Some(expected));
        assert_eq!(Seen::parse("Name:\tgradshard\n"), None);
    }

    /// 100 bytes before, of which 30 are gradients and 20 neighbours'. The peak of 175 has 5 more of neighbours: 70 are
    /// the round's.
    #[test]
    fn neighbours_pages_are_nobodys_but_their_own() {
        let seen = account(100, 175, 30, 20, 5);
        assert_eq!(seen, KernelMemory { round: 70, resident: 30, baseline: 50, neighbours: 25 });
    }

    /// Memory allocated and freed between the two readings is counted; memory allocated before is not.
    #[test]
    fn a_peak_in_between_is_seen() {
        const BYTES: usize = 64 << 20;
        let touched = || std::hint::black_box(vec![1u8; BYTES]);
        let kept = touched();
        let Some(probe) = Probe::begin() else { panic!("this kernel has no /proc/self/status") };
        drop(touched());
        let seen = probe.end(0, 0, 0).unwrap();
        drop(kept);
        // Other tests of this process allocate meanwhile, so only the lower bound holds.
        assert!(!probe.resettable || seen.round >= BYTES as u64 * 9 / 10, "{seen:?}");
    }
}
