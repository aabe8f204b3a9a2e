//! The bytes of one file, as the synchronous parser wants them, fetched in blocks on demand.
//!
//! Sits between parser threads (which block) and the [`RangeReader`] (which waits). Lives for one
//! parse: it never evicts, it refuses to grow past [`MAX_METADATA_BYTES`]. Threads that miss the same
//! block fetch it once; runs of missing blocks are one request; requests in flight are bounded.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::storage::reader::RangeReader;

/// Bytes of one block.
pub(crate) const BLOCK_SIZE: u64 = 64 * 1024;
/// Blocks of one request at most.
const MAX_RUN_BLOCKS: u64 = 32;
/// Requests in flight for one parse.
pub(crate) const MAX_REQUESTS: usize = 16;
/// Metadata that one parse may hold in memory.
const MAX_METADATA_BYTES: u64 = 512 * 1024 * 1024;

/// Blocks of one file.
pub(crate) struct BlockSource {
    reader: Arc<dyn RangeReader>,
    runtime: Handle,
    requests: Semaphore,
    blocks: Mutex<HashMap<u64, Block>>,
    arrived: Condvar,
    failure: Mutex<Option<Error>>,
    cancelled: AtomicBool,
}

enum Block {
    Loading,
    Ready(Bytes),
}

impl fmt::Debug for BlockSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BlockSource").field("object", self.reader.identity()).finish_non_exhaustive()
    }
}

impl BlockSource {
    /// A source without blocks; must be made inside a tokio runtime.
    pub(crate) fn new(reader: Arc<dyn RangeReader>) -> Self {
        Self {
            reader,
            runtime: Handle::current(),
            requests: Semaphore::new(MAX_REQUESTS),
            blocks: Mutex::new(HashMap::new()),
            arrived: Condvar::new(),
            failure: Mutex::new(None),
            cancelled: AtomicBool::new(false),
        }
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.reader.identity().size
    }

    /// URL of the file, for messages.
    pub(crate) fn url(&self) -> &str {
        &self.reader.identity().url
    }

    /// The first failed read since the last call, which tells more than what the parser made of it.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        lock(&self.failure).take()
    }

    /// Makes every further read fail, so that parser threads end soon.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// `length` bytes at `offset`. Blocks the thread; only for blocking threads.
    ///
    /// # Errors
    /// `DataLoss` when the range lies outside the file, and the errors of reading.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Bytes> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.size()).ok_or_else(|| {
            Error::data_loss(format!(
                "'{}': metadata at byte {offset} needs {length} bytes, the object has {} bytes",
                self.url(),
                self.size()
            ))
        })?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        if length as u64 > MAX_METADATA_BYTES {
            return Err(self.too_much());
        }
        let blocks = offset / BLOCK_SIZE..(end - 1) / BLOCK_SIZE + 1;
        self.load(blocks.clone())?;
        self.collect(offset, length, blocks)
    }

    /// Fetches the blocks at `addresses` (each with `length` bytes behind it, as far as the file
    /// goes) in parallel, so that later reads find them. Failures show up in those reads.
    pub(crate) fn prefetch(&self, addresses: impl IntoIterator<Item = u64>, length: u64) {
        let last = self.size().saturating_sub(1);
        let mut blocks: Vec<u64> = addresses
            .into_iter()
            .filter(|address| *address <= last)
            .flat_map(|address| address / BLOCK_SIZE..=address.saturating_add(length).min(last) / BLOCK_SIZE)
            .collect();
        blocks.sort_unstable();
        blocks.dedup();
        // The read that needs a block which did not come tries again and reports its own failure.
        drop(self.load(blocks));
    }

    /// Makes `wanted` blocks (ascending) ready, fetching the missing ones that nobody fetches yet.
    fn load(&self, wanted: impl IntoIterator<Item = u64>) -> Result<()> {
        let wanted: Vec<u64> = wanted.into_iter().collect();
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(Error::new(crate::error::Kind::Cancelled, "reading metadata was cancelled"));
            }
            let mut blocks = lock(&self.blocks);
            let mut runs: Vec<Range<u64>> = Vec::new();
            let mut waits = false;
            for &block in &wanted {
                match blocks.get(&block) {
                    Some(Block::Ready(_)) => {}
                    Some(Block::Loading) => waits = true,
                    None => match runs.last_mut() {
                        Some(run) if run.end == block && block - run.start < MAX_RUN_BLOCKS => run.end += 1,
                        _ => runs.push(block..block + 1),
                    },
                }
            }
            if runs.is_empty() && !waits {
                return Ok(());
            }
            if runs.is_empty() {
                drop(self.arrived.wait(blocks).unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            let added: u64 = runs.iter().map(|run| run.end - run.start).sum();
            if (blocks.len() as u64 + added) * BLOCK_SIZE > MAX_METADATA_BYTES {
                return Err(self.too_much());
            }
            blocks.extend(runs.iter().flat_map(Range::clone).map(|block| (block, Block::Loading)));
            drop(blocks);
            self.fetch(&runs)?;
        }
    }

    fn fetch(&self, runs: &[Range<u64>]) -> Result<()> {
        let _release = Release { source: self, runs };
        let reads = runs.iter().map(|run| self.fetch_run(run.clone()));
        let results: Vec<Result<()>> =
            self.runtime.block_on(stream::iter(reads).buffer_unordered(MAX_REQUESTS).collect());
        results.into_iter().collect()
    }

    async fn fetch_run(&self, run: Range<u64>) -> Result<()> {
        let range = run.start * BLOCK_SIZE..(run.end * BLOCK_SIZE).min(self.size());
        let permit = self.requests.acquire().await;
        let read = self.reader.read_cached(range.clone()).await;
        drop(permit);
        let bytes = match read {
            Ok(bytes) if bytes.len() as u64 == range.end - range.start => bytes,
            Ok(bytes) => return Err(self.fail(Error::internal(format!("{} bytes read of {range:?}", bytes.len())))),
            Err(error) => return Err(self.fail(error)),
        };
        let mut blocks = lock(&self.blocks);
        let mut rest = bytes;
        for block in run {
            let part = rest.split_to(rest.len().min(BLOCK_SIZE as usize));
            blocks.insert(block, Block::Ready(part));
        }
        Ok(())
    }

    /// Keeps the first failure and gives a placeholder of the same kind for the parser.
    fn fail(&self, error: Error) -> Error {
        let stand_in = Error::new(error.kind(), error.message());
        lock(&self.failure).get_or_insert(error);
        stand_in
    }

    fn collect(&self, offset: u64, length: usize, range: Range<u64>) -> Result<Bytes> {
        let blocks = lock(&self.blocks);
        let ready = |block: u64| match blocks.get(&block) {
            Some(Block::Ready(bytes)) => Ok(bytes),
            _ => Err(Error::internal(format!("block {block} is not loaded"))),
        };
        let start = (offset % BLOCK_SIZE) as usize;
        if range.end - range.start == 1 {
            let bytes = ready(range.start)?;
            return match start.checked_add(length) {
                Some(end) if end <= bytes.len() => Ok(bytes.slice(start..end)),
                _ => Err(Error::internal(format!("block {} is short", range.start))),
            };
        }
        let mut joined = BytesMut::new();
        for block in range {
            joined.extend_from_slice(ready(block)?);
        }
        let joined = joined.freeze();
        match start.checked_add(length) {
            Some(end) if end <= joined.len() => Ok(joined.slice(start..end)),
            _ => Err(Error::internal("blocks are short")),
        }
    }

    fn too_much(&self) -> Error {
        Error::resource_exhausted(format!(
            "'{}' needs more than {MAX_METADATA_BYTES} bytes of metadata at once",
            self.url()
        ))
    }
}

/// Frees blocks that were to be fetched and did not come, and wakes who waits for them.
struct Release<'a> {
    source: &'a BlockSource,
    runs: &'a [Range<u64>],
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        let mut blocks = lock(&self.source.blocks);
        for block in self.runs.iter().flat_map(Range::clone) {
            if matches!(blocks.get(&block), Some(Block::Loading)) {
                blocks.remove(&block);
            }
        }
        drop(blocks);
        self.source.arrived.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
