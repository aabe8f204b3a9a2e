//! What every read shares: bounds on decoding, fetching and memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};
use crate::plan::requests::Merging;

/// Bytes that one permit of the memory budget stands for.
const PERMIT_BYTES: u64 = 1024;

/// Bounds shared by all streams of a server.
#[derive(Clone, Debug)]
pub struct ReadContext {
    /// Chunks decoded at the same time, by all streams together.
    decoders: Arc<Semaphore>,
    /// Bytes of windows being read or waiting for delivery, in permits of [`PERMIT_BYTES`].
    memory: Arc<Semaphore>,
    memory_bytes: u64,
    memory_wait: Duration,
    /// How neighbouring ranges are merged.
    pub merging: Merging,
    /// Requests in flight of one window.
    pub requests_in_flight: usize,
    /// Largest window of one stream, in bytes of decoded values.
    pub window_bytes: u64,
    /// Windows of one stream that are read at the same time.
    pub windows_in_flight: usize,
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
        let windows_in_flight = 2;
        let stream_bytes = stream_bytes.clamp(PERMIT_BYTES, memory_bytes.max(PERMIT_BYTES));
        let permits = usize::try_from(memory_bytes / PERMIT_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            decoders: Arc::new(Semaphore::new(decode_threads.max(1))),
            memory: Arc::new(Semaphore::new(permits.clamp(1, u32::MAX as usize))),
            memory_bytes,
            memory_wait,
            merging: Merging::default(),
            requests_in_flight: requests_in_flight.max(1),
            // A window's values exist twice for a moment: gathered, and as the batch made of them.
            window_bytes: stream_bytes / (2 * windows_in_flight as u64),
            windows_in_flight,
        }
    }

    /// Runs `work` on the blocking pool, at most as many at once as there are decoders.
    ///
    /// # Errors
    /// The error of `work`; `Internal` when it panicked.
    pub async fn decode<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let permit = Arc::clone(&self.decoders).acquire_owned().await;
        let permit = permit.map_err(|error| Error::internal("decode pool closed").with_source(error))?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        task.await.map_err(|error| Error::internal("decoding stopped unexpectedly").with_source(error))?
    }

    /// Waits for `bytes` of the memory budget (all of it when `bytes` is more).
    ///
    /// # Errors
    /// `ResourceExhausted` naming the budget when it does not come in time.
    pub async fn reserve(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        let permits = bytes.clamp(PERMIT_BYTES, self.memory_bytes.max(PERMIT_BYTES)) / PERMIT_BYTES;
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let wait = tokio::time::timeout(self.memory_wait, Arc::clone(&self.memory).acquire_many_owned(permits));
        match wait.await {
            Ok(permit) => permit.map_err(|error| Error::internal("memory budget closed").with_source(error)),
            Err(_) => Err(Error::resource_exhausted(format!(
                "memory_budget of {} bytes stayed in use by other streams for {} s",
                self.memory_bytes,
                self.memory_wait.as_secs()
            ))
            .retryable()),
        }
    }
}
