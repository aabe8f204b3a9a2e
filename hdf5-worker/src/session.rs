//! The worker's end of the conversation, while libhdf5 runs: the file driver asks here for bytes and
//! files, and this asks the parent.
//!
//! There is one session per thread, because the driver's callbacks get no context of ours.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read, Write};

use crate::blocks::{BLOCK_BYTES, Blocks};
use crate::protocol::{MAIN_FILE, MAX_RANGE_BYTES, Message, Supply, receive, send};

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// The folder in which libhdf5 believes the first file to lie; the files next to it are asked for by
/// what follows.
const FOLDER: &str = "/folder/";
/// Names of other files remembered at most.
const MAX_NAMES: usize = 100_000;
/// Reads longer than this go past the blocks.
const LARGE_READ: u64 = 16 * BLOCK_BYTES;

/// A file that the parent has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemoteFile {
    /// Its number.
    pub(crate) number: u32,
    /// Its size in bytes.
    pub(crate) size: u64,
}

struct Session {
    input: Box<dyn Read>,
    output: Box<dyn Write>,
    blocks: Blocks,
    /// Files by the name that libhdf5 uses; none for those that are not there.
    names: HashMap<String, Option<RemoteFile>>,
}

/// Starts the session of this thread.
pub(crate) fn start(input: Box<dyn Read>, output: Box<dyn Write>) {
    let session = Session { input, output, blocks: Blocks::new(), names: HashMap::new() };
    SESSION.set(Some(session));
}

/// Forgets what was read; the first file is now `name`. Returns the name under which libhdf5 opens it.
pub(crate) fn begin(name: &str, size: u64) -> io::Result<String> {
    with(|session| {
        session.blocks = Blocks::new();
        let name = format!("{FOLDER}{name}");
        session.names = HashMap::from([(name.clone(), Some(RemoteFile { number: MAIN_FILE, size }))]);
        Ok(name)
    })
}

/// The next command of the parent, with its payload.
pub(crate) fn next<T: serde::de::DeserializeOwned>() -> io::Result<T> {
    with(|session| Ok(receive(&mut session.input)?.0))
}

/// Answers the parent.
pub(crate) fn answer(message: &Message, payload: &[u8]) -> io::Result<()> {
    with(|session| send(&mut session.output, message, payload))
}

/// The file that libhdf5 calls `name`; none when there is no such file or the parent refuses it (it
/// then fails the command).
pub(crate) fn open(name: &str) -> io::Result<Option<RemoteFile>> {
    with(|session| session.open(name))
}

/// Fills `target` with the bytes of `file` from `offset` on; zeros behind its end.
pub(crate) fn read(file: RemoteFile, offset: u64, target: &mut [u8]) -> io::Result<()> {
    with(|session| session.read(file, offset, target))
}

fn with<T>(work: impl FnOnce(&mut Session) -> io::Result<T>) -> io::Result<T> {
    SESSION.with_borrow_mut(|session| work(session.as_mut().ok_or(io::ErrorKind::NotConnected)?))
}

impl Session {
    fn open(&mut self, name: &str) -> io::Result<Option<RemoteFile>> {
        if let Some(known) = self.names.get(name) {
            return Ok(*known);
        }
        // libhdf5 tries a relative name also without the folder, which has no meaning here.
        if !name.starts_with('/') {
            return Ok(None);
        }
        if self.names.len() >= MAX_NAMES {
            return Err(io::Error::other("too many other files"));
        }
        let asked = name.strip_prefix(FOLDER).unwrap_or(name).to_owned();
        send(&mut self.output, &Message::Other { name: asked }, &[])?;
        let found = match receive(&mut self.input)?.0 {
            Supply::File { number, size } => Some(RemoteFile { number, size }),
            Supply::Absent => None,
            // Not remembered: it may be given for another command.
            Supply::Refused => return Err(io::ErrorKind::PermissionDenied.into()),
            Supply::Bytes => return Err(io::ErrorKind::InvalidData.into()),
        };
        self.names.insert(name.to_owned(), found);
        Ok(found)
    }

    fn read(&mut self, file: RemoteFile, offset: u64, target: &mut [u8]) -> io::Result<()> {
        let inside = usize::try_from(file.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(target.len());
        let (mut target, behind) = target.split_at_mut(inside);
        behind.fill(0);
        let mut offset = offset;
        while !target.is_empty() {
            let count = match self.blocks.copy(file.number, offset, target) {
                Some(count) => count,
                None if target.len() as u64 > LARGE_READ => self.fetch_past(file, offset, target)?,
                None => {
                    self.fetch(file, offset, target.len() as u64)?;
                    continue;
                }
            };
            target = target.get_mut(count..).unwrap_or_default();
            offset = offset.saturating_add(count as u64);
        }
        Ok(())
    }

    /// Fetches the missing blocks from the one of `offset` on, as far as `length` bytes reach.
    fn fetch(&mut self, file: RemoteFile, offset: u64, length: u64) -> io::Result<()> {
        let start = offset - offset % BLOCK_BYTES;
        let most = start.saturating_add(MAX_RANGE_BYTES).min(offset.saturating_add(length));
        let mut end = start;
        while end < most && !self.blocks.has(file.number, end) {
            end += BLOCK_BYTES;
        }
        let bytes = self.range(file, start, end.min(file.size))?;
        self.blocks.keep(file.number, start, &bytes);
        Ok(())
    }

    /// Fetches straight into `target`, as much as one question gives.
    fn fetch_past(&mut self, file: RemoteFile, offset: u64, target: &mut [u8]) -> io::Result<usize> {
        let length = (target.len() as u64).min(MAX_RANGE_BYTES);
        let bytes = self.range(file, offset, offset.saturating_add(length))?;
        target.get_mut(..bytes.len()).ok_or(io::ErrorKind::InvalidData)?.copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn range(&mut self, file: RemoteFile, start: u64, end: u64) -> io::Result<Vec<u8>> {
        let length = end.saturating_sub(start);
        send(&mut self.output, &Message::Range { file: file.number, offset: start, length }, &[])?;
        match receive(&mut self.input)? {
            (Supply::Bytes, bytes) if bytes.len() as u64 == length && length > 0 => Ok(bytes),
            (Supply::Refused, _) => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
