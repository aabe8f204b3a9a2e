//! Chunk indexes that are B-trees of version 1, walked level by level, so that the nodes of a level
//! are fetched together.

use std::collections::HashSet;

use hdf5_reader::btree_v1::{BTreeV1Key, BTreeV1Node};
use hdf5_reader::chunk_index::ChunkEntry;
use hdf5_reader::io::Cursor as CrateCursor;

use super::chunk_index::{Indexed, MAX_CHUNKS, too_many};
use super::view::{View, parser_error};
use crate::error::{Error, Result};

/// Children of a node of the default size.
const USUAL_CHILDREN: u64 = 64;

/// All chunks in the tree of `indexed`.
pub(super) fn tree_chunks(view: &View, indexed: &Indexed) -> Result<Vec<ChunkEntry>> {
    let rank = indexed.shape.len();
    let usual_bytes = node_bytes(USUAL_CHILDREN, rank, view.addressing.offset_size);
    let mut level = vec![indexed.address];
    let mut seen = HashSet::new();
    let mut expected_height = None;
    let mut entries = Vec::new();
    while !level.is_empty() {
        view.prefetch(level.iter().copied(), usual_bytes);
        let mut below = Vec::new();
        for address in level {
            if !seen.insert(address) {
                return Err(Error::data_loss(format!("the chunk index comes to its node at {address:#x} twice")));
            }
            let node = node(view, address, rank)?;
            if *expected_height.get_or_insert(node.level) != node.level {
                return Err(Error::data_loss(format!("the chunk index node at {address:#x} is on the wrong level")));
            }
            if node.level > 0 {
                below.extend(node.children)
            } else {
                entries.extend(leaf_chunks(node, rank))
            }
            if (entries.len() + below.len()) as u64 > MAX_CHUNKS {
                return Err(too_many());
            }
        }
        // Below level 0 there is nothing, so the subtraction never wraps.
        expected_height = expected_height.map(|height| height.saturating_sub(1));
        level = below;
    }
    Ok(entries)
}

fn node(view: &View, address: u64, rank: usize) -> Result<BTreeV1Node> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    let head = view.read(address, 8)?;
    let used = match head.as_ref() {
        [b'T', b'R', b'E', b'E', 1, _, low, high] => u64::from(u16::from_le_bytes([*low, *high])),
        _ => return Err(Error::data_loss(format!("no chunk index node at {address:#x}"))),
    };
    let length = usize::try_from(node_bytes(used, rank, offset_size)).unwrap_or(usize::MAX);
    let bytes = view.read(address, length)?;
    let rank = u32::try_from(rank).unwrap_or(u32::MAX);
    BTreeV1Node::parse(&mut CrateCursor::new(&bytes), offset_size, length_size, Some(rank))
        .map_err(|error| parser_error(&error))
}

fn leaf_chunks(node: BTreeV1Node, rank: usize) -> impl Iterator<Item = ChunkEntry> {
    node.keys.into_iter().zip(node.children).filter_map(move |(key, address)| match key {
        BTreeV1Key::RawData { chunk_size, filter_mask, mut offsets } => {
            offsets.truncate(rank);
            Some(ChunkEntry { address, size: u64::from(chunk_size), filter_mask, offsets })
        }
        BTreeV1Key::Group { .. } => None,
    })
}

fn node_bytes(children: u64, rank: usize, offset_size: u8) -> u64 {
    let key = 8 + 8 * (rank as u64 + 1);
    8 + 2 * u64::from(offset_size) + (children + 1) * key + children * u64::from(offset_size)
}
