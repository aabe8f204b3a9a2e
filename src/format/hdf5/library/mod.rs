//! libhdf5 in processes of its own: the parent's side. What the parser does not read itself (virtual
//! datasets, and what it refuses by name) is asked for here.
//!
//! ```text
//! ask ─▶ a free worker, or a new one ─▶ conversation: Command ─▶ questions (pinned ranges) ─▶ answer
//!         at most `workers`               at most `time`; then, or when it crashes, the process is ended
//! ```
//!
//! Workers are kept for the next command, with the file open. Nothing here trusts what a worker says:
//! ranges are checked, names go through the storage roots, sizes are bounded.

mod conversation;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdf5_worker::protocol::{Command, Message};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::others::Others;
use crate::error::{Error, Result};
use crate::storage::reader::RangeReader;
use conversation::{Conversation, Ended};
use worker::{Process, Worker};

/// Idle workers are ended after this time, when the next command comes.
const IDLE_TIME: Duration = Duration::from_secs(300);

/// How workers are started and bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryOptions {
    /// The program, which is started with `hdf5-worker`.
    pub program: PathBuf,
    /// Processes at most.
    pub workers: usize,
    /// Address space of one process, in bytes.
    pub memory_bytes: u64,
    /// Time for one command, and for waiting for a worker.
    pub time: Duration,
}

/// The worker processes of a server.
#[derive(Debug)]
pub struct Library {
    options: LibraryOptions,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<(Instant, Worker)>>,
    commands: AtomicU64,
    sessions: AtomicU64,
}

/// One open file, as workers see it.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    reader: Arc<dyn RangeReader>,
    others: Arc<Others>,
}

impl Library {
    /// Starts nothing yet.
    pub fn new(options: LibraryOptions) -> Self {
        let places = Arc::new(Semaphore::new(options.workers.clamp(1, Semaphore::MAX_PERMITS)));
        let (commands, sessions) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { options, places, idle: Mutex::default(), commands, sessions }
    }

    /// A session for the file behind `reader`.
    pub(crate) fn session(&self, reader: Arc<dyn RangeReader>, others: Arc<Others>) -> Session {
        Session { id: self.sessions.fetch_add(1, Ordering::Relaxed), reader, others }
    }

    /// The answer to `command` and its payload.
    ///
    /// When the caller goes away, the worker is told with its next question, and is then free again.
    ///
    /// # Errors
    /// `DataLoss` or `Unimplemented` with what libhdf5 says, `ResourceExhausted` when all workers stay busy,
    /// `Unavailable` when the worker crashed or took too long, and the errors of reading for it.
    pub(crate) async fn ask(self: &Arc<Self>, session: &Arc<Session>, command: Command) -> Result<(Message, Vec<u8>)> {
        let place = self.place().await?;
        let abandoned = Arc::new(AtomicBool::new(false));
        let _guard = AbandonOnDrop(Arc::clone(&abandoned));
        let (library, session, runtime) = (Arc::clone(self), Arc::clone(session), Handle::current());
        let task = tokio::task::spawn_blocking(move || {
            let conversation = Conversation { session: &session, runtime: &runtime, abandoned: &abandoned };
            let answer = library.work(&conversation, &command);
            drop(place);
            answer
        });
        task.await.map_err(|error| Error::internal("a conversation with libhdf5 stopped").with_source(error))?
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit> {
        let LibraryOptions { workers, time, .. } = &self.options;
        match tokio::time::timeout(*time, Arc::clone(&self.places).acquire_owned()).await {
            Ok(place) => place.map_err(|error| Error::internal("no workers for HDF5").with_source(error)),
            Err(_) => Err(Error::resource_exhausted(format!(
                "all {workers} workers for HDF5 (limits.hdf5_workers) stayed busy for {time:?}"
            ))
            .retryable()),
        }
    }

    /// Blocking part of [`Self::ask`]: the caller holds a place.
    fn work(&self, conversation: &Conversation<'_>, command: &Command) -> Result<(Message, Vec<u8>)> {
        for _ in 0..self.options.workers {
            let Some(mut worker) = self.take_idle(conversation.session.id) else { break };
            let result = self.exchange(conversation, &mut worker, command);
            let silent = matches!(result, Err(Ended::Broken(_))) && !worker.heard && !worker.process().has_expired();
            // One that died while it was idle is no fault of this command.
            if !silent {
                return self.finish(worker, result);
            }
        }
        let mut worker = Worker::start(&self.options)?;
        let result = self.exchange(conversation, &mut worker, command);
        self.finish(worker, result)
    }

    /// One command to one worker, within its time.
    fn exchange(
        &self,
        conversation: &Conversation<'_>,
        worker: &mut Worker,
        command: &Command,
    ) -> Result<(Message, Vec<u8>), Ended> {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let process = Arc::clone(worker.process());
        worker.heard = false;
        process.begin(number);
        let timer = conversation.runtime.spawn(expire(Arc::clone(&process), number, self.options.time));
        let result = conversation.ask(worker, command);
        process.finish();
        timer.abort();
        result
    }

    fn finish(&self, mut worker: Worker, result: Result<(Message, Vec<u8>), Ended>) -> Result<(Message, Vec<u8>)> {
        match result {
            Err(Ended::Broken(error)) => Err(self.broken(worker.process(), error)),
            Err(Ended::Failed(error)) => {
                // What the library made of the failure must not be met again: the file is opened anew.
                worker.session = None;
                self.keep(worker);
                Err(error)
            }
            Ok(answer) => {
                self.keep(worker);
                Ok(answer)
            }
        }
    }

    /// A free worker: the one that has the session's file open, else none as long as there is room for a
    /// new one, else the one that was used the longest ago.
    fn take_idle(&self, session: u64) -> Option<Worker> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, worker)| since.elapsed() < IDLE_TIME && worker.process().is_running());
        let at = idle.iter().position(|(_, worker)| worker.session == Some(session)).or_else(|| {
            // Places in use include the one of the caller, who has no worker yet.
            let busy = self.options.workers.max(1).saturating_sub(self.places.available_permits());
            (idle.len() + busy > self.options.workers.max(1)).then_some(0)
        })?;
        (at < idle.len()).then(|| idle.remove(at).1)
    }

    fn keep(&self, worker: Worker) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), worker));
    }

    fn broken(&self, process: &Process, error: std::io::Error) -> Error {
        let expired = process.has_expired();
        let status = process.end();
        let message = match status {
            _ if expired => {
                format!("libhdf5 took longer than {:?} (limits.hdf5_worker_time) and was ended", self.options.time)
            }
            Some(status) => format!("libhdf5 ended unexpectedly ({status})"),
            None => "libhdf5 ended unexpectedly".to_owned(),
        };
        tracing::warn!(message, %error, "a worker for HDF5 is lost");
        Error::unavailable(message).with_source(error)
    }
}

async fn expire(process: Arc<Process>, number: u64, time: Duration) {
    tokio::time::sleep(time).await;
    process.expire(number);
}

struct AbandonOnDrop(Arc<AtomicBool>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
