//! Texts and sequences of variable length: heap references to the bytes they mean.
//!
//! Collections are fetched by coalesced ranges, several at once, and kept within a bound, because
//! neighbouring rows have their texts in the same collections.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use lru::LruCache;

use super::collection::{COLLECTION_HEAD, Collection, HeapReference, collection_size};
use super::parser::Addressing;
use crate::error::{Error, Result, ResultExt};
use crate::model::chunk::TextBuffer;
use crate::model::data_type::HEAP_REFERENCE_SIZE;
use crate::storage::reader::RangeReader;

/// Bytes of a collection read before its size is known; libhdf5 makes them this large.
const FIRST_GUESS: u64 = 4096;
/// Bytes between two collections that are read along rather than in two requests.
const MAX_GAP: u64 = 64 * 1024;
/// Bytes of one coalesced request.
const MAX_RUN_BYTES: u64 = 1024 * 1024;
/// Requests in flight for one call.
const MAX_REQUESTS: usize = 8;
/// Bytes of parsed collections kept per file.
const MAX_KEPT_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of collections beyond the limit of a call: they hold also what is not asked for.
const SLACK_BYTES: usize = MAX_KEPT_BYTES;
/// Bytes of collections read, and of texts made, by one call.
const MAX_CALL_BYTES: usize = 1 << 30;
/// Sequences resolved together: their collections, of 4096 bytes mostly, are in memory at once.
const SEQUENCES_AT_ONCE: usize = 4096;

/// The heaps of one file.
#[derive(Debug)]
pub(crate) struct Heaps {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    collections: LruCache<u64, Arc<Collection>>,
    bytes: usize,
}

impl Heaps {
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::new(Kept { collections: LruCache::unbounded(), bytes: 0 }) }
    }

    /// The texts that `references` mean, in the same order.
    ///
    /// # Errors
    /// `DataLoss` for a reference that leads nowhere, `ResourceExhausted` for too much text at once,
    /// and the errors of reading.
    pub(crate) async fn texts(&self, file: &File<'_>, references: &[u8]) -> Result<TextBuffer> {
        let mut texts = TextBuffer::new();
        self.resolve(file, &parsed(references)?, 1, MAX_CALL_BYTES, &mut texts).await?;
        Ok(texts)
    }

    /// The stored elements, of `size` bytes each, of the sequences that `references` mean.
    ///
    /// # Errors
    /// As [`Heaps::texts`]; `ResourceExhausted` for more than `limit` bytes of elements, or of the
    /// collections of [`SEQUENCES_AT_ONCE`] of them.
    pub(crate) async fn sequences(
        &self,
        file: &File<'_>,
        references: &[u8],
        size: u64,
        limit: usize,
    ) -> Result<TextBuffer> {
        let parsed = parsed(references)?;
        let total = parsed.iter().fold(0_u64, |total, one| total.saturating_add(u64::from(one.length)));
        if total.saturating_mul(size) > limit as u64 {
            return Err(too_much(limit));
        }
        let mut sequences = TextBuffer::new();
        for part in parsed.chunks(SEQUENCES_AT_ONCE) {
            self.resolve(file, part, size, limit, &mut sequences).await?;
        }
        Ok(sequences)
    }

    async fn resolve(
        &self,
        file: &File<'_>,
        references: &[HeapReference],
        size: u64,
        limit: usize,
        found: &mut TextBuffer,
    ) -> Result<()> {
        let context = || format!("'{}'", file.url());
        let collections = self.collections(file, references, limit).await.with_context(context)?;
        for reference in references {
            if reference.length == 0 {
                found.push(b"");
                continue;
            }
            let collection = collections
                .get(&reference.address)
                .ok_or_else(|| Error::internal("a heap collection was not loaded"))?;
            let object = collection.object(*reference, size).with_context(context)?;
            if found.bytes.len().saturating_add(object.len()) > limit {
                return Err(too_much(limit));
            }
            found.push(object);
        }
        Ok(())
    }

    async fn collections(
        &self,
        file: &File<'_>,
        references: &[HeapReference],
        limit: usize,
    ) -> Result<HashMap<u64, Arc<Collection>>> {
        let used = references.iter().filter(|reference| reference.length > 0);
        let mut addresses: Vec<u64> = used.map(|reference| reference.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut found = self.take_kept(&addresses);
        addresses.retain(|address| !found.contains_key(address));
        let mut bytes: usize = found.values().map(|collection| collection.memory()).sum();
        let mut loads =
            stream::iter(runs(&addresses).into_iter().map(|run| file.load(run))).buffer_unordered(MAX_REQUESTS);
        while let Some(loaded) = loads.try_next().await? {
            for (address, collection) in loaded {
                bytes = bytes.saturating_add(collection.memory());
                if bytes > limit.saturating_add(SLACK_BYTES) {
                    return Err(too_much(limit));
                }
                self.keep(address, &collection);
                found.insert(address, collection);
            }
        }
        Ok(found)
    }

    fn take_kept(&self, addresses: &[u64]) -> HashMap<u64, Arc<Collection>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = HashMap::new();
        for address in addresses {
            if let Some(collection) = kept.collections.get(address) {
                found.insert(*address, Arc::clone(collection));
            }
        }
        found
    }

    fn keep(&self, address: u64, collection: &Arc<Collection>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += collection.memory();
        if let Some(old) = kept.collections.put(address, Arc::clone(collection)) {
            kept.bytes = kept.bytes.saturating_sub(old.memory());
        }
        while kept.bytes > MAX_KEPT_BYTES {
            let Some((_, old)) = kept.collections.pop_lru() else { return };
            kept.bytes = kept.bytes.saturating_sub(old.memory());
        }
    }
}

/// Ascending `addresses` in groups that are read by one request each.
fn runs(addresses: &[u64]) -> Vec<Vec<u64>> {
    let mut runs: Vec<Vec<u64>> = Vec::new();
    for &address in addresses {
        match runs.last_mut() {
            Some(run)
                if run.last().is_some_and(|last| address - last <= FIRST_GUESS + MAX_GAP)
                    && run.first().is_some_and(|first| address - first < MAX_RUN_BYTES) =>
            {
                run.push(address);
            }
            _ => runs.push(vec![address]),
        }
    }
    runs
}

fn parsed(references: &[u8]) -> Result<Vec<HeapReference>> {
    let (elements, rest) = references.as_chunks::<HEAP_REFERENCE_SIZE>();
    if !rest.is_empty() {
        return Err(Error::internal(format!("{} bytes are no whole heap references", references.len())));
    }
    Ok(elements.iter().filter_map(|element| HeapReference::parse(element)).collect())
}

/// The file whose heaps are read.
pub(crate) struct File<'a> {
    /// Its bytes.
    pub(crate) reader: &'a dyn RangeReader,
    /// How its addresses count.
    pub(crate) addressing: Addressing,
}

impl File<'_> {
    fn url(&self) -> &str {
        &self.reader.identity().url
    }

    async fn load(&self, run: Vec<u64>) -> Result<Vec<(u64, Arc<Collection>)>> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(Vec::new()) };
        let size = self.reader.identity().size;
        let start = self.place(*first, COLLECTION_HEAD as u64)?.start;
        let end = self.place(*last, COLLECTION_HEAD as u64)?.start.saturating_add(FIRST_GUESS).min(size);
        let bytes = self.reader.read_cached(start..end).await?;
        let mut loaded = Vec::with_capacity(run.len());
        for address in run {
            let at = usize::try_from(self.place(address, 0)?.start - start).unwrap_or(usize::MAX);
            let collection = self.collection(address, bytes.get(at..).unwrap_or_default()).await;
            let collection = collection.with_context(|| format!("heap collection at {address:#x}"))?;
            loaded.push((address, Arc::new(collection)));
        }
        Ok(loaded)
    }

    async fn collection(&self, address: u64, known: &[u8]) -> Result<Collection> {
        let length_size = self.addressing.length_size;
        let size = collection_size(known, length_size)?;
        let whole = usize::try_from(size).ok().and_then(|size| known.get(..size));
        let bytes = match whole {
            Some(bytes) => Bytes::copy_from_slice(bytes),
            None => self.reader.read_cached(self.place(address, size)?).await?,
        };
        Collection::parse(bytes, length_size)
    }

    /// The range of `length` bytes at `address`, inside the object.
    fn place(&self, address: u64, length: u64) -> Result<Range<u64>> {
        let size = self.reader.identity().size;
        let start = address.checked_add(self.addressing.base);
        let end = start.and_then(|start| start.checked_add(length)).filter(|end| *end <= size);
        match (start, end) {
            (Some(start), Some(end)) => Ok(start..end),
            _ => Err(Error::data_loss(format!(
                "a reference to a heap collection at {address:#x} leads out of the object of {size} bytes"
            ))),
        }
    }
}

fn too_much(limit: usize) -> Error {
    Error::resource_exhausted(format!("more than {limit} bytes of variable-length data at once"))
}
