//! Texts and sequences of variable length: heap references to the bytes they mean.
//!
//! Collections are fetched by coalesced ranges, several at once, and what is asked for is copied from each as
//! it comes: scattered rows need many collections, and none of them stays. The last ones are kept within a
//! bound, because neighbouring rows have their texts in the same collections.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use lru::LruCache;

use super::collection::{COLLECTION_HEAD, Collection, HeapReference, collection_size};
use super::gathered::{Gathered, too_much};
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
/// Bytes of the limit of a call for each request in flight: it is in memory twice, as bytes and as collections.
const ROOM_PER_REQUEST: usize = 4 * 1024 * 1024;
/// Bytes of parsed collections kept per file.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of large collections beyond the limit of a call: they hold also what is not asked for.
const SLACK_BYTES: usize = 16 * 1024 * 1024;

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

    /// The bytes that `references` mean, in the same order; their lengths count elements of `size` bytes.
    ///
    /// # Errors
    /// `DataLoss` for a reference that leads nowhere, `ResourceExhausted` for more than `limit` bytes or
    /// for a collection that is a lot larger than that, and the errors of reading.
    pub(crate) async fn objects(
        &self,
        file: &File<'_>,
        references: &[u8],
        size: u64,
        limit: usize,
    ) -> Result<TextBuffer> {
        let context = || format!("'{}'", file.url());
        let references = parsed(references)?;
        let mut gathered = Gathered::new(&references, size, limit).with_context(context)?;
        let mut addresses = gathered.addresses();
        let kept = self.take_kept(&addresses);
        addresses.retain(|address| !kept.contains_key(address));
        for (address, collection) in kept {
            gathered.take(address, &collection).with_context(context)?;
        }
        let at_once = (limit / ROOM_PER_REQUEST).clamp(1, MAX_REQUESTS);
        let mut large = Vec::new();
        let mut loads = stream::iter(runs(&addresses).into_iter().map(|run| file.load(run))).buffer_unordered(at_once);
        while let Some((loaded, rest)) = loads.try_next().await.with_context(context)? {
            large.extend(rest);
            for (address, collection) in loaded {
                gathered.take(address, &collection).with_context(context)?;
                self.keep(address, collection);
            }
        }
        drop(loads);
        self.take_large(file, large, limit, &mut gathered).await.with_context(context)?;
        Ok(gathered.finish())
    }

    /// Takes from collections, of known sizes, that are read one by one: as many at once as may be in memory.
    async fn take_large(
        &self,
        file: &File<'_>,
        large: Vec<(u64, u64)>,
        limit: usize,
        gathered: &mut Gathered<'_>,
    ) -> Result<()> {
        let room = limit.saturating_add(SLACK_BYTES);
        let largest = large.iter().map(|(_, size)| *size).max().unwrap_or(1);
        let largest = usize::try_from(largest).ok().filter(|size| *size <= room).ok_or_else(|| too_much(limit))?;
        let at_once = (room / largest.max(1)).clamp(1, MAX_REQUESTS);
        let loads = large.into_iter().map(|(address, size)| file.load_large(address, size));
        let mut loads = stream::iter(loads).buffer_unordered(at_once);
        while let Some((address, collection)) = loads.try_next().await? {
            gathered.take(address, &collection)?;
            self.keep(address, collection);
        }
        Ok(())
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

    fn keep(&self, address: u64, collection: Collection) {
        if collection.memory() > MAX_KEPT_BYTES {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += collection.memory();
        if let Some(old) = kept.collections.put(address, Arc::new(collection)) {
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

    /// The collections of `run` that are small, and addresses and sizes of the others.
    async fn load(&self, run: Vec<u64>) -> Result<(Vec<(u64, Collection)>, Vec<(u64, u64)>)> {
        let (mut loaded, mut large) = (Vec::with_capacity(run.len()), Vec::new());
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok((loaded, large)) };
        let size = self.reader.identity().size;
        let start = self.place(*first, COLLECTION_HEAD as u64)?.start;
        let end = self.place(*last, COLLECTION_HEAD as u64)?.start.saturating_add(FIRST_GUESS).min(size);
        let bytes = self.reader.read_cached(start..end).await?;
        for address in run {
            let at = usize::try_from(self.place(address, 0)?.start - start).unwrap_or(usize::MAX);
            let known = bytes.get(at..).unwrap_or_default();
            let context = || format!("heap collection at {address:#x}");
            let size = collection_size(known, self.addressing.length_size).with_context(context)?;
            match usize::try_from(size).ok().and_then(|size| known.get(..size)) {
                Some(whole) => {
                    let collection = Collection::parse(Bytes::copy_from_slice(whole), self.addressing.length_size);
                    loaded.push((address, collection.with_context(context)?));
                }
                None => large.push((address, size)),
            }
        }
        Ok((loaded, large))
    }

    /// The collection of `size` bytes at `address`.
    async fn load_large(&self, address: u64, size: u64) -> Result<(u64, Collection)> {
        let load = async {
            let bytes = self.reader.read_cached(self.place(address, size)?).await?;
            Collection::parse(bytes, self.addressing.length_size)
        };
        Ok((address, load.await.with_context(|| format!("heap collection at {address:#x}"))?))
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
