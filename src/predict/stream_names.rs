//! Names by which both ends of a stream know it, though one representative stands for many ranks.

use std::collections::HashMap;

use super::channel::StreamName;
use super::symmetry::Classes;
use crate::plan::Lowering;
use crate::plan::lowering::Feed;

/// The names of a rank's streams, by the rank at the other end and the tag.
pub struct StreamNames {
    outgoing: HashMap<(usize, u64), StreamName>,
    incoming: HashMap<(usize, u64), StreamName>,
}

impl StreamNames {
    /// The names of the streams of `rank`. Where every rank is a class of its own they are the tags; elsewhere parts have other
    /// numbers on each rank, and with them the streams other tags.
    pub fn of(lowering: &Lowering, rank: usize, classes: &Classes) -> StreamNames {
        let (mut outgoing, mut incoming) = (Vec::new(), Vec::new());
        if classes.is_all() {
            return StreamNames { outgoing: HashMap::new(), incoming: HashMap::new() };
        }
        for stream in &lowering.outgoing {
            let first = stream.segments.iter().map(|segment| classes.moved_element(segment.range.start, rank)).min();
            outgoing.push((stream.to, stream.tag, first.unwrap_or(0)));
        }
        for stream in &lowering.incoming {
            let first =
                stream.segments.iter().map(|segment| classes.moved_element(segment.range.start, stream.from)).min();
            incoming.push((stream.from, stream.tag, first.unwrap_or(0)));
        }
        for task in &lowering.sums {
            for feed in &task.feeds {
                if let Feed::Received { rank: from, tag, .. } = *feed {
                    incoming.push((from, tag, classes.moved_element(task.range.start, from)));
                }
            }
        }
        StreamNames { outgoing: numbered(outgoing), incoming: numbered(incoming) }
    }

    /// The name of the stream with a tag to a rank.
    pub fn to(&self, rank: usize, tag: u64) -> StreamName {
        self.outgoing.get(&(rank, tag)).copied().unwrap_or((tag, 0))
    }

    /// The name of the stream with a tag from a rank.
    pub fn from(&self, rank: usize, tag: u64) -> StreamName {
        self.incoming.get(&(rank, tag)).copied().unwrap_or((tag, 0))
    }
}

/// Gives streams between the same ranks that begin with the same element numbers in the order of their tags.
fn numbered(mut streams: Vec<(usize, u64, u64)>) -> HashMap<(usize, u64), StreamName> {
    streams.sort_unstable();
    let mut count: HashMap<(usize, u64), usize> = HashMap::new();
    let named = streams.into_iter().map(|(peer, tag, first)| {
        let number = count.entry((peer, first)).or_insert(0);
        *number += 1;
        ((peer, tag), (first, *number))
    });
    named.collect()
}
