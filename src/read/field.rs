//! Arrow fields of stored element types: whether elements may be null, and what their values mean.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Fields};
use serde_json::{Map, Value};

use super::times;
use super::to_arrow::list_size;
use crate::error::{Error, Result};
use crate::model::data_type::DataType;

/// Metadata of a field of an enumeration: JSON of its names and values.
pub const ENUMERATION: &str = "sliceflight.enumeration";

/// Longest metadata of an enumeration, in bytes: a longer one is left out, as every schema would carry it.
const MAX_ENUMERATION_BYTES: usize = 256 * 1024;

/// The field `name` of elements of `data_type`.
///
/// # Errors
/// `Unimplemented` naming a type that is not served.
pub fn element_field(name: &str, data_type: &DataType) -> Result<Field> {
    Ok(Field::new(name, arrow_type(data_type)?, is_nullable(data_type)).with_metadata(metadata(data_type)))
}

/// The Arrow type of one element.
///
/// # Errors
/// `Unimplemented` naming a type that is not served.
pub fn arrow_type(data_type: &DataType) -> Result<ArrowType> {
    Ok(match data_type {
        DataType::Int8 => ArrowType::Int8,
        DataType::Int16 => ArrowType::Int16,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::UInt8 => ArrowType::UInt8,
        DataType::UInt16 => ArrowType::UInt16,
        DataType::UInt32 => ArrowType::UInt32,
        DataType::UInt64 => ArrowType::UInt64,
        DataType::Float16 => ArrowType::Float16,
        DataType::Float32 => ArrowType::Float32,
        DataType::Float64 => ArrowType::Float64,
        DataType::Boolean => ArrowType::Boolean,
        DataType::FixedString { .. } | DataType::FixedUtf32 { .. } | DataType::String | DataType::Reference => {
            ArrowType::Utf8
        }
        DataType::Binary => ArrowType::Binary,
        DataType::Enumeration { base, .. } => arrow_type(base)?,
        DataType::Timestamp(step) => times::timestamp_type(*step).0,
        DataType::Duration(step) => times::duration_type(*step).0,
        DataType::List { element, .. } => ArrowType::List(Arc::new(element_field("item", element)?)),
        DataType::Struct { fields, .. } => {
            let fields = fields.iter().map(|field| element_field(&field.name, &field.data_type));
            ArrowType::Struct(fields.collect::<Result<Fields>>()?)
        }
        DataType::FixedArray { element, dimensions } => {
            ArrowType::FixedSizeList(Arc::new(element_field("item", element)?), list_size(dimensions)?)
        }
        DataType::Opaque { size } => {
            let size =
                i32::try_from(*size).map_err(|_| Error::unimplemented(format!("opaque elements of {size} bytes")))?;
            ArrowType::FixedSizeBinary(size)
        }
        DataType::Unsupported { description, .. } => {
            return Err(Error::unimplemented(format!("element type {description} is not supported")));
        }
    })
}

/// Whether a stored value of the type may stand for nothing: no time, a reference to nothing.
fn is_nullable(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_) | DataType::Duration(_) | DataType::Reference)
}

fn metadata(data_type: &DataType) -> HashMap<String, String> {
    let DataType::Enumeration { members, .. } = data_type else { return HashMap::new() };
    let names: Map<String, Value> =
        members.iter().map(|(name, value)| (name.clone(), Value::Number(value.clone()))).collect();
    let text = Value::Object(names).to_string();
    if text.len() > MAX_ENUMERATION_BYTES {
        return HashMap::new();
    }
    [(ENUMERATION.to_owned(), text)].into()
}
