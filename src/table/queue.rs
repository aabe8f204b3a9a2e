//! Batches on their way from one task to another, bounded in bytes: a batch may be small or large.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::error::{Error, Result};

/// Bytes in whole KiB, rounded up: what semaphores count in.
pub(super) fn kibibytes(bytes: usize) -> u32 {
    // Semaphores have fewer permits than u32 on narrow machines.
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(1 << 28)
}

/// A queue in which batches of `bytes` together wait, or a single longer one.
pub(super) fn new(bytes: usize) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let whole = kibibytes(bytes).max(1);
    (Sender { batches: sender, room: Arc::new(Semaphore::new(whole as usize)), whole }, Receiver { batches: receiver })
}

type Waiting = (Result<RecordBatch>, Option<OwnedSemaphorePermit>);

/// Where batches go in.
pub(super) struct Sender {
    batches: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    whole: u32,
}

impl Sender {
    /// Waits for room and puts `batch` in; says whether anybody still wants it.
    pub(super) async fn send(&self, batch: RecordBatch) -> bool {
        let wanted = kibibytes(batch.get_array_memory_size()).clamp(1, self.whole);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(wanted).await else { return false };
        self.batches.send((Ok(batch), Some(room))).is_ok()
    }

    /// Puts in the last thing that is to be said.
    pub(super) fn fail(&self, error: Error) {
        let _ = self.batches.send((Err(error), None));
    }
}

/// Where batches come out.
pub(super) struct Receiver {
    batches: mpsc::UnboundedReceiver<Waiting>,
}

impl Receiver {
    /// The next batch; none when the sender is gone.
    pub(super) async fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.batches.recv().await.map(|(batch, _room)| batch)
    }
}
