//! One worker process: its pipes, its end.

use std::io::{self, BufRead, BufReader, BufWriter, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command as Program, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use hdf5_worker::protocol::{self, Command, Message, Supply};

use super::LibraryOptions;
use crate::error::{Error, Result};

/// Bytes of one line of what a worker prints.
const MAX_LINE_BYTES: u64 = 4096;

/// A running worker. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Worker {
    process: Arc<Process>,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The session whose file is open in it.
    pub(super) session: Option<u64>,
    /// Whether it said anything to the running command.
    pub(super) heard: bool,
}

/// The process of a worker, for those who may have to end it.
#[derive(Debug)]
pub(super) struct Process {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    child: Child,
    /// Number of the command that is being worked on.
    running: Option<u64>,
    expired: bool,
}

impl Worker {
    /// Starts a process. Blocks shortly.
    ///
    /// # Errors
    /// `Unavailable` when the program cannot be started.
    pub(super) fn start(options: &LibraryOptions) -> Result<Self> {
        let failed = |error: io::Error| Error::unavailable("a worker for HDF5 could not be started").with_source(error);
        let mut child = Program::new(&options.program)
            .args(["hdf5-worker", "--memory", &options.memory_bytes.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Arc::new(Process { state: Mutex::new(State { child, running: None, expired: false }) });
        if let Some(errors) = errors {
            std::thread::Builder::new().name("hdf5-worker-log".into()).spawn(move || log(errors)).map_err(failed)?;
        }
        let (Some(input), Some(output)) = (input, output) else {
            return Err(Error::internal("a worker for HDF5 has no pipes"));
        };
        Ok(Self { process, input: BufWriter::new(input), output: BufReader::new(output), session: None, heard: false })
    }

    pub(super) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    pub(super) fn send(&mut self, command: &Command) -> io::Result<()> {
        protocol::send(&mut self.input, command, &[])
    }

    pub(super) fn supply(&mut self, supply: &Supply, payload: &[u8]) -> io::Result<()> {
        protocol::send(&mut self.input, supply, payload)
    }

    pub(super) fn receive(&mut self) -> io::Result<(Message, Vec<u8>)> {
        let received = protocol::receive(&mut self.output)?;
        self.heard = true;
        Ok(received)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.process.end();
    }
}

impl Process {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the process still runs.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state().child.try_wait(), Ok(None))
    }

    /// Command `number` begins.
    pub(super) fn begin(&self, number: u64) {
        self.state().running = Some(number);
    }

    /// The running command is done.
    pub(super) fn finish(&self) {
        self.state().running = None;
    }

    /// Ends the process if it still works on command `number`: its time is over.
    pub(super) fn expire(&self, number: u64) {
        let mut state = self.state();
        if state.running == Some(number) {
            state.expired = true;
            // It cannot be killed only when it has ended.
            drop(state.child.kill());
        }
    }

    /// Whether the process was ended because its time was over.
    pub(super) fn has_expired(&self) -> bool {
        self.state().expired
    }

    /// Ends the process; says how it ended, by itself or by this.
    pub(super) fn end(&self) -> Option<ExitStatus> {
        let mut state = self.state();
        // One that closed its output ends by itself at once: its own status says more.
        for _ in 0..20 {
            if let Ok(Some(status)) = state.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        drop(state.child.kill());
        state.child.wait().ok()
    }
}

/// Puts what a worker prints into the log.
fn log(errors: impl Read) {
    let mut errors = BufReader::new(errors);
    loop {
        let mut line = Vec::new();
        match errors.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => tracing::debug!(line = %String::from_utf8_lossy(&line).trim_end(), "the worker for HDF5 says"),
        }
    }
}
