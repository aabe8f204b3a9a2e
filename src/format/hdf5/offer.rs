//! What is refused here and may be read by libhdf5: which datasets these are, what is said of libhdf5 where
//! they stay refused, and what becomes of one that it gives.
//!
//! Sits between the tree and [`Elsewhere`](super::outside::Elsewhere), which asks. Judges nothing of what
//! libhdf5 says but whether its type is one of ours.

use serde_json::{Value, json};

use super::dataset::{DatasetStorage, Layout};
use super::decoder::holds_references;
use super::filter::Filter;
use super::outside::{MAX_GIVEN_BYTES, is_virtual, tile};
use super::parser::encoded_type;
use crate::error::{Error, Result};
use crate::model::data_type::{DataType, HEAP_REFERENCE_SIZE};
use crate::model::tree::{ArrayNode, Attributes};

/// Filters that the worker's build of libhdf5 has.
const LIBRARY_FILTERS: [&str; 4] = ["deflate", "shuffle", "fletcher32", "nbit"];

/// What is said of libhdf5 where it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prospect {
    /// It reads the dataset.
    Served,
    /// It has no exact form for the elements either.
    Refused,
    /// It does not have the filter either.
    Lacking,
    /// It has to look at the dataset itself.
    Unknown,
}

impl Prospect {
    /// In words, for the end of a refusal.
    pub(crate) fn note(self) -> &'static str {
        match self {
            Self::Served => "a build with the feature libhdf5 reads it, with limits.hdf5_workers above 0",
            Self::Refused => "a build with the feature libhdf5 does not serve it either",
            Self::Lacking => "libhdf5 does not have it either, a build with it reads only chunks that it left out",
            Self::Unknown => "a build with the feature libhdf5, with limits.hdf5_workers above 0, may read it",
        }
    }
}

/// Whether `array` is refused by name here, and what libhdf5 would make of it.
pub(crate) fn refusal(array: &ArrayNode) -> Option<Prospect> {
    let unsupported = matches!(array.data_type, DataType::Unsupported { .. });
    let references = is_virtual(array) && holds_references(&array.data_type);
    if array.is_null || !unsupported && !references && array.filters.is_empty() {
        return None;
    }
    let storage = DatasetStorage::of(array).ok()?;
    let has = |filter: &Filter| LIBRARY_FILTERS.contains(&filter.name.as_str());
    match storage.unserved_filter() {
        Some(_) if storage.filters.iter().any(|filter| !has(filter)) => Some(Prospect::Lacking),
        Some(_) if !unsupported => Some(Prospect::Served),
        _ if unsupported && storage.convertible && !matches!(storage.layout, Layout::External { .. }) => {
            // Filters that are undone here are no use to libhdf5.
            Some(if storage.filters.iter().all(has) { Prospect::Served } else { Prospect::Refused })
        }
        _ if unsupported || references => Some(Prospect::Refused),
        _ => None,
    }
}

/// Lets the refusal of `array` end with `note`.
pub(crate) fn note(array: &mut ArrayNode, note: &str) {
    if let DataType::Unsupported { description, .. } = &mut array.data_type {
        *description = format!("{description} ({note})");
    }
    if let Some(storage) = array.storage.as_object_mut() {
        storage.insert("note".to_owned(), json!(note));
    }
}

/// An array that only libhdf5 knows.
pub(crate) fn unknown(attributes: Attributes) -> ArrayNode {
    ArrayNode {
        shape: Vec::new(),
        is_null: false,
        data_type: DataType::Unsupported { description: String::new(), size: 0 },
        chunk_shape: Vec::new(),
        filters: Vec::new(),
        partly_readable: false,
        attributes,
        storage: Value::Null,
    }
}

/// Makes `array` one that libhdf5 reads: of `shape`, none for a null dataspace, with elements of the type that
/// it calls `encoded`.
///
/// # Errors
/// `Unimplemented` for a type that is not served, `DataLoss` for a shape or type that makes no sense.
pub(crate) fn accept(array: &mut ArrayNode, shape: Option<Vec<u64>>, encoded: &[u8]) -> Result<()> {
    let stored = encoded_type(encoded)?;
    let data_type = stored.data_type();
    if let DataType::Unsupported { description, .. } = data_type {
        return Err(Error::unimplemented(format!("libhdf5: it gives {description}")));
    }
    let element_size = if data_type == DataType::String { HEAP_REFERENCE_SIZE as u64 } else { stored.size()? };
    if element_size > MAX_GIVEN_BYTES {
        return Err(Error::unimplemented(format!(
            "libhdf5: elements of {element_size} bytes, more than the {MAX_GIVEN_BYTES} that it gives at once"
        )));
    }
    let storage = DatasetStorage {
        layout: Layout::Library {},
        filters: Vec::new(),
        fill: None,
        element_size,
        swaps: stored.swaps()?,
        narrows: stored.narrows()?,
        number: stored.number(),
        convertible: true,
        note: None,
    };
    let is_null = shape.is_none();
    let shape = shape.unwrap_or_default();
    let accepted = ArrayNode {
        chunk_shape: tile(&shape, element_size),
        is_null,
        shape,
        data_type,
        filters: array.filters.clone(),
        partly_readable: false,
        attributes: std::mem::take(&mut array.attributes),
        storage: serde_json::to_value(storage)
            .map_err(|error| Error::internal("the storage of a dataset cannot be kept").with_source(error))?,
    };
    accepted.element_count()?;
    *array = accepted;
    Ok(())
}
