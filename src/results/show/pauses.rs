//! A warning about blocks in which a rank, or its machine, stood still.

use std::collections::BTreeMap;

use super::page::Page;
use crate::results::ResultFile;
use crate::results::row::BlockRow;
use crate::stats::summarise;

/// A block stood still if it took so many times the median of its comparison, and so many seconds more.
const TIMES: f64 = 10.0;
const SECONDS: f64 = 3.0;

/// Appends a line if blocks stood still, with their number and the longest.
pub(super) fn pauses(page: &mut Page, file: &ResultFile) {
    let mut comparisons: BTreeMap<(u64, u64), Vec<&BlockRow>> = BTreeMap::new();
    for block in &file.blocks {
        comparisons.entry((block.job, block.comparison)).or_default().push(block);
    }
    let mut still: Vec<(&BlockRow, f64)> = Vec::new();
    for blocks in comparisons.values() {
        let seconds: Vec<f64> = blocks.iter().map(|block| block.seconds).collect();
        let Some(median) = summarise(&seconds).map(|summary| summary.median) else { continue };
        let stood = |block: &&BlockRow| block.seconds >= TIMES * median && block.seconds - median >= SECONDS;
        still.extend(blocks.iter().copied().filter(stood).map(|block| (block, median)));
    }
    let Some((longest, median)) = still.iter().max_by(|one, other| one.0.seconds.total_cmp(&other.0.seconds)) else {
        return;
    };
    let text = format!(
        "! PAUSE: {} block(s) took far longer than others: block {} of comparison {} {:.1} s, where the median is {median:.3} s. A \
         rank was stopped, or its machine. Samples of these blocks count like all others.",
        still.len(),
        longest.block,
        longest.comparison,
        longest.seconds
    );
    page.paragraph(&text, 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Environment;

    #[test]
    fn a_block_that_stood_still_is_told_and_slow_ones_are_not() {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        let row = |block, seconds| BlockRow { comparison: 2, block, seconds, ..BlockRow::default() };
        file.blocks = (0..9).map(|block| row(block, 0.05)).collect();
        let said = |file: &ResultFile| {
            let mut page = Page::new(100);
            pauses(&mut page, file);
            page.into_text().replace("\n  ", " ")
        };
        // A block of 2 s is long beside 50 ms, but the machine may have been slow; 20 s beside 3 s are not ten times as long.
        file.blocks[4].seconds = 2.0;
        assert_eq!(said(&file), "");
        file.blocks.push(row(9, 20.05));
        let right = "! PAUSE: 1 block(s) took far longer than others: block 9 of comparison 2 20.1 s, where the median is 0.050 s.";
        assert!(said(&file).starts_with(right), "{}", said(&file));
        file.blocks.iter_mut().take(9).for_each(|block| block.seconds = 3.0);
        assert_eq!(said(&file), "");
        file.blocks.clear();
        assert_eq!(said(&file), "");
    }
}
