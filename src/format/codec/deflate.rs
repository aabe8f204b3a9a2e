//! Deflate in the zlib wrapping (RFC 1950), the gzip filter of HDF5.

use libdeflater::{CompressionLvl, Compressor, DecompressionError, Decompressor};

use super::{damaged, zeroed};
use crate::error::{Error, Result};

/// The bytes before compression. `expected` is the size they should have; more than `limit` bytes
/// are refused.
///
/// # Errors
/// `DataLoss` when the stream is damaged or holds more than `limit` bytes.
pub fn decompress(encoded: &[u8], expected: usize, limit: usize) -> Result<Vec<u8>> {
    let mut decompressor = Decompressor::new();
    let mut room = expected.min(limit);
    loop {
        let mut decoded = zeroed(room)?;
        match decompressor.zlib_decompress(encoded, &mut decoded) {
            Ok(length) => {
                decoded.truncate(length);
                return Ok(decoded);
            }
            Err(DecompressionError::BadData) => {
                return Err(damaged("deflate", format_args!("{} bytes do not decompress", encoded.len())));
            }
            Err(DecompressionError::InsufficientSpace) if room < limit => {
                room = room.saturating_mul(2).clamp(64, limit);
            }
            Err(DecompressionError::InsufficientSpace) => {
                return Err(damaged("deflate", format_args!("the stream holds more than {limit} bytes")));
            }
        }
    }
}

/// `plain` compressed at the default level.
///
/// # Errors
/// `Internal` when the compressor refuses its own bound.
pub fn compress(plain: &[u8]) -> Result<Vec<u8>> {
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut encoded = zeroed(compressor.zlib_compress_bound(plain.len()))?;
    let length = compressor
        .zlib_compress(plain, &mut encoded)
        .map_err(|error| Error::internal(format!("deflate: {} bytes do not compress: {error}", plain.len())))?;
    encoded.truncate(length);
    Ok(encoded)
}
