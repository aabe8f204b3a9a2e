//! HDF5's own packing filters, undone by the crate `hdf5-reader`. What it would believe of the
//! parameters is checked before; what it does not expect of the bytes ends in an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hdf5_reader::filters;

use crate::error::{Error, Result};

/// Bytes of an element that scaleoffset packs.
const MAX_SCALED_SIZE: u32 = 8;
/// The value by which scaleoffset says that it scaled floats by a binary exponent.
const BINARY_EXPONENT: u32 = 1;
/// The value by which scaleoffset says that elements are floats.
const FLOATS: u32 = 1;

/// Undoes szip.
///
/// # Errors
/// `DataLoss` when parameters or bytes are damaged, or for more than `limit` bytes.
pub(crate) fn szip(encoded: &[u8], parameters: &[u32], limit: usize) -> Result<Vec<u8>> {
    guarded("szip", || filters::szip::decompress_with_limit(encoded, parameters, limit))
}

/// Whether scaleoffset with `parameters` scaled by decimal digits or not at all: libhdf5 reserves
/// another way that nothing writes.
pub(crate) fn scales_by_digits(parameters: &[u32]) -> bool {
    (parameters.first(), parameters.get(3)) != (Some(&BINARY_EXPONENT), Some(&FLOATS))
}

/// Undoes scaleoffset.
///
/// # Errors
/// `DataLoss` when parameters or bytes are damaged, or for more than `limit` bytes.
pub(crate) fn scaleoffset(encoded: &[u8], parameters: &[u32], limit: usize) -> Result<Vec<u8>> {
    let size = parameters.get(4).copied().unwrap_or(0);
    if !(1..=MAX_SCALED_SIZE).contains(&size) {
        return Err(Error::data_loss(format!(
            "scaleoffset: elements of {size} bytes, expected 1 to {MAX_SCALED_SIZE}"
        )));
    }
    guarded("scaleoffset", || filters::scaleoffset::decompress_with_limit(encoded, parameters, limit))
}

/// What `undo` gives; the crate indexes by what the bytes say in places.
fn guarded(name: &str, undo: impl FnOnce() -> hdf5_reader::error::Result<Vec<u8>>) -> Result<Vec<u8>> {
    match catch_unwind(AssertUnwindSafe(undo)) {
        Ok(Ok(plain)) => Ok(plain),
        Ok(Err(error)) => Err(Error::data_loss(format!("{name}: {error}")).with_source(error)),
        Err(_) => Err(Error::data_loss(format!("{name}: the decoder met bytes it cannot handle"))),
    }
}
