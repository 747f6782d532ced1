//! Functions as processes of this machine, one an invocation.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use gradshard::ceiling::JobLauncher;

use crate::bucket::ObjectName;
use crate::invocation::{FunctionAccount, Invocation};
use crate::own_group::{GROUP_ROOM, died_of_memory};

/// The reason why a function has not been carried out.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The process cannot be started, or its account cannot be read.
    #[error("the function of object {0}: {1}")]
    Process(ObjectName, String),
    /// The function found a fault and said it.
    #[error("{0}")]
    Said(String),
    /// The kernel killed it for its memory.
    #[error(
        "the function of object {object}: killed by the kernel, as it needs more memory than its control group may hold, {limit} \
         bytes ({by})"
    )]
    Memory {
        /// The object that it was to write.
        object: ObjectName,
        /// The mechanism.
        by: &'static str,
        /// The group's limit, bytes.
        limit: u64,
    },
    /// This process was asked to stop.
    #[error("stopped by a signal")]
    Stopped,
    /// A signal killed every attempt.
    #[error("the function of object {object}: killed by signal {signal}, {attempts} times")]
    Killed {
        /// The object that it was to write.
        object: ObjectName,
        /// The signal of the last attempt.
        signal: i32,
        /// Number of attempts.
        attempts: u64,
    },
}

/// A function that has been carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// Its account. Requests of attempts that were killed are not in it.
    pub account: FunctionAccount,
    /// Number of attempts that were killed before.
    pub killed: u64,
}

/// Starts functions: a program that reads an invocation from its standard input and prints its account.
#[derive(Clone, Debug)]
pub struct Processes {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<PathBuf>,
    /// A command that starts the program, such as srun on another node; None: it is started here.
    pub launcher: Option<JobLauncher>,
    /// Greatest number of functions that run at the same time, at least 1.
    pub concurrent: u64,
    /// Greatest number of attempts at an invocation, at least 1. A function that was killed is started again. One that found a
    /// fault itself would find it again.
    pub attempts: u64,
    /// Set when no function shall be started any more.
    pub stop: Arc<AtomicBool>,
}

impl Processes {
    /// Carries out all `invocations`, in their order as far as functions may run at the same time. Returns their accounts in
    /// this order.
    ///
    /// # Errors
    /// [`CallError`]: that of the first function in this order that has one. Functions that have not begun are not started
    /// any more.
    pub fn call_all(&self, invocations: &[Invocation]) -> Result<Vec<Called>, CallError> {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let done = Mutex::new(Vec::new());
        let work = || {
            while !failed.load(Relaxed) {
                let index = next.fetch_add(1, Relaxed);
                let Some(invocation) = invocations.get(index) else { break };
                let called = self.call(invocation);
                failed.fetch_or(called.is_err(), Relaxed);
                done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, called));
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.concurrent.min(invocations.len() as u64) {
                scope.spawn(work);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, called)| called).collect()
    }

    fn call(&self, invocation: &Invocation) -> Result<Called, CallError> {
        let fault = |problem: String| CallError::Process(invocation.object.clone(), problem);
        let text = serde_json::to_vec(invocation).map_err(|error| fault(error.to_string()))?;
        let mut killed = 0;
        loop {
            if self.stop.load(Relaxed) {
                return Err(CallError::Stopped);
            }
            let (id, Output { status, stdout, stderr }) =
                self.attempt(&text).map_err(|error| fault(error.to_string()))?;
            // A launcher whose program a signal killed ends with the code 128 and the signal, as a shell does.
            let of_launcher = status.code().filter(|_| self.launcher.is_some()).map(|code| code - 128);
            if let Some(signal) = status.signal().or(of_launcher.filter(|signal| *signal > 0)) {
                if let Some(by) = died_of_memory(id) {
                    let limit = invocation.memory_bytes.unwrap_or_default().saturating_add(GROUP_ROOM);
                    return Err(CallError::Memory { object: invocation.object.clone(), by, limit });
                }
                killed += 1;
                if killed >= self.attempts {
                    let object = invocation.object.clone();
                    return Err(CallError::Killed { object, signal, attempts: self.attempts });
                }
                continue;
            }
            if !status.success() {
                return Err(CallError::Said(String::from_utf8_lossy(&stderr).trim_end().to_owned()));
            }
            let account = serde_json::from_slice(&stdout);
            let account = account.map_err(|error| fault(format!("its account cannot be read: {error}")))?;
            return Ok(Called { account, killed });
        }
    }

    /// Starts the program once. Returns the process's number and its end.
    fn attempt(&self, invocation: &[u8]) -> std::io::Result<(u32, Output)> {
        let here = || {
            let mut command = Command::new(&self.program);
            command.args(&self.arguments);
            command
        };
        let launched = |launcher: &JobLauncher| launcher.command(&self.program, &self.arguments);
        let mut command = self.launcher.as_ref().map_or_else(here, launched);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let id = process.id();
        if let Some(mut input) = process.stdin.take() {
            // A process that was killed reads no more; its status says so.
            let _ = input.write_all(invocation);
        }
        Ok((id, process.wait_with_output()?))
    }
}
