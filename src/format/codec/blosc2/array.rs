//! The metalayer `b2nd`: chunks are boxes of an array, and blocks are boxes of a chunk. Boxes that reach
//! over an edge are padded. Here the blocks are put in C order, and the padding goes.

use super::super::{damaged, zeroed};
use super::block::Workspace;
use super::frame::{Frame, marked};
use super::{NAME, field, refused, within};
use crate::error::{Error, Result};

/// Dimensions of an array at most, as in the library.
const MAX_RANK: u8 = 16;
/// How many times as many bytes as an array has its padded blocks may have. Boxes of two in a chunk of
/// three reach over an edge in every dimension, but whoever chooses them so in many pads on purpose.
const MAX_PADDING: usize = 64;
/// Bytes of an element at most that the header of a chunk can say.
const MAX_ITEM_OF_CHUNK: usize = u8::MAX as usize;
/// Where the HDF5 filter keeps the rank of a chunk; its shape follows.
const RANK_VALUE: usize = 7;

/// One dimension, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    length: usize,
    /// Of a chunk, at least 1.
    chunk: usize,
    /// Of a block, at least 1 and no longer than a chunk.
    block: usize,
}

impl Axis {
    fn chunks(&self) -> usize {
        self.length.div_ceil(self.chunk)
    }

    /// Of each chunk.
    fn blocks(&self) -> usize {
        self.chunk.div_ceil(self.block)
    }

    /// First element of block `block` of chunk `chunk`, and how many of its elements are no padding.
    fn span(&self, chunk: usize, block: usize) -> (usize, usize) {
        let inside = block.saturating_mul(self.block);
        let start = chunk.saturating_mul(self.chunk).saturating_add(inside);
        let count = self.block.min(self.chunk.saturating_sub(inside)).min(self.length.saturating_sub(start));
        (start, count)
    }
}

/// The axes that a metalayer of `content` describes.
///
/// # Errors
/// `DataLoss` when it is damaged or describes no array, `Unimplemented` for another version.
pub(super) fn read(content: &[u8]) -> Result<Vec<Axis>> {
    let [_, version, rank] = field(content, 0)?;
    if version != 0 {
        return Err(refused(format_args!("metalayer b2nd of version {version}")));
    }
    if rank > MAX_RANK {
        return Err(damaged(NAME, format_args!("an array of {rank} dimensions, expected at most {MAX_RANK}")));
    }
    // Three lists follow each other, each behind a byte that tells its length: of 9 bytes an element, then 5, 5.
    let after = |bytes: usize| usize::from(rank) * bytes;
    let [lengths, chunks, blocks] = [(4, 9), (5 + after(9), 5), (6 + after(9 + 5), 5)];
    let integer = |(start, size): (usize, usize), number: u8| -> Result<usize> {
        let at = start + usize::from(number) * size;
        let value = match size {
            9 => u64::from_be_bytes(marked(content, at, 0xd3)?),
            _ => u64::from(u32::from_be_bytes(marked(content, at, 0xd2)?)),
        };
        usize::try_from(value).map_err(|_| damaged(NAME, format_args!("a dimension of {value} elements")))
    };
    (0..rank)
        .map(|number| {
            let axis = Axis {
                length: integer(lengths, number)?,
                chunk: integer(chunks, number)?,
                block: integer(blocks, number)?,
            };
            match axis {
                // An empty array has no chunks, whatever they would be.
                Axis { length: 0, .. } => Ok(Axis { length: 0, chunk: 1, block: 1 }),
                Axis { chunk, block, .. } if (1..=chunk).contains(&block) => Ok(axis),
                _ => Err(damaged(NAME, format_args!("no dimension of an array: {axis:?}"))),
            }
        })
        .collect()
}

/// The elements of the array of `frame` in C order, at most `limit` bytes. `values` are those of the
/// HDF5 filter.
///
/// # Errors
/// `DataLoss` when the array has another shape than `values` say, or its chunks do not fit it.
pub(super) fn decompress(frame: &Frame<'_>, axes: &[Axis], values: &[u32], limit: usize) -> Result<Vec<u8>> {
    check_shape(axes, values)?;
    let sizes = Sizes::of(frame, axes, limit)?;
    let mut plain = zeroed(sizes.plain)?;
    let mut block = zeroed(sizes.block)?;
    let mut workspace = Workspace::new();
    let offsets = frame.offsets(&mut workspace, limit)?;
    for (number, offset) in offsets.into_iter().enumerate() {
        let position = unravel(number, axes, Axis::chunks);
        let chunk = frame.chunk(offset, frame.chunk_bytes)?;
        if !chunk.has_blocks_of(sizes.block) {
            return Err(damaged(NAME, format_args!("a chunk of other blocks than of {} bytes", sizes.block)));
        }
        for number in 0..sizes.blocks {
            let inside = unravel(number, axes, Axis::blocks);
            let spans = axes.iter().zip(&position).zip(&inside).map(|((axis, chunk), block)| axis.span(*chunk, *block));
            let spans: Vec<_> = spans.collect();
            if spans.iter().all(|(_, count)| *count > 0) {
                chunk.decode_block(number, &mut block, &mut workspace)?;
                place(&block, &mut plain, axes, &spans, sizes.item)?;
            }
        }
    }
    Ok(plain)
}

/// Whether the array is of the shape that a chunk has.
fn check_shape(axes: &[Axis], values: &[u32]) -> Result<()> {
    let Some((rank, shape)) = values.get(RANK_VALUE..).and_then(<[u32]>::split_first) else { return Ok(()) };
    let shape = shape.get(..*rank as usize).unwrap_or_default();
    if *rank as usize == axes.len()
        && shape.iter().map(|length| *length as usize).eq(axes.iter().map(|axis| axis.length))
    {
        return Ok(());
    }
    let found: Vec<_> = axes.iter().map(|axis| axis.length).collect();
    Err(damaged(NAME, format_args!("an array of shape {found:?}, expected {shape:?}")))
}

/// Sizes that fit each other and the frame.
struct Sizes {
    /// Bytes of an element.
    item: usize,
    /// Bytes of the array.
    plain: usize,
    /// Bytes of a block.
    block: usize,
    /// Blocks of a chunk.
    blocks: usize,
}

impl Sizes {
    fn of(frame: &Frame<'_>, axes: &[Axis], limit: usize) -> Result<Self> {
        let product = |of: fn(&Axis) -> usize| axes.iter().map(of).try_fold(1_usize, usize::checked_mul);
        let sizes = || -> Option<(Self, usize, usize)> {
            let blocks = product(Axis::blocks)?;
            let block_items = product(|axis| axis.block)?;
            let item = item_bytes(frame, blocks.checked_mul(block_items)?);
            let plain = product(|axis| axis.length)?.checked_mul(item)?;
            let block = block_items.checked_mul(item)?;
            let chunk = blocks.checked_mul(block)?;
            Some((Self { item, plain, block, blocks }, chunk, chunk.checked_mul(product(Axis::chunks)?)?))
        };
        let (sizes, chunk, all) = sizes().ok_or_else(|| damaged(NAME, format_args!("an array of {axes:?}")))?;
        within(sizes.plain, limit)?;
        if all == 0 {
            // Nothing is in it, whatever its chunks would be.
            return Ok(Self { block: 0, blocks: 0, ..sizes });
        }
        within(sizes.block, limit)?;
        if all > sizes.plain.saturating_mul(MAX_PADDING) {
            return Err(refused(format_args!("an array of {} bytes padded to {all}", sizes.plain)));
        }
        if (chunk, all) != (frame.chunk_bytes, frame.plain_bytes) {
            let (found_chunk, found) = (frame.chunk_bytes, frame.plain_bytes);
            return Err(damaged(
                NAME,
                format_args!("{found} bytes in chunks of {found_chunk}, expected {all} in chunks of {chunk}"),
            ));
        }
        Ok(sizes)
    }
}

/// Bytes of an element of chunks of `items`, padding included. Some versions of the library say 1 when
/// elements have more bytes than their chunks can say.
fn item_bytes(frame: &Frame<'_>, items: usize) -> usize {
    match frame.chunk_bytes.checked_div(items) {
        Some(found) if frame.item_bytes == 1 && found > MAX_ITEM_OF_CHUNK => found,
        _ => frame.item_bytes,
    }
}

/// The position in C order of box `number`, of which each axis has `count`.
fn unravel(mut number: usize, axes: &[Axis], count: fn(&Axis) -> usize) -> Vec<usize> {
    let mut position = vec![0; axes.len()];
    for (place, axis) in position.iter_mut().zip(axes).rev() {
        let count = count(axis).max(1);
        *place = number % count;
        number /= count;
    }
    position
}

/// Steps along one axis, in bytes.
struct Steps {
    count: usize,
    from: usize,
    to: usize,
}

/// Copies what is no padding of `block` to where it belongs in `plain`.
fn place(block: &[u8], plain: &mut [u8], axes: &[Axis], spans: &[(usize, usize)], item_bytes: usize) -> Result<()> {
    let (mut from, mut to, mut start, mut run) = (item_bytes, item_bytes, 0, item_bytes);
    let mut steps = Vec::with_capacity(axes.len());
    for (number, (axis, (first, count))) in axes.iter().zip(spans).rev().enumerate() {
        start += first * to;
        if number == 0 {
            run *= count;
        } else {
            steps.push(Steps { count: *count, from, to });
        }
        // No overflow: the products are the bytes of block and array, or less.
        from *= axis.block;
        to *= axis.length;
    }
    plain
        .get_mut(start..)
        .and_then(|plain| copy(block, plain, &steps, run))
        .ok_or_else(|| Error::internal(format!("{NAME}: a block outside of its array: {spans:?} of {axes:?}")))
}

/// Copies runs of `run` bytes, of which there are as many as `steps` say, the last being the outermost.
fn copy(from: &[u8], to: &mut [u8], steps: &[Steps], run: usize) -> Option<()> {
    let Some((outer, inner)) = steps.split_last() else {
        to.get_mut(..run)?.copy_from_slice(from.get(..run)?);
        return Some(());
    };
    for step in 0..outer.count {
        copy(from.get(step * outer.from..)?, to.get_mut(step * outer.to..)?, inner, run)?;
    }
    Some(())
}
