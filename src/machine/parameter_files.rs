//! Reads settings of Open MPI in configuration files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Files read by Open MPI, in the form shown to people: the user's own and those of common installations.
const FILES: [&str; 3] =
    ["~/.openmpi/mca-params.conf", "/etc/openmpi/openmpi-mca-params.conf", "/etc/openmpi-mca-params.conf"];

/// Returns the lines of each file that set something. Files without any are left out.
pub fn read() -> BTreeMap<String, Vec<String>> {
    let home = std::env::var_os("HOME");
    let found = FILES.iter().filter_map(|name| {
        let path = match name.strip_prefix("~/") {
            Some(below) => Path::new(home.as_ref()?).join(below),
            None => Path::new(name).to_path_buf(),
        };
        Some(((*name).to_owned(), settings(&fs::read_to_string(path).ok()?)))
    });
    found.filter(|(_, lines)| !lines.is_empty()).collect()
}

/// Returns the lines that are neither empty nor comments.
fn settings(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_set_nothing() {
        let text = "# a comment\n\n  btl = self,vader  # inside\nmpi_yield_when_idle=1\n";
        assert_eq!(settings(text), ["btl = self,vader", "mpi_yield_when_idle=1"]);
        assert_eq!(settings("# nothing\n"), [] as [&str; 0]);
    }
}
