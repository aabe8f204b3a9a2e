//! Bitshuffle: per block of elements all first bits, then all second bits, and so on; the blocks
//! plain, or each compressed by LZ4 or zstd. Layout of <https://github.com/kiyo-masui/bitshuffle>.
//!
//! Blocks hold a multiple of 8 elements. What is left of the last elements behind the last multiple
//! of 8 is stored as it is, behind the blocks.

use super::{damaged, lz4, split, zeroed, zstd};
use crate::error::Result;

const NAME: &str = "bitshuffle";
/// Elements that are transposed together; blocks are a multiple of it.
const GROUP: usize = 8;
/// Bytes of a block whose size nobody chose.
const USUAL_BLOCK_BYTES: usize = 8192;
/// Elements of a block whose size nobody chose, at least.
const LEAST_USUAL_BLOCK: usize = 128;

/// What is done to the blocks after shuffling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing; there is no header.
    None,
    /// LZ4 blocks without a header.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

/// What a writer chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Bytes of an element, at least 1.
    element_size: usize,
    /// Elements of a block; 0 where nobody chose. Compressed bytes say themselves.
    block: usize,
    compression: Compression,
}

impl Parameters {
    /// Of the values that the HDF5 filter stores: two of the version, the element size, elements of a
    /// block, and the compression. `None` for what is not known.
    pub fn of(values: &[u32]) -> Option<Self> {
        let value = |index: usize| values.get(index).copied().unwrap_or(0);
        let compression = match value(4) {
            0 => Compression::None,
            2 => Compression::Lz4,
            3 => Compression::Zstd,
            _ => return None,
        };
        let element_size = usize::try_from(value(2)).ok().filter(|size| *size > 0)?;
        Some(Self { element_size, block: usize::try_from(value(3)).ok()?, compression })
    }

    /// Whether the result may be larger than its input.
    pub fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    /// Bytes of a block of `elements`, 0 for the usual number.
    fn block_bytes(&self, elements: usize) -> Result<usize> {
        let usual = USUAL_BLOCK_BYTES / self.element_size / GROUP * GROUP;
        let elements = if elements == 0 { usual.max(LEAST_USUAL_BLOCK) } else { elements };
        if !elements.is_multiple_of(GROUP) {
            return Err(damaged(NAME, format_args!("blocks of {elements} elements, expected a multiple of {GROUP}")));
        }
        Ok(elements.saturating_mul(self.element_size))
    }
}

/// The bytes before shuffling and compression. More than `limit` bytes are refused.
///
/// # Errors
/// `DataLoss` when header or blocks are damaged, end early, or announce more than `limit` bytes.
pub fn decompress(encoded: &[u8], parameters: Parameters, limit: usize) -> Result<Vec<u8>> {
    let Parameters { element_size, compression, .. } = parameters;
    let (total, block, mut rest) = header(encoded, parameters)?;
    let total = usize::try_from(total)
        .ok()
        .filter(|total| *total <= limit)
        .ok_or_else(|| damaged(NAME, format_args!("the chunk announces {total} bytes, expected at most {limit}")))?;
    if !total.is_multiple_of(element_size) {
        return Err(damaged(NAME, format_args!("{total} bytes are no whole elements of {element_size} bytes")));
    }
    let block_bytes = parameters.block_bytes(block)?;
    let mut plain = zeroed(total)?;
    let mut scratch = zeroed(if parameters.is_compressed() { block_bytes.min(total) } else { 0 })?;
    // No larger than `total`, as it is rounded down from it.
    let (blocks, left) = plain.split_at_mut(total / element_size / GROUP * GROUP * element_size);
    for place in blocks.chunks_mut(block_bytes) {
        let shuffled = match compression {
            Compression::None => take(&mut rest, place.len())?,
            _ => block_of(&mut rest, compression, scratch.get_mut(..place.len()).unwrap_or_default())?,
        };
        unshuffle(shuffled, place, element_size);
    }
    left.copy_from_slice(take(&mut rest, left.len())?);
    Ok(plain)
}

/// Undoes the shuffle of all elements of `shuffled` as one block, without a header; both are of one
/// length. Elements behind the last multiple of 8 are as they were.
pub(super) fn unshuffle_whole(shuffled: &[u8], plain: &mut [u8], element_size: usize) {
    let moved = shuffled.len() / element_size.max(1) / GROUP * GROUP * element_size;
    let (shuffled, left) = shuffled.split_at(moved);
    let (plain, place) = plain.split_at_mut(moved);
    place.copy_from_slice(left);
    unshuffle(shuffled, plain, element_size);
}

/// Bytes before compression, elements of a block, and what is behind them.
fn header(encoded: &[u8], parameters: Parameters) -> Result<(u64, usize, &[u8])> {
    if !parameters.is_compressed() {
        return Ok((encoded.len() as u64, parameters.block, encoded));
    }
    let (total, rest) = split::<8>(NAME, encoded)?;
    let (block, rest) = split::<4>(NAME, rest)?;
    Ok((u64::from_be_bytes(total), u32::from_be_bytes(block) as usize / parameters.element_size, rest))
}

/// The next compressed block of `rest`, decompressed to all of `scratch`.
fn block_of<'a>(rest: &mut &[u8], compression: Compression, scratch: &'a mut [u8]) -> Result<&'a [u8]> {
    let (stored, tail) = split::<4>(NAME, rest)?;
    *rest = tail;
    let encoded = take(rest, u32::from_be_bytes(stored) as usize)?;
    if compression == Compression::Lz4 {
        lz4::decompress_block(encoded, scratch)?;
        return Ok(scratch);
    }
    let length = zstd::decompress_into(encoded, scratch)?;
    if length != scratch.len() {
        return Err(damaged(NAME, format_args!("a block holds {length} bytes, expected {}", scratch.len())));
    }
    Ok(scratch)
}

/// The next `length` bytes of `rest`.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let found = rest.len();
    let (bytes, tail) = rest
        .split_at_checked(length)
        .ok_or_else(|| damaged(NAME, format_args!("expected {length} more bytes, found {found}")))?;
    *rest = tail;
    Ok(bytes)
}

/// Undoes the shuffle of one block of a multiple of 8 elements; both are of one length.
fn unshuffle(shuffled: &[u8], plain: &mut [u8], element_size: usize) {
    let group_bytes = element_size.saturating_mul(GROUP);
    let row = shuffled.len() / group_bytes.max(1);
    for (byte, rows) in shuffled.chunks_exact(row.saturating_mul(8).max(1)).enumerate() {
        for (group, elements) in plain.chunks_exact_mut(group_bytes).enumerate() {
            let mut bits = [0; 8];
            for (bit, row) in bits.iter_mut().zip(rows.chunks_exact(row.max(1))) {
                *bit = row.get(group).copied().unwrap_or(0);
            }
            let values = transposed(u64::from_le_bytes(bits)).to_le_bytes();
            for (element, value) in elements.chunks_exact_mut(element_size).zip(values) {
                if let Some(place) = element.get_mut(byte) {
                    *place = value;
                }
            }
        }
    }
}

/// The 8 by 8 bits of `rows` (row = byte, column = bit) with rows and columns swapped, in three
/// steps of swapping bits, pairs, and groups of four across the diagonal.
fn transposed(mut rows: u64) -> u64 {
    for (shift, mask) in [(7, 0x00aa_00aa_00aa_00aa_u64), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let swapped = (rows ^ (rows >> shift)) & mask;
        rows ^= swapped ^ (swapped << shift);
    }
    rows
}
