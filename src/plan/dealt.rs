//! A reduce-scatter in pieces. Each piece holds a few elements of every rank's range, so that it keeps all ranks as busy as
//! the whole does.

use crate::gradient::Range;

/// The ranges of all ranks, cut into pieces.
#[derive(Clone, Debug)]
pub struct Dealt {
    ranges: Vec<Range>,
    /// Elements of each rank's range in a piece, at least 1.
    share: u64,
}

impl Dealt {
    /// Cuts `ranges`, one for each rank in rank order, into pieces of at most `piece` elements together, but at least one
    /// element of every range that has one.
    pub fn new(ranges: Vec<Range>, piece: u64) -> Dealt {
        let share = (piece / ranges.len().max(1) as u64).max(1);
        Dealt { ranges, share }
    }

    /// Number of pieces; 0 if all ranges are empty.
    pub fn pieces(&self) -> u64 {
        self.ranges.iter().map(|range| range.len().div_ceil(self.share)).max().unwrap_or(0)
    }

    /// The elements of each rank's range that lie in piece `number`, in rank order.
    pub fn parts(&self, number: u64) -> impl Iterator<Item = Range> + '_ {
        self.ranges.iter().map(move |range| {
            let start = (range.start + number * self.share).min(range.end);
            Range::new(start, (start + self.share).min(range.end))
        })
    }

    /// Elements of the longest piece, which is the first.
    pub fn longest(&self) -> u64 {
        self.parts(0).map(|part| part.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_deal_every_element_out_once_in_order() {
        for (lengths, piece) in
            [(vec![5, 0, 3, 4], 8), (vec![1], 1), (vec![7, 7], 1), (vec![0, 0], 4), (vec![3, 1000, 2], 10)]
        {
            let mut start = 0;
            let ranges: Vec<Range> = lengths
                .iter()
                .map(|length| {
                    start += length;
                    Range::new(start - length, start)
                })
                .collect();
            let dealt = Dealt::new(ranges.clone(), piece);
            for (rank, range) in ranges.iter().enumerate() {
                let parts = (0..dealt.pieces()).filter_map(|number| dealt.parts(number).nth(rank));
                let elements: Vec<u64> = parts.flat_map(|part| part.start..part.end).collect();
                assert_eq!(
                    elements,
                    (range.start..range.end).collect::<Vec<u64>>(),
                    "{lengths:?} by {piece}, rank {rank}"
                );
            }
            let longest =
                (0..dealt.pieces()).map(|number| dealt.parts(number).map(|part| part.len()).sum::<u64>()).max();
            assert_eq!(longest.unwrap_or(0), dealt.longest());
            assert!(dealt.longest() <= piece.max(lengths.len() as u64));
        }
    }
}
