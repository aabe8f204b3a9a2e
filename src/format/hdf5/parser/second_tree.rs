//! B-trees of version 2 (format specification, section III.A.2): their records as bytes, in order.
//!
//! Nodes of one level are asked for together; every node's checksum is verified.

use std::collections::HashSet;

use bytes::Bytes;
use hdf5_reader::btree_v2::BTreeV2Header;

use super::cursor::Cursor;
use super::view::{View, metadata_checksum, parser_error};
use crate::error::{Error, Result};

/// Levels below the root at most.
const MAX_DEPTH: u16 = 32;
/// Signature, version and kind before the records of a node.
const LEAD_BYTES: usize = 6;
/// The lead and the checksum.
const NODE_OVERHEAD: u64 = 10;

/// A tree whose header is read.
#[derive(Debug)]
pub(super) struct SecondTree {
    header: BTreeV2Header,
}

/// A node as its parent knows it.
#[derive(Clone, Copy)]
struct Child {
    address: u64,
    records: u64,
}

struct Walk<'a> {
    view: &'a View,
    header: &'a BTreeV2Header,
    seen: HashSet<u64>,
    records: Vec<Bytes>,
}

impl SecondTree {
    /// The tree whose header lies at `address`.
    pub(super) fn open(view: &View, address: u64) -> Result<Self> {
        let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
        let header = BTreeV2Header::parse_at_storage(view, address, offset_size, length_size)
            .map_err(|error| parser_error(&error))?;
        if header.depth > MAX_DEPTH || header.record_size == 0 || u64::from(header.node_size) <= NODE_OVERHEAD {
            return Err(Error::data_loss(format!(
                "a B-tree of {} levels, nodes of {} and records of {} bytes",
                header.depth, header.node_size, header.record_size
            )));
        }
        Ok(Self { header })
    }

    /// Kind of the records.
    pub(super) fn kind(&self) -> u8 {
        self.header.btree_type
    }

    /// How many records the header announces.
    pub(super) fn count(&self) -> u64 {
        self.header.total_records
    }

    /// All records in order, as many as the header announces.
    pub(super) fn records(&self, view: &View) -> Result<Vec<Bytes>> {
        let header = &self.header;
        if self.count() == 0 {
            return Ok(Vec::new());
        }
        let root = Child { address: header.root_node_address, records: u64::from(header.num_records_in_root) };
        let mut walk = Walk { view, header, seen: HashSet::new(), records: Vec::new() };
        walk.node(root, header.depth)?;
        if walk.records.len() as u64 != self.count() {
            return Err(Error::data_loss(format!(
                "a B-tree of {} records, its header says {}",
                walk.records.len(),
                self.count()
            )));
        }
        Ok(walk.records)
    }
}

impl Walk<'_> {
    fn node(&mut self, node: Child, depth: u16) -> Result<()> {
        if !self.seen.insert(node.address) {
            return Err(Error::data_loss(format!("a B-tree comes to its node at {:#x} twice", node.address)));
        }
        let record_size = usize::from(self.header.record_size);
        let bytes = self.view.read(node.address, self.header.node_size as usize)?;
        let mut cursor = self.lead(&bytes, node.address, depth)?;
        if node.records > self.most_records(depth) || (self.records.len() as u64) > self.header.total_records {
            return Err(Error::data_loss(format!("too many records in the B-tree node at {:#x}", node.address)));
        }
        let records: Vec<Bytes> = (0..node.records).map(|_| cursor.take(record_size)).collect::<Result<_>>()?;
        let children = self.children(&mut cursor, &node, depth)?;
        let end = cursor.position();
        let stored = cursor.u32()?;
        if metadata_checksum(bytes.get(..end).unwrap_or_default()) != stored {
            return Err(Error::data_loss(format!("the B-tree node at {:#x} fails its checksum", node.address)));
        }
        let Some(below) = depth.checked_sub(1) else {
            self.records.extend(records);
            return Ok(());
        };
        let mut separators = records.into_iter();
        let view = self.view;
        view.prefetch(children.iter().map(|child| child.address), u64::from(self.header.node_size));
        view.each(children, |child| {
            self.node(child, below)?;
            self.records.extend(separators.next());
            Ok(())
        })
        .map(drop)
    }

    fn lead(&self, bytes: &Bytes, address: u64, depth: u16) -> Result<Cursor> {
        let signature: &[u8] = if depth == 0 { b"BTLF" } else { b"BTIN" };
        if !bytes.starts_with(signature) || bytes.get(4..LEAD_BYTES) != Some(&[0, self.header.btree_type]) {
            return Err(Error::data_loss(format!("no B-tree node of version 2 at {address:#x}")));
        }
        let mut cursor = Cursor::new(bytes.clone());
        cursor.skip(LEAD_BYTES)?;
        Ok(cursor)
    }

    fn children(&self, cursor: &mut Cursor, node: &Child, depth: u16) -> Result<Vec<Child>> {
        if depth == 0 {
            return Ok(Vec::new());
        }
        let offset_size = self.view.addressing.offset_size;
        let (count_size, total_size) = self.count_sizes(depth);
        let child = |_| {
            let address = cursor.address(offset_size)?;
            let records = cursor.unsigned(count_size)?;
            cursor.skip(total_size)?;
            let address = address.ok_or_else(|| Error::data_loss("a B-tree node has a child nowhere"))?;
            Ok(Child { address, records })
        };
        (0..=node.records).map(child).collect()
    }

    /// Records that fit in a node `depth` levels above the leaves.
    fn most_records(&self, depth: u16) -> u64 {
        let (node, record) = (u64::from(self.header.node_size), u64::from(self.header.record_size));
        if depth == 0 {
            return (node - NODE_OVERHEAD) / record;
        }
        let (count_size, total_size) = self.count_sizes(depth);
        let pointer = u64::from(self.view.addressing.offset_size) + (count_size + total_size) as u64;
        node.saturating_sub(NODE_OVERHEAD + pointer) / (record + pointer)
    }

    /// Bytes of the two numbers behind the address of a child of a node `depth` levels above the leaves:
    /// its records, and all records below it (not of leaves).
    fn count_sizes(&self, depth: u16) -> (usize, usize) {
        let (node, record) = (u64::from(self.header.node_size), u64::from(self.header.record_size));
        let leaf = (node - NODE_OVERHEAD) / record;
        let (count_size, mut total_size, mut below) = (bytes_for(leaf), 0, leaf);
        for _ in 1..depth {
            let pointer = u64::from(self.view.addressing.offset_size) + (count_size + total_size) as u64;
            let records = node.saturating_sub(NODE_OVERHEAD + pointer) / (record + pointer);
            below = (records + 1).saturating_mul(below).saturating_add(records);
            total_size = bytes_for(below);
        }
        (count_size, total_size)
    }
}

fn bytes_for(number: u64) -> usize {
    (number.max(1).ilog2() / 8 + 1) as usize
}
