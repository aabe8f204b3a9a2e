//! What every call runs under: the client's deadline, the server's stop, and a net under panics.
//!
//! A stream that is dropped (the client went away) drops what it wraps, and with that the engine's
//! work.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::stream::{self, BoxStream};
use futures::{FutureExt, Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::deadline::Deadline;
use super::status::{from_panic, to_status};
use crate::error::{Error, Result};

/// The bounds of one call.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// Name of the call, for the log.
    pub(super) call: &'static str,
    /// When it must have ended.
    pub(super) deadline: Deadline,
    /// Cancelled when the server stops and the time for running streams is over.
    pub(super) stop: CancellationToken,
}

impl Guard {
    /// Runs `work` until it ends, the deadline passes or the server stops.
    ///
    /// # Errors
    /// The status of the work's error; `DEADLINE_EXCEEDED`, `UNAVAILABLE` when the server stops,
    /// `INTERNAL` after a panic.
    pub(super) async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T, Status> {
        let work = AssertUnwindSafe(work).catch_unwind();
        let result = tokio::select! {
            biased;
            () = self.deadline.passed() => Err(Deadline::error()),
            () = self.stop.cancelled() => Err(stopping()),
            result = work => result.unwrap_or_else(|panic| Err(from_panic(panic.as_ref()))),
        };
        result.map_err(|error| to_status(self.call, &error))
    }

    /// The items of `stream` until it ends, fails, the deadline passes or the server stops; the
    /// first error is the last item.
    pub(super) fn stream<T, S>(self, stream: S) -> BoxStream<'static, Result<T, Status>>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T>> + Send + 'static,
    {
        let items = AssertUnwindSafe(stream).catch_unwind().boxed();
        stream::unfold(Some((self, items)), |state| async {
            let (guard, mut items) = state?;
            let next = tokio::select! {
                biased;
                () = guard.deadline.passed() => Some(Err(Deadline::error())),
                () = guard.stop.cancelled() => Some(Err(stopping())),
                next = items.next() => {
                    next.map(|item| item.unwrap_or_else(|panic| Err(from_panic(panic.as_ref()))))
                }
            };
            match next? {
                Ok(item) => Some((Ok(item), Some((guard, items)))),
                Err(error) => Some((Err(to_status(guard.call, &error)), None)),
            }
        })
        .boxed()
    }
}

fn stopping() -> Error {
    Error::unavailable("the server is stopping")
}
