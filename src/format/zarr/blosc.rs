//! Blosc 1 through the codec library of zarr, for other formats: HDF5 has the same buffers.

use zarrs::array::codec::{blosc_decompress_bytes, blosc_validate};

use crate::error::{Error, Result};

/// The bytes before compression. More than `limit` bytes are refused.
///
/// # Errors
/// `DataLoss` when the buffer is damaged or announces more than `limit` bytes.
pub(crate) fn decompress(encoded: &[u8], limit: usize) -> Result<Vec<u8>> {
    // The library's check of the header: its sizes fit each other and the length of the buffer.
    let announced = blosc_validate(encoded).ok_or_else(|| {
        Error::data_loss(format!("blosc: the header does not describe a buffer of {} bytes", encoded.len()))
    })?;
    if announced > limit {
        return Err(Error::data_loss(format!(
            "blosc: the header announces {announced} bytes, expected at most {limit}"
        )));
    }
    let plain = blosc_decompress_bytes(encoded, announced, 1).map_err(|error| {
        Error::data_loss(format!("blosc: {} bytes do not decompress to {announced}: {error}", encoded.len()))
    })?;
    // The library may give fewer bytes, and then not say where they are missing.
    if plain.len() == announced {
        Ok(plain)
    } else {
        Err(Error::data_loss(format!("blosc: decompressed to {} bytes, the header announces {announced}", plain.len())))
    }
}
