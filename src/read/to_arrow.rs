//! Gathered elements to Arrow arrays: dtypes keep their width, texts become UTF-8.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, PrimitiveArray, StringArray,
    StructArray,
};
use arrow::buffer::{Buffer, MutableBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Field, Fields, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::array::Values;
use super::context::ReadContext;
pub use super::field::arrow_type;
use super::field::element_field;
use super::{lists, times};
use crate::error::{Error, Result};
use crate::format::Hierarchy;
use crate::model::chunk::TextBuffer;
use crate::model::data_type::{DataType, HEAP_REFERENCE_SIZE, Padding};

/// Bytes of texts of one array that is read without a budget of its own: parts of sparse and awkward arrays.
const MAX_TEXTS_WITHOUT_BUDGET: usize = 64 << 20;

/// Number of elements in a list of the given dimensions, as Arrow counts them.
///
/// # Errors
/// `Unimplemented` when there are more than 2^31.
pub fn list_size(dimensions: &[u64]) -> Result<i32> {
    let size = dimensions.iter().try_fold(1_u64, |total, length| total.checked_mul(*length));
    size.and_then(|size| i32::try_from(size).ok())
        .ok_or_else(|| Error::unimplemented(format!("rows of shape {dimensions:?} have more than 2^31 elements")))
}

/// Where elements of variable length are read, and within which bounds.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file or store.
    pub hierarchy: &'a Hierarchy,
    /// The bounds; none where sequences are not served.
    pub context: Option<&'a ReadContext>,
}

/// `count` elements as one Arrow array. References of HDF5 texts are resolved, sequences refused.
pub fn to_arrow<'a>(
    hierarchy: &'a Hierarchy,
    data_type: &'a DataType,
    values: Values,
    count: usize,
) -> BoxFuture<'a, Result<ArrayRef>> {
    to_arrow_within(Source { hierarchy, context: None }, data_type, values, count, 0)
}

/// [`to_arrow`] with sequences. `depth` counts the sequences around the elements.
pub(super) fn to_arrow_within<'a>(
    source: Source<'a>,
    data_type: &'a DataType,
    values: Values,
    count: usize,
    depth: usize,
) -> BoxFuture<'a, Result<ArrayRef>> {
    let hierarchy = source.hierarchy;
    async move {
        let buffer = match values {
            Values::Text(texts) if *data_type == DataType::Binary => return binary_array(texts),
            Values::Text(texts) => return text_array(texts),
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
                let limit = source.context.map_or(MAX_TEXTS_WITHOUT_BUDGET, ReadContext::heap_bytes);
                text_array(hierarchy.resolve_texts(&buffer, limit).await?)?
            }
            DataType::Binary => return Err(Error::internal("bytes of variable length came as elements")),
            DataType::List { .. } => lists::lists(source, data_type, &buffer, depth).await?,
            DataType::Reference => lists::paths(source, &buffer)?,
            DataType::Enumeration { base, .. } => {
                to_arrow_within(source, base, Values::Fixed(buffer), count, depth).await?
            }
            DataType::Timestamp(step) => {
                let (target, factor) = times::timestamp_type(*step);
                times::times(&buffer, &target, factor)?
            }
            DataType::Duration(step) => {
                let (target, factor) = times::duration_type(*step);
                times::times(&buffer, &target, factor)?
            }
            DataType::Struct { .. } => compounds(source, data_type, &buffer, count, depth).await?,
            DataType::FixedArray { element, dimensions } => {
                let size = list_size(dimensions)?;
                let total = count.saturating_mul(size as usize);
                let items = to_arrow_within(source, element, Values::Fixed(buffer), total, depth).await?;
                fixed_size_list_of(element_field("item", element)?, items, size, count)?
            }
            DataType::Opaque { .. } => {
                let ArrowType::FixedSizeBinary(size) = arrow_type(data_type)? else {
                    return Err(Error::internal("opaque elements have another Arrow type"));
                };
                Arc::new(FixedSizeBinaryArray::try_new(size, buffer, None).map_err(arrow_error)?)
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

/// Compounds, field by field.
async fn compounds(
    source: Source<'_>,
    data_type: &DataType,
    buffer: &Buffer,
    count: usize,
    depth: usize,
) -> Result<ArrayRef> {
    let (DataType::Struct { size, fields }, ArrowType::Struct(named)) = (data_type, arrow_type(data_type)?) else {
        return Err(Error::internal("a compound has another type"));
    };
    let mut arrays = Vec::with_capacity(fields.len());
    for field in fields {
        let item = field.data_type.item_size();
        let part = strided(buffer, *size as usize, field.offset as usize, item, count)?;
        arrays.push(to_arrow_within(source, &field.data_type, Values::Fixed(part), count, depth).await?);
    }
    struct_array(named, arrays, count)
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
    fixed_size_list_of(Field::new("item", items.data_type().clone(), false), items, size, count)
}

/// `count` lists of `size` items each, which `item` describes.
///
/// # Errors
/// `Internal` when there are not `count * size` items, or they are not of that field.
pub(super) fn fixed_size_list_of(item: Field, items: ArrayRef, size: i32, count: usize) -> Result<ArrayRef> {
    let list =
        FixedSizeListArray::try_new_with_length(Arc::new(item), size, items, None, count).map_err(arrow_error)?;
    Ok(Arc::new(list))
}

/// An error of Arrow's own checks, which our own arrays never meet.
pub(super) fn arrow_error(error: arrow::error::ArrowError) -> Error {
    Error::internal(format!("arrow refused an array: {error}"))
}

fn primitive<T: ArrowPrimitiveType>(buffer: Buffer, count: usize) -> ArrayRef {
    let values = ScalarBuffer::<T::Native>::new(buffer, 0, count);
    Arc::new(PrimitiveArray::<T>::new(values, None))
}

/// `item` bytes at `offset` of each of `count` elements of `size` bytes.
pub(super) fn strided(buffer: &Buffer, size: usize, offset: usize, item: usize, count: usize) -> Result<Buffer> {
    if offset.saturating_add(item) > size {
        return Err(Error::data_loss(format!("a field at offset {offset} leaves its element of {size} bytes")));
    }
    let mut part = MutableBuffer::with_capacity(count.saturating_mul(item));
    for element in buffer.as_slice().chunks_exact(size.max(1)) {
        part.extend_from_slice(&element[offset..offset + item]);
    }
    Ok(part.into())
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
    buffer: &Buffer,
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
    text_array(texts)
}

/// Bytes of variable length as a binary array.
fn binary_array(bytes: TextBuffer) -> Result<ArrayRef> {
    let offsets = OffsetBuffer::new(short_offsets(&bytes)?.into());
    let array = BinaryArray::try_new(offsets, Buffer::from(bytes.bytes), None);
    Ok(Arc::new(array.map_err(arrow_error)?))
}

fn short_offsets(texts: &TextBuffer) -> Result<Vec<i32>> {
    let too_long = || Error::resource_exhausted("texts of one window are longer than 2 GiB");
    texts.offsets.iter().map(|at| i32::try_from(*at).map_err(|_| too_long())).collect()
}

/// Texts as a string array.
///
/// # Errors
/// `DataLoss` when a text is not UTF-8, `ResourceExhausted` above 2 GiB.
pub fn text_array(texts: TextBuffer) -> Result<ArrayRef> {
    let offsets = OffsetBuffer::new(short_offsets(&texts)?.into());
    let array = StringArray::try_new(offsets, Buffer::from(texts.bytes), None);
    Ok(Arc::new(array.map_err(|error| Error::data_loss(format!("stored text is not UTF-8: {error}")))?))
}
