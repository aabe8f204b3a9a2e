//! Cuts the rows of an answer into windows that fit in memory, at chunk borders where possible.

use std::collections::HashSet;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::model::selection::AxisSelection;

/// Windows of one stream at most: an answer of more rows is asked for in parts.
pub const MAX_WINDOWS: u64 = 1 << 20;

/// Rows of a window that are listed one by one.
const MOST_LISTED_ROWS: u64 = 1 << 20;

/// What a window may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowBounds {
    /// Output rows.
    pub rows: u64,
    /// Source rows between two borders at which windows end where they can: those of a chunk.
    pub border: u64,
    /// Source rows that are planned as one part.
    pub part_rows: u64,
    /// Parts.
    pub parts: u64,
}

impl WindowBounds {
    /// Windows of `rows` rows that end at borders of chunks of `chunk_rows`, however many chunks those are.
    pub fn of_rows(rows: u64, chunk_rows: u64) -> Self {
        Self { rows, border: chunk_rows, part_rows: chunk_rows, parts: u64::MAX }
    }
}

/// Cuts output rows `rows` of `selection` into windows within `bounds`, each of at least one row.
///
/// A window ends at the last border between two chunks that it can reach, so that sorted rows decode
/// each chunk once; when a chunk holds more rows than fit, it is cut.
///
/// # Errors
/// `ResourceExhausted` for more than [`MAX_WINDOWS`]: the number of rows is what a file says, and a
/// damaged one says anything.
pub fn windows(selection: &AxisSelection, rows: Range<u64>, bounds: WindowBounds) -> Result<Vec<Range<u64>>> {
    let end = rows.end.min(selection.len());
    let count = end.saturating_sub(rows.start);
    let too_many = || {
        let message = format!("{count} rows need more than {MAX_WINDOWS} windows of memory: select fewer rows");
        Err(Error::resource_exhausted(message))
    };
    let most = bounds.rows.max(1).min(listed(selection));
    if count.div_ceil(most) > MAX_WINDOWS {
        return too_many();
    }
    let border = bounds.border.max(1);
    let mut windows = Vec::new();
    let mut start = rows.start;
    while start < end {
        let room = reach(selection, start, most.min(end - start), bounds);
        let limit = start.saturating_add(room).min(end);
        let cut = if limit == end { end } else { last_border(selection, start, limit, border).unwrap_or(limit) };
        if windows.len() as u64 == MAX_WINDOWS {
            return too_many();
        }
        windows.push(start..cut);
        start = cut;
    }
    Ok(windows)
}

fn listed(selection: &AxisSelection) -> u64 {
    if matches!(selection, AxisSelection::Range { .. }) { u64::MAX } else { MOST_LISTED_ROWS }
}

/// How many of `most` rows from `start` on lie in as many parts as a window may have; at least one.
fn reach(selection: &AxisSelection, start: u64, most: u64, bounds: WindowBounds) -> u64 {
    let (length, parts) = (bounds.part_rows.max(1), bounds.parts.max(1));
    if parts >= most {
        return most;
    }
    if let AxisSelection::Range { step, .. } = selection {
        // `rows` rows reach over `(rows - 1) * step` positions, which touch one part more than that may fill,
        // and no more parts than there are rows.
        let whole = (parts - 1).saturating_mul(length) / step.unsigned_abs().max(1);
        return most.min(whole.max(parts));
    }
    let mut seen = HashSet::new();
    let mut last = None;
    for row in 0..most {
        let part = selection.get(start + row).map(|source| source / length);
        if part != last && seen.insert(part) && seen.len() as u64 > parts {
            return row.max(1);
        }
        last = part;
    }
    most
}

/// The largest output row in `(start, limit]` whose source lies in another chunk than the row before.
fn last_border(selection: &AxisSelection, start: u64, limit: u64, chunk_rows: u64) -> Option<u64> {
    if let AxisSelection::Range { start: first, step, .. } = selection {
        let (first, step, chunk_rows) = (i128::from(*first), i128::from(*step), i128::from(chunk_rows));
        let chunk = (first + step * i128::from(limit)).div_euclid(chunk_rows);
        // Distance to the side of that chunk from which its rows come.
        let side = if step < 0 { first - ((chunk + 1) * chunk_rows - 1) } else { chunk * chunk_rows - first };
        let row = u64::try_from(side.max(0) / step.abs().max(1) + i128::from(side.max(0) % step.abs().max(1) != 0));
        return row.ok().filter(|row| *row > start && *row <= limit);
    }
    let chunk_at = |row: u64| selection.get(row).map(|source| source / chunk_rows);
    let mut row = limit;
    while row > start + 1 {
        if chunk_at(row) != chunk_at(row - 1) {
            return Some(row);
        }
        row -= 1;
    }
    None
}
