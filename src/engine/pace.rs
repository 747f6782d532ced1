//! Pace: in which order, and how many at a time, messages leave that wait for nothing but a receiver.
//!
//! If every stream sent as fast as it could, all ranks would pour into the same wires at once and slow each other down.
//! Streams therefore take turns, piece by piece, each rank starting with the rank after it: at any time every rank
//! sends to about one other and receives from about one other.
//!
//! No turn can wait for ever. Receivers of streams that take part wait for nothing but such streams, and turns go by
//! piece, then by input, then by receiver, while receivers accept pieces in the order piece, input: of all messages that have not been taken,
//! one that is least in that order has a receiver ready for it and nothing before it in its sender's turns.

/// Bytes under way that keep a wire busy.
const BYTES_UNDER_WAY: u64 = 1 << 20;
/// Messages under way, at least: while one is being moved the next is being agreed upon.
const LEAST_MESSAGES: u64 = 2;
/// Messages under way, at most.
const MOST_MESSAGES: u64 = 16;

/// The turns of a rank's streams.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Streams in the order of their turns.
    order: Vec<usize>,
    at: usize,
    under_way: u64,
    most: u64,
}

impl Pace {
    /// Turns for the streams of `order`, whose pieces have at most `piece_bytes` bytes.
    pub fn new(order: Vec<usize>, piece_bytes: u64) -> Self {
        let most = BYTES_UNDER_WAY.div_ceil(piece_bytes.max(1)).clamp(LEAST_MESSAGES, MOST_MESSAGES);
        Pace { order, at: 0, under_way: 0, most }
    }

    /// Makes ready for another round.
    pub fn reset(&mut self) {
        self.at = 0;
        self.under_way = 0;
    }

    /// The stream whose turn it is, if another message may leave. `is_over` tells of a stream that has sent all.
    pub fn next(&mut self, is_over: impl Fn(usize) -> bool) -> Option<usize> {
        if self.under_way >= self.most {
            return None;
        }
        for _ in 0..self.order.len() {
            let stream = self.order[self.at];
            if !is_over(stream) {
                return Some(stream);
            }
            self.at = (self.at + 1) % self.order.len();
        }
        None
    }

    /// The stream whose turn it was has sent a piece.
    pub fn sent(&mut self) {
        self.under_way += 1;
        self.at = (self.at + 1) % self.order.len().max(1);
    }

    /// A piece has been taken.
    pub fn taken(&mut self) {
        self.under_way -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_take_turns_and_the_finished_are_passed_by() {
        let mut pace = Pace::new(vec![3, 1, 2], 1 << 20);
        let mut order = Vec::new();
        for _ in 0..5 {
            let stream = pace.next(|stream| stream == 1).expect("a turn");
            pace.sent();
            pace.taken();
            order.push(stream);
        }
        assert_eq!(order, [3, 2, 3, 2, 3]);
        assert_eq!(pace.next(|_| true), None);
    }

    #[test]
    fn a_wire_is_kept_busy_and_no_more() {
        for (piece_bytes, most) in [(1 << 30, 2), (1 << 20, 2), (1 << 18, 4), (1 << 10, 16), (0, 16)] {
            let mut pace = Pace::new(vec![0], piece_bytes);
            let mut under_way = 0;
            while pace.next(|_| false).is_some() {
                pace.sent();
                under_way += 1;
            }
            assert_eq!(under_way, most, "{piece_bytes}");
        }
    }
}
