//! How aggregators read and write objects of a store: whole or in chunks, and whether clients write an object a shard.

use std::fmt;
use std::str::FromStr;

use crate::experiment::Size;
use crate::gradient::Dtype;
use crate::plan::Flow;

/// The flow of data between functions and their store. Its text is `whole`, a size of chunks such as `64MiB`, `ranged`,
/// or `ranged:64MiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectFlow {
    /// Size of a chunk, bytes; None: each input is read by one request.
    pub chunk_bytes: Option<u64>,
    /// True: each client writes its gradient as one object, and aggregators read ranges of it. False: each client writes
    /// an object for each of its ranges that an aggregator reads.
    pub ranged: bool,
}

impl ObjectFlow {
    /// Returns the flow through an aggregator, in elements of `dtype`.
    pub fn pieces(self, dtype: Dtype) -> Flow {
        match self.chunk_bytes {
            None => Flow::Whole,
            Some(bytes) => Flow::Chunk { elements: (bytes / dtype.size() as u64).max(1) },
        }
    }
}

impl fmt::Display for ObjectFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ranged, self.chunk_bytes.map(Size)) {
            (false, None) => f.pad("whole"),
            (true, None) => f.pad("ranged"),
            (false, Some(size)) => f.pad(&size.to_string()),
            (true, Some(size)) => f.pad(&format!("ranged:{size}")),
        }
    }
}

/// An error says what can be written.
impl FromStr for ObjectFlow {
    type Err = String;

    fn from_str(text: &str) -> Result<ObjectFlow, String> {
        const OTHERS: &str = "write whole, ranged, a size such as 64MiB, or ranged:64MiB";
        let (ranged, size) = match text {
            "whole" => (false, None),
            "ranged" => (true, None),
            text => text.strip_prefix("ranged:").map_or((false, Some(text)), |size| (true, Some(size))),
        };
        let chunk_bytes = match size.map(str::parse::<Size>) {
            None => None,
            Some(Ok(Size(0))) => return Err(format!("a chunk of 0 bytes; {OTHERS}")),
            Some(Ok(Size(bytes))) => Some(bytes),
            Some(Err(error)) => return Err(format!("{error}; {OTHERS}")),
        };
        Ok(ObjectFlow { chunk_bytes, ranged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_reads_back_as_shown() {
        for (text, chunk_bytes, ranged) in [
            ("whole", None, false),
            ("ranged", None, true),
            ("64MiB", Some(64 << 20), false),
            ("ranged:5MiB", Some(5 << 20), true),
        ] {
            let flow = ObjectFlow { chunk_bytes, ranged };
            assert_eq!((text.parse(), flow.to_string()), (Ok(flow), text.to_owned()));
        }
        for text in ["", "0MiB", "ranged:", "ranged:0", "ranged:whole", "Whole", "range"] {
            assert!(text.parse::<ObjectFlow>().unwrap_err().contains("ranged:64MiB"), "{text}");
        }
    }
}
