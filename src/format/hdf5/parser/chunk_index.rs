//! The chunk index of one dataset to a list of stored chunks.

use bytes::Bytes;

use super::array_index::Numbering;
use super::cursor::{Cursor, is_undefined};
use super::extensible::extensible_chunks;
use super::first_tree::tree_chunks;
use super::fixed_array::fixed_chunks;
use super::second_tree::SecondTree;
use super::view::View;
use crate::error::{Error, Result};
use crate::format::hdf5::dataset::ChunkIndex;

/// Chunks of one dataset at most.
pub(crate) const MAX_CHUNKS: u64 = 1 << 24;

/// A dataset whose index is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Indexed {
    pub(crate) index: ChunkIndex,
    pub(crate) address: u64,
    pub(crate) shape: Vec<u64>,
    pub(crate) maximum: Option<Vec<u64>>,
    pub(crate) chunk_shape: Vec<u64>,
    /// Bytes of one chunk without filters.
    pub(crate) chunk_bytes: u64,
}

/// One stored chunk: its first element, its place (counted from the superblock) and its filter mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredChunk {
    pub(crate) first: Vec<u64>,
    pub(crate) address: u64,
    pub(crate) length: u64,
    pub(crate) filter_mask: u32,
}

/// All stored chunks of a dataset.
pub(super) fn stored_chunks(view: &View, indexed: &Indexed) -> Result<Vec<StoredChunk>> {
    let grid: u64 = indexed
        .shape
        .iter()
        .zip(&indexed.chunk_shape)
        .fold(1, |total: u64, (length, chunk)| total.saturating_mul(length.div_ceil((*chunk).max(1))));
    if grid == 0 {
        return Ok(Vec::new());
    }
    let dense = matches!(indexed.index, ChunkIndex::FixedArray | ChunkIndex::ExtensibleArray | ChunkIndex::Implicit);
    if dense && grid > MAX_CHUNKS {
        return Err(too_many());
    }
    let mut chunks = match &indexed.index {
        ChunkIndex::BTree1 => tree_chunks(view, indexed)?,
        ChunkIndex::BTree2 => record_chunks(view, indexed)?,
        ChunkIndex::FixedArray => fixed_chunks(view, indexed)?,
        ChunkIndex::ExtensibleArray => extensible_chunks(view, indexed)?,
        ChunkIndex::Implicit => implicit_chunks(indexed)?,
        ChunkIndex::Single { length, filter_mask } => vec![StoredChunk {
            first: vec![0; indexed.shape.len()],
            address: indexed.address,
            length: length.unwrap_or(indexed.chunk_bytes),
            filter_mask: *filter_mask,
        }],
    };
    let offset_size = view.addressing.offset_size;
    chunks.retain(|chunk| !is_undefined(chunk.address, offset_size));
    Ok(chunks)
}

/// Chunks in a B-tree of version 2: records of kind 10, or of kind 11 with filters.
fn record_chunks(view: &View, indexed: &Indexed) -> Result<Vec<StoredChunk>> {
    let tree = SecondTree::open(view, indexed.address)?;
    if tree.count() > MAX_CHUNKS {
        return Err(too_many());
    }
    let (offset_size, rank) = (usize::from(view.addressing.offset_size), indexed.shape.len());
    let kind = tree.kind();
    let chunk = |record: Bytes| {
        // What is not address, filter mask and positions is the size of the chunk.
        let rest = record.len().checked_sub(offset_size + 8 * rank).ok_or_else(|| bad_record(kind, &record))?;
        let mut cursor = Cursor::new(record.clone());
        let address = cursor.unsigned(offset_size)?;
        let (length, filter_mask) = match (kind, rest) {
            (10, 0) => (indexed.chunk_bytes, 0),
            (11, 5..=12) => (cursor.unsigned(rest - 4)?, cursor.u32()?),
            _ => return Err(bad_record(kind, &record)),
        };
        let first = indexed.chunk_shape.iter().map(|chunk| {
            let at = cursor.unsigned(8)?.checked_mul(*chunk);
            at.ok_or_else(|| Error::data_loss("the place of a chunk does not fit in 64 bits"))
        });
        Ok(StoredChunk { first: first.collect::<Result<_>>()?, address, length, filter_mask })
    };
    tree.records(view)?.into_iter().map(chunk).collect()
}

fn bad_record(kind: u8, record: &Bytes) -> Error {
    Error::data_loss(format!("a chunk index with records of kind {kind} and {} bytes", record.len()))
}

/// Chunks back to back, numbered over the greatest shape.
fn implicit_chunks(indexed: &Indexed) -> Result<Vec<StoredChunk>> {
    let numbering = Numbering::new(indexed, false);
    let chunk = |position: Vec<u64>| {
        let offset = numbering.number(&position)?.checked_mul(indexed.chunk_bytes);
        let address = offset.and_then(|offset| offset.checked_add(indexed.address));
        let address = address.ok_or_else(|| Error::data_loss("chunks back to back that no file can hold"))?;
        let first = position.iter().zip(&indexed.chunk_shape).map(|(at, chunk)| at.saturating_mul(*chunk)).collect();
        Ok(StoredChunk { first, address, length: indexed.chunk_bytes, filter_mask: 0 })
    };
    numbering.positions().map(chunk).collect()
}

pub(super) fn too_many() -> Error {
    Error::resource_exhausted(format!("the dataset has more than {MAX_CHUNKS} chunks"))
}
