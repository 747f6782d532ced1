//! Tokens, by which the engine identifies completed messages. A token holds the message's owner and slot.

/// The owner of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A receive into a slot of a sum.
    Sum {
        /// The sum's index.
        task: usize,
        /// The slot.
        slot: usize,
    },
    /// A receive of an incoming stream.
    Incoming {
        /// The stream's index.
        stream: usize,
        /// The slot.
        slot: usize,
    },
    /// A send of an outgoing stream.
    Outgoing {
        /// The stream's index.
        stream: usize,
        /// The slot.
        slot: usize,
    },
}

/// Number of bits of the slot, enough for the staged inputs of a sum.
const SLOT_BITS: u32 = 32;
/// Number of bits of the index.
const INDEX_BITS: u32 = 30;

impl Token {
    /// Encodes the token as a number, which the transport returns.
    pub fn number(self) -> usize {
        let (kind, index, slot) = match self {
            Token::Sum { task, slot } => (0, task, slot),
            Token::Incoming { stream, slot } => (1, stream, slot),
            Token::Outgoing { stream, slot } => (2, stream, slot),
        };
        (kind << (SLOT_BITS + INDEX_BITS)) | (index << SLOT_BITS) | slot
    }

    /// Decodes a number made by [`Token::number`].
    pub fn of(number: usize) -> Token {
        let slot = number & ((1 << SLOT_BITS) - 1);
        let index = (number >> SLOT_BITS) & ((1 << INDEX_BITS) - 1);
        match number >> (SLOT_BITS + INDEX_BITS) {
            0 => Token::Sum { task: index, slot },
            1 => Token::Incoming { stream: index, slot },
            _ => Token::Outgoing { stream: index, slot },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots beyond 65,535 once overflowed into the task's index.
    #[test]
    fn tokens_survive_the_way_through_the_transport() {
        for index in [0, 1, 65_535, 1 << 20] {
            for slot in [0, 65_535, 65_536, 65_537, u32::MAX as usize] {
                for token in [
                    Token::Sum { task: index, slot },
                    Token::Incoming { stream: index, slot },
                    Token::Outgoing { stream: index, slot },
                ] {
                    assert_eq!(Token::of(token.number()), token);
                }
            }
        }
    }
}
