//! Blocks of files that were read already: libhdf5 reads a few bytes at a time, often the same.

use std::num::NonZeroUsize;

use lru::LruCache;

/// Bytes of one block.
pub(crate) const BLOCK_BYTES: u64 = 64 * 1024;
/// Blocks kept: 16 MiB.
const KEPT_BLOCKS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Blocks by file and number.
pub(crate) struct Blocks {
    kept: LruCache<(u32, u64), Vec<u8>>,
}

impl Blocks {
    /// No blocks.
    pub(crate) fn new() -> Self {
        Self { kept: LruCache::new(KEPT_BLOCKS) }
    }

    /// Copies what the block holds of the bytes from `offset` on into `target`; says how many bytes
    /// that were, none when the block is not there.
    pub(crate) fn copy(&mut self, file: u32, offset: u64, target: &mut [u8]) -> Option<usize> {
        let block = self.kept.get(&(file, offset / BLOCK_BYTES))?;
        let bytes = block.get(usize::try_from(offset % BLOCK_BYTES).ok()?..)?;
        let count = bytes.len().min(target.len());
        target.get_mut(..count)?.copy_from_slice(bytes.get(..count)?);
        Some(count).filter(|count| *count > 0)
    }

    /// Whether the block that holds `offset` is there.
    pub(crate) fn has(&self, file: u32, offset: u64) -> bool {
        self.kept.contains(&(file, offset / BLOCK_BYTES))
    }

    /// Keeps `bytes`, which begin at the start of a block, as blocks.
    pub(crate) fn keep(&mut self, file: u32, start: u64, bytes: &[u8]) {
        for (number, block) in (start / BLOCK_BYTES..).zip(bytes.chunks(BLOCK_BYTES as usize)) {
            self.kept.put((file, number), block.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_answer_what_they_hold() {
        let mut blocks = Blocks::new();
        let bytes: Vec<u8> = (0..BLOCK_BYTES + 10).map(|at| (at % 251) as u8).collect();
        blocks.keep(3, BLOCK_BYTES, &bytes);
        let mut target = [0; 20];
        assert_eq!(blocks.copy(3, 2 * BLOCK_BYTES - 5, &mut target), Some(5), "up to the end of the block");
        assert_eq!(target[..5], bytes[bytes.len() - 15..bytes.len() - 10]);
        assert_eq!(blocks.copy(3, 2 * BLOCK_BYTES, &mut target), Some(10), "the last block is short");
        assert_eq!(target[..10], bytes[bytes.len() - 10..]);
        assert_eq!(blocks.copy(3, 2 * BLOCK_BYTES + 10, &mut target), None);
        assert_eq!(blocks.copy(3, 0, &mut target), None);
        assert_eq!(blocks.copy(2, BLOCK_BYTES, &mut target), None);
        assert!(blocks.has(3, BLOCK_BYTES + 7) && !blocks.has(3, BLOCK_BYTES - 1));
    }
}
