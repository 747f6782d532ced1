//! Describes in words how ranks are spread over nodes, and compares the counts of the MPI library (ranks that can share
//! memory), the host names and Slurm.

use std::collections::{BTreeMap, BTreeSet};

/// Distribution of ranks over nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Ranks by node; nodes are ordered by their first rank.
    pub ranks_per_node: Vec<usize>,
    /// The distribution in words.
    pub text: String,
    /// True if all nodes have the same number of ranks.
    pub even: bool,
}

impl Spread {
    /// Computes the distribution, given the node of each rank.
    pub fn of(node_of: &[usize]) -> Spread {
        let mut names: Vec<usize> = Vec::new();
        let mut ranks_per_node: Vec<usize> = Vec::new();
        let mut runs = 0;
        for (rank, name) in node_of.iter().enumerate() {
            runs += usize::from(rank == 0 || node_of[rank - 1] != *name);
            match names.iter().position(|other| other == name) {
                Some(node) => ranks_per_node[node] += 1,
                None => {
                    names.push(*name);
                    ranks_per_node.push(1);
                }
            }
        }
        let nodes = ranks_per_node.len();
        let even = ranks_per_node.windows(2).all(|two| two[0] == two[1]);
        let mut text = match ranks_per_node.first() {
            None => "no ranks".to_owned(),
            Some(1) if even => format!("one rank on each of {nodes} node(s)"),
            Some(each) if even => format!("{each} ranks on each of {nodes} node(s)"),
            Some(_) => {
                let each: Vec<String> = ranks_per_node.iter().map(usize::to_string).collect();
                format!("uneven, ranks a node: {}", each.join(", "))
            }
        };
        if runs > nodes {
            text += "; neighbours by number are on different nodes";
        }
        Spread { ranks_per_node, text, even }
    }

    /// Returns sentences on inconsistent counts. `hosts` are the host names of the ranks; `job` are environment
    /// variables from the launcher.
    pub fn doubts(&self, hosts: &[&str], job: &BTreeMap<String, String>) -> Vec<String> {
        let mut doubts = Vec::new();
        let names: BTreeSet<&str> = hosts.iter().copied().collect();
        let nodes = self.ranks_per_node.len();
        if !names.is_empty() && names.len() != nodes {
            doubts.push(format!(
                "MPI finds {nodes} group(s) of ranks that can share memory, on {} host name(s): containers, or a /dev/shm \
                 that is not shared; what is said of nodes is said of these groups",
                names.len()
            ));
        }
        // Under mpirun this variable counts mpirun's daemons.
        let others = ["OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS"];
        if let Some(text) =
            job.get("SLURM_STEP_TASKS_PER_NODE").filter(|_| !others.iter().any(|it| job.contains_key(*it)))
            && let Some(mut counted) = slurm_counts(text)
        {
            let mut found = self.ranks_per_node.clone();
            counted.sort_unstable();
            found.sort_unstable();
            if counted != found {
                doubts.push(format!("Slurm counts {text} tasks a node; MPI finds {}", self.text));
            }
        }
        doubts
    }
}

/// Parses Slurm's notation of counts, such as `4,2,1(x2)`; None for any other text.
fn slurm_counts(text: &str) -> Option<Vec<usize>> {
    let mut counts = Vec::new();
    for part in text.split(',') {
        let (count, times) = match part.strip_suffix(')').and_then(|part| part.split_once("(x")) {
            Some((count, times)) => (count, times.parse().ok()?),
            None => (part, 1),
        };
        counts.extend(std::iter::repeat_n(count.parse::<usize>().ok()?, times));
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_ranks_are_spread() {
        for (node_of, text) in [
            (&[0, 0, 7, 7][..], "2 ranks on each of 2 node(s)"),
            (&[3, 1, 2], "one rank on each of 3 node(s)"),
            (&[0, 0, 0, 0, 1, 1, 2, 3], "uneven, ranks a node: 4, 2, 1, 1"),
            (&[0, 1, 0, 1], "2 ranks on each of 2 node(s); neighbours by number are on different nodes"),
            (&[], "no ranks"),
        ] {
            assert_eq!(Spread::of(node_of).text, text, "{node_of:?}");
        }
        assert_eq!(Spread::of(&[5, 5, 0]).ranks_per_node, [2, 1]);
    }

    #[test]
    fn reads_slurms_counts() {
        assert_eq!(slurm_counts("4,2,1(x2)"), Some(vec![4, 2, 1, 1]));
        assert_eq!(slurm_counts("2(x3)"), Some(vec![2, 2, 2]));
        assert_eq!((slurm_counts("two"), slurm_counts("2(x")), (None, None));
    }

    #[test]
    fn those_who_count_must_agree() {
        let spread = Spread::of(&[0, 0, 0, 0, 1, 1, 2, 3]);
        let job = |text: &str| BTreeMap::from([("SLURM_STEP_TASKS_PER_NODE".to_owned(), text.to_owned())]);
        let hosts = ["a", "a", "a", "a", "b", "b", "c", "d"];
        assert!(spread.doubts(&hosts, &job("1,4,2,1")).is_empty());
        assert!(spread.doubts(&hosts, &job("2(x4)"))[0].contains("Slurm counts 2(x4)"));
        assert!(spread.doubts(&["a"; 8], &BTreeMap::new())[0].contains("4 group(s) of ranks"));
        let mut by_mpirun = job("1(x4)");
        by_mpirun.insert("OMPI_COMM_WORLD_SIZE".to_owned(), "8".to_owned());
        assert!(spread.doubts(&hosts, &by_mpirun).is_empty());
    }
}
