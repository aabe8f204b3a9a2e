//! A step as a codec of the codec library's chains. It only decodes.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use zarrs::array::codec::api::{
    BytesToBytesCodecTraits, CodecError, CodecMetadataOptions, CodecOptions, CodecTraits, PartialDecoderCapability,
    PartialEncoderCapability, RecommendedConcurrency,
};
use zarrs::array::{ArrayBytesRaw, BytesRepresentation};
use zarrs::metadata::Configuration;
use zarrs::plugin::{ExtensionName, ZarrVersion};

use super::decoder::MAX_CHUNK_BYTES;
use super::step::Step;

/// A codec with a bound on its result.
#[derive(Debug)]
pub(super) struct Bounded(pub(super) Step);

/// The largest result that fits the array.
fn limit(decoded: &BytesRepresentation) -> u64 {
    match decoded {
        BytesRepresentation::FixedSize(size) | BytesRepresentation::BoundedSize(size) => *size,
        BytesRepresentation::UnboundedSize => MAX_CHUNK_BYTES,
    }
}

/// What `size` bytes can become when they are compressed: writers store somewhat more than the plain bytes
/// when these cannot be made smaller.
fn compressed(size: u64) -> u64 {
    size.saturating_mul(2).saturating_add(1 << 16)
}

impl ExtensionName for Bounded {
    fn name(&self, _: ZarrVersion) -> Option<Cow<'static, str>> {
        None
    }
}

impl CodecTraits for Bounded {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn configuration(&self, _: ZarrVersion, _: &CodecMetadataOptions) -> Option<Configuration> {
        None
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
        match (decoded, self.0.stored_bytes(limit(decoded))) {
            (BytesRepresentation::UnboundedSize, _) => BytesRepresentation::UnboundedSize,
            (BytesRepresentation::FixedSize(_), Some(stored)) => BytesRepresentation::FixedSize(stored),
            (BytesRepresentation::BoundedSize(_), Some(stored)) => BytesRepresentation::BoundedSize(stored),
            (_, None) => BytesRepresentation::BoundedSize(compressed(limit(decoded))),
        }
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
        let is_exact = matches!(decoded, BytesRepresentation::FixedSize(_));
        let plain = self.0.decode(&encoded, limit(decoded), is_exact);
        plain.map(Cow::Owned).map_err(|error| CodecError::Other(error.to_string()))
    }
}
