//! The one error of sliceflight: what the caller can do about it, and the words that name the thing.
//!
//! `Kind` answers "what can the caller do"; the message says what was expected and found; `source`
//! keeps the error underneath for the log. Nothing above decides on the text of a message.

use std::error::Error as StdError;
use std::fmt;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an error. Each kind maps to exactly one gRPC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The key, node, column or name does not exist: ask for another.
    NotFound,
    /// The request is malformed: correct it.
    InvalidArgument,
    /// An index lies outside its axis: correct it.
    OutOfRange,
    /// The source changed, is outdated or unfinished: register or open it anew.
    FailedPrecondition,
    /// A filter, encoding, layout or operation that is not supported; it is named.
    Unimplemented,
    /// A documented limit was met; it is named with its value.
    ResourceExhausted,
    /// The caller may not do or see this.
    PermissionDenied,
    /// The caller is not known.
    Unauthenticated,
    /// The store did not answer after retries: try again later.
    Unavailable,
    /// The stored bytes are truncated or corrupt.
    DataLoss,
    /// The caller went away.
    Cancelled,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// A fault of sliceflight itself; never for bad input.
    Internal,
}

/// An error with its kind, its message and the error underneath.
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    retry: bool,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl Error {
            $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self { Self::new(Kind::$kind, message) })*
        }
    };
}

constructors! {
    /// The key, node, column or name does not exist.
    not_found => NotFound,
    /// The request is malformed.
    invalid => InvalidArgument,
    /// An index lies outside its axis.
    out_of_range => OutOfRange,
    /// The source is not in the state the request needs.
    failed_precondition => FailedPrecondition,
    /// Something named is not supported.
    unimplemented => Unimplemented,
    /// A documented limit was met.
    resource_exhausted => ResourceExhausted,
    /// The caller may not do this.
    permission_denied => PermissionDenied,
    /// The store is not reachable.
    unavailable => Unavailable,
    /// Stored bytes are truncated or corrupt.
    data_loss => DataLoss,
    /// A fault of sliceflight itself.
    internal => Internal,
}

impl Error {
    /// An error of `kind`; `message` is lowercase, without a full stop, and names the thing.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, retry: false }
    }

    /// Keeps the error underneath for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says that the same call may succeed when repeated; decided where the error arises.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retry = true;
        self
    }

    /// Puts `context` (what was being done, to which thing) before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same call may succeed when repeated.
    pub fn is_retryable(&self) -> bool {
        self.retry
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.kind, self.message)?;
        match &self.source {
            Some(source) => write!(formatter, " (caused by: {source})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Adds context to the error of a result.
pub trait ResultExt<T> {
    /// Puts `context()` before the error's message.
    ///
    /// # Errors
    /// The error it is called on.
    fn with_context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn with_context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| error.context(context()))
    }
}
