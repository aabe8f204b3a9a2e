//! Fetches the blocks of an extensible array together, before they are walked one by one.
//!
//! Only addresses are read here (format specification, section VII.D); everything is checked by the
//! walk itself, so whatever makes no sense is left to it.

use bytes::Bytes;

use super::cursor::Cursor;
use super::view::View;
use crate::error::{Error, Result};

/// Bytes of a header: 12 of one byte each, 6 lengths and an address of 8 bytes at most, a checksum.
const HEADER_BYTES: usize = 12 + 7 * 8 + 4;
/// Blocks fetched together at most.
const MAX_BLOCKS: usize = 65_536;

/// What tells where the blocks are.
struct Array {
    offset_size: u8,
    element_size: u64,
    maximum_bits: u32,
    index_elements: u64,
    block_elements: u64,
    block_pointers: u64,
    page_elements: u64,
    index_address: u64,
}

/// Fetches the blocks of the array at `address` that hold its first `count` elements.
pub(super) fn prefetch_blocks(view: &View, address: u64, count: u64) {
    // A failed read or a structure that makes no sense shows up again in the walk.
    drop(try_prefetch(view, address, count));
}

fn try_prefetch(view: &View, address: u64, count: u64) -> Result<()> {
    let length = usize::try_from(view.end().saturating_sub(address)).unwrap_or(usize::MAX).min(HEADER_BYTES);
    let array = Array::parse(view, view.read(address, length)?)?;
    let (direct, levels) = array.direct_blocks()?;
    let secondary = levels.saturating_sub(2 * u64::from(array.block_pointers.ilog2()));
    let start = 6 + u64::from(array.offset_size) + array.index_elements * array.element_size;
    let size = start + (direct + secondary) * u64::from(array.offset_size);
    let index = view.read(array.index_address, usize::try_from(size).unwrap_or(usize::MAX))?;
    let mut cursor = Cursor::new(index);
    cursor.skip(usize::try_from(start).unwrap_or(usize::MAX))?;
    let mut blocks: Vec<u64> = addresses(&mut cursor, direct, array.offset_size)?;
    let secondary: Vec<u64> = addresses(&mut cursor, secondary, array.offset_size)?;
    view.prefetch(secondary.iter().copied(), 0);
    for (number, address) in secondary.into_iter().enumerate() {
        blocks.extend(array.blocks_of(view, address, number as u64)?);
        if blocks.len() > MAX_BLOCKS {
            break;
        }
    }
    let usual = array.block_elements.saturating_mul(array.element_size).min(count * array.element_size);
    view.prefetch(blocks, usual.min(super::source::BLOCK_SIZE));
    Ok(())
}

impl Array {
    fn parse(view: &View, header: Bytes) -> Result<Self> {
        let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
        let mut cursor = Cursor::new(header);
        cursor.skip(6)?;
        let array = Self {
            offset_size,
            element_size: u64::from(cursor.u8()?),
            maximum_bits: u32::from(cursor.u8()?),
            index_elements: u64::from(cursor.u8()?),
            block_elements: u64::from(cursor.u8()?),
            block_pointers: u64::from(cursor.u8()?),
            page_elements: 1_u64.checked_shl(u32::from(cursor.u8()?)).ok_or_else(nonsense)?,
            index_address: {
                cursor.skip(6 * usize::from(length_size))?;
                cursor.address(offset_size)?.ok_or_else(nonsense)?
            },
        };
        let powers = array.block_elements.is_power_of_two() && array.block_pointers.is_power_of_two();
        if powers && array.maximum_bits <= 64 && array.page_elements > 0 { Ok(array) } else { Err(nonsense()) }
    }

    /// Data blocks that the index block names itself, and levels of super blocks.
    fn direct_blocks(&self) -> Result<(u64, u64)> {
        let levels = self.maximum_bits.checked_sub(self.block_elements.ilog2()).ok_or_else(nonsense)?;
        Ok((2 * (self.block_pointers - 1), u64::from(levels) + 1))
    }

    /// Addresses in secondary block `number` of those that the index block names.
    fn blocks_of(&self, view: &View, address: u64, number: u64) -> Result<Vec<u64>> {
        let level = number + 2 * u64::from(self.block_pointers.ilog2());
        let shift = |by: u64| u32::try_from(by).ok().and_then(|by| 1_u64.checked_shl(by)).ok_or_else(nonsense);
        let count = shift(level / 2)?;
        let elements = shift(level.div_ceil(2))?.saturating_mul(self.block_elements);
        if count > MAX_BLOCKS as u64 {
            return Err(nonsense());
        }
        let pages = if elements > self.page_elements { elements / self.page_elements } else { 0 };
        let start = 6 + u64::from(self.offset_size) + u64::from(self.maximum_bits.div_ceil(8));
        let start = start.saturating_add(count.saturating_mul(pages.div_ceil(8)));
        let size = start.saturating_add(count * u64::from(self.offset_size));
        let mut cursor = Cursor::new(view.read(address, usize::try_from(size).unwrap_or(usize::MAX))?);
        cursor.skip(usize::try_from(start).unwrap_or(usize::MAX))?;
        addresses(&mut cursor, count, self.offset_size)
    }
}

/// The next `count` addresses without undefined ones.
fn addresses(cursor: &mut Cursor, count: u64, offset_size: u8) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    for _ in 0..count {
        found.extend(cursor.address(offset_size)?);
    }
    Ok(found)
}

fn nonsense() -> Error {
    Error::data_loss("the extensible array makes no sense")
}
