//! The environment of a job in a result file: a JSON object that describes the machine, the MPI library and the build.
//!
//! The job writes the object; this file knows the names of the entries that are read again. Entries without a reader
//! stay as they are, so that files of other versions keep all they have.

use std::fmt;
use std::ops::Index;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::distinct::distinct;

const CORES_SHARED: &str = "cores_shared";
const LIMITS: &str = "limits";
const LIMITS_ON_NODES: &str = "limits_on_nodes";

/// Variables in which schedulers give the number of a job.
const SCHEDULER_JOB: [&str; 5] = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID", "JOB_ID"];

/// The description of a job's environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(Map<String, Value>);

impl Environment {
    /// Makes an environment from `description`, whose fields become the entries.
    ///
    /// # Errors
    /// If it does not serialise to a JSON object.
    pub fn of(description: &impl Serialize) -> Result<Environment, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(description)?)
    }

    /// Returns all entries in the order in which they were written.
    pub fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// Returns the name and version of the MPI library, or `threads`; empty if unknown.
    pub fn transport(&self) -> &str {
        self["transport"].as_str().unwrap_or_default()
    }

    /// Returns the number of ranks; 0 if unknown.
    pub fn ranks(&self) -> u64 {
        self["ranks"].as_u64().unwrap_or_default()
    }

    /// Returns the number of nodes; 0 if unknown.
    pub fn nodes(&self) -> u64 {
        self["nodes"].as_u64().unwrap_or_default()
    }

    /// Returns true if some ranks had to share cores, and None if this is unknown.
    pub fn cores_shared(&self) -> Option<bool> {
        self[CORES_SHARED].as_bool()
    }

    /// Returns true for the name of the entry that [`Environment::cores_shared`] reads.
    pub fn tells_of_shared_cores(name: &str) -> bool {
        name == CORES_SHARED
    }

    /// Returns the descriptions of the ranks' machines, in rank order.
    pub fn machines(&self) -> &[Value] {
        self["machines"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Returns the names of the nodes, each once, in rank order.
    pub fn hosts(&self) -> Vec<&str> {
        distinct(self.machines().iter().filter_map(|machine| machine["environment"]["hostname"].as_str()))
    }

    /// Returns the scheduler's number of the job; None without a scheduler.
    pub fn scheduler_job(&self) -> Option<&str> {
        let facts = &self.machines().first()?["environment"]["launcher"]["job"];
        SCHEDULER_JOB.into_iter().find_map(|name| facts.get(name)?.as_str())
    }

    /// Returns the value at a JSON pointer such as `/machines/0/environment/kernel` (RFC 6901).
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        let (name, rest) = pointer.strip_prefix('/')?.split_once('/').unwrap_or((pointer.get(1..)?, ""));
        let value = self.0.get(name)?;
        if rest.is_empty() { Some(value) } else { value.pointer(&format!("/{rest}")) }
    }

    /// Stores the limits measured on the first `nodes` nodes under their number of nodes, and those of the largest
    /// number of nodes as the job's.
    pub fn add_limits(&mut self, nodes: usize, limits: &Value) {
        let known = self.0.entry(LIMITS_ON_NODES).or_insert_with(|| Value::Object(Map::new()));
        let Some(known) = known.as_object_mut() else { return };
        let most = known.keys().all(|other| other.parse::<usize>().is_ok_and(|other| other <= nodes));
        known.insert(nodes.to_string(), limits.clone());
        if most {
            self.0.insert(LIMITS.to_owned(), limits.clone());
        }
    }

    /// Returns the entries that all `environments` have in common. Cores are shared if they are shared in any of them.
    pub fn common<'e>(mut environments: impl Iterator<Item = &'e Environment> + Clone) -> Environment {
        let all = environments.clone();
        let Some(first) = environments.next() else { return Environment::default() };
        let mut common = first.clone();
        common.0.retain(|name, value| environments.clone().all(|other| other.0.get(name) == Some(&*value)));
        if all.into_iter().any(|other| other.cores_shared() == Some(true)) {
            common.0.insert(CORES_SHARED.to_owned(), Value::Bool(true));
        }
        common
    }
}

/// The entry of a name; null if there is none.
impl Index<&str> for Environment {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        const NULL: &Value = &Value::Null;
        self.0.get(name).unwrap_or(NULL)
    }
}

/// The JSON text.
impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_read_by_their_names_and_unknown_ones_stay() {
        let host = |name: &str| json!({"environment": {"hostname": name, "launcher": {"job": {"PBS_JOBID": "77.s"}}}});
        let written = json!({"ranks": 3, "machines": [host("b"), host("b"), host("a")], "later": [1, {"deep": "θ"}]});
        let found = Environment::of(&written).expect("an object");
        assert_eq!((found.ranks(), found.nodes(), found.transport(), found.cores_shared()), (3, 0, "", None));
        assert_eq!((found.hosts(), found.scheduler_job()), (vec!["b", "a"], Some("77.s")));
        assert_eq!(found.at("/machines/2/environment/hostname"), Some(&json!("a")));
        assert_eq!((found.at("/ranks"), found.at("/machines/9"), found.at("ranks")), (Some(&json!(3)), None, None));
        assert_eq!(found.to_string(), written.to_string());
        assert_eq!(serde_json::from_str::<Environment>(&found.to_string()).expect("JSON"), found);
        assert!(Environment::of(&json!([1])).is_err());
    }
}
