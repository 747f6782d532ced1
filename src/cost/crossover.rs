//! The gradient size from which sharding costs less than a tree, and the one from which it takes less time, with what
//! calibration leaves open.

use crate::cost::calibrate::jackknife;
use crate::cost::sourced::Positive;
use crate::cost::{Asked, Calibration, Case, CostError, Estimate, Functions, Speed, estimate};

/// Sizes that are looked at in every doubling, to find where a curve crosses.
const A_DOUBLING: u32 = 6;
/// Halvings of a step between two sizes: to a millionth of it.
const HALVINGS: u32 = 20;
/// Standard deviations of a 95 % interval of what is normal.
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

/// Where sharding begins to win.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crossing {
    /// From this gradient size on, bytes.
    From(f64),
    /// At every size looked at.
    Always,
    /// At none.
    Never,
}

impl Crossing {
    /// The size as a number to be ordered: 0 for always, infinity for never.
    pub fn bytes(self) -> f64 {
        match self {
            Crossing::From(bytes) => bytes,
            Crossing::Always => 0.0,
            Crossing::Never => f64::INFINITY,
        }
    }
}

/// Sharding against a tree.
#[derive(Clone)]
pub struct Question {
    /// Sharding, of any size.
    pub sharded: Case,
    /// The tree, of any size.
    pub tree: Case,
    /// What is compared.
    pub quantity: Quantity,
    /// Least and largest gradient looked at, bytes.
    pub sizes: (f64, f64),
}

/// A crossover with what is not known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictedCrossover {
    /// Quantity the expected curves.
    pub crossing: Crossing,
    /// 95 % interval, bytes, of what the fit leaves open (jackknife over deployments).
    pub fit: (f64, f64),
    /// Where a single deployment of each, which strays from the fit as the measured ones do, would put it 95 times in
    /// 100, bytes.
    pub single: (f64, f64),
}

impl Question {
    /// ln(sharded / tree) at `bytes`, with durations of each so many times the speed's.
    fn log_ratio(&self, bytes: f64, platform: &Functions, factors: (f64, f64)) -> Result<f64, CostError> {
        let value = |case: &Case, time_factor: f64| -> Result<f64, CostError> {
            let elements = ((bytes / case.dtype.size() as f64).round() as u64).max(1);
            let work = Case { elements, ..case.clone() }.workload()?;
            Ok(self.quantity.value(&estimate(&work, platform, &Asked { time_factor, ..Asked::default() })))
        };
        Ok((value(&self.sharded, factors.0)? / value(&self.tree, factors.1)?).ln())
    }

    /// The size above which sharding wins at every size up to the largest.
    fn crossing(&self, platform: &Functions, factors: (f64, f64)) -> Result<Crossing, CostError> {
        let (least, largest) = self.sizes;
        let steps = ((largest / least).log2() * f64::from(A_DOUBLING)).ceil().max(1.0) as u32;
        let at = |step: u32| least * (largest / least).powf(f64::from(step) / f64::from(steps));
        // From the largest down: the last size at which it does not win.
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

    /// The crossover on `platform`, whose speed is the calibration's but for a `throughput` of the store that is so many
    /// times the measured one.
    ///
    /// # Errors
    /// Those of [`Case::workload`].
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
            // Some fit has no crossover: from the least to the greatest is all that can be said.
            _ => {
                let ends = logs.iter().map(|log| log.exp()).chain([crossing.bytes()]);
                ends.fold((f64::INFINITY, 0.0), |(low, high), size| (size.min(low), size.max(high)))
            }
        };
        // Two deployments stray on their own: together √2 as far, shared out evenly.
        let stray = (NORMAL_95 * calibration.speed.deployment_spread.get() / 2.0_f64.sqrt()).exp();
        let low = self.crossing(&best, (1.0 / stray, stray))?.bytes();
        let high = self.crossing(&best, (stray, 1.0 / stray))?.bytes();
        Ok(PredictedCrossover { crossing, fit, single: (low, high) })
    }

    /// The largest gradient, bytes, that `case` aggregates on `platform`, up to the largest looked at; None if not even
    /// the least.
    ///
    /// # Errors
    /// Those of [`Case::workload`].
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

/// `speed` with a store of so many times the throughput; requests take as long as before.
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
