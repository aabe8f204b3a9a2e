//! Sequences of variable length and object references: what heap references and addresses mean, and
//! windows of rows whose sizes only the references tell.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StringArray};
use arrow::buffer::{Buffer, MutableBuffer, OffsetBuffer};
use arrow::datatypes::DataType as ArrowType;

use super::array::Values;
use super::context::ReadContext;
use super::field::arrow_type;
use super::to_arrow::{Source, arrow_error, to_arrow_within};
use super::windowed::{Blocks, Window, blocks_of, one_block};
use crate::error::{Error, Result};
use crate::model::data_type::{DataType, HEAP_REFERENCE_SIZE};
use crate::model::swap::{self, Swap};
use crate::plan::window::MAX_WINDOWS;

/// Rows whose references are read together to plan windows.
const BLOCK_ROWS: u64 = 65_536;
/// The most of them where a chunk has more.
const MAX_BLOCK_ROWS: u64 = 1 << 20;
/// Their bytes at most, where one row has not more.
const MAX_BLOCK_BYTES: u64 = 16 << 20;

/// The lists that the heap references in `references` mean. `depth` counts the lists around them.
///
/// # Errors
/// `DataLoss` for references that lead nowhere, `ResourceExhausted` for more than fits the memory budget.
pub(super) async fn lists(
    source: Source<'_>,
    data_type: &DataType,
    references: &Buffer,
    depth: usize,
) -> Result<ArrayRef> {
    let (DataType::List { element, swaps }, ArrowType::List(item)) = (data_type, arrow_type(data_type)?) else {
        return Err(Error::internal("lists have another type"));
    };
    let context = source.context.ok_or_else(|| Error::internal("sequences are read without a bound"))?;
    let size = element.item_size();
    let bytes = heap_bytes(data_type, references);
    // Lists in lists were not known when their window was reserved.
    let _inner = if depth > 0 && bytes > 0 { Some(context.reserve(bytes.saturating_mul(2)).await?) } else { None };
    let limit = context.heap_bytes();
    let stored = source.hierarchy.resolve_sequences(references, size, limit).await?;
    let offsets = offsets(&stored.offsets, size)?;
    let items = elements(stored.bytes, size, swaps);
    let count = offsets.last().map_or(0, |last| *last as usize);
    let items = Box::pin(to_arrow_within(source, element, Values::Fixed(items.into()), count, depth + 1)).await?;
    let lists = ListArray::try_new(item, OffsetBuffer::new(offsets.into()), items, None);
    Ok(Arc::new(lists.map_err(arrow_error)?))
}

/// Byte offsets as element offsets.
fn offsets(bytes: &[u64], size: usize) -> Result<Vec<i32>> {
    let too_long = || Error::resource_exhausted("sequences of one window have more than 2^31 elements");
    let element = |at: &u64| at.checked_div(size as u64).and_then(|at| i32::try_from(at).ok()).ok_or_else(too_long);
    bytes.iter().map(element).collect()
}

/// Stored elements in little-endian order, aligned for Arrow.
fn elements(stored: Vec<u8>, size: usize, swaps: &[Swap]) -> MutableBuffer {
    let mut items = MutableBuffer::with_capacity(stored.len());
    items.extend_from_slice(&stored);
    drop(stored);
    swap::reverse(items.as_slice_mut(), size, swaps);
    items
}

/// The paths of the objects at `addresses`, 8 bytes each; null where one leads nowhere.
///
/// # Errors
/// `Unimplemented` for an object without a path.
pub(super) fn paths(source: Source<'_>, addresses: &Buffer) -> Result<ArrayRef> {
    let (addresses, _) = addresses.as_slice().as_chunks::<8>();
    let path = |bytes: &[u8; 8]| match u64::from_le_bytes(*bytes) {
        0 | u64::MAX => Ok(None),
        address => source.hierarchy.object_path(address).map(|path| Some(format!("/{path}"))),
    };
    let paths: StringArray = addresses.iter().map(path).collect::<Result<Vec<Option<String>>>>()?.into_iter().collect();
    Ok(Arc::new(paths))
}

/// Bytes in heaps of elements of `data_type`, as far as their references tell.
pub(super) fn heap_bytes(data_type: &DataType, elements: &[u8]) -> u64 {
    let each = |size: usize, bytes: &dyn Fn(&[u8]) -> u64| {
        elements.chunks_exact(size.max(1)).fold(0_u64, |total, element| total.saturating_add(bytes(element)))
    };
    match data_type {
        DataType::String => each(HEAP_REFERENCE_SIZE, &length),
        DataType::List { element, .. } => {
            each(HEAP_REFERENCE_SIZE, &|reference| length(reference).saturating_mul(element.item_size() as u64))
        }
        DataType::FixedArray { element, .. } => heap_bytes(element, elements),
        DataType::Struct { size, fields } => each(*size as usize, &|row| {
            fields.iter().fold(0_u64, |total, field| {
                let start = field.offset as usize;
                let part = row.get(start..start.saturating_add(field.data_type.item_size())).unwrap_or_default();
                total.saturating_add(heap_bytes(&field.data_type, part))
            })
        }),
        _ => 0,
    }
}

/// The length in a heap reference; none in one to nothing.
fn length(reference: &[u8]) -> u64 {
    let is_null = reference.get(4..12).is_none_or(|address| address == [0; 8] || address == [0xff; 8]);
    let length = reference.first_chunk::<4>().map_or(0, |length| u64::from(u32::from_le_bytes(*length)));
    if is_null { 0 } else { length }
}

/// `rows` of `row_bytes` each, without what heaps hold, in parts whose references are read together.
/// Chunks of `chunk_rows` are not cut needlessly.
pub(super) fn blocks(rows: Range<u64>, chunk_rows: u64, row_bytes: u64) -> Blocks {
    let most = (MAX_BLOCK_BYTES / row_bytes.max(1)).max(1);
    parts(rows, chunk_rows.clamp(BLOCK_ROWS, MAX_BLOCK_ROWS).min(most))
}

/// `rows` of `row_bytes` each, of which the texts in heaps are a guess, in parts whose references are read
/// together.
pub(super) fn text_blocks(rows: Range<u64>, row_bytes: u64) -> Blocks {
    parts(rows, (MAX_BLOCK_BYTES / row_bytes.max(1)).clamp(1, MAX_BLOCK_ROWS))
}

/// `rows` in blocks of `length` rows; in one, which [`check`] refuses, where each block is a window at least
/// and these are too many for one stream.
fn parts(rows: Range<u64>, length: u64) -> Blocks {
    let too_many = rows.end.saturating_sub(rows.start).div_ceil(length.max(1)) > MAX_WINDOWS;
    if too_many { one_block(Some(rows)) } else { blocks_of(rows, length) }
}

/// Refuses a block of more rows than are read together.
///
/// # Errors
/// `ResourceExhausted` naming the rows.
pub(super) fn check(block: &Range<u64>) -> Result<()> {
    let count = block.end.saturating_sub(block.start);
    if count <= MAX_BLOCK_ROWS {
        return Ok(());
    }
    let message = format!("{count} rows need more than {MAX_WINDOWS} windows of memory: select fewer rows");
    Err(Error::resource_exhausted(message))
}

/// The `planned` windows, whose rows were taken to have `row_bytes`, cut where they do not fit with the bytes
/// `beyond` that each row has.
pub(super) fn cut(context: &ReadContext, planned: Vec<Range<u64>>, row_bytes: u64, beyond: &[u64]) -> Vec<Window> {
    let mut beyond = beyond.iter().copied();
    let mut cut = Vec::with_capacity(planned.len());
    for rows in planned {
        let count = usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX);
        let sizes: Vec<u64> = beyond.by_ref().take(count).collect();
        cut.extend(windows(context, rows, row_bytes, &sizes));
    }
    cut
}

/// The windows of `block`, whose rows take `row_bytes` and their part of `sizes` each.
pub(super) fn windows(context: &ReadContext, block: Range<u64>, row_bytes: u64, sizes: &[u64]) -> Vec<Window> {
    let mut windows = Vec::new();
    let (mut start, mut bytes) = (block.start, 0_u64);
    for (row, size) in (block.start..block.end).zip(sizes) {
        let size = size.saturating_add(row_bytes);
        if row > start && bytes.saturating_add(size) > context.window_bytes {
            windows.push(Window { rows: start..row, bytes, spans: Vec::new() });
            (start, bytes) = (row, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    if start < block.end {
        windows.push(Window { rows: start..block.end, bytes, spans: Vec::new() });
    }
    windows
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::data_type::StructField;

    fn reference(length: u32, address: u64) -> Vec<u8> {
        [&length.to_le_bytes()[..], &address.to_le_bytes(), &[0; 4]].concat()
    }

    #[test]
    fn references_tell_the_bytes_behind_them() {
        let list = DataType::List { element: Box::new(DataType::Int32), swaps: Vec::new() };
        let two = [reference(3, 96), reference(9, 0), reference(5, u64::MAX), reference(0, 96)].concat();
        assert_eq!(heap_bytes(&list, &two), 12);
        let field = |name: &str, offset, data_type| StructField { name: name.into(), offset, data_type };
        let fields = vec![field("n", 0, DataType::UInt8), field("l", 1, list), field("t", 17, DataType::String)];
        let compound = DataType::Struct { size: 33, fields };
        let row = [vec![7], reference(2, 96), reference(5, 96)].concat();
        assert_eq!(heap_bytes(&compound, &[row.clone(), row].concat()), 2 * (8 + 5));
        assert_eq!(heap_bytes(&DataType::Float64, &[1; 16]), 0);
    }

    #[test]
    fn windows_hold_whole_rows_and_fit_where_one_row_does() {
        let context = ReadContext::new(1 << 30, 64 << 10, 1, 1, Duration::from_secs(1));
        assert_eq!(context.window_bytes, 16 << 10);
        let sizes = [10_000, 5_000, 1_000, 100_000, 0, 16_000];
        let found: Vec<_> =
            windows(&context, 4..10, 100, &sizes).into_iter().map(|one| (one.rows, one.bytes)).collect();
        assert_eq!(found, [(4..7, 16_300), (7..8, 100_100), (8..10, 16_200)]);
        let cuts: Vec<_> =
            cut(&context, vec![4..7, 7..10], 100, &sizes).into_iter().map(|one| (one.rows, one.bytes)).collect();
        assert_eq!(cuts, [(4..7, 16_300), (7..8, 100_100), (8..10, 16_200)]);
        let cuts = cut(&context, vec![4..6, 6..10], 100, &sizes).into_iter().map(|one| one.rows);
        assert_eq!(cuts.collect::<Vec<_>>(), [4..6, 6..7, 7..8, 8..10]);
        assert_eq!(blocks(5..5, 1, 80).count(), 0);
        assert_eq!(text_blocks(3..300_000, 80).collect::<Vec<_>>(), [3..209_718, 209_718..300_000]);
        assert_eq!(blocks(0..100_000, 10, 80).collect::<Vec<_>>(), [0..65_536, 65_536..100_000]);
        for whole in [text_blocks(0..1 << 58, 80), blocks(0..1 << 58, 1, 80), text_blocks(7..(1 << 20) + 8, u64::MAX)] {
            let whole: Vec<_> = whole.collect();
            assert!(whole.len() == 1 && check(&whole[0]).is_err(), "{whole:?}");
        }
        assert!(check(&(5..(1 << 20) + 5)).is_ok());
        assert_eq!(blocks(0..3, 10, u64::MAX).collect::<Vec<_>>(), [0..1, 1..2, 2..3]);
    }
}
