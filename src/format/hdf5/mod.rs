//! HDF5 files: what is in them, where the chunks of a dataset lie, and what chunk bytes mean.
//!
//! Sits between a [`RangeReader`] and everything that reads arrays. Opening parses all metadata but
//! chunk indexes, once per object version: the tree and each chunk table are kept in an
//! [`IndexStore`], and opening with a kept tree reads nothing. Data never goes through a parser:
//! callers read the ranges that [`Hdf5File::locate`] names and decode them with [`Hdf5Decoder`].
//!
//! ```text
//! open ─▶ walk (parser, parallel) ─▶ assemble ─▶ Tree ─▶ locate (chunk table) ─▶ … ─▶ decode ─▶ resolve_texts
//! ```
//!
//! Elements that lie in other objects are read through [`Outside`]: external data by ranges, virtual
//! datasets by libhdf5, in worker processes, where it is built in. It is also offered what is refused by name
//! here. Links out of the file are listed with their reason and refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::try_join_all;

use crate::error::{Error, Result, ResultExt};
use crate::model::chunk::{ChunkLocation, ChunkPosition, Hyperslab, TextBuffer};
use crate::model::data_type::DataType;
use crate::model::index_store::IndexStore;
use crate::model::tree::{ArrayNode, Tree, normalise};
use crate::storage::reader::RangeReader;

mod ahead;
mod assemble;
mod chunk_table;
mod collection;
mod dataset;
mod decoder;
mod external;
mod fetch;
mod filter;
mod gathered;
mod library;
mod number;
mod offer;
mod others;
mod outside;
mod parser;
mod record;
mod stored_type;
mod tables;
mod texts;
mod walk;

#[cfg(test)]
mod tests;

use assemble::Assembled;
use chunk_table::{ChunkTable, Frame};
use dataset::{DatasetStorage, Layout};
pub use decoder::{Hdf5Decoder, MAX_CHUNK_BYTES};
use fetch::Fetches;
pub use library::{Library, LibraryOptions};
use outside::Elsewhere;
pub use outside::Outside;
use parser::{Addressing, StoredChunk};
pub(crate) use parser::{HEAD_BYTES, TAIL_BYTES};
use record::{TREE_RECORD, TreeRecord};
use tables::Tables;
use texts::{File, Heaps};

/// Doors for the fuzz targets in `fuzz/`; not there in any other build.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use super::filter::undo_filters;
}

/// An opened HDF5 file.
#[derive(Debug)]
pub struct Hdf5File {
    reader: Arc<dyn RangeReader>,
    indexes: Arc<dyn IndexStore>,
    addressing: Addressing,
    tree: Tree,
    tables: Tables,
    /// Stored chunks of datasets by path that were read with the tree, until a table is made of them.
    ahead: Mutex<HashMap<String, Vec<StoredChunk>>>,
    heaps: Heaps,
    /// Paths of objects by address, where data refers to them.
    paths: HashMap<u64, String>,
    elsewhere: Elsewhere,
}

impl Hdf5File {
    /// Opens the file: from the kept tree without reading, or by parsing its metadata.
    ///
    /// # Errors
    /// `DataLoss` when it is no HDF5 file, truncated or corrupt, `FailedPrecondition` when its writer
    /// has not closed it, `ResourceExhausted` when it has too many objects, and the errors of reading.
    /// An index store that fails costs time, not the answer; it is logged.
    pub async fn open(reader: Arc<dyn RangeReader>, indexes: Arc<dyn IndexStore>) -> Result<Self> {
        Self::open_with(reader, indexes, Outside::default(), None).await
    }

    /// As [`Self::open`], for a file whose datasets may lie in other objects. What the array or sparse matrix at the
    /// path `asked` needs to be read is read with the tree, where that is not kept.
    ///
    /// # Errors
    /// As there.
    pub async fn open_with(
        reader: Arc<dyn RangeReader>,
        indexes: Arc<dyn IndexStore>,
        outside: Outside,
        asked: Option<&str>,
    ) -> Result<Self> {
        let mut ahead = HashMap::new();
        let key = reader.identity().index_key();
        let kept = record::load(indexes.as_ref(), &key, TREE_RECORD).await;
        let record = match kept.as_deref().and_then(TreeRecord::decode) {
            Some(record) => record,
            None => {
                let mut graph = walk::walk(Arc::clone(&reader), asked).await?;
                ahead = std::mem::take(&mut graph.chunks);
                let assembled = assemble::assemble(&graph).with_context(|| format!("'{}'", reader.identity().url))?;
                let Assembled { tree, paths, refused } = assembled;
                let record = TreeRecord { addressing: graph.addressing, tree, paths, refused };
                record::save(indexes.as_ref(), &key, TREE_RECORD, record.encode()?).await;
                record
            }
        };
        let TreeRecord { addressing, mut tree, paths, refused } = record;
        let paths = paths.into_iter().collect();
        let elsewhere = Elsewhere::new(Arc::clone(&reader), outside);
        elsewhere.settle(&mut tree, refused).await;
        Ok(Self {
            reader,
            indexes,
            addressing,
            tree,
            tables: Tables::new(),
            ahead: Mutex::new(ahead),
            heaps: Heaps::new(),
            paths,
            elsewhere,
        })
    }

    /// All groups and arrays.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The reader of the file's bytes.
    pub fn reader(&self) -> &Arc<dyn RangeReader> {
        &self.reader
    }

    /// See [`Hierarchy::locate`](super::Hierarchy::locate). The first call for a chunked dataset
    /// loads its chunk table.
    ///
    /// # Errors
    /// As there, and `OutOfRange` for a position outside the grid.
    pub async fn locate(&self, path: &str, positions: &[ChunkPosition]) -> Result<Vec<ChunkLocation>> {
        let array = self.tree.array(path)?;
        let context = || format!("'{}': dataset '{path}'", self.url());
        let storage = DatasetStorage::of(array).with_context(context)?;
        if storage.is_elsewhere() {
            return positions.iter().map(|position| outside::locate(array, position).with_context(context)).collect();
        }
        if !matches!(storage.layout, Layout::Chunked { .. }) {
            let location = self.only_location(array, &storage).with_context(context)?;
            let grid = array.grid();
            let inside = |position: &ChunkPosition| {
                position.len() == grid.len() && position.iter().zip(&grid).all(|(at, count)| at < count)
            };
            if let Some(position) = positions.iter().find(|position| array.is_null || !inside(position)) {
                return Err(Error::out_of_range(format!("chunk {position:?} of a grid of {grid:?}")))
                    .with_context(context);
            }
            return Ok(vec![location; positions.len()]);
        }
        let table = self.table(path, array, storage).await?;
        positions.iter().map(|position| table.locate(position).with_context(context)).collect()
    }

    /// See [`Hierarchy::load_tables`](super::Hierarchy::load_tables).
    ///
    /// # Errors
    /// As there.
    pub async fn load_tables(&self, paths: &[&str]) -> Result<()> {
        let loads = paths.iter().map(|path| async move {
            let array = self.tree.array(path)?;
            let storage = DatasetStorage::of(array).with_context(|| format!("'{}': dataset '{path}'", self.url()))?;
            if matches!(storage.layout, Layout::Chunked { .. }) {
                self.table(path, array, storage).await?;
            }
            Ok(())
        });
        try_join_all(loads).await.map(drop)
    }

    /// The chunk table of the chunked dataset at `path`.
    async fn table(&self, path: &str, array: &ArrayNode, storage: DatasetStorage) -> Result<Arc<ChunkTable>> {
        let path = normalise(path);
        let frame = self.frame(array, &storage);
        let table = self.tables.get(&path, || self.load_table(&path, array, storage, frame)).await;
        table.with_context(|| format!("'{}': dataset '{path}'", self.url()))
    }

    /// The elements of a [`ChunkLocation::Elsewhere`]: as stored, or texts each behind its `u32` length.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied` or `FailedPrecondition` for another object that is missing, may not be
    /// read or changed, `DataLoss` and `Unimplemented` as libhdf5 says, `Unavailable` when it crashed or took
    /// too long.
    pub async fn read_elsewhere(&self, path: &str, elements: &Hyperslab) -> Result<Bytes> {
        let array = self.tree.array(path)?;
        let context = || format!("'{}': dataset '{path}'", self.url());
        let storage = DatasetStorage::of(array).with_context(context)?;
        self.elsewhere.read(path, array, &storage, elements).await.with_context(context)
    }

    /// See [`Hierarchy::decodes_texts`](super::Hierarchy::decodes_texts).
    pub fn decodes_texts(&self, path: &str) -> bool {
        let is_text = |array: &ArrayNode| array.data_type == DataType::String && outside::is_by_library(array);
        self.tree.array(path).is_ok_and(is_text)
    }

    /// See [`Hierarchy::reads_elsewhere`](super::Hierarchy::reads_elsewhere).
    pub fn reads_elsewhere(&self, path: &str) -> bool {
        let storage = |array: &ArrayNode| DatasetStorage::of(array).is_ok_and(|storage| storage.is_elsewhere());
        self.tree.array(path).is_ok_and(storage)
    }

    /// See [`Hierarchy::is_outdated`](super::Hierarchy::is_outdated).
    pub fn is_outdated(&self) -> bool {
        self.elsewhere.is_outdated()
    }

    /// See [`Hierarchy::decoder`](super::Hierarchy::decoder).
    ///
    /// # Errors
    /// As there.
    pub fn decoder(&self, path: &str) -> Result<Hdf5Decoder> {
        Hdf5Decoder::new(path, self.tree.array(path)?).with_context(|| format!("'{}'", self.url()))
    }

    /// See [`Hierarchy::resolve_texts`](super::Hierarchy::resolve_texts).
    ///
    /// # Errors
    /// As there.
    pub async fn resolve_texts(&self, references: &[u8], limit: usize) -> Result<TextBuffer> {
        self.heaps.objects(&self.heap_file(), references, 1, limit).await
    }

    /// See [`Hierarchy::resolve_sequences`](super::Hierarchy::resolve_sequences).
    ///
    /// # Errors
    /// As there.
    pub async fn resolve_sequences(&self, references: &[u8], size: usize, limit: usize) -> Result<TextBuffer> {
        self.heaps.objects(&self.heap_file(), references, size as u64, limit).await
    }

    /// See [`Hierarchy::object_path`](super::Hierarchy::object_path).
    ///
    /// # Errors
    /// As there.
    pub fn object_path(&self, address: u64) -> Result<&str> {
        self.paths.get(&address).map(String::as_str).ok_or_else(|| {
            Error::unimplemented(format!(
                "'{}': a reference to the object at {address:#x}, which has no path",
                self.url()
            ))
        })
    }

    fn heap_file(&self) -> File<'_> {
        File { reader: self.reader.as_ref(), addressing: self.addressing }
    }

    fn url(&self) -> &str {
        &self.reader.identity().url
    }

    fn frame(&self, array: &ArrayNode, storage: &DatasetStorage) -> Frame {
        Frame {
            shape: array.shape.clone(),
            chunk_shape: array.chunk_shape.clone(),
            base: self.addressing.base,
            object_size: self.reader.identity().size,
            plain_edges: matches!(storage.layout, Layout::Chunked { plain_edges: true, .. }),
        }
    }

    /// Where the one piece of a dataset without chunks lies.
    fn only_location(&self, array: &ArrayNode, storage: &DatasetStorage) -> Result<ChunkLocation> {
        let length = storage.chunk_bytes(array)?;
        match &storage.layout {
            Layout::Compact { data } if data.is_empty() && length > 0 => Ok(ChunkLocation::Missing),
            Layout::Compact { data } => {
                let used = usize::try_from(length).ok().and_then(|length| data.get(..length)).ok_or_else(|| {
                    Error::data_loss(format!("{} bytes in its header, expected {length}", data.len()))
                })?;
                Ok(ChunkLocation::Inline(Bytes::copy_from_slice(used)))
            }
            Layout::Contiguous { address: Some(address) } if length > 0 => {
                let size = self.reader.identity().size;
                let offset = address.checked_add(self.addressing.base);
                let inside = offset.filter(|offset| offset.checked_add(length).is_some_and(|end| end <= size));
                let offset = inside.ok_or_else(|| {
                    Error::data_loss(format!(
                        "needs {length} bytes at byte {}, the object has {size} bytes",
                        offset.unwrap_or(u64::MAX)
                    ))
                })?;
                Ok(ChunkLocation::Range { offset, length, filter_mask: 0 })
            }
            _ => Ok(ChunkLocation::Missing),
        }
    }

    async fn load_table(
        &self,
        path: &str,
        array: &ArrayNode,
        storage: DatasetStorage,
        frame: Frame,
    ) -> Result<ChunkTable> {
        let key = self.reader.identity().index_key();
        let name = format!("hdf5/chunks/{path}");
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        let kept = record::load(self.indexes.as_ref(), &key, &name).await;
        if let Some(table) = kept.and_then(|record| ChunkTable::decode(&frame, &record)) {
            return Ok(table);
        }
        let chunks = match ahead {
            Some(chunks) => chunks,
            None => self.read_chunks(array, &storage).await?,
        };
        let table = fetch::blocking(move || ChunkTable::build(&frame, chunks)).await??;
        record::save(self.indexes.as_ref(), &key, &name, table.encode()?).await;
        Ok(table)
    }

    async fn read_chunks(&self, array: &ArrayNode, storage: &DatasetStorage) -> Result<Vec<StoredChunk>> {
        let Some(indexed) = storage.indexed(array)? else { return Ok(Vec::new()) };
        let addressing = self.addressing;
        let mut fetches = Fetches::new(Arc::clone(&self.reader));
        fetches.parse(move |blocks| parser::stored_chunks(blocks, addressing, &indexed)).await
    }
}
