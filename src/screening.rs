//! Screening: a child process reads a file from elsewhere before this process does, and copies a result file for it. The HDF5 library crashes on some
//! damaged files, or runs or allocates without end; then the child dies, and this process says so and goes on.
//!
//! The child is the same executable, so it reads with the same code. A program that calls [`screen`] therefore must call
//! [`child`] at the beginning of its `main`. The library itself never screens: a program of one's own may have no such `main`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use tempfile::NamedTempFile;

use crate::experiment::{self, Gradients};
use crate::gradient::source::weights::Weights;
use crate::gradient::source::{FileKind, files_of, open_files};
use crate::gradient::{Dtype, Range, Source};
use crate::harmless::printable;
use crate::memory::Limit;
use crate::results::{ResultError, ResultFile, clean_copy};

/// First argument of the child.
const MARK: &str = "--read-for-parent";
/// Variable in the child's environment, which keeps a child whose `main` does not call [`child`] from having children.
const CHILD: &str = "GRADSHARD_READS_FOR_PARENT";
/// Exit code of a child that could not read the file, without a crash. Its message is that of the reader.
const REFUSED: u8 = 2;
/// Exit code of a program of Rust that panicked.
const PANICKED: i32 = 101;

/// Time that every child has, and bytes of a file for which it has one second more.
const SECONDS: u64 = 20;
const BYTES_A_SECOND: u64 = 20 << 20;
/// Seconds from the signal that ends a child for its CPU time to the one that it cannot survive.
const GRACE: u64 = 5;
/// Memory that every child has, and how much more for each byte of the file, which may be compressed.
const MEMORY: u64 = 1 << 30;
const MEMORY_A_BYTE: u64 = 64;
/// Bytes of a child's messages that are kept.
const SAID: u64 = 4096;
/// Elements that a child reads at a time.
const BLOCK: u64 = 1 << 16;

/// Beginnings of the names of variables by which launchers connect ranks. A child must not take part in the job.
const OF_LAUNCHERS: [&str; 9] = ["OMPI_", "ORTE_", "PRTE_", "PMIX_", "PMI_", "PMI2_", "HYDI_", "HYDRA_", "MPI_LOCAL"];

/// Files to screen.
#[derive(Clone, Copy, Debug)]
pub enum Unchecked<'a> {
    /// A result file.
    Results(&'a Path),
    /// The HDF5 files with gradients that the experiment in this file names, if it names any.
    Gradients(&'a Path),
}

/// Why a file must not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScreeningError {
    /// The child read the file, and refused it with this message.
    #[error("{0}")]
    Refused(String),
    /// The child came to a bad end.
    #[error(
        "{path}: is damaged: the process that read it first {ending} (it may take {seconds} s and {mebibytes} MiB); --trust \
         reads the file without this check",
        path = .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The end of the child.
        ending: Ending,
        /// Time that the child had, s.
        seconds: u64,
        /// Memory that the child had, MiB.
        mebibytes: u64,
    },
    /// A signal asked the child, and probably this process, to stop.
    #[error("stopped by signal {0} while a file was checked")]
    Interrupted(i32),
    /// There is no child.
    #[error("cannot start a process that reads {path} first: {error}; --trust reads the file without it", path = .path.display())]
    NotStarted {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

/// The bad end of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It took more than its time.
    OutOfTime,
    /// A signal ended it. It may have said why.
    Signal(i32, String),
    /// It panicked with this message.
    Panic(String),
    /// It ended with a code that has no meaning.
    Code(i32),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |said: &str| if said.is_empty() { String::new() } else { format!(": {said}") };
        match self {
            Ending::OutOfTime => f.write_str("did not come to an end"),
            Ending::Signal(number, said) => {
                let name = signal_hook::low_level::signal_name(*number).unwrap_or("a signal");
                write!(f, "was ended by {name} ({number}){}", because(said))
            }
            Ending::Panic(said) => write!(f, "panicked{}", because(said)),
            Ending::Code(code) => write!(f, "ended with exit code {code}"),
        }
    }
}

/// The time and the memory that a child has.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    seconds: u64,
    bytes: u64,
}

impl Allowance {
    /// Returns what a child needs at most for `bytes` bytes of files.
    fn of(bytes: u64) -> Allowance {
        let memory = bytes.saturating_mul(MEMORY_A_BYTE).saturating_add(MEMORY);
        Allowance { seconds: SECONDS + bytes / BYTES_A_SECOND, bytes: memory }
    }
}

/// Lets a child read the subject to its end.
///
/// # Errors
/// The child died, took too long, or refused the file. A file that is missing, no HDF5 file or part of an invalid
/// experiment is no error here: the caller, who reads it next, has the right words for it.
pub fn screen(subject: Unchecked<'_>) -> Result<(), ScreeningError> {
    let (kind, path, bytes) = match subject {
        Unchecked::Results(path) => ("results", path, length(path)),
        Unchecked::Gradients(path) => ("gradients", path, gradient_files(path).map(|files| files.bytes())),
    };
    bytes.map_or(Ok(()), |bytes| read_by_child(kind, path, bytes, &[]).map(drop))
}

/// Lets a child read a result file, and reads the clean copy that it makes. This process does not open the file itself.
///
/// # Errors
/// The errors of [`screen`] and of [`ResultFile::open`].
pub fn read_results(path: &Path) -> Result<ResultFile, ScreeningError> {
    let refused = |error: ResultError| ScreeningError::Refused(error.to_string());
    // A path that is no regular file is refused without the HDF5 library.
    let Some(bytes) = length(path) else { return ResultFile::open(path).map_err(refused) };
    let not_started = |error| ScreeningError::NotStarted { path: path.to_owned(), error };
    let copy = NamedTempFile::new().map_err(not_started)?;
    let told = read_by_child("results", path, bytes, &[copy.path()])?;
    let mut file = ResultFile::open(copy.path()).map_err(refused)?;
    let version = String::from_utf8_lossy(&told).parse();
    file.schema_version =
        version.map_err(|error| not_started(io::Error::other(format!("its answer is odd: {error}"))))?;
    Ok(file)
}

/// Lets a child read a file of `bytes` bytes, with `more` arguments. Returns what it told.
fn read_by_child(kind: &str, path: &Path, bytes: u64, more: &[&Path]) -> Result<Vec<u8>, ScreeningError> {
    let not_started = |error| ScreeningError::NotStarted { path: path.to_owned(), error };
    if std::env::var_os(CHILD).is_some() {
        return Err(not_started(io::Error::other("this program does not begin with screening::child()")));
    }
    let allowance = Allowance::of(bytes);
    // The running executable, even if another one has taken its name.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(std::env::args_os().next().unwrap_or_default()).env(CHILD, "1").arg(MARK).arg(kind);
    command.args([allowance.seconds, allowance.bytes].map(|number| number.to_string())).arg(path).args(more);
    for (name, _) in std::env::vars_os() {
        if OF_LAUNCHERS.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes())) {
            command.env_remove(name);
        }
    }
    let end = watched(command, allowance).map_err(not_started)?;
    let ending = match end.how {
        How::Well => return Ok(end.told),
        How::Refused => return Err(ScreeningError::Refused(end.said)),
        How::Interrupted(signal) => return Err(ScreeningError::Interrupted(signal)),
        How::Badly(ref ending) => ending.clone(),
    };
    let path = end.reading().unwrap_or_else(|| path.to_owned());
    Err(ScreeningError::Damaged { path, ending, seconds: allowance.seconds, mebibytes: allowance.bytes >> 20 })
}

/// Returns the length of a regular file, bytes.
fn length(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// The HDF5 files that an experiment names, and how it reads them.
struct GradientFiles {
    files: Vec<PathBuf>,
    dataset: Option<String>,
    weights: Weights,
}

impl GradientFiles {
    fn bytes(&self) -> u64 {
        self.files.iter().filter_map(|path| length(path)).fold(0, u64::saturating_add)
    }
}

/// Returns the HDF5 files that the experiment in the file `path` names. None if it names none or is not valid.
fn gradient_files(path: &Path) -> Option<GradientFiles> {
    // A pipe can be read only once, by the job itself; only a regular file is screened.
    length(path)?;
    let text = std::fs::read_to_string(path).ok()?;
    let written = experiment::parse(&text, path).ok()?;
    let Gradients::Files { format: FileKind::Hdf5, path: pattern, weights, dataset, .. } = written.gradients else {
        return None;
    };
    let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = files_of(FileKind::Hdf5, &pattern.to_string_lossy(), base).ok()?;
    // Each file is read by itself, so a list of all clients' weights does not fit it.
    let weights = if matches!(weights, Weights::Each(_)) { Weights::All(1.0) } else { weights };
    Some(GradientFiles { files, dataset, weights })
}

/// How a child ended.
#[derive(Debug)]
enum How {
    Well,
    Refused,
    Interrupted(i32),
    Badly(Ending),
}

/// The end of a child.
#[derive(Debug)]
struct ChildEnd {
    how: How,
    /// The beginning of its standard output: the names of the files that it has begun to read, each with a NUL behind it,
    /// or the version of the layout of the one that it has copied.
    told: Vec<u8>,
    /// The beginning of its messages.
    said: String,
}

impl ChildEnd {
    /// The file that it read last, if it named one.
    fn reading(&self) -> Option<PathBuf> {
        let last = self.told.split(|byte| *byte == 0).rfind(|name| !name.is_empty());
        last.map(|name| PathBuf::from(OsString::from_vec(name.to_vec())))
    }
}

/// Runs a child within the allowed time.
fn watched(mut command: Command, allowance: Allowance) -> io::Result<ChildEnd> {
    // Files instead of pipes: nobody reads while the child runs, and a full pipe would stop it.
    let (mut told, mut said) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(told.try_clone()?).stderr(said.try_clone()?);
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let mut pause = Duration::from_micros(500);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begun.elapsed() >= Duration::from_secs(allowance.seconds) {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    let said = printable(String::from_utf8_lossy(&beginning(&mut said)?).trim());
    Ok(ChildEnd { how: how(status, &said), told: beginning(&mut told)?, said })
}

fn beginning(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(SAID).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells how a child with this status ended; None if it was killed for its time.
fn how(status: Option<ExitStatus>, said: &str) -> How {
    let Some(status) = status else { return How::Badly(Ending::OutOfTime) };
    match (status.code(), status.signal()) {
        (Some(0), _) => How::Well,
        (Some(code), _) if code == i32::from(REFUSED) => How::Refused,
        (Some(PANICKED), _) => How::Badly(Ending::Panic(said.to_owned())),
        (Some(code), _) => How::Badly(Ending::Code(code)),
        (None, Some(libc::SIGXCPU)) => How::Badly(Ending::OutOfTime),
        (None, Some(signal @ (libc::SIGINT | libc::SIGTERM | libc::SIGHUP))) => How::Interrupted(signal),
        (None, signal) => How::Badly(Ending::Signal(signal.unwrap_or_default(), said.to_owned())),
    }
}

/// Does the work of the child if this process is one, and returns its exit code. None in any other process.
pub fn child() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != MARK {
        return None;
    }
    let arguments: Vec<OsString> = arguments.collect();
    Some(match read(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(said) => {
            // If standard error is closed, the parent is gone.
            let _ = io::stderr().write_all(said.as_bytes());
            ExitCode::from(REFUSED)
        }
    })
}

/// Reads what the arguments name, under the limits that they name.
fn read(arguments: &[OsString]) -> Result<(), String> {
    let [kind, seconds, bytes, path, more @ ..] = arguments else {
        return Err(format!("{MARK} takes four arguments or more: it is meant for gradshard itself"));
    };
    let number = |text: &OsStr| text.to_str().and_then(|text| text.parse::<u64>().ok());
    let (Some(seconds), Some(bytes)) = (number(seconds), number(bytes)) else {
        return Err(format!("{MARK} takes two numbers"));
    };
    let refused = |error: io::Error| format!("the limits of the process that reads a file first: {error}");
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| refused(error.into()))?;
    // A limit that is there may be lower, and cannot be raised.
    let most = getrlimit(Resource::Cpu).maximum.unwrap_or(u64::MAX);
    let time = Rlimit { current: Some(seconds.min(most)), maximum: Some((seconds + GRACE).min(most)) };
    setrlimit(Resource::Cpu, time).map_err(|error| refused(error.into()))?;
    let _memory = Limit::allow(bytes).map_err(refused)?;
    let path = Path::new(path);
    if kind != "gradients" {
        let [copy] = more else { return ResultFile::open(path).map(drop).map_err(|error| error.to_string()) };
        let version = clean_copy::copy(path, Path::new(copy)).map_err(|error| error.to_string())?;
        return write!(io::stdout(), "{version}").map_err(|error| error.to_string());
    }
    let Some(GradientFiles { files, dataset, weights }) = gradient_files(path) else { return Ok(()) };
    for file in &files {
        say(file).map_err(|error| error.to_string())?;
        let opened = open_files(FileKind::Hdf5, &file.to_string_lossy(), Path::new(""), &weights, dataset.as_deref());
        read_elements(opened.map_err(|error| error.to_string())?.as_ref())?;
    }
    Ok(())
}

/// Tells the parent which file is read next.
fn say(file: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(file.as_os_str().as_bytes())?;
    out.write_all(&[0])?;
    out.flush()
}

/// Reads every element that the HDF5 library reads, and drops it.
fn read_elements(source: &dyn Source) -> Result<(), String> {
    let dtype = source.stored_dtype().unwrap_or(Dtype::F32);
    let mut out = vec![0; BLOCK as usize * dtype.size()];
    for client in (0..source.clients()).filter(|client| source.needs_library(*client)) {
        let mut start = 0;
        while start < source.elements() {
            let range = Range::new(start, source.elements().min(start + BLOCK));
            let block = &mut out[..range.len() as usize * dtype.size()];
            source.read_bytes(client, range, dtype, block).map_err(|error| error.to_string())?;
            start = range.end;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(line: &str, seconds: u64) -> ChildEnd {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        watched(command, Allowance { seconds, bytes: 1 << 30 }).unwrap()
    }

    #[test]
    fn every_end_of_a_child_is_told_apart() {
        assert!(matches!(end_of("exit 0", 60).how, How::Well));
        let end = end_of("echo damaged >&2; exit 2", 60);
        assert!(matches!(end.how, How::Refused) && end.said == "damaged", "{end:?}");
        for (line, told) in [
            ("kill -SEGV $$", "was ended by SIGSEGV (11)"),
            ("echo memory allocation failed >&2; kill -ABRT $$", "was ended by SIGABRT (6): memory allocation failed"),
            ("echo 'index 3' >&2; exit 101", "panicked: index 3"),
            ("exit 7", "ended with exit code 7"),
        ] {
            let How::Badly(ending) = end_of(line, 60).how else { panic!("{line}") };
            assert_eq!(ending.to_string(), told);
        }
        assert!(matches!(end_of("kill -TERM $$", 60).how, How::Interrupted(15)));
        let end = end_of("printf 'a.h5\\0b c.h5\\0'; kill -SEGV $$", 60);
        assert_eq!(end.reading(), Some(PathBuf::from("b c.h5")));
    }

    #[test]
    fn a_child_that_loops_is_killed_in_time() {
        for line in ["while :; do :; done", "sleep 60", "ulimit -S -t 1; while :; do :; done"] {
            let begun = Instant::now();
            let end = end_of(line, 2);
            assert!(matches!(end.how, How::Badly(Ending::OutOfTime)), "{line}: {end:?}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{line}");
        }
    }

    #[test]
    fn a_larger_file_has_more_time_and_memory() {
        let (small, large) = (Allowance::of(1000), Allowance::of(4 << 30));
        assert_eq!((small.seconds, small.bytes), (20, (1 << 30) + 64_000));
        assert_eq!((large.seconds, large.bytes), (20 + 204, (1 << 30) + (256 << 30)));
    }
}
