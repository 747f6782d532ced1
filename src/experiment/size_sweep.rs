//! Gradient sizes as the option `--sizes` takes them.

use std::str::FromStr;

use crate::experiment::size::Size;

/// Factor between the sizes of a range that names none.
const FACTOR: u64 = 4;

/// Gradient sizes in bytes: `4KiB:1GiB` (each 4 times the one before), `4KiB:1GiB:2` (each twice), or a list of ranges and
/// sizes such as `1MiB,43MiB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeSweep(pub Vec<Size>);

impl FromStr for SizeSweep {
    type Err = String;

    fn from_str(text: &str) -> Result<SizeSweep, String> {
        let mut sizes = Vec::new();
        for item in text.split(',') {
            match item.split(':').collect::<Vec<_>>()[..] {
                [size] => sizes.push(above_zero(size)?),
                [from, to] => sizes.extend(range(above_zero(from)?, above_zero(to)?, FACTOR)?),
                [from, to, factor] => {
                    let problem = || format!("{factor:?} is no factor: write a whole number of at least 2");
                    let factor = factor.parse().ok().filter(|factor| *factor >= 2).ok_or_else(problem)?;
                    sizes.extend(range(above_zero(from)?, above_zero(to)?, factor)?);
                }
                _ => return Err(format!("{item:?} is no range: write FROM:TO or FROM:TO:FACTOR, such as 4KiB:1GiB:2")),
            }
        }
        Ok(SizeSweep(sizes))
    }
}

fn above_zero(text: &str) -> Result<Size, String> {
    let size: Size = text.parse()?;
    if size.bytes() > 0 { Ok(size) } else { Err(format!("{text:?}: a gradient has at least one element")) }
}

/// The sizes `from`, `from` · `factor`, … up to `to`.
fn range(from: Size, to: Size, factor: u64) -> Result<Vec<Size>, String> {
    if from > to {
        return Err(format!("{from}:{to}: the first size is the smaller one"));
    }
    let sizes = std::iter::successors(Some(from.bytes()), |bytes| bytes.checked_mul(factor));
    Ok(sizes.take_while(|bytes| *bytes <= to.bytes()).map(Size).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Result<Vec<u64>, String> {
        Ok(text.parse::<SizeSweep>()?.0.into_iter().map(Size::bytes).collect())
    }

    #[test]
    fn ranges_and_lists() {
        let fourfold: Vec<u64> = (0..10).map(|step| 4096 << (2 * step)).collect();
        assert_eq!(bytes("4KiB:1GiB"), Ok(fourfold));
        assert_eq!(bytes("1kB:7kB:2"), Ok(vec![1000, 2000, 4000]));
        assert_eq!(bytes("43MiB,4:20,8"), Ok(vec![43 << 20, 4, 16, 8]));
        assert_eq!(bytes("8B:18446744073709551615").map(|sizes| sizes.len()), Ok(31));
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, said) in [
            ("1MiB:1KiB", "1MiB:1KiB: the first size is the smaller one"),
            ("0", "\"0\": a gradient has at least one element"),
            ("4:8:1", "\"1\" is no factor: write a whole number of at least 2"),
            ("4:8:2:1", "\"4:8:2:1\" is no range: write FROM:TO or FROM:TO:FACTOR, such as 4KiB:1GiB:2"),
        ] {
            assert_eq!(bytes(text), Err(said.to_owned()));
        }
        assert!(bytes("").is_err() && bytes("4KiB:").is_err() && bytes("11M").is_err());
    }
}
