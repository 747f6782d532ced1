//! The store's own speed: what readers get from it together when nothing slows them down.

use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::bucket::ObjectName;
use crate::place;

/// Time for which the readers read.
const READING: Duration = Duration::from_millis(300);
/// Length of a reader's object, bytes.
const LENGTH: usize = 8 << 20;

/// Returns the bytes per second that `readers` readers, at least 1, read from `store` together, each an object of its own.
///
/// # Errors
/// The store cannot be opened or used.
pub fn measure(store: &str, readers: u64) -> io::Result<f64> {
    let together = Barrier::new(readers as usize);
    let read = |reader: u64| -> io::Result<f64> {
        // All come to the barrier, those whose store fails as well.
        let made = place::open(store).and_then(|bucket| {
            let name = ObjectName::try_from(format!("roof-{reader}")).map_err(io::Error::other)?;
            bucket.put(&name, &vec![0; LENGTH]).map_err(io::Error::other)?;
            Ok((bucket, name))
        });
        together.wait();
        let (bucket, name) = made?;
        let mut bytes = vec![0; LENGTH];
        let (begin, mut objects) = (Instant::now(), 0);
        while objects == 0 || begin.elapsed() < READING {
            bucket.get(&name, 0, &mut bytes).map_err(io::Error::other)?;
            objects += 1;
        }
        Ok((objects * LENGTH) as f64 / begin.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..readers).map(|reader| scope.spawn(move || read(reader))).collect();
        all.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(io::Error::other("a reader panicked")))).sum()
    })
}
