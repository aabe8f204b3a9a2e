//! Reads HDF5 metadata. The only place that knows the crate `hdf5-reader`, whose low-level modules
//! do B-trees, heaps and arrays; headers, datatypes and links are read here, because a listing must
//! survive what the crate refuses. Synchronous: every call belongs on a blocking thread, reads nothing
//! that is not in [`Blocks`] and tells what it misses.

use std::sync::Arc;

use bytes::Bytes;

use super::fetch::Outcome;
use super::stored_type::StoredType;
use crate::error::{Error, Result};

mod array_index;
mod attribute;
mod blocks;
mod chunk_index;
mod collections;
mod cursor;
mod dataset;
mod dataspace;
mod datatype;
mod extensible;
mod external;
mod filters;
mod first_tree;
mod fixed_array;
mod header;
mod heap;
mod link;
mod object;
mod second_tree;
mod shared;
mod value;
mod view;

pub(crate) use blocks::{BLOCK_SIZE, Blocks, MAX_METADATA_BYTES};
pub(crate) use chunk_index::{Indexed, MAX_CHUNKS, StoredChunk};
pub(crate) use filters::{scaleoffset, scales_by_digits, szip};
pub(crate) use link::{Link, Target};
pub(crate) use object::Object;
pub(crate) use value::ADDRESS_KEY;
use view::View;
pub(crate) use view::{Addressing, HEAD_BYTES, TAIL_BYTES};

/// Finds the superblock: how addresses count and the address of the root group. Fails with `DataLoss`
/// when there is none, or the file is truncated, with `FailedPrecondition` when it is still written.
pub(crate) fn open(blocks: &Arc<Blocks>) -> Outcome<(Addressing, u64)> {
    View::superblock(blocks)
}

/// The object at `address`. Fails with `DataLoss` when its metadata is corrupt.
pub(crate) fn object(blocks: &Arc<Blocks>, addressing: Addressing, address: u64) -> Outcome<Object> {
    View::parse(blocks, addressing, |view| object::object(view, address))
}

/// All stored chunks of a dataset. Fails with `DataLoss` when its chunk index is corrupt, with
/// `ResourceExhausted` when it is too large.
pub(crate) fn stored_chunks(
    blocks: &Arc<Blocks>,
    addressing: Addressing,
    indexed: &Indexed,
) -> Outcome<Vec<StoredChunk>> {
    View::parse(blocks, addressing, |view| chunk_index::stored_chunks(view, indexed))
}

/// The type in `encoded`, as libhdf5 encodes a type by itself: two bytes, then a datatype message.
///
/// # Errors
/// `DataLoss` for what is no datatype message, `Unimplemented` for one that is not known.
pub(crate) fn encoded_type(encoded: &[u8]) -> Result<StoredType> {
    let message = encoded.get(2..).ok_or_else(|| Error::data_loss("an encoded datatype is cut off"))?;
    datatype::parse(Bytes::copy_from_slice(message))
}

#[cfg(test)]
mod tests {
    use super::{Addressing, Arc, Blocks, Outcome, View};
    use crate::error::Kind;

    #[test]
    fn a_parser_that_panics_means_corrupt_metadata() {
        let blocks = Arc::new(Blocks::new("memory://x", 8));
        let addressing = Addressing { base: 0, offset_size: 8, length_size: 8 };
        let outcome: Outcome<()> = View::parse(&blocks, addressing, |_| panic!("parser fault"));
        let Outcome::Done(Err(error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.kind(), Kind::DataLoss);
        assert!(error.message().contains("'memory://x': the metadata is corrupt"), "{error}");
    }
}
