//! Calibration: the speed of a platform, fitted to measurements of deployments on it, with the errors of the fit.
//!
//! A function with v vCPUs reads its inputs, sums them, and writes its sum, one after another. Its time is
//!
//! ```text
//! t = gets · c / v  +  bytes read / B  +  bytes read / (v · R)  +  puts · p  +  bytes written / W
//! ```
//!
//! with five parameters: c is the CPU time of a read request, p the time of a write request, B and W are the read and the
//! write throughput of the store for one function, and R is the summing rate of one vCPU. t is linear in c, p and the
//! reciprocals of B, W and R. The fit minimises the squared relative errors.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::statistics::Statistics;

use crate::cost::estimate::function_usd;
use crate::cost::functions::Duration;
use crate::cost::least_squares::{dot, fit_relative};
use crate::cost::measurements::{Billed, Deployment, LevelTimes, Statistic};
use crate::cost::slowest::expected_slowest;
use crate::cost::sourced::{NotNegative, Positive};
use crate::cost::workload::MIB;
use crate::cost::{Asked, Case, CostError, Estimate, Function, Functions, Measurements, Speed, Usd, estimate};

/// Names of the five parameters, for the error that nothing determines one.
const PARAMETERS: [&str; 5] = ["requests that read", "reading", "requests that write", "writing", "summing"];
/// Confidence level of the intervals.
const LEVEL: f64 = 0.95;

/// The phase of a function that a time measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum MeasuredPhase {
    /// The function reads its inputs.
    Read,
    /// The function sums its inputs.
    Sum,
    /// The function writes its sum.
    Write,
    /// All phases together.
    Function,
}

/// A measured time with the coefficients of the parameters in the model of this time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Index of the deployment in the measurements.
    pub deployment: usize,
    /// Level of the functions, from 1.
    pub level: u32,
    /// The phase that the time measures.
    pub phase: MeasuredPhase,
    /// Mean number of inputs of a function.
    pub inputs: f64,
    /// Mean size of an input, MiB.
    pub object_mib: f64,
    /// Memory of the function, MiB.
    pub memory_mib: u64,
    /// The published time, seconds.
    pub seconds: f64,
    /// Number of functions of which this is the slowest; 1 if the time is a mean.
    pub slowest_of: u64,
    coefficients: [f64; 5],
}

/// An observation with the errors of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// The observation.
    pub observation: Observation,
    /// ln(predicted / measured) with the fit to all deployments.
    pub fitted: f64,
    /// ln(predicted / measured) with the fit to all other deployments.
    pub left_out: f64,
}

/// A deployment predicted from the others.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// Index of the deployment in the measurements.
    pub deployment: usize,
    /// Predicted and published duration of a round, seconds.
    pub wall_s: (f64, f64),
    /// Predicted and published price of a round. Both count the same things.
    pub usd: (Usd, Usd),
}

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranged {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The result of a calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The fit to all deployments.
    pub speed: Speed,
    /// c, 1 / B, p, 1 / W and 1 / R with their jackknife intervals. Throughputs are the reciprocals.
    pub parameters: [Ranged; 5],
    /// All observations, with their errors.
    pub residuals: Vec<Residual>,
    /// Every deployment, predicted from the others.
    pub left_out: Vec<LeftOut>,
    /// The fits that each leave one deployment out, in the order of the deployments.
    pub without_one: Vec<Speed>,
}

impl Calibration {
    /// Root mean square error of the prices of deployments that the fit did not know, as a part of 1.
    pub fn price_error(&self) -> f64 {
        self.left_out.iter().map(|row| (row.usd.0.to_f64() / row.usd.1.to_f64()).ln()).quadratic_mean()
    }
}

/// Fits the speed of `platform` to `measurements`. The platform's memory rule and CPU share stay as they are.
///
/// # Errors
/// [`CostError`] if there are fewer than three deployments, if one names an unknown strategy, model or level, or if no
/// measurement determines a parameter.
pub fn calibrate(measurements: &Measurements, platform: &Functions) -> Result<Calibration, CostError> {
    let deployed: Vec<usize> = (0..measurements.deployments.len())
        .filter(|at| measurements.deployments[*at].feasible && !measurements.deployments[*at].phases.is_empty())
        .collect();
    if deployed.len() < 3 {
        return Err(CostError::TooFew(deployed.len()));
    }
    let mut cases = Vec::new();
    let mut observed = Vec::new();
    for at in &deployed {
        let deployment = &measurements.deployments[*at];
        let case = measurements.case(deployment)?;
        observed.extend(observations(*at, deployment, &case, platform)?);
        cases.push((*at, case));
    }
    let mut speed = fit(&observed, measurements, &cases, None, platform)?;
    let mut without_one = Vec::new();
    for at in &deployed {
        without_one.push(fit(&observed, measurements, &cases, Some(*at), platform)?);
    }
    let of = |at: usize| &without_one[deployed.iter().position(|other| *other == at).unwrap_or(0)];
    let residuals: Vec<Residual> = observed
        .iter()
        .map(|observation| Residual {
            fitted: error_of(observation, &speed),
            left_out: error_of(observation, of(observation.deployment)),
            observation: observation.clone(),
        })
        .collect();
    let whole = |r: &&Residual| matches!(r.observation.phase, MeasuredPhase::Read | MeasuredPhase::Function);
    let spread = residuals.iter().filter(whole).map(|r| r.left_out).quadratic_mean();
    speed.deployment_spread = NotNegative::new(spread).unwrap_or_default();
    let mut left_out = Vec::new();
    for (at, case) in &cases {
        left_out.extend(predict(*at, &measurements.deployments[*at], case, platform, of(*at))?);
    }
    let all: Vec<[f64; 5]> = without_one.iter().map(reciprocals).collect();
    let values = reciprocals(&speed);
    let parameters = std::array::from_fn(|p| {
        let replicates: Vec<f64> = all.iter().map(|one| one[p]).collect();
        let half = jackknife(&replicates);
        Ranged { value: values[p], low: (values[p] - half).max(0.0), high: values[p] + half }
    });
    Ok(Calibration { speed, parameters, residuals, left_out, without_one })
}

/// Returns half the width of a 95 % interval from n estimates that each leave one part out: t(n − 1) times √((n − 1) /
/// n · Σ (θᵢ − θ̄)²) (Tukey 1958; Efron and Tibshirani, An Introduction to the Bootstrap, chapter 11).
pub fn jackknife(replicates: &[f64]) -> f64 {
    let n = replicates.len() as f64;
    match StudentsT::new(0.0, 1.0, n - 1.0) {
        Ok(t) => t.inverse_cdf(0.5 + LEVEL / 2.0) * replicates.population_std_dev() * (n - 1.0).sqrt(),
        Err(_) => f64::INFINITY,
    }
}

fn reciprocals(speed: &Speed) -> [f64; 5] {
    [
        speed.get_vcpu_s.get(),
        1.0 / speed.read_mib_per_s.get(),
        speed.put_s.get(),
        1.0 / speed.write_mib_per_s.get(),
        1.0 / speed.sum_mib_per_vcpu_s.get(),
    ]
}

/// Returns ln(predicted / measured). If the time is the slowest of several, it is first converted to their mean.
fn error_of(observation: &Observation, speed: &Speed) -> f64 {
    let measured = observation.seconds / expected_slowest(&[(1.0, observation.slowest_of)], speed.spread.get());
    (dot(&observation.coefficients, &reciprocals(speed)) / measured).ln()
}

fn observations(
    at: usize,
    deployment: &Deployment,
    case: &Case,
    platform: &Functions,
) -> Result<Vec<Observation>, CostError> {
    let work = case.workload()?;
    let memory_mib = deployment.memory_mib.unwrap_or_else(|| platform.memory_mib(&work));
    let vcpus = platform.vcpus(memory_mib);
    let mut found = Vec::new();
    for phase in &deployment.phases {
        let alike = work.at_level(phase.level);
        let count: u64 = alike.iter().map(|function| function.count).sum();
        if count == 0 {
            let levels = work.levels().last().copied().unwrap_or(0);
            return Err(CostError::Level { deployment: deployment.name.clone(), level: phase.level, levels });
        }
        let mean =
            |of: fn(&Function) -> u64| alike.iter().map(|f| f.count as f64 * of(f) as f64).sum::<f64>() / count as f64;
        let (gets, read) = (mean(|f| f.gets), mean(|f| f.read_bytes) / MIB);
        let (puts, written) = (mean(Function::puts), mean(|f| f.written_bytes) / MIB);
        let parts = [
            (MeasuredPhase::Read, phase.read_s, [gets / vcpus, read, 0.0, 0.0, 0.0]),
            (MeasuredPhase::Sum, phase.sum_s, [0.0, 0.0, 0.0, 0.0, read / vcpus]),
            (MeasuredPhase::Write, phase.write_s, [0.0, 0.0, puts, written, 0.0]),
        ];
        // If the times of the phases are known, the time of the whole function adds no information.
        let in_parts = parts.iter().any(|(_, seconds, _)| seconds.is_some());
        let whole = phase.function_s.filter(|_| !in_parts);
        let all = [(MeasuredPhase::Function, whole, [gets / vcpus, read, puts, written, read / vcpus])];
        for (part, seconds, coefficients) in parts.into_iter().chain(all) {
            let Some(seconds) = seconds else { continue };
            found.push(Observation {
                deployment: at,
                level: phase.level,
                phase: part,
                inputs: gets,
                object_mib: read / gets,
                memory_mib,
                seconds: seconds.get(),
                slowest_of: if phase.of == Statistic::Slowest { count } else { 1 },
                coefficients,
            });
        }
    }
    Ok(found)
}

fn fit(
    observed: &[Observation],
    measurements: &Measurements,
    cases: &[(usize, Case)],
    without: Option<usize>,
    platform: &Functions,
) -> Result<Speed, CostError> {
    let kept: Vec<&(usize, Case)> = cases.iter().filter(|(at, _)| Some(*at) != without).collect();
    let (spread, dispatch_s) = spread_and_dispatch(measurements, &kept, platform.limits.concurrent.value)?;
    let rows: Vec<(Vec<f64>, f64)> = observed
        .iter()
        .filter(|observation| Some(observation.deployment) != without)
        .map(|o| (o.coefficients.to_vec(), o.seconds / expected_slowest(&[(1.0, o.slowest_of)], spread)))
        .collect();
    if let Some(silent) = (0..PARAMETERS.len()).find(|p| rows.iter().all(|(row, _)| row[*p] == 0.0)) {
        return Err(CostError::Unidentified(PARAMETERS[silent]));
    }
    let x = fit_relative(&rows);
    let rate = |p: usize| Positive::new(1.0 / x[p]).ok_or(CostError::Unidentified(PARAMETERS[p]));
    let time = |p: usize| NotNegative::new(x[p]).ok_or(CostError::Unidentified(PARAMETERS[p]));
    Ok(Speed {
        get_vcpu_s: time(0)?,
        read_mib_per_s: rate(1)?,
        put_s: time(2)?,
        write_mib_per_s: rate(3)?,
        sum_mib_per_vcpu_s: rate(4)?,
        spread: NotNegative::new(spread).unwrap_or_default(),
        deployment_spread: NotNegative::default(),
        dispatch_s: NotNegative::new(dispatch_s).unwrap_or_default(),
        source: measurements.source.clone(),
    })
}

/// Estimates two quantities. The first is the spread: the standard deviation of equal functions over their mean, from
/// the excess of the slowest. The second is the dispatch time: the duration of a level beyond its slowest function,
/// seconds. Both are means over the levels with enough data. Levels whose functions wait for each other are left out.
fn spread_and_dispatch(
    measurements: &Measurements,
    kept: &[&(usize, Case)],
    concurrent: u64,
) -> Result<(f64, f64), CostError> {
    let mut levels: Vec<(&LevelTimes, u64, bool)> = Vec::new();
    for (at, case) in kept {
        let work = case.workload()?;
        for phase in &measurements.deployments[*at].phases {
            let alike = work.at_level(phase.level);
            // Shards that differ by one element count as equal; groups of three and of two clients do not.
            let equal = alike.iter().all(|function| function.gets == alike[0].gets);
            levels.push((phase, alike.iter().map(|function| function.count).sum(), equal));
        }
    }
    let mean = |values: Vec<f64>| {
        if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
    };
    let dispatch = mean(
        levels
            .iter()
            .filter_map(|(phase, count, _)| {
                let alone = phase.function_s.filter(|_| *count == 1);
                Some(phase.phase_s?.get() - phase.slowest_s.or(alone)?.get())
            })
            .collect(),
    );
    let spread = mean(
        levels
            .iter()
            .filter(|(_, count, equal)| *equal && (2..=concurrent).contains(count))
            .filter_map(|(phase, count, _)| {
                let slowest = phase.slowest_s.map(Positive::get).or(phase.phase_s.map(|s| s.get() - dispatch))?;
                let normal = expected_slowest(&[(1.0, *count)], UNIT) - 1.0;
                Some((slowest / phase.function_s?.get() - 1.0) * UNIT / normal)
            })
            .collect(),
    );
    Ok((spread.max(0.0), dispatch.max(0.0)))
}

/// A reference spread. The excess of the slowest function is proportional to the spread, so the measured excess is
/// divided by the excess at this reference.
const UNIT: f64 = 0.1;

/// Predicts a deployment with the speed fitted to the others.
fn predict(
    at: usize,
    deployment: &Deployment,
    case: &Case,
    platform: &Functions,
    speed: &Speed,
) -> Result<Option<LeftOut>, CostError> {
    let (Some(wall_s), Some(usd)) = (deployment.wall_s, deployment.usd_per_round) else { return Ok(None) };
    let platform = Functions { speed: speed.clone(), ..platform.clone() };
    let asked = Asked { memory_mib: deployment.memory_mib, ..Asked::default() };
    let found = estimate(&case.workload()?, &platform, &asked);
    let counted = as_billed(&found, deployment.billed, &platform);
    Ok(Some(LeftOut { deployment: at, wall_s: (found.latency_s, wall_s.get()), usd: (counted, usd) }))
}

/// Returns the price of `found` without the clients' requests, counted as the publication counts it.
pub fn as_billed(found: &Estimate, billed: Billed, platform: &Functions) -> Usd {
    match billed {
        Billed::Mean => found.without_clients_usd(),
        Billed::SlowestWithoutWrite => {
            let level = |level: &crate::cost::estimate::LevelEstimate| {
                let Duration { read_s, sum_s, .. } = level.mean;
                let slowest = expected_slowest(&[(read_s + sum_s, level.functions)], platform.speed.spread.get());
                function_usd(slowest, found.memory_mib, platform).times(level.functions)
            };
            found.levels.iter().map(level).sum::<Usd>() + found.requests_usd
        }
    }
}

#[cfg(test)]
#[path = "calibrate_tests.rs"]
mod tests;
