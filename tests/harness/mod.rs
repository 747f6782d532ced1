//! Starts gradshard, alone or under MPI's launcher, in a temporary directory and with a time limit. It ends only
//! processes that it has started.
//!
//! `GRADSHARD_MPIRUN` names the launcher of the library that the tests were built with. The default is mpirun.openmpi
//! if it exists, otherwise mpirun.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, unsafe_code)]
// Every test file compiles a copy of this module and uses a part of it.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

pub mod flat_server;

/// Default time limit of a command.
const LIMIT: Duration = Duration::from_secs(120);
/// Environment variable that every process of a command inherits. It identifies the processes in any process group or
/// session that a launcher has created.
const MARK: &str = "GRADSHARD_TEST_COMMAND";

static COMMANDS: AtomicU64 = AtomicU64::new(0);
/// Serialises jobs of several ranks. At the same time they would share cores and exceed their time limits.
static ONE_JOB: Mutex<()> = Mutex::new(());

/// The launcher of the MPI library.
pub fn launcher() -> String {
    if let Ok(launcher) = std::env::var("GRADSHARD_MPIRUN") {
        return launcher;
    }
    let plain = "mpirun";
    let of_library = "mpirun.openmpi";
    (if is_installed(of_library) { of_library } else { plain }).to_owned()
}

/// True if a program of this name is in PATH.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The Python of the tests, `GRADSHARD_PYTHON` or python3. None if it lacks one of `modules`. The caller's test is then
/// skipped with a message; in CI it fails instead.
pub fn python(modules: &str) -> Option<Command> {
    let python = std::env::var("GRADSHARD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let what = format!("{modules} (of {python}; GRADSHARD_PYTHON names another interpreter)");
    let import = format!("import {modules}");
    available(&what, Command::new(&python).args(["-c", &import])).then(|| Command::new(&python))
}

/// True if `probe` succeeds. Otherwise the caller's test is skipped with a message; in CI it fails instead.
pub fn available(tool: &str, probe: &mut Command) -> bool {
    let there = probe.output().is_ok_and(|finished| finished.status.success());
    if !there {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{tool} is needed in CI");
        // eprintln would not be seen, as the test harness captures it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {tool} was not found");
    }
    there
}

/// A script of tests/python.
pub fn script(name: &str) -> PathBuf {
    repository().join("tests/python").join(name)
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A temporary directory in which commands run. It is removed at the end of the test.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    /// A path in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// Every file and directory in it in order, with the contents of files and None for directories.
    pub fn contents(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let mut all = Vec::new();
        let mut left = vec![self.directory.path().to_path_buf()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let is_directory = fs::symlink_metadata(&path).unwrap().is_dir();
                all.push((path.clone(), (!is_directory).then(|| fs::read(&path).unwrap_or_default())));
                if is_directory {
                    left.push(path);
                }
            }
        }
        all.sort();
        all
    }

    /// gradshard without a launcher.
    pub fn gradshard(&self) -> Start {
        self.command(env!("CARGO_BIN_EXE_gradshard"))
    }

    /// A command line of the shell.
    pub fn shell(&self, line: &str) -> Start {
        self.command("sh").args(["-c", line])
    }

    /// A program that starts a launcher itself, so it counts as a job.
    pub fn within(&self, program: &str, arguments: &[&str]) -> Start {
        let mut start = self.command(program);
        start.job = true;
        start.args(arguments)
    }

    /// gradshard on `ranks` ranks.
    pub fn mpi(&self, ranks: usize) -> Start {
        self.under(&launcher(), ranks, env!("CARGO_BIN_EXE_gradshard"))
    }

    /// `program` on `ranks` ranks that `launcher` starts.
    pub fn under(&self, launcher: &str, ranks: usize, program: impl AsRef<OsStr>) -> Start {
        let mut start = self.command(launcher);
        start.job = true;
        start.args(["-n", &ranks.to_string()]).args([program])
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Start {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path());
        // Open MPI needs these to run as root and with more ranks than cores. Other programs ignore them.
        for (name, value) in [
            ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
            ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
            ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
            ("OMPI_MCA_mpi_yield_when_idle", "1"),
        ] {
            command.env(name, value);
        }
        Start { command, limit: LIMIT, job: false }
    }
}

/// A command that has not started yet.
pub struct Start {
    command: Command,
    limit: Duration,
    job: bool,
}

impl Start {
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Start {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Start {
        self.command.env(name, value);
        self
    }

    /// Sets the time limit. The test fails if the command takes longer.
    pub fn limit(mut self, seconds: u64) -> Start {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// Runs the command to its end.
    pub fn run(self) -> Finished {
        self.start().finish()
    }

    /// Starts the command.
    pub fn start(mut self) -> Running {
        let turn = self.job.then(|| ONE_JOB.lock().unwrap_or_else(PoisonError::into_inner));
        let mark = format!("{}-{}", std::process::id(), COMMANDS.fetch_add(1, Ordering::Relaxed));
        // Files instead of pipes: a process left behind would keep a pipe open, and the reader would wait for it.
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let shown = format!("{:?}", self.command);
        let child = self
            .command
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        let begun = Instant::now();
        Running { child, shown, mark, stdout, stderr, limit: self.limit, begun, _turn: turn }
    }
}

/// A running command. Dropping it ends it and all its processes.
pub struct Running {
    child: Child,
    shown: String,
    mark: String,
    stdout: File,
    stderr: File,
    limit: Duration,
    begun: Instant,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Running {
    /// The living processes of this command, each with its rank if it has one.
    pub fn processes(&self) -> Vec<(i32, Option<usize>)> {
        let mark = format!("{MARK}={}", self.mark);
        let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let rank = |variables: &[&[u8]]| {
            let names: [&[u8]; 2] = [b"OMPI_COMM_WORLD_RANK=", b"PMI_RANK="];
            let value = variables.iter().find_map(|v| names.iter().find_map(|name| v.strip_prefix(*name)));
            value.and_then(|value| String::from_utf8_lossy(value).parse().ok())
        };
        let of_this = |process: i32| {
            // The environment of a zombie is empty, so zombies are not counted.
            let environment = fs::read(format!("/proc/{process}/environ")).ok()?;
            let variables: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
            variables.contains(&mark.as_bytes()).then(|| (process, rank(&variables)))
        };
        numbers.filter_map(of_this).collect()
    }

    /// Sends `signal` to the command itself; for a job this is the launcher.
    pub fn signal(&self, signal: i32) {
        // SAFETY: this test started the process and has not waited for it, so the number is still its own.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Kills the process that is `rank` of the job.
    pub fn kill_rank(&self, rank: usize) {
        let (process, _) = *self.processes().iter().find(|(_, of)| *of == Some(rank)).expect("the rank is alive");
        // SAFETY: the process has this command's mark.
        unsafe { libc::kill(process, libc::SIGKILL) };
    }

    /// Sends `signal` to the process of one rank of the job, or of every rank. Ranks that have not started or have
    /// ended get none.
    pub fn signal_ranks(&self, rank: Option<usize>, signal: i32) {
        let launcher = self.child.id() as i32;
        for (process, of) in self.processes() {
            if process != launcher && of.is_some() && (rank.is_none() || of == rank) {
                // SAFETY: the process has this command's mark.
                unsafe { libc::kill(process, signal) };
            }
        }
    }

    /// Waits until `done` returns true, and fails the test if the time limit is exceeded.
    pub fn wait_until(&mut self, what: &str, done: impl Fn(&Running) -> bool) {
        while !done(self) {
            assert!(self.child.try_wait().unwrap().is_none(), "{} ended before {what}: {}", self.shown, self.said());
            assert!(self.begun.elapsed() < self.limit, "{}: no {what}", self.shown);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Standard error so far.
    pub fn said(&self) -> String {
        text(&self.stderr)
    }

    /// Waits for the end, and fails the test if the time limit is exceeded.
    pub fn finish(mut self) -> Finished {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.begun.elapsed() > self.limit {
                self.end();
                panic!(
                    "{} was not done after {:?}\n{}{}",
                    self.shown,
                    self.limit,
                    text(&self.stdout),
                    text(&self.stderr)
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let seconds = self.begun.elapsed().as_secs_f64();
        // A launcher may end a moment before the last of its processes.
        let patience = Instant::now();
        while !self.processes().is_empty() && patience.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let left_behind = self.processes().len();
        Finished {
            command: self.shown.clone(),
            status,
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
            seconds,
            left_behind,
        }
    }

    /// Asks the command to end, then kills all processes that have its mark.
    fn end(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(libc::SIGTERM);
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_secs(3) && self.child.try_wait().is_ok_and(|done| done.is_none()) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        for (process, _) in self.processes() {
            // SAFETY: the process has this command's mark.
            unsafe { libc::kill(process, libc::SIGKILL) };
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn text(file: &File) -> String {
    let mut bytes = Vec::new();
    let mut file = file.try_clone().unwrap();
    // The child shares the file offset, so the offset is restored.
    let end = file.stream_position().unwrap();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    file.seek(std::io::SeekFrom::Start(end.max(bytes.len() as u64))).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The outcome of a command.
#[derive(Debug)]
pub struct Finished {
    pub command: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub seconds: f64,
    /// Number of processes that outlived the command.
    pub left_behind: usize,
}

impl Finished {
    /// Asserts that the command succeeded and left no process behind. Returns its standard output.
    pub fn success(&self) -> &str {
        assert!(self.status.success() && self.left_behind == 0, "{self:#?}");
        &self.stdout
    }

    /// Asserts that the command succeeded, and parses its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.success())
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.command, self.stdout))
    }

    /// Lines of standard error that are gradshard's own messages. Launchers add other lines.
    pub fn messages(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.contains("gradshard: ")).collect()
    }

    /// Asserts that the command refused its input: exit code 2 within 10 seconds, one message that has all of `parts`,
    /// no standard output, and no process left behind.
    pub fn refused(&self, parts: &[&str]) {
        assert_eq!(self.status.code(), Some(2), "{self:#?}");
        assert!(self.seconds < 10.0 && self.left_behind == 0, "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        let messages = self.messages();
        assert_eq!(messages.len(), 1, "{self:#?}");
        for part in parts {
            assert!(messages[0].contains(part), "{part:?} is not in {:?}", messages[0]);
        }
    }
}
