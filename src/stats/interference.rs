//! Interference: disturbances by other programs or the host that make a comparison untrustworthy.

/// A round counts as disturbed if a rank was off its core for more than this share of it. The share is several times
/// that of scheduler ticks and interrupts on an idle machine, and it exceeds the precision of comparisons.
const OFF_CORE: f64 = 0.05;

/// The share of disturbed samples above which a ratio is not trusted. A pair of samples is disturbed if either sample
/// is. The Hodges-Lehmann estimate breaks down if more than 1 − 1/√2 = 29 % of the pairs are disturbed (Hodges,
/// Efficiency in normal samples and tolerance of extreme values, 1967). If a share s of the samples is disturbed, the
/// share of pairs is 1 − (1 − s)², which is 1 − 1/√2 for s = 1 − 2^(−1/4) = 16 %.
const DISTURBED: f64 = 0.159;

/// The share of a node's cores above which other programs disturb a comparison. A twentieth of the memory bandwidth or
/// of the cores' time exceeds most differences between strategies.
const OTHERS: f64 = 0.05;

/// The share of disturbed pairs above which the Hodges-Lehmann estimate breaks down: 1 − 1/√2 (Hodges 1967).
const BREAKDOWN: f64 = 1.0 - std::f64::consts::FRAC_1_SQRT_2;

/// Returns true if disturbances are so many that the ratio of two cells is worth nothing: others took more of a node's
/// cores, or hit more of the cells' pairs of samples, than the estimate bears. `disturbed` is the share of the samples of
/// either cell in which a rank was off its core.
pub fn overwhelms(other_load: f64, disturbed: [f64; 2]) -> bool {
    let pairs = 1.0 - (1.0 - disturbed[0]) * (1.0 - disturbed[1]);
    other_load > BREAKDOWN || pairs > BREAKDOWN
}

/// Returns true if a round was disturbed. The round took `seconds`, and no rank was off its core for longer than
/// `off_core` seconds.
pub fn is_disturbed(seconds: f64, off_core: f64) -> bool {
    off_core > OFF_CORE * seconds
}

/// The core time of a node that programs other than the ranks used while a comparison's blocks ran.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OtherLoad {
    /// Core time used by others, seconds.
    others: f64,
    /// Core time available, seconds.
    cores: f64,
}

impl OtherLoad {
    /// Adds a block of `seconds` seconds on a node with `cores` cores. All programs together used `busy` core seconds,
    /// the ranks used `own` of them, and the host withheld `stolen` (steal time).
    pub fn add(&mut self, seconds: f64, cores: f64, busy: f64, own: f64, stolen: f64) {
        // The sum over many blocks is what counts. In a single block the kernel's ticks may show less time than the
        // ranks used.
        self.others += busy - own + stolen;
        self.cores += seconds * cores;
    }

    /// Returns the share of the cores' time that others used; None without a block.
    pub fn share(&self) -> Option<f64> {
        (self.cores > 0.0).then(|| (self.others / self.cores).max(0.0))
    }
}

/// The kind of disturbance that makes a cell's times unreliable.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, strum::Display, strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Interference {
    /// Other programs, or the host of a virtual machine, took too much of a node's cores.
    OtherLoad,
    /// Ranks were put off their cores in too many of the samples.
    OffCore,
    /// Both.
    OtherLoadAndOffCore,
}

impl Interference {
    /// True if ranks were put off their cores in too many of the samples.
    pub fn is_off_core(self) -> bool {
        self != Interference::OtherLoad
    }

    /// True if others took too much of a node's cores.
    pub fn is_other_load(self) -> bool {
        self != Interference::OffCore
    }
}

/// The disturbance of a cell, or None if its times can be trusted. `other_load` is the share of a node's cores that others
/// took, `disturbed` the share of the cell's samples in which a rank was off its core. Ranks that share cores put each
/// other off them, so `disturbed` does not count where `cores_shared`.
pub fn verdict(other_load: Option<f64>, disturbed: Option<f64>, cores_shared: bool) -> Option<Interference> {
    let others = other_load.is_some_and(|share| share > OTHERS);
    let off_core = disturbed.is_some_and(|share| share > DISTURBED && !cores_shared);
    match (others, off_core) {
        (true, true) => Some(Interference::OtherLoadAndOffCore),
        (true, false) => Some(Interference::OtherLoad),
        (false, true) => Some(Interference::OffCore),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_where_the_estimate_breaks_down() {
        let pairs = 1.0 - (1.0 - DISTURBED).powi(2);
        assert!((pairs - (1.0 - 0.5f64.sqrt())).abs() < 1e-3, "{pairs}");
        assert!(!is_disturbed(2.0, 0.1) && is_disturbed(2.0, 0.11));
    }

    #[test]
    fn others_are_all_but_the_ranks() {
        let mut load = OtherLoad::default();
        assert_eq!(load.share(), None);
        // Two cores for 10 s: 15 s busy, of which 12 the ranks'; 1 s stolen.
        load.add(10.0, 2.0, 15.0, 12.0, 1.0);
        assert_eq!(load.share(), Some(0.2));
        load.add(30.0, 2.0, 30.0, 30.0, 0.0);
        assert_eq!(load.share(), Some(0.05));
        // Ticks that count less than the ranks do.
        let mut load = OtherLoad::default();
        load.add(0.001, 2.0, 0.0, 0.002, 0.0);
        assert_eq!(load.share(), Some(0.0));
    }

    /// Two cells that are just reliable each have pairs at the breakdown point; one that is disturbed a little more beside a
    /// quiet one has not.
    #[test]
    fn a_ratio_bears_what_its_estimate_bears() {
        assert!(!overwhelms(0.29, [0.0, 0.0]) && overwhelms(0.30, [0.0, 0.0]));
        assert!(!overwhelms(0.06, [DISTURBED, DISTURBED]) && overwhelms(0.06, [0.17, 0.17]));
        assert!(!overwhelms(0.0, [0.23, 0.05]) && overwhelms(0.0, [0.0, 0.30]));
    }

    #[test]
    fn heavy_interference_is_said_and_light_is_not() {
        assert_eq!(verdict(Some(0.05), Some(0.159), false), None);
        assert_eq!(verdict(None, None, false), None);
        assert_eq!(verdict(Some(0.12), None, true), Some(Interference::OtherLoad));
        assert_eq!(verdict(None, Some(0.5), false), Some(Interference::OffCore));
        assert_eq!(verdict(None, Some(0.5), true), None);
        assert_eq!(verdict(Some(0.1), Some(0.5), false), Some(Interference::OtherLoadAndOffCore));
    }
}
