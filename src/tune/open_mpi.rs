//! Rules in the formats of Open MPI's component coll/tuned, which reads them from the file that
//! `coll_tuned_dynamic_rules_filename` names if `coll_tuned_use_dynamic_rules` is set.
//!
//! The formats are those of Open MPI's documentation, "The tuned component".

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Rules, TuneError};

/// A version of the classic format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classic {
    /// The first, which all releases read.
    One,
    /// The second, which says so in its first line and has a limit of requests in each rule. Releases from 5.0.7 on read it.
    Two,
}

/// The rules in the classic format. A communicator with another number of ranks is left to the library.
///
/// # Errors
/// [`TuneError::Shapes`] if one collective has rules for two shapes with equally many ranks;
/// [`TuneError::Unnumbered`] if an algorithm has no number.
pub fn classic(rules: &[Rules], version: Classic) -> Result<String, TuneError> {
    let collectives: Vec<&[Rules]> = rules.chunk_by(|one, two| one.collective == two.collective).collect();
    let requests = if version == Classic::Two { " 0" } else { "" };
    let mut text = String::new();
    if version == Classic::Two {
        text += "rule-file-version-2\n";
    }
    let mut line = |words: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{words}");
    };
    line(format!("{} # collectives", collectives.len()));
    for of_collective in collectives {
        let collective = of_collective[0].collective;
        line(format!("{} # {collective}", collective.in_open_mpi().0));
        let mut sizes: Vec<(u64, Option<&Rules>)> = Vec::new();
        for rules in of_collective {
            let ranks = rules.shape.ranks;
            if let Some((_, Some(other))) = sizes.iter().find(|(of, other)| *of == ranks && other.is_some()) {
                return Err(TuneError::Shapes { collective, one: other.shape, other: rules.shape });
            }
            // Rules hold from this number of ranks up to the next one in the file, so one more rank ends them.
            sizes.retain(|(of, _)| *of != ranks);
            sizes.extend([(ranks, Some(rules)), (ranks + 1, None)]);
        }
        line(format!("{} # numbers of ranks", sizes.len()));
        for (ranks, rules) in sizes {
            let note = if rules.is_none() { " or more: the library's own choice" } else { "" };
            line(format!("{ranks} # ranks{note}"));
            let Some(rules) = rules else {
                line("1 # rules".to_owned());
                line(format!("0 0 0 0{requests}"));
                continue;
            };
            line(format!("{} # rules: bytes from, algorithm, fan-out, bytes of a segment", rules.steps.len()));
            for step in &rules.steps {
                let (number, segment, name) = match step.algorithm {
                    Some(algorithm) => {
                        let number = collective.number_in_open_mpi(algorithm);
                        let number = number.ok_or(TuneError::Unnumbered { collective, algorithm })?;
                        (number, algorithm.segment().unwrap_or(0), algorithm.to_string())
                    }
                    None => (0, 0, "the library's own choice".to_owned()),
                };
                line(format!("{} {number} 0 {segment}{requests} # {name}", step.from));
            }
        }
    }
    Ok(text)
}

/// The rules as JSON, version 3 of the format, which Open MPI reads from 6.0 on. Rules hold for exactly their number of
/// ranks, on one node or one rank a node if they were measured so.
pub fn version_3(rules: &[Rules]) -> Value {
    let mut collectives = serde_json::Map::new();
    for of_collective in rules.chunk_by(|one, two| one.collective == two.collective) {
        let name = of_collective[0].collective.in_open_mpi().1;
        collectives.insert(name.to_owned(), of_collective.iter().map(of_layout).collect());
    }
    json!({"rule_file_version": 3, "module": "tuned", "collectives": collectives})
}

/// The rules for one shape. Sizes without a rule are left to the library.
fn of_layout(rules: &Rules) -> Value {
    let ends = rules.steps.iter().skip(1).map(|next| json!(next.from - 1)).chain([json!("inf")]);
    let of_step = |(step, end): (&super::RuleStep, Value)| {
        let algorithm = step.algorithm?;
        let mut rule = json!({"msg_size_min": step.from, "msg_size_max": end, "alg": algorithm.name()});
        if let Some(segment) = algorithm.segment() {
            rule["seg_size"] = json!(segment);
        }
        Some(rule)
    };
    json!({
        "comm_size_min": rules.shape.ranks,
        "comm_size_max": rules.shape.ranks,
        "comm_rank_distribution": rules.shape.distribution(),
        "rules": rules.steps.iter().zip(ends).filter_map(of_step).collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tune::{Collective, CommunicatorShape, RuleStep};

    fn rules(collective: Collective, ranks: u64, nodes: u64, steps: &[(u64, Option<&str>)]) -> Rules {
        let step = |(from, name): &(u64, Option<&str>)| RuleStep {
            from: *from,
            algorithm: name.map(|name| name.parse().expect(name)),
        };
        Rules { collective, shape: CommunicatorShape { ranks, nodes }, steps: steps.iter().map(step).collect() }
    }

    fn three() -> Vec<Rules> {
        vec![
            rules(Collective::Reduce, 2, 1, &[(0, None), (4096, Some("binomial")), (4097, None)]),
            rules(Collective::Reduce, 3, 1, &[(0, None), (64, Some("pipeline/64KiB"))]),
            rules(
                Collective::ReduceScatter,
                4,
                4,
                &[(0, None), (8, Some("ring")), (99, Some("butterfly")), (100, None)],
            ),
        ]
    }

    /// Rules by collective and least number of ranks: least size, algorithm, fan-out, segment.
    type Table = BTreeMap<(u64, u64), Vec<Vec<u64>>>;

    /// Reads the classic format by its documentation: numbers in order, comments from # to the end of the line.
    fn read(text: &str, columns: usize) -> Table {
        let words = text.lines().filter(|line| !line.starts_with("rule-file-version"));
        let words = words.map(|line| line.split('#').next().expect("a first part"));
        let mut numbers = words.flat_map(str::split_whitespace).map(|word| word.parse::<u64>().expect(word));
        let mut next = || numbers.next().expect("a number");
        let mut table = Table::new();
        for _ in 0..next() {
            let collective = next();
            for _ in 0..next() {
                let ranks = next();
                let rules = (0..next()).map(|_| (0..columns).map(|_| next()).collect()).collect();
                table.insert((collective, ranks), rules);
            }
        }
        assert_eq!(numbers.next(), None);
        table
    }

    #[test]
    fn the_classic_format_is_read_as_documented() {
        let text = classic(&three(), Classic::One).expect("rules");
        let nothing = vec![vec![0, 0, 0, 0]];
        let expected = Table::from([
            ((11, 2), vec![vec![0, 0, 0, 0], vec![4096, 5, 0, 0], vec![4097, 0, 0, 0]]),
            // The communicator of 3 ranks has rules of its own, which end those of 2.
            ((11, 3), vec![vec![0, 0, 0, 0], vec![64, 3, 0, 65_536]]),
            ((11, 4), nothing.clone()),
            ((12, 4), vec![vec![0, 0, 0, 0], vec![8, 3, 0, 0], vec![99, 4, 0, 0], vec![100, 0, 0, 0]]),
            ((12, 5), nothing),
        ]);
        assert_eq!(read(&text, 4), expected, "{text}");
        let second = classic(&three(), Classic::Two).expect("rules");
        assert!(second.starts_with("rule-file-version-2\n"));
        assert!(read(&second, 5).values().flatten().all(|rule| rule[4] == 0));
    }

    #[test]
    fn layouts_that_a_format_cannot_tell_apart_are_refused() {
        let one = rules(Collective::Reduce, 4, 1, &[(0, None), (8, Some("chain"))]);
        let other = Rules { shape: CommunicatorShape { ranks: 4, nodes: 4 }, ..one.clone() };
        assert!(matches!(classic(&[one.clone(), other.clone()], Classic::One), Err(TuneError::Shapes { .. })));
        let rules = version_3(&[one, other]);
        let distributions: Vec<&Value> = rules["collectives"]["reduce"]
            .as_array()
            .expect("rules")
            .iter()
            .map(|of| &of["comm_rank_distribution"])
            .collect();
        assert_eq!(distributions, ["single-node", "one-per-node"]);
        let unknown = self::rules(Collective::Reduce, 4, 1, &[(0, Some("quantum"))]);
        assert!(matches!(classic(&[unknown], Classic::One), Err(TuneError::Unnumbered { .. })));
    }

    /// The fields of Open MPI's schema tuned_dynamic_file_schema.json; a field that it does not name is refused.
    mod schema {
        use std::collections::BTreeMap;

        use serde::Deserialize;

        #[derive(Deserialize, Debug)]
        #[serde(untagged)]
        pub enum Bound {
            Bytes(u64),
            Word(String),
        }

        #[derive(Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        pub struct SizeRule {
            pub msg_size_min: u64,
            pub msg_size_max: Bound,
            pub alg: String,
            pub seg_size: Option<u64>,
        }

        #[derive(Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        pub struct RanksRule {
            pub comm_size_min: u64,
            pub comm_size_max: u64,
            pub comm_rank_distribution: String,
            pub rules: Vec<SizeRule>,
        }

        #[derive(Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        pub struct File {
            pub rule_file_version: u32,
            pub module: String,
            pub collectives: BTreeMap<String, Vec<RanksRule>>,
        }
    }

    #[test]
    fn json_has_the_fields_of_the_librarys_schema() {
        let file: schema::File = serde_json::from_value(version_3(&three())).expect("the schema's fields");
        assert_eq!((file.rule_file_version, file.module.as_str()), (3, "tuned"));
        let reduce = &file.collectives["reduce"];
        assert_eq!((reduce[0].comm_size_min, reduce[0].comm_size_max), (2, 2));
        assert_eq!(reduce[0].comm_rank_distribution, "single-node");
        let only = &reduce[0].rules[..];
        assert!(
            matches!(only, [schema::SizeRule { msg_size_min: 4096, msg_size_max: schema::Bound::Bytes(4096), .. }]),
            "{only:?}"
        );
        let open = &reduce[1].rules[0];
        assert!(matches!(&open.msg_size_max, schema::Bound::Word(word) if word == "inf"), "{open:?}");
        assert_eq!((open.alg.as_str(), open.seg_size), ("pipeline", Some(65_536)));
        assert_eq!(file.collectives["reducescatter"][0].rules.len(), 2);
    }
}
