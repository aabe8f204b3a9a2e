//! The filters of HDF5 by number: their names, and undoing those that are served.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::parser;
use crate::error::{Error, Result};
use crate::format::codec::{bitshuffle, blosc2, bzip2, deflate, fletcher32, lz4, lzf, nbit, shuffle, zstd};
use crate::format::zarr;

const DEFLATE: u16 = 1;
const SHUFFLE: u16 = 2;
const FLETCHER32: u16 = 3;
const SZIP: u16 = 4;
const NBIT: u16 = 5;
const SCALEOFFSET: u16 = 6;
const BZIP2: u16 = 307;
const LZF: u16 = 32000;
const BLOSC: u16 = 32001;
const LZ4: u16 = 32004;
const BITSHUFFLE: u16 = 32008;
const ZSTD: u16 = 32015;
const BLOSC2: u16 = 32026;

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
        SZIP => "szip",
        NBIT => "nbit",
        SCALEOFFSET => "scaleoffset",
        BZIP2 => "bzip2",
        LZF => "lzf",
        BLOSC => "blosc",
        LZ4 => "lz4",
        BITSHUFFLE => "bitshuffle",
        32013 => "zfp",
        ZSTD => "zstd",
        32024 => "sz3",
        BLOSC2 => "blosc2",
        _ => return None,
    })
}

impl Filter {
    /// Whether it can be undone here.
    pub(crate) fn is_served(&self) -> bool {
        match self.id {
            DEFLATE | SHUFFLE | FLETCHER32 | SZIP | BZIP2 | LZF | BLOSC | LZ4 | ZSTD | BLOSC2 => true,
            NBIT => self.packs_nothing() || nbit::is_known(&self.parameters),
            SCALEOFFSET => parser::scales_by_digits(&self.parameters),
            BITSHUFFLE => bitshuffle::Parameters::of(&self.parameters).is_some(),
            _ => false,
        }
    }

    /// Whether nbit found only whole bytes, and so passes them on.
    fn packs_nothing(&self) -> bool {
        self.parameters.get(1).is_some_and(|whole| *whole != 0)
    }

    /// Whether the size of its output depends on the bytes, so that it may have grown.
    fn is_compressor(&self) -> bool {
        match self.id {
            BITSHUFFLE => bitshuffle::Parameters::of(&self.parameters).is_some_and(|found| found.is_compressed()),
            id => !matches!(id, SHUFFLE | FLETCHER32 | NBIT),
        }
    }

    fn undo<'a>(&self, encoded: Cow<'a, [u8]>, expected: usize, limit: usize) -> Result<Cow<'a, [u8]>> {
        Ok(match self.id {
            DEFLATE => Cow::Owned(deflate::decompress(&encoded, expected, limit)?),
            LZF => Cow::Owned(lzf::decompress(&encoded, expected, limit)?),
            BZIP2 => Cow::Owned(bzip2::decompress(&encoded, expected, limit)?),
            BLOSC => Cow::Owned(zarr::blosc::decompress(&encoded, limit)?),
            LZ4 => Cow::Owned(lz4::decompress(&encoded, limit)?),
            ZSTD => Cow::Owned(zstd::decompress(&encoded, limit)?),
            BLOSC2 => Cow::Owned(blosc2::decompress(&encoded, &self.parameters, limit)?),
            BITSHUFFLE => {
                let parameters = bitshuffle::Parameters::of(&self.parameters).ok_or_else(|| self.refused())?;
                Cow::Owned(bitshuffle::decompress(&encoded, parameters, limit)?)
            }
            SZIP => Cow::Owned(parser::szip(&encoded, &self.parameters, limit)?),
            NBIT if self.packs_nothing() => encoded,
            NBIT => Cow::Owned(nbit::decompress(&encoded, &self.parameters, limit)?),
            SCALEOFFSET => Cow::Owned(parser::scaleoffset(&encoded, &self.parameters, limit)?),
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
            _ => return Err(self.refused()),
        })
    }

    fn refused(&self) -> Error {
        Error::unimplemented(format!("filter {} (id {}) is not supported", self.name, self.id))
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
        let nested = before.iter().any(|filter| filter.is_compressor());
        let limit = if nested { expected.saturating_add(NESTED_GROWTH) } else { expected };
        bytes = filter.undo(bytes, expected, limit)?;
    }
    if bytes.len() == plain_bytes {
        Ok(bytes)
    } else {
        Err(Error::data_loss(format!("decoded to {} bytes, expected {plain_bytes}", bytes.len())))
    }
}

/// [`undo_all`] of filters given by number and parameters.
///
/// # Errors
/// As there.
#[cfg(fuzzing)]
pub fn undo_filters(filters: &[(u16, Vec<u32>)], mask: u32, encoded: &[u8], plain_bytes: usize) -> Result<Vec<u8>> {
    let filter = |(id, parameters): &(u16, Vec<u32>)| {
        let name = known_name(*id).unwrap_or("unknown").to_owned();
        Filter { id: *id, name, parameters: parameters.clone() }
    };
    let filters: Vec<_> = filters.iter().map(filter).collect();
    undo_all(&filters, mask, encoded, plain_bytes).map(Cow::into_owned)
}
