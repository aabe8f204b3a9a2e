//! The indexes of shards: read once, decoded, checked, and kept within a bound.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use tokio::sync::OnceCell;
use zarrs::array::codec::api::{ArrayToBytesCodecTraits, CodecOptions};
use zarrs::array::data_type::uint64;
use zarrs::array::{CodecChain, FillValue};
use zarrs::metadata::v3::MetadataV3;

use super::shard::Sharding;
use crate::error::{Error, Result};
use crate::storage::reader::{Edge, FolderReader, Known};

/// Bytes of shard indexes kept per store, as far as more than one is kept.
pub const MAX_KEPT_INDEX_BYTES: u64 = 64 << 20;

/// What a kept index takes beside its entries and its name.
const OVERHEAD_BYTES: u64 = 200;

/// Offset and length of an inner chunk that was never written.
const NEVER_WRITTEN: u64 = u64::MAX;

/// Where the inner chunks of one shard lie.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShardIndex {
    /// Offset and length of each inner chunk, 8 bytes each in this machine's order.
    entries: Bytes,
    /// Of the shard, in bytes.
    shard_bytes: u64,
}

impl ShardIndex {
    /// The bytes of the inner chunk at `place` of the shard `path`; `None` if it was never written.
    ///
    /// # Errors
    /// `DataLoss` naming the shard when they lie outside it.
    pub(super) fn chunk(&self, path: &str, place: u64) -> Result<Option<Range<u64>>> {
        let number = |which: u64| {
            let start = usize::try_from(place.checked_mul(2)?.checked_add(which)?.checked_mul(8)?).ok()?;
            let bytes = self.entries.get(start..start.checked_add(8)?)?;
            Some(u64::from_ne_bytes(bytes.try_into().ok()?))
        };
        let entry = number(0).zip(number(1));
        let (offset, length) =
            entry.ok_or_else(|| Error::internal(format!("shard '{path}' has no inner chunk {place}")))?;
        if (offset, length) == (NEVER_WRITTEN, NEVER_WRITTEN) {
            return Ok(None);
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.shard_bytes && length > 0 => Ok(Some(offset..end)),
            _ => Err(Error::data_loss(format!(
                "shard '{path}' of {} bytes is corrupt: its inner chunk {place} has {length} bytes at {offset}",
                self.shard_bytes
            ))),
        }
    }

    /// Bytes of the shard.
    pub(super) fn shard_bytes(&self) -> u64 {
        self.shard_bytes
    }

    fn memory(&self) -> u64 {
        self.entries.len() as u64
    }
}

/// The index of the shard at `path`; `None` when there is no such shard.
///
/// # Errors
/// `DataLoss` naming the shard when it is shorter than its index or the index is corrupt, and the
/// errors of reading.
async fn read(folder: &dyn FolderReader, path: &str, sharding: &Sharding) -> Result<Option<ShardIndex>> {
    let edge = if sharding.index_at_start { Edge::Start } else { Edge::End };
    let context = |error: Error| error.context(format!("index of shard '{path}'"));
    let found = folder.read_edge(path, edge, sharding.index_bytes).await.map_err(context)?;
    let Some((encoded, shard_bytes)) = found else { return Ok(None) };
    let entries = decode(&encoded, sharding).map_err(context)?;
    Ok(Some(ShardIndex { entries, shard_bytes }))
}

/// The entries of an index; its checksum is checked.
fn decode(encoded: &[u8], sharding: &Sharding) -> Result<Bytes> {
    let corrupt = |what: String| Error::data_loss(format!("it is corrupt: {what}"));
    let codecs: Vec<MetadataV3> =
        serde_json::from_value(sharding.index_codecs.clone()).map_err(|error| corrupt(error.to_string()))?;
    let chain = CodecChain::from_metadata(&codecs).map_err(|error| corrupt(error.to_string()))?;
    let lengths = sharding.chunks_per_shard.iter().copied().chain([2]);
    let shape: Vec<NonZeroU64> = lengths.filter_map(NonZeroU64::new).collect();
    let options = CodecOptions::default().with_concurrent_target(1).with_validate_checksums(true);
    let fill = FillValue::from(NEVER_WRITTEN);
    let decode = || chain.decode(Cow::Borrowed(encoded), &shape, &uint64(), &fill, &options);
    let decoded = catch_unwind(AssertUnwindSafe(decode))
        .map_err(|_| corrupt("the codec met bytes it cannot handle".into()))?
        .map_err(|error| corrupt(error.to_string()))?;
    let bytes = decoded.into_fixed().map_err(|error| corrupt(error.to_string()))?;
    let expected: u64 = shape.iter().fold(8, |total, length| total.saturating_mul(length.get()));
    if bytes.len() as u64 != expected {
        return Err(corrupt(format!("{} bytes were decoded, expected {expected}", bytes.len())));
    }
    Ok(Bytes::from(bytes.into_owned()))
}

type Slot = Arc<OnceCell<Option<Arc<ShardIndex>>>>;

/// The shard indexes of one store.
#[derive(Debug)]
pub(super) struct ShardIndexes {
    kept: Mutex<Kept>,
    most_bytes: u64,
}

#[derive(Debug)]
struct Kept {
    /// By path of the shard, with the bytes that each counts for.
    slots: LruCache<String, (Slot, u64)>,
    bytes: u64,
}

impl ShardIndexes {
    /// None yet; `most_bytes` are kept, as far as more than one index is.
    pub(super) fn new(most_bytes: u64) -> Self {
        Self { kept: Mutex::new(Kept { slots: LruCache::unbounded(), bytes: 0 }), most_bytes }
    }

    /// The index of the shard at `path`; `None` when there is no such shard. Callers at the same time
    /// read once. Of a store that is not pinned no index is kept: a shard that was written anew would be
    /// read by the places of the old one.
    ///
    /// # Errors
    /// `DataLoss` naming the shard when it is shorter than its index or the index is corrupt, and the
    /// errors of reading.
    pub(super) async fn get(
        &self,
        folder: &dyn FolderReader,
        path: &str,
        sharding: &Sharding,
    ) -> Result<Option<Arc<ShardIndex>>> {
        match folder.known(path) {
            Known::Absent => return Ok(None),
            Known::Nothing => return Ok(read(folder, path, sharding).await?.map(Arc::new)),
            Known::Size(_) => {}
        }
        let slot = self.slot(path);
        if let Some(index) = slot.get() {
            return Ok(index.clone());
        }
        let load = || async { Ok(read(folder, path, sharding).await?.map(Arc::new)) };
        let index = slot.get_or_try_init(load).await?.clone();
        self.count(path, &slot, index.as_ref().map_or(0, |index| index.memory()));
        Ok(index)
    }

    fn slot(&self, path: &str) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((slot, _)) = kept.slots.get(path) {
            return Arc::clone(slot);
        }
        let slot = Slot::default();
        let bytes = OVERHEAD_BYTES.saturating_add(path.len() as u64);
        kept.slots.put(path.to_owned(), (Arc::clone(&slot), bytes));
        kept.bytes = kept.bytes.saturating_add(bytes);
        kept.evict(self.most_bytes);
        slot
    }

    /// Counts what `slot` has come to hold, once, if it is still kept.
    fn count(&self, path: &str, slot: &Slot, memory: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((found, bytes)) = kept.slots.peek_mut(path) else { return };
        let counted = OVERHEAD_BYTES.saturating_add(path.len() as u64).saturating_add(memory);
        if !Arc::ptr_eq(found, slot) || *bytes == counted {
            return;
        }
        *bytes = counted;
        kept.bytes = kept.bytes.saturating_add(memory);
        kept.evict(self.most_bytes);
    }

    /// Bytes kept now.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl Kept {
    fn evict(&mut self, most: u64) {
        while self.bytes > most && self.slots.len() > 1 {
            let Some((_, (_, bytes))) = self.slots.pop_lru() else { return };
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}
