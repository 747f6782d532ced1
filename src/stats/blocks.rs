//! The order of the cells in each block. A block contains every cell of a comparison once, in random order.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The random orders of the blocks of one comparison. The same seed yields the same orders on every machine.
pub struct BlockOrder {
    random: ChaCha8Rng,
    cells: usize,
}

impl BlockOrder {
    /// Creates the orders of `cells` cells. `comparison` is the number of the comparison, which gives it orders of its
    /// own.
    pub fn new(seed: u64, comparison: u64, cells: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(comparison);
        BlockOrder { random, cells }
    }

    /// Returns the order of the next block, a permutation of 0 .. `cells`.
    pub fn next_block(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.cells).collect();
        order.shuffle(&mut self.random);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_holds_every_cell_once() {
        let mut orders = BlockOrder::new(1, 0, 7);
        for _ in 0..20 {
            let mut block = orders.next_block();
            block.sort_unstable();
            assert_eq!(block, [0, 1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn no_cell_is_always_first() {
        let mut orders = BlockOrder::new(1, 0, 4);
        let mut first = [0u32; 4];
        for _ in 0..400 {
            first[orders.next_block()[0]] += 1;
        }
        // 100 expected each; 6 standard deviations are 52.
        assert!(first.iter().all(|n| (48..=152).contains(n)), "{first:?}");
    }

    #[test]
    fn comparisons_have_orders_of_their_own() {
        let orders = |comparison| {
            let mut order = BlockOrder::new(1, comparison, 6);
            (0..5).map(|_| order.next_block()).collect::<Vec<_>>()
        };
        assert_eq!(orders(0), orders(0));
        assert_ne!(orders(0), orders(1));
    }
}
