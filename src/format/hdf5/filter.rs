//! The filters of HDF5 by number: their names, and undoing those that are served.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::format::codec::{deflate, fletcher32, lzf, shuffle};

const DEFLATE: u16 = 1;
const SHUFFLE: u16 = 2;
const FLETCHER32: u16 = 3;
const LZF: u16 = 32000;

/// Bytes that a compressed stream inside another compressed stream may be larger than its chunk.
const NESTED_GROWTH: usize = 64 * 1024;

/// One filter of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// Its registered number.
    pub(crate) id: u16,
    /// Its name: the usual one of a known filter, otherwise what the file says.
    pub(crate) name: String,
    /// Its parameters.
    pub(crate) parameters: Vec<u32>,
}

/// The usual name of filter `id`.
pub(crate) fn known_name(id: u16) -> Option<&'static str> {
    Some(match id {
        DEFLATE => "deflate",
        SHUFFLE => "shuffle",
        FLETCHER32 => "fletcher32",
        4 => "szip",
        5 => "nbit",
        6 => "scaleoffset",
        307 => "bzip2",
        LZF => "lzf",
        32001 => "blosc",
        32004 => "lz4",
        32008 => "bitshuffle",
        32013 => "zfp",
        32015 => "zstd",
        32024 => "sz3",
        32026 => "blosc2",
        _ => return None,
    })
}

impl Filter {
    /// Whether it can be undone here.
    pub(crate) fn is_served(&self) -> bool {
        matches!(self.id, DEFLATE | SHUFFLE | FLETCHER32 | LZF)
    }

    fn undo<'a>(&self, encoded: Cow<'a, [u8]>, expected: usize, limit: usize) -> Result<Cow<'a, [u8]>> {
        Ok(match self.id {
            DEFLATE => Cow::Owned(deflate::decompress(&encoded, expected, limit)?),
            LZF => Cow::Owned(lzf::decompress(&encoded, expected, limit)?),
            SHUFFLE => {
                let size = self.parameters.first().copied().unwrap_or(0) as usize;
                Cow::Owned(shuffle::unshuffle(&encoded, size)?)
            }
            FLETCHER32 => match encoded {
                Cow::Borrowed(bytes) => Cow::Borrowed(fletcher32::verify(bytes)?),
                Cow::Owned(mut bytes) => {
                    let length = fletcher32::verify(&bytes)?.len();
                    bytes.truncate(length);
                    Cow::Owned(bytes)
                }
            },
            id => return Err(Error::unimplemented(format!("filter {} (id {id}) is not supported", self.name))),
        })
    }
}

/// Undoes `filters` (in the order in which they were applied) on one chunk of `plain_bytes`, except
/// those whose bit is set in `mask`.
///
/// # Errors
/// `DataLoss` when a filter fails or the result is not `plain_bytes` long.
pub(crate) fn undo_all<'a>(
    filters: &[Filter],
    mask: u32,
    encoded: &'a [u8],
    plain_bytes: usize,
) -> Result<Cow<'a, [u8]>> {
    let applied: Vec<&Filter> = filters
        .iter()
        .enumerate()
        .filter(|(index, _)| *index >= 32 || mask & (1 << index) == 0)
        .map(|(_, filter)| filter)
        .collect();
    let mut bytes = Cow::Borrowed(encoded);
    for (index, filter) in applied.iter().enumerate().rev() {
        let before = applied.get(..index).unwrap_or_default();
        let checksums = before.iter().filter(|filter| filter.id == FLETCHER32).count() * fletcher32::CHECKSUM_SIZE;
        let expected = plain_bytes.saturating_add(checksums);
        let nested = before.iter().any(|filter| matches!(filter.id, DEFLATE | LZF));
        let limit = if nested { expected.saturating_add(NESTED_GROWTH) } else { expected };
        bytes = filter.undo(bytes, expected, limit)?;
    }
    if bytes.len() == plain_bytes {
        Ok(bytes)
    } else {
        Err(Error::data_loss(format!("decoded to {} bytes, expected {plain_bytes}", bytes.len())))
    }
}
