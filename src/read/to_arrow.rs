//! Gathered elements to Arrow arrays: dtypes keep their width, texts become UTF-8.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{Buffer, MutableBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Field, Fields, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::array::Values;
use crate::error::{Error, Result};
use crate::format::Hierarchy;
use crate::model::chunk::TextBuffer;
use crate::model::data_type::{DataType, HEAP_REFERENCE_SIZE, Padding};

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
        DataType::FixedString { .. } | DataType::FixedUtf32 { .. } | DataType::String => ArrowType::Utf8,
        DataType::Struct { fields, .. } => {
            let fields = fields.iter().map(|field| Ok(Field::new(&field.name, arrow_type(&field.data_type)?, false)));
            ArrowType::Struct(fields.collect::<Result<Fields>>()?)
        }
        DataType::FixedArray { element, dimensions } => {
            let size = list_size(dimensions)?;
            ArrowType::FixedSizeList(Arc::new(Field::new("item", arrow_type(element)?, false)), size)
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

/// Number of elements in a list of the given dimensions, as Arrow counts them.
///
/// # Errors
/// `Unimplemented` when there are more than 2^31.
pub fn list_size(dimensions: &[u64]) -> Result<i32> {
    let size = dimensions.iter().try_fold(1_u64, |total, length| total.checked_mul(*length));
    size.and_then(|size| i32::try_from(size).ok())
        .ok_or_else(|| Error::unimplemented(format!("rows of shape {dimensions:?} have more than 2^31 elements")))
}

/// `count` elements as one Arrow array without nulls. References of HDF5 texts are resolved.
pub fn to_arrow<'a>(
    hierarchy: &'a Hierarchy,
    data_type: &'a DataType,
    values: Values,
    count: usize,
) -> BoxFuture<'a, Result<ArrayRef>> {
    async move {
        let buffer = match values {
            Values::Text(texts) => return text_array(&texts),
            Values::Fixed(buffer) => buffer,
        };
        if buffer.len() != count.saturating_mul(data_type.item_size()) {
            return Err(Error::internal("gathered bytes are not a whole number of elements"));
        }
        Ok(match data_type {
            DataType::Int8 => primitive::<Int8Type>(buffer, count),
            DataType::Int16 => primitive::<Int16Type>(buffer, count),
            DataType::Int32 => primitive::<Int32Type>(buffer, count),
            DataType::Int64 => primitive::<Int64Type>(buffer, count),
            DataType::UInt8 => primitive::<UInt8Type>(buffer, count),
            DataType::UInt16 => primitive::<UInt16Type>(buffer, count),
            DataType::UInt32 => primitive::<UInt32Type>(buffer, count),
            DataType::UInt64 => primitive::<UInt64Type>(buffer, count),
            DataType::Float16 => primitive::<Float16Type>(buffer, count),
            DataType::Float32 => primitive::<Float32Type>(buffer, count),
            DataType::Float64 => primitive::<Float64Type>(buffer, count),
            DataType::Boolean => {
                Arc::new(buffer.as_slice().iter().map(|byte| Some(*byte != 0)).collect::<BooleanArray>())
            }
            DataType::FixedString { length, padding } => {
                fixed_texts(&buffer, *length as usize, count, |raw| Ok(unpadded(raw, *padding).to_vec()))?
            }
            DataType::FixedUtf32 { length } => fixed_texts(&buffer, *length as usize * 4, count, utf32)?,
            DataType::String => {
                debug_assert_eq!(buffer.len(), count * HEAP_REFERENCE_SIZE);
                text_array(&hierarchy.resolve_texts(&buffer).await?)?
            }
            DataType::Struct { size, fields } => {
                let mut columns = Vec::with_capacity(fields.len());
                for field in fields {
                    let item = field.data_type.item_size();
                    let part = strided(&buffer, *size as usize, field.offset as usize, item, count)?;
                    let array = to_arrow(hierarchy, &field.data_type, Values::Fixed(part), count).await?;
                    columns.push((Arc::new(Field::new(&field.name, array.data_type().clone(), false)), array));
                }
                let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
                struct_array(fields.into(), arrays, count)?
            }
            DataType::FixedArray { element, dimensions } => {
                let size = list_size(dimensions)?;
                let total = count.saturating_mul(size as usize);
                let items = to_arrow(hierarchy, element, Values::Fixed(buffer), total).await?;
                fixed_size_list(items, size, count)?
            }
            DataType::Opaque { .. } => {
                let ArrowType::FixedSizeBinary(size) = arrow_type(data_type)? else {
                    return Err(Error::internal("opaque elements have another Arrow type"));
                };
                Arc::new(FixedSizeBinaryArray::try_new(size, buffer.into(), None).map_err(arrow_error)?)
            }
            DataType::Unsupported { .. } => {
                return Err(arrow_type(data_type)
                    .err()
                    .unwrap_or_else(|| Error::internal("an unsupported type was read")));
            }
        })
    }
    .boxed()
}

/// A struct array, also of no fields.
///
/// # Errors
/// `Internal` when lengths differ.
pub fn struct_array(fields: Fields, arrays: Vec<ArrayRef>, count: usize) -> Result<ArrayRef> {
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(count, None)));
    }
    Ok(Arc::new(StructArray::try_new(fields, arrays, None).map_err(arrow_error)?))
}

/// `count` lists of `size` items each.
///
/// # Errors
/// `Internal` when there are not `count * size` items.
pub fn fixed_size_list(items: ArrayRef, size: i32, count: usize) -> Result<ArrayRef> {
    let field = Arc::new(Field::new("item", items.data_type().clone(), false));
    let list = FixedSizeListArray::try_new_with_length(field, size, items, None, count).map_err(arrow_error)?;
    Ok(Arc::new(list))
}

/// An error of Arrow's own checks, which our own arrays never meet.
pub(super) fn arrow_error(error: arrow::error::ArrowError) -> Error {
    Error::internal(format!("arrow refused an array: {error}"))
}

fn primitive<T: ArrowPrimitiveType>(buffer: MutableBuffer, count: usize) -> ArrayRef {
    let values = ScalarBuffer::<T::Native>::new(Buffer::from(buffer), 0, count);
    Arc::new(PrimitiveArray::<T>::new(values, None))
}

/// `item` bytes at `offset` of each of `count` elements of `size` bytes.
pub(super) fn strided(
    buffer: &MutableBuffer,
    size: usize,
    offset: usize,
    item: usize,
    count: usize,
) -> Result<MutableBuffer> {
    if offset.saturating_add(item) > size {
        return Err(Error::data_loss(format!("a field at offset {offset} leaves its element of {size} bytes")));
    }
    let mut part = MutableBuffer::with_capacity(count.saturating_mul(item));
    for element in buffer.as_slice().chunks_exact(size.max(1)) {
        part.extend_from_slice(&element[offset..offset + item]);
    }
    Ok(part)
}

fn unpadded(raw: &[u8], padding: Padding) -> &[u8] {
    let end = match padding {
        Padding::NullTerminated => raw.iter().position(|byte| *byte == 0).unwrap_or(raw.len()),
        Padding::NullPadded => raw.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1),
        Padding::SpacePadded => raw.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1),
    };
    &raw[..end]
}

fn utf32(raw: &[u8]) -> Result<Vec<u8>> {
    let mut text = String::new();
    for code in raw.chunks_exact(4) {
        let code = u32::from_le_bytes([code[0], code[1], code[2], code[3]]);
        let character = char::from_u32(code)
            .ok_or_else(|| Error::data_loss(format!("text holds {code:#x}, which is no Unicode code point")))?;
        text.push(character);
    }
    Ok(text.trim_end_matches('\0').as_bytes().to_vec())
}

fn fixed_texts(
    buffer: &MutableBuffer,
    item: usize,
    count: usize,
    text: impl Fn(&[u8]) -> Result<Vec<u8>>,
) -> Result<ArrayRef> {
    let mut texts = TextBuffer::new();
    if item == 0 {
        (0..count).for_each(|_| texts.push(b""));
    }
    for raw in buffer.as_slice().chunks_exact(item.max(1)) {
        texts.push(&text(raw)?);
    }
    text_array(&texts)
}

/// Texts as a string array.
///
/// # Errors
/// `DataLoss` when a text is not UTF-8, `ResourceExhausted` above 2 GiB.
pub fn text_array(texts: &TextBuffer) -> Result<ArrayRef> {
    let too_long = || Error::resource_exhausted("texts of one window are longer than 2 GiB");
    let offsets: Vec<i32> =
        texts.offsets.iter().map(|at| i32::try_from(*at).map_err(|_| too_long())).collect::<Result<_>>()?;
    let offsets = OffsetBuffer::new(offsets.into());
    let array = StringArray::try_new(offsets, Buffer::from(texts.bytes.clone()), None);
    Ok(Arc::new(array.map_err(|error| Error::data_loss(format!("stored text is not UTF-8: {error}")))?))
}
