//! Deflated entries, and checksums of whole entries. What is inflated to be read in parts is kept within
//! a bound.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use libdeflater::Decompressor;
use lru::LruCache;
use tokio::sync::OnceCell;

use super::directory::Entry;
use crate::error::{Error, Result};

/// Largest deflated entry that is read, in bytes of its content.
pub const MAX_INFLATED_BYTES: u64 = 1 << 30;
/// Bytes of inflated entries that are kept per archive, to be read in parts; larger ones are not read
/// in parts.
pub const MAX_KEPT_INFLATED_BYTES: u64 = 64 << 20;

/// Deflate cannot make content smaller than by this factor.
const LARGEST_RATIO: u64 = 1032;
/// Content above so many bytes is worked on away from the runtime's threads.
const MAX_INLINE_BYTES: usize = 64 << 10;

/// Whether the size that the directory announces for a deflated entry is possible and allowed.
///
/// # Errors
/// `DataLoss` when no deflated bytes of this length have that content, `ResourceExhausted` above the
/// limit.
pub(super) fn check_size(entry: &Entry) -> Result<()> {
    if entry.size > MAX_INFLATED_BYTES {
        return Err(Error::resource_exhausted(format!(
            "deflated entry '{}' has {} bytes, the limit (MAX_INFLATED_BYTES) is {MAX_INFLATED_BYTES}",
            entry.name, entry.size
        )));
    }
    if entry.size > entry.compressed.saturating_mul(LARGEST_RATIO) {
        return Err(Error::data_loss(format!(
            "entry '{}' is damaged: {} deflated bytes cannot hold {}",
            entry.name, entry.compressed, entry.size
        )));
    }
    Ok(())
}

/// The content of `entry`; it has the announced size and checksum.
///
/// # Errors
/// `DataLoss` naming the entry when it has not.
pub(super) async fn inflate(deflated: Bytes, entry: &Entry) -> Result<Bytes> {
    let size = usize::try_from(entry.size).unwrap_or(usize::MAX);
    let inflate = move || {
        let mut content = Vec::new();
        content.try_reserve_exact(size).map_err(|_| "its memory cannot be had".to_owned())?;
        content.resize(size, 0);
        let found = Decompressor::new().deflate_decompress(&deflated, &mut content);
        match found {
            Ok(found) if found == size => Ok(Bytes::from(content)),
            Ok(found) => Err(format!("it inflates to {found} bytes, expected {size}")),
            Err(error) => Err(error.to_string()),
        }
    };
    let content = if size <= MAX_INLINE_BYTES { inflate() } else { away(inflate).await? };
    let content = content.map_err(|what| damaged(entry, &what))?;
    check_sum(content, entry).await
}

/// `content`, if it has the checksum of `entry`.
///
/// # Errors
/// `DataLoss` naming the entry when it has not.
pub(super) async fn check_sum(content: Bytes, entry: &Entry) -> Result<Bytes> {
    let found = if content.len() <= MAX_INLINE_BYTES {
        libdeflater::crc32(&content)
    } else {
        let content = content.clone();
        away(move || libdeflater::crc32(&content)).await?
    };
    if found == entry.checksum {
        return Ok(content);
    }
    Err(damaged(entry, &format!("its checksum is {found:08x}, expected {:08x}", entry.checksum)))
}

/// Runs `work` on a thread that may block.
pub(super) async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("work on a zip archive stopped").with_source(error))
}

fn damaged(entry: &Entry, what: &str) -> Error {
    Error::data_loss(format!("entry '{}' is damaged: {what}", entry.name))
}

type Slot = Arc<OnceCell<Bytes>>;

/// Inflated entries by their place in the directory.
#[derive(Debug)]
pub(super) struct Inflated(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    slots: LruCache<usize, (Slot, u64)>,
    bytes: u64,
}

impl Default for Inflated {
    fn default() -> Self {
        Self(Mutex::new(Kept { slots: LruCache::unbounded(), bytes: 0 }))
    }
}

impl Inflated {
    /// The content of `entry`, which `load` inflates unless it is kept; callers at the same time inflate
    /// once.
    ///
    /// # Errors
    /// `Unimplemented` for an entry that is too large to be kept, and the errors of `load`.
    pub(super) async fn get<F>(&self, index: usize, entry: &Entry, load: impl FnOnce() -> F) -> Result<Bytes>
    where
        F: Future<Output = Result<Bytes>>,
    {
        if entry.size > MAX_KEPT_INFLATED_BYTES {
            return Err(Error::unimplemented(format!(
                "parts of deflated entry '{}' of {} bytes are not read, the limit (MAX_KEPT_INFLATED_BYTES) is {MAX_KEPT_INFLATED_BYTES}: store it uncompressed",
                entry.name, entry.size
            )));
        }
        let slot = self.slot(index, entry.size);
        slot.get_or_try_init(load).await.cloned()
    }

    fn slot(&self, index: usize, size: u64) -> Slot {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((slot, _)) = kept.slots.get(&index) {
            return Arc::clone(slot);
        }
        let slot = Slot::default();
        kept.slots.put(index, (Arc::clone(&slot), size));
        kept.bytes = kept.bytes.saturating_add(size);
        while kept.bytes > MAX_KEPT_INFLATED_BYTES && kept.slots.len() > 1 {
            let Some((_, (_, bytes))) = kept.slots.pop_lru() else { break };
            kept.bytes = kept.bytes.saturating_sub(bytes);
        }
        slot
    }
}
