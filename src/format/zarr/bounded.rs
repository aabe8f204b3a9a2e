//! Codecs that stand in for the library's: decompressors that stop at the size a chunk can have.
//!
//! The library's own decompressors grow with what the bytes say, so that a few damaged or hostile
//! bytes could take all memory. These read at most what the chunk can decode to. They only decode.
//! The fletcher32 of [`crate::format::codec`] stands in too: the library's leaves out the last byte of
//! an odd number of bytes and so takes whole chunks for corrupt.

use std::any::Any;
use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use zarrs::array::codec::api::{
    BytesToBytesCodecTraits, CodecError, CodecMetadataOptions, CodecOptions, CodecTraits, PartialDecoderCapability,
    PartialEncoderCapability, RecommendedConcurrency,
};
use zarrs::array::codec::{BloscCodec, Bz2Codec, Fletcher32Codec, GzipCodec, ZlibCodec, ZstdCodec};
use zarrs::array::{ArrayBytesRaw, BytesRepresentation};
use zarrs::metadata::Configuration;
use zarrs::plugin::{ExtensionName, ZarrVersion};

use super::blosc;
use super::decoder::MAX_CHUNK_BYTES;
use crate::format::codec::fletcher32;

/// Bytes that are set aside before the first byte is decoded, at most; larger results grow.
const MAX_RESERVED_BYTES: u64 = 16 << 20;

/// `codec`, or what stands in for it: bounded if its result can be larger than its input.
pub(super) fn bounded(codec: &Arc<dyn BytesToBytesCodecTraits>) -> Arc<dyn BytesToBytesCodecTraits> {
    let any = codec.as_any();
    let kind = if any.is::<ZstdCodec>() {
        Kind::Zstd
    } else if any.is::<GzipCodec>() {
        Kind::Gzip
    } else if any.is::<ZlibCodec>() {
        Kind::Zlib
    } else if any.is::<Bz2Codec>() {
        Kind::Bz2
    } else if any.is::<BloscCodec>() {
        Kind::Blosc
    } else if any.is::<Fletcher32Codec>() {
        Kind::Fletcher32
    } else {
        return Arc::clone(codec);
    };
    Arc::new(Bounded { kind, inner: Arc::clone(codec) })
}

/// Which codec.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Zstd,
    Gzip,
    Zlib,
    Bz2,
    Blosc,
    Fletcher32,
}

/// A codec of the library with a bound on its result.
#[derive(Debug)]
struct Bounded {
    kind: Kind,
    inner: Arc<dyn BytesToBytesCodecTraits>,
}

impl Bounded {
    fn read(&self, encoded: &[u8], limit: u64) -> Result<Vec<u8>, CodecError> {
        match self.kind {
            Kind::Zstd => read_up_to(zstd::stream::read::Decoder::with_buffer(encoded)?, limit),
            Kind::Gzip => read_up_to(flate2::bufread::MultiGzDecoder::new(encoded), limit),
            Kind::Zlib => read_up_to(flate2::bufread::ZlibDecoder::new(encoded), limit),
            Kind::Bz2 => read_up_to(bzip2::bufread::MultiBzDecoder::new(encoded), limit),
            Kind::Fletcher32 => {
                fletcher32::verify(encoded).map(<[u8]>::to_vec).map_err(|_| CodecError::InvalidChecksum)
            }
            Kind::Blosc => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                blosc::decompress(encoded, limit).map_err(|error| CodecError::Other(error.to_string()))
            }
        }
    }
}

/// All bytes of `decoder`, of which there may be `limit`.
fn read_up_to(decoder: impl Read, limit: u64) -> Result<Vec<u8>, CodecError> {
    let reserved = usize::try_from(limit.min(MAX_RESERVED_BYTES)).unwrap_or(0);
    let mut decoded = Vec::with_capacity(reserved);
    decoder.take(limit.saturating_add(1)).read_to_end(&mut decoded)?;
    if decoded.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(decoded)
}

fn too_large(limit: u64) -> CodecError {
    CodecError::Other(format!("bytes decode to more than the {limit} that a chunk can have"))
}

/// The largest result that fits the array. A bound that the library estimates for a codec inside
/// another is doubled: writers may store more than the estimate.
fn limit(decoded: &BytesRepresentation) -> u64 {
    match decoded {
        BytesRepresentation::FixedSize(size) => *size,
        BytesRepresentation::BoundedSize(size) => size.saturating_mul(2).saturating_add(1 << 16),
        BytesRepresentation::UnboundedSize => MAX_CHUNK_BYTES,
    }
}

impl ExtensionName for Bounded {
    fn name(&self, version: ZarrVersion) -> Option<Cow<'static, str>> {
        self.inner.name(version)
    }
}

impl CodecTraits for Bounded {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn configuration(&self, version: ZarrVersion, options: &CodecMetadataOptions) -> Option<Configuration> {
        self.inner.configuration(version, options)
    }

    fn partial_decoder_capability(&self) -> PartialDecoderCapability {
        PartialDecoderCapability { partial_read: false, partial_decode: false }
    }

    fn partial_encoder_capability(&self) -> PartialEncoderCapability {
        PartialEncoderCapability { partial_encode: false }
    }
}

impl BytesToBytesCodecTraits for Bounded {
    fn into_dyn(self: Arc<Self>) -> Arc<dyn BytesToBytesCodecTraits> {
        self
    }

    fn recommended_concurrency(&self, _decoded: &BytesRepresentation) -> Result<RecommendedConcurrency, CodecError> {
        Ok(RecommendedConcurrency::new_maximum(1))
    }

    fn encoded_representation(&self, decoded: &BytesRepresentation) -> BytesRepresentation {
        self.inner.encoded_representation(decoded)
    }

    fn encode<'a>(&self, _: ArrayBytesRaw<'a>, _: &CodecOptions) -> Result<ArrayBytesRaw<'a>, CodecError> {
        Err(CodecError::Other("bounded codecs only decode".into()))
    }

    fn decode<'a>(
        &self,
        encoded: ArrayBytesRaw<'a>,
        decoded: &BytesRepresentation,
        _: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        self.read(&encoded, limit(decoded)).map(Cow::Owned)
    }
}
