//! One object, pinned to one version: exact ranged reads, with and without the block cache.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::task::JoinSet;

use super::block_cache::{BlockCache, BlockKey};
use super::disk_cache::{DiskCache, get_all, put_all};
use super::exact::{allowed_length, bytes_of};
use super::metered_store::part;
use super::options::StorageOptions;
use super::pin;
use super::reader::{ObjectIdentity, RangeReader};
use crate::error::{Error, Result};
use crate::model::shared_cache::{Claim, Load, Worth};

/// Requests for missing blocks of one read that run at the same time.
const RUNS_AT_ONCE: usize = 8;

/// Reads one version of one object.
#[derive(Clone, Debug)]
pub(crate) struct PinnedObject {
    pub(crate) identity: Arc<ObjectIdentity>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    pub(crate) cache: Arc<BlockCache>,
    /// Blocks on disk, where that is configured.
    pub(crate) disk: Option<Arc<DiskCache>>,
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
        match &self.disk {
            None => self.get(range).await,
            Some(disk) => self.read_through(disk, range).await,
        }
    }

    async fn read_cached(&self, range: Range<u64>) -> Result<Bytes> {
        self.check(&range)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let blocks = self.blocks(&range);
        let found = self.cached_blocks(blocks.clone()).await?;
        self.joined(&range, blocks.zip(found))
    }
}

impl PinnedObject {
    /// Keeps the blocks that lie whole in `bytes`, which begin at the byte `start` of the object, for
    /// [`RangeReader::read_cached`].
    pub(crate) fn keep(&self, start: u64, bytes: &Bytes) {
        let whole = start..start.saturating_add(bytes.len() as u64);
        for block in self.blocks(&whole) {
            let Some(piece) = part(bytes, &whole, &self.block_range(block)) else { continue };
            // Somebody else may have fetched it meanwhile, or be about to.
            if let Claim::Mine(load) = self.cache.claim((Arc::clone(&self.identity), block), Worth::Kept) {
                // A slice of a longer answer would keep all of it in memory.
                load.finish(&Bytes::copy_from_slice(&piece));
            }
        }
    }

    /// The bytes of a range that is not empty, from the store.
    async fn get(&self, range: Range<u64>) -> Result<Bytes> {
        let answer = pin::get_range(self.store.as_ref(), &self.path, &self.identity, range).await?;
        match bytes_of(answer, self.options.largest_read_bytes, &self.identity.url).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(pin::explain(error, self.store.as_ref(), &self.path, &self.identity).await),
        }
    }

    /// The bytes of a range, its blocks from the disk where they are there, neighbouring others in one request.
    async fn read_through(&self, disk: &Arc<DiskCache>, range: Range<u64>) -> Result<Bytes> {
        let blocks = self.blocks(&range);
        let length = |block: u64| {
            let whole = self.block_range(block);
            usize::try_from(whole.end - whole.start).unwrap_or(usize::MAX)
        };
        let kept = get_all(disk, &self.identity, blocks.clone().map(|block| (block, length(block))).collect()).await?;
        let mut found: BTreeMap<u64, Bytes> =
            blocks.clone().zip(kept).filter_map(|(block, bytes)| Some((block, bytes?))).collect();
        let missing = runs(blocks.clone().filter(|block| !found.contains_key(block)), self.blocks_of_request());
        let fetches = missing.into_iter().map(|run| async move {
            let whole = self.block_range(run.start).start..self.block_range(run.end - 1).end;
            Ok::<_, Error>((run, whole.clone(), self.get(whole).await?))
        });
        let mut fetches = futures::stream::iter(fetches.collect::<Vec<_>>()).buffered(RUNS_AT_ONCE);
        while let Some((run, whole, bytes)) = fetches.try_next().await? {
            let pieces: Option<Vec<_>> =
                run.map(|block| Some((block, part(&bytes, &whole, &self.block_range(block))?))).collect();
            let pieces = pieces.ok_or_else(|| self.lost(&whole))?;
            found.extend(pieces.iter().cloned());
            put_all(disk, &self.identity, pieces).await?;
        }
        self.joined(&range, blocks.zip(found.into_values()))
    }

    /// The bytes of `range` out of the blocks that hold it, in order.
    fn joined(&self, range: &Range<u64>, blocks: impl Iterator<Item = (u64, Bytes)>) -> Result<Bytes> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut joined = BytesMut::new();
        for (block, bytes) in blocks {
            let whole = self.block_range(block);
            let wanted = range.start.max(whole.start)..range.end.min(whole.end);
            let piece = part(&bytes, &whole, &wanted).ok_or_else(|| self.lost(&wanted))?;
            if piece.len() == length {
                return Ok(piece);
            }
            joined.reserve(length.saturating_sub(joined.len()));
            joined.extend_from_slice(&piece);
        }
        Ok(joined.freeze())
    }

    /// Blocks of the longest request.
    fn blocks_of_request(&self) -> u64 {
        (self.options.largest_request_bytes / self.options.block_bytes.max(1)).max(1)
    }

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

    /// The blocks, in order: those that are kept, those that somebody fetches, the rest in as few requests
    /// as possible.
    async fn cached_blocks(&self, blocks: Range<u64>) -> Result<Vec<Bytes>> {
        let mut found: BTreeMap<u64, Bytes> = BTreeMap::new();
        while let Some(missing) = blocks.clone().find(|block| !found.contains_key(block)) {
            let (mut loads, mut waits) = (BTreeMap::new(), Vec::new());
            for block in (missing..blocks.end).filter(|block| !found.contains_key(block)).collect::<Vec<_>>() {
                match self.cache.claim((Arc::clone(&self.identity), block), Worth::Kept) {
                    Claim::Kept(bytes) => drop(found.insert(block, bytes)),
                    Claim::Mine(load) => drop(loads.insert(block, load)),
                    Claim::Others(wait) => waits.push((block, wait)),
                }
            }
            if !loads.is_empty() {
                // By a task of its own: others wait for these blocks, also while nobody polls this read.
                let mut fetch = JoinSet::new();
                fetch.spawn(self.clone().fetch(loads));
                let fetched = fetch.join_next().await.ok_or_else(|| Error::internal("a fetch was lost"))?;
                found.extend(fetched.map_err(|error| Error::internal("a fetch was stopped").with_source(error))??);
            }
            for (block, wait) in waits {
                found.extend(wait.value().await.map(|bytes| (block, bytes)));
            }
        }
        Ok(found.into_values().collect())
    }

    /// Fetches the blocks of `loads`, neighbours together, and keeps them.
    async fn fetch(self, mut loads: BTreeMap<u64, Load<BlockKey, Bytes>>) -> Result<Vec<(u64, Bytes)>> {
        let fetches = runs(loads.keys().copied(), self.blocks_of_request()).into_iter().map(|run| {
            let range = self.block_range(run.start).start..self.block_range(run.end - 1).end;
            let object = &self;
            async move { Ok::<_, Error>((run, range.clone(), object.read(range).await?)) }
        });
        let mut fetches = futures::stream::iter(fetches.collect::<Vec<_>>()).buffered(RUNS_AT_ONCE);
        let mut found = Vec::with_capacity(loads.len());
        while let Some((run, whole, bytes)) = fetches.try_next().await? {
            for block in run {
                let range = self.block_range(block);
                let piece = part(&bytes, &whole, &range).ok_or_else(|| self.lost(&range))?;
                // A slice of a longer answer would keep all of it in memory.
                let piece = Bytes::copy_from_slice(&piece);
                if let Some(load) = loads.remove(&block) {
                    load.finish(&piece);
                }
                found.push((block, piece));
            }
        }
        Ok(found)
    }

    fn lost(&self, range: &Range<u64>) -> Error {
        Error::internal(format!("bytes {range:?} of {} were not fetched", self.identity.url))
    }
}

/// Ascending `blocks` as runs of neighbours, each of at most `most`.
fn runs(blocks: impl Iterator<Item = u64>, most: u64) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for block in blocks {
        match runs.last_mut() {
            Some(run) if run.end == block && run.end - run.start < most => run.end += 1,
            _ => runs.push(block..block + 1),
        }
    }
    runs
}
