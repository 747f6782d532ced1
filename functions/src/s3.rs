//! A store that speaks S3's protocol, by the crate object_store. Region, endpoint and credentials are those of the usual
//! environment variables (`AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` …).

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use crate::bucket::{Bucket, ObjectName, StoreError, Upload};

/// Memory of the connection beside an object's, bytes.
const CONNECTION: u64 = 8 << 20;

/// A bucket of S3 with a prefix. Requests that fail for the moment are repeated for some minutes; repeated ones are not
/// counted. A body is signed with its SHA-256, which the store checks.
pub struct S3Bucket {
    store: Box<dyn ObjectStore>,
    prefix: String,
    runtime: Runtime,
}

impl S3Bucket {
    /// Opens `place`, which is the name of a bucket, a slash, and a prefix without a slash at its end.
    ///
    /// # Errors
    /// The environment lacks something, or the client cannot be made.
    pub fn open(place: &str) -> io::Result<S3Bucket> {
        // A second one in this process is refused, which does no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        // By default ten requests follow each other within few seconds; a store that starts again needs longer.
        let retry = RetryConfig { max_retries: 100, ..RetryConfig::default() };
        let store = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build().map_err(said)?;
        S3Bucket::over(Box::new(store), prefix)
    }

    fn over(store: Box<dyn ObjectStore>, prefix: &str) -> io::Result<S3Bucket> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(S3Bucket { store, prefix: prefix.to_owned(), runtime })
    }

    fn path(&self, name: &ObjectName) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    /// Removes all objects of the prefix.
    ///
    /// # Errors
    /// The store fails.
    pub fn remove_all(&self) -> io::Result<()> {
        let prefix = Path::from(self.prefix.as_str());
        let remove = async {
            let all: Vec<_> = self.store.list(Some(&prefix)).try_collect().await?;
            for object in all {
                self.store.delete(&object.location).await?;
            }
            Ok::<(), object_store::Error>(())
        };
        self.runtime.block_on(remove).map_err(said)
    }
}

/// Variables that hold credentials, which stores repeat in some messages.
const CREDENTIALS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The store's error without its causes, which its text repeats, and without credentials.
fn said(error: object_store::Error) -> io::Error {
    let secrets = CREDENTIALS.iter().filter_map(|name| std::env::var(name).ok());
    io::Error::other(without(&error.to_string(), secrets))
}

fn without(text: &str, secrets: impl Iterator<Item = String>) -> String {
    secrets
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(&secret, "(left out)"))
}

fn refused(name: &ObjectName, error: object_store::Error) -> StoreError {
    match error {
        object_store::Error::NotFound { path, .. } => StoreError::Missing { name: name.clone(), place: path },
        other => StoreError::failed(name, said(other)),
    }
}

impl Bucket for S3Bucket {
    fn get(&self, name: &ObjectName, from: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let end = from.saturating_add(into.len() as u64);
        let options = GetOptions::new().with_range(Some(from..end));
        let path = self.path(name);
        let read = async {
            let found = self.store.get_opts(&path, options).await.map_err(|error| refused(name, error))?;
            let cut_off = |length| StoreError::CutOff { name: name.clone(), length, end };
            let (mut stream, mut left) = (found.into_stream(), into);
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|error| refused(name, error))?;
                let (here, rest) = std::mem::take(&mut left).split_at_mut_checked(chunk.len()).ok_or_else(|| {
                    StoreError::failed(name, io::Error::other("the store sent more bytes than were asked for"))
                })?;
                here.copy_from_slice(&chunk);
                left = rest;
            }
            if left.is_empty() { Ok(()) } else { Err(cut_off(end - left.len() as u64)) }
        };
        self.runtime.block_on(read)
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        let written = self.runtime.block_on(self.store.put(&path, payload(bytes)));
        written.map(drop).map_err(|error| refused(name, error))
    }

    fn begin(&self, name: &ObjectName) -> Result<Box<dyn Upload + '_>, StoreError> {
        let path = self.path(name);
        let upload = self.runtime.block_on(self.store.put_multipart(&path)).map_err(|error| refused(name, error))?;
        Ok(Box::new(S3Upload { runtime: &self.runtime, name: name.clone(), upload }))
    }

    fn memory_of_write(&self, bytes: u64, _object_bytes: u64) -> u64 {
        bytes + CONNECTION
    }
}

fn payload(bytes: &[u8]) -> PutPayload {
    Bytes::copy_from_slice(bytes).into()
}

struct S3Upload<'b> {
    runtime: &'b Runtime,
    name: ObjectName,
    upload: Box<dyn MultipartUpload>,
}

impl Upload for S3Upload<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let sent = self.runtime.block_on(self.upload.put_part(payload(bytes)));
        sent.map_err(|error| refused(&self.name, error))
    }

    fn complete(mut self: Box<Self>) -> Result<(), StoreError> {
        let completed = self.runtime.block_on(self.upload.complete());
        completed.map(drop).map_err(|error| refused(&self.name, error))
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::bucket::contract;

    #[test]
    fn messages_hold_no_credentials() {
        let secrets = ["GK12".to_owned(), String::new(), "s3cr+t".to_owned()];
        let text = "No such key: GK12, signed s3cr+t by GK12";
        assert_eq!(without(text, secrets.into_iter()), "No such key: (left out), signed (left out) by (left out)");
    }

    #[test]
    fn it_is_a_bucket_below_its_prefix() {
        let bucket = S3Bucket::over(Box::new(InMemory::new()), "some/prefix").unwrap();
        contract::holds(&bucket);
        assert_eq!(bucket.path(&contract::name("a")).to_string(), "some/prefix/a");
        bucket.remove_all().unwrap();
        assert!(matches!(bucket.get(&contract::name("a"), 0, &mut [0]), Err(StoreError::Missing { .. })));
    }
}
