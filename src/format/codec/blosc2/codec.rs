//! The codecs of streams, by the number in the flags of a chunk.

use libdeflater::Decompressor as Deflate;
use zstd::bulk::Decompressor as Zstandard;

use super::super::{damaged, lz4};
use super::{NAME, blosclz, refused};
use crate::error::{Error, Result};

/// What a stream was compressed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    BloscLz,
    /// LZ4 blocks without a header, of the fast or the thorough encoder.
    Lz4,
    /// Deflate in the zlib wrapping.
    Zlib,
    Zstd,
}

impl Codec {
    /// Of the number in the flags, and of the one of a plugin.
    ///
    /// # Errors
    /// `Unimplemented` for any but the codecs of blosc2 itself.
    pub(super) fn of(number: u8, plugin: u8) -> Result<Self> {
        let name = match (number, plugin) {
            (0, _) => return Ok(Self::BloscLz),
            (1, _) => return Ok(Self::Lz4),
            (3, _) => return Ok(Self::Zlib),
            (4, _) => return Ok(Self::Zstd),
            (2, _) => "snappy",
            (6, 32) => "ndlz",
            (6, 33) => "zfp with fixed accuracy",
            (6, 34) => "zfp with fixed precision",
            (6, 35) => "zfp with fixed rate",
            (6, 36) => "openhtj2k",
            (6, 37) => "grok",
            (6, 38) => "openzl",
            (6, _) => return Err(refused(format_args!("codec {plugin} of a plugin"))),
            _ => return Err(refused(format_args!("codec {number}"))),
        };
        Err(refused(format_args!("codec {name}")))
    }
}

/// The states of decoders, made when first needed and used again for the next stream.
#[derive(Default)]
pub(super) struct Decoders {
    deflate: Option<Deflate>,
    zstandard: Option<Zstandard<'static>>,
}

impl Decoders {
    /// Fills `place` with what `encoded` holds.
    ///
    /// # Errors
    /// `DataLoss` when it is damaged or holds another number of bytes.
    pub(super) fn decode(&mut self, codec: Codec, encoded: &[u8], place: &mut [u8]) -> Result<()> {
        let room = place.len();
        let length = match codec {
            Codec::BloscLz => return blosclz::decompress(encoded, place),
            Codec::Lz4 => return lz4::decompress_block(encoded, place),
            Codec::Zlib => self
                .deflate
                .get_or_insert_with(Deflate::new)
                .zlib_decompress(encoded, place)
                .map_err(|error| undecoded("zlib", encoded, room, error))?,
            Codec::Zstd => self
                .zstandard()?
                .decompress_to_buffer(encoded, place)
                .map_err(|error| undecoded("zstd", encoded, room, error))?,
        };
        if length == room {
            Ok(())
        } else {
            Err(damaged(NAME, format_args!("a stream holds {length} bytes, expected {room}")))
        }
    }

    fn zstandard(&mut self) -> Result<&mut Zstandard<'static>> {
        match &mut self.zstandard {
            Some(decoder) => Ok(decoder),
            none => {
                let decoder = Zstandard::new().map_err(|error| Error::internal(format!("{NAME}: zstd: {error}")))?;
                Ok(none.insert(decoder))
            }
        }
    }
}

fn undecoded(codec: &str, encoded: &[u8], room: usize, error: impl std::fmt::Display) -> Error {
    damaged(NAME, format_args!("{codec}: {} bytes do not decompress to {room}: {error}", encoded.len()))
}
