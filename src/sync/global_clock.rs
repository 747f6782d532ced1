//! Provides rank 0's clock to all ranks. Ranks with another clock learn its offset and drift by ping-pong.

use std::collections::BTreeMap;

use super::LocalClock;
use super::dissemination::meet;
use super::exchange::Exchange;
use crate::engine::transport::{Transport, TransportError, broadcast_numbers, gather_records};
use crate::stats::clock_model::{ClockModel, ClockReading};

/// Number of ping-pongs per reading; the fastest one is used. Queueing can only lengthen a ping-pong, so the fastest
/// was disturbed least.
const PING_PONGS: usize = 64;

/// Relation of a rank's clock to rank 0's.
enum Standing {
    /// The rank uses rank 0's clock.
    Same,
    /// The rank uses another clock, which it compares with rank 0's for itself and for these ranks.
    Leads(Vec<usize>),
    /// The rank uses another clock; this rank compares it.
    Follows(usize),
}

/// Rank 0's clock, as this rank knows it.
pub struct GlobalClock {
    own: LocalClock,
    standing: Standing,
    model: ClockModel,
    /// Ranks that compare their clock with rank 0's.
    leaders: Vec<usize>,
    clocks: usize,
    /// Greatest prediction error of all ranks at the last reading, ns.
    residual: Option<u64>,
}

impl GlobalClock {
    /// Determines which ranks share a clock and compares the others with rank 0's. Collective.
    ///
    /// Ranks of one node share a clock of the same name. Ranks of different nodes may share one too (virtual nodes of
    /// one machine), but cloned machines also have equal names. Such a clock counts as rank 0's if the first reading
    /// allows an offset of zero.
    pub(super) fn new(
        own: LocalClock,
        exchange: &mut Exchange,
        transport: &mut dyn Transport,
    ) -> Result<Self, TransportError> {
        let rank = transport.rank();
        let names = transport.gather(own.name.as_bytes())?.unwrap_or_default();
        let node_of = transport.node_of().to_vec();
        // For each rank, the first rank on its clock; then whether its clock's name is that of rank 0's.
        let mut first: BTreeMap<(usize, &[u8]), u64> = BTreeMap::new();
        let told: Vec<u64> = (0..)
            .zip(&names)
            .map(|(rank, name)| *first.entry((node_of[rank as usize], name)).or_insert(rank))
            .chain((0..names.len()).map(|rank| u64::from(names[rank] == names[0])))
            .collect();
        let told = broadcast_numbers(transport, &told)?;
        let (leader_of, named_alike) = told.split_at(told.len() / 2);
        let leaders = (1..leader_of.len()).filter(|rank| leader_of[*rank] == *rank as u64).collect();
        let led_by = |leader: usize| (0..).zip(leader_of).filter(move |(r, of)| **of == leader as u64 && *r != leader);
        let standing = match leader_of[rank] as usize {
            0 => Standing::Same,
            leader if leader == rank => Standing::Leads(led_by(rank).map(|(rank, _)| rank).collect()),
            leader => Standing::Follows(leader),
        };
        let model = ClockModel::default();
        let mut clock = GlobalClock { own, standing, model, leaders, clocks: 0, residual: None };
        let reading = clock.read(exchange, transport)?;
        let one = named_alike[rank] == 1 && reading.is_none_or(|reading| reading.allows_none());
        if one {
            clock.standing = Standing::Same;
        } else if let Some(reading) = reading {
            clock.model.add(reading);
        }
        // Tell every rank which clocks turned out to be rank 0's.
        let ones = gather_records(transport, &u64::from(one))?.unwrap_or_default();
        let ones = broadcast_numbers(transport, &ones)?;
        clock.leaders.retain(|leader| ones[*leader] == 0);
        clock.clocks = 1 + clock.leaders.len();
        Ok(clock)
    }

    /// Returns the number of different clocks.
    pub fn clocks(&self) -> usize {
        self.clocks
    }

    /// Reads this rank's own clock, ns.
    pub fn now(&self) -> u64 {
        self.own.now()
    }

    /// Converts this rank's clock to rank 0's, ns.
    pub fn reference(&self, local: u64) -> u64 {
        self.model.reference(local)
    }

    /// Converts rank 0's clock to this rank's, ns.
    pub fn local(&self, reference: u64) -> u64 {
        self.model.local(reference)
    }

    /// Returns the greatest difference over all ranks between predicted and measured offset at the last reading, ns.
    /// None if all ranks share one clock or before a second reading.
    pub fn residual(&self) -> Option<u64> {
        self.residual
    }

    /// Returns true if this rank compares its clock with rank 0's and a new reading would improve its estimate.
    pub fn is_stale(&self) -> bool {
        matches!(self.standing, Standing::Leads(_)) && self.model.is_stale(self.now())
    }

    /// Compares all clocks with rank 0's again. Collective.
    pub(super) fn refresh(
        &mut self,
        exchange: &mut Exchange,
        transport: &mut dyn Transport,
    ) -> Result<(), TransportError> {
        if self.leaders.is_empty() {
            return Ok(());
        }
        let reading = self.read(exchange, transport)?;
        let surprise = reading.and_then(|reading| self.model.add(reading)).map_or(0, |surprise| surprise.abs() as u64);
        self.residual = Some(meet(exchange, transport, surprise)?);
        Ok(())
    }

    /// Rank 0 exchanges ping-pongs with one leader at a time, so that they do not disturb each other. Leaders pass on
    /// their reading. None on rank 0's clock.
    fn read(
        &self,
        exchange: &mut Exchange,
        transport: &mut dyn Transport,
    ) -> Result<Option<ClockReading>, TransportError> {
        // Wait for all ranks, so that late arrivals do not delay the first ping-pongs.
        meet(exchange, transport, 0)?;
        if transport.rank() == 0 {
            for leader in &self.leaders {
                for _ in 0..PING_PONGS {
                    exchange.swap(transport, None, Some(*leader), [0; 3])?;
                    exchange.swap(transport, Some(*leader), None, [self.now(), 0, 0])?;
                }
            }
        }
        match &self.standing {
            Standing::Same => Ok(None),
            Standing::Leads(followers) => {
                let mut best: Option<ClockReading> = None;
                for _ in 0..PING_PONGS {
                    let sent = self.now();
                    let [answered, ..] = exchange.swap(transport, Some(0), Some(0), [0; 3])?;
                    let reading = ClockReading::of_ping_pong(sent, answered, self.now());
                    best = best.filter(|best| best.error <= reading.error).or(Some(reading));
                }
                for follower in followers {
                    let ClockReading { local, offset, error } =
                        best.unwrap_or(ClockReading { local: 0, offset: 0, error: 0 });
                    exchange.swap(transport, Some(*follower), None, [local, offset as u64, error])?;
                }
                Ok(best)
            }
            Standing::Follows(leader) => {
                let [local, offset, error] = exchange.swap(transport, None, Some(*leader), [0; 3])?;
                Ok(Some(ClockReading { local, offset: offset as i64, error }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::node_clock::node_clock;
    use crate::engine::run_threads;

    /// Three nodes whose clocks have different offsets and rates.
    fn clock_of(node: usize) -> LocalClock {
        let begin = node_clock();
        let (offset, ppm) = [(0u64, 0i64), (7_000_000_000_000, 30), (1_000_000, -40)][node];
        LocalClock::new(format!("clock {node}"), move || {
            let now = node_clock();
            (now as i64 + offset as i64 + (now - begin) as i64 * ppm / 1_000_000) as u64
        })
    }

    /// Compares each rank's estimate with the true time, which threads of one process can read: differences in ns.
    #[test]
    fn ranks_learn_rank_0s_clock() {
        let node_of = [0, 0, 2, 1, 1, 2];
        let off = run_threads(&node_of, |transport| {
            let mut exchange = Exchange::new();
            let own = clock_of(node_of[transport.rank()]);
            let mut clock = GlobalClock::new(own, &mut exchange, transport).expect("threads");
            assert_eq!((clock.clocks(), clock.residual()), (3, None));
            for _ in 0..20 {
                std::thread::sleep(std::time::Duration::from_millis(10));
                clock.refresh(&mut exchange, transport).expect("threads");
            }
            assert!(clock.residual().is_some());
            // The best of 100, as a thread may be preempted between the two readings.
            let look = || {
                let before = node_clock();
                let global = clock.reference(clock.now());
                let after = node_clock();
                assert!(clock.local(clock.reference(before)).abs_diff(before) <= 1);
                (after - before, global.abs_diff(before))
            };
            (0..100).map(|_| look()).min().map(|(_, off)| off)
        });
        // A few µs if undisturbed; other tests do disturb.
        assert!(off.iter().all(|off| off.is_some_and(|off| off < 200_000)), "{off:?}");
    }

    #[test]
    fn clocks_of_one_name_are_one_where_the_readings_allow_it() {
        let name = "one boot".to_owned();
        for (shift, clocks) in [(0, 1), (3_600_000_000_000, 2)] {
            let found = run_threads(&[0, 1, 1], |transport| {
                let shift = if transport.rank() == 0 { 0 } else { shift };
                let own = LocalClock::new(name.clone(), move || node_clock() + shift);
                let clock = GlobalClock::new(own, &mut Exchange::new(), transport).expect("threads");
                (clock.clocks(), clock.reference(5_000_000_000_000))
            });
            assert!(found.iter().all(|(of_rank, _)| *of_rank == clocks), "{found:?}");
            let off = found[1].1.abs_diff(5_000_000_000_000 - shift);
            // Exact if it is known to be the same clock.
            assert!(found[1].1 == found[2].1 && if shift == 0 { off == 0 } else { off < 10_000_000_000 }, "{found:?}");
        }
    }
}
