//! A store whose requests are counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::bucket::{Bucket, ObjectName, StoreError, Upload};

/// A store with a meter.
pub struct Metered<'b> {
    bucket: &'b dyn Bucket,
    gets: AtomicU64,
    puts: AtomicU64,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
}

impl<'b> Metered<'b> {
    /// Begins to count the requests to `bucket`.
    pub fn new(bucket: &'b dyn Bucket) -> Metered<'b> {
        let zero = AtomicU64::default;
        Metered { bucket, gets: zero(), puts: zero(), read_bytes: zero(), written_bytes: zero() }
    }

    /// Returns the number of read requests and of write requests so far.
    pub fn requests(&self) -> (u64, u64) {
        (self.gets.load(Relaxed), self.puts.load(Relaxed))
    }

    /// Returns the number of bytes read and of bytes written so far.
    pub fn bytes(&self) -> (u64, u64) {
        (self.read_bytes.load(Relaxed), self.written_bytes.load(Relaxed))
    }

    fn count_write(&self, bytes: usize) {
        self.puts.fetch_add(1, Relaxed);
        self.written_bytes.fetch_add(bytes as u64, Relaxed);
    }
}

impl Bucket for Metered<'_> {
    fn get(&self, name: &ObjectName, from: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.gets.fetch_add(1, Relaxed);
        self.read_bytes.fetch_add(into.len() as u64, Relaxed);
        self.bucket.get(name, from, into)
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        self.count_write(bytes.len());
        self.bucket.put(name, bytes)
    }

    fn begin(&self, name: &ObjectName) -> Result<Box<dyn Upload + '_>, StoreError> {
        self.count_write(0);
        let upload = self.bucket.begin(name)?;
        Ok(Box::new(MeteredUpload { meter: self, upload }))
    }

    fn memory_of_write(&self, bytes: u64, object_bytes: u64) -> u64 {
        self.bucket.memory_of_write(bytes, object_bytes)
    }
}

struct MeteredUpload<'m> {
    meter: &'m Metered<'m>,
    upload: Box<dyn Upload + 'm>,
}

impl Upload for MeteredUpload<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.meter.count_write(bytes.len());
        self.upload.part(bytes)
    }

    fn complete(self: Box<Self>) -> Result<(), StoreError> {
        self.meter.count_write(0);
        self.upload.complete()
    }
}
