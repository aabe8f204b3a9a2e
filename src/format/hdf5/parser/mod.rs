//! Reads HDF5 metadata. The only place that knows the crate `hdf5-reader`, whose low-level modules
//! do B-trees, heaps and arrays; headers, datatypes and links are read here, because a listing must
//! survive what the crate refuses. Synchronous: every call belongs on a blocking thread.

use std::sync::Arc;

use crate::error::Result;

mod attribute;
mod chunk_index;
mod chunk_tree;
mod collections;
mod cursor;
mod dataset;
mod dataspace;
mod datatype;
mod extensible;
mod header;
mod link;
mod object;
mod source;
mod value;
mod view;

pub(crate) use chunk_index::{Indexed, MAX_CHUNKS, StoredChunk};
pub(crate) use link::{Link, Target};
pub(crate) use object::Object;
pub(crate) use source::{BlockSource, MAX_REQUESTS};
pub(crate) use value::REFERENCE_KEY;
pub(crate) use view::{Addressing, View};

/// Finds the superblock: the view of the file and the address of its root group.
///
/// # Errors
/// `DataLoss` when there is none, or the file is truncated; `FailedPrecondition` when it is still
/// written; the errors of reading.
pub(crate) fn open(source: &Arc<BlockSource>) -> Result<(View, u64)> {
    View::guarded(source, || View::open(Arc::clone(source)))
}

/// The object at `address`.
///
/// # Errors
/// `DataLoss` when its metadata is corrupt, and the errors of reading.
pub(crate) fn object(view: &View, address: u64) -> Result<Object> {
    View::guarded(&view.source, || object::object(view, address))
}

/// All stored chunks of a dataset.
///
/// # Errors
/// `DataLoss` when its chunk index is corrupt, `ResourceExhausted` when it is too large, and the
/// errors of reading.
pub(crate) fn stored_chunks(view: &View, indexed: &Indexed) -> Result<Vec<StoredChunk>> {
    View::guarded(&view.source, || chunk_index::stored_chunks(view, indexed))
}
