//! `sharded-halving`: reduce-scatter by recursive halving, for any number of ranks.

use std::sync::Arc;

use super::{Family, Knobs, Strategy};
use crate::plan::shard_tree::{Local, Member, ShardTree, ShardTrees};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// Recursive halving (Thakur, Rabenseifner and Gropp, Optimization of collective communication operations in MPICH,
/// 2005). A group of ranks splits into halves; each rank sends what the other half will own to its partner there, until
/// every rank is alone. Where halves differ by one, the odd rank sends to the last of the other half.
pub struct ShardedHalving;

impl Strategy for ShardedHalving {
    fn name(&self) -> &'static str {
        "sharded-halving"
    }
    fn family(&self) -> Family {
        Family::Sharded
    }
    fn about(&self) -> &'static str {
        "reduce-scatter by recursive halving, for any number of ranks"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        // Ranks with neither clients nor shards would only pass zeros on.
        let mut places = layout.homes(problem.clients());
        places.extend((0..problem.shards).map(|shard| layout.spread_place(shard, problem.shards)));
        places.sort_unstable();
        places.dedup();
        let halving = Halving { problem: Arc::clone(problem), layout: Arc::clone(layout), places };
        Ok(Box::new(ShardTrees::new(problem, layout, halving)))
    }
}

struct Halving {
    problem: Arc<Problem>,
    layout: Arc<Layout>,
    /// The places that take part, ascending. A seat is an index into them.
    places: Vec<usize>,
}

impl Halving {
    fn owner(&self, shard: u64) -> usize {
        let place = self.layout.spread_place(shard, self.problem.shards);
        self.places.partition_point(|other| *other < place)
    }

    /// To whom `seat` sends the shard, and at which split; None for its owner. And all who send to `seat`, in the order
    /// of the splits.
    fn exchanges(&self, shard: u64, seat: usize) -> (Option<(usize, u32)>, Vec<usize>) {
        let owner = self.owner(shard);
        let (mut low, mut high) = (0, self.places.len());
        let mut senders = Vec::new();
        let mut split = 0;
        while high - low > 1 {
            let middle = low + (high - low).div_ceil(2);
            let seats = high - middle;
            let owner_is_low = owner < middle;
            if owner_is_low == (seat < middle) {
                // The seat stays with the owner, and receives from its partner in the other half.
                if owner_is_low {
                    let partner = middle + (seat - low);
                    senders.extend((partner < high).then_some(partner));
                } else {
                    senders.push(low + (seat - middle));
                    // The lower half may have one seat more; it sends to the last of the upper.
                    let odd = (middle - low > seats && seat + 1 == high).then_some(middle - 1);
                    senders.extend(odd);
                }
            } else {
                let partner = if owner_is_low { low + (seat - middle) } else { middle + (seat - low).min(seats - 1) };
                return (Some((partner, split)), senders);
            }
            (low, high) = if owner_is_low { (low, middle) } else { (middle, high) };
            split += 1;
        }
        (None, senders)
    }

    /// Seats are renumbered within a shard so that its owner comes last.
    fn index(&self, shard: u64, seat: usize) -> u64 {
        let last = self.places.len();
        ((seat + last - self.owner(shard) - 1) % last) as u64
    }

    fn seat(&self, shard: u64, index: u64) -> usize {
        (index as usize + self.owner(shard) + 1) % self.places.len()
    }
}

impl ShardTree for Halving {
    fn members(&self, _shard: u64) -> u64 {
        self.places.len() as u64
    }

    fn member(&self, shard: u64, index: u64) -> Member {
        let seat = self.seat(shard, index);
        let place = self.places[seat];
        let (to, senders) = self.exchanges(shard, seat);
        let own = self.layout.clients_at(place, self.problem.clients()).map(Local::Client);
        let received = senders.into_iter().map(|sender| Local::Aggregator(self.index(shard, sender)));
        // A sum is sent away at a split, after all that came before it: splits count the levels.
        let splits = usize::BITS - (self.places.len() - 1).leading_zeros();
        let level = to.map_or(splits, |(_, split)| split) + 1;
        Member { place, inputs: own.chain(received).collect(), level }
    }

    fn at(&self, shard: u64, place: usize) -> Vec<u64> {
        self.places.binary_search(&place).map(|seat| self.index(shard, seat)).into_iter().collect()
    }

    fn takes(&self, shard: u64, client: u64) -> u64 {
        let home = self.layout.home_of(client, self.problem.clients());
        self.index(shard, self.places.partition_point(|place| *place < home))
    }

    fn next(&self, shard: u64, index: u64) -> Option<u64> {
        let (to, _) = self.exchanges(shard, self.seat(shard, index));
        to.map(|(seat, _)| self.index(shard, seat))
    }
}
