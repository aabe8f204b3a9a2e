//! B-trees of version 1 (format specification, section III.A.1), walked level by level, so that the
//! nodes of a level are fetched together. They index chunks, and symbol tables of groups.

use std::collections::HashSet;

use hdf5_reader::btree_v1::{BTreeV1Key, BTreeV1Node};
use hdf5_reader::io::Cursor as CrateCursor;

use super::chunk_index::{Indexed, MAX_CHUNKS, StoredChunk, too_many};
use super::cursor::is_undefined;
use super::view::{View, parser_error};
use crate::error::{Error, Result};

/// Children of a chunk index node of the default size.
const USUAL_CHUNKS: u64 = 64;
/// Children of a group's node of the default size.
const USUAL_SYMBOL_NODES: u64 = 32;

/// What a tree indexes.
#[derive(Clone, Copy)]
enum Keys {
    /// Names of a group.
    Names,
    /// Chunks of a dataset of this rank.
    Chunks(usize),
}

/// All chunks in the tree of `indexed`.
pub(super) fn tree_chunks(view: &View, indexed: &Indexed) -> Result<Vec<StoredChunk>> {
    let rank = indexed.shape.len();
    let leaves = leaves(view, indexed.address, Keys::Chunks(rank), USUAL_CHUNKS)?;
    let chunks = leaves.into_iter().flat_map(|leaf| leaf.keys.into_iter().zip(leaf.children));
    let stored = chunks.filter_map(|(key, address)| match key {
        BTreeV1Key::RawData { chunk_size, filter_mask, mut offsets } => {
            offsets.truncate(rank);
            Some(StoredChunk { first: offsets, address, length: u64::from(chunk_size), filter_mask })
        }
        BTreeV1Key::Group { .. } => None,
    });
    Ok(stored.collect())
}

/// Addresses of the symbol table nodes in the tree at `address`, in order.
pub(super) fn group_nodes(view: &View, address: u64) -> Result<Vec<u64>> {
    if is_undefined(address, view.addressing.offset_size) {
        return Ok(Vec::new());
    }
    let leaves = leaves(view, address, Keys::Names, USUAL_SYMBOL_NODES)?;
    Ok(leaves.into_iter().flat_map(|leaf| leaf.children).collect())
}

/// The nodes of level 0 below the node at `root`, in order.
fn leaves(view: &View, root: u64, keys: Keys, usual_children: u64) -> Result<Vec<BTreeV1Node>> {
    let usual_bytes = keys.node_bytes(usual_children, view);
    let mut level = vec![root];
    let mut seen = HashSet::new();
    let mut height = None;
    loop {
        view.prefetch(level.iter().copied(), usual_bytes);
        let nodes = view.each(level, |address| {
            if !seen.insert(address) {
                return Err(Error::data_loss(format!("a B-tree comes to its node at {address:#x} twice")));
            }
            let node = keys.node(view, address)?;
            if *height.get_or_insert(node.level) != node.level {
                return Err(Error::data_loss(format!("the B-tree node at {address:#x} is on the wrong level")));
            }
            Ok(node)
        })?;
        let children: usize = nodes.iter().map(|node| node.children.len()).sum();
        if children as u64 > MAX_CHUNKS {
            return Err(too_many());
        }
        match height {
            Some(above @ 1..) => height = Some(above - 1),
            _ => return Ok(nodes),
        }
        level = nodes.into_iter().flat_map(|node| node.children).collect();
    }
}

impl Keys {
    fn node(self, view: &View, address: u64) -> Result<BTreeV1Node> {
        let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
        let (kind, rank) = match self {
            Self::Names => (0, None),
            Self::Chunks(rank) => (1, Some(u32::try_from(rank).unwrap_or(u32::MAX))),
        };
        let head = view.read(address, 8)?;
        let used = match head.as_ref() {
            [b'T', b'R', b'E', b'E', found, _, low, high] if *found == kind => {
                u64::from(u16::from_le_bytes([*low, *high]))
            }
            _ => return Err(Error::data_loss(format!("no B-tree node of kind {kind} at {address:#x}"))),
        };
        let length = usize::try_from(self.node_bytes(used, view)).unwrap_or(usize::MAX);
        let bytes = view.read(address, length)?;
        BTreeV1Node::parse(&mut CrateCursor::new(&bytes), offset_size, length_size, rank)
            .map_err(|error| parser_error(&error))
    }

    fn node_bytes(self, children: u64, view: &View) -> u64 {
        let offset_size = u64::from(view.addressing.offset_size);
        let key = match self {
            Self::Names => u64::from(view.addressing.length_size),
            Self::Chunks(rank) => 8 + 8 * (rank as u64 + 1),
        };
        8 + 2 * offset_size + (children + 1) * key + children * offset_size
    }
}
