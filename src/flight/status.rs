//! Errors as gRPC statuses and back: one table, exhaustive on the side of our kinds.

use std::any::Any;
use std::error::Error as _;

use tonic::{Code, Status};

use crate::error::{Error, Kind};

/// The gRPC code of each kind.
pub(super) fn code(kind: Kind) -> Code {
    match kind {
        Kind::NotFound => Code::NotFound,
        Kind::InvalidArgument => Code::InvalidArgument,
        Kind::OutOfRange => Code::OutOfRange,
        Kind::FailedPrecondition => Code::FailedPrecondition,
        Kind::Unimplemented => Code::Unimplemented,
        Kind::ResourceExhausted => Code::ResourceExhausted,
        Kind::PermissionDenied => Code::PermissionDenied,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::Unavailable => Code::Unavailable,
        Kind::DataLoss => Code::DataLoss,
        Kind::Cancelled => Code::Cancelled,
        Kind::DeadlineExceeded => Code::DeadlineExceeded,
        Kind::Internal => Code::Internal,
    }
}

/// The kind of each gRPC code, as a client sees it.
pub(super) fn kind(code: Code) -> Kind {
    match code {
        Code::NotFound => Kind::NotFound,
        Code::InvalidArgument | Code::AlreadyExists => Kind::InvalidArgument,
        Code::OutOfRange => Kind::OutOfRange,
        Code::FailedPrecondition | Code::Aborted => Kind::FailedPrecondition,
        Code::Unimplemented => Kind::Unimplemented,
        Code::ResourceExhausted => Kind::ResourceExhausted,
        Code::PermissionDenied => Kind::PermissionDenied,
        Code::Unauthenticated => Kind::Unauthenticated,
        Code::Unavailable => Kind::Unavailable,
        Code::DataLoss => Kind::DataLoss,
        Code::Cancelled => Kind::Cancelled,
        Code::DeadlineExceeded => Kind::DeadlineExceeded,
        Code::Ok | Code::Unknown | Code::Internal => Kind::Internal,
    }
}

/// The status for the client: the code of the kind and the message. What lies underneath is only
/// logged.
pub(super) fn to_status(call: &'static str, error: &Error) -> Status {
    let source = error.source().map(ToString::to_string);
    match error.kind() {
        Kind::Internal | Kind::DataLoss | Kind::Unavailable => {
            tracing::warn!(call, kind = ?error.kind(), message = error.message(), source, "call failed");
        }
        _ => tracing::debug!(call, kind = ?error.kind(), message = error.message(), source, "call refused"),
    }
    Status::new(code(error.kind()), error.message())
}

/// The error that a server's status is for a client.
pub(super) fn from_status(status: &Status) -> Error {
    Error::new(kind(status.code()), status.message())
}

/// The error that a panic becomes: it says no more to the client than that there was one.
pub(super) fn from_panic(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned());
    Error::internal("a fault of the server; its log has the cause").with_source(text)
}
