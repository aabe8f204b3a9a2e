//! The bytes of one file that are here already, in blocks.
//!
//! Sits between the parser, which never waits, and [`Fetches`](super::super::fetch::Fetches), which
//! never interprets. A read of what is not here fails and is noted as missing; the caller fetches the
//! missing blocks and parses again. Lives for one parse: nothing is ever dropped, and the whole is
//! bounded by [`MAX_METADATA_BYTES`].

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};

use crate::error::{Error, Kind, Result};

/// Bytes of one block.
pub(crate) const BLOCK_SIZE: u64 = 64 * 1024;
/// Metadata that one parse may hold in memory.
pub(crate) const MAX_METADATA_BYTES: u64 = 512 * 1024 * 1024;
/// Blocks of them.
const MAX_BLOCKS: usize = (MAX_METADATA_BYTES / BLOCK_SIZE) as usize;

/// Blocks of one file by number.
pub(crate) struct Blocks {
    url: String,
    size: u64,
    ready: RwLock<HashMap<u64, Bytes>>,
}

/// Numbers of blocks that a parse asked for in vain.
#[derive(Debug, Default)]
pub(crate) struct Missing(Mutex<BTreeSet<u64>>);

impl fmt::Debug for Blocks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Blocks").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Blocks {
    /// No blocks of an object of `size` bytes; `url` is for messages.
    pub(crate) fn new(url: &str, size: u64) -> Self {
        Self { url: url.to_owned(), size, ready: RwLock::default() }
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// URL of the file, for messages.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The bytes of `blocks`; the last of the file is shorter than the others.
    pub(crate) fn range(&self, blocks: &Range<u64>) -> Range<u64> {
        let end = blocks.end.saturating_mul(BLOCK_SIZE).min(self.size);
        blocks.start.saturating_mul(BLOCK_SIZE).min(end)..end
    }

    /// Takes the bytes of `blocks`, which are those of [`Blocks::range`].
    pub(crate) fn put(&self, blocks: Range<u64>, bytes: Bytes) {
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        let mut rest = bytes;
        for block in blocks {
            let part = rest.split_to(rest.len().min(BLOCK_SIZE as usize));
            ready.insert(block, part);
        }
    }

    /// Whether `block` is here.
    pub(crate) fn has(&self, block: u64) -> bool {
        self.ready.read().unwrap_or_else(PoisonError::into_inner).contains_key(&block)
    }

    /// `length` bytes at `offset`.
    ///
    /// # Errors
    /// `DataLoss` when the range lies outside the file, `ResourceExhausted` when it is larger than all
    /// metadata may be; of `Unavailable` when blocks are missing, which are added to `missing`.
    pub(crate) fn read(&self, offset: u64, length: usize, missing: &Missing) -> Result<Bytes> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.size).ok_or_else(|| {
            Error::data_loss(format!(
                "'{}': metadata at byte {offset} needs {length} bytes, the object has {} bytes",
                self.url, self.size
            ))
        })?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        if length as u64 > MAX_METADATA_BYTES {
            return Err(self.too_much());
        }
        let blocks = offset / BLOCK_SIZE..(end - 1) / BLOCK_SIZE + 1;
        self.want(blocks.clone(), missing)?;
        let start = (offset % BLOCK_SIZE) as usize;
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        let of = |block: u64| ready.get(&block).ok_or_else(not_here);
        let joined = if blocks.end - blocks.start == 1 {
            of(blocks.start)?.clone()
        } else {
            let mut joined = BytesMut::new();
            for block in blocks {
                joined.extend_from_slice(of(block)?);
            }
            joined.freeze()
        };
        match start.checked_add(length) {
            Some(end) if end <= joined.len() => Ok(joined.slice(start..end)),
            _ => Err(Error::internal("blocks are short")),
        }
    }

    /// Notes the blocks of `length` bytes at `offset`, as far as the file goes, that are not here.
    pub(crate) fn expect(&self, offset: u64, length: u64, missing: &Missing) {
        let last = self.size.saturating_sub(1);
        if offset <= last {
            let end = offset.saturating_add(length.saturating_sub(1)).min(last);
            // Too many are refused by the read that needs them.
            drop(self.want(offset / BLOCK_SIZE..end / BLOCK_SIZE + 1, missing));
        }
    }

    fn want(&self, blocks: Range<u64>, missing: &Missing) -> Result<()> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        let mut absent = blocks.filter(|block| !ready.contains_key(block)).peekable();
        if absent.peek().is_none() {
            return Ok(());
        }
        let mut missing = missing.lock();
        for block in absent {
            if missing.len() >= MAX_BLOCKS {
                return Err(self.too_much());
            }
            missing.insert(block);
        }
        Err(not_here())
    }

    /// The error for more metadata than may be held.
    pub(crate) fn too_much(&self) -> Error {
        Error::resource_exhausted(format!(
            "'{}' needs more than {MAX_METADATA_BYTES} bytes of metadata at once",
            self.url
        ))
    }
}

impl Missing {
    /// Whether nothing was missing.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The missing blocks, ascending.
    pub(crate) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only a parse that is done again ever sees this.
fn not_here() -> Error {
    Error::new(Kind::Unavailable, "metadata is not here yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cross_blocks_end_at_the_end_and_tell_what_is_missing() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|number| (number / 7) as u8).collect();
        let blocks = Blocks::new("memory://x", bytes.len() as u64);
        let missing = Missing::default();
        assert!(blocks.read(65_530, 12, &missing).is_err());
        assert_eq!(missing.take(), [0, 1]);
        blocks.put(0..2, Bytes::copy_from_slice(&bytes[..131_072]));
        assert!(blocks.read(1, 199_999, &missing).is_err());
        blocks.expect(199_990, 5_000, &missing);
        blocks.expect(200_000, 1, &missing);
        assert_eq!(missing.take(), [2, 3]);
        blocks.put(2..4, Bytes::copy_from_slice(&bytes[blocks.range(&(2..4)).start as usize..]));
        for (offset, length) in [(0, 0), (65_530, 12), (1, 199_999), (199_999, 1), (131_072, 5)] {
            let found = blocks.read(offset, length, &missing).unwrap();
            assert_eq!(found, bytes[offset as usize..offset as usize + length]);
        }
        for (offset, length) in [(200_000, 1), (199_999, 2), (u64::MAX, 1), (0, usize::MAX)] {
            assert_eq!(blocks.read(offset, length, &missing).unwrap_err().kind(), Kind::DataLoss);
        }
        assert!(missing.is_empty());
    }

    #[test]
    fn more_than_the_bound_is_refused() {
        let blocks = Blocks::new("memory://x", u64::MAX);
        let missing = Missing::default();
        let error = blocks.read(0, MAX_METADATA_BYTES as usize + 1, &missing).unwrap_err();
        assert_eq!(error.kind(), Kind::ResourceExhausted);
        blocks.expect(0, u64::MAX, &missing);
        assert_eq!(missing.lock().len(), MAX_BLOCKS);
        assert_eq!(blocks.read(u64::MAX - 5, 5, &missing).unwrap_err().kind(), Kind::ResourceExhausted);
    }
}
