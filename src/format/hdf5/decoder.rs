//! Undoes what was done to the chunks of one dataset: filters, byte order, short heap references.

use bytes::Bytes;

use super::dataset::{DatasetStorage, Layout};
use super::filter::{Filter, undo_all};
use super::number::StoredNumber;
use crate::error::{Error, Result, ResultExt};
use crate::format::codec::zeroed;
use crate::model::chunk::{ChunkLocation, Elements, Hyperslab, TextBuffer};
use crate::model::data_type::DataType;
use crate::model::swap::{self, Narrow, Swap};
use crate::model::tree::ArrayNode;

/// Bytes of one decoded chunk at most.
pub const MAX_CHUNK_BYTES: u64 = 1 << 30;

/// Undoes filters of one dataset.
#[derive(Debug)]
pub struct Hdf5Decoder {
    /// Path of the dataset, for messages.
    path: String,
    filters: Vec<Filter>,
    swaps: Vec<Swap>,
    narrows: Vec<Narrow>,
    /// How stored numbers of other widths are read.
    number: Option<StoredNumber>,
    /// Bytes of one stored element.
    stored_size: usize,
    /// Bytes of one element in memory.
    item_size: usize,
    /// Whether elements are addresses, not references into heaps.
    is_address: bool,
    /// Bytes of one stored chunk.
    chunk_bytes: u64,
    /// One element in memory for what was never written; none for zeros.
    fill: Option<Vec<u8>>,
    /// Whether what is read are texts, each behind its length (virtual datasets).
    texts: bool,
}

impl Hdf5Decoder {
    /// The decoder of `array` at `path`.
    pub(super) fn new(path: &str, array: &ArrayNode) -> Result<Self> {
        let storage = DatasetStorage::of(array)?;
        if let DataType::Unsupported { description, .. } = &array.data_type {
            return Err(Error::unimplemented(format!("dataset '{path}' has the type {description}: not supported")));
        }
        let note = storage.note.as_ref().map_or_else(String::new, |note| format!(" ({note})"));
        if let Some(filter) = storage.unserved_filter() {
            let Filter { name, id, .. } = filter;
            return Err(Error::unimplemented(format!(
                "dataset '{path}' has the filter {name} (id {id}): not supported{note}"
            )));
        }
        let is_virtual = matches!(storage.layout, Layout::Virtual { .. });
        let by_library = is_virtual || matches!(storage.layout, Layout::Library {});
        if is_virtual && holds_references(&array.data_type) {
            return Err(Error::unimplemented(format!(
                "virtual dataset '{path}' has references, sequences, or texts of variable length inside a compound or array: \
                 not supported{note}"
            )));
        }
        let mut decoder = Self {
            path: path.to_owned(),
            stored_size: usize::try_from(storage.element_size).unwrap_or(usize::MAX),
            item_size: array.data_type.item_size(),
            is_address: array.data_type == DataType::Reference,
            chunk_bytes: storage.chunk_bytes(array)?,
            filters: storage.filters,
            swaps: storage.swaps,
            narrows: storage.narrows,
            number: storage.number,
            fill: None,
            texts: by_library && array.data_type == DataType::String,
        };
        let is_reference = matches!(array.data_type, DataType::String | DataType::List { .. } | DataType::Reference);
        if decoder.stored_size != decoder.item_size && !is_reference && decoder.number.is_none() {
            return Err(Error::internal(format!("dataset '{path}': element sizes differ in file and memory")));
        }
        decoder.fill = storage.fill.map(|fill| decoder.normalise(fill)).transpose()?;
        Ok(decoder)
    }

    /// See [`ChunkDecoder::decode`](crate::format::ChunkDecoder::decode).
    ///
    /// # Errors
    /// As there; `ResourceExhausted` for a chunk of more than [`MAX_CHUNK_BYTES`].
    pub fn decode(&self, encoded: Option<Bytes>, location: &ChunkLocation) -> Result<Elements> {
        let (encoded, mask) = match (encoded, location) {
            (Some(read), ChunkLocation::Elsewhere(hyperslab)) => return self.elsewhere(&read, hyperslab),
            (None, ChunkLocation::Elsewhere(hyperslab)) => {
                return Err(Error::internal(format!("{hyperslab:?} of '{}' was not read", self.path)));
            }
            (_, ChunkLocation::Missing) => (None, 0),
            (_, ChunkLocation::Inline(bytes)) => (Some(bytes.clone()), 0),
            (Some(encoded), ChunkLocation::Range { filter_mask, .. }) => (Some(encoded), *filter_mask),
            (None, ChunkLocation::Range { offset, .. }) => {
                return Err(Error::internal(format!("the chunk at byte {offset} of '{}' was not read", self.path)));
            }
            (_, ChunkLocation::Object { path, .. }) => {
                return Err(Error::internal(format!("an HDF5 chunk is no object '{path}' of its own")));
            }
        };
        match encoded {
            Some(encoded) => self.undo(encoded, mask).with_context(|| format!("chunk of dataset '{}'", self.path)),
            None => self.fill(self.chunk_bytes / self.stored_size.max(1) as u64),
        }
    }

    /// See [`ChunkDecoder::decode_part`](crate::format::ChunkDecoder::decode_part).
    ///
    /// # Errors
    /// As there.
    pub fn decode_part(&self, bytes: Bytes) -> Result<Elements> {
        if bytes.len().checked_rem(self.stored_size) != Some(0) {
            return Err(Error::data_loss(format!(
                "dataset '{}': {} bytes are no whole elements of {} bytes",
                self.path,
                bytes.len(),
                self.stored_size
            )));
        }
        self.in_memory(bytes)
    }

    /// `count` elements that were never written.
    ///
    /// # Errors
    /// `ResourceExhausted` for more than [`MAX_CHUNK_BYTES`].
    pub fn fill(&self, count: u64) -> Result<Elements> {
        let bytes = count
            .checked_mul(self.item_size as u64)
            .filter(|bytes| *bytes <= MAX_CHUNK_BYTES)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| self.too_large(count.saturating_mul(self.item_size as u64)))?;
        let mut elements = zeroed(bytes)?;
        if let Some(fill) = &self.fill {
            elements.chunks_exact_mut(self.item_size.max(1)).for_each(|element| element.copy_from_slice(fill));
        }
        Ok(Elements::Fixed(Bytes::from(elements)))
    }

    /// The elements of a chunk that was read from other objects; zeros behind them.
    fn elsewhere(&self, read: &[u8], hyperslab: &Hyperslab) -> Result<Elements> {
        if self.texts {
            let texts = texts(read)?;
            let expected = hyperslab.count.iter().fold(1_u64, |total, length| total.saturating_mul(*length));
            if texts.len() as u64 != expected {
                return Err(Error::data_loss(format!("'{}': {} texts, expected {expected}", self.path, texts.len())));
            }
            return Ok(Elements::Text(texts));
        }
        let plain_bytes = usize::try_from(self.chunk_bytes).ok().filter(|_| self.chunk_bytes <= MAX_CHUNK_BYTES);
        let plain_bytes = plain_bytes.ok_or_else(|| self.too_large(self.chunk_bytes))?;
        if read.len() > plain_bytes {
            return Err(Error::internal(format!("{} bytes were read for {plain_bytes}", read.len())));
        }
        let mut whole = zeroed(plain_bytes)?;
        whole.iter_mut().zip(read).for_each(|(to, from)| *to = *from);
        self.in_memory(Bytes::from(whole))
    }

    fn undo(&self, encoded: Bytes, mask: u32) -> Result<Elements> {
        let plain_bytes = usize::try_from(self.chunk_bytes).map_err(|_| self.too_large(self.chunk_bytes))?;
        if self.filters.is_empty() {
            if encoded.len() != plain_bytes {
                return Err(Error::data_loss(format!("{} bytes, expected {plain_bytes}", encoded.len())));
            }
            return self.in_memory(encoded);
        }
        if self.chunk_bytes > MAX_CHUNK_BYTES {
            return Err(self.too_large(self.chunk_bytes));
        }
        let plain = undo_all(&self.filters, mask, &encoded, plain_bytes)?;
        self.in_memory(Bytes::from(plain.into_owned()))
    }

    fn in_memory(&self, stored: Bytes) -> Result<Elements> {
        let as_stored = self.stored_size == self.item_size && self.number.is_none();
        if self.swaps.is_empty() && self.narrows.is_empty() && as_stored {
            return Ok(Elements::Fixed(stored));
        }
        Ok(Elements::Fixed(Bytes::from(self.normalise(Vec::from(stored))?)))
    }

    /// Stored elements as they are in memory.
    fn normalise(&self, mut stored: Vec<u8>) -> Result<Vec<u8>> {
        if let Some(number) = &self.number {
            swap::reverse(&mut stored, self.stored_size, &self.swaps);
            return number.widen(&stored, self.stored_size, self.item_size);
        }
        if self.stored_size != self.item_size {
            return self.widen_references(&stored);
        }
        swap::reverse(&mut stored, self.stored_size, &self.swaps);
        swap::widen(&mut stored, self.stored_size, &self.narrows);
        Ok(stored)
    }

    /// References of files with short addresses, with addresses of 8 bytes.
    fn widen_references(&self, stored: &[u8]) -> Result<Vec<u8>> {
        let count = stored.len().checked_div(self.stored_size).unwrap_or(0);
        let mut wide = zeroed(count.saturating_mul(self.item_size))?;
        let pairs = stored.chunks_exact(self.stored_size.max(1)).zip(wide.chunks_exact_mut(self.item_size.max(1)));
        for (narrow, wide) in pairs {
            if self.is_address {
                let undefined = narrow.iter().all(|byte| *byte == 0xff);
                wide.fill(if undefined { 0xff } else { 0 });
                wide.iter_mut().zip(narrow).for_each(|(wide, narrow)| *wide = *narrow);
                continue;
            }
            let reference = super::collection::HeapReference::parse(narrow)
                .ok_or_else(|| Error::data_loss("a heap reference is cut off"))?;
            let (length, rest) = wide.split_at_mut(4);
            let (address, index) = rest.split_at_mut(8);
            length.copy_from_slice(&reference.length.to_le_bytes());
            address.copy_from_slice(&reference.address.to_le_bytes());
            index.copy_from_slice(&reference.index.to_le_bytes());
        }
        Ok(wide)
    }

    fn too_large(&self, bytes: u64) -> Error {
        Error::resource_exhausted(format!(
            "a chunk of dataset '{}' has {bytes} bytes, more than {MAX_CHUNK_BYTES}",
            self.path
        ))
    }
}

/// Texts, each behind its `u32` length.
fn texts(mut read: &[u8]) -> Result<TextBuffer> {
    let mut texts = TextBuffer::new();
    while let Some((length, rest)) = read.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (text, rest) = rest.split_at_checked(length).ok_or_else(|| Error::internal("a text is cut off"))?;
        texts.push(text);
        read = rest;
    }
    Ok(texts)
}

/// Whether elements hold heap references beside other things.
pub(super) fn holds_references(data_type: &DataType) -> bool {
    let inner = |data_type: &DataType| *data_type == DataType::String || holds_references(data_type);
    match data_type {
        DataType::List { .. } | DataType::Reference => true,
        DataType::Struct { fields, .. } => fields.iter().any(|field| inner(&field.data_type)),
        DataType::FixedArray { element, .. } => inner(element),
        _ => false,
    }
}
