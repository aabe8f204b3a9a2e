//! Where all stored chunks of one dataset lie, and its compact record.

use super::parser::{MAX_CHUNKS, StoredChunk};
use super::record::{pack, unpack};
use crate::error::{Error, Result};
use crate::model::chunk::ChunkLocation;

const MAGIC: [u8; 8] = *b"SFH5CHK\x02";
/// Filter mask of a chunk to which no filter was applied.
const NO_FILTERS: u32 = u32::MAX;

/// Grid of a dataset's chunks and the size of its object; what a table must fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Elements along each dimension.
    pub(crate) shape: Vec<u64>,
    /// Elements of a chunk along each dimension.
    pub(crate) chunk_shape: Vec<u64>,
    /// Byte of the object at which address 0 lies.
    pub(crate) base: u64,
    /// Bytes of the object.
    pub(crate) object_size: u64,
    /// Whether chunks over the edge are stored without filters.
    pub(crate) plain_edges: bool,
}

/// Stored chunks of one dataset, ascending by their number in C order of the grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkTable {
    grid: Vec<u64>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    number: u64,
    offset: u64,
    length: u32,
    filter_mask: u32,
}

/// What comes before the first entry of a record.
const NOTHING: Entry = Entry { number: 0, offset: 0, length: 0, filter_mask: 0 };

impl Frame {
    fn grid(&self) -> Vec<u64> {
        self.shape.iter().zip(&self.chunk_shape).map(|(length, chunk)| length.div_ceil((*chunk).max(1))).collect()
    }

    /// `first` element to the number of its chunk; `None` for a chunk left behind by a smaller shape.
    fn number(&self, grid: &[u64], first: &[u64]) -> Result<Option<u64>> {
        let mut number = 0_u64;
        if first.len() != self.shape.len() {
            return Err(Error::data_loss(format!("a chunk at {first:?} in a shape of {:?}", self.shape)));
        }
        for (((at, length), chunk), count) in first.iter().zip(&self.shape).zip(&self.chunk_shape).zip(grid) {
            if at.checked_rem(*chunk) != Some(0) {
                return Err(Error::data_loss(format!(
                    "a chunk at {first:?}, expected multiples of {:?}",
                    self.chunk_shape
                )));
            }
            if at >= length {
                return Ok(None);
            }
            number = number
                .checked_mul(*count)
                .and_then(|number| number.checked_add(at / chunk))
                .ok_or_else(|| Error::data_loss(format!("a grid of {grid:?} chunks has more than 2^64")))?;
        }
        Ok(Some(number))
    }

    fn reaches_over(&self, first: &[u64]) -> bool {
        let mut sides = first.iter().zip(&self.chunk_shape).zip(&self.shape);
        sides.any(|((at, chunk), length)| at.saturating_add(*chunk) > *length)
    }

    fn check(&self, first: &[u64], offset: Option<u64>, length: u64) -> Result<(u64, u32)> {
        let end = offset.and_then(|offset| offset.checked_add(length)).filter(|end| *end <= self.object_size);
        match (offset, end, u32::try_from(length)) {
            (Some(offset), Some(_), Ok(length)) => Ok((offset, length)),
            (_, None, _) | (None, _, _) => Err(Error::data_loss(format!(
                "the chunk at {first:?} has {length} bytes at byte {}, the object has {} bytes",
                offset.unwrap_or(u64::MAX),
                self.object_size
            ))),
            (_, _, Err(_)) => Err(Error::unimplemented(format!("chunks of {length} bytes"))),
        }
    }
}

impl ChunkTable {
    /// The table of `chunks`, each checked against the frame.
    ///
    /// # Errors
    /// `DataLoss` for a chunk outside the object or the grid, or two at one place.
    pub(crate) fn build(frame: &Frame, chunks: Vec<StoredChunk>) -> Result<Self> {
        let grid = frame.grid();
        let mut entries = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let Some(number) = frame.number(&grid, &chunk.first)? else { continue };
            let offset = chunk.address.checked_add(frame.base);
            let (offset, length) = frame.check(&chunk.first, offset, chunk.length)?;
            let plain = frame.plain_edges && frame.reaches_over(&chunk.first);
            let filter_mask = if plain { NO_FILTERS } else { chunk.filter_mask };
            entries.push(Entry { number, offset, length, filter_mask });
        }
        entries.sort_unstable_by_key(|entry| entry.number);
        if entries.windows(2).any(|pair| matches!(pair, [first, second] if first.number == second.number)) {
            return Err(Error::data_loss("a chunk is in the chunk index twice"));
        }
        Ok(Self { grid, entries })
    }

    /// Where the chunk at `position` of the grid lies.
    ///
    /// # Errors
    /// `OutOfRange` when the grid has no such position.
    pub(crate) fn locate(&self, position: &[u64]) -> Result<ChunkLocation> {
        let inside = position.len() == self.grid.len() && position.iter().zip(&self.grid).all(|(at, count)| at < count);
        if !inside {
            return Err(Error::out_of_range(format!("chunk {position:?} of a grid of {:?} chunks", self.grid)));
        }
        let number = position
            .iter()
            .zip(&self.grid)
            .fold(0_u64, |number, (at, count)| number.saturating_mul(*count).saturating_add(*at));
        let found = self.entries.binary_search_by_key(&number, |entry| entry.number).ok();
        Ok(match found.and_then(|index| self.entries.get(index)) {
            Some(entry) => ChunkLocation::Range {
                offset: entry.offset,
                length: u64::from(entry.length),
                filter_mask: entry.filter_mask,
            },
            None => ChunkLocation::Missing,
        })
    }

    /// Bytes of memory, roughly.
    pub(crate) fn memory(&self) -> usize {
        64 + self.grid.len() * 8 + self.entries.len() * size_of::<Entry>()
    }

    /// The table as a record: columns of differences to the chunk before, as variable-length numbers.
    ///
    /// # Errors
    /// `Internal` when it does not compress.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(self.entries.len() * 6 + 32);
        put(&mut plain, self.grid.len() as u64);
        self.grid.iter().for_each(|count| put(&mut plain, *count));
        put(&mut plain, self.entries.len() as u64);
        let before = || std::iter::once(&NOTHING).chain(&self.entries);
        for (last, entry) in before().zip(&self.entries) {
            put(&mut plain, entry.number.wrapping_sub(last.number));
        }
        for (last, entry) in before().zip(&self.entries) {
            put(&mut plain, zigzag(u64::from(entry.length).wrapping_sub(u64::from(last.length))));
        }
        // Chunks written one after the other follow each other, or the data between them.
        for (last, entry) in before().zip(&self.entries) {
            let expected = last.offset.wrapping_add(u64::from(last.length));
            put(&mut plain, zigzag(entry.offset.wrapping_sub(expected)));
        }
        self.entries.iter().for_each(|entry| put(&mut plain, u64::from(entry.filter_mask)));
        pack(MAGIC, &plain)
    }

    /// The table in `record`, if it is one, undamaged, and fits the frame.
    pub(crate) fn decode(frame: &Frame, record: &[u8]) -> Option<Self> {
        let plain = unpack(MAGIC, record)?;
        let mut rest = plain.as_slice();
        let grid = frame.grid();
        if take(&mut rest)? != grid.len() as u64 {
            return None;
        }
        for count in &grid {
            if take(&mut rest)? != *count {
                return None;
            }
        }
        let total = grid.iter().fold(1_u64, |total, count| total.saturating_mul(*count));
        let count = take(&mut rest)?;
        // Every entry takes four bytes at least, so the count is bounded by the record itself.
        if count > total.min(MAX_CHUNKS) || count > rest.len() as u64 / 4 {
            return None;
        }
        let mut entries = vec![NOTHING; usize::try_from(count).ok()?];
        let mut last = NOTHING;
        for (index, entry) in entries.iter_mut().enumerate() {
            entry.number = last.number.checked_add(take(&mut rest)?)?;
            if entry.number >= total || (index > 0 && entry.number <= last.number) {
                return None;
            }
            last = *entry;
        }
        last = NOTHING;
        for entry in &mut entries {
            let length = u64::from(last.length).wrapping_add(unzigzag(take(&mut rest)?));
            entry.length = u32::try_from(length).ok()?;
            last = *entry;
        }
        last = NOTHING;
        for entry in &mut entries {
            let expected = last.offset.wrapping_add(u64::from(last.length));
            entry.offset = expected.wrapping_add(unzigzag(take(&mut rest)?));
            if entry.offset.checked_add(u64::from(entry.length))? > frame.object_size {
                return None;
            }
            last = *entry;
        }
        for entry in &mut entries {
            entry.filter_mask = u32::try_from(take(&mut rest)?).ok()?;
        }
        rest.is_empty().then_some(Self { grid, entries })
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn zigzag(difference: u64) -> u64 {
    let signed = difference.cast_signed();
    ((signed << 1) ^ (signed >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests;
