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
mod external;
mod filters;
mod header;
mod link;
mod object;
mod source;
mod value;
mod view;

pub(crate) use chunk_index::{Indexed, MAX_CHUNKS, StoredChunk};
pub(crate) use filters::{scaleoffset, scales_by_digits, szip};
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

#[cfg(test)]
mod tests {
    use super::{Arc, BlockSource, Result, View};
    use crate::error::Kind;
    use crate::format::hdf5::tests::memory::MemoryReader;

    #[tokio::test]
    async fn a_parser_that_panics_means_corrupt_metadata() {
        let source = BlockSource::new(Arc::new(MemoryReader::new("x", vec![0; 8])));
        let result: Result<()> = View::guarded(&source, || panic!("parser fault"));
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss);
        assert!(error.message().contains("'memory://x': the metadata is corrupt"), "{error}");
    }

    #[tokio::test]
    async fn reads_cross_blocks_and_end_at_the_end() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|number| (number / 7) as u8).collect();
        let reader = Arc::new(MemoryReader::new("x", bytes.clone()));
        let source = Arc::new(BlockSource::new(Arc::<MemoryReader>::clone(&reader)));
        let reads = move || {
            for (offset, length) in [(0, 0), (65_530, 12), (65_530, 12), (1, 199_999), (199_999, 1), (131_072, 5)] {
                let found = source.read(offset, length).unwrap();
                assert_eq!(found, bytes[offset as usize..offset as usize + length]);
            }
            for (offset, length) in [(200_000, 1), (199_999, 2), (u64::MAX, 1), (0, usize::MAX)] {
                assert_eq!(source.read(offset, length).unwrap_err().kind(), Kind::DataLoss);
            }
        };
        tokio::task::spawn_blocking(reads).await.unwrap();
        assert_eq!(reader.count(), 2, "blocks 0 and 1 together, then 2 and 3 together");
    }
}
