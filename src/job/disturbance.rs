//! Records the load of the machine during blocks, read between rounds.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::engine::transport::{Transport, TransportError, gather_records};
use crate::job::timing::Told;
use crate::machine::{Load, Usage, core_mhz};
use crate::results::row::{BlockRow, BlockStart};
use crate::roofline::state::MachineState;
use crate::stats::interference::OtherLoad;
use crate::sync::{Start, Synchroniser};

/// The load during all blocks of a comparison so far; on rank 0.
#[derive(Default)]
pub struct Disturbance {
    /// One row for each block.
    pub rows: Vec<BlockRow>,
    /// Load by other processes on each node; empty if some node does not report it.
    others: BTreeMap<usize, OtherLoad>,
}

impl Disturbance {
    /// Returns the share of cores used by others on the busiest node, 0 to 1.
    pub fn other_load(&self) -> Option<f64> {
        self.others.values().filter_map(OtherLoad::share).reduce(f64::max)
    }

    /// Returns the number of timed rounds and how many of them had a missed window.
    pub fn rounds(&self) -> (u64, u64) {
        self.rows.iter().fold((0, 0), |(all, missed), row| (all + row.rounds, missed + row.missed_windows))
    }
}

/// Observes one block on one rank.
pub struct BlockWatch {
    began_unix_s: f64,
    begun: Instant,
    own: Usage,
    /// Load of the node; only on its first rank.
    load: Option<Load>,
    /// Sums over the rounds so far; on rank 0.
    row: BlockRow,
    /// Seconds off core and involuntary switches by rank; on rank 0.
    ranks: Vec<(f64, u64)>,
}

/// Returns true on the first rank of each node.
pub fn is_first_on_node(transport: &dyn Transport) -> bool {
    let node_of = transport.node_of();
    node_of.iter().position(|node| *node == node_of[transport.rank()]) == Some(transport.rank())
}

fn start_of(sync: &Synchroniser) -> BlockStart {
    match sync.start() {
        Start::Window => BlockStart::Window,
        Start::Barrier => BlockStart::Barrier,
    }
}

impl BlockWatch {
    /// Call before a block.
    pub fn begin(transport: &dyn Transport, comparison: u64, block: u64, sync: &Synchroniser) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = start_of(sync);
        BlockWatch {
            began_unix_s: since_1970.as_secs_f64(),
            begun: Instant::now(),
            own: Usage::of(transport.has_own_process()),
            load: if is_first_on_node(transport) { Load::now() } else { None },
            row: BlockRow { comparison, block, start, ..BlockRow::default() },
            ranks: vec![(0.0, 0); transport.ranks()],
        }
    }

    /// Adds the records of a round; on rank 0.
    pub fn add(&mut self, told: &Told) {
        self.row.rounds += 1;
        self.row.missed_windows += u64::from(!told.sample.is_valid());
        for ((off_core, switches), (round_off_core, usage)) in self.ranks.iter_mut().zip(&told.usage) {
            *off_core += round_off_core;
            *switches += usage.involuntary_switches;
            self.row.involuntary_switches += usage.involuntary_switches;
            self.row.minor_faults += usage.minor_faults;
            self.row.major_faults += usage.major_faults;
        }
    }

    /// Sets the state of the machine; on rank 0.
    pub fn set_state(&mut self, state: MachineState) {
        let MachineState { memory, reading, wire } = state;
        self.row.memory_bytes_per_s = memory;
        self.row.reading_bytes_per_s = reading;
        self.row.wire_bytes_per_s = wire;
    }

    /// Call after the block. Adds its row and load to `into` on rank 0. Collective.
    pub fn end(
        self,
        transport: &mut dyn Transport,
        sync: &Synchroniser,
        into: &mut Disturbance,
    ) -> Result<(), TransportError> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let own = Usage::of(transport.has_own_process()).since(&self.own).cpu_ns as f64 / 1e9;
        let mut load = CoreLoad { seconds, own, mhz: core_mhz().unwrap_or(0.0), ..CoreLoad::default() };
        if let Some(before) = self.load
            && let Some(after) = Load::now()
        {
            load.busy = (after.busy - before.busy).max(0.0);
            load.stolen = (after.stolen - before.stolen).max(0.0);
            load.cores = after.cores as f64;
        }
        let Some(told) = gather_records(transport, &load)? else { return Ok(()) };
        let start = if self.row.start == start_of(sync) { self.row.start } else { BlockStart::WindowThenBarrier };
        let nodes = CoreLoad::of_nodes(transport.node_of(), &told);
        let known = nodes.values().all(|node| node.cores > 0.0);
        let sum = |of: fn(&CoreLoad) -> f64| nodes.values().map(of).sum::<f64>();
        if known {
            for (node, load) in &nodes {
                let others = into.others.entry(*node).or_default();
                others.add(load.seconds, load.cores, load.busy, load.own, load.stolen);
            }
        }
        let mhz = || told.iter().map(|of| of.mhz).filter(|mhz| *mhz > 0.0);
        into.rows.push(BlockRow {
            began_unix_s: self.began_unix_s,
            seconds,
            clock_residual_s: sync.clock().residual().map(|ns| ns as f64 / 1e9),
            involuntary_switches_max: self.ranks.iter().map(|(_, switches)| *switches).max().unwrap_or(0),
            off_core_seconds_max: self.ranks.iter().map(|(off_core, _)| *off_core).fold(0.0, f64::max),
            busy_core_seconds: known.then(|| sum(|node| node.busy)),
            own_core_seconds: sum(|node| node.own),
            stolen_core_seconds: known.then(|| sum(|node| node.stolen)),
            cores: sum(|node| node.cores) as u64,
            cpu_mhz_min: mhz().reduce(f64::min),
            cpu_mhz_max: mhz().reduce(f64::max),
            start,
            ..self.row
        });
        Ok(())
    }
}

/// The load of cores during a block, as a rank tells it and of a whole node; times in s.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
struct CoreLoad {
    seconds: f64,
    /// CPU time of the rank, or of all ranks of the node.
    own: f64,
    busy: f64,
    stolen: f64,
    /// 0 on all ranks of a node but the first, and where the kernel does not report the load.
    cores: f64,
    /// Clock of the rank's core, MHz; 0 if it is not known.
    mhz: f64,
}

impl CoreLoad {
    /// Computes the load of every node from what all ranks tell.
    fn of_nodes(node_of: &[usize], told: &[CoreLoad]) -> BTreeMap<usize, CoreLoad> {
        let mut nodes: BTreeMap<usize, CoreLoad> = BTreeMap::new();
        for (node, rank) in node_of.iter().zip(told) {
            let load = nodes.entry(*node).or_default();
            load.own += rank.own;
            if rank.cores > 0.0 {
                *load = CoreLoad { own: load.own, ..*rank };
            }
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run_threads;
    use crate::results::row::Sample;
    use crate::sync::{LocalClock, Start};

    fn told(off_core: [f64; 2], switches: [u64; 2], late_ranks: u64) -> Told {
        let of_rank = |rank: usize| {
            let involuntary_switches = switches[rank];
            (off_core[rank], Usage { cpu_ns: 0, involuntary_switches, minor_faults: 3, major_faults: rank as u64 })
        };
        Told { sample: Sample { late_ranks, ..Sample::default() }, usage: vec![of_rank(0), of_rank(1)] }
    }

    #[test]
    fn a_block_sums_up_its_rounds() {
        let all = run_threads(&[0, 1], |transport| {
            let sync = Synchroniser::new(LocalClock::of_node(), Start::Barrier, transport).expect("threads");
            let mut disturbance = Disturbance::default();
            for block in 0..2 {
                let mut watch = BlockWatch::begin(transport, 7, block, &sync);
                if transport.rank() == 0 {
                    watch.add(&told([0.5, 0.25], [1, 5], 0));
                    watch.add(&told([0.25, 1.0], [2, 0], 1));
                }
                watch.end(transport, &sync, &mut disturbance).expect("threads");
            }
            disturbance
        });
        assert!(all[1].rows.is_empty());
        assert_eq!((all[0].rows.len(), all[0].rounds()), (2, (4, 2)));
        let row = &all[0].rows[1];
        assert_eq!((row.comparison, row.block, row.start), (7, 1, BlockStart::Barrier));
        assert_eq!((row.rounds, row.missed_windows, row.clock_residual_s), (2, 1, None));
        assert_eq!((row.involuntary_switches, row.involuntary_switches_max), (8, 5));
        assert_eq!((row.minor_faults, row.major_faults, row.off_core_seconds_max), (12, 2, 1.25));
        // 1e9 s after 1970 is 2001-09-09.
        assert!(row.began_unix_s > 1e9 && row.seconds >= 0.0 && row.own_core_seconds > 0.0);
        assert!(row.busy_core_seconds.is_some() && row.cores >= 2, "{row:?}");
    }

    #[test]
    fn a_silent_kernel_makes_the_load_unknown() {
        let rank = |seconds, own, cores| CoreLoad { seconds, own, busy: 3.5, stolen: 0.5, cores, mhz: 0.0 };
        let told = [rank(2.0, 1.0, 4.0), rank(2.5, 0.5, 0.0), rank(2.0, 1e-9, 0.0)];
        let nodes = CoreLoad::of_nodes(&[0, 0, 2], &told);
        let CoreLoad { seconds, own, busy, stolen, cores, .. } = nodes[&0];
        assert_eq!((seconds, own, busy, stolen, cores), (2.0, 1.5, 3.5, 0.5, 4.0));
        assert_eq!(nodes[&2].cores, 0.0);
    }
}
