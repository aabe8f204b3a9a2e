//! Raw blocks of objects on a local disk, for reads that come again after a restart or do not fit in memory.
//!
//! Sits under [`super::pinned_object`], which asks it before the store. One file per block, named by a
//! hash of what it holds, that carries its key and a checksum: any file may be deleted, cut off or
//! overwritten at any time, which costs a request and never an answer. Nothing here knows what a block means.
//!
//! ```text
//! <path>/blocks-v1/3f/3fa9…    "SFBLOCK1" | CRC-32 of the rest | length of the key | key | bytes
//! ```

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use flate2::Crc;
use lru::LruCache;
use sha2::{Digest, Sha256};

use super::reader::ObjectIdentity;
use crate::error::{Error, Result};

/// Version of the files, and the folder that holds them.
const FOLDER: &str = "blocks-v1";
const MAGIC: &[u8; 8] = b"SFBLOCK1";
/// Magic, checksum, length of the key.
const HEAD_BYTES: usize = 16;
/// Bytes counted for a file beside its length: what a file system needs for it.
const ENTRY_BYTES: u64 = 512;

/// What the cache has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Blocks that were there.
    pub hits: u64,
    /// Blocks that were not.
    pub misses: u64,
    /// Files that did not hold what they should, and were removed.
    pub damaged: u64,
    /// Blocks that could not be written.
    pub unwritten: u64,
    /// Bytes of the files now.
    pub bytes: u64,
    /// Most bytes of the files.
    pub capacity: u64,
}

/// Blocks on disk within a number of bytes, the least recently used dropped first. The order of use is
/// known since the start; before that, files count as used when they were written.
pub(crate) struct DiskCache {
    folder: PathBuf,
    capacity: u64,
    files: Mutex<Files>,
    hits: AtomicU64,
    misses: AtomicU64,
    damaged: AtomicU64,
    unwritten: AtomicU64,
}

struct Files {
    lengths: LruCache<String, u64>,
    bytes: u64,
}

impl std::fmt::Debug for DiskCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DiskCache({} of {} bytes)", self.lock().bytes, self.capacity)
    }
}

impl DiskCache {
    /// The cache in the folder `path`, made when it is not there, of at most `capacity` bytes.
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be made or listed.
    pub(crate) fn open(path: &Path, capacity: u64) -> Result<Self> {
        let folder = path.join(FOLDER);
        let failed = |error: std::io::Error| {
            Error::unavailable(format!("disk cache '{}': {}", path.display(), error.kind())).with_source(error)
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut found = listed(&folder).map_err(failed)?;
        found.sort();
        let mut files = Files { lengths: LruCache::unbounded(), bytes: 0 };
        for (_, name, length) in found {
            files.bytes = files.bytes.saturating_add(length.saturating_add(ENTRY_BYTES));
            files.lengths.put(name, length);
        }
        let [hits, misses, damaged, unwritten] = [(); 4].map(|()| AtomicU64::new(0));
        let cache = Self { folder, capacity, files: Mutex::new(files), hits, misses, damaged, unwritten };
        cache.shrink();
        Ok(cache)
    }

    /// Block `block` of the object version, of `length` bytes, if it is there and whole. Blocks the thread.
    pub(crate) fn get(&self, identity: &ObjectIdentity, block: u64, length: usize) -> Option<Bytes> {
        let key = key_of(identity, block);
        let name = name_of(&key);
        let known = self.lock().lengths.get(&name).is_some();
        let found = if known { fs::read(self.path(&name)).ok() } else { None };
        let whole = found.as_ref().and_then(|file| content(file, &key)).filter(|content| content.len() == length);
        match whole {
            Some(content) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                Some(Bytes::copy_from_slice(content))
            }
            None => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                if known {
                    self.damaged.fetch_add(1, Ordering::Relaxed);
                    self.remove(&name);
                }
                None
            }
        }
    }

    /// Keeps a block. Blocks the thread; a disk that fails costs the block, not the answer.
    pub(crate) fn put(&self, identity: &ObjectIdentity, block: u64, content: &[u8]) {
        let key = key_of(identity, block);
        let name = name_of(&key);
        match self.write(&name, &key, content) {
            Ok(length) => {
                let mut files = self.lock();
                files.bytes = files.bytes.saturating_add(length.saturating_add(ENTRY_BYTES));
                if let Some(old) = files.lengths.put(name, length) {
                    files.bytes = files.bytes.saturating_sub(old.saturating_add(ENTRY_BYTES));
                }
            }
            Err(error) => {
                self.unwritten.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "a block was not written to the disk cache");
            }
        }
        self.shrink();
    }

    /// What it has done.
    pub(crate) fn counts(&self) -> DiskCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DiskCounts {
            hits: count(&self.hits),
            misses: count(&self.misses),
            damaged: count(&self.damaged),
            unwritten: count(&self.unwritten),
            bytes: self.lock().bytes,
            capacity: self.capacity,
        }
    }

    /// Writes a file beside its place and moves it there, so that no reader sees half of it.
    fn write(&self, name: &str, key: &[u8], content: &[u8]) -> std::io::Result<u64> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let serial = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let fresh = path.with_extension(format!("{}-{serial}.new", std::process::id()));
        let key_length = u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut crc = Crc::new();
        [&key_length[..], key, content].iter().for_each(|part| crc.update(part));
        let parts = [MAGIC.as_slice(), &crc.sum().to_le_bytes(), &key_length, key, content];
        let written = fs::File::create(&fresh)
            .and_then(|mut file| parts.iter().try_for_each(|part| file.write_all(part)))
            .and_then(|()| fs::rename(&fresh, &path));
        if written.is_err() {
            drop(fs::remove_file(&fresh));
        }
        written.map(|()| parts.iter().map(|part| part.len() as u64).sum())
    }

    /// Removes the least recently used files that are too many.
    fn shrink(&self) {
        loop {
            let name = {
                let mut files = self.lock();
                if files.bytes <= self.capacity {
                    return;
                }
                let Some((name, length)) = files.lengths.pop_lru() else { return };
                files.bytes = files.bytes.saturating_sub(length.saturating_add(ENTRY_BYTES));
                name
            };
            drop(fs::remove_file(self.path(&name)));
        }
    }

    fn remove(&self, name: &str) {
        let mut files = self.lock();
        if let Some(length) = files.lengths.pop(name) {
            files.bytes = files.bytes.saturating_sub(length.saturating_add(ENTRY_BYTES));
        }
        drop(files);
        drop(fs::remove_file(self.path(name)));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name.get(..2).unwrap_or_default()).join(name)
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cache and the blocks of one object version, off the threads that wait for the network.
pub(crate) async fn get_all(
    cache: &Arc<DiskCache>,
    identity: &Arc<ObjectIdentity>,
    blocks: Vec<(u64, usize)>,
) -> Result<Vec<Option<Bytes>>> {
    let (cache, identity) = (Arc::clone(cache), Arc::clone(identity));
    let read = move || blocks.into_iter().map(|(block, length)| cache.get(&identity, block, length)).collect();
    off_runtime(read).await
}

/// Keeps blocks of one object version.
pub(crate) async fn put_all(
    cache: &Arc<DiskCache>,
    identity: &Arc<ObjectIdentity>,
    blocks: Vec<(u64, Bytes)>,
) -> Result<()> {
    let (cache, identity) = (Arc::clone(cache), Arc::clone(identity));
    off_runtime(move || blocks.iter().for_each(|(block, content)| cache.put(&identity, *block, content))).await
}

async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("the disk cache was stopped").with_source(error))
}

/// When each file was written, its name and its length; what a killed server left half is removed.
fn listed(folder: &Path) -> std::io::Result<Vec<(SystemTime, String, u64)>> {
    let mut found = Vec::new();
    for part in fs::read_dir(folder)? {
        let part = part?.path();
        if !part.is_dir() {
            continue;
        }
        for file in fs::read_dir(part)? {
            let file = file?;
            // A file may go while it is listed: another server shares the folder.
            let (Ok(name), Ok(about)) = (file.file_name().into_string(), file.metadata()) else { continue };
            if name.ends_with(".new") {
                drop(fs::remove_file(file.path()));
            } else if about.is_file() && name.len() == 64 {
                found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), name, about.len()));
            }
        }
    }
    Ok(found)
}

fn key_of(identity: &ObjectIdentity, block: u64) -> Vec<u8> {
    format!("{}\n{block}", identity.index_key()).into_bytes()
}

fn name_of(key: &[u8]) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The block in `file`, if the file is whole and holds the block of `key`.
fn content<'a>(file: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = file.split_at_checked(HEAD_BYTES)?;
    let stored = u32::from_le_bytes(head.get(8..12)?.try_into().ok()?);
    let mut crc = Crc::new();
    crc.update(head.get(12..)?);
    crc.update(rest);
    let key_length = u32::from_le_bytes(head.get(12..16)?.try_into().ok()?) as usize;
    let (found, content) = rest.split_at_checked(key_length)?;
    (head.get(..8)? == MAGIC && crc.sum() == stored && found == key).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(etag: &str) -> ObjectIdentity {
        ObjectIdentity { url: "s3://b/k".into(), etag: etag.into(), version: None, size: 1 << 20 }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let parts = fs::read_dir(folder.join(FOLDER)).unwrap();
        parts.flat_map(|part| fs::read_dir(part.unwrap().path()).unwrap()).map(|file| file.unwrap().path()).collect()
    }

    #[test]
    fn blocks_survive_a_restart_and_belong_to_one_version() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(folder.path(), 1 << 20).unwrap();
        cache.put(&identity("a"), 3, b"three");
        drop(cache);
        let cache = DiskCache::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(cache.get(&identity("a"), 3, 5).unwrap(), "three");
        assert!(cache.get(&identity("b"), 3, 5).is_none());
        assert!(cache.get(&identity("a"), 4, 5).is_none());
        let counts = cache.counts();
        assert_eq!((counts.hits, counts.misses, counts.damaged), (1, 2, 0));
    }

    #[test]
    fn the_bound_holds_and_the_least_recently_used_go() {
        let folder = tempfile::tempdir().unwrap();
        let one = 1000 + HEAD_BYTES as u64 + key_of(&identity("a"), 0).len() as u64 + ENTRY_BYTES;
        let cache = DiskCache::open(folder.path(), 3 * one).unwrap();
        (0..3).for_each(|block| cache.put(&identity("a"), block, &[block as u8; 1000]));
        assert!(cache.get(&identity("a"), 0, 1000).is_some());
        cache.put(&identity("a"), 3, &[3; 1000]);
        cache.put(&identity("a"), 3, &[3; 1000]);
        assert_eq!(cache.counts().bytes, 3 * one);
        assert_eq!(files(folder.path()).len(), 3);
        let kept: Vec<_> = (0..4).filter(|block| cache.get(&identity("a"), *block, 1000).is_some()).collect();
        assert_eq!(kept, [0, 2, 3]);
        // A smaller bound holds at once.
        assert_eq!(DiskCache::open(folder.path(), one).unwrap().counts().bytes, one);
        assert_eq!(files(folder.path()).len(), 1);
    }

    /// Every byte of the file counts: no change of one gives another answer.
    #[test]
    fn a_damaged_file_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(folder.path(), 1 << 20).unwrap();
        let put = || {
            cache.put(&identity("a"), 0, b"content of the block");
            files(folder.path()).remove(0)
        };
        let whole = fs::read(put()).unwrap();
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x40;
            fs::write(put(), damaged).unwrap();
            assert!(cache.get(&identity("a"), 0, 20).is_none(), "byte {place}");
        }
        for length in 0..whole.len() {
            fs::write(put(), &whole[..length]).unwrap();
            assert!(cache.get(&identity("a"), 0, 20).is_none(), "{length} bytes");
        }
        fs::remove_file(put()).unwrap();
        assert!(cache.get(&identity("a"), 0, 20).is_none());
        assert_eq!(cache.counts().damaged, 2 * whole.len() as u64 + 1);
        put();
        assert_eq!(cache.get(&identity("a"), 0, 20).unwrap(), "content of the block");
        // A file in another's place does not answer for it.
        let path = put();
        cache.put(&identity("a"), 1, b"another block's text");
        let other = files(folder.path()).into_iter().find(|file| *file != path).unwrap();
        fs::copy(other, path).unwrap();
        assert!(cache.get(&identity("a"), 0, 20).is_none());
    }

    #[test]
    fn a_folder_that_went_costs_blocks_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(folder.path(), 1 << 20).unwrap();
        cache.put(&identity("a"), 0, b"x");
        fs::remove_dir_all(folder.path()).unwrap();
        assert!(cache.get(&identity("a"), 0, 1).is_none());
        fs::write(folder.path(), "no folder").unwrap();
        cache.put(&identity("a"), 0, b"x");
        assert_eq!((cache.counts().unwritten, cache.counts().bytes), (1, 0));
        fs::remove_file(folder.path()).unwrap();
        cache.put(&identity("a"), 0, b"x");
        assert_eq!(cache.get(&identity("a"), 0, 1).unwrap(), "x");
    }
}
