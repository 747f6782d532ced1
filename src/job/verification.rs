//! Verifies a round: the sums, and the ranges that each rank holds at the end.

use crate::engine::transport::{Transport, gather_records};
use crate::engine::verify::{self, Verification};
use crate::engine::{EngineError, Round};
use crate::gradient::{Element, Range, Source};
use crate::job::JobError;
use crate::job::contender::Contender;
use crate::job::settle::settle;
use crate::plan::{End, Layout};
use crate::results::row::Status;

/// Compares all ranks' results with the reference; a wrong element fails the cell. Collective.
pub fn verify_result<E: Element>(
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
    let all = gather_records(transport, &found)?;
    let elements = contender.problem.elements;
    let mut verdict = Ok(());
    if let Some(all) = all {
        let of_all = Verification::of_all(all);
        verdict = judge(&of_all, elements, contender.sums_flat);
        let before = contender.verification.take().unwrap_or_default();
        contender.verification = Some(Verification { elements, places: of_all.places, ..of_all.merge(before) });
    }
    contender.agrees(transport, verdict)?;
    Ok(())
}

/// Returns an error if elements are wrong, missing or there twice, or if a plan that sums as the flat server does
/// (`flat`) has other bits.
pub fn judge(found: &Verification, elements: u64, flat: bool) -> Result<(), String> {
    if found.elements != elements {
        return Err(format!("the result has {} elements, not {elements}", found.elements));
    }
    if found.places != Range::new(0, elements).telescope() {
        return Err("some elements of the result are there twice and others are not".to_owned());
    }
    let Verification { wrong, differing, first_wrong, .. } = *found;
    if wrong > 0 {
        return Err(format!(
            "{wrong} of {elements} elements are wrong, beyond what any order of summation can cause; the first is \
             element {first_wrong}"
        ));
    }
    if flat && differing > 0 {
        return Err(format!(
            "{differing} of {elements} elements differ from the flat server's, although they are summed in its order"
        ));
    }
    Ok(())
}

/// Checks that every rank holds the ranges that the cell's end requires, and fails the cell if not. `digest` is that of
/// the whole result, on rank 0. Collective.
pub fn verify_end<E: Element>(
    transport: &mut dyn Transport,
    contender: &mut Contender<'_>,
    layout: &Layout,
    round: &Round<'_, E>,
    digest: u64,
) -> Result<(), JobError> {
    let Some(plan) = &contender.plan else { return Ok(()) };
    let kept = round.kept();
    let elements = kept.iter().map(|(range, _)| range.len()).sum();
    let holds = gather_records(transport, &[digest_of_all(&kept), elements])?.map_or(Ok(()), |told| {
        let wanted: Vec<_> = (0..told.len()).map(|rank| plan.wanted(&contender.problem, layout, rank)).collect();
        if let Some(rank) = (0..told.len()).find(|rank| told[*rank][1] != wanted[*rank].len()) {
            return Err(format!("rank {rank} holds {} elements at the end, not {}", told[rank][1], wanted[rank].len()));
        }
        let whole = |rank: &usize| wanted[*rank].len() == contender.problem.elements;
        let all = told.iter().map(|of| of[0]).fold(0, u64::wrapping_add);
        let right = match contender.problem.end {
            End::Scattered => all == digest,
            End::Root | End::Everywhere => (0..told.len()).filter(whole).all(|rank| told[rank][0] == digest),
        };
        if right { Ok(()) } else { Err("a rank does not hold the result that was aggregated".to_owned()) }
    });
    contender.agrees(transport, holds)?;
    Ok(())
}

/// Returns the digest of several ranges together.
pub fn digest_of_all<E: Element>(ranges: &[(Range, &[E])]) -> u64 {
    ranges.iter().map(|(range, elements)| digest(*range, elements)).fold(0, u64::wrapping_add)
}

/// Hashes a result independently of how it is divided into ranges. Elements are mixed with their index by
/// multiplication and a fold, and summed, so that ranks' digests add up.
fn digest<E: Element>(range: Range, elements: &[E]) -> u64 {
    let mut sum = 0u64;
    for (at, element) in (range.start..).zip(elements) {
        let bits = match E::DTYPE.size() {
            8 => bytemuck::cast::<f64, u64>(element.to_f64()),
            _ => u64::from(bytemuck::cast::<f32, u32>(element.to_f64() as f32)),
        };
        let mixed = (bits ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        sum = sum.wrapping_add(mixed ^ (mixed >> 32));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient::source::Synthetic;
    use crate::plan::Problem;

    #[test]
    fn a_range_that_is_told_twice_is_no_result() {
        let source = Synthetic::new(1, 3, 100, vec![1.0; 3]).expect("gradients");
        let problem = Problem::unweighted(100, 3, 1);
        let mut mean = vec![0.0f32; 100];
        let gradient = |client| {
            let mut gradient = vec![0.0f32; 100];
            crate::gradient::source::read(&source, client, Range::new(0, 100), &mut gradient).expect("a read");
            gradient
        };
        let all: Vec<Vec<f32>> = (0..3).map(gradient).collect();
        for (at, mean) in mean.iter_mut().enumerate() {
            *mean = (all[0][at] + all[1][at] + all[2][at]) / 3.0;
        }
        let right = mean.clone();
        let half = |from: usize| (Range::new(from as u64, from as u64 + 50), &right[from..from + 50]);
        let found = |halves: &[(Range, &[f32])]| verify::verify::<f32>(&problem, &source, halves).expect("verified");
        assert_eq!(judge(&found(&[half(0), half(50)]), 100, true), Ok(()));
        let twice = judge(&found(&[half(0), half(0)]), 100, false).expect_err("half of it is missing");
        assert!(twice.contains("there twice"), "{twice}");
        // A fused multiply-add would change single bits.
        mean[17] = f32::from_bits(mean[17].to_bits() ^ 1);
        let whole = [(Range::new(0, 100), mean.as_slice())];
        assert_eq!(judge(&found(&whole), 100, false), Ok(()));
        let other = judge(&found(&whole), 100, true).expect_err("one bit is another");
        assert!(other.starts_with("1 of 100 elements differ"), "{other}");
    }

    #[test]
    fn digests_add_up_over_cuts_and_see_every_place() {
        let elements = [1.0f32, -2.0, 3.5, 0.0, 9.0];
        let whole = digest(Range::new(10, 15), &elements);
        let cut = digest(Range::new(10, 12), &elements[..2]).wrapping_add(digest(Range::new(12, 15), &elements[2..]));
        assert_eq!(whole, cut);
        let swapped = [1.0f32, 3.5, -2.0, 0.0, 9.0];
        assert_ne!(whole, digest(Range::new(10, 15), &swapped));
    }
}
