//! What is kept of a dataset beyond its shape and type: where its bytes lie and what was done to
//! them. Travels inside [`ArrayNode::storage`](crate::model::tree::ArrayNode::storage).

use serde::{Deserialize, Serialize};

use super::external::ExternalPiece;
use super::filter::Filter;
use super::number::StoredNumber;
use super::parser::Indexed;
use super::stored_type::{Narrow, Swap};
use crate::error::{Error, Result};
use crate::model::tree::ArrayNode;

/// Storage of one dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatasetStorage {
    /// Where its bytes lie.
    pub(crate) layout: Layout,
    /// Filters of chunked datasets, in the order in which they were applied when written.
    pub(crate) filters: Vec<Filter>,
    /// One stored element for what was never written; zeros when there is none.
    pub(crate) fill: Option<Vec<u8>>,
    /// Bytes of one stored element.
    pub(crate) element_size: u64,
    /// What to reverse in one element to make it little-endian.
    pub(crate) swaps: Vec<Swap>,
    /// Integers of one element of which only some bits count.
    #[serde(default)]
    pub(crate) narrows: Vec<Narrow>,
    /// How elements that are numbers of other widths than Arrow's are read.
    #[serde(default)]
    pub(crate) number: Option<StoredNumber>,
    /// Whether libhdf5 gives elements of the type exactly, converted to one that is served.
    #[serde(default)]
    pub(crate) convertible: bool,
    /// What is to be said of libhdf5 where the dataset is refused. Not kept: it is of this build.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// Where the bytes of a dataset lie. Addresses count from the superblock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Layout {
    /// In the object header.
    Compact {
        /// The stored elements.
        data: Vec<u8>,
    },
    /// In one piece.
    Contiguous {
        /// Its address, none when it was never written.
        address: Option<u64>,
    },
    /// In other objects, in one piece after the other.
    External {
        /// The pieces.
        pieces: Vec<ExternalPiece>,
    },
    /// In other datasets.
    Virtual {
        /// Whether the shape depends on what is there of those datasets.
        unlimited: bool,
    },
    /// Wherever libhdf5 finds them: it is refused here and there it is not.
    Library {},
    /// In chunks with an index.
    Chunked {
        /// Address of the index, or of the only chunk; none when nothing was written.
        address: Option<u64>,
        /// Kind of the index.
        index: ChunkIndex,
        /// Greatest shape the dataset may get; `u64::MAX` for no limit.
        maximum: Option<Vec<u64>>,
        /// Whether chunks that reach over the edge of the dataset are stored without filters.
        plain_edges: bool,
    },
}

/// The six ways of HDF5 to find chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChunkIndex {
    /// B-tree of version 1.
    BTree1,
    /// B-tree of version 2.
    BTree2,
    /// Fixed array.
    FixedArray,
    /// Extensible array.
    ExtensibleArray,
    /// Chunks back to back.
    Implicit,
    /// The only chunk.
    Single {
        /// Its stored bytes; none when it has no filters.
        length: Option<u64>,
        /// Its filter mask.
        filter_mask: u32,
    },
}

impl DatasetStorage {
    /// The chunk index of `array`, which is stored like this; none where nothing was written or there are no chunks.
    ///
    /// # Errors
    /// As [`Self::chunk_bytes`].
    pub(crate) fn indexed(&self, array: &ArrayNode) -> Result<Option<Indexed>> {
        let chunk_bytes = self.chunk_bytes(array)?;
        let Layout::Chunked { address: Some(address), index, maximum, .. } = &self.layout else { return Ok(None) };
        Ok(Some(Indexed {
            index: index.clone(),
            address: *address,
            shape: array.shape.clone(),
            maximum: maximum.clone(),
            chunk_shape: array.chunk_shape.clone(),
            chunk_bytes,
        }))
    }

    /// The storage of `array`.
    ///
    /// # Errors
    /// `Internal` when the node was not made by this module.
    pub(crate) fn of(array: &ArrayNode) -> Result<Self> {
        Self::deserialize(&array.storage)
            .map_err(|error| Error::internal("the storage of an HDF5 dataset is not readable").with_source(error))
    }

    /// A filter that cannot be undone here. None where nothing was ever written.
    pub(crate) fn unserved_filter(&self) -> Option<&Filter> {
        if matches!(self.layout, Layout::Chunked { address: None, .. }) {
            return None;
        }
        self.filters.iter().find(|filter| !filter.is_served())
    }

    /// Whether its elements lie in other objects, or are read by libhdf5.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self.layout, Layout::External { .. } | Layout::Virtual { .. } | Layout::Library {})
    }

    /// Bytes of one stored chunk before filters.
    ///
    /// # Errors
    /// `DataLoss` when they do not fit in 64 bits.
    pub(crate) fn chunk_bytes(&self, array: &ArrayNode) -> Result<u64> {
        array
            .chunk_shape
            .iter()
            .try_fold(self.element_size, |total, length| total.checked_mul(*length))
            .ok_or_else(|| Error::data_loss(format!("a chunk of {:?} elements has no size", array.chunk_shape)))
    }
}
