//! One codec between the bytes of a chunk and the bytes of its elements, undone within a bound.
//!
//! The codec library's own decompressors grow with what the bytes say, so that a few damaged or hostile
//! bytes could take all memory; these stop at what a chunk can decode to. Filters of numcodecs that are
//! codecs of arrays in the library's eyes (`delta` and the like) are steps on bytes here.

use std::io::Read;

use serde_json::{Map, Value};

use super::blosc;
use super::filter::Filter;
use crate::error::{Error, Result};
use crate::format::codec::{fletcher32, shuffle, zeroed};

/// Bytes that are set aside before the first byte is decoded, at most; larger results grow.
const MAX_RESERVED_BYTES: u64 = 16 << 20;
/// Memory that an LZMA decoder may take beside its result: what its largest preset needs, and more.
pub const MAX_LZMA_BYTES: u64 = 128 << 20;

/// A codec with its configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Zstd,
    Gzip,
    Zlib,
    Bz2,
    Blosc,
    Lz4,
    Lzma,
    Pcodec,
    Fletcher32,
    Shuffle { element_size: usize },
    Checksum { sum: Sum, at_end: bool },
    Filter(Filter),
}

/// A checksum of 4 bytes, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    Crc32,
    Crc32c,
    Adler32,
}

impl Step {
    /// The codec `id` of numcodecs; `default` is the type of the elements as a numpy type string.
    /// `None` when it is none of these.
    ///
    /// # Errors
    /// `Unimplemented` for an option that is not served, `DataLoss` for a configuration that lacks a field.
    pub(super) fn of(id: &str, configuration: &Map<String, Value>, default: &str) -> Result<Option<Self>> {
        let sum = |sum: Sum, at_end: bool| match configuration.get("location").and_then(Value::as_str) {
            None => Ok(Self::Checksum { sum, at_end }),
            Some("start") => Ok(Self::Checksum { sum, at_end: false }),
            Some("end") => Ok(Self::Checksum { sum, at_end: true }),
            Some(other) => Err(Error::data_loss(format!("codec '{id}' has its checksum at '{other}'"))),
        };
        Ok(Some(match id {
            "zstd" => Self::Zstd,
            "gzip" => Self::Gzip,
            "zlib" => Self::Zlib,
            "bz2" => Self::Bz2,
            "blosc" => Self::Blosc,
            "lz4" => Self::Lz4,
            "pcodec" => Self::Pcodec,
            "fletcher32" => Self::Fletcher32,
            "crc32" => sum(Sum::Crc32, false)?,
            "adler32" => sum(Sum::Adler32, false)?,
            "crc32c" => sum(Sum::Crc32c, true)?,
            "lzma" => match configuration.get("format").map_or(Some(1), Value::as_u64) {
                Some(1 | 2) => Self::Lzma,
                _ => return Err(Error::unimplemented("codec 'lzma' without a container (format 3) is not supported")),
            },
            "shuffle" => {
                let size = configuration.get("elementsize").filter(|size| !size.is_null());
                let size = size.map_or(Some(4), |size| usize::try_from(size.as_u64()?).ok());
                let element_size = size.ok_or_else(|| Error::data_loss("codec 'shuffle' has no elementsize"))?;
                Self::Shuffle { element_size }
            }
            _ => return Ok(Filter::of(id, configuration, default)?.map(Self::Filter)),
        }))
    }

    /// The bytes before encoding, of which there may be `limit`. `is_exact` says that there must be as many.
    ///
    /// # Errors
    /// `DataLoss` when `encoded` is damaged or decodes to more.
    pub(super) fn decode(&self, encoded: &[u8], limit: u64, is_exact: bool) -> Result<Vec<u8>> {
        match self {
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(encoded);
                read_up_to(decoder.map_err(damaged)?, limit)
            }
            Self::Gzip => read_up_to(flate2::bufread::MultiGzDecoder::new(encoded), limit),
            Self::Zlib => read_up_to(flate2::bufread::ZlibDecoder::new(encoded), limit),
            Self::Bz2 => read_up_to(bzip2::bufread::MultiBzDecoder::new(encoded), limit),
            Self::Lzma => lzma(encoded, limit),
            Self::Lz4 => lz4(encoded, limit),
            Self::Pcodec if is_exact => pcodec(encoded, limit),
            Self::Pcodec => Err(Error::unimplemented("codec 'pcodec' behind a codec of unknown size is not supported")),
            Self::Blosc => blosc::decompress(encoded, usize::try_from(limit).unwrap_or(usize::MAX)),
            Self::Fletcher32 => fletcher32::verify(encoded).map(<[u8]>::to_vec),
            Self::Shuffle { element_size } => shuffle::unshuffle(encoded, *element_size),
            Self::Checksum { sum, at_end } => sum.verify(encoded, *at_end).map(<[u8]>::to_vec),
            Self::Filter(filter) => filter.decode(encoded, limit),
        }
    }

    /// Bytes that `length` plain bytes are stored in, where that is sure.
    pub(super) fn stored_bytes(&self, length: u64) -> Option<u64> {
        match self {
            Self::Filter(filter) => Some(filter.stored_bytes(length)),
            Self::Shuffle { .. } => Some(length),
            Self::Fletcher32 | Self::Checksum { .. } => length.checked_add(4),
            _ => None,
        }
    }
}

impl Sum {
    /// The bytes that the checksum is of, if it is right.
    fn verify(self, encoded: &[u8], at_end: bool) -> Result<&[u8]> {
        let split = if at_end {
            encoded.split_last_chunk::<4>()
        } else {
            encoded.split_first_chunk::<4>().map(|(sum, bytes)| (bytes, sum))
        };
        let (bytes, stored) = split.ok_or_else(|| Error::data_loss("the checksum is cut off"))?;
        let found = match self {
            Self::Crc32 => libdeflater::crc32(bytes),
            Self::Crc32c => crc32c::crc32c(bytes),
            Self::Adler32 => libdeflater::adler32(bytes),
        };
        let stored = u32::from_le_bytes(*stored);
        if found == stored {
            return Ok(bytes);
        }
        Err(Error::data_loss(format!("the checksum is {found:08x}, expected {stored:08x}")))
    }
}

/// All bytes of `decoder`, of which there may be `limit`.
fn read_up_to(decoder: impl Read, limit: u64) -> Result<Vec<u8>> {
    let reserved = usize::try_from(limit.min(MAX_RESERVED_BYTES)).unwrap_or(0);
    let mut decoded = Vec::with_capacity(reserved);
    decoder.take(limit.saturating_add(1)).read_to_end(&mut decoded).map_err(damaged)?;
    if decoded.len() as u64 > limit {
        return Err(Error::data_loss(format!("bytes decode to more than the {limit} that a chunk can have")));
    }
    Ok(decoded)
}

fn lzma(encoded: &[u8], limit: u64) -> Result<Vec<u8>> {
    let stream = liblzma::stream::Stream::new_auto_decoder(MAX_LZMA_BYTES, 0).map_err(damaged)?;
    read_up_to(liblzma::bufread::XzDecoder::new_stream(encoded, stream), limit)
}

/// numcodecs' LZ4: the size (4 bytes, little-endian), then one block.
fn lz4(encoded: &[u8], limit: u64) -> Result<Vec<u8>> {
    let (size, block) = encoded.split_first_chunk::<4>().ok_or_else(|| Error::data_loss("lz4: the size is cut off"))?;
    let size = u32::from_le_bytes(*size);
    if u64::from(size) > limit {
        return Err(Error::data_loss(format!("lz4: the header announces {size} bytes, expected at most {limit}")));
    }
    let mut decoded = zeroed(size as usize)?;
    let found = lz4_flex::block::decompress_into(block, &mut decoded).map_err(damaged)?;
    if found == decoded.len() {
        return Ok(decoded);
    }
    Err(Error::data_loss(format!("lz4: decompressed to {found} bytes, the header announces {size}")))
}

/// A standalone file of pcodec, whose numbers have `expected` bytes together. Of what its headers announce
/// only a dictionary is set aside before its bytes are there, of at most 2^25 numbers, and not touched.
fn pcodec(encoded: &[u8], expected: u64) -> Result<Vec<u8>> {
    use pco::data_types::NumberType;
    let (file, rest) = pco::standalone::FileDecompressor::new(encoded).map_err(damaged)?;
    let kind = file.peek_number_type_or_termination(rest).map_err(damaged)?;
    macro_rules! numbers {
        ($kind:ty) => {{
            let mut numbers = vec![<$kind>::default(); count::<$kind>(expected)?];
            let found = pco::standalone::simple_decompress_into(encoded, &mut numbers).map_err(damaged)?;
            if !found.finished || found.n_processed != numbers.len() {
                let (read, count) = (found.n_processed, numbers.len());
                return Err(Error::data_loss(format!("pcodec: {read} numbers were decoded, expected exactly {count}")));
            }
            Ok(numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
        }};
    }
    match kind {
        Some(NumberType::U8) => numbers!(u8),
        Some(NumberType::U16) => numbers!(u16),
        Some(NumberType::U32) => numbers!(u32),
        Some(NumberType::U64) => numbers!(u64),
        Some(NumberType::I8) => numbers!(i8),
        Some(NumberType::I16) => numbers!(i16),
        Some(NumberType::I32) => numbers!(i32),
        Some(NumberType::I64) => numbers!(i64),
        Some(NumberType::F16) => numbers!(half::f16),
        Some(NumberType::F32) => numbers!(f32),
        Some(NumberType::F64) => numbers!(f64),
        None => Err(Error::data_loss("pcodec: there are no numbers")),
        Some(other) => Err(Error::unimplemented(format!("pcodec: numbers of type {other:?} are not supported"))),
    }
}

/// How many numbers have `bytes` bytes together.
fn count<T>(bytes: u64) -> Result<usize> {
    let size = size_of::<T>() as u64;
    let count = bytes.is_multiple_of(size).then_some(bytes / size).and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| Error::data_loss(format!("pcodec: numbers of {size} bytes cannot fill {bytes}")))
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::data_loss(error.to_string())
}
