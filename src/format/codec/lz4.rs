//! LZ4 as the HDF5 filter frames it: the size of all bytes (8, big-endian), the size of a block (4),
//! then per block its stored size (4) and its bytes, which are plain where both sizes are the same.

use lz4_flex::block;

use super::{damaged, split, zeroed};
use crate::error::Result;

const NAME: &str = "lz4";

/// The bytes before compression. More than `limit` bytes are refused.
///
/// # Errors
/// `DataLoss` when header or blocks are damaged, end early, or announce more than `limit` bytes.
pub fn decompress(encoded: &[u8], limit: usize) -> Result<Vec<u8>> {
    let (total, rest) = split::<8>(NAME, encoded)?;
    let (block, mut rest) = split::<4>(NAME, rest)?;
    let total = u64::from_be_bytes(total);
    let total = usize::try_from(total)
        .ok()
        .filter(|total| *total <= limit)
        .ok_or_else(|| damaged(NAME, format_args!("the header announces {total} bytes, expected at most {limit}")))?;
    let block = u32::from_be_bytes(block) as usize;
    if block == 0 && total > 0 {
        return Err(damaged(NAME, format_args!("the header announces blocks of 0 bytes for {total} bytes")));
    }
    let mut plain = zeroed(total)?;
    for place in plain.chunks_mut(block.max(1)) {
        let (stored, tail) = split::<4>(NAME, rest)?;
        let stored = u32::from_be_bytes(stored) as usize;
        let found = tail.len();
        let (bytes, tail) = tail
            .split_at_checked(stored)
            .ok_or_else(|| damaged(NAME, format_args!("a block of {stored} bytes is cut off, {found} are left")))?;
        if stored == place.len() {
            place.copy_from_slice(bytes);
        } else {
            decompress_block(bytes, place)?;
        }
        rest = tail;
    }
    Ok(plain)
}

/// Decompresses one block without a header to exactly `place`.
///
/// # Errors
/// `DataLoss` when it is damaged or holds another number of bytes.
pub(super) fn decompress_block(encoded: &[u8], place: &mut [u8]) -> Result<()> {
    let room = place.len();
    let length = block::decompress_into(encoded, place).map_err(|error| {
        damaged(NAME, format_args!("a block of {} bytes does not decompress to {room}: {error}", encoded.len()))
    })?;
    if length == room {
        Ok(())
    } else {
        Err(damaged(NAME, format_args!("a block holds {length} bytes, expected {room}")))
    }
}
