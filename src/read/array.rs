//! Reads a selection of one stored array into memory: one window's worth.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::buffer::MutableBuffer;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::context::ReadContext;
use super::scatter::{copy_elements, for_each_span};
use crate::error::{Error, Result, ResultExt};
use crate::format::{ChunkDecoder, Hierarchy};
use crate::model::chunk::{ChunkLocation, Elements, TextBuffer};
use crate::model::data_type::DataType;
use crate::model::selection::AxisSelection;
use crate::model::tree::ArrayNode;
use crate::plan::requests::{Request, request_bytes, requests};
use crate::plan::tasks::{ChunkTask, row_bytes, tasks};

/// Whether the bytes of a read are worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Small and asked for again: columns that filters name, pointers, categories.
    Keep,
    /// The bulk of a slice: goes past the block cache.
    Bypass,
}

/// The selected elements, in C order of `shape`.
#[derive(Debug)]
pub struct ArrayValues {
    /// Selected lengths per dimension.
    pub shape: Vec<u64>,
    /// Type of the elements.
    pub data_type: DataType,
    /// The elements.
    pub values: Values,
}

/// Gathered elements.
#[derive(Debug)]
pub enum Values {
    /// Little-endian elements, aligned for any primitive type.
    Fixed(MutableBuffer),
    /// Texts.
    Text(TextBuffer),
}

/// One chunk's worth of planned reading: what `explain` shows and [`read_array`] does.
#[derive(Debug)]
pub struct ArrayPlan {
    /// Chunks and where their elements go.
    pub tasks: Vec<ChunkTask>,
    /// Where the chunks lie, one per task.
    pub locations: Vec<ChunkLocation>,
    /// Fetches.
    pub requests: Vec<Request>,
    /// Tasks that need no fetch.
    pub local: Vec<usize>,
}

/// Plans the reading of `selection` (one entry per dimension) of the array at `path`.
///
/// # Errors
/// `NotFound` or `Unimplemented` for the array, `OutOfRange` for the selection, and the errors of
/// reading its chunk index.
pub async fn plan_array(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    path: &str,
    selection: &[AxisSelection],
) -> Result<ArrayPlan> {
    let node = hierarchy.tree().array(path)?;
    let tasks = tasks(node, selection).with_context(|| format!("array '{path}'"))?;
    let positions: Vec<_> = tasks.iter().map(|task| task.position.clone()).collect();
    let locations = hierarchy.locate(path, &positions).await?;
    let (requests, local) = requests(node, &tasks, &locations, context.merging)?;
    Ok(ArrayPlan { tasks, locations, requests, local })
}

/// Reads `selection` (one entry per dimension) of the array at `path`. The caller bounds the size.
///
/// # Errors
/// As [`plan_array`], the errors of fetching, `DataLoss` for bytes that do not decode.
pub async fn read_array(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    path: &str,
    selection: &[AxisSelection],
    caching: Caching,
) -> Result<ArrayValues> {
    let node = hierarchy.tree().array(path)?.clone();
    if let DataType::Unsupported { description, .. } = &node.data_type {
        return Err(Error::unimplemented(format!("array '{path}' has element type {description}, not supported")));
    }
    if !node.partly_readable {
        context.check_chunk(node.chunk_bytes()).with_context(|| format!("array '{path}'"))?;
    }
    let decoder = hierarchy.decoder(path)?;
    let plan = plan_array(context, hierarchy, path, selection).await?;
    let shape: Vec<u64> = selection.iter().map(AxisSelection::len).collect();
    let texts = hierarchy.decodes_texts(path);
    let output = Arc::new(Mutex::new(Output::new(&node, &shape, texts)?));
    let job = Arc::new(Job { path: path.to_owned(), node, decoder, plan, shape, output: Arc::clone(&output) });

    // Chunks that no fetch answers first: they are quick, and errors in them come early.
    if !job.plan.local.is_empty() {
        let local = Arc::clone(&job);
        context.decode(move || local.plan.local.iter().try_for_each(|task| local.place(*task, None, None))).await?;
    }
    stream::iter(0..job.plan.requests.len())
        .map(|index| fetch_and_place(context, hierarchy, Arc::clone(&job), index, caching))
        .buffer_unordered(context.requests_in_flight)
        .try_collect::<()>()
        .await?;
    let Job { node, shape, .. } = Arc::try_unwrap(job).map_err(|_| Error::internal("a decode outlived its read"))?;
    let output = Arc::try_unwrap(output).map_err(|_| Error::internal("a decode outlived its read"))?;
    let values = output.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?;
    Ok(ArrayValues { shape, data_type: node.data_type, values })
}

async fn fetch_and_place(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    job: Arc<Job>,
    index: usize,
    caching: Caching,
) -> Result<()> {
    let request = job.plan.requests.get(index).ok_or_else(|| Error::internal("no such planned request"))?;
    let expected = request_bytes(request).unwrap_or_else(|| job.node.chunk_bytes());
    let fetching = context.fetching(expected).await?;
    let bytes = fetch(hierarchy, &job.path, request, caching).await.with_context(|| format!("array '{}'", job.path))?;
    if bytes.is_none() && request.members.iter().any(|(_, range)| range.is_some()) {
        // Its index was there: this is no shard that was never written.
        let (path, object) = (&job.path, request.object.as_deref().unwrap_or_default());
        return Err(Error::not_found(format!("array '{path}': object '{object}' went while it was read")));
    }
    let placing = Arc::clone(&job);
    context
        .decode(move || {
            let request = placing.plan.requests.get(index).ok_or_else(|| Error::internal("no such request"))?;
            let placed =
                request.members.iter().try_for_each(|(task, range)| placing.place(*task, range.clone(), bytes.clone()));
            drop(fetching);
            placed
        })
        .await
}

/// The bytes of `request`; none for a zarr chunk that was never written.
async fn fetch(hierarchy: &Hierarchy, path: &str, request: &Request, caching: Caching) -> Result<Option<Bytes>> {
    if let (Hierarchy::Hdf5(file), Some(elements)) = (hierarchy, &request.elements) {
        return file.read_elsewhere(path, elements).await.map(Some);
    }
    match (hierarchy, &request.object, &request.range) {
        (Hierarchy::Hdf5(file), None, Some(range)) => match caching {
            Caching::Keep => file.reader().read_cached(range.clone()).await.map(Some),
            Caching::Bypass => file.reader().read(range.clone()).await.map(Some),
        },
        (Hierarchy::Zarr(store), Some(object), range) => store.folder().read(object, range.clone()).await,
        _ => Err(Error::internal("a planned request does not fit its format")),
    }
}

/// Everything that decoding needs, shared by the tasks of one read.
struct Job {
    path: String,
    node: ArrayNode,
    decoder: ChunkDecoder,
    plan: ArrayPlan,
    shape: Vec<u64>,
    output: Arc<Mutex<Output>>,
}

impl Job {
    /// Decodes the bytes of one task (`range` of `fetched`) and copies them to their place.
    fn place(&self, task: usize, range: Option<std::ops::Range<u64>>, fetched: Option<Bytes>) -> Result<()> {
        let missing = || Error::internal("no such planned task");
        let location = self.plan.locations.get(task).ok_or_else(missing)?;
        let task = self.plan.tasks.get(task).ok_or_else(missing)?;
        let bytes = match (fetched, range) {
            (Some(bytes), Some(range)) => Some(bytes.slice(range.start as usize..range.end as usize)),
            (bytes, _) => bytes,
        };
        let elements = self.elements(task, location, bytes).with_context(|| format!("array '{}'", self.path))?;
        let mut chunk_shape = self.node.chunk_shape.clone();
        if let (Some(rows), Some(first)) = (&task.rows, chunk_shape.first_mut()) {
            *first = rows.end - rows.start;
        }
        self.output.lock().unwrap_or_else(PoisonError::into_inner).place(elements, &chunk_shape, &self.shape, task)
    }

    /// The elements of the task's chunk, or of its rows.
    fn elements(&self, task: &ChunkTask, location: &ChunkLocation, bytes: Option<Bytes>) -> Result<Elements> {
        let Some(rows) = &task.rows else { return self.decoder.decode(bytes, location) };
        let row = row_bytes(&self.node);
        let expected = (rows.end - rows.start).saturating_mul(row);
        let part = match (bytes, location) {
            (Some(bytes), _) => bytes,
            (None, ChunkLocation::Inline(chunk)) => {
                let (start, end) = (rows.start.saturating_mul(row), rows.end.saturating_mul(row));
                if end > chunk.len() as u64 {
                    return Err(Error::data_loss(format!("expected {end} bytes in place, found {}", chunk.len())));
                }
                chunk.slice(start as usize..end as usize)
            }
            (None, _) => {
                let others = self.node.chunk_shape.iter().skip(1).product::<u64>();
                return self.decoder.fill((rows.end - rows.start).saturating_mul(others));
            }
        };
        if part.len() as u64 != expected {
            return Err(Error::data_loss(format!("expected {expected} bytes, found {}", part.len())));
        }
        self.decoder.decode_part(part)
    }
}

/// Where gathered elements collect.
enum Output {
    Fixed { buffer: MutableBuffer, item: usize },
    Text { chunks: Vec<TextBuffer>, places: Vec<(u32, u32)> },
}

impl Output {
    fn new(node: &ArrayNode, shape: &[u64], texts: bool) -> Result<Self> {
        let count = shape.iter().try_fold(1_u64, |total, length| total.checked_mul(*length));
        let count = if node.is_null { Some(0) } else { count };
        let item = node.data_type.item_size();
        let too_large = || Error::resource_exhausted("a window of the slice does not fit in memory");
        let count = usize::try_from(count.ok_or_else(too_large)?).map_err(|_| too_large())?;
        if texts {
            return Ok(Self::Text { chunks: Vec::new(), places: vec![(u32::MAX, 0); count] });
        }
        let bytes = count.checked_mul(item).filter(|bytes| *bytes <= isize::MAX as usize / 2).ok_or_else(too_large)?;
        Ok(Self::Fixed { buffer: MutableBuffer::from_len_zeroed(bytes), item })
    }

    fn place(&mut self, elements: Elements, chunk: &[u64], shape: &[u64], task: &ChunkTask) -> Result<()> {
        match (self, elements) {
            (Self::Fixed { buffer, item }, Elements::Fixed(bytes)) => {
                copy_elements((&bytes, chunk), (buffer.as_slice_mut(), shape), &task.runs, *item)
            }
            (Self::Text { chunks, places }, Elements::Text(texts)) => {
                let too_many = || Error::resource_exhausted("more than 2^32 chunks of texts in one window");
                let at = u32::try_from(chunks.len()).map_err(|_| too_many())?;
                chunks.push(texts);
                for_each_span(chunk, shape, &task.runs, &mut |span| {
                    for index in 0..span.count {
                        let source = span.source.wrapping_add_signed(span.step.wrapping_mul(index as isize));
                        let place = places.get_mut(span.destination + index);
                        let place = place.ok_or_else(|| Error::internal("a text leaves its answer"))?;
                        *place = (at, u32::try_from(source).map_err(|_| too_many())?);
                    }
                    Ok(())
                })
            }
            _ => Err(Error::internal("a chunk decoded to elements of another kind than its array's")),
        }
    }

    fn finish(self) -> Result<Values> {
        match self {
            Self::Fixed { buffer, .. } => Ok(Values::Fixed(buffer)),
            Self::Text { chunks, places } => {
                let mut texts = TextBuffer::new();
                for (chunk, index) in places {
                    let text = chunks.get(chunk as usize).and_then(|chunk| chunk.get(index as usize));
                    texts.push(text.ok_or_else(|| Error::internal("a text of the slice was not read"))?);
                }
                Ok(Values::Text(texts))
            }
        }
    }
}
