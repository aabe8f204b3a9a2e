//! The exact size of the IPC message that a range of rows becomes.
//!
//! It follows the Arrow IPC format as arrow-ipc writes it: per array a validity bitmap only when the
//! range holds nulls, offsets rebased, children cut to the range, each buffer padded to 64 bytes.
//! Dictionary values are not part of a record batch message and do not count.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::datatypes::{DataType, Fields, Schema};
use arrow::record_batch::RecordBatch;

use crate::error::{Error, Result};

/// Each buffer of a body begins at a multiple of this.
const ALIGNMENT: usize = 64;

/// Bytes of a message beside its body, field nodes and buffer entries: flatbuffer tables, protobuf
/// and gRPC framing. An upper bound.
const ENVELOPE: usize = 256;

/// A field node or a buffer entry of the message's header.
const ENTRY: usize = 16;

/// Refuses types whose parts cannot be sent without their whole.
///
/// # Errors
/// `Unimplemented` naming the column and its type.
pub(super) fn check_schema(schema: &Schema) -> Result<()> {
    for field in schema.fields() {
        let inner = match field.data_type() {
            // A column of views is compacted before it is sent.
            DataType::Utf8View | DataType::BinaryView => continue,
            other => other,
        };
        if !is_supported(inner) {
            return Err(Error::unimplemented(format!(
                "column '{}' has the Arrow type {inner}, which cannot be sent",
                field.name()
            )));
        }
    }
    Ok(())
}

fn is_supported(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::FixedSizeBinary(_)
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::Utf8
        | DataType::LargeUtf8 => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => is_supported(field.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_supported(field.data_type())),
        DataType::Dictionary(_, values) => is_supported(values),
        other => other.primitive_width().is_some(),
    }
}

/// Bytes of the message for the rows `start..start + length` of `batch`: its body exactly, its header
/// and framing from above.
pub(super) fn message_size(batch: &RecordBatch, start: usize, length: usize) -> usize {
    header_size(batch.schema_ref().fields()) + body_size(batch.columns(), start, length)
}

/// Bytes of the message's body.
pub(super) fn body_size(columns: &[ArrayRef], start: usize, length: usize) -> usize {
    columns.iter().map(|column| array_size(column.as_ref(), start, length)).sum()
}

/// An upper bound of the bytes of a message beside its body.
pub(super) fn header_size(fields: &Fields) -> usize {
    ENVELOPE + fields.iter().map(|field| ENTRY * entries(field.data_type())).sum::<usize>()
}

/// Field nodes and buffers of one array.
fn entries(data_type: &DataType) -> usize {
    match data_type {
        DataType::Null => 1,
        DataType::Binary | DataType::LargeBinary | DataType::Utf8 | DataType::LargeUtf8 => 4,
        DataType::Utf8View | DataType::BinaryView => 5,
        DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => 3 + entries(field.data_type()),
        DataType::FixedSizeList(field, _) => 2 + entries(field.data_type()),
        DataType::Struct(fields) => 2 + fields.iter().map(|field| entries(field.data_type())).sum::<usize>(),
        _ => 3,
    }
}

/// Bytes in a body of the elements `start..start + length` of `array`.
pub(super) fn array_size(array: &dyn Array, start: usize, length: usize) -> usize {
    let validity = match array.nulls() {
        Some(nulls) if nulls.slice(start, length).null_count() > 0 => padded(length.div_ceil(8)),
        _ => 0,
    };
    let values = match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => padded(length.div_ceil(8)),
        DataType::Binary => text_size(array.as_binary::<i32>().value_offsets(), start, length),
        DataType::LargeBinary => text_size(array.as_binary::<i64>().value_offsets(), start, length),
        DataType::Utf8 => text_size(array.as_string::<i32>().value_offsets(), start, length),
        DataType::LargeUtf8 => text_size(array.as_string::<i64>().value_offsets(), start, length),
        DataType::Utf8View => {
            padded(16 * length) + padded(array.as_string_view().slice(start, length).total_buffer_bytes_used())
        }
        DataType::BinaryView => {
            padded(16 * length) + padded(array.as_binary_view().slice(start, length).total_buffer_bytes_used())
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            list_size(list.value_offsets(), list.values().as_ref(), start, length)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            list_size(list.value_offsets(), list.values().as_ref(), start, length)
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            list_size(map.value_offsets(), map.entries(), start, length)
        }
        DataType::FixedSizeList(_, width) => {
            let width = usize::try_from(*width).unwrap_or(0);
            array_size(array.as_fixed_size_list().values().as_ref(), start * width, length * width)
        }
        DataType::Struct(_) => body_size(array.as_struct().columns(), start, length),
        other => padded(element_width(other) * length),
    };
    validity + values
}

/// Bytes of one element of a type of fixed width, or of one key of a dictionary.
fn element_width(data_type: &DataType) -> usize {
    match data_type {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).unwrap_or(0),
        DataType::Dictionary(key, _) => key.primitive_width().unwrap_or(0),
        other => other.primitive_width().unwrap_or(0),
    }
}

fn text_size<O: OffsetSizeTrait>(offsets: &[O], start: usize, length: usize) -> usize {
    let (first, end) = bounds(offsets, start, length);
    padded((length + 1) * size_of::<O>()) + padded(end - first)
}

fn list_size<O: OffsetSizeTrait>(offsets: &[O], values: &dyn Array, start: usize, length: usize) -> usize {
    let (first, end) = bounds(offsets, start, length);
    padded((length + 1) * size_of::<O>()) + array_size(values, first, end - first)
}

/// First and last offset of the elements `start..start + length`.
fn bounds<O: OffsetSizeTrait>(offsets: &[O], start: usize, length: usize) -> (usize, usize) {
    let at = |position: usize| offsets.get(position).map_or(0, |offset| offset.as_usize());
    (at(start), at(start + length))
}

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}
