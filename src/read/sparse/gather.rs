//! Turns entries that come by columns into rows: picks those of a window, then sorts them by row.

use std::ops::Range;

use arrow::buffer::MutableBuffer;

use super::minor::MinorMap;
use super::piece::Piece;
use crate::error::{Error, Result};

/// Entries of one piece that lie in a window of rows, in the order of the piece.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Row within the window.
    rows: Vec<u32>,
    /// Output column.
    columns: Vec<u32>,
    /// Little-endian elements.
    values: Vec<u8>,
    /// Place of each entry in its stored row, where rows are put in that order; else empty.
    places: Vec<u32>,
}

impl Gathered {
    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> u64 {
        (4 * self.rows.len() + 4 * self.columns.len() + self.values.len() + 4 * self.places.len()) as u64
    }
}

/// The entries of a piece as they are stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    /// Stored rows.
    pub(super) indices: &'a [u64],
    /// Elements of `width` bytes.
    pub(super) values: &'a [u8],
    /// Bytes of an element.
    pub(super) width: usize,
    /// Place of each entry in its row, where rows are put in that order.
    pub(super) places: Option<&'a [u32]>,
}

/// Entries sorted by row; within a row by output column, or by place where there are places.
#[derive(Debug)]
pub(super) struct Sorted {
    /// Output columns.
    pub(super) columns: Vec<u64>,
    /// Little-endian elements.
    pub(super) values: MutableBuffer,
    /// One more offset than there are rows.
    pub(super) offsets: Vec<usize>,
}

/// Adds the entries of each output row of `rows` to `counts`; `indices` are the stored rows.
pub(super) fn count(indices: &[u64], map: Option<&MinorMap>, rows: &Range<u64>, counts: &mut [u32]) {
    for index in indices {
        for_each_output(map, *index, rows, |row| {
            if let Some(count) = counts.get_mut(row) {
                *count = count.saturating_add(1);
            }
        });
    }
}

/// The entries of `piece`, stored as `stored`, in the output rows `rows`, at most `most_bytes` of them.
///
/// # Errors
/// `ResourceExhausted` when there are more.
pub(super) fn gather(
    piece: &Piece,
    stored: Stored<'_>,
    map: Option<&MinorMap>,
    rows: &Range<u64>,
    most_bytes: u64,
) -> Result<Gathered> {
    let Stored { indices, values, width, places } = stored;
    let is_whole = indices.len() as u64 == piece.len() && values.len() == indices.len().saturating_mul(width);
    if !is_whole || places.is_some_and(|places| places.len() != indices.len()) {
        return Err(Error::internal("a piece has another number of indices, values or places than entries"));
    }
    let entry_bytes = 8 + width as u64 + if places.is_some() { 4 } else { 0 };
    let most = usize::try_from(most_bytes / entry_bytes).unwrap_or(usize::MAX);
    let mut found = 0_usize;
    indices.iter().for_each(|index| for_each_output(map, *index, rows, |_| found = found.saturating_add(1)));
    if found > most {
        return Err(too_many(most_bytes));
    }
    // Made as large as needed at once: all pieces of a window are held together.
    let mut gathered = Gathered {
        rows: Vec::with_capacity(found),
        columns: Vec::with_capacity(found),
        values: Vec::with_capacity(found * width),
        places: Vec::with_capacity(if places.is_some() { found } else { 0 }),
    };
    let mut entries = indices.iter().zip(values.chunks_exact(width.max(1))).enumerate();
    for part in &piece.parts {
        let column = u32::try_from(part.slice)
            .map_err(|_| Error::resource_exhausted(format!("column {} is not below 2^32", part.slice)))?;
        for (at, (index, value)) in entries.by_ref().take((part.end - part.start) as usize) {
            let place = places.and_then(|places| places.get(at).copied());
            for_each_output(map, *index, rows, |row| {
                gathered.rows.push(row as u32);
                gathered.columns.push(column);
                gathered.values.extend_from_slice(value);
                gathered.places.extend(place);
            });
        }
    }
    Ok(gathered)
}

/// What a window refuses to hold.
pub(super) fn too_many(most_bytes: u64) -> Error {
    Error::resource_exhausted(format!(
        "entries that repeat places take more than the {most_bytes} bytes that a window of rows has of stream_memory"
    ))
}

/// All entries of a window of `rows` rows, sorted by row. The order within a row stays, or is that of their
/// places where there are places.
///
/// # Errors
/// `Internal` when an entry lies outside the window.
pub(super) fn sorted(pieces: Vec<Gathered>, rows: usize, width: usize) -> Result<Sorted> {
    let outside = || Error::internal("a gathered entry leaves its window");
    let mut offsets = vec![0_usize; rows + 1];
    for row in pieces.iter().flat_map(|piece| &piece.rows) {
        *offsets.get_mut(*row as usize + 1).ok_or_else(outside)? += 1;
    }
    let mut total = 0;
    for offset in &mut offsets {
        total += *offset;
        *offset = total;
    }
    let mut columns = vec![0_u64; total];
    let mut values = MutableBuffer::from_len_zeroed(total.saturating_mul(width));
    let mut places = vec![0_u32; if pieces.iter().any(|piece| !piece.places.is_empty()) { total } else { 0 }];
    let mut next = offsets.clone();
    for piece in pieces {
        for (at, (row, column)) in piece.rows.iter().zip(&piece.columns).enumerate() {
            let place = next.get_mut(*row as usize).ok_or_else(outside)?;
            *columns.get_mut(*place).ok_or_else(outside)? = u64::from(*column);
            let target = values.as_slice_mut().get_mut(*place * width..(*place + 1) * width).ok_or_else(outside)?;
            target.copy_from_slice(piece.values.get(at * width..(at + 1) * width).ok_or_else(outside)?);
            if let (Some(to), Some(from)) = (places.get_mut(*place), piece.places.get(at)) {
                *to = *from;
            }
            *place += 1;
        }
    }
    let mut sorted = Sorted { columns, values, offsets };
    if !places.is_empty() {
        sorted.by_place(&places, width);
    }
    Ok(sorted)
}

impl Sorted {
    /// Puts the entries of each row in the order of `places`; those at the same place keep theirs.
    fn by_place(&mut self, places: &[u32], width: usize) {
        let (mut order, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for bounds in self.offsets.windows(2) {
            let range = bounds[0]..bounds[1];
            let (Some(row), Some(row_columns)) = (places.get(range.clone()), self.columns.get_mut(range.clone()))
            else {
                continue;
            };
            if row.is_sorted() {
                continue;
            }
            order.clear();
            order.extend(0..row.len());
            order.sort_by_key(|at| row[*at]);
            columns.clear();
            columns.extend_from_slice(row_columns);
            let Some(row_values) = self.values.as_slice_mut().get_mut(range.start * width..range.end * width) else {
                continue;
            };
            values.clear();
            values.extend_from_slice(row_values);
            for (to, from) in order.iter().enumerate() {
                row_columns[to] = columns[*from];
                row_values[to * width..(to + 1) * width].copy_from_slice(&values[from * width..(from + 1) * width]);
            }
        }
    }
}

/// Cuts rows of `counts` entries each into windows of at most `most` bytes, where a row has
/// `row_bytes` and `entry_bytes` for each entry; gives the end of each window and its bytes. A row that
/// is larger is a window of its own.
pub(super) fn cut(counts: &[u32], entry_bytes: u64, row_bytes: u64, most: u64) -> Vec<(usize, u64)> {
    let mut windows: Vec<(usize, u64)> = Vec::new();
    for (row, count) in counts.iter().enumerate() {
        let bytes = u64::from(*count).saturating_mul(entry_bytes).saturating_add(row_bytes);
        match windows.last_mut() {
            Some((end, total)) if total.saturating_add(bytes) <= most => {
                *end = row + 1;
                *total += bytes;
            }
            _ => windows.push((row + 1, bytes)),
        }
    }
    windows
}

/// Calls `put` with every output row of the stored row `index` that lies in `rows`, counted from its start.
fn for_each_output(map: Option<&MinorMap>, index: u64, rows: &Range<u64>, mut put: impl FnMut(usize)) {
    let mut inside = |row: u64| {
        if rows.contains(&row) {
            put((row - rows.start) as usize);
        }
    };
    match map {
        None => inside(index),
        Some(map) => map.outputs(index).for_each(|row| inside(u64::from(row))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::piece::pieces;
    use super::*;
    use crate::model::selection::AxisSelection;

    /// Stored rows; every entry (row, value) of each column, in random order and also twice; output
    /// positions of the rows; a window of them.
    type Case = (u64, Vec<Vec<(u64, u16)>>, Vec<u64>, Range<u64>);

    fn cases() -> impl Strategy<Value = Case> {
        (1_u64..9).prop_flat_map(|length| {
            let columns = proptest::collection::vec(proptest::collection::vec((0..length, any::<u16>()), 0..9), 0..7);
            let positions = proptest::collection::vec(0..length, 0..12);
            (Just(length), columns, positions, 0_u64..12, 0_u64..12).prop_map(|(length, columns, positions, a, b)| {
                let count = positions.len() as u64;
                let (start, end) = (a.min(b).min(count), a.max(b).min(count));
                (length, columns, positions, start..end)
            })
        })
    }

    proptest! {
        /// Against filtering the columns once per output row.
        #[test]
        fn rows_hold_their_entries_by_column((length, columns, positions, rows) in cases(), most in 1_u64..20) {
            let map = MinorMap::new(&AxisSelection::Indices(positions.clone().into()), length).unwrap();
            let mut end = 0;
            let spans: Vec<_> = columns.iter().map(|column| {
                let start = end;
                end += column.len() as u64;
                (start, end)
            }).collect();
            let entries = columns.concat();
            let window = (rows.end - rows.start) as usize;
            let (mut counts, mut gathered) = (vec![0; window], Vec::new());
            for piece in pieces(0, &spans, most, 3) {
                let taken: Vec<_> =
                    piece.parts.iter().flat_map(|part| part.start..part.end).map(|at| entries[at as usize]).collect();
                let indices: Vec<u64> = taken.iter().map(|(row, _)| *row).collect();
                let values: Vec<u8> = taken.iter().flat_map(|(_, value)| value.to_le_bytes()).collect();
                count(&indices, Some(&map), &rows, &mut counts);
                gathered.push(gather(&piece, Stored { indices: &indices, values: &values, width: 2, places: None }, Some(&map), &rows, 1 << 20).unwrap());
            }
            let found = sorted(gathered, window, 2).unwrap();
            let (mut indices, mut values, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
            for row in rows {
                for (column, entries) in columns.iter().enumerate() {
                    for (_, value) in entries.iter().filter(|(index, _)| *index == positions[row as usize]) {
                        indices.push(column as u64);
                        values.extend(value.to_le_bytes());
                    }
                }
                offsets.push(indices.len());
            }
            prop_assert_eq!(found.columns, indices);
            prop_assert_eq!(found.values.as_slice(), values.as_slice());
            let lengths: Vec<u32> = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u32).collect();
            prop_assert_eq!(found.offsets, offsets);
            prop_assert_eq!(counts, lengths);
        }

        /// Windows follow each other, cover every row, and only a single row may be too large.
        #[test]
        fn windows_are_as_long_as_they_fit(counts in proptest::collection::vec(0_u32..50, 0..30), most in 1_u64..500) {
            let windows = cut(&counts, 12, 8, most);
            let bytes = |rows: Range<usize>| counts[rows].iter().map(|count| u64::from(*count) * 12 + 8).sum::<u64>();
            let mut start = 0;
            for (end, size) in &windows {
                prop_assert_eq!(bytes(start..*end), *size);
                prop_assert!(*size <= most || *end == start + 1);
                prop_assert!(*end == counts.len() || bytes(start..*end + 1) > most);
                start = *end;
            }
            prop_assert_eq!(start, counts.len());
        }
    }

    #[test]
    fn more_entries_than_fit_are_refused() {
        let piece = pieces(0, &[(0, 4)], 10, 10).remove(0);
        let (indices, values) = ([0, 0, 0, 0], [1, 2, 3, 4]);
        let stored = Stored { indices: &indices, values: &values, width: 1, places: None };
        assert_eq!(gather(&piece, stored, None, &(0..1), 36).unwrap().bytes(), 36);
        let error = gather(&piece, stored, None, &(0..1), 35).unwrap_err();
        assert!(error.message().contains("35 bytes") && error.message().contains("stream_memory"), "{error}");
    }

    #[test]
    fn entries_of_a_row_are_put_by_place() {
        let pieces = pieces(0, &[(0, 2), (2, 4)], 2, 1);
        let parts = [([0, 1], [1_u8, 2], [1_u32, 0]), ([0, 1], [3, 4], [0, 1])];
        let gathered = pieces.iter().zip(&parts).map(|(piece, (indices, values, places))| {
            let stored = Stored { indices, values, width: 1, places: Some(places) };
            gather(piece, stored, None, &(0..2), 1 << 10).unwrap()
        });
        let found = sorted(gathered.collect(), 2, 1).unwrap();
        assert_eq!((found.columns, found.offsets), (vec![1, 0, 0, 1], vec![0, 2, 4]));
        assert_eq!(found.values.as_slice(), [3, 1, 2, 4]);
    }
}
