//! One command to a worker and the questions that come before its answer. Blocking: the caller gives
//! it a thread of its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hdf5_worker::protocol::{Command, Failure, MAX_RANGE_BYTES, Message, Supply};
use tokio::runtime::Handle;

use super::Session;
use super::worker::Worker;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::format::hdf5::others::Numbered;

/// Ranges up to this length go through the block cache.
const CACHED_BYTES: u64 = 256 * 1024;

/// What a command needs beside the worker.
pub(super) struct Conversation<'a> {
    pub(super) session: &'a Session,
    pub(super) runtime: &'a Handle,
    /// Whether nobody waits for the answer any more.
    pub(super) abandoned: &'a AtomicBool,
}

/// Why a conversation gave no answer.
pub(super) enum Ended {
    /// The command failed; the worker can take the next.
    Failed(Error),
    /// The worker is of no use any more.
    Broken(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Conversation<'_> {
    /// The answer to `command`, after opening the session's file where it is not open.
    pub(super) fn ask(&self, worker: &mut Worker, command: &Command) -> Result<(Message, Vec<u8>), Ended> {
        if worker.session != Some(self.session.id) {
            worker.session = None;
            let identity = self.session.reader.identity();
            let name = identity.url.rsplit('/').next().unwrap_or_default().to_owned();
            self.exchange(worker, &Command::Open { name, size: identity.size })?;
            worker.session = Some(self.session.id);
        }
        self.exchange(worker, command)
    }

    fn exchange(&self, worker: &mut Worker, command: &Command) -> Result<(Message, Vec<u8>), Ended> {
        worker.send(command)?;
        // The library may take a failed read for something else: the first failure decides.
        let mut failure: Option<Error> = None;
        loop {
            let (message, payload) = worker.receive()?;
            let supplied = match message {
                Message::Range { file, offset, length } => {
                    self.range(file, offset, length).map(|bytes| (Supply::Bytes, bytes))
                }
                Message::Other { name } => self.other(&name).map(|supply| (supply, Bytes::new())),
                answer => {
                    return match (failure, answer) {
                        (Some(error), _) => Err(Ended::Failed(error)),
                        (None, Message::Failed { kind, message }) => Err(Ended::Failed(failed(kind, message))),
                        (None, answer) => Ok((answer, payload)),
                    };
                }
            };
            match supplied {
                Ok((supply, bytes)) => worker.supply(&supply, &bytes)?,
                Err(error) => {
                    worker.supply(&Supply::Refused, &[])?;
                    failure.get_or_insert(error);
                }
            }
        }
    }

    fn range(&self, file: u32, offset: u64, length: u64) -> Result<Bytes> {
        self.check_abandoned()?;
        let found = self.runtime.block_on(self.session.others.numbered(file));
        let Numbered { reader, .. } = found.ok_or_else(|| Error::internal("a worker for HDF5 asks for no file"))?;
        let end = offset.checked_add(length).filter(|end| *end <= reader.identity().size && length <= MAX_RANGE_BYTES);
        let end = end.ok_or_else(|| Error::internal("a worker for HDF5 asks for bytes outside a file"))?;
        let bytes = if length <= CACHED_BYTES {
            self.runtime.block_on(reader.read_cached(offset..end))
        } else {
            self.runtime.block_on(reader.read(offset..end))
        };
        // A failure of the file itself is for its own pin.
        bytes.inspect_err(|error| {
            if !Arc::ptr_eq(&reader, &self.session.reader) {
                self.session.others.note(error)
            }
        })
    }

    fn other(&self, name: &str) -> Result<Supply> {
        self.check_abandoned()?;
        let found = self.runtime.block_on(self.session.others.open(name));
        Ok(match found.with_context(|| format!("other file '{name}'"))? {
            Some(Numbered { number, reader }) => Supply::File { number, size: reader.identity().size },
            None => Supply::Absent,
        })
    }

    fn check_abandoned(&self) -> Result<()> {
        if self.abandoned.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Cancelled, "nobody waits for the answer"));
        }
        Ok(())
    }
}

fn failed(kind: Failure, message: String) -> Error {
    let message = format!("libhdf5: {message}");
    match kind {
        // It is misused when it sees another shape than our own parser: then one of them is misled.
        Failure::Corrupt | Failure::Misused => Error::data_loss(message),
        Failure::Unsupported => Error::unimplemented(message),
    }
}
