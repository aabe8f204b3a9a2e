//! What an error of SQLite means for the caller.

use rusqlite::ErrorCode;

use crate::error::Error;

/// The error of ours; by SQLite's code, never by its text.
pub(crate) fn of(error: rusqlite::Error) -> Error {
    let described = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::unavailable("another process holds the database").retryable()
        }
        Some(ErrorCode::NotADatabase) => Error::failed_precondition("the file is not a SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => Error::data_loss("the database is corrupt"),
        Some(ErrorCode::DiskFull) => Error::resource_exhausted("the disk is full"),
        Some(ErrorCode::TooBig) => Error::resource_exhausted("a value exceeds the limit of SQLite"),
        Some(ErrorCode::ReadOnly) => Error::unavailable("the database cannot be written"),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::unavailable("the database cannot be opened")
        }
        Some(ErrorCode::SystemIoFailure) => Error::unavailable("the database cannot be read or written"),
        _ => Error::internal("the database failed"),
    };
    described.with_source(error)
}

/// A number of the database that must not be negative.
pub(crate) fn unsigned(number: i64, name: &str) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::data_loss(format!("the registry holds a negative {name}: {number}")))
}

/// A number for the database.
pub(crate) fn signed(number: u64, name: &str) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::invalid(format!("{name} {number} exceeds the limit of {}", i64::MAX)))
}
