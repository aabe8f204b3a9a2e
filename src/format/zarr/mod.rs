//! zarr stores, versions 2 and 3.
//!
//! Sits between a folder of objects and the shared pipeline: it finds and reads metadata, computes
//! the keys of chunks, reads the indexes of shards and decodes chunk bytes through the codec library.
//! It never reads a chunk: those are planned and fetched as every other format's.
//!
//! ```text
//! folder ──documents──▶ node ──▶ Tree ──record──▶ index store
//!                                 ├── locate  ──▶ ChunkLocation::Object      (shard, shard_index: inner chunks)
//!                                 └── decoder ──▶ Elements     (codec: what is served; bounded: limits)
//! ```
//!
//! For a sharded array a chunk is an inner chunk of a shard: a part of an object. Where the shards are
//! encoded as a whole (another codec around `sharding_indexed`), a chunk is a whole shard; where an
//! inner chunk is itself sharded, it is one chunk.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Result, ResultExt};
use crate::model::chunk::{ChunkLocation, ChunkPosition};
use crate::model::index_store::IndexStore;
use crate::model::tree::{Tree, normalise};
use crate::storage::reader::FolderReader;
use shard_index::ShardIndexes;

pub(crate) mod blosc;
mod bounded;
mod by_name;
mod codec;
mod data_type;
mod decoder;
mod documents;
mod filter;
mod json;
mod locate;
mod node;
mod number;
mod pcodec;
mod record;
mod shard;
mod shard_index;
mod step;
mod structured;
#[cfg(test)]
mod tests;
mod walk;
pub mod write;

pub use by_name::{MAX_NAMED_NODES, MAX_ROUNDS};
pub use codec::{V2_CODECS, V3_CODECS};
pub use decoder::{MAX_CHUNK_BYTES, ZarrDecoder};
pub use documents::{MAX_DOCUMENT_BYTES, MAX_LISTED_BYTES, MAX_NODES, READS_IN_FLIGHT};
pub use locate::INDEXES_IN_FLIGHT;
pub use shard::MAX_INDEX_BYTES;
pub use shard_index::MAX_KEPT_INDEX_BYTES;
pub use step::MAX_LZMA_BYTES;
pub use walk::MAX_BARE_FOLDERS;

/// Documents of which at least one lies at the root of every store.
pub const ROOT_DOCUMENTS: [&str; 5] = ["zarr.json", ".zmetadata", ".zgroup", ".zarray", ".zattrs"];

/// Those of them of which one may tell all of a store.
pub const WHOLE_DOCUMENTS: [&str; 2] = ["zarr.json", ".zmetadata"];

/// An opened zarr store.
#[derive(Debug)]
pub struct ZarrStore {
    folder: Arc<dyn FolderReader>,
    identity: String,
    tree: Arc<Tree>,
    shard_indexes: Arc<ShardIndexes>,
    /// Where nodes are found by their names only: those found so far, of this and later requests.
    found: Option<Arc<Mutex<Arc<Tree>>>>,
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
            return Ok(Self::of(folder, identity, tree));
        }
        let documents = documents::find(folder.as_ref()).await;
        let is_whole =
            folder.is_listed() || documents.as_ref().is_ok_and(|all| by_name::is_whole(folder.as_ref(), all));
        let mut tree = documents.and_then(node::tree).with_context(|| format!("zarr store '{}'", folder.url()))?;
        tree.by_name = !is_whole;
        if !identity.is_empty() && is_whole {
            indexes.save(identity, record::NAME, record::encode(&tree)?).await?;
        }
        Ok(Self::of(folder, identity, tree))
    }

    fn of(folder: Arc<dyn FolderReader>, identity: &str, tree: Tree) -> Self {
        let tree = Arc::new(tree);
        let found = tree.by_name.then(|| Arc::new(Mutex::new(Arc::clone(&tree))));
        let shard_indexes = Arc::new(ShardIndexes::new(MAX_KEPT_INDEX_BYTES));
        Self { folder, identity: identity.to_owned(), tree, shard_indexes, found }
    }

    /// The store with the node at `path` in its tree, where nodes are found by their names only: with those
    /// above it, and those that the attributes of any of them name. Checks that the store is still the version
    /// that was opened, where that cannot be checked with each object. `None` when there is nothing to add.
    ///
    /// # Errors
    /// `PermissionDenied` when the store refuses the node's documents, `FailedPrecondition` when the root
    /// changed, and as [`ZarrStore::open`].
    pub async fn with_node(&self, path: &str) -> Result<Option<Self>> {
        self.folder.confirm().await?;
        let Some(found) = &self.found else { return Ok(None) };
        let known = Arc::clone(&found.lock().unwrap_or_else(PoisonError::into_inner));
        let nodes = by_name::nodes(self.folder.as_ref(), &known, &normalise(path)).await;
        let nodes = nodes.with_context(|| format!("zarr store '{}'", self.folder.url()))?;
        let tree = if nodes.is_empty() {
            known
        } else {
            let mut tree = Tree::clone(&known);
            tree.nodes.extend(nodes);
            let tree = Arc::new(tree);
            // Beyond that, what was found before is looked for again.
            if tree.nodes.len() <= MAX_NODES {
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&tree);
            }
            tree
        };
        let (folder, shard_indexes) = (Arc::clone(&self.folder), Arc::clone(&self.shard_indexes));
        let (identity, found) = (self.identity.clone(), Some(Arc::clone(found)));
        Ok(Some(Self { folder, identity, tree, shard_indexes, found }))
    }

    /// All groups and arrays.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// See [`super::Hierarchy::locate`]. Reads the indexes of the shards that hold the positions, each
    /// once as long as it is kept.
    ///
    /// # Errors
    /// As there, and `OutOfRange` for a position outside the grid.
    pub async fn locate(&self, path: &str, positions: &[ChunkPosition]) -> Result<Vec<ChunkLocation>> {
        let array = self.tree.array(path)?;
        locate::locate(path, array, positions, self.folder.as_ref(), &self.shard_indexes).await
    }

    /// See [`super::Hierarchy::decoder`].
    ///
    /// # Errors
    /// As there, and `ResourceExhausted` for chunks above [`MAX_CHUNK_BYTES`].
    pub fn decoder(&self, path: &str) -> Result<ZarrDecoder> {
        ZarrDecoder::new(path, self.tree.array(path)?)
    }

    /// What the store's contents are known by; none when they may change under the same name.
    pub fn identity(&self) -> Option<&str> {
        Some(self.identity.as_str()).filter(|identity| !identity.is_empty() && self.folder.is_pinned())
    }

    /// The reader of the store's objects.
    pub fn folder(&self) -> &Arc<dyn FolderReader> {
        &self.folder
    }
}
