//! Caveats: limits on the use of the report's numbers.

use gradshard::results::row::{CellRow, Status};

use crate::source::Compared;

/// A reason not to use numbers for some purpose. `cells` counts the affected ones of `all` timed cells.
#[derive(Clone, Debug, PartialEq, strum::Display)]
pub enum Caveat {
    /// Ranks share cores.
    #[strum(to_string = "not for absolute times: ranks share cores, so times depend on the scheduler")]
    CoresShared,
    /// Other programs disturbed some cells, or ranks lost their cores.
    #[strum(
        to_string = "disturbed, so not reliable: {cells} of {all} cells; {which}: {worst}; measure again on a quiet \
        machine"
    )]
    Disturbed {
        /// Number of disturbed cells.
        cells: usize,
        /// Number of timed cells.
        all: usize,
        /// `of it` if there is one, else a phrase for the one that is disturbed most.
        which: &'static str,
        /// The disturbance of that one.
        worst: String,
    },
    /// Some cells were faster than the measured limits allow.
    #[strum(to_string = "not for shares of the limit: {cells} of {all} cells were faster than the measured limits \
        allow")]
    BeatenLimits {
        /// Number of these cells.
        cells: usize,
        /// Number of timed cells.
        all: usize,
    },
    /// The times of some cells drift.
    #[strum(to_string = "{cells} of {all} cells had not settled: interference or drift")]
    Drift {
        /// Number of these cells.
        cells: usize,
        /// Number of timed cells.
        all: usize,
    },
    /// A rank missed the common start in this number of rounds, which are left out.
    #[strum(to_string = "{0} more rounds are left out, as a rank missed the common start")]
    MissedWindows(u64),
    /// Some cells have no interval, as their rounds are too few or resemble each other.
    #[strum(
        to_string = "{cells} of {all} cells have no interval: too few rounds, or rounds that resemble the ones before"
    )]
    FewRounds {
        /// Number of these cells.
        cells: usize,
        /// Number of timed cells.
        all: usize,
    },
    /// The numbers are those of a single job.
    #[strum(to_string = "one job: no statement about other allocations of the same cluster")]
    OneJob,
    /// One of the two compared sides is a single job.
    #[strum(
        to_string = "one job per side: its rounds share one allocation, so a change may come from the allocation; run \
        several jobs with one label (LABEL=FILE)"
    )]
    OneJobASide,
    /// The picture shows a single round.
    #[strum(to_string = "one round of many: not for comparing strategies")]
    OneRound,
    /// The picture shows differences in the last bits.
    #[strum(to_string = "a difference in the last bits is not an error: floating-point addition is not associative")]
    LastBits,
    /// The numbers are calculated, not measured.
    #[strum(
        to_string = "a calculation: calibrated on published runs (Barrak 2026, error {left_out} for runs left out of \
        the fit), not measured by this file"
    )]
    Calculation {
        /// Relative root mean square error of the predictions of deployments that were left out of the fit, in percent.
        left_out: String,
    },
}

impl Caveat {
    /// True if both are the same caveat, even if with other numbers.
    pub fn is_of_kind(&self, other: &Caveat) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// True if it limits only the use of times.
    pub fn is_about_times(&self) -> bool {
        use Caveat::{CoresShared, Disturbed, Drift, FewRounds, MissedWindows, OneRound};
        matches!(self, CoresShared | Disturbed { .. } | Drift { .. } | FewRounds { .. } | MissedWindows(_) | OneRound)
    }
}

/// The caveats of `comparisons`, each once, with the number of cells that it affects. The list is never empty for a
/// single job.
pub fn caveats(comparisons: &[&Compared<'_>], jobs: usize) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    if comparisons.iter().any(|comparison| comparison.source.file.environment.cores_shared() == Some(true)) {
        caveats.push(Caveat::CoresShared);
    }
    let cells = comparisons.iter().flat_map(|comparison| comparison.contest.cells.iter().copied());
    let timed: Vec<&CellRow> = cells.filter(|cell| cell.status == Status::Ok && cell.samples > 0).collect();
    let all = timed.len();
    let count = |of: fn(&CellRow) -> bool| timed.iter().filter(|cell| of(cell)).count();
    let disturbed = timed.iter().filter_map(|cell| Some((cell.disturbed_share(), cell.disturbance()?)));
    if let Some((_, worst)) = disturbed.max_by(|one, other| one.0.total_cmp(&other.0)) {
        let cells = count(|cell| cell.interference.is_some());
        let which = if cells == 1 { "of it" } else { "of the one most disturbed" };
        caveats.push(Caveat::Disturbed { cells, all, which, worst });
    }
    let (beaten, drifting) = (count(CellRow::beats_its_limit), count(|cell| cell.drifts));
    let few = count(|cell| cell.ci_low_s.is_none());
    let missed: u64 = timed.iter().map(|cell| cell.missed_windows).sum();
    caveats.extend((beaten > 0).then_some(Caveat::BeatenLimits { cells: beaten, all }));
    caveats.extend((drifting > 0).then_some(Caveat::Drift { cells: drifting, all }));
    caveats.extend((missed > 0).then_some(Caveat::MissedWindows(missed)));
    caveats.extend((few > 0).then_some(Caveat::FewRounds { cells: few, all }));
    caveats.extend((jobs < 2).then_some(Caveat::OneJob));
    caveats
}
