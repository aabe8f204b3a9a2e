//! Chunk indexes that are fixed arrays (format specification, section VII.C): a header, and a data
//! block whose elements lie in one run or, when there are many, in pages.

use bytes::Bytes;

use super::array_index::{CHECKSUM_BYTES, Element, Run, array_chunks, checked};
use super::chunk_index::{Indexed, StoredChunk};
use super::cursor::Cursor;
use super::view::View;
use crate::error::{Error, Result};

/// Signature, version, client, element size and page bits.
const LEAD_BYTES: u64 = 8;

struct FixedArray {
    element: Element,
    count: u64,
    block: u64,
    /// Bytes before the elements, or before the bitmap of pages.
    prefix: u64,
    pages: Option<Pages>,
}

/// Elements in pages; those never written have no bit.
struct Pages {
    elements: u64,
    bitmap: Bytes,
}

/// All chunks in the array of `indexed`.
pub(super) fn fixed_chunks(view: &View, indexed: &Indexed) -> Result<Vec<StoredChunk>> {
    let Some(array) = FixedArray::read(view, indexed.address)? else { return Ok(Vec::new()) };
    array_chunks(view, indexed, array.element, false, |number| array.place(number))
}

impl FixedArray {
    /// The array whose header lies at `address`; none when nothing was ever put into it.
    fn read(view: &View, address: u64) -> Result<Option<Self>> {
        let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
        let length = LEAD_BYTES + u64::from(length_size) + u64::from(offset_size) + CHECKSUM_BYTES;
        let header = checked(view, Run { address, length })?;
        if !header.starts_with(b"FAHD\0") {
            return Err(Error::data_loss(format!("no fixed array of version 0 at {address:#x}")));
        }
        let mut cursor = Cursor::new(header);
        cursor.skip(5)?;
        let (client, size, page_bits) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        let count = cursor.unsigned(usize::from(length_size))?;
        let Some(block) = cursor.address(offset_size)? else { return Ok(None) };
        let element = Element::of(client, size, offset_size)?;
        let mut array = Self { element, count, block, prefix: 6 + u64::from(offset_size), pages: None };
        let page = 1_u64.checked_shl(u32::from(page_bits)).filter(|page| count > *page);
        if let Some(elements) = page {
            array.pages = Some(array.read_pages(view, elements)?);
        }
        Ok(Some(array))
    }

    fn read_pages(&self, view: &View, elements: u64) -> Result<Pages> {
        let bitmap = self.count.div_ceil(elements).div_ceil(8);
        let length = self.prefix.saturating_add(bitmap).saturating_add(CHECKSUM_BYTES);
        // The pages follow, so one request brings the first ones along.
        let all = self.count.saturating_mul(self.element.size).saturating_add(length);
        view.prefetch([self.block], all.min(super::blocks::BLOCK_SIZE));
        let lead = checked(view, Run { address: self.block, length })?;
        if !lead.starts_with(b"FADB\0") {
            return Err(Error::data_loss(format!("no data block of a fixed array at {:#x}", self.block)));
        }
        let start = usize::try_from(self.prefix).unwrap_or(usize::MAX).min(lead.len());
        Ok(Pages { elements, bitmap: lead.slice(start..) })
    }

    fn place(&self, number: u64) -> Result<Option<(Run, u64)>> {
        if number >= self.count {
            return Err(Error::data_loss(format!("chunk {number} of a fixed array of {} chunks", self.count)));
        }
        let overflow = || Error::data_loss(format!("a fixed array of {} chunks does not fit the file", self.count));
        let Some(Pages { elements, bitmap }) = &self.pages else {
            let bytes = self.count.checked_mul(self.element.size).ok_or_else(overflow)?;
            let length = bytes.checked_add(self.prefix + CHECKSUM_BYTES).ok_or_else(overflow)?;
            return Ok(Some((Run { address: self.block, length }, self.prefix + number * self.element.size)));
        };
        let (page, within) = (number / elements, number % elements);
        if !is_set(bitmap, page) {
            return Ok(None);
        }
        // Each page is as long as the others, but for the last.
        let run = |count: u64| count.checked_mul(self.element.size)?.checked_add(CHECKSUM_BYTES);
        let start = self.prefix + bitmap.len() as u64 + CHECKSUM_BYTES;
        let offset =
            run(*elements).and_then(|bytes| bytes.checked_mul(page)).and_then(|bytes| bytes.checked_add(start));
        let address = offset.and_then(|offset| offset.checked_add(self.block)).ok_or_else(overflow)?;
        let length = run((self.count - page * elements).min(*elements)).ok_or_else(overflow)?;
        Ok(Some((Run { address, length }, within * self.element.size)))
    }
}

/// Bit `bit`, counted from the highest of the first byte.
pub(super) fn is_set(bitmap: &[u8], bit: u64) -> bool {
    let byte = usize::try_from(bit / 8).ok().and_then(|byte| bitmap.get(byte));
    byte.is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
}
