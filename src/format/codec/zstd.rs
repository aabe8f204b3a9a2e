//! Zstandard frames.

use super::{damaged, zeroed};
use crate::error::Result;

/// The bytes before compression. More than `limit` bytes are refused.
///
/// # Errors
/// `DataLoss` when the frames are damaged or hold more than `limit` bytes.
pub fn decompress(encoded: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut plain = zeroed(limit)?;
    let length = decompress_into(encoded, &mut plain)?;
    plain.truncate(length);
    Ok(plain)
}

/// Decompresses into `place`; gives how many bytes of it were filled.
///
/// # Errors
/// `DataLoss` when the frames are damaged or hold more than `place`.
pub(super) fn decompress_into(encoded: &[u8], place: &mut [u8]) -> Result<usize> {
    let room = place.len();
    ::zstd::bulk::decompress_to_buffer(encoded, place).map_err(|error| {
        damaged("zstd", format_args!("{} bytes do not decompress to at most {room}: {error}", encoded.len()))
    })
}
