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
//! Virtual datasets, external data, links out of the file and shared message tables are listed with
//! their reason and refused.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result, ResultExt};
use crate::model::chunk::{ChunkLocation, ChunkPosition, TextBuffer};
use crate::model::index_store::IndexStore;
use crate::model::tree::{ArrayNode, Tree, normalise};
use crate::storage::reader::RangeReader;

mod assemble;
mod chunk_table;
mod collection;
mod dataset;
mod decoder;
mod filter;
mod parser;
mod record;
mod stored_type;
mod tables;
mod texts;
mod walk;

#[cfg(test)]
mod tests;

use chunk_table::{ChunkTable, Frame};
use dataset::{DatasetStorage, Layout};
pub use decoder::{Hdf5Decoder, MAX_CHUNK_BYTES};
use parser::{Addressing, BlockSource, Indexed, View};
use record::{TREE_RECORD, TreeRecord};
use tables::Tables;
use texts::Heaps;

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
    heaps: Heaps,
}

impl Hdf5File {
    /// Opens the file: from the kept tree without reading, or by parsing its metadata.
    ///
    /// # Errors
    /// `DataLoss` when it is no HDF5 file, truncated or corrupt, `FailedPrecondition` when its writer
    /// has not closed it, `ResourceExhausted` when it has too many objects, and the errors of reading.
    /// An index store that fails costs time, not the answer; it is logged.
    pub async fn open(reader: Arc<dyn RangeReader>, indexes: Arc<dyn IndexStore>) -> Result<Self> {
        let key = reader.identity().index_key();
        let kept = record::load(indexes.as_ref(), &key, TREE_RECORD).await;
        let record = match kept.as_deref().and_then(TreeRecord::decode) {
            Some(record) => record,
            None => {
                let graph = walk::walk(Arc::clone(&reader)).await?;
                let tree = assemble::assemble(&graph).with_context(|| format!("'{}'", reader.identity().url))?;
                let record = TreeRecord { addressing: graph.addressing, tree };
                record::save(indexes.as_ref(), &key, TREE_RECORD, record.encode()?).await;
                record
            }
        };
        let TreeRecord { addressing, tree } = record;
        Ok(Self { reader, indexes, addressing, tree, tables: Tables::new(), heaps: Heaps::new() })
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
        let frame = self.frame(array, &storage);
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
        let path = normalise(path);
        let table = self.tables.get(&path, || self.load_table(&path, array, storage, frame)).await;
        let table = table.with_context(context)?;
        positions.iter().map(|position| table.locate(position).with_context(context)).collect()
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
    /// As there, and `ResourceExhausted` for more than a gigabyte of text at once.
    pub async fn resolve_texts(&self, references: &[u8]) -> Result<TextBuffer> {
        self.heaps.resolve(self.reader.as_ref(), self.addressing, references).await
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
        let kept = record::load(self.indexes.as_ref(), &key, &name).await;
        if let Some(table) = kept.and_then(|record| ChunkTable::decode(&frame, &record)) {
            return Ok(table);
        }
        let table = self.read_table(array, storage, frame).await?;
        record::save(self.indexes.as_ref(), &key, &name, table.encode()?).await;
        Ok(table)
    }

    async fn read_table(&self, array: &ArrayNode, storage: DatasetStorage, frame: Frame) -> Result<ChunkTable> {
        let chunk_bytes = storage.chunk_bytes(array)?;
        let Layout::Chunked { address: Some(address), index, maximum, .. } = storage.layout else {
            return ChunkTable::build(&frame, Vec::new());
        };
        let indexed = Indexed {
            index,
            address,
            shape: array.shape.clone(),
            maximum,
            chunk_shape: array.chunk_shape.clone(),
            element_size: storage.element_size,
            chunk_bytes,
        };
        let source = Arc::new(BlockSource::new(Arc::clone(&self.reader)));
        let _cancel = walk::CancelOnDrop::new(&source);
        let view = View::new(source, self.addressing);
        walk::blocking(move || ChunkTable::build(&frame, parser::stored_chunks(&view, &indexed)?)).await
    }
}
