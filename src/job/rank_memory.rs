//! Memory of one rank as it is watched during a round, and as numbers that ranks send to the first.

use crate::engine::Round;
use crate::gradient::Element;
use crate::memory::{GroupPeak, KernelMemory, Probe, Seen};
use crate::plan::memory::Memory;
use crate::results::row::{MemoryRow, RankMemory};

/// Stands for what is not known. No process holds as many bytes.
const NONE: u64 = u64::MAX;
/// Numbers that [`Watched::numbers`] yields.
const NUMBERS: usize = 9;

/// The purposes in the order of [`row`].
pub fn purposes(memory: Memory) -> [u64; 4] {
    [memory.resident, memory.accumulators, memory.staging, memory.result]
}

/// A row from numbers in the order of [`purposes`].
pub fn row(numbers: &[u64]) -> MemoryRow {
    let at = |index: usize| numbers.get(index).copied().unwrap_or_default();
    MemoryRow { resident: at(0), accumulators: at(1), staging: at(2), result: at(3) }
}

/// In which rounds the kernel is asked, before the clock starts and after it stops, what ranks hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watching {
    /// In all of them.
    #[default]
    Every,
    /// In those of even blocks, and in the ones before the first block: to see in one run what watching costs.
    Alternate,
    /// In none.
    Never,
}

impl Watching {
    /// True in this block.
    fn includes(self, block: u64) -> bool {
        match self {
            Watching::Every => true,
            Watching::Alternate => block.is_multiple_of(2),
            Watching::Never => false,
        }
    }
}

/// What this rank's process holds beside rounds, known from one round to the next of a comparison.
#[derive(Debug, Default)]
pub struct Watch {
    /// Where ranks share a process, which the kernel does not tell apart, none.
    when: Watching,
    /// False in a round that is not watched.
    on: bool,
    /// What this rank's clients' gradients took when they were loaded.
    resident: u64,
    /// Pages of neighbours' gradients that are mapped.
    neighbours: u64,
    group: Option<GroupPeak>,
}

impl Watch {
    /// Loads gradients by `load`, and sees what they take.
    pub fn over_loading<T>(when: Watching, load: impl FnOnce() -> T) -> (Watch, T) {
        let on = when != Watching::Never;
        let held = || if on { Seen::now().map_or(0, |seen| seen.held()) } else { 0 };
        let before = held();
        let loaded = load();
        let resident = held().saturating_sub(before);
        (Watch { when, on, resident, neighbours: 0, group: if on { GroupPeak::find() } else { None } }, loaded)
    }

    /// What follows is in this block.
    pub fn block(&mut self, block: u64) {
        self.on = self.when.includes(block);
    }

    /// Before the round's memory is asked for: peaks are the round's from here on, where they can be reset.
    pub fn begin(&self) -> Option<Probe> {
        if !self.on {
            return None;
        }
        if let Some(group) = &self.group {
            group.reset();
        }
        Probe::begin()
    }

    /// Maps what the round will read of neighbours' memory. What that adds to this process' pages.
    pub fn reach<E: Element>(&mut self, round: &Round<'_, E>) -> Reached {
        let held = || if self.on { Seen::now().map_or(0, |seen| seen.held()) } else { 0 };
        let before = held();
        round.reach_gradients();
        let between = held();
        round.reach_sums();
        Reached { gradients: between.saturating_sub(before), sums: held().saturating_sub(between) }
    }

    /// After the round, before its memory is given back.
    pub fn end<E: Element>(&mut self, probe: Option<Probe>, round: &Round<'_, E>, reached: Reached) -> Watched {
        let all = reached.gradients + reached.sums;
        let kernel = probe.and_then(|probe| probe.end(self.resident, self.neighbours, all));
        // The gradients stay mapped until the comparison ends.
        self.neighbours += reached.gradients;
        let group_peak = self.group.as_ref().filter(|_| self.on).and_then(GroupPeak::bytes);
        Watched { tracked: round.tracked(), kernel, group_peak }
    }
}

/// Bytes of neighbours' pages that a round has mapped.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    gradients: u64,
    sums: u64,
}

/// What was seen of one round on this rank.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// Allocated by gradshard's own code.
    pub tracked: Memory,
    kernel: Option<KernelMemory>,
    group_peak: Option<u64>,
}

impl Watched {
    /// For the first rank.
    pub fn numbers(&self) -> [u64; NUMBERS] {
        let [resident, accumulators, staging, result] = purposes(self.tracked);
        let kernel = self.kernel.map(|seen| [seen.round, seen.resident, seen.baseline, seen.neighbours]);
        let [round, resident_seen, baseline, neighbours] = kernel.unwrap_or([NONE; 4]);
        let group_peak = self.group_peak.unwrap_or(NONE);
        [resident, accumulators, staging, result, round, resident_seen, baseline, neighbours, group_peak]
    }
}

/// Adds a round's numbers to what is known of a rank: the kernel's figures are those of the round that took most.
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
