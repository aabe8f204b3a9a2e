//! What failed at a store, free of anything secret, and how it reads as an error of ours.
//!
//! Texts of object stores are not passed on: answers of S3 hold access keys and signed strings.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use object_store::Error as StoreError;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;

use super::watch::Outcome;
use crate::error::{Error, Kind};

/// Name of the store in generic errors that hold a [`StoreFailure`] or an [`Error`].
const STORE: &str = "sliceflight";

/// One failure of a store.
#[derive(Clone, Debug)]
pub(crate) struct StoreFailure {
    /// What the caller can do.
    pub(crate) kind: Kind,
    /// What happened, without URL.
    pub(crate) reason: String,
    /// Whether the same request may succeed when repeated.
    pub(crate) retry: bool,
    /// How often the request was sent.
    pub(crate) attempts: u32,
}

impl StoreFailure {
    pub(crate) fn new(kind: Kind, reason: impl Into<String>, retry: bool) -> Self {
        Self { kind, reason: reason.into(), retry, attempts: 1 }
    }

    /// The failure after so many attempts.
    pub(crate) fn after(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The store error of the same kind that carries this failure.
    pub(crate) fn into_store_error(self, location: &Path) -> StoreError {
        carry(self.kind, location, Box::new(self))
    }

    fn to_error(&self, url: &str) -> Error {
        let message = match self.kind {
            Kind::NotFound => format!("object {url} does not exist"),
            Kind::FailedPrecondition => format!("object {url} changed since it was registered or opened"),
            Kind::Unavailable => {
                format!("object {url} could not be read in {} attempts: {}", self.attempts, self.reason)
            }
            _ => format!("object {url}: {}", self.reason),
        };
        let error = Error::new(self.kind, message);
        if self.retry { error.retryable() } else { error }
    }
}

impl fmt::Display for StoreFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (attempts: {})", self.reason, self.attempts)
    }
}

impl StdError for StoreFailure {}

/// A store error of the kind of `error` that carries it, so that [`error_of`] finds it again.
pub(crate) fn into_store_error(error: Error, location: &Path) -> StoreError {
    carry(error.kind(), location, Box::new(error))
}

fn carry(kind: Kind, location: &Path, source: Box<dyn StdError + Send + Sync>) -> StoreError {
    let path = location.to_string();
    match kind {
        Kind::NotFound => StoreError::NotFound { path, source },
        Kind::FailedPrecondition => StoreError::Precondition { path, source },
        Kind::PermissionDenied => StoreError::PermissionDenied { path, source },
        _ => StoreError::Generic { store: STORE, source },
    }
}

/// The error of ours that says what `error` means for the object or folder at `url`.
///
/// Every error of an object store passes here; no text of the store reaches the message.
pub fn error_of(error: StoreError, url: &str) -> Error {
    find_error(&error, url).unwrap_or_else(|| classify(&error, None).to_error(url))
}

/// The store error anywhere below `error` (DataFusion and parquet wrap them), as an error of ours.
///
/// `None` when no object store had a part in it.
pub fn find_error(error: &(dyn StdError + 'static), url: &str) -> Option<Error> {
    let mut store_error = None;
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(failure) = error.downcast_ref::<StoreFailure>() {
            return Some(failure.to_error(url));
        }
        if let Some(ours) = error.downcast_ref::<Error>() {
            let copy = Error::new(ours.kind(), ours.message());
            return Some(if ours.is_retryable() { copy.retryable() } else { copy });
        }
        store_error = store_error.or_else(|| error.downcast_ref::<StoreError>());
        current = error.source();
    }
    store_error.map(|error| classify(error, None).to_error(url))
}

/// What a failed request means, and whether to repeat it, from the kind of error and what was seen of
/// the HTTP exchange.
pub(crate) fn classify(error: &StoreError, outcome: Option<Outcome>) -> StoreFailure {
    if let Some(failure) = find::<StoreFailure>(error) {
        return failure.clone();
    }
    match error {
        StoreError::NotFound { .. } => of_status(404),
        StoreError::Precondition { .. } => of_status(412),
        StoreError::PermissionDenied { .. } => of_status(403),
        StoreError::Unauthenticated { .. } => of_status(401),
        StoreError::NotSupported { .. } | StoreError::NotImplemented { .. } => {
            StoreFailure::new(Kind::Unimplemented, "the operation is not supported by the store", false)
        }
        StoreError::InvalidPath { .. } => {
            StoreFailure::new(Kind::InvalidArgument, "the store holds or was asked for an invalid path", false)
        }
        _ => match outcome {
            Some(Outcome::Transport(kind)) => of_transport(kind),
            Some(Outcome::Status(status @ 200..=299)) => of_answer(error, status),
            Some(Outcome::Status(status)) => of_status(status),
            None => unseen(error),
        },
    }
}

/// A failure told by the status of the answer.
pub(crate) fn of_status(status: u16) -> StoreFailure {
    let said = format!("the store answered with status {status}");
    match status {
        401 | 403 => StoreFailure::new(Kind::PermissionDenied, "the store refuses access", false),
        404 => StoreFailure::new(Kind::NotFound, said, false),
        412 => StoreFailure::new(Kind::FailedPrecondition, said, false),
        405 | 501 => {
            StoreFailure::new(Kind::Unimplemented, format!("the store has no such operation (status {status})"), false)
        }
        416 => StoreFailure::new(Kind::DataLoss, "the range lies outside the object", false),
        408 | 429 | 500..=599 => StoreFailure::new(Kind::Unavailable, said, true),
        300..=399 => {
            StoreFailure::new(Kind::Unavailable, format!("{said}, a wrong region or endpoint is likely"), false)
        }
        _ => StoreFailure::new(Kind::Unavailable, said, false),
    }
}

/// A failure without an answer.
pub(crate) fn of_transport(kind: HttpErrorKind) -> StoreFailure {
    let (reason, retry) = match kind {
        HttpErrorKind::Connect => ("no connection to the store", true),
        HttpErrorKind::Request => ("the connection closed before the answer", true),
        HttpErrorKind::Timeout => ("the store did not answer in time", true),
        HttpErrorKind::Interrupted => ("the connection was reset", true),
        HttpErrorKind::Decode => ("the answer of the store is not valid HTTP", false),
        _ => ("the request failed", false),
    };
    StoreFailure::new(Kind::Unavailable, reason, retry)
}

/// A failure after an answer that said success: its body broke off, or it is not what was asked.
fn of_answer(error: &StoreError, status: u16) -> StoreFailure {
    if chain_has::<HttpError>(error) {
        return StoreFailure::new(Kind::Unavailable, "the answer of the store broke off", true);
    }
    let reason = format!("the answer of the store (status {status}) is not what was asked for");
    StoreFailure::new(Kind::Unavailable, reason, false)
}

/// A failure before or without HTTP: local files, and credentials that could not be fetched.
fn unseen(error: &StoreError) -> StoreFailure {
    if let Some(error) = find::<HttpError>(error) {
        let failure = of_transport(error.kind());
        return StoreFailure { reason: format!("credentials: {}", failure.reason), ..failure };
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory) => of_status(404),
        Some(io::ErrorKind::PermissionDenied) => of_status(403),
        Some(kind) => StoreFailure::new(Kind::Unavailable, format!("reading failed: {kind}"), false),
        None => StoreFailure::new(Kind::Unavailable, "the store client failed, check its credentials", false),
    }
}

fn chain_has<T: StdError + 'static>(error: &StoreError) -> bool {
    find::<T>(error).is_some()
}

fn find<T: StdError + 'static>(error: &StoreError) -> Option<&T> {
    let mut current: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        current = error.source();
    }
    None
}
