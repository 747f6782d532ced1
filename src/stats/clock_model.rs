//! A linear model of another clock. It learns the clock's offset and drift from readings of both clocks, and it knows
//! the uncertainty of both.

/// The expected difference of the rates of two clocks, as a standard deviation. Quartz clocks agree to about 20 ppm,
/// and time servers slew a clock by some tens of ppm. Readings outweigh this prior knowledge as soon as they lie far
/// enough apart.
const DRIFT: f64 = 50e-6;
/// The number of readings that the model keeps. Temperature changes the rate of a clock, so old readings mislead.
const KEPT: usize = 16;
/// The uncertainty below which a new reading is not worth its messages, ns.
const SMALL: f64 = 1e3;

/// One reading of both clocks, taken by a ping-pong message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Time on this clock, ns.
    pub local: u64,
    /// Time on the reference clock minus time on this clock, ns.
    pub offset: i64,
    /// Bound of the error of `offset`, ns: half of the round-trip time.
    pub error: u64,
}

impl ClockReading {
    /// Computes a reading from a ping-pong. The message left at `sent` on this clock; the reference clock read
    /// `answered` when it was answered; the answer was back at `received` on this clock. The estimate assumes that the
    /// answer was given in the middle (Cristian, Probabilistic clock synchronization, Distributed Computing 3, 1989).
    /// The true moment lies between `sent` and `received`, which bounds the error.
    pub fn of_ping_pong(sent: u64, answered: u64, received: u64) -> ClockReading {
        let took = received.saturating_sub(sent);
        let local = sent + took / 2;
        ClockReading { local, offset: answered.wrapping_sub(local) as i64, error: took.div_ceil(2) }
    }

    /// Returns true if the reading is compatible with the two clocks being the same.
    pub fn allows_none(&self) -> bool {
        self.offset.unsigned_abs() <= self.error
    }
}

/// A model of the offset and the drift of the reference clock against this clock. It is the straight line through the
/// readings by weighted least squares. Each reading is weighted by its error, and the drift has the prior 0 ± 50 ppm
/// (ridge regression).
///
/// In the schemes of Jones and Koenig (2013) and of Hunold and Carpen-Amarie (HCA, 2015), too, each reading is the best
/// of many ping-pongs, and a line joins the readings. They take all readings before the measurement. This model takes
/// them between the blocks, so the line is as long as the measurement.
#[derive(Clone, Debug, Default)]
pub struct ClockModel {
    readings: Vec<ClockReading>,
    /// Value (ns) and slope (ns per ns) of the line, relative to the last reading.
    offset: f64,
    drift: f64,
    /// Variance of `offset`, variance of `drift`, and their covariance.
    variance: [f64; 3],
}

impl ClockModel {
    /// Adds a reading. Returns the residual, which is the offset that the model predicted before minus the new offset,
    /// ns; None for the first reading.
    pub fn add(&mut self, reading: ClockReading) -> Option<f64> {
        let before = self.predict(reading.local).map(|predicted| (predicted - i128::from(reading.offset)) as f64);
        if self.readings.len() == KEPT {
            self.readings.remove(0);
        }
        self.readings.push(reading);
        self.fit();
        before
    }

    fn fit(&mut self) {
        let Some(last) = self.readings.last() else { return };
        let (mut w, mut wx, mut wxx, mut wy, mut wxy) = (0.0, 0.0, DRIFT.powi(-2), 0.0, 0.0);
        for reading in &self.readings {
            // Differences are formed in integers, as the offsets of clocks that began at different boots exceed the
            // precision of f64.
            let x = (i128::from(reading.local) - i128::from(last.local)) as f64;
            let y = (i128::from(reading.offset) - i128::from(last.offset)) as f64;
            let weight = (reading.error.max(1) as f64).powi(-2);
            w += weight;
            wx += weight * x;
            wxx += weight * x * x;
            wy += weight * y;
            wxy += weight * x * y;
        }
        let determinant = w * wxx - wx * wx;
        self.offset = (wxx * wy - wx * wxy) / determinant;
        self.drift = (w * wxy - wx * wy) / determinant;
        self.variance = [wxx / determinant, w / determinant, -wx / determinant];
    }

    /// Predicts the offset when this clock reads `local`, ns; None without a reading.
    fn predict(&self, local: u64) -> Option<i128> {
        let last = self.readings.last()?;
        let x = (i128::from(local) - i128::from(last.local)) as f64;
        Some(i128::from(last.offset) + (self.offset + self.drift * x).round() as i128)
    }

    /// Converts the time `local` of this clock to the reference clock, ns. Without a reading it returns `local`.
    pub fn reference(&self, local: u64) -> u64 {
        (i128::from(local) + self.predict(local).unwrap_or(0)) as u64
    }

    /// Converts the time `reference` of the reference clock to this clock, ns.
    pub fn local(&self, reference: u64) -> u64 {
        let Some(last) = self.readings.last() else { return reference };
        // Each step multiplies the error by the drift. Within a day three steps are exact to the nanosecond.
        let mut local = (i128::from(reference) - i128::from(last.offset)) as u64;
        for _ in 0..3 {
            local = (i128::from(reference) - self.predict(local).unwrap_or(0)) as u64;
        }
        local
    }

    /// Returns the standard deviation of [`ClockModel::reference`] at `local`, ns. It is infinite without a reading.
    pub fn uncertainty(&self, local: u64) -> f64 {
        let Some(last) = self.readings.last() else { return f64::INFINITY };
        let x = (i128::from(local) - i128::from(last.local)) as f64;
        let [offset, drift, both] = self.variance;
        (offset + x * x * drift + 2.0 * x * both).max(0.0).sqrt()
    }

    /// Returns true if the uncertainty at `local` exceeds twice the error of the best reading, so that a new reading
    /// would help.
    pub fn is_stale(&self, local: u64) -> bool {
        let best = self.readings.iter().map(|reading| reading.error).min().unwrap_or(0) as f64;
        self.uncertainty(local) > (2.0 * best).max(SMALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// The reference clock is 5 hours behind and gains 20 µs per second. The readings have the errors `errors`.
    fn learnt(at: &[u64], errors: &[i64], bound: u64) -> ClockModel {
        let mut model = ClockModel::default();
        for (local, error) in at.iter().zip(errors) {
            model.add(ClockReading { local: *local, offset: offset(*local) + error, error: bound });
        }
        model
    }

    fn offset(local: u64) -> i64 {
        -18_000 * SECOND as i64 + (local / 50_000) as i64
    }

    const BEGIN: u64 = 1_000_000 * SECOND;

    #[test]
    fn a_ping_pong_bounds_its_error() {
        // The message takes 30 ns there and 10 ns back, and the reference is 1,000 ns ahead: it reads 990 + 20 at 120.
        let reading = ClockReading::of_ping_pong(100, 1_130, 140);
        assert_eq!(reading, ClockReading { local: 120, offset: 1_010, error: 20 });
        assert!(!reading.allows_none());
        assert!(ClockReading::of_ping_pong(100, 139, 140).allows_none());
        assert!(!ClockReading::of_ping_pong(100, 141, 140).allows_none());
        // This reference clock is behind.
        assert_eq!(ClockReading::of_ping_pong(1_000, 15, 1_010).offset, 15 - 1_005);
    }

    #[test]
    fn without_readings_both_are_one() {
        let model = ClockModel::default();
        assert_eq!((model.reference(7), model.local(7)), (7, 7));
        assert!(model.uncertainty(7).is_infinite() && model.is_stale(7));
    }

    #[test]
    fn one_reading_gives_the_offset_and_grows_stale() {
        let model = learnt(&[BEGIN], &[0], 5_000);
        assert_eq!(model.reference(BEGIN), (BEGIN as i64 + offset(BEGIN)) as u64);
        assert_eq!(model.uncertainty(BEGIN), 5_000.0);
        // 50 ppm of 1 s, beside 5 µs: √(50² + 5²).
        assert!((model.uncertainty(BEGIN + SECOND) - 50_249.4).abs() < 0.1);
        assert!(!model.is_stale(BEGIN) && !model.is_stale(BEGIN + SECOND / 10) && model.is_stale(BEGIN + SECOND));
    }

    #[test]
    fn far_readings_give_the_drift() {
        let at: Vec<u64> = (0..10).map(|k| BEGIN + 2 * k * SECOND).collect();
        // With alternating errors of 2 µs the line passes through the middle.
        let errors: Vec<i64> = (0..10).map(|k| if k % 2 == 0 { 2_000 } else { -2_000 }).collect();
        let model = learnt(&at, &errors, 2_000);
        for later in [0, SECOND, 10 * SECOND] {
            let local = at[9] + later;
            let right = (local as i64 + offset(local)) as u64;
            let off = model.reference(local).abs_diff(right) as f64;
            assert!(off <= 2.0 * model.uncertainty(local) && off < 3_000.0, "{off} after {later}");
            assert!(model.local(model.reference(local)).abs_diff(local) <= 1);
        }
        assert!(!model.is_stale(at[9] + 5 * SECOND));
    }

    #[test]
    fn a_bad_reading_weighs_little_and_the_next_one_tells_of_a_wrong_line() {
        let mut model = learnt(&[BEGIN, BEGIN + SECOND, BEGIN + 2 * SECOND], &[0, 0, 0], 1_000);
        let local = BEGIN + 3 * SECOND;
        let residual = model.add(ClockReading { local, offset: offset(local) + 900_000, error: 1_000_000 });
        // By now the line has learnt most of the 20 ppm, so its prediction differs by about the 900 µs.
        assert!((residual.unwrap() + 900_000.0).abs() < 3_000.0, "{residual:?}");
        let right = (local as i64 + offset(local)) as u64;
        assert!(model.reference(local).abs_diff(right) < 3_000);
        assert_eq!(ClockModel::default().add(ClockReading { local: 1, offset: 1, error: 1 }), None);
    }

    #[test]
    fn old_readings_are_forgotten() {
        let mut model = ClockModel::default();
        for k in 0..100 {
            // From the 50th reading on, the clock runs 40 ppm faster.
            let local = BEGIN + k * SECOND;
            let faster = if k > 50 { (k as i64 - 50) * 40_000 } else { 0 };
            model.add(ClockReading { local, offset: offset(local) + faster, error: 1_000 });
        }
        let local = BEGIN + 101 * SECOND;
        let right = (local as i64 + offset(local) + 51 * 40_000) as u64;
        assert!(model.reference(local).abs_diff(right) < 2_000);
    }
}
