//! Small messages: a few numbers to one rank, a few from another.

use crate::engine::transport::{Transport, TransportError};

/// Numbers in a message.
pub(super) const NUMBERS: usize = 3;
/// The numbers of a message.
pub(super) type Numbers = [u64; NUMBERS];

const SENT: usize = 0;
const RECEIVED: usize = 1;

/// What messages are sent from and arrive in. There must be no other message under way on the rank.
pub(super) struct Exchange {
    /// What is sent, then what is received. On the heap, where it stays should a transport fail halfway.
    numbers: Box<[Numbers; 2]>,
    tokens: Vec<usize>,
}

impl Exchange {
    pub fn new() -> Self {
        Exchange { numbers: Box::default(), tokens: Vec::with_capacity(2) }
    }

    /// Sends `numbers` to one rank and receives the numbers of another, which may be the same; returns when both is
    /// done. The tag is the greatest there is, which the engine leaves free.
    pub fn swap(
        &mut self,
        transport: &mut dyn Transport,
        to: Option<usize>,
        from: Option<usize>,
        numbers: Numbers,
    ) -> Result<Numbers, TransportError> {
        self.numbers[0] = numbers;
        let swapped = self.carry_out(transport, to, from);
        if swapped.is_err() {
            // The transport may still use what it was given.
            Box::leak(std::mem::take(&mut self.numbers));
        }
        swapped.map(|()| self.numbers[1])
    }

    fn carry_out(
        &mut self,
        transport: &mut dyn Transport,
        to: Option<usize>,
        from: Option<usize>,
    ) -> Result<(), TransportError> {
        let tag = transport.most_tag();
        let [sent, received] = self.numbers.as_mut();
        let bytes = size_of::<Numbers>();
        if let Some(from) = from {
            // SAFETY: ours alone until the token is yielded; kept for ever if it never is.
            unsafe { transport.receive(RECEIVED, from, tag, received.as_mut_ptr().cast(), bytes)? };
        }
        if let Some(to) = to {
            // SAFETY: as above, and not written before.
            unsafe { transport.send(SENT, to, tag, sent.as_ptr().cast(), bytes)? };
        }
        let mut missing = usize::from(from.is_some()) + usize::from(to.is_some());
        while missing > 0 {
            transport.completed(&mut self.tokens)?;
            if self.tokens.is_empty() {
                transport.idle();
            }
            missing -= self.tokens.len();
            self.tokens.clear();
        }
        Ok(())
    }
}
