//! The library's algorithms compared with its default, at each measured size of each collective.

use std::collections::BTreeMap;

use serde::Serialize;

use super::collective::Collective;
use super::communicator_shape::CommunicatorShape;
use super::error::TuneError;
use crate::gradient::Dtype;
use crate::plan::{Algorithm, Caches};
use crate::results::ResultFile;
use crate::results::pairs::{TimedRow, Times, job_pairs, times};
use crate::results::row::CellRow;
use crate::stats::{Alpha, Interval, Ratio, pool};

/// An algorithm compared with the library's default.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The default's time divided by the algorithm's: above 1, the algorithm is faster.
    pub gain: f64,
    /// Lower end of the gain's interval. All intervals of all findings hold together with a probability of 95 %. None with
    /// too few blocks.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// Jobs over which the gain is pooled; if 1, it holds for the blocks of one job.
    pub jobs: u64,
    /// Blocks in which both were timed, over all jobs.
    pub blocks: u64,
}

/// One call of a collective: its size and shape, and the algorithms that were compared with the default.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The collective.
    pub collective: Collective,
    /// Ranks and nodes.
    pub shape: CommunicatorShape,
    /// Message size as the library counts it, bytes.
    pub bytes: u64,
    /// Element type that was measured.
    pub dtype: Dtype,
    /// Median time of the default, seconds; of the first job if there are several.
    pub default_seconds: f64,
    /// The other algorithms, the fastest first.
    pub candidates: Vec<Candidate>,
}

impl Finding {
    /// The algorithm that is known to be faster than the default by more than `margin` (0.03 is 3 %): the one with the
    /// greatest gain of those whose whole interval lies above 1 + `margin`. None if none is known to be.
    pub fn rule(&self, margin: f64) -> Option<&Candidate> {
        self.faster(margin).next()
    }

    /// The algorithms whose whole interval lies above 1 + `margin`, the fastest first.
    pub fn faster(&self, margin: f64) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(move |candidate| candidate.low.is_some_and(|low| low > 1.0 + margin))
    }
}

#[cfg(test)]
impl Finding {
    /// A finding on MPI_Reduce of 4 ranks on one node. Candidates have a name, a gain and the lower end of its interval.
    pub(super) fn made(bytes: u64, candidates: &[(&str, f64, f64)]) -> Finding {
        let candidate = |(name, gain, low): &(&str, f64, f64)| Candidate {
            algorithm: name.parse().expect(name),
            gain: *gain,
            low: Some(*low),
            high: Some(gain + 0.2),
            jobs: 1,
            blocks: 40,
        };
        Finding {
            collective: Collective::Reduce,
            shape: CommunicatorShape { ranks: 4, nodes: 1 },
            bytes,
            dtype: Dtype::F32,
            default_seconds: 1.0,
            candidates: candidates.iter().map(candidate).collect(),
        }
    }
}

/// The properties by which the library's rules tell calls apart: collective, shape and message size in bytes.
type RuledCall = (Collective, CommunicatorShape, u64);
/// The timed cells of one call, by algorithm; one entry per job.
type TimedAlgorithms<'f> = BTreeMap<String, Vec<TimedRow<'f>>>;

/// Compares every algorithm in `files` with the default of the same call.
///
/// If a file has several measurements of one call, the one with the fewest clients counts, as the local sums before the call
/// are part of all times. The error probability of 5 % is divided by the number of comparisons (Bonferroni), so that all
/// intervals hold together.
///
/// # Errors
/// [`TuneError::Twice`] if two files timed one call.
pub fn known(files: &[ResultFile]) -> Result<Vec<Finding>, TuneError> {
    let times: Vec<Times> = files.iter().map(times).collect();
    let of_files: Vec<_> = files.iter().zip(&times).map(|(file, times)| (file, calls(file, times))).collect();
    let compared: usize = of_files.iter().flat_map(|(_, calls)| calls.values()).map(|timed| timed.len() - 1).sum();
    let mut findings = BTreeMap::new();
    for (file, calls) in &of_files {
        for (&call, timed) in calls {
            if findings.insert(call, finding(file, call, timed, compared)).is_some() {
                let (collective, shape, bytes) = call;
                return Err(TuneError::Twice { collective, shape, bytes });
            }
        }
    }
    Ok(findings.into_values().collect())
}

/// The timed cells of each call whose default was timed.
fn calls<'f>(file: &'f ResultFile, times: &'f Times) -> BTreeMap<RuledCall, TimedAlgorithms<'f>> {
    let mut groups: BTreeMap<(RuledCall, u64, u64, u64), TimedAlgorithms<'f>> = BTreeMap::new();
    let is_ruled = |row: &&CellRow| row.caches == Caches::Warm && row.component.is_default();
    for row in file.cells.iter().filter(is_ruled).filter(|row| row.timed().is_some()) {
        let Some(collective) = Collective::timed_by(&row.strategy, row.end) else { continue };
        let Some(times) = times.get(&(row.job, row.cell)) else { continue };
        let shape = CommunicatorShape { ranks: row.ranks, nodes: row.nodes };
        let bytes = collective.message_bytes(row.elements, row.dtype.size() as u64, row.ranks);
        let of = groups.entry(((collective, shape, bytes), row.clients, row.comparison, row.shards)).or_default();
        of.entry(row.algorithm.to_string()).or_default().push(TimedRow { row, times });
    }
    let mut calls = BTreeMap::new();
    for ((call, ..), timed) in groups {
        // Groups are in the order of their number of clients.
        if timed.contains_key(Algorithm::DEFAULT) {
            calls.entry(call).or_insert(timed);
        }
    }
    calls
}

/// The finding on one call, out of `compared` comparisons altogether.
fn finding(
    file: &ResultFile,
    (collective, shape, bytes): RuledCall,
    timed: &TimedAlgorithms<'_>,
    compared: usize,
) -> Finding {
    let default = timed.get(Algorithm::DEFAULT).map_or(&[][..], Vec::as_slice);
    let mut candidates: Vec<Candidate> = timed
        .iter()
        .filter(|(name, _)| *name != Algorithm::DEFAULT)
        .filter_map(|(_, cells)| candidate(file, default, cells, compared))
        .collect();
    candidates.sort_by(|one, other| other.gain.total_cmp(&one.gain));
    let first = default.first().map(|cell| cell.row);
    Finding {
        collective,
        shape,
        bytes,
        dtype: first.map_or(Dtype::F32, |row| row.dtype),
        default_seconds: first.and_then(CellRow::timed).unwrap_or(f64::NAN),
        candidates,
    }
}

/// An algorithm's `cells` against those of the default. None if no job has a block of both.
fn candidate(
    file: &ResultFile,
    default: &[TimedRow<'_>],
    cells: &[TimedRow<'_>],
    compared: usize,
) -> Option<Candidate> {
    let algorithm = cells.first()?.row.algorithm;
    let shared = |alpha: Alpha| Alpha::new(alpha.get() / compared as f64);
    let pairs = job_pairs(file, default, cells);
    let ratios: Vec<Ratio> = pairs.iter().filter_map(|pair| pair.logs.ratio(shared(pair.alpha)?)).collect();
    let blocks = ratios.iter().map(|ratio| ratio.blocks as u64).sum();
    let (gain, interval) = match ratios.as_slice() {
        [only] => (only.estimate, only.interval),
        several => {
            let estimates: Vec<f64> = several.iter().map(|ratio| ratio.estimate).collect();
            let pooled = pool(&estimates, shared(Alpha::FIVE_PERCENT)?)?;
            (pooled.estimate, pooled.interval)
        }
    };
    let (low, high) = interval.map(|Interval { low, high }| (low, high)).unzip();
    Some(Candidate { algorithm, gain, low, high, jobs: ratios.len() as u64, blocks })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::plan::End;
    use crate::results::Environment;
    use crate::results::row::{RatioRow, Sample, Status};
    use crate::tune::Rules;

    const ALGORITHMS: [&str; 4] = ["default", "binomial", "chain", "pipeline"];

    /// A file of one job with MPI_Reduce at three sizes by four algorithms in 40 blocks. `seconds` are the medians by
    /// algorithm; every time strays by up to 10 %, and blocks by up to 50 %.
    fn file(seed: u64, seconds: [f64; 4]) -> ResultFile {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut file = ResultFile::new("{}".into(), Environment::default());
        for comparison in 0..3u64 {
            let blocks: Vec<f64> = (0..40).map(|_| random.random_range(1.0..1.5)).collect();
            for (at, (name, seconds)) in (0..).zip(ALGORITHMS.iter().zip(seconds)) {
                let cell = comparison * 4 + at;
                let row = CellRow {
                    cell,
                    comparison,
                    elements: 1024 << (4 * comparison),
                    strategy: "native-reduce".into(),
                    end: End::Root,
                    algorithm: name.parse().expect(name),
                    clients: 2,
                    ranks: 2,
                    nodes: 1,
                    shards: 1,
                    median_s: Some(seconds),
                    status: Status::Ok,
                    ..CellRow::default()
                };
                let mut sample = |(block, slow): (u64, &f64)| {
                    let seconds = seconds * slow * random.random_range(0.9..1.1);
                    Sample { cell, block, seconds, ..Sample::default() }
                };
                file.push(row, (0..).zip(&blocks).map(&mut sample).collect(), vec![]);
            }
            file.push_ratios(vec![RatioRow { comparison, alpha: 0.05, ..RatioRow::default() }]);
        }
        file
    }

    #[test]
    fn equal_algorithms_make_no_rule_in_95_of_100_files() {
        let ruled = |seed: &u64| !Rules::of(&known(&[file(*seed, [1.0; 4])]).expect("findings"), 0.0).is_empty();
        let wrong = (0..100).filter(ruled).count();
        assert!(wrong <= 5, "{wrong} of 100 files");
    }

    #[test]
    fn a_faster_algorithm_is_found_at_its_sizes_and_the_greatest_gain_wins() {
        let findings = known(&[file(7, [1.0, 0.98, 0.8, 0.5])]).expect("findings");
        let sizes: Vec<u64> = findings.iter().map(|finding| finding.bytes).collect();
        assert_eq!(sizes, [4 << 10, 4 << 14, 4 << 18]);
        for finding in &findings {
            let rule = finding.rule(0.03).expect("a rule");
            assert_eq!(rule.algorithm.name(), "pipeline");
            assert!((rule.gain - 2.0).abs() < 0.1 && rule.blocks == 40, "{rule:?}");
            assert_eq!(finding.candidates.len(), 3);
            // A gain of 2 % is no rule under a margin of 3 %.
            assert!(finding.candidates[2].low.expect("an interval") < 1.03);
        }
        let rules = Rules::of(&findings, 0.03);
        assert_eq!(
            (rules[0].at(4095), rules[0].at(4096).map(|found| found.to_string())),
            (None, Some("pipeline".into()))
        );
    }

    #[test]
    fn a_call_of_two_files_is_refused_and_other_ends_do_not_count() {
        let one = file(1, [1.0; 4]);
        assert!(matches!(known(&[one.clone(), one.clone()]), Err(TuneError::Twice { .. })));
        let mut scattered = one;
        scattered.cells.iter_mut().for_each(|cell| cell.end = End::Scattered);
        assert_eq!(known(&[scattered]).expect("no findings"), []);
    }
}
