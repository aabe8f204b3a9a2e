//! Entries sorted run by run on disk, and merged column by column: an external counting sort.
//!
//! Entries come in the order of the matrix (row by row). A run is as many of them as fit in memory, sorted by
//! column; within a column their order stays. Runs follow each other in the matrix, so that a column of the whole
//! matrix is its part of the first run, then that of the second, and so on. All in one file without a name that
//! matters: it goes when the index is built. The thread blocks.
//!
//! ```text
//! run:  offsets of the columns (u32, one more than columns) | rows (u32) | places (u32), if any | values
//! ```

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Error, Result};

/// Entries that follow each other in the matrix.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    /// The column of each.
    pub(super) columns: &'a [u32],
    /// Their elements, of [`Runs`]' width.
    pub(super) values: &'a [u8],
    /// Position of the first among all entries.
    pub(super) first: u64,
    /// First row of which there are pointers.
    pub(super) first_row: u64,
    /// Where the entries of each row begin, from that row on, and one more.
    pub(super) pointers: &'a [u64],
}

/// Sorted runs in a file.
#[derive(Debug)]
pub(super) struct Runs {
    file: File,
    columns: usize,
    width: usize,
    /// Whether the place of each entry in its row is kept as well.
    with_places: bool,
    runs: Vec<Run>,
    length: u64,
    /// Entries of each column.
    pub(super) totals: Vec<u64>,
    /// Whether the entries of every row so far ascend by column.
    pub(super) is_ordered: bool,
    /// Row and column of the last entry.
    last: Option<(u64, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    start: u64,
    entries: u64,
}

/// Entries of some columns, one column after the other.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) rows: Vec<u8>,
    pub(super) places: Vec<u8>,
    pub(super) values: Vec<u8>,
}

impl Runs {
    /// No runs yet, in the file at `path`, of a matrix of `columns` columns and elements of `width` bytes.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be made.
    pub(super) fn create(path: &Path, columns: usize, width: usize, with_places: bool) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path).map_err(failed)?;
        let totals = vec![0; columns];
        let (runs, length, is_ordered, last) = (Vec::new(), 0, true, None);
        Ok(Self { file, columns, width, with_places, runs, length, totals, is_ordered, last })
    }

    /// Bytes of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.length
    }

    /// Sorts entries and writes them behind the others.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails, `Internal` when the parts of `entries` do not fit each other.
    pub(super) fn append(&mut self, entries: &Entries<'_>) -> Result<()> {
        let count = entries.columns.len();
        if count == 0 {
            return Ok(());
        }
        if u32::try_from(count).is_err() || entries.values.len() != count * self.width {
            return Err(Error::internal("a run has another number of columns than values"));
        }
        let offsets = self.offsets(entries.columns)?;
        let sorted = match self.width {
            1 => self.sorted::<1>(entries, &offsets)?,
            2 => self.sorted::<2>(entries, &offsets)?,
            4 => self.sorted::<4>(entries, &offsets)?,
            8 => self.sorted::<8>(entries, &offsets)?,
            other => return Err(Error::unimplemented(format!("a column index of elements of {other} bytes"))),
        };
        let start = self.length;
        self.write(&bytes_of(&offsets))?;
        self.write(&bytes_of(&sorted.0))?;
        self.write(&bytes_of(&sorted.1))?;
        self.write(&sorted.2)?;
        self.runs.push(Run { start, entries: count as u64 });
        for (total, bounds) in self.totals.iter_mut().zip(offsets.windows(2)) {
            *total += u64::from(bounds[1] - bounds[0]);
        }
        Ok(())
    }

    /// Where the entries of each column begin in the sorted run.
    fn offsets(&self, columns: &[u32]) -> Result<Vec<u32>> {
        let mut offsets = vec![0_u32; self.columns + 1];
        for column in columns {
            *offsets.get_mut(*column as usize + 1).ok_or_else(outside)? += 1;
        }
        let mut end = 0;
        for offset in &mut offsets {
            end += *offset;
            *offset = end;
        }
        Ok(offsets)
    }

    /// Rows, places and values in the order of columns.
    fn sorted<const WIDTH: usize>(
        &mut self,
        entries: &Entries<'_>,
        offsets: &[u32],
    ) -> Result<(Vec<u32>, Vec<u32>, Vec<u8>)> {
        let count = entries.columns.len();
        let mut next = offsets.to_vec();
        let mut rows = vec![0_u32; count];
        let mut places = vec![0_u32; if self.with_places { count } else { 0 }];
        let mut values = vec![0_u8; count * WIDTH];
        let (from, _) = entries.values.as_chunks::<WIDTH>();
        let (to, _) = values.as_chunks_mut::<WIDTH>();
        let mut at = 0;
        let start = entries.pointers.partition_point(|pointer| *pointer <= entries.first).saturating_sub(1);
        for (number, bounds) in entries.pointers.windows(2).enumerate().skip(start) {
            let end = usize::try_from(bounds[1].saturating_sub(entries.first)).unwrap_or(count).min(count);
            let row = entries.first_row + number as u64;
            let mut before = self.last.filter(|(last, _)| *last == row).map_or(0, |(_, column)| column);
            let (columns, items) = (entries.columns.get(at..end), from.get(at..end));
            let part = columns.unwrap_or_default().iter().zip(items.unwrap_or_default());
            for (at, (column, value)) in (at..).zip(part) {
                let (column, value) = (*column, *value);
                self.is_ordered &= column >= before;
                before = column;
                let place = next.get_mut(column as usize).ok_or_else(outside)?;
                rows[*place as usize] = row as u32;
                to[*place as usize] = value;
                if self.with_places {
                    places[*place as usize] = (entries.first + at as u64 - bounds[0]) as u32;
                }
                *place += 1;
            }
            if end > at {
                self.last = Some((row, before));
            }
            at = at.max(end);
            if at == count {
                return Ok((rows, places, values));
            }
        }
        Err(Error::internal("entries lie in no row"))
    }

    /// All entries of `columns`, which have `entries` of them.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails.
    pub(super) fn merged(&self, columns: Range<usize>, entries: u64) -> Result<Merged> {
        let count = usize::try_from(entries).map_err(|_| outside())?;
        let mut merged = self.room(count);
        let mut next = Vec::with_capacity(columns.len());
        let mut end = 0_usize;
        for total in self.totals.get(columns.clone()).ok_or_else(outside)? {
            next.push(end);
            end += *total as usize;
        }
        for run in &self.runs {
            let offsets = self.run_offsets(run, &columns)?;
            let (first, last) = (*offsets.first().ok_or_else(outside)?, *offsets.last().ok_or_else(outside)?);
            if first == last {
                continue;
            }
            let part = self.part(run, u64::from(first)..u64::from(last))?;
            for (next, bounds) in next.iter_mut().zip(offsets.windows(2)) {
                let (from, length) = ((bounds[0] - first) as usize, (bounds[1] - bounds[0]) as usize);
                copy(&mut merged.rows, *next, &part.rows, from, length, 4)?;
                copy(&mut merged.values, *next, &part.values, from, length, self.width)?;
                if self.with_places {
                    copy(&mut merged.places, *next, &part.places, from, length, 4)?;
                }
                *next += length;
            }
        }
        Ok(merged)
    }

    /// The parts of one column, of at most `most` entries each, in order: of a column too long for memory.
    pub(super) fn parts(&self, column: usize, most: u64) -> Result<Vec<(usize, Range<u64>)>> {
        let (mut parts, most) = (Vec::new(), most.max(1));
        for (number, run) in self.runs.iter().enumerate() {
            let offsets = self.run_offsets(run, &(column..column + 1))?;
            let (mut start, end) = match offsets.as_slice() {
                [start, end] => (u64::from(*start), u64::from(*end)),
                _ => return Err(outside()),
            };
            while start < end {
                let stop = end.min(start + most);
                parts.push((number, start..stop));
                start = stop;
            }
        }
        Ok(parts)
    }

    /// One of [`Runs::parts`].
    ///
    /// # Errors
    /// `Unavailable` when the disk fails.
    pub(super) fn read_part(&self, number: usize, entries: Range<u64>) -> Result<Merged> {
        self.part(self.runs.get(number).ok_or_else(outside)?, entries)
    }

    fn room(&self, entries: usize) -> Merged {
        Merged {
            rows: vec![0; entries * 4],
            places: vec![0; if self.with_places { entries * 4 } else { 0 }],
            values: vec![0; entries * self.width],
        }
    }

    fn part(&self, run: &Run, entries: Range<u64>) -> Result<Merged> {
        let mut part = self.room((entries.end - entries.start) as usize);
        let rows = run.start + (self.columns as u64 + 1) * 4;
        let places = rows + run.entries * 4;
        let values = if self.with_places { places + run.entries * 4 } else { places };
        self.read(&mut part.rows, rows + entries.start * 4)?;
        self.read(&mut part.values, values + entries.start * self.width as u64)?;
        if self.with_places {
            self.read(&mut part.places, places + entries.start * 4)?;
        }
        Ok(part)
    }

    /// Where the entries of `columns` begin in `run`, and where the last ends.
    fn run_offsets(&self, run: &Run, columns: &Range<usize>) -> Result<Vec<u32>> {
        let mut bytes = vec![0; (columns.len() + 1) * 4];
        self.read(&mut bytes, run.start + columns.start as u64 * 4)?;
        let (offsets, _) = bytes.as_chunks::<4>();
        Ok(offsets.iter().map(|offset| u32::from_le_bytes(*offset)).collect())
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<()> {
        self.file.read_exact_at(bytes, at).map_err(failed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.length).map_err(failed)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn copy(to: &mut [u8], at: usize, from: &[u8], start: usize, length: usize, width: usize) -> Result<()> {
    let target = to.get_mut(at * width..(at + length) * width).ok_or_else(outside)?;
    target.copy_from_slice(from.get(start * width..(start + length) * width).ok_or_else(outside)?);
    Ok(())
}

fn bytes_of(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn outside() -> Error {
    Error::internal("an entry of a run lies outside its columns")
}

fn failed(error: std::io::Error) -> Error {
    Error::unavailable(format!("the runs of a column index: {}", error.kind())).with_source(error)
}
