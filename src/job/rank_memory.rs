//! Observes the memory of one rank during a round, and adds what ranks tell to their memory on rank 0.

use crate::engine::Round;
use crate::gradient::Element;
use crate::memory::{GroupPeak, KernelMemory, Probe, Seen};
use crate::plan::memory::Memory;
use crate::results::row::RankMemory;

/// Encodes a missing value; no process holds as many bytes.
const NONE: u64 = u64::MAX;
/// Encodes the memory of a round of which the kernel says nothing.
const UNSEEN: KernelMemory = KernelMemory { round: NONE, resident: NONE, baseline: NONE, neighbours: NONE };

/// The rounds in which the kernel's memory counters are read, before the clock starts and after it stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Watching {
    /// All rounds.
    #[default]
    #[value(help = "Every round")]
    Every,
    /// Rounds of even blocks and those before the first block, so that one run shows the cost of reading the counters.
    #[value(help = "The rounds of every second block")]
    Alternate,
    /// No rounds.
    #[value(help = "None")]
    Never,
}

impl Watching {
    fn includes(self, block: u64) -> bool {
        match self {
            Watching::Every => true,
            Watching::Alternate => block.is_multiple_of(2),
            Watching::Never => false,
        }
    }
}

/// The memory of this rank's process apart from rounds, kept over the rounds of a comparison.
#[derive(Debug, Default)]
pub struct Watch {
    /// The rounds to observe; none if ranks share a process.
    when: Watching,
    /// Whether the current round is observed.
    on: bool,
    /// Memory that this rank's gradients took when they were loaded, bytes.
    resident: u64,
    /// Pages of other ranks' gradients that are mapped, bytes.
    neighbours: u64,
    group: Option<GroupPeak>,
}

impl Watch {
    /// Loads gradients by `load` and measures their memory.
    pub fn over_loading<T>(when: Watching, load: impl FnOnce() -> T) -> (Watch, T) {
        let on = when != Watching::Never;
        let held = || if on { Seen::now().map_or(0, |seen| seen.held()) } else { 0 };
        let before = held();
        let loaded = load();
        let resident = held().saturating_sub(before);
        (Watch { when, on, resident, neighbours: 0, group: if on { GroupPeak::find() } else { None } }, loaded)
    }

    /// Begins a block.
    pub fn block(&mut self, block: u64) {
        self.on = self.when.includes(block);
    }

    /// Call before the round allocates memory. Resets the peaks to the current values, if they can be reset.
    pub fn begin(&self) -> Option<Probe> {
        if !self.on {
            return None;
        }
        if let Some(group) = &self.group {
            group.reset();
        }
        Probe::begin()
    }

    /// Maps other ranks' memory that the round will read. Returns what this adds to the process's pages.
    pub fn reach<E: Element>(&mut self, round: &Round<'_, E>) -> Reached {
        let held = || if self.on { Seen::now().map_or(0, |seen| seen.held()) } else { 0 };
        let before = held();
        round.reach_gradients();
        let between = held();
        round.reach_sums();
        Reached { gradients: between.saturating_sub(before), sums: held().saturating_sub(between) }
    }

    /// Call after the round, before its memory is freed.
    pub fn end<E: Element>(&mut self, probe: Option<Probe>, round: &Round<'_, E>, reached: Reached) -> Watched {
        let all = reached.gradients + reached.sums;
        let kernel = probe.and_then(|probe| probe.end(self.resident, self.neighbours, all));
        // Gradients stay mapped until the comparison ends.
        self.neighbours += reached.gradients;
        let group_peak = self.group.as_ref().filter(|_| self.on).and_then(GroupPeak::bytes);
        Watched { tracked: round.tracked(), kernel: kernel.unwrap_or(UNSEEN), group_peak: group_peak.unwrap_or(NONE) }
    }
}

/// Other ranks' pages that a round has mapped, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    gradients: u64,
    sums: u64,
}

/// The memory observed in one round on a rank.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Watched {
    /// Memory allocated by gradshard's own code.
    tracked: Memory,
    /// [`UNSEEN`] if the kernel says nothing.
    kernel: KernelMemory,
    /// [`NONE`] without a control group.
    group_peak: u64,
}

/// Merges what was observed in a round into a rank's memory. Of the kernel's figures the round with the greatest peak is
/// kept.
pub fn add(memory: &mut RankMemory, seen: &Watched) {
    memory.tracked = Some(seen.tracked);
    if seen.kernel != UNSEEN && memory.kernel.is_none_or(|most| most.round < seen.kernel.round) {
        memory.kernel = Some(seen.kernel);
    }
    if seen.group_peak != NONE {
        memory.group_peak = memory.group_peak.max(Some(seen.group_peak));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_that_took_most_is_kept() {
        let tracked = Memory { resident: 1, accumulators: 2, staging: 3, result: 4 };
        let seen = |round| KernelMemory { round, resident: 1, baseline: 50, neighbours: 7 };
        let mut memory = RankMemory::default();
        for (round, group_peak) in [(10, 5), (30, 90), (20, NONE)] {
            add(&mut memory, &Watched { tracked, kernel: seen(round), group_peak });
        }
        add(&mut memory, &Watched { tracked, kernel: UNSEEN, group_peak: NONE });
        assert_eq!(memory.tracked, Some(tracked));
        assert_eq!(memory.kernel, Some(seen(30)));
        assert_eq!(memory.group_peak, Some(90));
        assert_eq!(memory.surplus(), Some(30 - 9));
    }
}
