//! The answer to the question which of the families to use, as a word for programs and the beginning of a sentence.

use serde::Serialize;

use crate::plan::Family;

/// The advice that follows from one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Advice {
    /// A sharded strategy is fastest.
    Shard,
    /// A tree is fastest.
    BuildATree,
    /// A single server, the ordinary FedAvg server, is fastest.
    KeepOneServer,
    /// A call of the MPI library is fastest.
    LeaveItToTheLibrary,
    /// The best two are equally fast within the margin.
    Either,
    /// The blocks show neither a difference nor equality.
    Undecided,
    /// The machine was disturbed so much that the ratio cannot be trusted.
    NotEstablished,
    /// Families were not compared, because no other was timed.
    NotCompared,
}

impl From<Family> for Advice {
    /// The advice if a family wins.
    fn from(family: Family) -> Advice {
        match family {
            Family::Sharded => Advice::Shard,
            Family::Tree => Advice::BuildATree,
            Family::Server => Advice::KeepOneServer,
            Family::Library => Advice::LeaveItToTheLibrary,
        }
    }
}

impl Advice {
    /// The word as the beginning of a sentence, such as `build a tree`.
    pub fn spoken(self) -> String {
        self.to_string().replace('-', " ")
    }
}

/// The answer of one comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The advice.
    pub advice: Advice,
    /// The sentence, which begins with the advice and gives its reason.
    pub sentence: String,
}
