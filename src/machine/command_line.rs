//! Reads the command lines that started a run: gradshard's own, and the launcher's, whose options bind ranks and choose
//! transports.

use std::fs;
use std::path::Path;

/// Program names of launchers, without suffixes of packages such as in `mpirun.openmpi`.
const LAUNCHERS: [&str; 8] = ["mpirun", "mpiexec", "orterun", "prterun", "srun", "flux", "jsrun", "aprun"];
/// Greatest number of parent processes searched for the launcher.
const MOST_PARENTS: usize = 8;
/// Options of launchers whose value is a number, a binding or a transport, separated by blanks. Values of other options may
/// be secrets, names or free text.
const ONE_VALUE: &str = "n np c N ppn npernode npersocket perhost nodes ntasks ntasks-per-node cpus-per-task tasks-per-node \
    bind-to map-by rank-by cpus-per-proc cpus-per-rank bind-by cpu-bind mem-bind distribution hint threads-per-core mpi pmi \
    cores ranks r tasks rs_per_host cpu_per_rs";
/// Options of launchers with a name and a value, such as `--mca btl tcp,self`.
const TWO_VALUES: &str = "mca gmca prtemca pmixmca";

/// Returns the words of this process's command line, the program without its directory.
pub fn own() -> Vec<String> {
    words(Path::new("/proc/self/cmdline")).map(|words| told(&words, None)).unwrap_or_default()
}

/// Returns the words of the launcher's command line up to the program that it starts. None if no parent of this process
/// is a launcher, as on nodes other than the launcher's. Values that may be secrets are omitted.
pub fn launcher() -> Option<Vec<String>> {
    let own = words(Path::new("/proc/self/cmdline"))?;
    let program = file_name(own.first()?).to_owned();
    let mut process = "self".to_owned();
    for _ in 0..MOST_PARENTS {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim();
        process = Some(parent).filter(|parent| *parent != "0")?.to_owned();
        let words = words(&Path::new("/proc").join(&process).join("cmdline"))?;
        if words.first().is_some_and(|first| is_launcher(first)) {
            return Some(told(&words, Some(&program)));
        }
    }
    None
}

fn is_launcher(program: &str) -> bool {
    let name = file_name(program);
    LAUNCHERS.iter().any(|known| name == *known || name.strip_prefix(known).is_some_and(|rest| rest.starts_with('.')))
}

fn words(cmdline: &Path) -> Option<Vec<String>> {
    let bytes = fs::read(cmdline).ok()?;
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the words to record, up to `program`; the first without its directory. A launcher's words are those before
/// `program`: its options stay, and their values only where the option says how ranks are placed or connected.
fn told(words: &[String], program: Option<&str>) -> Vec<String> {
    let first = words.first().map(|first| file_name(first).to_owned());
    let rest = words.iter().skip(1).take_while(|word| program.is_none_or(|program| file_name(word) != program));
    let mut kept = 0;
    let of_launcher = program.is_some();
    let shown = rest.map(|word| match (word.starts_with('-'), word.split_once('=')) {
        (true, Some((name, _))) if of_launcher => {
            kept = 0;
            if values_of(name) > 0 { word.clone() } else { format!("{name}=…") }
        }
        (true, None) if of_launcher => {
            kept = values_of(word);
            word.clone()
        }
        _ if kept > 0 => {
            kept -= 1;
            word.clone()
        }
        // A variable for the ranks, as in `-x NAME=VALUE`.
        (false, Some((name, _))) => format!("{name}=…"),
        (false, None) if of_launcher => "…".to_owned(),
        _ => word.clone(),
    });
    first.into_iter().chain(shown).collect()
}

/// Number of words after the launcher's option `name` that are recorded.
fn values_of(name: &str) -> usize {
    let name = name.trim_start_matches('-');
    let has = |names: &str| names.split(' ').any(|known| known == name);
    if has(TWO_VALUES) { 2 } else { usize::from(has(ONE_VALUE)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launchers_options_are_told_and_the_values_of_variables_are_not() {
        let line =
            "/usr/bin/mpirun.openmpi -n 4 --bind-to core --map-by=ppr:2:node -x TOKEN=secret /opt/gradshard run e.json";
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let expected = "mpirun.openmpi -n 4 --bind-to core --map-by=ppr:2:node -x TOKEN=…";
        assert_eq!(told(&words, Some("gradshard")).join(" "), expected);
        for (line, expected) in [
            (
                "srun --export=ALL,TOKEN=secret --comment secret -A secret -n 4 --mpi=pmix",
                "srun --export=… --comment … -A … -n 4 --mpi=pmix",
            ),
            (
                "mpirun --mca btl tcp,self -np 2 --host secret -H secret",
                "mpirun --mca btl tcp,self -np 2 --host … -H …",
            ),
            ("mpirun -n 2 -x TOKEN=secret --oversubscribe", "mpirun -n 2 -x TOKEN=… --oversubscribe"),
        ] {
            let words: Vec<String> = format!("{line} gradshard run").split(' ').map(str::to_owned).collect();
            assert_eq!(told(&words, Some("gradshard")).join(" "), expected);
        }
        let own = ["gradshard", "run", "e.json", "--threads", "2"].map(str::to_owned);
        assert_eq!(told(&own, None), own);
        assert!(
            is_launcher("/usr/bin/mpiexec.mpich")
                && is_launcher("srun")
                && !is_launcher("bash")
                && !is_launcher("mpirunner")
        );
    }

    #[test]
    fn this_process_has_a_command_line_and_no_launcher_that_is_called_like_it() {
        let own = own();
        assert!(!own.is_empty() && !own[0].contains('/'), "{own:?}");
    }
}
