//! The fabric between nodes: groups of nodes whose links to other groups are narrower than their nodes' together.

use serde::{Deserialize, Serialize};

/// One level of a fabric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FabricLevel {
    /// Consecutive nodes that form a group.
    pub nodes_per_rack: usize,
    /// The bandwidth of a group's nodes together over that of its links to other groups; 1 is a full fabric.
    pub taper: f64,
    /// Time that a message between groups takes longer than one inside, microseconds.
    #[serde(default)]
    pub latency_us: f64,
}

/// The levels of a fabric, from the racks outwards. None: every node reaches every other at full speed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fabric(Vec<FabricLevel>);

/// Greatest number of levels.
const MOST_LEVELS: usize = 3;

/// A fabric that cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("fabric{field}: {problem}")]
pub struct FabricError {
    /// The field, with the number of the level before it.
    pub field: String,
    /// The problem and what would be right.
    pub problem: String,
}

impl Fabric {
    /// Reads a level, such as `{"nodes_per_rack": 16, "taper": 4}`, or a list of levels from the racks outwards.
    ///
    /// # Errors
    /// If the text is no such JSON, or a level is impossible.
    pub fn parse(text: &str) -> Result<Fabric, FabricError> {
        let refuse = |error: serde_json::Error| FabricError {
            field: String::new(),
            problem: format!("{error}; write {{\"nodes_per_rack\": 16, \"taper\": 4}} or a list of such levels"),
        };
        let is_list = text.trim_start().starts_with('[');
        let levels: Vec<FabricLevel> = match is_list {
            true => serde_json::from_str(text).map_err(refuse)?,
            false => vec![serde_json::from_str(text).map_err(refuse)?],
        };
        Fabric::of(levels)
    }

    /// The fabric of these levels, from the racks outwards.
    ///
    /// # Errors
    /// If a level is impossible.
    pub fn of(levels: Vec<FabricLevel>) -> Result<Fabric, FabricError> {
        let fault = |at: usize, name: &str, problem: String| FabricError { field: format!("[{at}].{name}"), problem };
        if levels.len() > MOST_LEVELS {
            return Err(FabricError {
                field: String::new(),
                problem: format!("{} levels; at most {MOST_LEVELS} are possible", levels.len()),
            });
        }
        let mut inside = 1;
        for (at, level) in levels.iter().enumerate() {
            if level.nodes_per_rack == 0 || !level.nodes_per_rack.is_multiple_of(inside) {
                let problem = format!("{}; write a multiple of {inside}, above 0", level.nodes_per_rack);
                return Err(fault(at, "nodes_per_rack", problem));
            }
            if !(level.taper.is_finite() && level.taper > 0.0) {
                return Err(fault(
                    at,
                    "taper",
                    format!("{}; write a number above 0, 1 for a full fabric", level.taper),
                ));
            }
            if !(level.latency_us.is_finite() && level.latency_us >= 0.0) {
                return Err(fault(at, "latency_us", format!("{}; write 0 or more", level.latency_us)));
            }
            inside = level.nodes_per_rack;
        }
        Ok(Fabric(levels))
    }

    /// The levels, from the racks outwards.
    pub fn levels(&self) -> &[FabricLevel] {
        &self.0
    }

    /// The levels at which two nodes are in different groups.
    pub fn crossed(&self, from: usize, to: usize) -> impl Iterator<Item = (usize, &FabricLevel)> {
        let apart = move |level: &FabricLevel| from / level.nodes_per_rack != to / level.nodes_per_rack;
        self.0.iter().enumerate().filter(move |(_, level)| apart(level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_crossed() {
        let fabric = Fabric::parse(r#"[{"nodes_per_rack": 4, "taper": 2}, {"nodes_per_rack": 16, "taper": 4}]"#);
        let fabric = fabric.expect("two levels");
        let crossed = |from, to| fabric.crossed(from, to).map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!((crossed(0, 3), crossed(3, 4), crossed(3, 16)), (vec![], vec![0], vec![0, 1]));
        assert_eq!(Fabric::parse(r#"{"nodes_per_rack": 4, "taper": 2}"#).expect("one").levels().len(), 1);
    }

    #[test]
    fn impossible_fabrics_are_refused_with_the_field() {
        for (text, expected) in [
            (r#"{"nodes_per_rack": 0, "taper": 2}"#, "fabric[0].nodes_per_rack: 0; write a multiple of 1, above 0"),
            (r#"{"nodes_per_rack": 4, "taper": 0}"#, "fabric[0].taper: 0; write a number above 0, 1 for a full fabric"),
            (
                r#"[{"nodes_per_rack": 4, "taper": 2}, {"nodes_per_rack": 6, "taper": 2}]"#,
                "fabric[1].nodes_per_rack: 6; write a multiple of 4, above 0",
            ),
        ] {
            assert_eq!(Fabric::parse(text).expect_err(text).to_string(), expected);
        }
        let unknown = Fabric::parse(r#"{"nodes_per_rack": 4, "tapr": 2}"#).expect_err("a wrong field").to_string();
        assert!(unknown.contains("unknown field `tapr`"), "{unknown}");
    }
}
