//! The objects of a fractal heap that a B-tree of version 2 lists: links and attributes of objects that
//! have many.

use bytes::Bytes;
use hdf5_reader::fractal_heap::{FractalHeap, FractalHeapDirectBlockCache};

use super::header::kind;
use super::second_tree::SecondTree;
use super::shared;
use super::view::{View, parser_error};
use crate::error::{Error, Result};

/// The objects of the fractal heap at `heap` that the B-tree at `index` lists: dense attributes or
/// links.
pub(super) fn heap_objects(view: &View, heap: u64, index: u64, limit: usize) -> Result<Vec<Bytes>> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    let failed = |error| parser_error(&error);
    view.prefetch([heap, index], 0);
    let heap = FractalHeap::parse_at_storage(view, heap, offset_size, length_size).map_err(failed);
    let identifiers = identifiers(view, index, limit);
    let (heap, identifiers) = (heap?, identifiers?);
    let mut blocks = FractalHeapDirectBlockCache::default();
    view.each(identifiers, |Identifier { bytes: identifier, shared }| {
        if shared {
            return shared::body(view, kind::ATTRIBUTE, &identifier);
        }
        let object = heap.get_object_storage_cached(&identifier, view, offset_size, length_size, &mut blocks);
        object.map(Bytes::from).map_err(failed)
    })
}

/// Flag of a message that lies in the heap of shared messages.
const SHARED: u8 = 2;

/// Which object of a heap.
struct Identifier {
    bytes: Bytes,
    /// Whether the heap is that of the file's shared attributes.
    shared: bool,
}

/// The heap identifiers in the name index at `address`.
fn identifiers(view: &View, address: u64, limit: usize) -> Result<Vec<Identifier>> {
    let tree = SecondTree::open(view, address)?;
    if tree.count() > limit as u64 {
        return Err(Error::resource_exhausted(format!("{} entries, more than {limit}", tree.count())));
    }
    let kind = tree.kind();
    // Section III.A.2: a hash or creation order before the identifier, or flags and numbers behind it.
    let identifier = |record: Bytes| {
        let range = match kind {
            5 => 4..record.len(),
            6 => 8..record.len(),
            8 => 0..record.len().saturating_sub(9),
            9 => 0..record.len().saturating_sub(5),
            _ => return Err(Error::data_loss(format!("a name index holds records of another kind, {kind}"))),
        };
        if range.start >= range.end {
            return Err(Error::data_loss(format!("a record of {} bytes in a name index", record.len())));
        }
        let flags = record.get(range.end).filter(|_| kind >= 8);
        Ok(Identifier { shared: flags.is_some_and(|flags| flags & SHARED != 0), bytes: record.slice(range) })
    };
    tree.records(view)?.into_iter().map(identifier).collect()
}
