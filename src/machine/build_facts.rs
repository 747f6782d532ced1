//! What this binary was built from and with. build.rs bakes it in.

use serde::{Deserialize, Serialize};

/// Where the binary comes from: two results compare only if this is equal, or the difference is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFacts {
    /// Version of the crate.
    pub version: String,
    /// Git commit of the sources, or `unknown`.
    pub git_revision: String,
    /// Whether the sources that were built differ from that commit: `yes`, `no` or `unknown`.
    pub git_changed: String,
    /// As `rustc --version` says.
    pub rustc: String,
    /// RUSTFLAGS in force, empty where none.
    pub rustflags: String,
    /// Target triple.
    pub target: String,
    /// Instructions that the compiler may use everywhere, with commas between; the kernels choose more at run time.
    #[serde(default)]
    pub target_features: String,
    /// Cargo's profile: `debug` or `release`.
    pub profile: String,
    /// Optimisation level: `0` to `3`, `s` or `z`.
    pub opt_level: String,
    /// Whether built to talk MPI.
    pub mpi: bool,
}

impl BuildFacts {
    /// Those of the running binary.
    pub fn here() -> Self {
        BuildFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: env!("GRADSHARD_BUILD_GIT_REVISION").to_owned(),
            git_changed: env!("GRADSHARD_BUILD_GIT_CHANGED").to_owned(),
            rustc: env!("GRADSHARD_BUILD_RUSTC").to_owned(),
            rustflags: env!("GRADSHARD_BUILD_RUSTFLAGS").to_owned(),
            target: env!("GRADSHARD_BUILD_TARGET").to_owned(),
            target_features: env!("GRADSHARD_BUILD_TARGET_FEATURES").to_owned(),
            profile: env!("GRADSHARD_BUILD_PROFILE").to_owned(),
            opt_level: env!("GRADSHARD_BUILD_OPT_LEVEL").to_owned(),
            mpi: cfg!(feature = "mpi"),
        }
    }

    /// One line for people. A binary that was not optimised says so.
    pub fn summary(&self) -> String {
        let short: String = self.git_revision.chars().take(12).collect();
        let changed = match self.git_changed.as_str() {
            "yes" => " with changed sources",
            _ => "",
        };
        let flags = if self.rustflags.is_empty() { String::new() } else { format!(", flags {}", self.rustflags) };
        format!(
            "gradshard {}, git {short}{changed}, {}, {} (opt-level {}), {}{flags}",
            self.version, self.rustc, self.profile, self.opt_level, self.target
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baked_revision_is_a_commit_or_unknown() {
        let facts = BuildFacts::here();
        let hash = facts.git_revision.len() >= 40 && facts.git_revision.chars().all(|c| c.is_ascii_hexdigit());
        assert!(hash || facts.git_revision == "unknown", "{}", facts.git_revision);
        assert!(["yes", "no", "unknown"].contains(&facts.git_changed.as_str()));
        assert!(facts.rustc.starts_with("rustc 1."), "{}", facts.rustc);
    }
}
