//! Caveats: limits on the use of the report's numbers.

use std::fmt;

use gradshard::results::row::{CellRow, Status};

use crate::number::percent;
use crate::source::Compared;

/// A reason not to use numbers for some purpose. `cells` counts the affected ones of `all` timed cells.
#[derive(Clone, Debug, PartialEq)]
pub enum Caveat {
    /// Ranks share cores.
    CoresShared,
    /// Other programs disturbed some cells, or ranks lost their cores.
    Disturbed {
        /// Number of disturbed cells.
        cells: usize,
        /// Number of timed cells.
        all: usize,
        /// The disturbance of the cell with the largest share of disturbed samples.
        worst: String,
    },
    /// Some cells were faster than the limits that were measured before them.
    BeatenLimits {
        /// Number of these cells.
        cells: usize,
        /// Number of timed cells.
        all: usize,
    },
    /// The times of some cells drift.
    Drift {
        /// Number of these cells.
        cells: usize,
        /// Number of timed cells.
        all: usize,
    },
    /// A rank missed the common start in this number of rounds, which are left out.
    MissedWindows(u64),
    /// Some cells have too few rounds for an interval.
    FewRounds {
        /// Number of these cells.
        cells: usize,
        /// Number of timed cells.
        all: usize,
    },
    /// The numbers are those of a single job.
    OneJob,
    /// One of the two compared sides is a single job.
    OneJobASide,
    /// The picture shows a single round.
    OneRound,
    /// The picture shows differences in the last bits.
    LastBits,
    /// The numbers are calculated, not measured.
    Calculation {
        /// Relative root mean square error of the predictions of deployments that were left out of the fit.
        left_out: f64,
    },
}

impl Caveat {
    /// True if it limits only the use of times.
    pub fn is_about_times(&self) -> bool {
        use Caveat::{CoresShared, Disturbed, Drift, FewRounds, MissedWindows, OneRound};
        matches!(self, CoresShared | Disturbed { .. } | Drift { .. } | FewRounds { .. } | MissedWindows(_) | OneRound)
    }
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caveat::CoresShared => {
                f.write_str("not for absolute times: ranks share cores, so times depend on the scheduler")
            }
            Caveat::Disturbed { cells, all, worst } => {
                let which = if *cells == 1 { "of it" } else { "of the one most disturbed" };
                write!(
                    f,
                    "disturbed, so not reliable: {cells} of {all} cells; {which}: {worst}; measure again on a quiet \
                     machine"
                )
            }
            Caveat::BeatenLimits { cells, all } => write!(
                f,
                "not for shares of the limit: {cells} of {all} cells were faster than the limits measured before them allow"
            ),
            Caveat::Drift { cells, all } => write!(f, "{cells} of {all} cells had not settled: interference or drift"),
            Caveat::MissedWindows(rounds) => {
                write!(f, "{rounds} more rounds are left out, as a rank missed the common start")
            }
            Caveat::FewRounds { cells, all } => write!(f, "{cells} of {all} cells have too few rounds for an interval"),
            Caveat::OneJob => f.write_str("one job: no statement about other allocations of the same cluster"),
            Caveat::OneJobASide => f.write_str(
                "one job per side: its rounds share one allocation, so a change may come from the allocation; run \
                 several jobs with one label (LABEL=FILE)",
            ),
            Caveat::OneRound => f.write_str("one round of many: not for comparing strategies"),
            Caveat::LastBits => {
                f.write_str("a difference in the last bits is not an error: floating-point addition is not associative")
            }
            Caveat::Calculation { left_out } => write!(
                f,
                "a calculation: calibrated on published runs (Barrak 2026, error {} for runs left out of \
                 the fit), not measured by this file",
                percent(*left_out)
            ),
        }
    }
}

/// The caveats of `comparisons`, each once, with the number of cells that it affects. The list is never empty for a
/// single job.
pub fn caveats(comparisons: &[&Compared<'_>], jobs: usize) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    if comparisons.iter().any(|comparison| comparison.source.says("cores_shared")) {
        caveats.push(Caveat::CoresShared);
    }
    let cells = comparisons.iter().flat_map(|comparison| comparison.contest.cells.iter().copied());
    let timed: Vec<&CellRow> = cells.filter(|cell| cell.status == Status::Ok && cell.samples > 0).collect();
    let all = timed.len();
    let count = |of: fn(&CellRow) -> bool| timed.iter().filter(|cell| of(cell)).count();
    let share = |cell: &CellRow| cell.disturbed_samples.unwrap_or(0.0);
    let disturbed = timed.iter().filter_map(|cell| Some((share(cell), cell.disturbance()?)));
    if let Some((_, worst)) = disturbed.max_by(|one, other| one.0.total_cmp(&other.0)) {
        caveats.push(Caveat::Disturbed { cells: count(|cell| cell.interference.is_some()), all, worst });
    }
    let beaten = count(CellRow::beats_its_limit);
    if beaten > 0 {
        caveats.push(Caveat::BeatenLimits { cells: beaten, all });
    }
    let drifting = count(|cell| cell.drifts);
    if drifting > 0 {
        caveats.push(Caveat::Drift { cells: drifting, all });
    }
    let missed: u64 = timed.iter().map(|cell| cell.missed_windows).sum();
    if missed > 0 {
        caveats.push(Caveat::MissedWindows(missed));
    }
    let few = count(|cell| cell.ci_low_s.is_none());
    if few > 0 {
        caveats.push(Caveat::FewRounds { cells: few, all });
    }
    if jobs < 2 {
        caveats.push(Caveat::OneJob);
    }
    caveats
}
