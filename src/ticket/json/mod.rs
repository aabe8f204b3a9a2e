//! A request as JSON: the proto3 JSON mapping of `SliceRequest`, with shorthands for people.
//!
//! Nothing is skipped: an unknown field, a field given twice and a value of another type are errors
//! that name the field.

mod reader;
mod request;
mod scan;
mod selector;
mod strict;

use super::wire;
use crate::error::{Error, Result};

/// Reads a JSON request.
///
/// # Errors
/// `InvalidArgument` naming the field, what was expected and what was found; `ResourceExhausted`
/// over [`super::MAX_JSON_DEPTH`] or [`super::MAX_JSON_ITEMS`].
pub(super) fn decode(bytes: &[u8]) -> Result<wire::SliceRequest> {
    scan::check_size(bytes)?;
    let strict::Strict(value) =
        serde_json::from_slice(bytes).map_err(|error| Error::invalid(format!("malformed JSON request: {error}")))?;
    request::request_from_json(value)
}
