//! The places of objects: stores by their names, and the place of one round in a store.

use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::bucket::Bucket;
use crate::directory::Directory;
#[cfg(feature = "s3")]
use crate::s3::S3Bucket;

/// Beginning of the names of stores that speak S3's protocol.
const S3: &str = "s3://";

/// Opens the store of this name: a directory, or with the feature `s3` a bucket with a prefix, `s3://bucket/prefix`.
///
/// # Errors
/// There is no such directory, the name is not valid, or this build lacks the feature.
pub fn open(store: &str) -> io::Result<Box<dyn Bucket>> {
    match store.strip_prefix(S3) {
        #[cfg(feature = "s3")]
        Some(place) => Ok(Box::new(S3Bucket::open(place)?)),
        #[cfg(not(feature = "s3"))]
        Some(_) => Err(io::Error::other("this build has no S3; build it with --features s3")),
        None => Ok(Box::new(Directory::open(PathBuf::from(store))?)),
    }
}

/// Returns the kind of the store of this name, as results have it: `directory` or `s3`.
pub fn kind(store: &str) -> &'static str {
    if store.starts_with(S3) { "s3" } else { "directory" }
}

/// The place of one round in a store.
pub struct RoundPlace {
    /// Its name, as [`open`] reads it.
    pub store: String,
    /// Its objects.
    pub bucket: Box<dyn Bucket>,
    directory: Option<TempDir>,
}

impl RoundPlace {
    /// Makes a place in `store`, which is the system's directory for temporary files if it has no name.
    ///
    /// # Errors
    /// The errors of [`open`], or the directory refuses a directory.
    pub fn new(store: Option<&str>) -> anyhow::Result<RoundPlace> {
        let temporary = std::env::temp_dir();
        let within = |error: io::Error| anyhow::anyhow!("--store {}: {error}", store.unwrap_or("(temporary files)"));
        if let Some(store) = store.filter(|store| store.starts_with(S3)) {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let own = format!("{}/round-{}-{}", store.trim_end_matches('/'), std::process::id(), since.as_nanos());
            return Ok(RoundPlace { bucket: open(&own).map_err(within)?, store: own, directory: None });
        }
        let parent = store.map_or(temporary, PathBuf::from);
        let directory = tempfile::Builder::new().prefix("round-").tempdir_in(parent).map_err(within)?;
        let own = directory.path().to_str().map(str::to_owned);
        let own = own.ok_or_else(|| within(io::Error::other("its path is not UTF-8")))?;
        Ok(RoundPlace { bucket: open(&own).map_err(within)?, store: own, directory: Some(directory) })
    }

    /// Keeps the objects.
    pub fn keep(self) {
        self.directory.map(TempDir::keep);
    }

    /// Removes the objects.
    ///
    /// # Errors
    /// The store fails.
    pub fn remove(self) -> io::Result<()> {
        #[cfg(feature = "s3")]
        if let Some(place) = self.store.strip_prefix(S3) {
            S3Bucket::open(place)?.remove_all()?;
        }
        self.directory.map_or(Ok(()), TempDir::close)
    }
}
