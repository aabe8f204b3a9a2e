//! Reads a selection of one stored array into memory: one window's worth.

use std::sync::{Arc, Mutex};

use arrow::buffer::Buffer;
use tokio::task::JoinSet;

use super::chunk_cache::{fits, name_of};
use super::context::ReadContext;
use super::drive::{drive, filled_at_once};
use super::job::Job;
use super::output::Output;
use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::model::chunk::{ChunkLocation, TextBuffer};
use crate::model::data_type::DataType;
use crate::model::selection::AxisSelection;
use crate::plan::requests::{Request, requests};
use crate::plan::tasks::{ChunkTask, effort, tasks};

/// Plans of fewer tasks and runs are made at once: handing them to the pool would take longer.
const POOLED_TASKS: u64 = 2048;

/// Chunks that are looked up without letting others be served.
const LOCATED_TOGETHER: usize = 8192;

/// Whether the bytes of a read are worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Small and asked for again: columns that filters name, pointers, categories.
    Keep,
    /// The bulk of a slice: goes past the block cache, and its chunks are kept when they are asked for
    /// a second time.
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
    Fixed(Buffer),
    /// Texts, or bytes of variable length.
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
    let effort = effort(node, selection);
    if effort < POOLED_TASKS {
        let tasks = tasks(node, selection).with_context(|| format!("array '{path}'"))?;
        let locations = locate(hierarchy, path, &tasks).await?;
        let (requests, local) = requests(node, &tasks, &locations, context.merging)?;
        return Ok(ArrayPlan { tasks, locations, requests, local });
    }
    let (node, selection, merging) = (Arc::new(node.clone()), selection.to_vec(), context.merging);
    let shared = Arc::clone(&node);
    let tasks = context.decode(move || tasks(&shared, &selection)).await.with_context(|| format!("array '{path}'"))?;
    let locations = locate(hierarchy, path, &tasks).await?;
    let plan = move || {
        let (requests, local) = requests(&node, &tasks, &locations, merging)?;
        Ok(ArrayPlan { tasks, locations, requests, local })
    };
    context.decode(plan).await
}

/// Where the chunks of `tasks` lie. Looked up in parts, so that others are served in between.
async fn locate(hierarchy: &Hierarchy, path: &str, tasks: &[ChunkTask]) -> Result<Vec<ChunkLocation>> {
    let mut locations = Vec::with_capacity(tasks.len());
    for part in tasks.chunks(LOCATED_TOGETHER) {
        let positions: Vec<_> = part.iter().map(|task| task.position.clone()).collect();
        locations.extend(hierarchy.locate(path, &positions).await?);
        if part.len() == LOCATED_TOGETHER {
            tokio::task::yield_now().await;
        }
    }
    Ok(locations)
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
    read_gathered(context, hierarchy, path, selection, caching, Order::Stored).await
}

/// As [`read_array`], in parts one behind the other along the first dimension. There is more than one where each is a
/// large part of a chunk and lies in it as it is asked for: it is then handed on as it was decoded, not copied.
///
/// # Errors
/// As [`read_array`].
pub async fn read_blocks(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    path: &str,
    selection: &[AxisSelection],
    caching: Caching,
) -> Result<Vec<ArrayValues>> {
    let job = read_job(context, hierarchy, path, selection, caching, Order::Blocks).await?;
    job.finish()
}

/// Reads `selection` (stored rows, stored columns) of the matrix at `path` with its axes swapped: shape
/// and elements of the answer are those of the transpose.
///
/// # Errors
/// As [`read_array`].
pub async fn read_transposed(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    path: &str,
    selection: &[AxisSelection],
    caching: Caching,
) -> Result<ArrayValues> {
    let mut values = read_gathered(context, hierarchy, path, selection, caching, Order::Transposed).await?;
    values.shape.reverse();
    Ok(values)
}

/// In which order the elements of an answer lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// C order of the selected lengths.
    Stored,
    /// C order of the selected lengths of a matrix, the second first.
    Transposed,
    /// As [`Order::Stored`], each chunk's elements by themselves where they need not be copied.
    Blocks,
}

async fn read_gathered(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    path: &str,
    selection: &[AxisSelection],
    caching: Caching,
    order: Order,
) -> Result<ArrayValues> {
    let job = read_job(context, hierarchy, path, selection, caching, order).await?;
    job.finish()?.pop().ok_or_else(|| Error::internal("a read gathered nothing"))
}

/// A job whose output is filled.
async fn read_job(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    path: &str,
    selection: &[AxisSelection],
    caching: Caching,
    order: Order,
) -> Result<Job> {
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
    let output = Mutex::new(Output::new(&node, &plan.tasks, &shape, texts, order)?);
    let name = name_of(hierarchy, path).filter(|_| fits(&context.chunks, node.chunk_bytes()));
    let job = Job { path: path.to_owned(), name, node, decoder, plan, shape, output, caching };
    if filled_at_once(context, &job)? {
        return Ok(job);
    }
    let job = Arc::new(job);
    // By a task of its own: others may wait for these chunks, also while nobody polls this read.
    let mut reading = JoinSet::new();
    reading.spawn(drive(context.clone(), hierarchy.clone(), Arc::clone(&job)));
    let driven = reading.join_next().await.ok_or_else(|| Error::internal("a read was lost"))?;
    driven.map_err(|error| Error::internal("a read was stopped").with_source(error))??;
    Arc::try_unwrap(job).map_err(|_| Error::internal("a decode outlived its read"))
}
