//! Byte filters as pure functions: bytes in, bytes out, no I/O, no state.
//!
//! Formats decide which filter to undo and how many bytes must come out; a filter here only undoes
//! itself and never produces more than it was allowed to.

use crate::error::{Error, Result};

pub mod bitshuffle;
pub mod blosc2;
pub mod bzip2;
pub mod deflate;
pub mod fletcher32;
pub mod lz4;
pub mod lzf;
pub mod nbit;
pub mod shuffle;
pub mod zstd;

#[cfg(test)]
mod tests;

/// The error for encoded bytes that filter `name` cannot undo.
fn damaged(name: &str, what: impl std::fmt::Display) -> Error {
    Error::data_loss(format!("{name}: {what}"))
}

/// The first `LENGTH` bytes of `encoded`, which filter `name` must find, and the rest.
fn split<'a, const LENGTH: usize>(name: &str, encoded: &'a [u8]) -> Result<([u8; LENGTH], &'a [u8])> {
    match encoded.split_first_chunk::<LENGTH>() {
        Some((first, rest)) => Ok((*first, rest)),
        None => Err(damaged(name, format_args!("expected a header of {LENGTH} bytes, found {}", encoded.len()))),
    }
}

/// Zeroed bytes of `length`, without aborting when they cannot be had.
pub(crate) fn zeroed(length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| Error::resource_exhausted(format!("{length} bytes of memory for a chunk cannot be had")))?;
    bytes.resize(length, 0);
    Ok(bytes)
}
