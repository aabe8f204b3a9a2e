//! Decoded chunks and columns that are asked for again.
//!
//! Sits beside reading. Chunks of arrays that are read whole and often (pointers, categories, columns)
//! are kept at once, others when they are asked for a second time; who asks for a chunk that is being
//! decoded waits for it instead of fetching it as well. What may change under the same name is never
//! kept. Parts of unfiltered chunks are not either: there is nothing to decode.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};

use crate::error::Result;
use crate::format::Hierarchy;
use crate::format::anndata::meaning::Column;
use crate::model::chunk::{ChunkPosition, Elements};
use crate::model::shared_cache::{Claim, SharedCache, Sized64, Worth};

/// Largest value that is kept, as a part of the cache: one must not push all others out.
const LARGEST_PART: u64 = 4;

/// Which chunk or column of which version of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DecodedKey {
    /// The contents, and the path in them.
    of: Arc<str>,
    /// The chunk; none for a whole column.
    position: Option<ChunkPosition>,
}

/// What is kept.
#[derive(Clone, Debug)]
pub enum Decoded {
    /// The elements of one chunk.
    Chunk(Arc<Elements>),
    /// A whole column.
    Column(ArrayRef),
}

impl Decoded {
    /// The elements, of a chunk.
    pub(super) fn chunk(&self) -> Option<&Arc<Elements>> {
        match self {
            Self::Chunk(elements) => Some(elements),
            Self::Column(_) => None,
        }
    }
}

impl Sized64 for Decoded {
    fn bytes(&self) -> u64 {
        match self {
            Self::Chunk(elements) => match elements.as_ref() {
                Elements::Fixed(bytes) => bytes.len() as u64,
                Elements::Text(texts) => (texts.bytes.capacity() + texts.offsets.capacity() * 8) as u64,
            },
            Self::Column(column) => column.get_array_memory_size() as u64,
        }
    }
}

/// The cache of decoded chunks and columns.
pub type ChunkCache = SharedCache<DecodedKey, Decoded>;

/// Whether values of `bytes` bytes can be kept in `cache`.
pub fn fits(cache: &ChunkCache, bytes: u64) -> bool {
    bytes <= cache.capacity() / LARGEST_PART && cache.capacity() > 0
}

/// The name of the array at `path` of `hierarchy` in the cache; none when its contents may change.
pub fn name_of(hierarchy: &Hierarchy, path: &str) -> Option<Arc<str>> {
    let identity = hierarchy.identity().filter(|_| !hierarchy.reads_elsewhere(path));
    identity.map(|identity| format!("{identity}\n{path}").into())
}

/// The name of `column` of `hierarchy` in the cache: by where its values come from, as frames of two views
/// may have the same path. None when its contents may change.
pub fn name_of_column(hierarchy: &Hierarchy, column: &Column) -> Option<Arc<str>> {
    let second = match column {
        Column::Categorical { categories, .. } => Some(categories.as_str()),
        Column::Nullable { mask, .. } => Some(mask.as_str()),
        Column::Array { .. } | Column::Field { .. } | Column::Transposed { .. } => None,
    };
    let mut paths = [Some(column.main_path()), second].into_iter().flatten();
    let identity = hierarchy.identity().filter(|_| !paths.any(|path| hierarchy.reads_elsewhere(path)));
    identity.map(|identity| format!("{identity}\n{column:?}").into())
}

/// The whole column `name`: kept, from whoever reads it already, or by `read`, as is one without a name.
/// The caller's future must be driven to its end or dropped.
///
/// # Errors
/// Those of `read`.
pub async fn kept_column(
    cache: &Arc<ChunkCache>,
    name: Option<Arc<str>>,
    read: impl Future<Output = Result<ArrayRef>> + Send,
) -> Result<ArrayRef> {
    let Some(name) = name else { return read.await };
    loop {
        match cache.claim(DecodedKey { of: Arc::clone(&name), position: None }, Worth::Kept) {
            Claim::Kept(Decoded::Column(column)) => return Ok(column),
            Claim::Kept(Decoded::Chunk(_)) => return read.await,
            Claim::Mine(load) => {
                let column = read.await?;
                load.finish(&Decoded::Column(Arc::clone(&column)));
                return Ok(column);
            }
            Claim::Others(wait) => {
                if let Some(Decoded::Column(column)) = wait.value().await {
                    return Ok(column);
                }
            }
        }
    }
}

/// The key of a chunk of the array `name`.
pub(super) fn chunk_key(name: &Arc<str>, position: &ChunkPosition) -> DecodedKey {
    DecodedKey { of: Arc::clone(name), position: Some(position.clone()) }
}
