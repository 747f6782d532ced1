//! Pacing: the order and the number of simultaneous sends of messages that only wait for a receiver.
//!
//! If every stream sent as fast as possible, all ranks would use the same links at once. Streams therefore take turns
//! by piece, and each rank starts with the rank after it. Every rank then sends to about one other and receives from
//! about one other at a time.
//!
//! There is no deadlock. Receivers of these streams wait for such streams only. Turns go by piece, input and receiver;
//! receivers accept by piece and input. So of all messages not yet taken, one that is least in this order has a ready
//! receiver and no earlier message of its sender.

/// Bytes in flight that keep a link busy.
const BYTES_UNDER_WAY: u64 = 1 << 20;
/// Least number of messages in flight, so that the next message's handshake overlaps the transfer of one.
const LEAST_MESSAGES: u64 = 2;
/// Greatest number of messages in flight.
const MOST_MESSAGES: u64 = 16;

/// The turns of a rank's streams.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The streams in the order of their turns.
    order: Vec<usize>,
    at: usize,
    under_way: u64,
    most: u64,
}

impl Pace {
    /// Makes the turns of the streams in `order`, whose pieces have at most `piece_bytes` bytes.
    pub fn new(order: Vec<usize>, piece_bytes: u64) -> Self {
        let most = BYTES_UNDER_WAY.div_ceil(piece_bytes.max(1)).clamp(LEAST_MESSAGES, MOST_MESSAGES);
        Pace { order, at: 0, under_way: 0, most }
    }

    /// Resets the state for another round.
    pub fn reset(&mut self) {
        self.at = 0;
        self.under_way = 0;
    }

    /// Returns the stream with the next turn, if another message may be sent. `is_over` tells whether a stream has sent
    /// everything.
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

    /// Records that the stream with the turn has sent a piece.
    pub fn sent(&mut self) {
        self.under_way += 1;
        self.at = (self.at + 1) % self.order.len().max(1);
    }

    /// Records that a piece has been taken.
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
