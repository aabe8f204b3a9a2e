//! zarr stores, versions 2 and 3.
//!
//! Sits between a folder of objects and the shared pipeline: it finds and reads metadata, computes
//! the keys of chunks and decodes chunk bytes through the codec library. It never reads a chunk:
//! those are planned and fetched as every other format's.
//!
//! ```text
//! folder ──documents──▶ node ──▶ Tree ──record──▶ index store
//!                                 ├── locate  ──▶ ChunkLocation::Object
//!                                 └── decoder ──▶ Elements     (codec: what is served; bounded: limits)
//! ```
//!
//! For a sharded array a chunk is a whole shard. Its inner chunks are described in the array's
//! `storage`, so that reading them one by one needs no other metadata.

use std::sync::Arc;

use crate::error::{Result, ResultExt};
use crate::model::chunk::{ChunkLocation, ChunkPosition};
use crate::model::index_store::IndexStore;
use crate::model::tree::Tree;
use crate::storage::reader::FolderReader;

pub(crate) mod blosc;
mod bounded;
mod codec;
mod data_type;
mod decoder;
mod documents;
mod json;
mod locate;
mod node;
mod record;
#[cfg(test)]
mod tests;

pub use codec::{V2_CODECS, V3_CODECS};
pub use decoder::{MAX_CHUNK_BYTES, ZarrDecoder};
pub use documents::{MAX_DOCUMENT_BYTES, MAX_LISTED_BYTES, MAX_NODES, READS_IN_FLIGHT};

/// An opened zarr store.
#[derive(Debug)]
pub struct ZarrStore {
    folder: Arc<dyn FolderReader>,
    tree: Tree,
}

impl ZarrStore {
    /// Opens the store; `identity` is the key under which its tree is kept in `indexes`, so that a
    /// later open reads nothing from the store. An empty `identity` keeps nothing.
    ///
    /// # Errors
    /// `NotFound` when there is no metadata, `DataLoss` naming a metadata object that is corrupt,
    /// `ResourceExhausted` for metadata above a limit, and the errors of reading and of `indexes`.
    pub async fn open(folder: Arc<dyn FolderReader>, identity: &str, indexes: Arc<dyn IndexStore>) -> Result<Self> {
        if !identity.is_empty()
            && let Some(record) = indexes.load(identity, record::NAME).await?
            && let Some(tree) = record::decode(&record)
        {
            return Ok(Self { folder, tree });
        }
        let documents = documents::find(folder.as_ref()).await;
        let tree = documents.and_then(node::tree).with_context(|| format!("zarr store '{}'", folder.url()))?;
        if !identity.is_empty() {
            indexes.save(identity, record::NAME, record::encode(&tree)?).await?;
        }
        Ok(Self { folder, tree })
    }

    /// All groups and arrays.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// See [`super::Hierarchy::locate`]. For a sharded array a position is that of a shard.
    ///
    /// # Errors
    /// As there, and `OutOfRange` for a position outside the grid.
    pub fn locate(&self, path: &str, positions: &[ChunkPosition]) -> Result<Vec<ChunkLocation>> {
        locate::locate(path, self.tree.array(path)?, positions, self.folder.as_ref())
    }

    /// See [`super::Hierarchy::decoder`].
    ///
    /// # Errors
    /// As there, and `ResourceExhausted` for chunks above [`MAX_CHUNK_BYTES`].
    pub fn decoder(&self, path: &str) -> Result<ZarrDecoder> {
        ZarrDecoder::new(path, self.tree.array(path)?)
    }

    /// The reader of the store's objects.
    pub fn folder(&self) -> &Arc<dyn FolderReader> {
        &self.folder
    }
}
