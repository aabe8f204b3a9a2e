//! Cuts the rows of an answer into windows that fit in memory, at chunk borders where possible.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::model::selection::AxisSelection;

/// Windows of one stream at most: an answer of more rows is asked for in parts.
pub const MAX_WINDOWS: u64 = 1 << 20;

/// Cuts output rows `rows` of `selection` into windows of at most `most` rows.
///
/// A window ends at the last border between two chunks of `chunk_rows` source rows that it can reach,
/// so that sorted rows decode each chunk once; when a chunk holds more rows than fit, it is cut.
///
/// # Errors
/// `ResourceExhausted` for more than [`MAX_WINDOWS`]: the number of rows is what a file says, and a
/// damaged one says anything.
pub fn windows(selection: &AxisSelection, rows: Range<u64>, chunk_rows: u64, most: u64) -> Result<Vec<Range<u64>>> {
    let most = most.max(1);
    let chunk_rows = chunk_rows.max(1);
    let end = rows.end.min(selection.len());
    let mut windows = Vec::new();
    let mut start = rows.start;
    while start < end {
        let limit = start.saturating_add(most).min(end);
        let cut = if limit == end { end } else { last_border(selection, start, limit, chunk_rows).unwrap_or(limit) };
        if windows.len() as u64 == MAX_WINDOWS {
            let count = end - rows.start;
            let message = format!("{count} rows need more than {MAX_WINDOWS} windows of memory: select fewer rows");
            return Err(Error::resource_exhausted(message));
        }
        windows.push(start..cut);
        start = cut;
    }
    Ok(windows)
}

/// The largest output row in `(start, limit]` whose source lies in another chunk than the row before.
fn last_border(selection: &AxisSelection, start: u64, limit: u64, chunk_rows: u64) -> Option<u64> {
    if let AxisSelection::Range { step: 1, start: first, .. } = selection {
        let source = first + limit;
        let border = source - source % chunk_rows;
        return (border > first + start).then(|| border - first);
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
