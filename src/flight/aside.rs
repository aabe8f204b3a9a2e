//! Work on long messages, done aside from the threads that serve everybody.

use crate::error::{Error, Result};

/// Messages of fewer bytes are worked on at once: handing them over would take longer.
const SHORT_BYTES: usize = 64 << 10;

/// Runs `work` on a message of `bytes` bytes: parsing or writing a million positions takes a while.
///
/// # Errors
/// The error of `work`; `Internal` when it panicked.
pub(super) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes < SHORT_BYTES {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("working on a message stopped unexpectedly").with_source(error))?
}
