//! One object, pinned to one version: exact ranged reads, with and without the block cache.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;

use super::block_cache::BlockCache;
use super::exact::{allowed_length, bytes_of};
use super::metered_store::part;
use super::options::StorageOptions;
use super::pin;
use super::reader::{ObjectIdentity, RangeReader};
use crate::error::{Error, Result};

/// Requests for missing blocks of one read that run at the same time.
const RUNS_AT_ONCE: usize = 8;

/// Reads one version of one object.
#[derive(Debug)]
pub(crate) struct PinnedObject {
    pub(crate) identity: Arc<ObjectIdentity>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) options: Arc<StorageOptions>,
}

#[async_trait]
impl RangeReader for PinnedObject {
    fn identity(&self) -> &ObjectIdentity {
        &self.identity
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.check(&range)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let answer = pin::get_range(self.store.as_ref(), &self.path, &self.identity, range).await?;
        match bytes_of(answer, self.options.largest_read_bytes, &self.identity.url).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(pin::explain(error, self.store.as_ref(), &self.path, &self.identity).await),
        }
    }

    async fn read_cached(&self, range: Range<u64>) -> Result<Bytes> {
        let length = self.check(&range)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let blocks = self.blocks(&range);
        let mut found = Vec::with_capacity(usize::try_from(blocks.end - blocks.start).unwrap_or(0));
        found.extend(blocks.clone().map(|block| self.cache.get(&(Arc::clone(&self.identity), block))));
        self.fetch_missing(blocks.start, &mut found).await?;
        let mut joined = BytesMut::new();
        for (block, bytes) in blocks.zip(found) {
            let whole = self.block_range(block);
            let wanted = range.start.max(whole.start)..range.end.min(whole.end);
            let piece = bytes.and_then(|bytes| part(&bytes, &whole, &wanted)).ok_or_else(|| self.lost(&wanted))?;
            if piece.len() == length {
                return Ok(piece);
            }
            joined.reserve(length.saturating_sub(joined.len()));
            joined.extend_from_slice(&piece);
        }
        Ok(joined.freeze())
    }
}

impl PinnedObject {
    /// The length of a range that lies inside the object and within the limit of one read.
    fn check(&self, range: &Range<u64>) -> Result<usize> {
        let ObjectIdentity { url, size, .. } = self.identity.as_ref();
        if range.start > range.end || range.end > *size {
            let (start, end) = (range.start, range.end);
            return Err(Error::data_loss(format!("bytes {start}..{end} lie outside object {url} of {size} bytes")));
        }
        allowed_length(range, self.options.largest_read_bytes, url)
    }

    /// The blocks that hold the bytes of a range that is not empty.
    fn blocks(&self, range: &Range<u64>) -> Range<u64> {
        let block_bytes = self.options.block_bytes.max(1);
        range.start / block_bytes..range.end.div_ceil(block_bytes)
    }

    /// The bytes of a block; the object's last is shorter.
    fn block_range(&self, block: u64) -> Range<u64> {
        let block_bytes = self.options.block_bytes.max(1);
        let start = block.saturating_mul(block_bytes);
        start..start.saturating_add(block_bytes).min(self.identity.size)
    }

    /// Fetches the blocks that are `None` in `found`, neighbours together, and keeps them.
    async fn fetch_missing(&self, first: u64, found: &mut [Option<Bytes>]) -> Result<()> {
        let most = (self.options.largest_request_bytes / self.options.block_bytes.max(1)).max(1);
        let runs: Vec<Range<u64>> = missing_runs(first, found, most);
        let fetched = runs.into_iter().map(|run| async move {
            let range = self.block_range(run.start).start..self.block_range(run.end - 1).end;
            Ok::<_, Error>((run, range.clone(), self.read(range).await?))
        });
        let mut fetched = futures::stream::iter(fetched).buffered(RUNS_AT_ONCE);
        while let Some((run, whole, bytes)) = fetched.try_next().await? {
            for block in run {
                let range = self.block_range(block);
                let piece = part(&bytes, &whole, &range).ok_or_else(|| self.lost(&range))?;
                self.cache.put((Arc::clone(&self.identity), block), &piece);
                let place = usize::try_from(block - first).ok().and_then(|place| found.get_mut(place));
                if let Some(place) = place {
                    *place = Some(piece);
                }
            }
        }
        Ok(())
    }

    fn lost(&self, range: &Range<u64>) -> Error {
        Error::internal(format!("bytes {range:?} of {} were not fetched", self.identity.url))
    }
}

/// Runs of missing blocks, each of at most `most`.
fn missing_runs(first: u64, found: &[Option<Bytes>], most: u64) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for (block, _) in (first..).zip(found).filter(|(_, bytes)| bytes.is_none()) {
        match runs.last_mut() {
            Some(run) if run.end == block && run.end - run.start < most => run.end += 1,
            _ => runs.push(block..block + 1),
        }
    }
    runs
}
