//! Exchanges small messages of a few numbers between two ranks.

use crate::engine::transport::{Transport, TransportError};
use crate::engine::watchdog::Watchdog;

/// Count of numbers in a message.
pub(super) const NUMBERS: usize = 3;
/// The content of a message.
pub(super) type Numbers = [u64; NUMBERS];

const SENT: usize = 0;
const RECEIVED: usize = 1;

/// Buffers of messages sent and received. The rank may have no other messages in flight.
pub(super) struct Exchange {
    /// The message to send and the message received. Boxed so that the memory can be leaked if a transport fails
    /// midway.
    numbers: Box<[Numbers; 2]>,
    tokens: Vec<usize>,
}

impl Exchange {
    pub fn new() -> Self {
        Exchange { numbers: Box::default(), tokens: Vec::with_capacity(2) }
    }

    /// Sends `numbers` to rank `to` and receives the message of rank `from`; the two may be equal. Returns when both
    /// are complete. Uses the greatest tag, which the engine leaves free.
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
            // The transport may still access the buffers, so they are leaked.
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
            // SAFETY: used by nothing else until the token is returned; leaked if it never is.
            unsafe { transport.receive(RECEIVED, from, tag, received.as_mut_ptr().cast(), bytes)? };
        }
        if let Some(to) = to {
            // SAFETY: as above; the buffer is not written until then.
            unsafe { transport.send(SENT, to, tag, sent.as_ptr().cast(), bytes)? };
        }
        let mut missing = usize::from(from.is_some()) + usize::from(to.is_some());
        let mut watchdog = Watchdog::new(transport.rank());
        while missing > 0 {
            transport.completed(&mut self.tokens)?;
            if self.tokens.is_empty() {
                transport.idle();
                watchdog.waits(|| match from.or(to) {
                    Some(other) => format!("waits for rank {other} to come to the start of a round"),
                    None => String::new(),
                });
            }
            missing -= self.tokens.len();
            self.tokens.clear();
        }
        Ok(())
    }
}
