//! Runs gradshard with a limited time and memory.

use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::campaign::{LONGEST, MOST_BYTES};

/// Documented exit codes.
const CODES: std::ops::RangeInclusive<i32> = 0..=4;

/// Runs gradshard in `directory`. True if it succeeded, false if it ended with another documented exit code.
pub fn ends_well(directory: &Path, arguments: &[&str]) -> bool {
    let mut said = tempfile::tempfile().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradshard"));
    command.current_dir(directory).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone().unwrap());
    // SAFETY: only system calls between fork and exec.
    unsafe {
        command.pre_exec(|| {
            limited(libc::RLIMIT_DATA, MOST_BYTES as u64).and(limited(libc::RLIMIT_CPU, LONGEST.as_secs()))
        })
    };
    let status = command.status().unwrap();
    let mut text = String::new();
    said.rewind().unwrap();
    said.read_to_string(&mut text).unwrap();
    let code = status.code();
    assert!(code.is_some_and(|code| CODES.contains(&code)), "{status}: {arguments:?}: {text}");
    let odd = |symbol: char| symbol.is_control() && symbol != '\n';
    assert!(!text.contains("panicked") && !text.contains(odd), "{arguments:?}: {text:?}");
    code == Some(0)
}

/// Sets a limit of this process.
pub fn limited(resource: libc::__rlimit_resource_t, most: u64) -> std::io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the call only reads the limit.
    if unsafe { libc::setrlimit(resource, &limit) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}
