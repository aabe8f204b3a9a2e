//! Chunk indexes that are extensible arrays (format specification, section VII.D): a header, an index
//! block with the first elements and the addresses of blocks, super blocks with more addresses, and
//! data blocks, whose elements lie in one run or, when there are many, in pages.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;

use super::array_index::{CHECKSUM_BYTES, Element, Run, array_chunks, checked};
use super::chunk_index::{Indexed, StoredChunk};
use super::cursor::Cursor;
use super::fixed_array::is_set;
use super::view::View;
use crate::error::{Error, Result};

/// Signature, version, client, and six numbers of one byte.
const LEAD_BYTES: u64 = 12;
/// Statistics in the header.
const STATISTICS: usize = 6;

struct Extensible<'a> {
    view: &'a View,
    element: Element,
    maximum_bits: u8,
    index_elements: u64,
    block_elements: u64,
    block_pointers: u64,
    page_elements: u64,
    index: Run,
    /// Data blocks that the index block names itself, then super blocks.
    direct: Vec<Option<u64>>,
    secondary: Vec<Option<u64>>,
    read: RefCell<HashMap<usize, Option<Rc<SuperBlock>>>>,
}

/// Addresses of data blocks, and which pages of them were written.
struct SuperBlock {
    bitmap: Bytes,
    blocks: Vec<Option<u64>>,
}

/// Where an element lies: data block `block` of level `level`, element `within`.
struct Position {
    level: u32,
    block: u64,
    within: u64,
}

/// All chunks in the array of `indexed`.
pub(super) fn extensible_chunks(view: &View, indexed: &Indexed) -> Result<Vec<StoredChunk>> {
    let Some(array) = Extensible::read(view, indexed.address)? else { return Ok(Vec::new()) };
    array_chunks(view, indexed, array.element, true, |number| array.place(number))
}

impl<'a> Extensible<'a> {
    /// The array whose header lies at `address`; none when nothing was ever put into it.
    fn read(view: &'a View, address: u64) -> Result<Option<Self>> {
        let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
        let statistics = STATISTICS * usize::from(length_size);
        let length = LEAD_BYTES + statistics as u64 + u64::from(offset_size) + CHECKSUM_BYTES;
        let header = checked(view, Run { address, length })?;
        if !header.starts_with(b"EAHD\0") {
            return Err(Error::data_loss(format!("no extensible array of version 0 at {address:#x}")));
        }
        let mut cursor = Cursor::new(header);
        cursor.skip(5)?;
        let (client, size, maximum_bits) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        let (index_elements, block_elements) = (u64::from(cursor.u8()?), u64::from(cursor.u8()?));
        let (block_pointers, page_bits) = (u64::from(cursor.u8()?), u32::from(cursor.u8()?));
        cursor.skip(statistics)?;
        let Some(index) = cursor.address(offset_size)? else { return Ok(None) };
        let page_elements = 1_u64.checked_shl(page_bits).ok_or_else(nonsense)?;
        if !block_elements.is_power_of_two() || !block_pointers.is_power_of_two() || maximum_bits > 64 {
            return Err(nonsense());
        }
        let mut array = Self {
            view,
            element: Element::of(client, size, offset_size)?,
            maximum_bits,
            index_elements,
            block_elements,
            block_pointers,
            page_elements,
            index: Run { address: index, length: 0 },
            direct: Vec::new(),
            secondary: Vec::new(),
            read: RefCell::default(),
        };
        array.read_index()?;
        Ok(Some(array))
    }

    fn offset_size(&self) -> u8 {
        self.element.offset_size
    }

    /// Levels whose data blocks the index block names itself.
    fn direct_levels(&self) -> u32 {
        2 * self.block_pointers.ilog2()
    }

    fn read_index(&mut self) -> Result<()> {
        let levels = u32::from(self.maximum_bits).checked_sub(self.block_elements.ilog2()).ok_or_else(nonsense)? + 1;
        let direct = 2 * (self.block_pointers - 1);
        let secondary = u64::from(levels.saturating_sub(self.direct_levels()));
        let elements = 6 + u64::from(self.offset_size()) + self.index_elements * self.element.size;
        self.index.length = elements + (direct + secondary) * u64::from(self.offset_size()) + CHECKSUM_BYTES;
        let bytes = checked(self.view, self.index)?;
        if !bytes.starts_with(b"EAIB\0") {
            return Err(Error::data_loss(format!(
                "no index block of an extensible array at {:#x}",
                self.index.address
            )));
        }
        let mut cursor = Cursor::new(bytes);
        cursor.skip(elements as usize)?;
        self.direct = addresses(&mut cursor, direct, self.offset_size())?;
        self.secondary = addresses(&mut cursor, secondary, self.offset_size())?;
        Ok(())
    }

    fn place(&self, number: u64) -> Result<Option<(Run, u64)>> {
        let Some(rest) = number.checked_sub(self.index_elements) else {
            let lead = 6 + u64::from(self.offset_size());
            return Ok(Some((self.index, lead + number * self.element.size)));
        };
        let position = self.position(rest)?;
        let elements = self.level_elements(position.level)?;
        let pages = if elements > self.page_elements { elements / self.page_elements } else { 0 };
        let (address, bitmap) = match position.level.checked_sub(self.direct_levels()) {
            // All data blocks of the levels before: 1, 1, 2, 2, 4, 4, ...
            None => {
                let before: u64 = (0..position.level).map(|level| 1 << (level / 2)).sum();
                (get(&self.direct, before + position.block), None)
            }
            Some(secondary) => match self.super_block(secondary as usize, position.level)? {
                Some(found) => (get(&found.blocks, position.block), Some(found)),
                None => return Ok(None),
            },
        };
        let Some(address) = address else { return Ok(None) };
        let prefix = 6 + u64::from(self.offset_size()) + self.offset_bytes();
        if pages == 0 {
            let length = prefix + elements.saturating_mul(self.element.size) + CHECKSUM_BYTES;
            return Ok(Some((Run { address, length }, prefix + position.within * self.element.size)));
        }
        let page = position.within / self.page_elements;
        let bitmap = bitmap.ok_or_else(|| Error::data_loss("pages of an extensible array without super block"))?;
        if !is_set(&bitmap.bitmap, position.block * pages + page) {
            return Ok(None);
        }
        let length = self.page_elements.saturating_mul(self.element.size).saturating_add(CHECKSUM_BYTES);
        let offset = page.checked_mul(length).and_then(|offset| offset.checked_add(prefix + CHECKSUM_BYTES));
        let address = offset.and_then(|offset| offset.checked_add(address)).ok_or_else(nonsense)?;
        Ok(Some((Run { address, length }, position.within % self.page_elements * self.element.size)))
    }

    /// Element `rest` of those behind the index block's own. Level `l` has `2^(l/2)` data blocks of
    /// `2^((l+1)/2)` times the least number of elements.
    fn position(&self, mut rest: u64) -> Result<Position> {
        for level in 0..u32::from(self.maximum_bits) + 1 {
            let elements = self.level_elements(level)?;
            let all = elements.checked_mul(1 << (level / 2)).ok_or_else(nonsense)?;
            if rest < all {
                return Ok(Position { level, block: rest / elements, within: rest % elements });
            }
            rest -= all;
        }
        Err(nonsense())
    }

    fn level_elements(&self, level: u32) -> Result<u64> {
        1_u64.checked_shl(level.div_ceil(2)).and_then(|many| many.checked_mul(self.block_elements)).ok_or_else(nonsense)
    }

    /// Bytes of a number of elements before a block.
    fn offset_bytes(&self) -> u64 {
        u64::from(self.maximum_bits.div_ceil(8))
    }

    /// Super block `number`, which is that of `level`; none when it was never written.
    fn super_block(&self, number: usize, level: u32) -> Result<Option<Rc<SuperBlock>>> {
        if let Some(known) = self.read.borrow().get(&number) {
            return Ok(known.clone());
        }
        let address = self.secondary.get(number).copied().ok_or_else(nonsense)?;
        let found = match address {
            Some(address) => Some(Rc::new(self.read_super_block(address, level)?)),
            None => None,
        };
        self.read.borrow_mut().insert(number, found.clone());
        Ok(found)
    }

    fn read_super_block(&self, address: u64, level: u32) -> Result<SuperBlock> {
        let (count, elements) = (1_u64 << (level / 2), self.level_elements(level)?);
        let pages = if elements > self.page_elements { elements / self.page_elements } else { 0 };
        let bitmap = count.saturating_mul(pages.div_ceil(8));
        let lead = 6 + u64::from(self.offset_size()) + self.offset_bytes();
        let length = lead.saturating_add(bitmap).saturating_add(count.saturating_mul(u64::from(self.offset_size())));
        let bytes = checked(self.view, Run { address, length: length.saturating_add(CHECKSUM_BYTES) })?;
        if !bytes.starts_with(b"EASB\0") {
            return Err(Error::data_loss(format!("no super block of an extensible array at {address:#x}")));
        }
        let mut cursor = Cursor::new(bytes);
        cursor.skip(usize::try_from(lead).unwrap_or(usize::MAX))?;
        let bitmap = cursor.take(usize::try_from(bitmap).unwrap_or(usize::MAX))?;
        Ok(SuperBlock { bitmap, blocks: addresses(&mut cursor, count, self.offset_size())? })
    }
}

/// The next `count` addresses.
fn addresses(cursor: &mut Cursor, count: u64, offset_size: u8) -> Result<Vec<Option<u64>>> {
    (0..count).map(|_| cursor.address(offset_size)).collect()
}

fn get(addresses: &[Option<u64>], number: u64) -> Option<u64> {
    usize::try_from(number).ok().and_then(|number| addresses.get(number)).copied().flatten()
}

fn nonsense() -> Error {
    Error::data_loss("the extensible array makes no sense")
}
