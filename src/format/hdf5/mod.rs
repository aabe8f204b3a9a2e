//! HDF5 files: the tree through the parser, chunk tables, filters, heaps.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;
use crate::model::chunk::{ChunkLocation, ChunkPosition, Elements, TextBuffer};
use crate::model::index_store::IndexStore;
use crate::model::tree::Tree;
use crate::storage::reader::RangeReader;

/// An opened HDF5 file.
#[derive(Debug)]
pub struct Hdf5File {}

impl Hdf5File {
    /// Opens the file.
    ///
    /// # Errors
    /// `DataLoss` when it is no HDF5 file or truncated.
    pub async fn open(_reader: Arc<dyn RangeReader>, _indexes: Arc<dyn IndexStore>) -> Result<Self> {
        unimplemented!()
    }
    /// All groups and arrays.
    pub fn tree(&self) -> &Tree {
        unimplemented!()
    }
    /// See [`super::Hierarchy::locate`].
    ///
    /// # Errors
    /// As there.
    pub async fn locate(&self, _path: &str, _positions: &[ChunkPosition]) -> Result<Vec<ChunkLocation>> {
        unimplemented!()
    }
    /// See [`super::Hierarchy::decoder`].
    ///
    /// # Errors
    /// As there.
    pub fn decoder(&self, _path: &str) -> Result<Hdf5Decoder> {
        unimplemented!()
    }
    /// See [`super::Hierarchy::resolve_texts`].
    ///
    /// # Errors
    /// As there.
    pub async fn resolve_texts(&self, _references: &[u8]) -> Result<TextBuffer> {
        unimplemented!()
    }
    /// The reader of the file's bytes.
    pub fn reader(&self) -> &Arc<dyn RangeReader> {
        unimplemented!()
    }
}

/// Undoes filters of one dataset.
#[derive(Debug)]
pub struct Hdf5Decoder {}

impl Hdf5Decoder {
    /// See [`super::ChunkDecoder::decode`].
    ///
    /// # Errors
    /// As there.
    pub fn decode(&self, _encoded: Option<Bytes>, _location: &ChunkLocation) -> Result<Elements> {
        unimplemented!()
    }
    /// See [`super::ChunkDecoder::fill`].
    ///
    /// # Errors
    /// As there.
    pub fn fill(&self, _count: u64) -> Result<Elements> {
        unimplemented!()
    }
    /// See [`super::ChunkDecoder::decode_part`].
    ///
    /// # Errors
    /// As there.
    pub fn decode_part(&self, _bytes: Bytes) -> Result<Elements> {
        unimplemented!()
    }
}
