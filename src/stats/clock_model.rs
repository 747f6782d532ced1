//! Another clock in terms of one's own: offset and drift, learnt from readings of both, with what is not known of them.

/// What a clock's rate may differ from another's by, standard deviation: quartz is good to some 20 ppm, and time servers
/// slew a clock by tens of ppm beside. What readings say outweighs it as soon as they are far enough apart.
const DRIFT: f64 = 50e-6;
/// Readings that are kept. Temperature changes a clock's rate, so old ones are no good.
const KEPT: usize = 16;
/// An uncertainty that is never worth another exchange of messages, ns.
const SMALL: f64 = 1e3;

/// Both clocks read at one moment, as well as messages allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// This clock, ns.
    pub local: u64,
    /// The reference clock less this one, ns.
    pub offset: i64,
    /// How far off that may be, ns: half of what the message took there and back.
    pub error: u64,
}

impl Reading {
    /// From a message that left at `sent`, was answered when the reference clock stood at `answered`, and was back at
    /// `received`: the answer is taken to have been given in the middle (Cristian, Probabilistic clock synchronization,
    /// Distributed Computing 3, 1989). It was given somewhere between, which bounds the error.
    pub fn of_ping_pong(sent: u64, answered: u64, received: u64) -> Reading {
        let took = received.saturating_sub(sent);
        let local = sent + took / 2;
        Reading { local, offset: answered.wrapping_sub(local) as i64, error: took.div_ceil(2) }
    }

    /// True if the two clocks may be one.
    pub fn allows_none(&self) -> bool {
        self.offset.unsigned_abs() <= self.error
    }
}

/// Offset and drift of the reference clock against this one: the straight line through the readings, each weighted by
/// its error, by least squares, with a drift of 0 give or take 50 ppm known beforehand (ridge regression). As in the
/// schemes of Jones and Koenig (2013) and of Hunold and Carpen-Amarie (HCA, 2015) the best of many ping-pongs is a reading
/// and a line joins the readings; there they are taken at once, here between the blocks of a measurement, so that the line
/// is as long as the measurement.
#[derive(Clone, Debug, Default)]
pub struct ClockModel {
    readings: Vec<Reading>,
    /// Where the line is, relative to the last reading: ns, and ns a ns.
    offset: f64,
    drift: f64,
    /// Variances of these and their covariance.
    variance: [f64; 3],
}

impl ClockModel {
    /// Adds a reading. What the line said before it, less what it says: None for the first.
    pub fn add(&mut self, reading: Reading) -> Option<f64> {
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
            // Differences first: offsets of clocks that began at different boots exceed what f64 holds to the ns.
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

    /// The offset when this clock reads `local`, ns; None without a reading.
    fn predict(&self, local: u64) -> Option<i128> {
        let last = self.readings.last()?;
        let x = (i128::from(local) - i128::from(last.local)) as f64;
        Some(i128::from(last.offset) + (self.offset + self.drift * x).round() as i128)
    }

    /// What the reference clock reads when this one reads `local`; the same without a reading.
    pub fn reference(&self, local: u64) -> u64 {
        (i128::from(local) + self.predict(local).unwrap_or(0)) as u64
    }

    /// What this clock reads when the reference clock reads `reference`.
    pub fn local(&self, reference: u64) -> u64 {
        let Some(last) = self.readings.last() else { return reference };
        // Each step leaves the error of the last times the drift: three are exact to the ns within a day.
        let mut local = (i128::from(reference) - i128::from(last.offset)) as u64;
        for _ in 0..3 {
            local = (i128::from(reference) - self.predict(local).unwrap_or(0)) as u64;
        }
        local
    }

    /// Standard deviation of what [`ClockModel::reference`] says of `local`, ns; infinite without a reading.
    pub fn uncertainty(&self, local: u64) -> f64 {
        let Some(last) = self.readings.last() else { return f64::INFINITY };
        let x = (i128::from(local) - i128::from(last.local)) as f64;
        let [offset, drift, both] = self.variance;
        (offset + x * x * drift + 2.0 * x * both).max(0.0).sqrt()
    }

    /// True if at `local` the line is less certain than twice the best reading, so that another one would help.
    pub fn is_stale(&self, local: u64) -> bool {
        let best = self.readings.iter().map(|reading| reading.error).min().unwrap_or(0) as f64;
        self.uncertainty(local) > (2.0 * best).max(SMALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// The reference clock is 5 hours behind and gains 20 µs a second; readings err by `errors`.
    fn learnt(at: &[u64], errors: &[i64], bound: u64) -> ClockModel {
        let mut model = ClockModel::default();
        for (local, error) in at.iter().zip(errors) {
            model.add(Reading { local: *local, offset: offset(*local) + error, error: bound });
        }
        model
    }

    fn offset(local: u64) -> i64 {
        -18_000 * SECOND as i64 + (local / 50_000) as i64
    }

    const BEGIN: u64 = 1_000_000 * SECOND;

    #[test]
    fn a_ping_pong_bounds_its_error() {
        // There 30 ns, back 10 ns, the reference 1,000 ns ahead: read 990 + 20 at 120.
        let reading = Reading::of_ping_pong(100, 1_130, 140);
        assert_eq!(reading, Reading { local: 120, offset: 1_010, error: 20 });
        assert!(!reading.allows_none());
        assert!(Reading::of_ping_pong(100, 139, 140).allows_none());
        assert!(!Reading::of_ping_pong(100, 141, 140).allows_none());
        // A reference clock that is behind.
        assert_eq!(Reading::of_ping_pong(1_000, 15, 1_010).offset, 15 - 1_005);
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
        // Alternating 2 µs: the line goes through the middle.
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
        let residual = model.add(Reading { local, offset: offset(local) + 900_000, error: 1_000_000 });
        // The line has learnt most of 20 ppm by now: what it says differs by about the 900 µs.
        assert!((residual.unwrap() + 900_000.0).abs() < 3_000.0, "{residual:?}");
        let right = (local as i64 + offset(local)) as u64;
        assert!(model.reference(local).abs_diff(right) < 3_000);
        assert_eq!(ClockModel::default().add(Reading { local: 1, offset: 1, error: 1 }), None);
    }

    #[test]
    fn old_readings_are_forgotten() {
        let mut model = ClockModel::default();
        for k in 0..100 {
            // From the 50th on the clock runs 40 ppm faster.
            let local = BEGIN + k * SECOND;
            let faster = if k > 50 { (k as i64 - 50) * 40_000 } else { 0 };
            model.add(Reading { local, offset: offset(local) + faster, error: 1_000 });
        }
        let local = BEGIN + 101 * SECOND;
        let right = (local as i64 + offset(local) + 51 * 40_000) as u64;
        assert!(model.reference(local).abs_diff(right) < 2_000);
    }
}
