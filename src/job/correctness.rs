//! Whether what a round has summed is what it had to sum.

use crate::engine::EngineError;
use crate::engine::transport::{Transport, agree, gather_numbers};
use crate::engine::verify::{self, Verification};
use crate::gradient::{Element, Range, Source};
use crate::job::JobError;
use crate::job::contender::Contender;
use crate::job::settle::settle;
use crate::results::row::Status;

/// Compares all ranks' results with the reference; a wrong element fails the cell.
pub fn verify<E: Element>(
    transport: &mut dyn Transport,
    contender: &mut Contender<'_>,
    source: &dyn Source,
    results: &[(Range, &[E])],
) -> Result<(), JobError> {
    let found = verify::verify::<E>(&contender.problem, source, results);
    let found = match settle(transport, found.map_err(EngineError::Source))? {
        Ok(found) => found,
        Err(reason) => {
            contender.ends(Status::Failed, format!("cannot be verified: {reason}"));
            return Ok(());
        }
    };
    let all = gather_numbers(transport, &found.to_numbers())?;
    let elements = contender.problem.elements;
    let mut verdict = Ok(());
    if let Some(all) = all {
        let of_all = all
            .iter()
            .filter_map(|numbers| Verification::from_numbers(numbers))
            .fold(Verification::default(), Verification::merge);
        verdict = judge(&of_all, elements);
        let before = contender.verification.take().unwrap_or_default();
        contender.verification = Some(Verification { elements, ..of_all.merge(before) });
    }
    if let Err(reason) = agree(transport, verdict)? {
        contender.ends(Status::Failed, reason);
    }
    Ok(())
}

fn judge(found: &Verification, elements: u64) -> Result<(), String> {
    if found.elements != elements {
        return Err(format!("the result has {} elements, not {elements}", found.elements));
    }
    match found.first_wrong {
        None => Ok(()),
        Some(first) => Err(format!(
            "{} of {elements} elements are wrong, beyond what any order of summation can cause; the first is element {first}",
            found.wrong
        )),
    }
}
