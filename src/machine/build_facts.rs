//! Describes this binary: sources, compiler, options. build.rs records it.

use serde::{Deserialize, Serialize};

/// The origin of the binary. Two results are comparable only if it is equal or the difference is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFacts {
    /// Version of the crate.
    pub version: String,
    /// Git commit of the sources, or `unknown`.
    pub git_revision: String,
    /// Whether the sources differed from that commit when they were built: `yes`, `no` or `unknown`.
    pub git_changed: String,
    /// The output of `rustc --version`.
    pub rustc: String,
    /// RUSTFLAGS of the build; empty if none.
    pub rustflags: String,
    /// Target triple.
    pub target: String,
    /// CPU features that the compiler may use everywhere, separated by commas. The kernels choose further ones at run
    /// time.
    #[serde(default)]
    pub target_features: String,
    /// Cargo's profile: `debug` or `release`.
    pub profile: String,
    /// Optimisation level: `0` to `3`, `s` or `z`.
    pub opt_level: String,
    /// Whether the binary was built with MPI.
    pub mpi: bool,
}

impl BuildFacts {
    /// Returns the facts of the running binary.
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

    /// Returns one line with version, compiler and profile.
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
