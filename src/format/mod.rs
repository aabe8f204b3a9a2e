//! Bytes to meaning: the tree of a hierarchical file or store, where its chunks lie, and what their
//! bytes decode to.
//!
//! HDF5 and zarr answer the same three questions, so planning, fetching and assembling exist once:
//! what is there ([`Hierarchy::tree`]), where are these chunks ([`Hierarchy::locate`]), and what do
//! these bytes mean ([`ChunkDecoder`]). Decoding never waits; locating reads metadata only.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;
use crate::model::chunk::{ChunkLocation, ChunkPosition, Elements, TextBuffer};
use crate::model::data_type::DataType;
use crate::model::tree::{ArrayNode, Tree};

pub mod anndata;
pub mod codec;
pub mod dimensions;
pub mod hdf5;
pub mod zarr;

/// An opened HDF5 file or zarr store.
#[derive(Clone, Debug)]
pub enum Hierarchy {
    /// One HDF5 object.
    Hdf5(Arc<hdf5::Hdf5File>),
    /// A folder with zarr metadata.
    Zarr(Arc<zarr::ZarrStore>),
}

impl Hierarchy {
    /// All groups and arrays.
    pub fn tree(&self) -> &Tree {
        match self {
            Self::Hdf5(file) => file.tree(),
            Self::Zarr(store) => store.tree(),
        }
    }

    /// The same with the node at `path` in its tree, where nodes are found by their names only (a zarr store
    /// that cannot be listed): see [`zarr::ZarrStore::with_node`].
    ///
    /// # Errors
    /// As there.
    pub async fn with_node(self, path: &str) -> Result<Self> {
        match &self {
            Self::Hdf5(_) => Ok(self),
            Self::Zarr(store) => Ok(store.with_node(path).await?.map_or(self, |store| Self::Zarr(Arc::new(store)))),
        }
    }

    /// What the contents are known by, the same only for the same bytes; none when they may change under
    /// the same name (a zarr store of more objects than a registration pins).
    pub fn identity(&self) -> Option<String> {
        match self {
            Self::Hdf5(file) => Some(file.reader().identity().index_key()),
            Self::Zarr(store) => store.identity().map(str::to_owned),
        }
    }

    /// Where the chunks at `positions` of the array at `path` lie, in the same order.
    ///
    /// # Errors
    /// `NotFound` for a missing array, `Unimplemented` for one that cannot be read, `DataLoss` for a
    /// corrupt chunk index (HDF5) or index of a shard (zarr), and the errors of reading it.
    pub async fn locate(&self, path: &str, positions: &[ChunkPosition]) -> Result<Vec<ChunkLocation>> {
        match self {
            Self::Hdf5(file) => file.locate(path, positions).await,
            Self::Zarr(store) => store.locate(path, positions).await,
        }
    }

    /// Loads what [`Hierarchy::locate`] will need for the arrays at `paths`, all at the same time rather
    /// than one after the other. Changes no answer, only when reads happen.
    ///
    /// # Errors
    /// As [`Hierarchy::locate`].
    pub async fn load_tables(&self, paths: &[&str]) -> Result<()> {
        match self {
            Self::Hdf5(file) => file.load_tables(paths).await,
            // Names of objects are computed; the index of a shard is read with its first chunk.
            Self::Zarr(_) => Ok(()),
        }
    }

    /// The decoder of the array at `path`.
    ///
    /// # Errors
    /// `Unimplemented` naming a filter, codec or type that is not supported.
    pub fn decoder(&self, path: &str) -> Result<ChunkDecoder> {
        match self {
            Self::Hdf5(file) => Ok(ChunkDecoder::Hdf5(Arc::new(file.decoder(path)?))),
            Self::Zarr(store) => Ok(ChunkDecoder::Zarr(Arc::new(store.decoder(path)?))),
        }
    }

    /// Whether chunks of the array at `path` decode to texts, and not to fixed-size elements or heap
    /// references.
    pub fn decodes_texts(&self, path: &str) -> bool {
        match self {
            Self::Hdf5(file) => file.decodes_texts(path),
            Self::Zarr(store) => {
                let is_text = |array: &ArrayNode| matches!(array.data_type, DataType::String | DataType::Binary);
                store.tree().array(path).is_ok_and(is_text)
            }
        }
    }

    /// Whether elements of the array at `path` lie in other objects, whose versions the artifact's own does
    /// not tell.
    pub fn reads_elsewhere(&self, path: &str) -> bool {
        match self {
            Self::Hdf5(file) => file.reads_elsewhere(path),
            Self::Zarr(_) => false,
        }
    }

    /// Whether the next request should open the artifact anew: other objects that it read changed, or were
    /// pinned a while ago.
    pub fn is_outdated(&self) -> bool {
        match self {
            Self::Hdf5(file) => file.is_outdated(),
            Self::Zarr(_) => false,
        }
    }

    /// The texts behind heap references ([`crate::model::data_type::HEAP_REFERENCE_SIZE`] bytes
    /// each), in the same order. Heaps are read by coalesced ranges.
    ///
    /// # Errors
    /// `DataLoss` for a reference that leads nowhere, `ResourceExhausted` above `limit` bytes, and the errors
    /// of reading.
    pub async fn resolve_texts(&self, references: &[u8], limit: usize) -> Result<TextBuffer> {
        match self {
            Self::Hdf5(file) => file.resolve_texts(references, limit).await,
            Self::Zarr(_) => Err(crate::error::Error::internal("zarr chunks hold no heap references")),
        }
    }

    /// The elements behind heap references whose lengths count elements of `size` bytes, as stored,
    /// one buffer entry per reference; a null reference has none.
    ///
    /// # Errors
    /// As [`Hierarchy::resolve_texts`].
    pub async fn resolve_sequences(&self, references: &[u8], size: usize, limit: usize) -> Result<TextBuffer> {
        match self {
            Self::Hdf5(file) => file.resolve_sequences(references, size, limit).await,
            Self::Zarr(_) => Err(crate::error::Error::internal("zarr chunks hold no heap references")),
        }
    }

    /// The path, without the leading slash, of the object at `address`.
    ///
    /// # Errors
    /// `Unimplemented` when no path leads to it.
    pub fn object_path(&self, address: u64) -> Result<&str> {
        match self {
            Self::Hdf5(file) => file.object_path(address),
            Self::Zarr(_) => Err(crate::error::Error::internal("zarr chunks hold no references")),
        }
    }
}

/// Decodes chunks of one array. Synchronous and free of I/O; cheap to clone.
#[derive(Clone, Debug)]
pub enum ChunkDecoder {
    /// HDF5 filters.
    Hdf5(Arc<hdf5::Hdf5Decoder>),
    /// zarr codecs.
    Zarr(Arc<zarr::ZarrDecoder>),
}

impl ChunkDecoder {
    /// All elements of one chunk, in C order of the array's `chunk_shape`, little-endian.
    /// `encoded` is `None` for a chunk that was never written.
    ///
    /// # Errors
    /// `DataLoss` when the bytes do not decode to exactly one chunk.
    pub fn decode(&self, encoded: Option<Bytes>, location: &ChunkLocation) -> Result<Elements> {
        match self {
            Self::Hdf5(decoder) => decoder.decode(encoded, location),
            Self::Zarr(decoder) => decoder.decode(encoded),
        }
    }

    /// `count` elements of the fill value: what a part of a chunk that was never written holds.
    ///
    /// # Errors
    /// `ResourceExhausted` when they do not fit in memory.
    pub fn fill(&self, count: u64) -> Result<Elements> {
        match self {
            Self::Hdf5(decoder) => decoder.fill(count),
            Self::Zarr(decoder) => decoder.fill(count),
        }
    }

    /// The elements in a part of a partly readable chunk: byte order is normalised, nothing else.
    ///
    /// # Errors
    /// `DataLoss` when the bytes are no whole number of elements.
    pub fn decode_part(&self, bytes: Bytes) -> Result<Elements> {
        match self {
            Self::Hdf5(decoder) => decoder.decode_part(bytes),
            Self::Zarr(decoder) => decoder.decode_part(bytes),
        }
    }
}
