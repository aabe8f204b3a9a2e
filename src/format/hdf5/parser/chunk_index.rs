//! The chunk index of one dataset to a list of stored chunks.

use hdf5_reader::chunk_index::{ChunkEntry, collect_implicit_chunk_entries, collect_v2_chunk_entries_storage};
use hdf5_reader::extensible_array::collect_extensible_array_chunk_entries_storage;
use hdf5_reader::fixed_array::collect_fixed_array_chunk_entries_storage;

use super::chunk_tree::tree_chunks;
use super::cursor::is_undefined;
use super::extensible::prefetch_blocks;
use super::view::{View, parser_error};
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
    pub(crate) element_size: u64,
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
    if indexed.index == ChunkIndex::ExtensibleArray {
        prefetch_blocks(view, indexed.address, grid);
    }
    let entries = match &indexed.index {
        ChunkIndex::BTree1 => tree_chunks(view, indexed)?,
        ChunkIndex::Single { length, filter_mask } => vec![ChunkEntry {
            address: indexed.address,
            size: length.unwrap_or(0),
            filter_mask: *filter_mask,
            offsets: vec![0; indexed.shape.len()],
        }],
        _ => crate_chunks(view, indexed)?,
    };
    if entries.len() as u64 > MAX_CHUNKS {
        return Err(too_many());
    }
    let offset_size = view.addressing.offset_size;
    let stored = entries.into_iter().filter(|entry| !is_undefined(entry.address, offset_size)).map(|entry| {
        let length = if entry.size == 0 { indexed.chunk_bytes } else { entry.size };
        StoredChunk { first: entry.offsets, address: entry.address, length, filter_mask: entry.filter_mask }
    });
    Ok(stored.collect())
}

fn crate_chunks(view: &View, indexed: &Indexed) -> Result<Vec<ChunkEntry>> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    let chunk: Vec<u32> = indexed.chunk_shape.iter().map(|length| u32::try_from(*length).unwrap_or(u32::MAX)).collect();
    let (address, shape) = (indexed.address, indexed.shape.as_slice());
    match indexed.index {
        ChunkIndex::BTree2 => {
            let rank = u32::try_from(shape.len()).unwrap_or(u32::MAX);
            collect_v2_chunk_entries_storage(view, address, offset_size, length_size, rank, &chunk, None)
        }
        ChunkIndex::FixedArray => {
            collect_fixed_array_chunk_entries_storage(view, address, offset_size, length_size, shape, &chunk, None)
        }
        ChunkIndex::ExtensibleArray => collect_extensible_array_chunk_entries_storage(
            view,
            address,
            offset_size,
            length_size,
            shape,
            indexed.maximum.as_deref(),
            &chunk,
            None,
        ),
        _ => {
            let size = usize::try_from(indexed.element_size).unwrap_or(usize::MAX);
            collect_implicit_chunk_entries(address, shape, &chunk, size, None, view.end())
        }
    }
    .map_err(|error| parser_error(&error))
}

pub(super) fn too_many() -> Error {
    Error::resource_exhausted(format!("the dataset has more than {MAX_CHUNKS} chunks"))
}
