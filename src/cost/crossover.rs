//! The gradient sizes from which sharding costs less, and takes less time, than a tree, with their uncertainty.

use crate::cost::calibrate::jackknife;
use crate::cost::sourced::Positive;
use crate::cost::{Asked, Calibration, Case, CostError, Estimate, Functions, Speed, estimate};

/// Number of sizes tried in every doubling, to find where a curve crosses.
const A_DOUBLING: u32 = 6;
/// Number of bisections between two sizes: they reduce the step to a millionth.
const HALVINGS: u32 = 20;
/// Half-width of a 95 % interval of the normal distribution, in standard deviations.
const NORMAL_95: f64 = 1.959_964;

/// A quantity of which a crossover is sought. Its text is the name in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
pub enum Quantity {
    /// Dollars of a round, with the clients' own requests.
    #[strum(serialize = "cost with clients")]
    CostWithClients,
    /// Dollars of a round, without the clients' own requests.
    #[strum(serialize = "cost without clients")]
    CostWithoutClients,
    /// Seconds of a round.
    #[strum(serialize = "latency")]
    Latency,
}

impl Quantity {
    fn value(self, estimate: &Estimate) -> f64 {
        match self {
            Quantity::CostWithClients => estimate.usd().to_f64(),
            Quantity::CostWithoutClients => estimate.without_clients_usd().to_f64(),
            Quantity::Latency => estimate.latency_s,
        }
    }
}

/// The gradient size at which sharding begins to win.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crossing {
    /// Sharding wins from this size on, bytes.
    From(f64),
    /// Sharding wins at every size tried.
    Always,
    /// Sharding wins at no size tried.
    Never,
}

impl Crossing {
    /// Returns the size as a number that can be compared: 0 for always, infinity for never.
    pub fn bytes(self) -> f64 {
        match self {
            Crossing::From(bytes) => bytes,
            Crossing::Always => 0.0,
            Crossing::Never => f64::INFINITY,
        }
    }
}

/// A comparison of sharding with a tree.
#[derive(Clone)]
pub struct Question {
    /// The sharded case. Its gradient size is ignored.
    pub sharded: Case,
    /// The case of the tree. Its gradient size is ignored.
    pub tree: Case,
    /// The quantity that is compared.
    pub quantity: Quantity,
    /// The least and the largest gradient size tried, bytes.
    pub sizes: (f64, f64),
}

/// A predicted crossover with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictedCrossover {
    /// The crossover of the expected curves.
    pub crossing: Crossing,
    /// 95 % interval due to the fit, bytes (jackknife over deployments).
    pub fit: (f64, f64),
    /// 95 % interval of the crossover of one deployment of each, bytes. Single deployments stray from the fit as the
    /// measured ones do.
    pub single: (f64, f64),
}

impl Question {
    /// Returns ln(sharded / tree) at `bytes`. All durations of the two are multiplied by the two `factors`.
    fn log_ratio(&self, bytes: f64, platform: &Functions, factors: (f64, f64)) -> Result<f64, CostError> {
        let value = |case: &Case, time_factor: f64| -> Result<f64, CostError> {
            let elements = ((bytes / case.dtype.size() as f64).round() as u64).max(1);
            let work = Case { elements, ..case.clone() }.workload()?;
            Ok(self.quantity.value(&estimate(&work, platform, &Asked { time_factor, ..Asked::default() })))
        };
        Ok((value(&self.sharded, factors.0)? / value(&self.tree, factors.1)?).ln())
    }

    /// Returns the number of steps from the least size to the largest.
    fn steps(&self) -> u32 {
        let (least, largest) = self.sizes;
        ((largest / least).log2() * f64::from(A_DOUBLING)).ceil().max(1.0) as u32
    }

    /// Returns the most inputs of sums that [`Question::answer`] prices: those of both plans for every size that it tries with
    /// the speed of the whole calibration, of each of its parts, and of two that stray.
    pub fn most_inputs(&self, calibration: &Calibration) -> u64 {
        let crossings = 3 + calibration.without_one.len() as u64;
        let tried = crossings * u64::from(self.steps() + 1 + HALVINGS);
        self.sharded.most_inputs().saturating_add(self.tree.most_inputs()).saturating_mul(tried)
    }

    /// Finds the size above which sharding wins at every size up to the largest.
    fn crossing(&self, platform: &Functions, factors: (f64, f64)) -> Result<Crossing, CostError> {
        let (least, largest) = self.sizes;
        let steps = self.steps();
        let at = |step: u32| least * (largest / least).powf(f64::from(step) / f64::from(steps));
        // From the largest size down, the loop finds the last size at which sharding does not win.
        for step in (0..=steps).rev() {
            if self.log_ratio(at(step), platform, factors)? < 0.0 {
                continue;
            }
            if step == steps {
                return Ok(Crossing::Never);
            }
            let (mut loses, mut wins) = (at(step), at(step + 1));
            for _ in 0..HALVINGS {
                let middle = (loses * wins).sqrt();
                if self.log_ratio(middle, platform, factors)? < 0.0 { wins = middle } else { loses = middle }
            }
            return Ok(Crossing::From((loses * wins).sqrt()));
        }
        Ok(Crossing::Always)
    }

    /// Predicts the crossover on `platform` with the speed of `calibration`, except that the throughput of the store is
    /// multiplied by `throughput`.
    ///
    /// # Errors
    /// The errors of [`Case::workload`].
    pub fn answer(
        &self,
        platform: &Functions,
        calibration: &Calibration,
        throughput: f64,
    ) -> Result<PredictedCrossover, CostError> {
        let with = |speed: &Speed| Functions { speed: faster(speed, throughput), ..platform.clone() };
        let best = with(&calibration.speed);
        let crossing = self.crossing(&best, (1.0, 1.0))?;
        let mut logs = Vec::new();
        for speed in &calibration.without_one {
            logs.push(self.crossing(&with(speed), (1.0, 1.0))?.bytes().ln());
        }
        let fit = match crossing {
            Crossing::From(bytes) if logs.iter().all(|log| log.is_finite()) => {
                let half = jackknife(&logs);
                (bytes * (-half).exp(), bytes * half.exp())
            }
            // A fit without a crossover has no interval, so the result is the range of all fits.
            _ => {
                let ends = logs.iter().map(|log| log.exp()).chain([crossing.bytes()]);
                ends.fold((f64::INFINITY, 0.0), |(low, high), size| (size.min(low), size.max(high)))
            }
        };
        // The two deployments stray independently, together √2 times as far. Each gets half of that.
        let stray = (NORMAL_95 * calibration.speed.deployment_spread.get() / 2.0_f64.sqrt()).exp();
        let low = self.crossing(&best, (1.0 / stray, stray))?.bytes();
        let high = self.crossing(&best, (stray, 1.0 / stray))?.bytes();
        Ok(PredictedCrossover { crossing, fit, single: (low, high) })
    }

    /// Finds the largest gradient, bytes, up to `most`, that `case` can aggregate on `platform`. None if even the least
    /// size tried is infeasible.
    ///
    /// # Errors
    /// The errors of [`Case::workload`].
    pub fn largest_feasible(&self, case: &Case, platform: &Functions, most: f64) -> Result<Option<f64>, CostError> {
        let feasible = |bytes: f64| -> Result<bool, CostError> {
            let elements = ((bytes / case.dtype.size() as f64) as u64).max(1);
            let work = Case { elements, ..case.clone() }.workload()?;
            Ok(estimate(&work, platform, &Asked::default()).infeasible.is_none())
        };
        let (mut good, mut bad) = (self.sizes.0, most);
        if !feasible(good)? {
            return Ok(None);
        }
        if feasible(bad)? {
            return Ok(Some(bad));
        }
        for _ in 0..2 * HALVINGS {
            let middle = (good * bad).sqrt();
            if feasible(middle)? { good = middle } else { bad = middle }
        }
        Ok(Some(good))
    }
}

/// Returns `speed` with the throughput of the store multiplied by `throughput`. The time of a request stays the same.
pub fn faster(speed: &Speed, throughput: f64) -> Speed {
    let times = |rate: Positive| Positive::new(rate.get() * throughput).unwrap_or(rate);
    Speed {
        read_mib_per_s: times(speed.read_mib_per_s),
        write_mib_per_s: times(speed.write_mib_per_s),
        ..speed.clone()
    }
}

#[cfg(test)]
#[path = "crossover_tests.rs"]
mod tests;
