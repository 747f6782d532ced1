//! Names from a known set, and messages about unknown ones.

use serde::de::{self, Unexpected};
use strum::VariantArray;

use crate::experiment::readable::Readable;
use crate::gradient::Dtype;
use crate::gradient::source::FileKind;
use crate::plan::{Caches, Closing, End, IntraNode, Order, Ready, Residency, Way};

/// Names by which strategies are known elsewhere.
const ALSO_CALLED: [(&str, &str); 6] = [
    ("fedavg", "tree-central"),
    ("server", "tree-central"),
    ("parameter-server", "tree-central"),
    ("gradssharding", "sharded-direct"),
    ("pat", "sharded-radix"),
    ("allreduce", "native-allreduce"),
];

/// Least similarity of a known name for it to be suggested.
const ALIKE: f64 = 0.5;

/// A setting with a fixed set of values, written as the names of its variants.
pub trait Named: Copy + PartialEq + VariantArray + Into<&'static str> {
    /// Name of the setting in messages, such as `order`.
    const WHAT: &'static str;

    /// Returns all values' names.
    fn names() -> Vec<&'static str> {
        Self::VARIANTS.iter().map(|value| (*value).into()).collect()
    }
}

macro_rules! named {
    ($($type:ty: $what:literal),+ $(,)?) => {$(impl Named for $type { const WHAT: &'static str = $what; })+};
}

named! {
    Caches: "caches",
    Closing: "closing",
    Dtype: "dtype",
    End: "end",
    FileKind: "format",
    IntraNode: "intra_node",
    Order: "order",
    Ready: "ready",
    Residency: "residency",
    Way: "across",
}

impl<T: Named> Readable for T {
    fn expected() -> String {
        format!("a {}: {}", T::WHAT, listed(&T::names()))
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        let Unexpected::Str(name) = value else { return Err(Self::wrong_type(value)) };
        let known = T::VARIANTS.iter().copied().find(|value| Into::<&str>::into(*value) == name);
        known.ok_or_else(|| E::custom(unknown(T::WHAT, name, &T::names())))
    }
}

/// Formats a list such as `"a", "b"`.
fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// Returns the known name most similar to `name`, if any is similar enough.
pub fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let same = ALSO_CALLED.iter().find(|(elsewhere, _)| *elsewhere == name).map(|(_, here)| *here);
    if let Some(here) = known.iter().copied().find(|known| Some(*known) == same) {
        return Some(here);
    }
    let likeness = |known: &str| {
        let known = known.to_lowercase();
        let edits = strsim::normalized_damerau_levenshtein(&name, &known);
        // Part of a name is a good hint even if most letters are missing, such as "ring" for "sharded-ring".
        let part = name.len() > 2 && (known.contains(&name) || name.contains(&known));
        if part { edits.max(ALIKE) } else { edits }
    };
    // max_by returns the last of equals, and the first is wanted.
    let scored = known.iter().rev().map(|known| (likeness(known), *known));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(score, _)| *score >= ALIKE).map(|(_, known)| known)
}

/// Returns ` did you mean "…"?` if a known name is similar to `name`, otherwise an empty text.
pub(crate) fn hint(name: &str, known: &[&str]) -> String {
    closest(name, known).map_or(String::new(), |best| format!(" did you mean {best:?}?"))
}

/// Makes the message for an unknown name: the kind of name, the most similar known name, and all known names.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    format!("unknown {what} {name:?};{} known: {}", hint(name, known), known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRATEGIES: [&str; 5] = ["sharded-direct", "sharded-ring", "tree-central", "tree-lambda-fl", "tree-lifl"];

    #[test]
    fn suggests_what_was_meant() {
        assert_eq!(closest("tree-lambda", &STRATEGIES), Some("tree-lambda-fl"));
        assert_eq!(closest("ring", &STRATEGIES), Some("sharded-ring"));
        assert_eq!(closest("Tree-LIFL", &STRATEGIES), Some("tree-lifl"));
        assert_eq!(closest("sharded_direct", &STRATEGIES), Some("sharded-direct"));
        assert_eq!(closest("FedAvg", &STRATEGIES), Some("tree-central"));
        assert_eq!(closest("fedavg", &["f32"]), None);
        assert_eq!(closest("zzz", &STRATEGIES), None);
        assert_eq!(closest("", &STRATEGIES), None);
        assert_eq!(closest("tree-lifl", &[]), None);
    }

    #[test]
    fn says_what_is_known() {
        assert_eq!(
            unknown("strategy", "tree-lambda", &STRATEGIES),
            "unknown strategy \"tree-lambda\"; did you mean \"tree-lambda-fl\"? known: sharded-direct, sharded-ring, \
             tree-central, tree-lambda-fl, tree-lifl"
        );
        assert_eq!(unknown("phase", "zzz", &["a", "b"]), "unknown phase \"zzz\"; known: a, b");
    }
}
