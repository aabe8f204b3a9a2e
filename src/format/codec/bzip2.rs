//! One bzip2 stream.

use std::io::Read;

use ::bzip2::bufread::BzDecoder;

use super::damaged;
use crate::error::{Error, Result};

/// The bytes before compression. `expected` is the size they should have; more than `limit` bytes
/// are refused.
///
/// # Errors
/// `DataLoss` when the stream is damaged or holds more than `limit` bytes.
pub fn decompress(encoded: &[u8], expected: usize, limit: usize) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    plain
        .try_reserve(expected.min(limit))
        .map_err(|_| Error::resource_exhausted(format!("{expected} bytes of memory for a chunk cannot be had")))?;
    // One byte more than allowed is enough to know.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    BzDecoder::new(encoded).take(most).read_to_end(&mut plain).map_err(|error| {
        damaged("bzip2", format_args!("{} bytes do not decompress to {expected}: {error}", encoded.len()))
    })?;
    if plain.len() > limit {
        return Err(damaged("bzip2", format_args!("the stream holds more than {limit} bytes")));
    }
    Ok(plain)
}
