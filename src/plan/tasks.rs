//! Which chunks hold a selection, and where each chunk's elements go in the answer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::model::chunk::ChunkPosition;
use crate::model::selection::{AxisSelection, Run};
use crate::model::tree::ArrayNode;

/// Most chunk tasks of one plan; a window with more is refused rather than planned without end. A task
/// with what belongs to it (location, request, part of an answer) takes some 600 bytes.
pub const MAX_TASKS: usize = 1 << 19;

/// Tasks of a window of `bytes` bytes that may be made smaller: windows are cut so that their rows have no more. One for
/// each KiB, so that a plan takes less than the window does; no fewer than 2^13, as neighbours in one window share
/// requests, and no more than 2^15.
pub fn window_tasks(bytes: u64) -> u64 {
    (bytes >> 10).clamp(1 << 13, 1 << 15)
}

/// Most runs of one axis, which tasks share: of an index list that is no order, each is one.
const MAX_RUNS: usize = 1 << 22;

/// Strides wider than this between the rows of a partly readable chunk are read row by row.
const WIDE_STRIDE_BYTES: u64 = 64 * 1024;

/// Rows of a partly readable chunk are read in parts of at most this many bytes (or one row): what is
/// fetched at once stays bounded when the answer takes few columns of many long rows.
const LONGEST_PART_BYTES: u64 = 8 * 1024 * 1024;

/// The work for one chunk, or for a run of rows of a partly readable chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkTask {
    /// The chunk's position in the grid.
    pub position: ChunkPosition,
    /// Rows of the chunk that are read, `[start, end)`; `None` reads the whole chunk.
    pub rows: Option<Range<u64>>,
    /// Per axis: which elements of what was read go where. Starts on the first axis count from
    /// `rows.start`. Destinations are positions in the answer.
    /// Tasks of the same part of an axis share its runs.
    pub runs: Vec<Arc<[Run]>>,
}

/// The tasks that together fill the answer of `selection`, in grid order.
///
/// `selection` has one entry per dimension of `node`. A scalar gives one task with no axes.
///
/// # Errors
/// `OutOfRange` when a selection leaves its axis, `ResourceExhausted` above [`MAX_TASKS`].
pub fn tasks(node: &ArrayNode, selection: &[AxisSelection]) -> Result<Vec<ChunkTask>> {
    if selection.len() != node.shape.len() || node.chunk_shape.len() != node.shape.len() {
        return Err(Error::invalid(format!(
            "expected {} axes for shape {:?}, found {}",
            node.shape.len(),
            node.shape,
            selection.len()
        )));
    }
    let mut axes = Vec::with_capacity(selection.len());
    for (axis, (positions, length)) in selection.iter().zip(&node.shape).enumerate() {
        positions.check(*length).map_err(|error| error.context(format!("axis {axis}")))?;
        axes.push(chunks_of_axis(positions, node.chunk_shape[axis].max(1))?);
    }
    if node.is_null || selection.iter().any(AxisSelection::is_empty) {
        return Ok(Vec::new());
    }
    if node.partly_readable
        && let Some(first) = axes.first_mut()
    {
        *first = split_rows(std::mem::take(first), row_bytes(node))?;
    }
    let count = axes.iter().try_fold(1_usize, |total, axis| total.checked_mul(axis.len()));
    if count.is_none_or(|count| count > MAX_TASKS) {
        return Err(too_many());
    }
    Ok(product(&axes))
}

/// About how many tasks and runs [`tasks`] makes of `selection`, without making them.
pub fn effort(node: &ArrayNode, selection: &[AxisSelection]) -> u64 {
    let parts = (0..selection.len()).fold(1, |total: u64, axis| total.saturating_mul(parts_of(node, selection, axis)));
    let listed = |positions: &AxisSelection| match positions {
        AxisSelection::Range { .. } => 0,
        AxisSelection::Indices(indices) => indices.len() as u64,
        AxisSelection::Spans(spans) => spans.len() as u64,
    };
    selection.iter().map(listed).fold(parts, u64::saturating_add)
}

/// `(rows, parts)`: source positions on `axis` that become one part of it, and how many parts a window
/// may have so that it makes about `most` tasks. `selection` has one entry per dimension.
pub fn window_parts(node: &ArrayNode, selection: &[AxisSelection], axis: usize, most: u64) -> (u64, u64) {
    let others = (0..selection.len()).filter(|other| *other != axis);
    let others = others.fold(1, |total: u64, other| total.saturating_mul(parts_of(node, selection, other)));
    let scattered = selection.get(axis).is_some_and(|positions| is_scattered(node, positions, axis));
    let rows = if scattered { 1 } else { node.chunk_shape.get(axis).copied().unwrap_or(1) };
    (rows, (most / others.max(1)).max(1))
}

/// Parts of `axis` at most, but for rows that are split because they are long.
fn parts_of(node: &ArrayNode, selection: &[AxisSelection], axis: usize) -> u64 {
    let Some(positions) = selection.get(axis) else { return 1 };
    if is_scattered(node, positions, axis) {
        return positions.len();
    }
    let chunk = node.chunk_shape.get(axis).copied().unwrap_or(1).max(1);
    let grid = node.shape.get(axis).copied().unwrap_or(1).div_ceil(chunk);
    match positions {
        AxisSelection::Range { step, count, .. } => {
            let reach = count.saturating_sub(1).saturating_mul(step.unsigned_abs());
            (*count).min(grid).min(reach.div_ceil(chunk).saturating_add(1))
        }
        // Each span of a partly readable chunk is read by itself.
        AxisSelection::Spans(spans) if node.partly_readable && axis == 0 => {
            let of = |(start, end): &(u64, u64)| (end - start).div_ceil(chunk).saturating_add(1);
            spans.iter().map(of).fold(0, u64::saturating_add)
        }
        other => other.len().min(grid),
    }
}

/// Whether each position is read by itself: rows of a partly readable chunk that do not follow each other.
fn is_scattered(node: &ArrayNode, positions: &AxisSelection, axis: usize) -> bool {
    node.partly_readable
        && axis == 0
        && match positions {
            AxisSelection::Range { step, .. } => step.unsigned_abs() > 1 && is_wide(*step, row_bytes(node)),
            AxisSelection::Indices(_) => true,
            AxisSelection::Spans(_) => false,
        }
}

fn is_wide(step: i64, row_bytes: u64) -> bool {
    step.unsigned_abs().saturating_mul(row_bytes) > WIDE_STRIDE_BYTES
}

/// Bytes of one row of a chunk: everything behind the first axis.
pub fn row_bytes(node: &ArrayNode) -> u64 {
    let elements = node.chunk_shape.iter().skip(1).fold(1_u64, |total, length| total.saturating_mul(*length));
    elements.saturating_mul(node.data_type.item_size() as u64)
}

/// The part of one axis that lies in one chunk.
#[derive(Clone, Debug)]
struct AxisPart {
    chunk: u64,
    rows: Option<Range<u64>>,
    runs: Arc<[Run]>,
}

fn too_many() -> Error {
    Error::resource_exhausted(format!("the slice touches more than {MAX_TASKS} chunks at once"))
}

/// Runs of `selection` cut at chunk borders and gathered per chunk, chunks ascending. The length of an
/// axis is what a file says, so that no more than [`MAX_RUNS`] runs in [`MAX_TASKS`] chunks are gathered of
/// one.
fn chunks_of_axis(selection: &AxisSelection, chunk_length: u64) -> Result<Vec<AxisPart>> {
    let mut parts = 0_usize;
    let mut chunks: BTreeMap<u64, Vec<Run>> = BTreeMap::new();
    for run in selection.runs() {
        let (mut start, mut destination, mut left) = (run.start, run.destination, run.count);
        while left > 0 {
            parts += 1;
            if parts > MAX_RUNS || chunks.len() > MAX_TASKS {
                return Err(too_many());
            }
            let chunk = start / chunk_length;
            let local = start % chunk_length;
            let room = match run.step {
                0 => left,
                step if step > 0 => (chunk_length - 1 - local) / step.unsigned_abs() + 1,
                step => local / step.unsigned_abs() + 1,
            };
            let count = room.min(left);
            let part = Run { start: local, step: run.step, count, destination };
            chunks.entry(chunk).or_default().push(part);
            left -= count;
            destination += count;
            start = start.wrapping_add_signed(run.step.wrapping_mul(count as i64));
        }
    }
    Ok(chunks.into_iter().map(|(chunk, runs)| AxisPart { chunk, rows: None, runs: runs.into() }).collect())
}

/// Splits the rows of partly readable chunks so that each part reads only its own rows.
fn split_rows(parts: Vec<AxisPart>, row_bytes: u64) -> Result<Vec<AxisPart>> {
    let mut split = Vec::with_capacity(parts.len());
    let fits = |split: &Vec<AxisPart>| if split.len() < MAX_TASKS { Ok(()) } else { Err(too_many()) };
    for part in parts {
        for run in part.runs.iter().copied() {
            if run.step.unsigned_abs() > 1 && is_wide(run.step, row_bytes) {
                for index in 0..run.count {
                    fits(&split)?;
                    let start = run.start.wrapping_add_signed(run.step.wrapping_mul(index as i64));
                    let single = Run { start: 0, step: 1, count: 1, destination: run.destination + index };
                    split.push(AxisPart { chunk: part.chunk, rows: Some(start..start + 1), runs: [single].into() });
                }
                continue;
            }
            let position_bytes = run.step.unsigned_abs().max(1).saturating_mul(row_bytes).max(1);
            let most = (LONGEST_PART_BYTES / position_bytes).max(1);
            for first in (0..run.count).step_by(usize::try_from(most).unwrap_or(usize::MAX)) {
                let start = run.start.wrapping_add_signed(run.step.wrapping_mul(first as i64));
                fits(&split)?;
                let (count, destination) = (most.min(run.count - first), run.destination + first);
                let piece = Run { start, step: run.step, count, destination };
                let (low, high) = (piece.start.min(piece.last()), piece.start.max(piece.last()));
                let local = Run { start: piece.start - low, ..piece };
                split.push(AxisPart { chunk: part.chunk, rows: Some(low..high + 1), runs: [local].into() });
            }
        }
    }
    Ok(split)
}

/// The cartesian product of the axes' parts, last axis fastest.
fn product(axes: &[Vec<AxisPart>]) -> Vec<ChunkTask> {
    // A list that grows by itself would have room for four axes.
    let rank = axes.len();
    let mut tasks = vec![ChunkTask { position: Vec::new(), rows: None, runs: Vec::new() }];
    for (axis, parts) in axes.iter().enumerate() {
        let mut extended = Vec::with_capacity(tasks.len() * parts.len());
        for task in &tasks {
            for part in parts {
                let (mut position, mut runs) = (Vec::with_capacity(rank), Vec::with_capacity(rank));
                position.extend(task.position.iter().copied().chain([part.chunk]));
                runs.extend(task.runs.iter().chain([&part.runs]).map(Arc::clone));
                let rows = if axis == 0 { part.rows.clone() } else { task.rows.clone() };
                extended.push(ChunkTask { position, rows, runs });
            }
        }
        tasks = extended;
    }
    tasks
}
