//! zarr stores, versions 2 and 3.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;
use crate::model::chunk::{ChunkLocation, ChunkPosition, Elements};
use crate::model::index_store::IndexStore;
use crate::model::tree::Tree;
use crate::storage::reader::FolderReader;

/// An opened zarr store.
#[derive(Debug)]
pub struct ZarrStore {}

impl ZarrStore {
    /// Opens the store; `identity` is the key under which its layout is kept in `indexes`.
    ///
    /// # Errors
    /// `DataLoss` when the metadata is corrupt, `NotFound` when there is none.
    pub async fn open(_folder: Arc<dyn FolderReader>, _identity: &str, _indexes: Arc<dyn IndexStore>) -> Result<Self> {
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
    pub fn locate(&self, _path: &str, _positions: &[ChunkPosition]) -> Result<Vec<ChunkLocation>> {
        unimplemented!()
    }
    /// See [`super::Hierarchy::decoder`].
    ///
    /// # Errors
    /// As there.
    pub fn decoder(&self, _path: &str) -> Result<ZarrDecoder> {
        unimplemented!()
    }
    /// The reader of the store's objects.
    pub fn folder(&self) -> &Arc<dyn FolderReader> {
        unimplemented!()
    }
}

/// The codec chain of one array.
#[derive(Debug)]
pub struct ZarrDecoder {}

impl ZarrDecoder {
    /// See [`super::ChunkDecoder::decode`].
    ///
    /// # Errors
    /// As there.
    pub fn decode(&self, _encoded: Option<Bytes>) -> Result<Elements> {
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
