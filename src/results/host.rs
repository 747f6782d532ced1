//! Ratios that depend on the speed of the machine.

use std::collections::BTreeMap;

use super::ResultFile;
use super::row::{BlockRow, RatioRow, Sample};
use crate::stats::TwoSpeeds;

/// A ratio that differs between the two speeds at which a machine ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostDependence<'f> {
    /// The ratio.
    pub ratio: &'f RatioRow,
    /// The two speeds; states are bandwidths in bytes/s.
    pub speeds: TwoSpeeds,
}

/// Error probability of all findings of a comparison together.
const ALPHA: f64 = 0.05;

/// Returns the ratios of `file` that depend on the state of the machine, the greatest change first. The state is the
/// bandwidth of memory in a block, or of the wires where that was not measured.
pub fn host_dependences(file: &ResultFile) -> Vec<HostDependence<'_>> {
    let mut states: BTreeMap<(u64, u64), Vec<(u64, f64)>> = BTreeMap::new();
    for block in &file.blocks {
        let state = |block: &BlockRow| block.memory_bytes_per_s.or(block.wire_bytes_per_s);
        let of = states.entry((block.job, block.comparison)).or_default();
        of.extend(state(block).map(|state| (block.block, state)));
    }
    if states.values().all(Vec::is_empty) {
        return Vec::new();
    }
    let mut times: BTreeMap<(u64, u64), BTreeMap<u64, f64>> = BTreeMap::new();
    for sample in file.samples.iter().filter(|sample| sample.is_valid()) {
        let Sample { job, cell, block, seconds, .. } = sample;
        times.entry((*job, *cell)).or_default().insert(*block, *seconds);
    }
    let mut found: Vec<HostDependence<'_>> = Vec::new();
    for ratio in &file.ratios {
        let rivals = file.ratios.iter().filter(|other| (other.job, other.comparison) == (ratio.job, ratio.comparison));
        let at = |cell: u64| times.get(&(ratio.job, cell));
        let Some(states) = states.get(&(ratio.job, ratio.comparison)) else { continue };
        let Some((cell, baseline)) = at(ratio.cell).zip(at(ratio.baseline)) else { continue };
        let blocks = states.iter().filter_map(|(block, state)| Some((*state, cell.get(block)? / baseline.get(block)?)));
        let speeds = TwoSpeeds::of(&blocks.collect::<Vec<(f64, f64)>>());
        let depends = speeds.filter(|speeds| speeds.p * (rivals.count() as f64) < ALPHA);
        found.extend(depends.map(|speeds| HostDependence { ratio, speeds }));
    }
    let change = |of: &HostDependence<'_>| (of.speeds.slow.ratio.ln() - of.speeds.fast.ratio.ln()).abs();
    found.sort_by(|one, other| change(other).total_cmp(&change(one)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Environment;

    /// A file of one comparison whose second cell takes `slow` times as long as the first in slow blocks and `fast` times in
    /// fast ones.
    fn file(slow: f64, fast: f64) -> ResultFile {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        for block in 0..20 {
            let is_slow = block < 8;
            let (state, ratio) = if is_slow { (45e9, slow) } else { (90e9, fast) };
            let noise = 1.0 + (block % 5) as f64 * 1e-3;
            file.blocks.push(BlockRow { block, memory_bytes_per_s: Some(state * noise), ..BlockRow::default() });
            file.samples.push(Sample { cell: 0, block, seconds: 1.0, ..Sample::default() });
            file.samples.push(Sample { cell: 1, block, seconds: ratio * noise, ..Sample::default() });
        }
        let verdict = crate::stats::Verdict::Slower;
        file.ratios.push(RatioRow { cell: 1, baseline: 0, verdict, ..RatioRow::default() });
        file
    }

    #[test]
    fn a_ratio_that_follows_the_speed_is_found() {
        let two = file(1.68, 0.99);
        let found = host_dependences(&two);
        let [HostDependence { ratio, speeds }] = found.as_slice() else { unreachable!("one ratio: {found:?}") };
        assert_eq!((ratio.cell, speeds.slow.blocks, speeds.fast.blocks), (1, 8, 12));
        assert!((speeds.slow.ratio - 1.68).abs() < 0.01 && (speeds.fast.ratio - 0.99).abs() < 0.01);
        assert!(host_dependences(&file(1.5, 1.5)).is_empty());
    }
}
