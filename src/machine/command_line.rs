//! Reads the command lines that started a run: gradshard's own, and the launcher's, whose options bind ranks and choose
//! transports.

use std::fs;
use std::path::Path;

/// Program names of launchers, without suffixes of packages such as in `mpirun.openmpi`.
const LAUNCHERS: [&str; 8] = ["mpirun", "mpiexec", "orterun", "prterun", "srun", "flux", "jsrun", "aprun"];
/// Greatest number of parent processes searched for the launcher.
const MOST_PARENTS: usize = 8;

/// Returns the words of this process's command line, the program without its directory.
pub fn own() -> Vec<String> {
    words(Path::new("/proc/self/cmdline")).map(|words| told(&words, None)).unwrap_or_default()
}

/// Returns the words of the launcher's command line up to the program that it starts. None if no parent of this process
/// is a launcher, as on nodes other than the launcher's. Values of variables are omitted, as they may be secrets.
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

/// Returns the words to record, up to `program`; the first without its directory.
fn told(words: &[String], program: Option<&str>) -> Vec<String> {
    let first = words.first().map(|first| file_name(first).to_owned());
    let rest = words.iter().skip(1).take_while(|word| program.is_none_or(|program| file_name(word) != program));
    let without_value = |word: &String| match word.split_once('=') {
        // A variable for the ranks, as in `-x NAME=VALUE`. Values of options are no secrets.
        Some((name, _)) if !name.starts_with('-') => format!("{name}=…"),
        _ => word.clone(),
    };
    first.into_iter().chain(rest.map(without_value)).collect()
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
