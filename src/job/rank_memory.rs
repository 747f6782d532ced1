//! Observes the memory of one rank during a round, and encodes it as numbers that are sent to rank 0.

use crate::engine::Round;
use crate::gradient::Element;
use crate::memory::{GroupPeak, KernelMemory, Probe, Seen};
use crate::plan::memory::Memory;
use crate::results::row::{MemoryRow, RankMemory};

/// Encodes a missing value; no process holds as many bytes.
const NONE: u64 = u64::MAX;
/// Count of numbers that [`Watched::numbers`] returns.
const NUMBERS: usize = 9;

/// Returns memory by purpose, in the order of [`row`].
pub fn purposes(memory: Memory) -> [u64; 4] {
    [memory.resident, memory.accumulators, memory.staging, memory.result]
}

/// Makes a row from numbers in the order of [`purposes`].
pub fn row(numbers: &[u64]) -> MemoryRow {
    let at = |index: usize| numbers.get(index).copied().unwrap_or_default();
    MemoryRow { resident: at(0), accumulators: at(1), staging: at(2), result: at(3) }
}

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
        Watched { tracked: round.tracked(), kernel, group_peak }
    }
}

/// Other ranks' pages that a round has mapped, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    gradients: u64,
    sums: u64,
}

/// The memory observed in one round on this rank.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// Memory allocated by gradshard's own code.
    pub tracked: Memory,
    kernel: Option<KernelMemory>,
    group_peak: Option<u64>,
}

impl Watched {
    /// Encodes the values for rank 0.
    pub fn numbers(&self) -> [u64; NUMBERS] {
        let [resident, accumulators, staging, result] = purposes(self.tracked);
        let kernel = self.kernel.map(|seen| [seen.round, seen.resident, seen.baseline, seen.neighbours]);
        let [round, resident_seen, baseline, neighbours] = kernel.unwrap_or([NONE; 4]);
        let group_peak = self.group_peak.unwrap_or(NONE);
        [resident, accumulators, staging, result, round, resident_seen, baseline, neighbours, group_peak]
    }
}

/// Merges a round's numbers into those of a rank. Of the kernel's figures the round with the greatest peak is kept.
pub fn add(memory: &mut RankMemory, numbers: &[u64]) {
    let [.., round, resident, baseline, neighbours, group_peak] = *numbers else { return };
    memory.tracked = Some(row(numbers));
    let kernel = KernelMemory { round, resident, baseline, neighbours };
    if round != NONE && memory.kernel.is_none_or(|most| most.round < round) {
        memory.kernel = Some(kernel);
    }
    if group_peak != NONE {
        memory.group_peak = memory.group_peak.max(Some(group_peak));
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
        for (round, group_peak) in [(10, Some(5)), (30, Some(90)), (20, None)] {
            add(&mut memory, &Watched { tracked, kernel: Some(seen(round)), group_peak }.numbers());
        }
        add(&mut memory, &Watched { tracked, kernel: None, group_peak: None }.numbers());
        assert_eq!(memory.tracked, Some(MemoryRow { resident: 1, accumulators: 2, staging: 3, result: 4 }));
        assert_eq!(memory.kernel, Some(seen(30)));
        assert_eq!(memory.group_peak, Some(90));
        assert_eq!(memory.surplus(), Some(30 - 9));
    }
}
