//! The MPI library's algorithms and components that an experiment's cells use, out of those that it asks for and those that
//! the library has.

use std::collections::HashSet;

use crate::experiment::one_or_many::OneOrMany;
use crate::experiment::settings::NativeCalls;
use crate::plan::{Algorithm, LibraryName, Offered};

/// The word for every algorithm or component of the MPI library.
const ALL: &str = "all";

/// Returns the algorithms of each strategy: those of `asked` that its call has, the default if it has none of them.
///
/// `calling` holds the strategies that call the library, each with what the library offers for its call; None where there
/// is no library. Nothing is known then, and the cells become rows that say so.
///
/// # Errors
/// The field and the problem, if no call has an algorithm that is asked for.
pub(super) fn of_strategies(
    asked: &OneOrMany<Algorithm>,
    strategies: &[String],
    calling: &[(&String, Option<Offered>)],
) -> Result<Vec<Vec<Algorithm>>, (String, String)> {
    for (at, &algorithm) in asked.values().iter().enumerate().filter(|(_, algorithm)| algorithm.name() != ALL) {
        if !calling.is_empty() && !calling.iter().any(|(_, offered)| has(offered, algorithm)) {
            let lists: Vec<String> = calling.iter().map(|(strategy, offered)| listed(strategy, offered)).collect();
            let problem = format!("this MPI library has no algorithm \"{algorithm}\": {}", lists.join("; "));
            return Err((asked.place("native.algorithm", at), problem));
        }
    }
    let of = |strategy: &String| match calling.iter().find(|(other, _)| *other == strategy) {
        Some((_, offered)) => of_call(asked.values(), offered),
        None => vec![Algorithm::default()],
    };
    Ok(strategies.iter().map(of).collect())
}

/// Returns the components that calls prefer: those of `asked`, each once. `calling` is that of [`of_strategies`].
///
/// # Errors
/// The field and the problem, if the library has not one that is asked for, or if no call by the default algorithm would take it.
pub(super) fn components(
    asked: &NativeCalls,
    calling: &[(&String, Option<Offered>)],
) -> Result<Vec<LibraryName>, (String, String)> {
    let (algorithms, asked) = (asked.algorithm.values(), &asked.component);
    let there = calling.iter().find_map(|(_, offered)| offered.as_ref()).map(|offered| offered.components.as_slice());
    let mut found: Vec<LibraryName> = Vec::new();
    for (at, &component) in asked.values().iter().enumerate() {
        let refused = |problem: String| Err((asked.place("native.component", at), problem));
        if !component.is_default() && !algorithms.iter().any(|of| of.is_default() || of.name() == ALL) {
            return refused(
                "a named algorithm is of a component of its own; add \"default\" to native.algorithm".into(),
            );
        }
        if component.as_str() == ALL {
            found.extend([LibraryName::default()].iter().chain(there.unwrap_or_default()));
        } else if component.is_default() || there.is_none_or(|there| there.contains(&component)) {
            found.push(component);
        } else {
            let names: Vec<&str> = there.iter().copied().flatten().map(LibraryName::as_str).collect();
            let has = if names.is_empty() { "none that can be chosen".to_owned() } else { names.join(", ") };
            return refused(format!("this MPI library has no component \"{component}\" for collectives: it has {has}"));
        }
    }
    let mut seen = HashSet::new();
    found.retain(|component| seen.insert(*component));
    Ok(found)
}

fn has(offered: &Option<Offered>, algorithm: Algorithm) -> bool {
    offered.as_ref().is_none_or(|offered| offered.has(algorithm))
}

/// The algorithms of one call, each once.
fn of_call(asked: &[Algorithm], offered: &Option<Offered>) -> Vec<Algorithm> {
    let mut found: Vec<Algorithm> = Vec::new();
    for &algorithm in asked {
        if algorithm.name() == ALL {
            let all = offered.iter().flat_map(|offered| &offered.algorithms).map(|one| one.in_segments_of(algorithm));
            found.extend([Algorithm::default()].into_iter().chain(all));
        } else {
            found.push(algorithm);
        }
    }
    let mut seen = HashSet::new();
    found.retain(|algorithm| has(offered, *algorithm) && seen.insert(*algorithm));
    if found.is_empty() { vec![Algorithm::default()] } else { found }
}

/// The algorithms that a strategy's call has, in words.
fn listed(strategy: &str, offered: &Option<Offered>) -> String {
    let names: Vec<String> = offered.iter().flat_map(|offered| &offered.algorithms).map(Algorithm::to_string).collect();
    let segments =
        if offered.as_ref().is_some_and(|offered| offered.segments) { ", each also in segments" } else { "" };
    format!("{strategy} has {}{segments}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
}
