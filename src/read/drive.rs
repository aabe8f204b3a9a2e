//! Fetches what a read needs, each chunk once: from the cache, from whoever decodes it already, or from
//! the store, and has it decoded as soon as its bytes are there.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::array::Caching;
use super::chunk_cache::{Decoded, DecodedKey, chunk_key};
use super::context::ReadContext;
use super::job::Job;
use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::model::chunk::{ChunkLocation, Elements};
use crate::model::shared_cache::{Claim, Load, Wait, Worth};
use crate::plan::requests::{Request, request_bytes, requests};
use crate::plan::tasks::ChunkTask;

/// Longest request of cacheable chunks that goes through the block cache: its neighbours in the block are
/// likely to be asked for as well, and what it decodes to is kept by itself.
const THROUGH_BLOCKS_BYTES: u64 = 256 << 10;

/// Chunks that this read decodes for all who wait for them, by task.
type Loads = HashMap<usize, Load<DecodedKey, Decoded>>;

/// What the cache said to the tasks of a read.
#[derive(Default)]
struct Claims {
    kept: Vec<(usize, Arc<Elements>)>,
    fetched: Vec<usize>,
    loads: Loads,
    waits: Vec<(usize, Wait<Decoded>, OwnedSemaphorePermit)>,
}

/// Chunks that are placed at once, at most; with more, planning took a while already.
const PLACED_AT_ONCE: usize = 64;

/// Fills the output of `job` here and now, where that needs no wait and little work: all of its chunks are kept, and
/// little of them is asked for. Says whether it did. A small slice that is asked for often would otherwise spend more
/// on waking threads than on its bytes.
///
/// # Errors
/// `Internal` when a chunk does not fit its plan.
pub(super) fn filled_at_once(context: &ReadContext, job: &Job) -> Result<bool> {
    let Some(name) = &job.name else { return Ok(false) };
    let is_kept = |(task, location): (&ChunkTask, _)| task.rows.is_none() && needs_fetch(Some(location));
    let tasks = &job.plan.tasks;
    if tasks.len() > PLACED_AT_ONCE
        || !(job.is_in_blocks() || context.is_short(job.output_bytes()))
        || !tasks.iter().zip(&job.plan.locations).all(is_kept)
    {
        return Ok(false);
    }
    let keys: Vec<_> = tasks.iter().map(|task| chunk_key(name, &task.position)).collect();
    let Some(kept) = context.chunks.all_kept(&keys) else { return Ok(false) };
    let chunks: Option<Vec<_>> = kept.iter().map(Decoded::chunk).collect();
    let Some(chunks) = chunks else { return Ok(false) };
    chunks.iter().enumerate().try_for_each(|(task, elements)| job.place(task, elements))?;
    Ok(true)
}

/// Fills the output of `job`.
///
/// # Errors
/// The errors of fetching and decoding.
pub(super) async fn drive(context: ReadContext, hierarchy: Hierarchy, job: Arc<Job>) -> Result<()> {
    // Chunks that no fetch answers first: they are quick, and errors in them come early.
    if !job.plan.local.is_empty() {
        let local = Arc::clone(&job);
        let decode = move || local.plan.local.iter().try_for_each(|task| local.decode(*task, None, None).map(drop));
        context.decode(decode).await?;
    }
    if job.name.is_none() {
        return fetch_all(&context, &hierarchy, &job, &job.plan.requests, Loads::new()).await;
    }
    let mut wanted: Vec<usize> = (0..job.plan.tasks.len()).collect();
    wanted.retain(|task| needs_fetch(job.plan.locations.get(*task)));
    while !wanted.is_empty() {
        let Claims { kept, fetched, loads, waits } = claim(&context, &job, &wanted);
        if !kept.is_empty() {
            let (placing, kept_chunks) = (Arc::clone(&job), kept.len());
            let place = move || kept.iter().try_for_each(|(task, elements)| placing.place(*task, elements));
            let bytes = if kept_chunks > PLACED_AT_ONCE { u64::MAX } else { job.output_bytes() };
            context.compute(bytes, place).await?;
        }
        if fetched.len() == job.plan.tasks.len() - job.plan.local.len() {
            fetch_all(&context, &hierarchy, &job, &job.plan.requests, loads).await?;
        } else {
            let requests = requests_for(&context, &job, &fetched)?;
            fetch_all(&context, &hierarchy, &job, &requests, loads).await?;
        }
        wanted.clear();
        for (task, wait, _room) in waits {
            match wait.value().await {
                Some(Decoded::Chunk(elements)) => {
                    let placing = Arc::clone(&job);
                    context.compute(job.node.chunk_bytes(), move || placing.place(task, &elements)).await?;
                }
                // Whoever decoded it gave up.
                _ => wanted.push(task),
            }
        }
    }
    Ok(())
}

fn needs_fetch(location: Option<&ChunkLocation>) -> bool {
    matches!(location, Some(ChunkLocation::Range { .. } | ChunkLocation::Object { .. }))
}

fn claim(context: &ReadContext, job: &Job, wanted: &[usize]) -> Claims {
    let worth = if job.caching == Caching::Keep { Worth::Kept } else { Worth::IfAskedAgain };
    let mut claims = Claims::default();
    for index in wanted {
        let whole = job.plan.tasks.get(*index).filter(|task| task.rows.is_none());
        let (Some(task), Some(name)) = (whole, &job.name) else {
            claims.fetched.push(*index);
            continue;
        };
        match context.chunks.claim(chunk_key(name, &task.position), worth) {
            Claim::Kept(Decoded::Chunk(elements)) => claims.kept.push((*index, elements)),
            Claim::Kept(Decoded::Column(_)) => claims.fetched.push(*index),
            Claim::Others(wait) => match context.waiting(job.node.chunk_bytes()) {
                Some(room) => claims.waits.push((*index, wait, room)),
                None => claims.fetched.push(*index),
            },
            Claim::Mine(load) => {
                claims.fetched.push(*index);
                claims.loads.insert(*index, load);
            }
        }
    }
    claims
}

/// The requests for some of the tasks.
fn requests_for(context: &ReadContext, job: &Job, tasks: &[usize]) -> Result<Vec<Request>> {
    let mut locations = vec![ChunkLocation::Missing; job.plan.locations.len()];
    for task in tasks {
        if let (Some(place), Some(location)) = (locations.get_mut(*task), job.plan.locations.get(*task)) {
            place.clone_from(location);
        }
    }
    Ok(requests(&job.node, &job.plan.tasks, &locations, context.merging)?.0)
}

async fn fetch_all(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    job: &Arc<Job>,
    requests: &[Request],
    loads: Loads,
) -> Result<()> {
    let loads = Arc::new(Mutex::new(loads));
    let fetches: Vec<_> =
        requests.iter().map(|request| fetch_and_decode(context, hierarchy, job, request, Arc::clone(&loads))).collect();
    stream::iter(fetches).buffer_unordered(context.requests_in_flight).try_collect::<()>().await
}

async fn fetch_and_decode(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    job: &Arc<Job>,
    request: &Request,
    loads: Arc<Mutex<Loads>>,
) -> Result<()> {
    let expected = request_bytes(request).unwrap_or_else(|| job.node.chunk_bytes());
    let fetching = context.fetching(expected.saturating_add(request.unpacked)).await?;
    if !request.entries.is_empty() {
        let contents = fetch_entries(hierarchy, request).await.with_context(|| format!("array '{}'", job.path))?;
        let members = request.members.iter().zip(contents).map(|((task, _), content)| (*task, None, Some(content)));
        decode_all(context, job, members.collect(), &loads).await?;
        drop(fetching);
        return Ok(());
    }
    let bytes = fetch(hierarchy, job, request).await.with_context(|| format!("array '{}'", job.path))?;
    if bytes.is_none() && request.members.iter().any(|(_, range)| range.is_some()) {
        // Its index was there: this is no shard that was never written.
        let (path, object) = (&job.path, request.object.as_deref().unwrap_or_default());
        return Err(Error::not_found(format!("array '{path}': object '{object}' went while it was read")));
    }
    let members = request.members.iter().map(|(task, range)| (*task, range.clone(), bytes.clone())).collect();
    decode_all(context, job, members, &loads).await?;
    drop((bytes, fetching));
    Ok(())
}

/// Decodes chunks: each a task, its bytes, and which of them it is.
async fn decode_all(
    context: &ReadContext,
    job: &Arc<Job>,
    members: Vec<(usize, Option<Range<u64>>, Option<Bytes>)>,
    loads: &Arc<Mutex<Loads>>,
) -> Result<()> {
    // A long request holds many chunks: all decoders take part.
    let shares = members.chunks(job.share(members.len(), context.decode_threads));
    let decoding = shares.map(|members| {
        let (job, loads, members) = (Arc::clone(job), Arc::clone(loads), members.to_vec());
        context.decode(move || {
            for (task, range, bytes) in members {
                let elements = job.decode(task, range, bytes.clone())?;
                let load = loads.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
                if let Some(load) = load {
                    load.finish(&Decoded::Chunk(alone(elements, bytes.as_ref())));
                }
            }
            Ok(())
        })
    });
    try_join_all(decoding).await.map(drop)
}

/// The contents of the entries of `request`.
async fn fetch_entries(hierarchy: &Hierarchy, request: &Request) -> Result<Vec<Bytes>> {
    match (hierarchy, &request.range) {
        (Hierarchy::Zarr(store), Some(range)) => store.folder().read_together(&request.entries, range.clone()).await,
        _ => Err(Error::internal("a planned request does not fit its format")),
    }
}

/// `elements` without the rest of the fetched bytes that they may be a slice of.
fn alone(elements: Arc<Elements>, fetched: Option<&Bytes>) -> Arc<Elements> {
    match (elements.as_ref(), fetched) {
        (Elements::Fixed(bytes), Some(fetched)) if fetched.as_ptr_range().contains(&bytes.as_ptr()) => {
            Arc::new(Elements::Fixed(Bytes::copy_from_slice(bytes)))
        }
        _ => elements,
    }
}

/// The bytes of `request`; none for a zarr chunk that was never written.
async fn fetch(hierarchy: &Hierarchy, job: &Job, request: &Request) -> Result<Option<Bytes>> {
    if let (Hierarchy::Hdf5(file), Some(elements)) = (hierarchy, &request.elements) {
        return file.read_elsewhere(&job.path, elements).await.map(Some);
    }
    match (hierarchy, &request.object, &request.range) {
        (Hierarchy::Hdf5(file), None, Some(range)) => {
            let is_decoded = job.name.is_some() && !job.node.partly_readable;
            let is_long = is_decoded && range.end - range.start > THROUGH_BLOCKS_BYTES;
            match job.caching {
                Caching::Keep if !is_long => file.reader().read_cached(range.clone()).await.map(Some),
                _ => file.reader().read(range.clone()).await.map(Some),
            }
        }
        (Hierarchy::Zarr(store), Some(object), range) => store.folder().read(object, range.clone()).await,
        _ => Err(Error::internal("a planned request does not fit its format")),
    }
}
