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

/// What went wrong in reading the file at `url`, when its store answered: the filter's fault when its
/// arithmetic failed, else the file's.
pub(super) fn of_scan(error: DataFusionError, url: &str, filtered: bool) -> Error {
    if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
        return Error::resource_exhausted(format!("{url}: {}", error.strip_backtrace())).with_source(error);
    }
    if filtered && is_arithmetic(&error) {
        return Error::invalid(format!("the filter cannot be computed: {}", error.strip_backtrace()))
            .with_source(error);
    }
    Error::data_loss(format!("{url} cannot be decoded: {}", error.strip_backtrace())).with_source(error)
}

fn is_arithmetic(error: &DataFusionError) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<ArrowError>() {
            Some(ArrowError::DivideByZero | ArrowError::ArithmeticOverflow(_) | ArrowError::CastError(_)) => {
                return true;
            }
            _ => next = error.source(),
        }
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
