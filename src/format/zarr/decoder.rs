//! Chunk bytes to elements, through the codec library, without I/O and without trust in the bytes.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use zarrs::array::ArrayBytes;
use zarrs::array::codec::api::{ArrayToBytesCodecTraits, CodecOptions};

use super::codec::{Codecs, codecs};
use crate::error::{Error, Result};
use crate::model::chunk::{Elements, TextBuffer};
use crate::model::data_type::DataType;
use crate::model::swap;
use crate::model::tree::ArrayNode;

/// Largest decoded chunk, in bytes: elements of fixed size, or the texts of one chunk together.
pub const MAX_CHUNK_BYTES: u64 = 1 << 30;

/// The codec chain of one array.
#[derive(Debug)]
pub struct ZarrDecoder {
    path: String,
    codecs: Codecs,
    /// Of one chunk: of one inner chunk where those of a shard are read one by one.
    chunk_shape: Vec<NonZeroU64>,
    /// Of one chunk.
    element_count: u64,
    /// `None` for texts and bytes of variable length.
    item_size: Option<u64>,
    /// Whether elements must be UTF-8.
    is_text: bool,
    /// Whether elements must be 0 or 1.
    is_boolean: bool,
    partly_readable: bool,
}

impl ZarrDecoder {
    /// The decoder of `array`, which errors name as `path`.
    ///
    /// # Errors
    /// `Unimplemented` naming a type or codec that is not served, `ResourceExhausted` for chunks
    /// above [`MAX_CHUNK_BYTES`], `DataLoss` for metadata that contradicts itself.
    pub(super) fn new(path: &str, array: &ArrayNode) -> Result<Self> {
        let is_fixed = !matches!(array.data_type, DataType::String | DataType::Binary);
        let item_size = is_fixed.then_some(array.data_type.item_size() as u64);
        let count = array.chunk_shape.iter().try_fold(1_u64, |total, length| total.checked_mul(*length));
        let bytes = count.and_then(|count| count.checked_mul(item_size.unwrap_or(size_of::<u64>() as u64)));
        let element_count = match (count, bytes) {
            (Some(count), Some(bytes)) if bytes <= MAX_CHUNK_BYTES => count,
            _ => {
                return Err(Error::resource_exhausted(format!(
                    "array '{path}': a chunk of shape {:?} decodes to more than the limit (MAX_CHUNK_BYTES) of {MAX_CHUNK_BYTES} bytes",
                    array.chunk_shape
                )));
            }
        };
        let chunk_shape = array.chunk_shape.iter().map(|length| NonZeroU64::new(*length)).collect::<Option<_>>();
        Ok(Self {
            path: path.to_owned(),
            codecs: codecs(path, array)?,
            chunk_shape: chunk_shape
                .ok_or_else(|| Error::data_loss(format!("array '{path}' has a chunk length of 0")))?,
            element_count,
            item_size,
            is_text: array.data_type == DataType::String,
            is_boolean: array.data_type == DataType::Boolean,
            partly_readable: array.partly_readable,
        })
    }

    /// See [`crate::format::ChunkDecoder::decode`].
    ///
    /// # Errors
    /// As there; the message names the array.
    pub fn decode(&self, encoded: Option<Bytes>) -> Result<Elements> {
        match encoded {
            Some(encoded) => self.decode_shape(&encoded, &self.chunk_shape, self.element_count),
            None => self.fill(self.element_count),
        }
    }

    /// See [`crate::format::ChunkDecoder::decode_part`].
    ///
    /// # Errors
    /// As there; the message names the array.
    pub fn decode_part(&self, bytes: Bytes) -> Result<Elements> {
        let item_size = self.item_size.filter(|size| self.partly_readable && *size > 0);
        let Some(item_size) = item_size else {
            return Err(Error::internal(format!("chunks of array '{}' cannot be read in parts", self.path)));
        };
        let length = bytes.len() as u64;
        if !length.is_multiple_of(item_size) {
            return Err(self.corrupt(format!("{length} bytes are no whole number of {item_size}-byte elements")));
        }
        match NonZeroU64::new(length / item_size) {
            Some(count) => self.decode_shape(&bytes, &[count], count.get()),
            None => Ok(Elements::Fixed(Bytes::new())),
        }
    }

    /// See [`crate::format::ChunkDecoder::fill`]: a chunk, or a part of one, that was never written.
    ///
    /// # Errors
    /// As there; the message names the array.
    pub fn fill(&self, element_count: u64) -> Result<Elements> {
        let fill = self.codecs.fill_value.as_ne_bytes();
        let total = element_count.saturating_mul(fill.len() as u64);
        if total > MAX_CHUNK_BYTES {
            return Err(Error::resource_exhausted(format!(
                "array '{}': a chunk of fill values has {total} bytes, the limit (MAX_CHUNK_BYTES) is {MAX_CHUNK_BYTES}",
                self.path
            )));
        }
        let count = usize::try_from(element_count).map_err(|_| self.corrupt("too many elements"))?;
        if self.item_size.is_some() {
            return self.checked(Bytes::from(fill.repeat(count)), element_count);
        }
        let mut texts = TextBuffer::new();
        (0..count).for_each(|_| texts.push(fill));
        Ok(Elements::Text(texts))
    }

    fn decode_shape(&self, encoded: &Bytes, shape: &[NonZeroU64], count: u64) -> Result<Elements> {
        let Codecs { chain, data_type, fill_value, .. } = &self.codecs;
        // One thread: chunks are decoded side by side by the caller's pool.
        let options = CodecOptions::default().with_concurrent_target(1).with_validate_checksums(true);
        let decode = || chain.decode(Cow::Borrowed(encoded.as_ref()), shape, data_type, fill_value, &options);
        // The library indexes and unwraps by what the bytes say in places.
        let decoded = catch_unwind(AssertUnwindSafe(decode))
            .map_err(|_| self.corrupt("the codec met bytes it cannot handle"))?
            .map_err(|error| self.corrupt(error))?;
        match decoded {
            ArrayBytes::Fixed(Cow::Borrowed(same)) if std::ptr::eq(same, encoded.as_ref()) => {
                self.checked(encoded.clone(), count)
            }
            ArrayBytes::Fixed(bytes) => self.checked(Bytes::from(bytes.into_owned()), count),
            ArrayBytes::Variable(texts) => {
                let (bytes, offsets) = texts.into_parts();
                self.texts(bytes.into_owned(), &offsets, count)
            }
            ArrayBytes::Optional(_) => Err(self.corrupt("the codec gave optional elements")),
        }
    }

    /// Elements of fixed size, if there are `count` and they are of their type.
    fn checked(&self, bytes: Bytes, count: u64) -> Result<Elements> {
        let expected = self.item_size.and_then(|size| size.checked_mul(count));
        if expected != Some(bytes.len() as u64) {
            return Err(self.corrupt(format!("{} bytes were decoded, expected {expected:?}", bytes.len())));
        }
        if self.is_boolean && bytes.iter().any(|byte| *byte > 1) {
            return Err(self.corrupt("a boolean is neither 0 nor 1"));
        }
        if self.codecs.swaps.is_empty() {
            return Ok(Elements::Fixed(bytes));
        }
        let mut bytes = Vec::from(bytes);
        swap::reverse(&mut bytes, usize::try_from(self.item_size.unwrap_or(0)).unwrap_or(0), &self.codecs.swaps);
        Ok(Elements::Fixed(Bytes::from(bytes)))
    }

    /// Texts, if there are `count` and each is UTF-8, or bytes.
    fn texts(&self, bytes: Vec<u8>, offsets: &[usize], count: u64) -> Result<Elements> {
        if self.item_size.is_some() || offsets.len() as u64 != count.saturating_add(1) {
            return Err(self.corrupt(format!("{} offsets were decoded for {count} texts", offsets.len())));
        }
        let ordered = offsets.is_sorted() && offsets.first() == Some(&0) && offsets.last() == Some(&bytes.len());
        if !ordered {
            return Err(self.corrupt("a text lies outside the chunk"));
        }
        if self.is_text {
            let text = std::str::from_utf8(&bytes).map_err(|error| self.corrupt(error))?;
            if !offsets.iter().all(|offset| text.is_char_boundary(*offset)) {
                return Err(self.corrupt("a text is not UTF-8"));
            }
        }
        let offsets = offsets.iter().map(|offset| *offset as u64).collect();
        Ok(Elements::Text(TextBuffer { offsets, bytes }))
    }

    fn corrupt(&self, what: impl std::fmt::Display) -> Error {
        Error::data_loss(format!("array '{}': a chunk is corrupt: {what}", self.path))
    }
}
