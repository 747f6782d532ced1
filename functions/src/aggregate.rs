//! Carries out an invocation: reads the inputs, sums them by gradshard's kernels, and writes the sum.

use std::time::Instant;

use gradshard::engine::OutOfMemory;
use gradshard::engine::kernels::{RunningSum, running_sum_bytes};
use gradshard::gradient::Range;
use gradshard::memory::{Limit, Probe};

use crate::bucket::{Bucket, ObjectName, StoreError};
use crate::checksums::{RangeSums, sha256};
use crate::invocation::{FunctionAccount, InputObject, Invocation, LimitBy};
use crate::metered::Metered;
use crate::own_group::OwnGroup;
use crate::tempo::lasting;

/// The reason why a function has no result.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The invocation is invalid.
    #[error("the invocation: {0}")]
    Invocation(String),
    /// A request failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes of an object are not those that were written.
    #[error("object {name}: bytes {range} have another checksum than those that were written; write it again")]
    Damaged {
        /// The object.
        name: ObjectName,
        /// The bytes.
        range: Range,
    },
    /// The system or the limit refuses memory.
    #[error("{cause}{}", limit.map(|bytes| format!("; the sum may have {bytes} bytes (RLIMIT_DATA)")).unwrap_or_default())]
    Memory {
        /// The error.
        cause: OutOfMemory,
        /// The invocation's limit, bytes.
        limit: Option<u64>,
    },
    /// The kernel does not set the limit.
    #[error("memory_bytes: {0}")]
    Limit(std::io::Error),
}

impl FunctionError {
    /// True if other input would help, and another attempt would not.
    pub fn is_bad_input(&self) -> bool {
        match self {
            FunctionError::Invocation(_) | FunctionError::Damaged { .. } => true,
            FunctionError::Store(error) => !matches!(error, StoreError::Failed { .. }),
            FunctionError::Memory { .. } | FunctionError::Limit(_) => false,
        }
    }
}

/// Carries out `invocation` on the objects of `bucket`. `begin` is the time from which the function counts its seconds.
///
/// # Errors
/// [`FunctionError`]. The object is then not written, or unfinished and invisible.
pub fn aggregate(
    invocation: &Invocation,
    bucket: &dyn Bucket,
    begin: Instant,
) -> Result<FunctionAccount, FunctionError> {
    invocation.check().map_err(FunctionError::Invocation)?;
    lasting(invocation.tempo.unwrap_or_default().cold_start_s, || {});
    let meter = Metered::new(bucket);
    // Until the end: the limit is given up with this value.
    let limit = invocation.memory_bytes.map(|bytes| KernelLimit::set(bytes, invocation.limit_by));
    let limit = limit.transpose().map_err(FunctionError::Limit)?;
    let probe = Probe::begin();
    let account = sum(invocation, &meter, probe.as_ref(), begin)?;
    let (limited_by, group_peak_bytes) = match &limit {
        None => ("", None),
        Some(KernelLimit::Group(own)) => (own.name(), own.peak()),
        Some(KernelLimit::Data(_)) => ("RLIMIT_DATA", None),
    };
    Ok(FunctionAccount { limited_by: limited_by.to_owned(), group_peak_bytes, ..account })
}

/// A limit on memory that the kernel enforces while this value lives.
enum KernelLimit {
    Group(OwnGroup),
    Data(#[expect(dead_code, reason = "it is given up when it is dropped")] Limit),
}

impl KernelLimit {
    fn set(bytes: u64, by: LimitBy) -> std::io::Result<KernelLimit> {
        let group = || OwnGroup::join(bytes).map(KernelLimit::Group);
        let data = || Limit::allow(bytes).map(KernelLimit::Data);
        match by {
            LimitBy::ControlGroup => group(),
            LimitBy::RlimitData => data(),
            LimitBy::Any => group().or_else(|_| data()),
        }
    }
}

fn sum(
    invocation: &Invocation,
    meter: &Metered<'_>,
    probe: Option<&Probe>,
    begin: Instant,
) -> Result<FunctionAccount, FunctionError> {
    let refused = |cause| FunctionError::Memory { cause, limit: invocation.memory_bytes };
    let mut sum = RunningSum::with_room(invocation.piece as usize, invocation.dtype).map_err(refused)?;
    let mut sums = RangeSums::new(&invocation.checked);
    let pieces = invocation.pieces();
    let tempo = invocation.tempo.unwrap_or_default();
    let mut seconds = [0.0; 3];
    let mut upload = None;
    if pieces.len() > 1 {
        upload = Some(timed(&mut seconds[2], || tempo.write(0, || meter.begin(&invocation.object)))?);
    }
    for (index, piece) in pieces.iter().enumerate() {
        sum.begin(piece.len() as usize);
        for input in &invocation.inputs {
            let bytes = sum.input(input.weight.is_some());
            let length = bytes.len();
            timed(&mut seconds[0], || tempo.read(length, || read(input, (index, *piece), bytes, meter)))?;
            timed(&mut seconds[1], || tempo.sum(length, || sum.add(input.weight)));
        }
        let bytes = timed(&mut seconds[1], || match invocation.divisor {
            Some(divisor) => sum.finished(divisor),
            None => sum.bytes(),
        });
        let write = || {
            sums.add(bytes);
            match &mut upload {
                Some(upload) => upload.part(bytes),
                None => meter.put(&invocation.object, bytes),
            }
        };
        timed(&mut seconds[2], || tempo.write(bytes.len(), write))?;
    }
    if let Some(upload) = upload {
        timed(&mut seconds[2], || tempo.write(0, || upload.complete()))?;
    }
    let seen = probe.and_then(|probe| probe.end(0, 0, 0));
    let [read_s, sum_s, write_s] = seconds;
    let ((gets, puts), (read_bytes, written_bytes)) = (meter.requests(), meter.bytes());
    Ok(FunctionAccount {
        gets,
        puts,
        read_bytes,
        written_bytes,
        read_s,
        sum_s,
        write_s,
        seconds: begin.elapsed().as_secs_f64(),
        sum_bytes: running_sum_bytes(invocation.piece, invocation.dtype),
        seen_bytes: seen.map(|seen| seen.round),
        limited_by: String::new(),
        group_peak_bytes: None,
        sha256: sums.finish(),
    })
}

/// Fills `bytes` with a piece of an input, and checks them.
fn read(
    input: &InputObject,
    (index, piece): (usize, Range),
    bytes: &mut [u8],
    meter: &Metered<'_>,
) -> Result<(), FunctionError> {
    let from = input.from.saturating_add(bytes.len() as u64 / piece.len() * piece.start);
    meter.get(&input.object, from, bytes)?;
    if input.sha256.get(index) != Some(&sha256(bytes)) {
        let range = Range::new(from, from.saturating_add(bytes.len() as u64));
        return Err(FunctionError::Damaged { name: input.object.clone(), range });
    }
    Ok(())
}

/// Adds the seconds that `work` takes to `total`.
fn timed<T>(total: &mut f64, work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = work();
    *total += begin.elapsed().as_secs_f64();
    done
}
