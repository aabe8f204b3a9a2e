//! Where the bytes of a chunk lie.

use std::ops::Range;

use bytes::Bytes;

/// Position of a chunk in its array's grid, one number per dimension.
pub type ChunkPosition = Vec<u64>;

/// A box of elements of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hyperslab {
    /// First position, one number per dimension.
    pub start: Vec<u64>,
    /// Length along each dimension.
    pub count: Vec<u64>,
}

/// Where the encoded bytes of one chunk lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkLocation {
    /// `length` bytes at `offset` of the artifact's only object (HDF5).
    Range {
        /// First byte, counted from the start of the object.
        offset: u64,
        /// Encoded bytes.
        length: u64,
        /// HDF5 filter mask: bit i set means filter i was not applied to this chunk.
        filter_mask: u32,
    },
    /// A whole object of a folder-like artifact (zarr), or a part of one, by its path below the
    /// artifact's root. A whole object may be missing, which means fill value.
    Object {
        /// Path below the artifact's root.
        path: String,
        /// Size of the object in bytes, where it is known.
        length: Option<u64>,
        /// The chunk's bytes within the object (an inner chunk of a shard), half-open; `None` when
        /// the object is the chunk.
        part: Option<Range<u64>>,
        /// Where it lies in the one object that holds all (an entry of a zip archive), with what is stored
        /// around it; none where it is an object of its own.
        place: Option<Range<u64>>,
    },
    /// The bytes were in the metadata already (compact HDF5 datasets).
    Inline(Bytes),
    /// In no range of the artifact: the format reads these elements from other objects (virtual and
    /// external HDF5 datasets). They come first in the chunk, in C order; what follows is not part of the
    /// array.
    Elsewhere(Hyperslab),
    /// Never written: every element is the fill value.
    Missing,
}

/// Elements of one decoded chunk, in C order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elements {
    /// Little-endian elements of the data type's item size.
    Fixed(Bytes),
    /// UTF-8 texts, or bytes of variable length.
    Text(TextBuffer),
}

/// Texts, or other bytes of variable length, back to back: text `i` is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextBuffer {
    /// One more offset than there are texts; the first is 0.
    pub offsets: Vec<u64>,
    /// The texts' bytes.
    pub bytes: Vec<u8>,
}

impl TextBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends one text.
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.offsets.push(self.bytes.len() as u64);
    }

    /// Text `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let start = usize::try_from(*self.offsets.get(index)?).ok()?;
        let end = usize::try_from(*self.offsets.get(index.checked_add(1)?)?).ok()?;
        self.bytes.get(start..end)
    }
}
