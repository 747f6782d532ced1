//! Counts that may grow with the number of ranks, for weak scaling: `4`, or `{"per_rank": 2}`.

use std::fmt;

use schemars::json_schema;
use serde::de::{self, MapAccess, Unexpected};
use serde::{Serialize, Serializer};

use crate::experiment::numbers::Count;
use crate::experiment::readable::{Readable, json_schema_of};

/// A number of clients or shards, as written in an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scaled {
    /// The same number for any number of ranks.
    Fixed(u64),
    /// A number for each rank that may host them.
    PerRank(u64),
}

impl Scaled {
    /// Returns the number if `ranks` ranks may host them; None if it exceeds [`Count::MAX`].
    pub fn on(self, ranks: u64) -> Option<u64> {
        match self {
            Scaled::Fixed(count) => Some(count),
            Scaled::PerRank(each) => each.checked_mul(ranks.max(1)).filter(|count| *count <= Count::MAX),
        }
    }
}

impl fmt::Display for Scaled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scaled::Fixed(count) => count.fmt(f),
            Scaled::PerRank(each) => write!(f, "{each} a rank"),
        }
    }
}

/// The error for an invalid object.
const FORM: &str = "write a number, or {\"per_rank\": number} with nothing else in it";

impl Readable for Scaled {
    fn expected() -> String {
        Count::expected()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        Count::from_scalar(value).map(|count| Scaled::Fixed(count.0))
    }

    fn from_object<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Count::only_entry(map, "per_rank", FORM).map(Scaled::PerRank)
    }
}

impl Serialize for Scaled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Scaled::Fixed(count) => serializer.serialize_u64(*count),
            Scaled::PerRank(each) => serializer.collect_map([("per_rank", each)]),
        }
    }
}

json_schema_of!(Scaled, |generator| json_schema!({
    "examples": [4, {"per_rank": 2}],
    "anyOf": [
        generator.subschema_for::<Count>(),
        {
            "type": "object",
            "description": "So many for each rank that may host them: weak scaling.",
            "properties": {"per_rank": generator.subschema_for::<Count>()},
            "required": ["per_rank"],
            "additionalProperties": false
        }
    ]
}));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_for_each_rank() {
        assert_eq!((Scaled::Fixed(4).on(7), Scaled::PerRank(2).on(7)), (Some(4), Some(14)));
        // With no hosts the layout is rejected elsewhere, so there are never cells with 0 clients.
        assert_eq!(Scaled::PerRank(2).on(0), Some(2));
        assert_eq!(Scaled::PerRank(u64::from(u32::MAX)).on(2), None);
    }
}
