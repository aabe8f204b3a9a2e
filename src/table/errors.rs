//! Errors of stores, parquet and DataFusion as errors that name the file.

use std::error::Error as StdError;

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;

use crate::error::{Error, Result};

/// What a store said about the object at `url`.
pub(super) fn of_store(error: object_store::Error, url: &str) -> Error {
    use object_store::Error as Store;
    let mapped = match &error {
        Store::NotFound { .. } => Error::not_found(format!("{url} does not exist")),
        Store::Precondition { .. } | Store::NotModified { .. } => {
            Error::failed_precondition(format!("{url} changed since it was registered"))
        }
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            Error::permission_denied(format!("{url}: the store refuses access"))
        }
        _ => Error::new(crate::error::Kind::Unavailable, format!("{url} cannot be read: {error}")).retryable(),
    };
    mapped.with_source(error)
}

/// What went wrong in decoding the file at `url`, when its store answered. `recoded` says that some of
/// its dictionaries have other indices than the table, and a category may not fit.
pub(super) fn of_scan(error: DataFusionError, url: &str, recoded: bool) -> Error {
    let words = error.strip_backtrace();
    let mapped = if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
        Error::resource_exhausted(format!("{url}: {words}"))
    } else if recoded && is_cast(&error) {
        Error::failed_precondition(format!(
            "{url} has more categories than the dictionary indices of the table's first file can number: {words}"
        ))
    } else {
        Error::data_loss(format!("{url} cannot be decoded: {words}"))
    };
    mapped.with_source(error)
}

fn is_cast(error: &DataFusionError) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if matches!(error.downcast_ref::<ArrowError>(), Some(ArrowError::CastError(_))) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Checks that a store gave as many bytes as were asked for.
///
/// # Errors
/// `DataLoss` naming the file, expected and found.
pub(super) fn check_length(found: usize, expected: u64, url: &str) -> Result<()> {
    if found as u64 != expected {
        return Err(Error::data_loss(format!("{url}: the store gave {found} bytes, expected {expected}")));
    }
    Ok(())
}
