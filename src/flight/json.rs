//! JSON bodies: one object each, whose unknown fields are refused by its type.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The object in `bytes`; `what` names it in errors. A list is no object, though serde would take one
/// for the fields in order.
///
/// # Errors
/// `InvalidArgument` saying what is wrong where.
pub(super) fn object<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    let wrong = |error: serde_json::Error| Error::invalid(format!("{what}: {error}"));
    let fields: Map<String, Value> = serde_json::from_slice(bytes).map_err(wrong)?;
    serde_json::from_value(Value::Object(fields)).map_err(wrong)
}
