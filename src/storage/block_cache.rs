//! Blocks of objects kept in memory, the least recently used dropped first. Knows no store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;

use super::reader::ObjectIdentity;

/// Bytes counted for the bookkeeping of one block.
const ENTRY_BYTES: u64 = 160;

/// A block: which object version, and its place counted in blocks.
pub(crate) type BlockKey = (Arc<ObjectIdentity>, u64);

/// Blocks of all objects, within a number of bytes.
pub(crate) struct BlockCache {
    capacity: u64,
    kept: Mutex<Kept>,
}

struct Kept {
    blocks: LruCache<BlockKey, Bytes>,
    bytes: u64,
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BlockCache({} of {} bytes)", self.bytes(), self.capacity)
    }
}

impl BlockCache {
    /// A cache of at most `capacity` bytes, bookkeeping included.
    pub(crate) fn new(capacity: u64) -> Self {
        Self { capacity, kept: Mutex::new(Kept { blocks: LruCache::unbounded(), bytes: 0 }) }
    }

    pub(crate) fn get(&self, key: &BlockKey) -> Option<Bytes> {
        self.lock().blocks.get(key).cloned()
    }

    /// Keeps a copy of `block`: a slice of a longer answer would keep all of it in memory.
    pub(crate) fn put(&self, key: BlockKey, block: &[u8]) {
        let cost = cost(block.len());
        if cost > self.capacity {
            return;
        }
        let mut kept = self.lock();
        if let Some(old) = kept.blocks.put(key, Bytes::copy_from_slice(block)) {
            kept.bytes = kept.bytes.saturating_sub(self::cost(old.len()));
        }
        kept.bytes = kept.bytes.saturating_add(cost);
        while kept.bytes > self.capacity {
            let Some((_, old)) = kept.blocks.pop_lru() else { break };
            kept.bytes = kept.bytes.saturating_sub(self::cost(old.len()));
        }
    }

    /// Bytes kept now, bookkeeping included.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(length: usize) -> u64 {
    (length as u64).saturating_add(ENTRY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(block: u64) -> BlockKey {
        (Arc::new(ObjectIdentity { url: "s3://b/k".into(), etag: "e".into(), ..ObjectIdentity::default() }), block)
    }

    #[test]
    fn stays_within_its_bytes_and_drops_the_least_recently_used() {
        let cache = BlockCache::new(3 * (100 + ENTRY_BYTES));
        (0..3).for_each(|block| cache.put(key(block), &[block as u8; 100]));
        assert!(cache.get(&key(0)).is_some());
        cache.put(key(3), &[3; 100]);
        assert_eq!(cache.bytes(), 3 * (100 + ENTRY_BYTES));
        let kept: Vec<_> = (0..4).filter(|block| cache.get(&key(*block)).is_some()).collect();
        assert_eq!(kept, [0, 2, 3]);
    }

    #[test]
    fn replacing_a_block_counts_it_once_and_a_giant_is_not_kept() {
        let cache = BlockCache::new(1000);
        cache.put(key(0), &[0; 100]);
        cache.put(key(0), &[1; 200]);
        assert_eq!(cache.bytes(), 200 + ENTRY_BYTES);
        cache.put(key(1), &[0; 1000]);
        assert!(cache.get(&key(1)).is_none() && cache.get(&key(0)).is_some());
    }
}
