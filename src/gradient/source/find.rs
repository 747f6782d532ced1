//! Finds the files that a path in an experiment denotes.

use std::path::{Path, PathBuf};

use crate::gradient::SourceError;

/// Finds the files that `pattern` denotes, relative to `base`: a file, the files of a directory with one of the
/// `extensions`, or the matches of a glob. They are in byte order of their paths; hidden files are left out.
///
/// The second value is true if `pattern` names a single file itself.
pub(super) fn files(pattern: &str, base: &Path, extensions: &[&str]) -> Result<(Vec<PathBuf>, bool), SourceError> {
    let path = base.join(pattern);
    if path.is_file() {
        return Ok((vec![path], true));
    }
    let wanted = extensions.iter().map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(" or ");
    let mut found = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(&path).map_err(|cause| SourceError::io(&path, cause))? {
            let file = entry.map_err(|cause| SourceError::io(&path, cause))?.path();
            let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if !hidden && extensions.iter().any(|wanted| wanted.eq_ignore_ascii_case(extension)) {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(SourceError::Request(format!("directory {} holds no file ending in {wanted}", path.display())));
        }
    } else if pattern.contains(['*', '?', '[']) {
        found = globbed(pattern, base)?;
        if found.is_empty() {
            return Err(SourceError::Request(format!("no file matches \"{pattern}\" in {}", base.display())));
        }
    } else {
        return Err(SourceError::Request(format!(
            "there is no \"{pattern}\" in {}; name a file, a directory of files ending in {wanted}, or a glob",
            base.display()
        )));
    }
    for file in &found {
        // This follows links, so that a broken link is an error and not a missing client.
        let kind = std::fs::metadata(file).map_err(|cause| SourceError::io(file, cause))?.file_type();
        // A pipe without a writer would never open.
        if !kind.is_file() && !kind.is_dir() {
            return Err(SourceError::content(file, "is no regular file; clients' gradients are read from files"));
        }
    }
    found.retain(|file| !file.is_dir());
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok((found, false))
}

/// Returns the matches of `pattern`, relative to `base`.
fn globbed(pattern: &str, base: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let Some(base_text) = base.to_str() else {
        return Err(SourceError::Request(format!(
            "\"{pattern}\" cannot be searched for in {}, whose name is not UTF-8; name a directory",
            base.display()
        )));
    };
    // Brackets and stars in the name of the base directory are not part of the pattern.
    let escaped = glob::Pattern::escape(base_text);
    let full = Path::new(&escaped).join(pattern);
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let matches = glob::glob_with(&full.to_string_lossy(), options)
        .map_err(|cause| SourceError::Request(format!("\"{pattern}\" is no glob: {cause}")))?;
    matches
        .map(|found| found.map_err(|cause| SourceError::Io { path: cause.path().to_owned(), cause: cause.into() }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &[PathBuf]) -> Vec<&str> {
        found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect()
    }

    #[test]
    fn finds_files_directories_and_globs() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("odd [name]*");
        std::fs::create_dir_all(base.join("in/sub.npy")).unwrap();
        for name in ["b.npy", "a.NPY", "c.txt", ".hidden.npy", "a10.npy"] {
            std::fs::write(base.join("in").join(name), "").unwrap();
        }
        let (found, named) = files("in", &base, &["npy"]).unwrap();
        assert_eq!((names(&found), named), (vec!["a.NPY", "a10.npy", "b.npy"], false));
        let (found, named) = files("in/*.npy", &base, &["npy"]).unwrap();
        assert_eq!((names(&found), named), (vec!["a10.npy", "b.npy"], false));
        let (found, named) = files("in/c.txt", &base, &["npy"]).unwrap();
        assert_eq!((names(&found), named), (vec!["c.txt"], true));
        let absolute = base.join("in");
        assert_eq!(files(absolute.to_str().unwrap(), Path::new("/"), &["npy"]).unwrap().0.len(), 3);
    }

    #[test]
    fn says_what_was_looked_for() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("empty")).unwrap();
        let message = |pattern: &str| files(pattern, base.path(), &["h5", "hdf5"]).unwrap_err().to_string();
        assert!(message("empty").contains(".h5 or .hdf5"));
        assert!(message("x*.h5").contains("\"x*.h5\""));
        assert!(message("gone.h5").contains("\"gone.h5\""));
        assert!(message("a[.h5").contains("no glob"));
        assert!(std::process::Command::new("mkfifo").arg(base.path().join("empty/b.h5")).status().unwrap().success());
        assert!(message("empty").contains("b.h5: is no regular file"));
        std::fs::remove_file(base.path().join("empty/b.h5")).unwrap();
        std::os::unix::fs::symlink("nowhere", base.path().join("empty/c.h5")).unwrap();
        assert!(message("empty").contains("c.h5"));
    }
}
