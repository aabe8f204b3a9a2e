//! What every read shares: bounds on decoding, fetching and memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::chunk_cache::ChunkCache;
use super::decoders::{Decoders, Turn};
use crate::error::{Error, Result};
use crate::plan::requests::Merging;

/// Bytes that one permit of the memory budget stands for.
const PERMIT_BYTES: u64 = 1024;

/// Decoded chunks that other reads make and that are not taken yet, as a part of the memory budget and
/// beside it.
const WAITS_PART: u64 = 16;

/// Windows of one stream that are read at the same time: one is decoded, one is fetched, and one waits for either.
const WINDOWS_IN_FLIGHT: usize = 3;

/// Windows that a stream has memory for. A window's values exist twice for a moment, gathered and as the batch made of
/// them; as the oldest window goes first, that is one at a time.
const WINDOWS_HELD: usize = WINDOWS_IN_FLIGHT + 1;

/// Work on fewer bytes is done at once: handing it to the pool would take longer.
const POOLED_BYTES: u64 = 256 << 10;

/// Bounds shared by all streams of a server.
#[derive(Clone, Debug)]
pub struct ReadContext {
    /// Chunks decoded at the same time, by all streams together.
    decoders: Arc<Decoders>,
    /// The place of what is read among the windows of its stream.
    turn: Turn,
    /// Bytes of windows being read or waiting for delivery, in permits of [`PERMIT_BYTES`].
    windows: Arc<Semaphore>,
    windows_bytes: u64,
    /// Bytes being fetched or waiting to be decoded, in the same permits.
    fetches: Arc<Semaphore>,
    fetches_bytes: u64,
    /// The part of it that one stream may take, where this is a stream's.
    stream_fetches: Option<Arc<Semaphore>>,
    /// Bytes of decoded chunks that reads take from other reads, in the same permits.
    waits: Arc<Semaphore>,
    /// Both together.
    memory_bytes: u64,
    memory_wait: Duration,
    /// Chunks decoded at the same time, by all streams together.
    pub decode_threads: usize,
    /// Decoded chunks and columns that are asked for again.
    pub chunks: Arc<ChunkCache>,
    /// How neighbouring ranges are merged.
    pub merging: Merging,
    /// Requests in flight of one window.
    pub requests_in_flight: usize,
    /// Largest window of one stream, in bytes of decoded values.
    pub window_bytes: u64,
}

impl ReadContext {
    /// `memory_bytes` for all streams, `stream_bytes` for one, `decode_threads` decoding at once,
    /// `requests_in_flight` per window. A window that waits longer than `memory_wait` for memory is
    /// refused.
    pub fn new(
        memory_bytes: u64,
        stream_bytes: u64,
        decode_threads: usize,
        requests_in_flight: usize,
        memory_wait: Duration,
    ) -> Self {
        let memory_bytes = memory_bytes.max(4 * PERMIT_BYTES);
        let fetches_bytes = memory_bytes / 4;
        let windows_bytes = memory_bytes - fetches_bytes;
        let stream_bytes = stream_bytes.clamp(PERMIT_BYTES, windows_bytes);
        Self {
            decoders: Arc::new(Decoders::new(decode_threads)),
            turn: Turn::default(),
            decode_threads: decode_threads.max(1),
            windows: Arc::new(Semaphore::new(permits(windows_bytes) as usize)),
            windows_bytes,
            fetches: Arc::new(Semaphore::new(permits(fetches_bytes) as usize)),
            fetches_bytes,
            stream_fetches: None,
            waits: Arc::new(Semaphore::new(permits(memory_bytes / WAITS_PART) as usize)),
            memory_bytes,
            memory_wait,
            chunks: Arc::new(ChunkCache::new(0)),
            merging: Merging::default(),
            requests_in_flight: requests_in_flight.max(1),
            window_bytes: stream_bytes / WINDOWS_HELD as u64,
        }
    }

    /// The same bounds, with a cache of decoded chunks of `bytes` bytes, at most an eighth of the memory
    /// budget beside it.
    #[must_use]
    pub fn with_chunk_cache(self, bytes: u64) -> Self {
        let bytes = bytes.min(self.memory_bytes / 8);
        Self { chunks: Arc::new(ChunkCache::new(bytes)), ..self }
    }

    /// The same bounds, shared, with another way to merge ranges.
    #[must_use]
    pub fn with_merging(&self, merging: Merging) -> Self {
        Self { merging, ..self.clone() }
    }

    /// The same bounds for one stream, whose windows together have no more bytes fetched and not yet decoded than two
    /// windows have bytes: more would not make it faster, and what waits is memory that has to be made and cleared.
    #[must_use]
    pub fn of_stream(&self) -> Self {
        let fetches = Semaphore::new(permits(self.stream_fetches_bytes()) as usize);
        Self { stream_fetches: Some(Arc::new(fetches)), ..self.clone() }
    }

    fn stream_fetches_bytes(&self) -> u64 {
        self.fetches_bytes.min(self.window_bytes.saturating_mul(2))
    }

    /// The same bounds for what is read at `turn` of a stream.
    #[must_use]
    pub fn at(&self, turn: Turn) -> Self {
        Self { turn, ..self.clone() }
    }

    /// The same memory for work that nobody waits for: half of the decoders (at least one, beside the
    /// others') and of the requests in flight, and nothing of it is kept.
    #[must_use]
    pub fn in_background(&self) -> Self {
        let decode_threads = (self.decode_threads / 2).max(1);
        Self {
            decoders: Arc::new(Decoders::new(decode_threads)),
            decode_threads,
            chunks: Arc::new(ChunkCache::new(0)),
            requests_in_flight: (self.requests_in_flight / 2).max(1),
            ..self.clone()
        }
    }

    /// Bytes that all streams together may hold.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Bytes of variable-length elements that one column of a window may have: it exists twice for a
    /// moment, read and as an Arrow array.
    pub fn heap_bytes(&self) -> usize {
        usize::try_from(self.windows_bytes / 2).unwrap_or(usize::MAX)
    }

    /// Runs `work` on the blocking pool, at most as many at once as there are decoders.
    ///
    /// # Errors
    /// The error of `work`; `Internal` when it panicked.
    pub async fn decode<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let permit = self.decoders.permit(&self.turn).await;
        let permit = permit.ok_or_else(|| Error::internal("decode pool closed"))?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        task.await.map_err(|error| Error::internal("decoding stopped unexpectedly").with_source(error))?
    }

    /// Runs `work` on about `bytes` bytes: on the pool where that takes a while, else at once.
    ///
    /// # Errors
    /// As [`ReadContext::decode`].
    pub async fn compute<T: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.is_short(bytes) { work() } else { self.decode(work).await }
    }

    /// Whether work on about `bytes` bytes is done at once.
    pub fn is_short(&self, bytes: u64) -> bool {
        bytes < POOLED_BYTES
    }

    /// Waits for room for `bytes` that are fetched and not yet decoded, of the stream first; a request larger than all
    /// the room goes alone. Never waits for a client: what is fetched is decoded by itself.
    ///
    /// # Errors
    /// `Internal` when the budget was closed.
    pub async fn fetching(&self, bytes: u64) -> Result<Fetching> {
        let of_stream = match &self.stream_fetches {
            Some(room) => Some(taken(room, bytes.min(self.stream_fetches_bytes())).await?),
            None => None,
        };
        let of_all = taken(&self.fetches, bytes.min(self.fetches_bytes)).await?;
        Ok(Fetching { _of_stream: of_stream, _of_all: of_all })
    }

    /// Room for a decoded chunk of `bytes` bytes that another read makes, if there is some now. Never waits:
    /// who finds no room reads the chunk as well.
    pub fn waiting(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waits).try_acquire_many_owned(permits(bytes)).ok()
    }

    /// Refuses what is decoded as one and does not fit the memory budget.
    ///
    /// # Errors
    /// `ResourceExhausted` naming the budget.
    pub fn check_chunk(&self, bytes: u64) -> Result<()> {
        if bytes <= self.memory_bytes {
            return Ok(());
        }
        Err(Error::resource_exhausted(format!(
            "one chunk decodes to {bytes} bytes, memory_budget is {} bytes",
            self.memory_bytes
        )))
    }

    /// Windows of one stream that are read at the same time. Those that each read all of the data (`is_divisible` is not
    /// set) exist twice one beside the other: half as many as there is memory for.
    pub fn windows_in_flight(&self, is_divisible: bool) -> usize {
        if is_divisible { WINDOWS_IN_FLIGHT } else { WINDOWS_HELD / 2 }
    }

    /// Waits for the memory of a window whose values take `bytes` bytes, one of `in_flight`: its share of what a stream
    /// holds, or twice its size where it is larger than windows are planned.
    ///
    /// # Errors
    /// As [`ReadContext::reserve`].
    pub async fn reserve_window(&self, bytes: u64, in_flight: usize) -> Result<OwnedSemaphorePermit> {
        let share = bytes.saturating_mul(WINDOWS_HELD as u64) / in_flight.max(1) as u64;
        self.reserve(if bytes > self.window_bytes { bytes.saturating_mul(2) } else { share }).await
    }

    /// Waits for `bytes` of the memory budget's part for windows (three quarters of it).
    ///
    /// # Errors
    /// `ResourceExhausted` naming the budget when `bytes` are more than that, or do not come in time.
    pub async fn reserve(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        if bytes > self.windows_bytes {
            return Err(Error::resource_exhausted(format!(
                "{bytes} bytes are needed at once, of memory_budget {} bytes are for that",
                self.windows_bytes
            )));
        }
        let acquire = Arc::clone(&self.windows).acquire_many_owned(permits(bytes));
        let wait = tokio::time::timeout(self.memory_wait, acquire);
        match wait.await {
            Ok(permit) => permit.map_err(|error| Error::internal("memory budget closed").with_source(error)),
            Err(_) => Err(Error::resource_exhausted(format!(
                "memory_budget of {} bytes stayed in use by other streams for {:?}",
                self.memory_bytes, self.memory_wait
            ))
            .retryable()),
        }
    }
}

/// Room for bytes that are fetched and not yet decoded, as long as this lives.
#[derive(Debug)]
pub struct Fetching {
    _of_stream: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

async fn taken(room: &Arc<Semaphore>, bytes: u64) -> Result<OwnedSemaphorePermit> {
    let permit = Arc::clone(room).acquire_many_owned(permits(bytes)).await;
    permit.map_err(|error| Error::internal("memory budget closed").with_source(error))
}

/// Permits for `bytes`; at least one.
fn permits(bytes: u64) -> u32 {
    u32::try_from((bytes / PERMIT_BYTES).max(1)).unwrap_or(u32::MAX)
}
