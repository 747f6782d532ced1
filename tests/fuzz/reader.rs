//! A process that reads many files, as a process for each would take most of the time. The HDF5 library may crash on a damaged
//! file; then the process is dead, and the next file has a new one.

use std::fmt;
use std::io::{BufRead, BufReader, Write, stdin};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::campaign::MOST_BYTES;
use crate::program::limited;

/// Begin of the lines that answer; the test harness writes others.
const ANSWER: &str = "@";
/// Time for one step of a file, ms.
const LONGEST: i32 = 5_000;

/// How far a process came with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was read, and all was done with it.
    Done,
    /// It was refused by an error.
    Refused,
    /// The process died or hung while it read the file.
    DiedReading,
    /// It died or hung after it had read the file.
    DiedLater,
}

/// Answers of a process.
#[derive(Clone, Copy)]
enum Said {
    Read,
    Done,
    Refused,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Said::Read => "read",
            Said::Done => "done",
            Said::Refused => "refused",
        })
    }
}

/// A process of the test `program` of this file, which calls [`serve`].
pub struct Reader {
    program: &'static str,
    child: Option<(Child, BufReader<std::process::ChildStdout>)>,
}

impl Reader {
    pub fn new(program: &'static str) -> Reader {
        Reader { program, child: None }
    }

    fn start(&self) -> (Child, BufReader<std::process::ChildStdout>) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([self.program, "--exact", "--ignored", "--nocapture"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // SAFETY: only system calls between fork and exec.
        unsafe { command.pre_exec(|| limited(libc::RLIMIT_DATA, MOST_BYTES as u64)) };
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        (child, out)
    }

    /// Lets the process read the file.
    pub fn read(&mut self, path: &Path) -> Outcome {
        let (mut child, mut out) = self.child.take().unwrap_or_else(|| self.start());
        writeln!(child.stdin.as_mut().unwrap(), "{}", path.display()).unwrap();
        let mut is_read = false;
        let outcome = loop {
            match answer(&mut out).as_deref() {
                Some("read") => is_read = true,
                Some("done") => break Outcome::Done,
                Some("refused") => break Outcome::Refused,
                _ => {
                    let _ = child.kill();
                    child.wait().unwrap();
                    return if is_read { Outcome::DiedLater } else { Outcome::DiedReading };
                }
            }
        };
        self.child = Some((child, out));
        outcome
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The next answer; None at the end of the process, or if it takes too long.
fn answer(out: &mut BufReader<std::process::ChildStdout>) -> Option<String> {
    loop {
        if out.buffer().is_empty() {
            let mut wanted = libc::pollfd { fd: out.get_ref().as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one entry is passed.
            if unsafe { libc::poll(&raw mut wanted, 1, LONGEST) } <= 0 {
                return None;
            }
        }
        let mut line = String::new();
        if out.read_line(&mut line).ok()? == 0 {
            return None;
        }
        // The harness writes the test's name without an end of line.
        if let Some((_, said)) = line.trim_end().rsplit_once(ANSWER) {
            return Some(said.to_owned());
        }
    }
}

/// Reads the files whose paths come on standard input by `read`, and does `further` with what it yields.
pub fn serve<T>(read: impl Fn(&Path) -> Option<T>, further: impl Fn(T)) {
    let say = |said: Said| println!("{ANSWER}{said}");
    for line in stdin().lines() {
        match read(Path::new(&line.unwrap())) {
            None => say(Said::Refused),
            Some(contents) => {
                say(Said::Read);
                further(contents);
                say(Said::Done);
            }
        }
    }
}
