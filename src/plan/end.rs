//! The state in which a round ends.

use crate::plan::words::words;

words! {
    /// The places of the finished ranges when a round ends. Times of different ends must not be compared.
    pub enum End {
        /// Each shard is finished on the one rank that owns it.
        Scattered,
        /// The whole result is on one rank, the first that may aggregate.
        Root,
        /// Every client holds the whole result.
        #[default]
        Everywhere,
    }
}
