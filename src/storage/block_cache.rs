//! Blocks of objects kept in memory. Knows no store.

use std::sync::Arc;

use bytes::Bytes;

use super::reader::ObjectIdentity;
use crate::model::shared_cache::SharedCache;

/// A block: which object version, and its place counted in blocks.
pub(crate) type BlockKey = (Arc<ObjectIdentity>, u64);

/// Blocks of all objects, within a number of bytes; each is fetched once, however many ask for it.
pub(crate) type BlockCache = SharedCache<BlockKey, Bytes>;
