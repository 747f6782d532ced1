//! Verifies cells on exact gradients where rounding would hide a client that is missing.

use std::sync::Arc;

use crate::engine::transport::{Transport, gather_records};
use crate::engine::verify::{Verification, verify};
use crate::engine::{EngineError, Residents, Round, Spec};
use crate::experiment::Comparison;
use crate::gradient::Element;
use crate::gradient::source::exact::Exact;
use crate::job::JobError;
use crate::job::contender::Contender;
use crate::job::settle::settle;
use crate::job::verification::judge;
use crate::plan::{Layout, Problem, Residency};
use crate::results::row::Status;

/// True if the bound on the error of any order of summation may hide an average client of so many: (N + 4)·u of the sum
/// and u of the result against 1/N, with a factor of 4 to be sure.
pub fn is_needed<E: Element>(clients: u64) -> bool {
    let n = clients as f64;
    (n + 4.0) * E::Acc::UNIT_ROUNDOFF + E::UNIT_ROUNDOFF > 1.0 / (4.0 * n)
}

/// Carries every cell out once, untimed, on gradients whose sums are exact in any order. A cell with one wrong bit fails.
/// Collective.
///
/// Weights are all 1 if those of the comparison are, so that the library takes the same way; otherwise 1, 2 and 3 in turn.
pub fn verify_exactly<E: Element>(
    transport: &mut dyn Transport,
    comparison: &Comparison,
    layout: &Arc<Layout>,
    shared: bool,
    contenders: &mut [Contender<'_>],
) -> Result<(), JobError> {
    let equal =
        contenders.first().is_none_or(|contender| contender.problem.weights.iter().all(|weight| *weight == 1.0));
    let weights: Vec<f64> = (0..comparison.clients).map(|k| if equal { 1.0 } else { (k % 3 + 1) as f64 }).collect();
    let source = Exact::new(comparison.elements, weights.clone());
    let weights: Arc<[f64]> = weights.into();
    let exact =
        |contender: &Contender<'_>| Problem { weights: Arc::clone(&weights), ..Problem::clone(&contender.problem) };
    let loaded = match (comparison.residency, contenders.first()) {
        (Residency::Resident, Some(contender)) => {
            Residents::<E>::load(&source, &exact(contender), layout, shared, transport)
        }
        _ => Ok(Residents::none()),
    };
    let residents = match settle(transport, loaded)? {
        Ok(residents) => residents,
        Err(reason) => {
            contenders.iter_mut().filter(|c| c.runs()).for_each(|c| c.ends(Status::Failed, reason.clone()));
            return Ok(());
        }
    };
    for contender in contenders.iter_mut().filter(|contender| contender.runs()) {
        let problem = Arc::new(exact(contender));
        let Ok(plan) = contender.strategy.plan(&problem, layout) else { continue };
        let spec = Spec { plan: plan.as_ref(), problem: &problem, layout, terms: contender.terms, source: &source };
        let carried = carry_out(transport, spec, &residents);
        let verdict = match settle(transport, carried)? {
            Ok(found) => {
                let all = gather_records(transport, &found)?;
                all.map_or(Ok(()), |all| judge(&Verification::of_all(all), comparison.elements, true))
            }
            Err(reason) => Err(reason),
        };
        contender
            .agrees(transport, verdict.map_err(|problem| format!("on gradients whose sums are exact: {problem}")))?;
    }
    Ok(())
}

fn carry_out<E: Element>(
    transport: &mut dyn Transport,
    spec: Spec<'_>,
    residents: &Residents<E>,
) -> Result<Verification, EngineError> {
    let mut round = Round::prepare(spec, residents, transport)?;
    round.reset();
    transport.barrier()?;
    round.run(transport)?;
    transport.barrier()?;
    let found = verify::<E>(spec.problem, spec.source, &round.results()).map_err(EngineError::Source)?;
    // Neighbours may still read this rank's memory.
    transport.barrier()?;
    Ok(found)
}
