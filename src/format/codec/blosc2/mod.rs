//! Blosc2 as the HDF5 filter stores it: a contiguous frame, or a chunk without one.
//!
//! ```text
//! frame ▶ chunks ▶ blocks ▶ streams: codec, then filters backwards
//!   └─ metalayer "b2nd": the blocks are boxes of an array, and are put where they belong
//! ```
//!
//! Formats: `README_CHUNK_FORMAT.rst`, `README_CFRAME_FORMAT.rst` and `README_B2ND_METALAYER.rst` of
//! <https://github.com/Blosc/c-blosc2>. Sparse frames, dictionaries, lazy chunks, blocks of variable
//! length, and the codecs and filters of plugins are refused by name.

use super::{damaged, zeroed};
use crate::error::{Error, Result};

mod array;
mod block;
mod blosclz;
mod chunk;
mod codec;
mod filters;
mod frame;

use block::Workspace;
use chunk::Chunk;
use frame::Frame;

#[cfg(test)]
mod tests;

const NAME: &str = "blosc2";

/// The bytes before compression. `values` are what the HDF5 filter stores: from the eighth on the
/// rank and the shape of a chunk of an array. More than `limit` bytes are refused.
///
/// # Errors
/// `DataLoss` when frame, chunks or streams are damaged, end early, announce more than `limit` bytes,
/// or hold an array of another shape. `Unimplemented` for what is refused by name.
pub fn decompress(encoded: &[u8], values: &[u32], limit: usize) -> Result<Vec<u8>> {
    if !Frame::starts(encoded) {
        return one_chunk(&Chunk::read(encoded)?, limit);
    }
    let frame = Frame::read(encoded)?;
    match frame.array()? {
        Some(axes) => array::decompress(&frame, &axes, values, limit),
        None => one_after_another(&frame, limit),
    }
}

fn one_chunk(chunk: &Chunk<'_>, limit: usize) -> Result<Vec<u8>> {
    let mut plain = zeroed(within(chunk.plain_bytes, limit)?)?;
    chunk.decode(&mut plain, &mut Workspace::new())?;
    Ok(plain)
}

/// All chunks of `frame`, one behind the other.
fn one_after_another(frame: &Frame<'_>, limit: usize) -> Result<Vec<u8>> {
    let mut plain = zeroed(within(frame.plain_bytes, limit)?)?;
    let mut workspace = Workspace::new();
    let offsets = frame.offsets(&mut workspace, limit)?;
    for (place, offset) in plain.chunks_mut(frame.chunk_bytes.max(1)).zip(offsets) {
        let chunk = frame.chunk(offset, place.len())?;
        chunk.decode(place, &mut workspace)?;
    }
    Ok(plain)
}

/// `announced` when it is not over `limit`.
fn within(announced: usize, limit: usize) -> Result<usize> {
    if announced > limit {
        return Err(damaged(NAME, format_args!("{announced} bytes are announced, expected at most {limit}")));
    }
    Ok(announced)
}

/// The `LENGTH` bytes of `bytes` from `start` on.
fn field<const LENGTH: usize>(bytes: &[u8], start: usize) -> Result<[u8; LENGTH]> {
    bytes.get(start..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(|| {
        damaged(NAME, format_args!("expected {LENGTH} bytes at byte {start}, found {} bytes in all", bytes.len()))
    })
}

/// The error for what the format has and nobody reads here.
fn refused(what: impl std::fmt::Display) -> Error {
    Error::unimplemented(format!("{NAME}: {what}: not supported"))
}
