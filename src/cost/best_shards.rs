//! The best number of shards: the cheapest, the fastest, and the choices on the frontier between them.

use crate::cost::{Asked, Case, CostError, Estimate, Functions, Usd, estimate};

/// A case with its price and its rank among the alternatives.
#[derive(Clone)]
pub struct Choice {
    /// The case.
    pub case: Case,
    /// Its price.
    pub estimate: Estimate,
    /// True if no feasible case is cheaper and as fast, or faster and as cheap.
    pub on_frontier: bool,
    /// True if no feasible case is cheaper.
    pub cheapest: bool,
    /// True if no feasible case is faster.
    pub fastest: bool,
}

/// Prices all `cases`, in their order, and marks those on the frontier between cost and latency. With `with_clients`
/// the costs include the clients' own requests.
///
/// # Errors
/// The errors of [`Case::workload`].
pub fn choices(
    cases: Vec<Case>,
    platform: &Functions,
    asked: &Asked,
    with_clients: bool,
) -> Result<Vec<Choice>, CostError> {
    let mut found = Vec::with_capacity(cases.len());
    for case in cases {
        let estimate = estimate(&case.workload()?, platform, asked);
        found.push(Choice { case, estimate, on_frontier: false, cheapest: false, fastest: false });
    }
    let point = |Choice { estimate, .. }: &Choice| {
        let feasible = estimate.infeasible.is_none();
        feasible.then(|| (estimate.counted_usd(with_clients), estimate.latency_s))
    };
    let points: Vec<Option<(Usd, f64)>> = found.iter().map(point).collect();
    let least_usd = points.iter().flatten().map(|point| point.0).min();
    let least_s = points.iter().flatten().map(|point| point.1).fold(f64::INFINITY, f64::min);
    for (choice, point) in found.iter_mut().zip(&points) {
        let Some((usd, seconds)) = *point else { continue };
        let beaten = points.iter().flatten().any(|(other_usd, other_s)| {
            *other_usd <= usd && *other_s <= seconds && (*other_usd < usd || *other_s < seconds)
        });
        choice.on_frontier = !beaten;
        choice.cheapest = Some(usd) == least_usd;
        choice.fastest = seconds <= least_s;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::platform::aws_lambda_s3;
    use crate::plan::strategies::find;

    fn of(elements: u64, shards: &[u64]) -> Vec<Choice> {
        let case = |m: &u64| Case::new(find("sharded-direct").unwrap(), elements, 20, *m);
        let cases = shards.iter().map(case).collect();
        choices(cases, &aws_lambda_s3().unwrap(), &Asked::default(), true).unwrap()
    }

    /// 5 GiB under 3,008 MiB: an input may have (3,008 − 450) / 3 = 852.67 MiB, so M ≥ 5120 / 852.67 = 6.005, which
    /// gives 7.
    #[test]
    fn the_ceiling_bounds_m_from_below() {
        let found = of(5 << 28, &[1, 2, 4, 6, 7, 8]);
        let feasible: Vec<u64> =
            found.iter().filter(|c| c.estimate.infeasible.is_none()).map(|c| c.case.shards).collect();
        assert_eq!(feasible, [7, 8]);
        assert!(found[0].estimate.infeasible.as_ref().unwrap().contains("needs 15810 MiB, the limit is 3008 MiB"));
        assert!(found.iter().all(|c| c.estimate.infeasible.is_none() || !c.on_frontier));
    }

    /// No case on the frontier is beaten by another, and the cheapest and the fastest cases are on it.
    #[test]
    fn the_frontier_is_not_beaten() {
        let found = of(134_301_514, &[1, 2, 3, 4, 6, 8, 10, 12, 16, 32]);
        let front: Vec<&Choice> = found.iter().filter(|c| c.on_frontier).collect();
        assert!(front.len() > 1);
        for a in &front {
            for b in &front {
                let less = a.estimate.usd() < b.estimate.usd();
                assert!(a.case.shards == b.case.shards || less == (a.estimate.latency_s > b.estimate.latency_s));
            }
        }
        assert_eq!(found.iter().filter(|c| c.cheapest && c.on_frontier).count(), 1);
        assert_eq!(found.iter().filter(|c| c.fastest && c.on_frontier).count(), 1);
    }
}
