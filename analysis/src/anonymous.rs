//! Takes the names of machines, users and files out of a result file, so that a report can be shown to strangers.

use gradshard::results::{Environment, ResultFile};
use serde_json::Value;

/// Replacement of a text that is left out.
const LEFT_OUT: &str = "(left out)";

/// Names of entries of JSON that tell of machines, users and files, and are left out with all that they hold.
const PRIVATE: [&str; 12] = [
    "command",
    "launched_by",
    "hostname",
    "hosts",
    "launcher",
    "parameter_files",
    "file",
    "path",
    "dataset",
    "rustflags",
    "cgroup",
    "scheduler_job",
];

/// Ends of names of files.
const ENDINGS: [&str; 15] = [
    ".h5",
    ".hdf5",
    ".json",
    ".npy",
    ".npz",
    ".safetensors",
    ".pt",
    ".pth",
    ".csv",
    ".sh",
    ".sbatch",
    ".txt",
    ".conf",
    ".toml",
    ".log",
];

/// Removes names of hosts, paths, names of files and command lines from a file. The measurements and the
/// kind of machine remain.
pub fn make_anonymous(file: &mut ResultFile) {
    let environments = || std::iter::once(&file.environment).chain(file.jobs.iter().map(|job| &job.environment));
    let mut hosts: Vec<String> = environments().flat_map(Environment::hosts).map(str::to_owned).collect();
    hosts.extend(file.jobs.iter().flat_map(|job| job.hosts.split(',')).map(str::to_owned));
    // A full name and its first part name the same host.
    let short: Vec<String> = hosts.iter().filter_map(|host| Some(host.split_once('.')?.0.to_owned())).collect();
    hosts.extend(short);
    hosts.retain(|host| !host.is_empty());
    hosts.sort_by_key(|host| std::cmp::Reverse(host.len()));
    let clean = |environment: &Environment| {
        let value = serde_json::to_value(environment).map(|value| json(value, &hosts)).unwrap_or_default();
        Environment::of(&value).unwrap_or_default()
    };
    file.environment = clean(&file.environment);
    for job in &mut file.jobs {
        job.environment = clean(&job.environment);
        for private in [&mut job.hosts, &mut job.scheduler_job] {
            private.clear();
        }
        // A merged file stays recognisable: its jobs still have a file name, without the name itself.
        if !job.file.is_empty() {
            job.file = LEFT_OUT.to_owned();
        }
    }
    let experiment = serde_json::from_str(&file.experiment_json).map(|value| json(value, &hosts));
    file.experiment_json = experiment.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_default();
    let cells = file.cells.iter_mut().map(|cell| [&mut cell.reason, &mut cell.model]);
    let rounds = file.function_rounds.iter_mut().map(|round| [&mut round.reason, &mut round.model]);
    for words in cells.chain(rounds).flatten() {
        *words = text(words, &hosts);
    }
}

/// The value without private entries, and with clean texts.
fn json(value: Value, hosts: &[String]) -> Value {
    match value {
        Value::String(found) => Value::String(text(&found, hosts)),
        Value::Array(values) => values.into_iter().map(|value| json(value, hosts)).collect(),
        Value::Object(entries) => {
            let clean = |(name, value): (String, Value)| {
                let is_private = PRIVATE.contains(&name.as_str()) && !value.is_null();
                let value = if is_private { Value::String(LEFT_OUT.to_owned()) } else { json(value, hosts) };
                (text(&name, hosts), value)
            };
            entries.into_iter().map(clean).collect()
        }
        other => other,
    }
}

/// The text with its hosts, paths and names of files replaced.
fn text(text: &str, hosts: &[String]) -> String {
    let in_name = |sign: char| sign.is_alphanumeric() || "/~._-%+@*\\".contains(sign);
    let mut clean = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|sign| in_name(sign) != in_name(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let bare = word.trim_end_matches(['.', '-']);
        if in_name(first) && (is_path(bare) || hosts.iter().any(|host| bare.split('@').any(|part| part == host))) {
            clean.push_str(LEFT_OUT);
            clean.push_str(&word[bare.len()..]);
        } else {
            clean.push_str(word);
        }
        rest = after;
    }
    clean
}

/// True for paths and names of files, and not for rates such as `GB/s`.
fn is_path(word: &str) -> bool {
    let lower = word.to_lowercase();
    let is_rate = word.split('/').count() == 2 && word.ends_with("/s");
    (word.contains(['/', '\\']) && word.len() > 1 && !is_rate) || ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_files_and_hosts_go_and_the_rest_stays() {
        let hosts = ["n7.cluster.org".to_owned(), "n7".to_owned()];
        for (given, right) in [
            ("no space in /scratch/anna/x.h5: 12 GB/s, 1.5 s", "no space in (left out): 12 GB/s, 1.5 s"),
            (
                "n7 and n7.cluster.org, not n71 or sharded-direct",
                "(left out) and (left out), not n71 or sharded-direct",
            ),
            ("ssh anna@n7.", "ssh (left out)."),
            ("reads weights.npz (../data/*.npy)", "reads (left out) ((left out))"),
            ("--out=~/results", "--out=(left out)"),
            ("tree-lambda-fl, M = 4, 95 %", "tree-lambda-fl, M = 4, 95 %"),
        ] {
            assert_eq!(text(given, &hosts), right);
        }
    }
}
