//! Which chunks hold a selection, and where each chunk's elements go in the answer.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::model::chunk::ChunkPosition;
use crate::model::selection::{AxisSelection, Run};
use crate::model::tree::ArrayNode;

/// Most chunk tasks of one plan; a window with more is refused rather than planned without end.
pub const MAX_TASKS: usize = 4_000_000;

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
    pub runs: Vec<Vec<Run>>,
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
        *first = split_rows(std::mem::take(first), row_bytes(node));
    }
    let count = axes.iter().try_fold(1_usize, |total, axis| total.checked_mul(axis.len()));
    if count.is_none_or(|count| count > MAX_TASKS) {
        return Err(too_many());
    }
    Ok(product(&axes))
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
    runs: Vec<Run>,
}

fn too_many() -> Error {
    Error::resource_exhausted(format!("the slice touches more than {MAX_TASKS} chunks at once"))
}

/// Runs of `selection` cut at chunk borders and gathered per chunk, chunks ascending. The length of an
/// axis is what a file says, so that no more than [`MAX_TASKS`] parts are gathered of one.
fn chunks_of_axis(selection: &AxisSelection, chunk_length: u64) -> Result<Vec<AxisPart>> {
    let mut parts = 0;
    let mut chunks: BTreeMap<u64, Vec<Run>> = BTreeMap::new();
    for run in selection.runs() {
        let (mut start, mut destination, mut left) = (run.start, run.destination, run.count);
        while left > 0 {
            parts += 1;
            if parts > MAX_TASKS {
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
    Ok(chunks.into_iter().map(|(chunk, runs)| AxisPart { chunk, rows: None, runs }).collect())
}

/// Splits the rows of partly readable chunks so that each part reads only its own rows.
fn split_rows(parts: Vec<AxisPart>, row_bytes: u64) -> Vec<AxisPart> {
    let mut split = Vec::with_capacity(parts.len());
    for part in parts {
        for run in part.runs {
            let wide = run.step.unsigned_abs().saturating_mul(row_bytes) > WIDE_STRIDE_BYTES;
            if run.step.unsigned_abs() > 1 && wide {
                for index in 0..run.count {
                    let start = run.start.wrapping_add_signed(run.step.wrapping_mul(index as i64));
                    let single = Run { start: 0, step: 1, count: 1, destination: run.destination + index };
                    split.push(AxisPart { chunk: part.chunk, rows: Some(start..start + 1), runs: vec![single] });
                }
                continue;
            }
            let position_bytes = run.step.unsigned_abs().max(1).saturating_mul(row_bytes).max(1);
            let most = (LONGEST_PART_BYTES / position_bytes).max(1);
            for first in (0..run.count).step_by(usize::try_from(most).unwrap_or(usize::MAX)) {
                let start = run.start.wrapping_add_signed(run.step.wrapping_mul(first as i64));
                let (count, destination) = (most.min(run.count - first), run.destination + first);
                let piece = Run { start, step: run.step, count, destination };
                let (low, high) = (piece.start.min(piece.last()), piece.start.max(piece.last()));
                let local = Run { start: piece.start - low, ..piece };
                split.push(AxisPart { chunk: part.chunk, rows: Some(low..high + 1), runs: vec![local] });
            }
        }
    }
    split
}

/// The cartesian product of the axes' parts, last axis fastest.
fn product(axes: &[Vec<AxisPart>]) -> Vec<ChunkTask> {
    let mut tasks = vec![ChunkTask { position: Vec::new(), rows: None, runs: Vec::new() }];
    for (axis, parts) in axes.iter().enumerate() {
        let mut extended = Vec::with_capacity(tasks.len() * parts.len());
        for task in &tasks {
            for part in parts {
                let mut task = task.clone();
                task.position.push(part.chunk);
                task.runs.push(part.runs.clone());
                if axis == 0 {
                    task.rows.clone_from(&part.rows);
                }
                extended.push(task);
            }
        }
        tasks = extended;
    }
    tasks
}
